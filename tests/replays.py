"""Recordings of calls, servers that play them, and the same calls sent again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from openai import OpenAI

from images_emulator import Emulator, Server, Settings
from images_emulator.recordings.recording import (
    RecordedPart,
    RecordedRequest,
    RecordedResponse,
    Recording,
)
from images_emulator.recordings.recording_source import MemoryRecordings
from images_emulator.state.replay import Replay
from tests.conftest import KEY
from tests.pictures import half_clear, png
from tests.wire import answer_to, exchange, headers_of

GENERATIONS = "/v1/images/generations"
EDITS = "/v1/images/edits"
VARIATIONS = "/v1/images/variations"
DEPLOYMENT = "/openai/deployments/gpt-image-1"
FOX = {"model": "gpt-image-2", "prompt": "A red fox", "size": "1024x1024"}
STREAM = {"model": "gpt-image-1", "prompt": "A fox", "stream": True, "partial_images": 2}
Pixel = tuple[int, int, int]
Play = Callable[..., Server]


def playing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """Serves recordings, by the settings of a server; for a fixture `play`."""
    folder = tmp_path_factory.mktemp("replay")
    (folder / "0001.json").write_text(
        '{"version": 1, "request": {"method": "GET", "target": "/v1/models"}, '
        '"response": {"status": 200}}'
    )
    with ExitStack() as stack:

        def serve(*recordings: Recording, **settings: Any) -> Server:
            named = [
                replace(each, name=each.name or f"{number:04}")
                for number, each in enumerate(recordings, 1)
            ]
            emulator = Emulator(Settings(**{"delay": False, "replay": folder, **settings}))
            emulator.replay = Replay(
                lambda: MemoryRecordings(named),
                emulator.settings,
                emulator.store,
                emulator.deployments,
                emulator.files.data,
            )
            return stack.enter_context(Server(emulator=emulator))

        yield serve


def form(*parts: tuple[str, str, bytes], boundary: str = "b") -> tuple[bytes, str]:
    """The body and the content type of a form. A part is a name, a file name or nothing, and
    bytes."""
    body = b""
    for name, filename, data in parts:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
        if filename:
            head += f'; filename="{filename}"\r\nContent-Type: image/png'
        body += head.encode() + b"\r\n\r\n" + data + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def edit(*more: tuple[str, str, bytes], boundary: str = "b") -> tuple[bytes, str]:
    """A form for an edit of two pictures, with *more* parts."""
    image = png((64, 64))
    return form(
        ("model", "", b"gpt-image-2"),
        ("prompt", "", b"With a hat"),
        ("size", "", b"1024x1024"),
        ("image[]", "a.png", image),
        ("image[]", "b.png", png((64, 64), "RGB", (1, 2, 3))),
        *more,
        boundary=boundary,
    )


def sent_by(server: Server, recording: Recording, **headers: str) -> Recording:
    """The same request, sent to *server*."""
    request = recording.request
    content_type = dict(request.headers).get("Content-Type")
    return exchange(
        server.url, request.method, request.target, request.body, content_type, **headers
    )


def differences(played: Recording, recording: Recording) -> Iterator[str]:
    """Where a *played* answer is not the recorded one."""
    response, recorded = played.response, recording.response
    if response is None or recorded is None:
        if response is not recorded:
            yield f"{response} is not {recorded}"
        return
    if response.status != recorded.status:
        yield f"status {response.status} is not {recorded.status}"
    if headers_of(response) != headers_of(recorded):
        yield f"headers {headers_of(response)} are not {headers_of(recorded)}"
    if [part.data for part in response.parts] != [part.data for part in recorded.parts]:
        yield f"body {response.body[:99]!r} is not {recorded.body[:99]!r}"
    if response.end != recorded.end:
        yield f"end {response.end} is not {recorded.end}"


FILES_FORM = form(("purpose", "", b"vision"), ("file", "fox.png", png()))
MASK = ("mask", "mask.png", half_clear())

CALLS: dict[str, dict[str, Any]] = {
    "generation": {"target": GENERATIONS, "body": FOX},
    "three": {"target": GENERATIONS, "body": {**FOX, "n": 3}},
    "stream": {"target": GENERATIONS, "body": STREAM},
    "svg": {"target": GENERATIONS, "body": {**FOX, "model": "gpt-image-2.6-flare"}},
    "edit": {"target": EDITS, "body": edit()[0], "content_type": edit()[1]},
    "mask": {"target": EDITS, "body": edit(MASK)[0], "content_type": edit(MASK)[1]},
    "variation": {
        "target": VARIATIONS,
        "body": form(("image", "a.png", png()), ("response_format", "", b"b64_json"))[0],
        "content_type": "multipart/form-data; boundary=b",
    },
    "models": {"method": "GET", "target": "/v1/models"},
    "model": {"method": "GET", "target": "/v1/models/gpt-image-2"},
    "no model": {"method": "GET", "target": "/v1/models/gpt-9"},
    "head": {"method": "HEAD", "target": "/v1/models"},
    "file": {"target": "/v1/files", "body": FILES_FORM[0], "content_type": FILES_FORM[1]},
    "files": {"method": "GET", "target": "/v1/files?limit=3"},
    "invalid": {"target": GENERATIONS, "body": {**FOX, "size": "7x7"}},
    "no json": {"target": GENERATIONS, "body": b"{", "content_type": "application/json"},
    "unserved": {"target": "/v1/chat/completions", "body": {"model": "gpt-9"}},
    "azure": {
        "target": f"{DEPLOYMENT}/images/generations?api-version=2025-04-01-preview",
        "body": {"prompt": "A fox", "size": "1024x1024"},
        "api_key": KEY,
    },
    "azure invalid": {
        "target": "/openai/v1/images/generations",
        "body": {"model": "gpt-image-1", "prompt": "A fox", "n": 11},
        "api_key": KEY,
    },
    "rate limit": {
        "target": GENERATIONS,
        "body": FOX,
        "x_emulator_fault": "rate_limit_exceeded;retry_after=7",
    },
    "stream error": {
        "target": GENERATIONS,
        "body": STREAM,
        "x_emulator_fault": "stream_error;after=1",
    },
    "stream cut": {"target": GENERATIONS, "body": STREAM, "x_emulator_fault": "stream_cut;after=1"},
    "stream reset": {
        "target": GENERATIONS,
        "body": STREAM,
        "x_emulator_fault": "stream_cut;after=2;reset=true",
    },
    "truncated": {"target": GENERATIONS, "body": FOX, "x_emulator_fault": "truncated"},
    "no answer": {"target": GENERATIONS, "body": FOX, "x_emulator_fault": "connection_reset"},
}
"""Calls of every endpoint and every way in which an answer can end."""


def recorded(server: Server, method: str = "POST", **call: Any) -> Recording:
    return exchange(server.url, method, **call)


def at_once(body: bytes) -> RecordedPart:
    return RecordedPart(0, body)


def answer(text: str, status: int = 200, **headers: str) -> RecordedResponse:
    """A recorded answer with that body."""
    pairs = (("content-type", "application/json"), *headers.items())
    return RecordedResponse(status, pairs, (at_once(text.encode()),))


def recording_of(
    body: dict[str, Any] | None, text: str = "{}", target: str = GENERATIONS, **fields: Any
) -> Recording:
    """A recording of a call with a JSON *body*, that was answered by *text*."""
    request = RecordedRequest(
        "POST" if body is not None else "GET",
        target,
        (("Content-Type", "application/json"),) if body is not None else (),
        json.dumps(body).encode() if body is not None else b"",
    )
    return Recording(request, answer(text), **fields)


def asked(server: Server, body: dict[str, Any], target: str = GENERATIONS) -> str:
    """The text that answers a call with a JSON *body*; the notice of a miss."""
    played = answer_to(server.url, "POST", target, body)
    return dict(played.headers).get("x-emulator-notice") or played.body.decode()


def openai_client(server: Server, **options: Any) -> OpenAI:
    return OpenAI(**{"base_url": server.base_url, "api_key": KEY, "max_retries": 0, **options})
