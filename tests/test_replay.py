"""Replay: recordings of one emulator, played by another, byte for byte."""

from __future__ import annotations

import gzip
import json
import logging
import shutil
import socket
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from threading import Event, current_thread
from time import perf_counter
from typing import Any, cast

import httpx2
import openai
import pytest
from openai import OpenAI

from images_emulator import Emulator, Server, Settings, create_app
from images_emulator.contract.events import event
from images_emulator.lru_cache import LRUCache
from images_emulator.recordings.answer_comparison import answer_differences
from images_emulator.recordings.compared_call import is_same_json
from images_emulator.recordings.folder import RecordingFolder, read_recording
from images_emulator.recordings.recording import (
    Expectation,
    RecordedDownload,
    RecordedPart,
    RecordedRequest,
    RecordedResponse,
    Recording,
)
from images_emulator.recordings.recording_source import MemoryRecordings
from images_emulator.recordings.redaction import Redactor
from images_emulator.state.clock import Clock
from images_emulator.state.memory_store import MemoryStore
from images_emulator.state.replay import Replay
from images_emulator.state.store import Store
from images_emulator.web.playable_answer import playable_answer
from tests.conftest import KEY
from tests.pictures import BLUE, GREEN, RED, encoded, half_clear, opened, png
from tests.raw_upstream import raw_upstream
from tests.waiting import until
from tests.wire import answer_of, answer_to, exchange, headers_of

GENERATIONS = "/v1/images/generations"
EDITS = "/v1/images/edits"
VARIATIONS = "/v1/images/variations"
DEPLOYMENT = "/openai/deployments/gpt-image-1"
FOLDER = Path(__file__).parent.parent / "fixtures" / "exchanges"
FOX = {"model": "gpt-image-2", "prompt": "A red fox", "size": "1024x1024"}
KEYED = {"Authorization": f"Bearer {KEY}"}
STREAM = {"model": "gpt-image-1", "prompt": "A fox", "stream": True, "partial_images": 2}

Pixel = tuple[int, int, int]
Play = Callable[..., Server]


@pytest.fixture
def play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """Serves recordings, by the settings of a server."""
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


@pytest.mark.parametrize("name", CALLS)
def test_recording_is_played_byte_for_byte(name: str, server: Server, play: Play) -> None:
    recording = recorded(server, **CALLS[name])
    player = play(recording)
    headers = {"api_key": KEY} if "api_key" in CALLS[name] else {}
    played = sent_by(player, recording, **headers)
    assert not list(differences(played, recording))
    (call,) = player.requests
    assert call.recording == "0001"
    assert call.status == (recording.response.status if recording.response else None)
    assert not call.near_misses


def test_hosted_pictures_are_served_from_the_recording(server: Server, play: Play) -> None:
    body = {"model": "dall-e-3", "prompt": "A fox", "response_format": "url"}
    recording = recorded(server, target=GENERATIONS, body=body)
    player = play(recording)
    server.reset()
    played = sent_by(player, recording)
    moved = answer_of(recording).body.replace(server.url.encode(), player.url.encode())
    assert answer_of(played).body == moved
    assert headers_of(answer_of(played)) == headers_of(answer_of(recording))
    (download,), (original,) = played.downloads, recording.downloads
    assert download.url.startswith(player.url)
    assert (download.status, download.data) == (200, original.data)
    assert opened(download.data).size == (1024, 1024)
    (call,), (fetched,) = player.requests, player.downloads
    assert [*call.answer.image_urls] == [download.url.encode()]
    assert (fetched.recording, fetched.prompt) == ("0001", "A fox")


@pytest.mark.parametrize("place", ["namespace", "public_url"])
def test_download_of_a_recorded_picture_has_its_prompt_wherever_it_is(
    place: str, server: Server, play: Play
) -> None:
    body = {"model": "dall-e-3", "prompt": "A fox", "response_format": "url"}
    recording = recorded(server, target=GENERATIONS, body=body)
    public_url = "https://x.example/images"
    player = play(recording, **({"public_url": public_url} if place == "public_url" else {}))
    prefix = "/ns/red" if place == "namespace" else ""
    with httpx2.Client(base_url=player.url + prefix) as http:
        headers = {"Authorization": f"Bearer {KEY}"}
        answered = http.post(GENERATIONS, json=body, headers=headers)
        url = answered.json()["data"][0]["url"]
        if place == "public_url":
            url = url.replace(public_url, player.url)
        assert http.get(url).content == recording.downloads[0].data
        listed = http.get("/_emulator/requests").json()["requests"]
    assert [each["prompt"] for each in listed] == ["A fox", "A fox"]


def test_the_cache_counts_the_pictures_of_recorded_urls(server: Server, play: Play) -> None:
    recording = recorded(
        server,
        target=GENERATIONS,
        body={"model": "dall-e-3", "prompt": "A fox", "response_format": "url"},
    )
    player = play(recording, cache=len(recording.downloads[0].data))
    assert sent_by(player, recording).downloads[0].data == recording.downloads[0].data
    assert player.downloads[0].prompt is None


def test_url_that_json_has_escaped_is_served_from_here(server: Server, play: Play) -> None:
    body = {"model": "dall-e-3", "prompt": "A fox", "response_format": "url"}
    recording = recorded(server, target=GENERATIONS, body=body)
    escaped = answer_of(recording).body.replace(b"/", b"\\/").replace(b"&", b"\\u0026")
    response = replace(answer_of(recording), parts=(at_once(escaped),))
    player = play(replace(recording, response=response))
    played = sent_by(player, recording)
    assert [each.data for each in played.downloads] == [recording.downloads[0].data]


def test_hosted_pictures_that_differ_in_the_query_alone_are_told_apart(play: Play) -> None:
    urls = [f"https://x.example/get?id={number}" for number in (1, 2)]
    recordings = [
        replace(
            recording_of({**FOX, "prompt": f"fox {url}"}, json.dumps({"data": [{"url": url}]})),
            downloads=(RecordedDownload(url, data=png() + url.encode()),),
        )
        for url in urls
    ]
    player = play(*recordings)
    for url, recording in zip(urls, recordings, strict=True):
        answered = json.loads(asked(player, json.loads(recording.request.body)))
        hosted = answered["data"][0]["url"]
        assert httpx2.get(hosted).content == png() + url.encode()
    # A client may change a signature.
    assert httpx2.get(f"{hosted}&x=1").content == png() + urls[1].encode()


def test_expired_fault_applies_to_a_recorded_url(server: Server, play: Play) -> None:
    body = {"model": "dall-e-3", "prompt": "A fox", "response_format": "url"}
    recording = recorded(server, target=GENERATIONS, body=body)
    player = play(recording)
    player.inject("expired")
    assert [each.status for each in sent_by(player, recording).downloads] == [403]
    assert [each.status for each in sent_by(player, recording).downloads] == [200]


# --- which recording answers


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


SAME_REQUESTS: dict[str, dict[str, Any]] = {
    "order": dict(reversed(FOX.items())),
    "default": {**FOX, "n": 1, "background": "auto", "stream": False},
    "null": {**FOX, "n": None},
}


@pytest.mark.parametrize("name", SAME_REQUESTS)
def test_request_that_means_the_same_is_answered(name: str, play: Play) -> None:
    assert asked(play(recording_of(FOX, '"fox"')), SAME_REQUESTS[name]) == '"fox"'


@pytest.mark.parametrize(
    ("recorded", "sent", "difference"),
    [
        ({"n": 1}, {"n": True}, "n true is not 1"),
        ({"stream": True}, {"stream": 1}, "stream 1 is not true"),
        ({"output_compression": 0}, {"output_compression": False}, "output_compression false"),
        ({"prompt": None}, {}, "prompt is missing, null was recorded"),
        ({"images": [{"x": 1}]}, {"images": [{"x": True}]}, "images[0].x true is not 1"),
        ({"images": [{"x": None}]}, {"images": [{}]}, "images[0] {} is not"),
    ],
    ids=str,
)
def test_invalid_call_is_answered_by_a_recording_of_the_same_json_alone(
    recorded: dict[str, Any], sent: dict[str, Any], difference: str, play: Play
) -> None:
    rest = {} if "prompt" in recorded else {"prompt": "A red fox"}
    player = play(recording_of({"model": "gpt-image-2", **rest, **recorded}, '"recorded"'))
    assert asked(player, {"model": "gpt-image-2", **rest, **recorded}) == '"recorded"'
    miss = asked(player, {"model": "gpt-image-2", **rest, **sent})
    assert difference in miss


OTHER_REQUESTS: dict[str, tuple[dict[str, Any], str]] = {
    "prompt": ({**FOX, "prompt": "A red box"}, "prompt 'A red box' is not 'A red fox'"),
    "size": ({**FOX, "size": "1536x1024"}, "size '1536x1024' is not '1024x1024'"),
    "n": ({**FOX, "n": 2}, "n 2 is not 1"),
    "model": ({**FOX, "model": "gpt-image-2.5-sunburst"}, "model 'gpt-image-2.5-sunburst' is not"),
    "user": ({**FOX, "user": "me"}, "user is 'me', and is not in the recording"),
    "stream": ({**FOX, "stream": True}, "stream true is not false"),
    "invalid": ({**FOX, "size": "7x7"}, "size '7x7' is not '1024x1024'"),
    "path": (FOX, "no recording is of POST /v1/images/edits"),
}


@pytest.mark.parametrize("name", OTHER_REQUESTS)
def test_another_request_is_a_miss_that_names_the_difference(name: str, play: Play) -> None:
    player = play(recording_of(FOX))
    body, sentence = OTHER_REQUESTS[name]
    assert sentence in asked(player, body, EDITS if name == "path" else GENERATIONS)
    (call,) = player.requests
    assert call.recording is None
    if name != "path":
        (miss,) = call.near_misses
        assert (miss.kind, miss.step, miss.label) == ("recording", "0001", "0001")
        assert miss.reason in sentence or sentence in miss.reason


@pytest.mark.parametrize("level", ["exact", "request", "operation"])
def test_call_with_a_key_in_its_prompt_is_answered_by_its_redacted_recording(
    level: str, play: Play
) -> None:
    body = {**FOX, "prompt": "A fox with the key sk-proj-Zq3_x-9aBcDeFgHiJkLmNoPqRsTuVwXyZ"}
    recording = Redactor().redact(recording_of(body, '"fox"'))
    assert "REDACTED" in recording.request.body.decode()
    player = play(recording_of(FOX, '"other"'), recording, replay_match=level, on_miss="refuse")
    assert asked(player, body) == '"fox"'


@pytest.mark.parametrize(
    "name", ["Authorization", "x-api-key", "OpenAI-Organization", "Cookie", "Referer"]
)
@pytest.mark.parametrize("first", [0, 1], ids=["owner", "other"])
def test_a_match_by_the_credential_of_one_client_is_none_for_another(
    name: str, first: int, play: Play
) -> None:
    own, other = "org-AnnasOwnSecret99", "org-NobodysSecret999"
    values = {"Authorization": "Bearer {}", "Cookie": "session={}", "Referer": "/x?token={}"}
    body = {**FOX, "prompt": f"A fox with {own}"}
    recording = recording_of(body, '"fox"')
    headers = (*recording.request.headers, (name, values.get(name, "{}").format(own)))
    request = replace(recording.request, headers=headers)
    recording = Redactor().redact(replace(recording, request=request))
    assert own not in recording.request.body.decode()
    player = play(recording, on_miss="refuse")
    answers: dict[str, int] = {}
    for text in [own, other][:: 1 - 2 * first]:
        header = {name.replace("-", "_"): values.get(name, "{}").format(text)}
        answers[text] = answer_to(player.url, "POST", GENERATIONS, body, None, **header).status
    assert answers == {own: 200, other: 404}


def test_miss_names_the_nearest_of_many_recordings(play: Play) -> None:
    others = [recording_of({**FOX, "prompt": f"Fox {number}"}) for number in range(30)]
    near = recording_of({**FOX, "quality": "high"}, name="near")
    nearer = recording_of({**FOX, "prompt": "A red fo"}, name="nearer")
    player = play(*others, near, nearer)
    assert "in the nearest, 'near', quality" in asked(player, FOX)
    assert "in the nearest, 'nearer', prompt" in asked(player, {**FOX, "prompt": "A red f"})


def test_long_prompts_are_shown_where_they_differ(play: Play) -> None:
    player = play(recording_of({**FOX, "prompt": "fox " * 100 + "and hare"}))
    notice = asked(player, {**FOX, "prompt": "fox " * 100 + "and hound"})
    assert "prompt '…ox fox and hound' is not '…ox fox and hare'" in notice.replace("\\u2026", "…")


def test_call_recorded_often_is_played_in_order_then_its_last(play: Play) -> None:
    player = play(
        *(recording_of(FOX, f"{number}") for number in range(3)),
        recording_of({**FOX, "n": 2}, '"other"'),
    )
    assert [asked(player, FOX) for _ in range(5)] == ["0", "1", "2", "2", "2"]
    player.reset()
    assert [asked(player, FOX) for _ in range(2)] == ["0", "1"]


async def test_a_call_during_a_reset_is_none_of_those_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (replay,) = replays_of(MemoryStore(), ["1", "2"])
    clear, during = replay._counters.clear, []

    async def clear_after_a_call() -> None:
        during.append(await replay.claim_next([0, 1]))
        await clear()

    monkeypatch.setattr(replay._counters, "clear", clear_after_a_call)
    assert await replay.claim_next([0, 1]) == 0
    await replay.reset()
    assert during == [1]
    assert [await replay.claim_next([0, 1]) for _ in range(3)] == [0, 1, 1]


def test_order_goes_on_for_a_call_that_is_written_otherwise(play: Play) -> None:
    player = play(recording_of(FOX, "0"), recording_of(SAME_REQUESTS["default"], "1"))
    assert asked(player, FOX) == "0"
    assert asked(player, SAME_REQUESTS["order"]) == "0"
    assert asked(player, SAME_REQUESTS["null"]) == "1"


def test_recorded_refusal_is_played_for_the_same_fields(play: Play) -> None:
    body = {**FOX, "size": "7x7"}
    invalid = replace(recording_of(body), response=answer('"refused"', 400))
    player = play(invalid)
    assert asked(player, body) == '"refused"'
    assert asked(player, dict(reversed(body.items()))) == '"refused"'
    assert "size '8x8' is not '7x7'" in asked(player, {**FOX, "size": "8x8"})


@pytest.mark.parametrize("same", [True, False])
def test_uploads_are_compared_by_their_pixels(play: Play, same: bool) -> None:
    body, content_type = edit(boundary="one")
    request = RecordedRequest("POST", EDITS, (("Content-Type", content_type),), body)
    player = play(Recording(request, answer('"edited"')))
    image = opened(png((64, 64)))
    if not same:
        image.putpixel((3, 3), (0, 0, 0))
    with openai_client(player) as client:
        other = encoded(image, compress_level=9)
        call = client.images.with_raw_response.edit(
            model="gpt-image-2",
            prompt="With a hat",
            size="1024x1024",
            image=[("x.png", other), ("y.png", png((64, 64), "RGB", (1, 2, 3)))],
        )
    if same:
        assert call.text == '"edited"'
    else:
        notice = call.headers["x-emulator-notice"]
        assert "images[0] a picture of 64x64" in notice
        assert "images[1]" not in notice


@pytest.mark.parametrize("field", ["image", "image[]", "mask"])
def test_level_of_the_prompt_compares_uploads_of_an_invalid_call(field: str, play: Play) -> None:
    def body(colour: Pixel) -> tuple[bytes, str]:
        files = {
            "image": ("image", "a.png", png((8, 8))),
            field: (field, "a.png", png((8, 8), "RGB", colour)),
        }
        return form(("model", "", b"gpt-image-9"), ("prompt", "", b"x"), *files.values())

    data, content_type = body(RED)
    request = RecordedRequest("POST", EDITS, (("Content-Type", content_type),), data)
    player = play(Recording(request, answer("recorded")), replay_match="prompt", on_miss="refuse")
    answers = [exchange(player.url, "POST", EDITS, *body(colour)) for colour in (RED, BLUE)]
    assert [answer_of(each).status for each in answers] == [200, 404]


def test_pixels_of_a_call_are_counted_once_however_often_it_is_compared(play: Play) -> None:
    body, content_type = edit(boundary="one")
    request = RecordedRequest("POST", EDITS, (("Content-Type", content_type),), body)
    player = play(Recording(request, answer("recorded")), max_call_pixels=2 * 64 * 64)
    player.answer(raw={"body": "own"}, match={"prompt": "hat"})
    # It matches by its values alone.
    same, content_type = edit(("quality", "", b"auto"))
    assert answer_of(exchange(player.url, "POST", EDITS, same, content_type)).body == b"own"


def openai_client(server: Server, **options: Any) -> OpenAI:
    return OpenAI(**{"base_url": server.base_url, "api_key": KEY, "max_retries": 0, **options})


def test_file_that_was_uploaded_in_the_recording_is_known_by_its_id(
    server: Server, play: Play
) -> None:
    upload = recorded(server, **CALLS["file"])
    identity = json.loads(answer_of(upload).body)["id"]
    body = {"model": "gpt-image-2", "prompt": "Hat", "images": [{"file_id": identity}]}
    edited = recorded(server, target=EDITS, body=body)
    player = play(upload, edited)
    played = answer_of(sent_by(player, upload))
    assert json.loads(played.body)["id"] == identity
    # Another parameter, so that the emulator answers.
    emulated = answer_to(player.url, "POST", EDITS, {**body, "size": "1536x1024"})
    assert emulated.status == 200
    other = answer_to(player.url, "GET", f"/v1/files/{identity}/content")
    assert other.body == png()


def test_file_of_another_key_is_no_file_of_the_call(play: Play) -> None:
    url = f"data:image/png;base64,{b64encode(png()).decode()}"
    body: dict[str, Any] = {"model": "gpt-image-2", "prompt": "Hat", "images": [{"image_url": url}]}
    keys = ["sk-one", "sk-other"]
    player = play(recording_of(body, '"edited"', EDITS), api_key=keys, on_miss="emulate")
    form = {"file": ("a.png", png(), "image/png")}
    headers = [{"Authorization": f"Bearer {key}"} for key in keys]
    with httpx2.Client(base_url=player.url) as http:
        data = {"purpose": "vision"}
        uploaded = http.post("/v1/files", files=form, data=data, headers=headers[0])
        body["images"] = [{"file_id": uploaded.json()["id"]}]
        answers = [http.post(EDITS, json=body, headers=each) for each in headers]
    assert [each.status_code for each in answers] == [200, 404]
    assert answers[0].text == '"edited"'


LEVELS: dict[str, list[str]] = {
    "exact": ["miss", "miss", "miss", "miss"],
    "request": ["fox", "miss", "miss", "miss"],
    "prompt": ["fox", "fox", "miss", "miss"],
    "operation": ["fox", "fox", "big", "miss"],
}


@pytest.mark.parametrize("level", LEVELS)
def test_level_says_how_alike_call_and_recording_must_be(level: str, play: Play) -> None:
    big = {**FOX, "prompt": "A hare", "size": "1536x1536"}
    player = play(recording_of(FOX, '"fox"'), recording_of(big, '"big"'), replay_match=level)
    bodies: list[dict[str, Any]] = [
        {**FOX, "n": 1},
        {**FOX, "size": "1536x1024"},
        {**FOX, "prompt": "A snail", "size": "1536x1536"},
        {**FOX, "stream": True},
    ]
    answers = [asked(player, body) for body in bodies]
    assert [each.strip('"') if each[0] == '"' else "miss" for each in answers] == LEVELS[level]


@pytest.mark.parametrize("level", ["prompt", "operation"])
@pytest.mark.parametrize("is_large", [False, True])
def test_recorded_error_answers_a_loose_call_only_where_nothing_else_does(
    level: str, is_large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_large:
        monkeypatch.setattr("images_emulator.state.replay.MAX_PRELOADED_RECORDINGS", 1)
    folder = RecordingFolder(tmp_path)
    wide = {**FOX, "size": "1536x1024"}
    refused = replace(recording_of({**FOX, "quality": "high"}), response=answer('"429"', 429))
    for recording in (refused, recording_of(wide, '"wide"'), replace(refused, error="")):
        folder.add(recording)
    prompt = "A red fox" if level == "prompt" else "A snail"
    with Server(replay=tmp_path, replay_match=level, on_miss="refuse", delay=False) as player:
        assert asked(player, {**FOX, "prompt": prompt}) == '"wide"'
        assert asked(player, {**FOX, "quality": "high"}) == '"429"'


def test_recording_of_one_day_answers_calls_of_that_day(play: Play) -> None:
    player = play(recording_of(FOX, "1", as_of="2026-06-01"), recording_of(FOX, "2"))
    later = recording_of(FOX, "3", as_of="2026-07-01")
    for day, text in (("2026-06-01", b"1"), ("2026-05-05", b"2")):
        played = answer_of(sent_by(player, later, x_emulator_as_of=day))
        assert played.body == text
    assert asked(play(later), FOX).startswith("no recording is of")


@pytest.mark.parametrize(
    "condition",
    [{"settings": {"validation": "lenient"}}, {"broken": True}, {"authorised": False}],
    ids=str,
)
def test_recording_of_other_conditions_is_not_played(play: Play, condition: Any) -> None:
    assert asked(play(recording_of(FOX, "1", **condition)), FOX).startswith("no recording is of")


@pytest.mark.parametrize(
    "settings",
    [{"validation": "lenient"}, {"deployment": ["my=gpt-image-2"]}, {"max_body": "1MiB"}],
    ids=str,
)
def test_recording_of_the_settings_of_the_server_is_played(
    play: Play, settings: dict[str, Any]
) -> None:
    recording = recording_of(FOX, "1", settings=settings)
    assert asked(play(recording, **settings), FOX) == "1"


def test_query_without_its_keys_is_compared(play: Play) -> None:
    player = play(recording_of(None, "1", "/v1/files?limit=2&after=a&api_key=redacted"))
    for query, text in (("after=a&limit=2", b"1"), ("limit=2&after=a&api_key=x", b"1")):
        played = answer_to(player.url, "GET", f"/v1/files?{query}")
        assert played.body == text
    missed = answer_to(player.url, "GET", "/v1/files?limit=3&after=a")
    assert "query limit '3' is not '2'" in dict(missed.headers)["x-emulator-notice"]


def test_openai_recording_does_not_answer_azure(play: Play) -> None:
    player = play(recording_of({**FOX, "model": "gpt-image-1", "size": "1024x1024"}))
    target = "/openai/v1/images/generations"
    assert asked(player, {**FOX, "model": "gpt-image-1"}, target).startswith("no recording is of")


def test_azure_deployment_has_the_model_of_the_settings(play: Play) -> None:
    path = "/openai/deployments/{}/images/generations?api-version={}"
    body = {"prompt": "A fox"}
    recording = recording_of(body, "1", path.format("mine", "2025-04-01-preview"))
    player = play(recording, deployment=["mine=gpt-image-1", "yours=gpt-image-1"])
    played = asked(player, body, path.format("yours", "2025-04-01-preview"))
    assert played == "1"
    # Without the settings the two names are two deployments.
    played = asked(play(recording), body, path.format("yours", "2025-04-01-preview"))
    assert "deployment 'yours' is not 'mine'" in played


# --- how it is answered


def test_miss_is_refused_in_words_of_the_emulator(play: Play) -> None:
    player = play(recording_of(FOX), on_miss="refuse")
    with (
        openai_client(player, max_retries=2) as client,
        pytest.raises(openai.NotFoundError) as info,
    ):
        client.images.generate(model="gpt-image-2", prompt="A red fox", size="1536x1024")
    assert info.value.code == "no_recording"
    assert "in the nearest, '0001', size '1536x1024' is not '1024x1024'" in info.value.message
    assert len(player.requests) == 1
    assert player.requests[0].error_code == "no_recording"
    assert str(player.requests[0].recording_miss) in info.value.message


def test_call_without_an_accepted_key_uses_up_no_recording(play: Play) -> None:
    player = play(recording_of(FOX, "1"), recording_of(FOX, "2"), api_key=[KEY])
    refused = answer_to(player.url, "POST", GENERATIONS, FOX, Authorization="Bearer sk-x")
    assert refused.status == 401
    assert asked(player, FOX) == "1"


def test_fault_applies_to_a_recorded_answer(play: Play) -> None:
    player = play(recording_of(FOX, '{"data": []}'))
    player.inject("malformed")
    assert asked(player, FOX) != '{"data": []}'
    player.inject("server_error")
    assert "server had an error" in asked(player, FOX)
    assert asked(player, FOX) == '{"data": []}'
    assert [call.fault for call in player.requests] == ["malformed", "server_error", None]


@pytest.mark.parametrize("on_miss", ["emulate", "refuse"])
def test_own_answer_of_a_step_goes_before_recordings(play: Play, on_miss: str) -> None:
    player = play(recording_of(FOX, "recorded"), on_miss=on_miss)
    assert asked(player, FOX) == "recorded"
    player.answer(raw={"body": "own"}, match={"prompt": "red"}, times=2)
    assert [asked(player, FOX) for _ in range(3)] == ["own", "own", "recorded"]
    player.answer(raw={"body": "own"}, match={"prompt": "ship"})
    assert asked(player, FOX | {"prompt": "a ship"}) == "own"


def test_own_answer_of_a_step_goes_before_recordings_of_a_call_that_is_forgiven(play: Play) -> None:
    loose = {**FOX, "size": "7x7"}
    player = play(recording_of(loose, "recorded"), validation="lenient")
    player.answer(raw={"body": "own"}, match={"prompt": "red"}, times=1)
    assert [asked(player, loose) for _ in range(2)] == ["own", "recorded"]
    assert [call.prompt for call in player.requests] == [FOX["prompt"]] * 2


@pytest.mark.parametrize("on_miss", ["emulate", "refuse"])
def test_recording_answers_a_call_whose_step_lets_it_meet_no_answer(
    play: Play, on_miss: str
) -> None:
    # What recordings answer does not count.
    player = play(recording_of(FOX, "recorded"), on_miss=on_miss, rate_limit="3/hour")
    step = {"answer": {"raw": {"body": "own"}}, "match": {"model": FOX["model"]}, "after": 5}
    player.begin_scenario({"steps": [step]})
    ship = FOX | {"prompt": "a ship"}
    assert [asked(player, FOX) for _ in range(4)] == ["recorded"] * 4
    missed = answer_to(player.url, "POST", GENERATIONS, ship)
    assert missed.status == (404 if on_miss == "refuse" else 200)
    assert [asked(player, each) for each in (FOX, ship)] == ["own", "own"]
    assert [call.recording for call in player.requests] == [*["0001"] * 4, None, None, None]
    assert player.requests[4].recording_miss


def test_call_that_the_rules_of_its_day_refuse_meets_no_own_answer(play: Play) -> None:
    player = play(recording_of(FOX, "recorded"))
    player.answer(raw={"body": "own"}, times=1)
    past = {"x-emulator-as-of": "2025-01-01"}
    assert answer_to(player.url, "POST", GENERATIONS, FOX, **past).body == b"recorded"
    assert [asked(player, FOX) for _ in range(2)] == ["own", "recorded"]


def test_recorded_call_shows_why_it_met_no_own_answer(play: Play) -> None:
    player = play(recording_of(FOX, "recorded"))
    player.answer(raw={"body": "own"}, match={"prompt": "ship"})
    assert asked(player, FOX) == "recorded"
    (call,) = player.requests
    assert ([each.kind for each in call.near_misses], call.recording) == (["prompt"], "0001")


def test_open_values_are_drawn_without_an_answer_that_the_call_did_not_meet(play: Play) -> None:
    text = '{"created": "<any>", "data": [{"b64_json": "<any>"}]}'
    player = play(recording_of(FOX, text, expectation=Expectation(open_body=True)))
    player.begin_scenario({"steps": [{"answer": {"raw": {"body": "own"}}, "after": 1}]})
    assert "b64_json" in asked(player, FOX)
    assert asked(player, FOX) == "own"
    assert [call.recording for call in player.requests] == ["0001", None]


def test_directive_is_no_part_of_the_prompt(play: Play) -> None:
    player = play(recording_of(FOX, '"fox"'))
    body = {**FOX, "prompt": "A red fox [[emulator: latency;seconds=0]]"}
    assert asked(player, body) == '"fox"'
    assert asked(player, FOX) == '"fox"'


def test_web_page_of_another_origin_reads_a_recorded_answer(play: Play) -> None:
    player = play(recording_of(FOX, "1"))
    played = answer_to(player.url, "POST", GENERATIONS, FOX, Origin="http://x.example")
    assert [name for name, _ in played.headers].count("access-control-allow-origin") == 1


def test_recorded_date_is_the_only_one(play: Play) -> None:
    past = "Thu, 01 Jan 2026 00:00:00 GMT"
    player = play(replace(recording_of(FOX), response=answer("{}", date=past)))
    request = json.dumps(FOX).encode()
    with httpx2.Client(base_url=player.url, headers={"Authorization": "Bearer k"}) as client:
        headers = {"content-type": "application/json"}
        played = client.post(GENERATIONS, content=request, headers=headers)
        assert played.headers.get_list("date") == [past]
        # The next answer on the same connection is the server's own.
        (today,) = client.get("/v1/models").headers.get_list("date")
        assert today != past


BODIES_WITHOUT_PICTURES = {
    "no picture": '{"created": 1, "data": [], "usage": {"total_tokens": 1}}',
    "no usage": '{"created": 1, "data": [{}], "usage": null}',
    "null": '{"created": 1, "data": null}',
    "a list": "[]",
    "no JSON": "{",
    "nested": f'{{"created": 1, "data": [{{}}], "x": {"[" * 900}{"]" * 900}}}',
    "nested deeper": f'{{"created": 1, "data": [{{}}], "x": {"[" * 9999}{"]" * 9999}}}',
}


@pytest.mark.parametrize("fault", ["fewer_images", "empty_data", "malformed;what=picture"])
@pytest.mark.parametrize("body", BODIES_WITHOUT_PICTURES.values(), ids=BODIES_WITHOUT_PICTURES)
def test_fault_of_the_body_applies_to_whatever_was_recorded(
    play: Play, body: str, fault: str
) -> None:
    player = play(recording_of(FOX, body))
    headers = {"Authorization": f"Bearer {KEY}", "x-emulator-fault": fault}
    played = httpx2.post(player.url + GENERATIONS, json=FOX, headers=headers)
    assert played.status_code == 200
    assert [call.fault for call in player.requests] == [fault.partition(";")[0]]


def test_fault_of_the_body_leaves_one_that_is_compressed(play: Play) -> None:
    headers = (("content-type", "application/json"), ("content-encoding", "gzip"))
    response = RecordedResponse(200, headers, (at_once(GZIPPED),))
    player = play(replace(recording_of(FOX), response=response))
    player.inject("malformed")
    played = answer_to(player.url, "POST", GENERATIONS, FOX, Accept_Encoding="gzip")
    assert (played.status, played.body) == (200, GZIPPED)


def event_of(number: int, **fields: Any) -> bytes:
    return event(
        "image_generation.partial_image", {"partial_image_index": number, **fields}
    ).encode()


LAST_EVENT = event("image_generation.completed", {"b64_json": "AAAA", "usage": None}).encode()

STREAM_PARTS: dict[str, tuple[bytes, ...]] = {
    "an end that is no JSON": (event_of(0), LAST_EVENT, b"data: [DONE]\n\n"),
    "data that is a list": (event_of(0), b"event: x\ndata: []\n\n"),
    "two events in one part": (event_of(0) + LAST_EVENT,),
    "half events": (event_of(0)[:30], event_of(0)[30:] + LAST_EVENT[:9], LAST_EVENT[9:]),
    "a comment": (b": alive\n\n", event_of(0), LAST_EVENT),
    "no events": (),
    "an index that is no number": (event_of(0, partial_image_index="a"), LAST_EVENT),
    "a picture that is no text": (event_of(0, b64_json=[1]), LAST_EVENT),
    "an event without an end": (event_of(0), LAST_EVENT[:-2]),
}


def played_stream(
    play: Play, fault: str, *parts: bytes, **headers: str
) -> tuple[Server, httpx2.Response]:
    pairs = (("content-type", "text/event-stream"), *headers.items())
    response = RecordedResponse(200, pairs, tuple(map(at_once, parts)))
    body = FOX | {"stream": True}
    player = play(replace(recording_of(body), response=response))
    sent = {"Authorization": f"Bearer {KEY}", "x-emulator-fault": fault}
    return player, httpx2.post(player.url + GENERATIONS, json=body, headers=sent)


@pytest.mark.parametrize("fault", ["malformed;what=picture", "malformed", "fewer_partials"])
@pytest.mark.parametrize("parts", STREAM_PARTS.values(), ids=STREAM_PARTS)
def test_fault_of_the_body_applies_to_whatever_stream_was_recorded(
    play: Play, parts: tuple[bytes, ...], fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    player, played = played_stream(play, fault, *parts)
    assert played.status_code == 200
    (call,) = player.requests
    assert (call.outcome, call.fault) == ("answered", fault.partition(";")[0])
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    whole = b"".join(parts)
    if fault == "fewer_partials":
        assert b'"partial_image_index":0' not in played.content
    elif fault == "malformed;what=picture":
        assert (b"AAAA" in played.content) == (LAST_EVENT not in whole and b"AAAA" in whole)
    elif parts:
        assert played.content != whole


PICTURE_EVENTS: dict[str, Any] = {
    "image_generation.partial_image": {"partial_image_index": 0},
    "image_generation.completed": {
        "usage": {
            "input_tokens": 3,
            "input_tokens_details": {"image_tokens": 0, "text_tokens": 3},
            "output_tokens": 5,
            "total_tokens": 8,
        },
    },
}
EVENTS: list[bytes] = [
    event(name, {"b64_json": b64encode(png()).decode(), **fields}).encode()
    for name, fields in PICTURE_EVENTS.items()
]
WHOLE: bytes = b"".join(EVENTS)
COMPRESSED: bytes = gzip.compress(WHOLE, mtime=0)

CUT_STREAMS: dict[str, tuple[dict[str, str], list[bytes]]] = {
    "as events": ({}, EVENTS),
    "as one part": ({}, [WHOLE]),
    "in small parts": ({}, [WHOLE[start : start + 9] for start in range(0, len(WHOLE), 9)]),
    "compressed": ({"content-encoding": "gzip"}, [COMPRESSED[:40], COMPRESSED[40:]]),
}


@pytest.mark.parametrize(("headers", "parts"), CUT_STREAMS.values(), ids=CUT_STREAMS)
def test_journal_has_the_events_of_a_stream_however_it_was_recorded(
    play: Play, headers: dict[str, str], parts: list[bytes]
) -> None:
    player, played = played_stream(play, "latency;seconds=0", *parts, **headers)
    assert played.content == WHOLE
    (call,) = player.requests
    assert [each.type for each in call.stream_events] == [*PICTURE_EVENTS]
    assert (len(call.pictures), call.partial_count) == (1, 1)
    assert call.usage
    assert call.usage.total_tokens == 8


@pytest.mark.parametrize("fault", ["stream_error", "stream_cut", "unknown_event"])
@pytest.mark.parametrize(("headers", "parts"), CUT_STREAMS.values(), ids=CUT_STREAMS)
def test_fault_of_a_stream_comes_after_an_event_however_it_was_recorded(
    play: Play, fault: str, headers: dict[str, str], parts: list[bytes]
) -> None:
    # Over a plain connection: httpx raises an error where a stream is cut.
    response = RecordedResponse(
        200, (("content-type", "text/event-stream"), *headers.items()), tuple(map(at_once, parts))
    )
    body = FOX | {"stream": True}
    player = play(replace(recording_of(body), response=response))
    played = answer_to(player.url, "POST", GENERATIONS, body, X_Emulator_Fault=f"{fault};after=1")
    assert played.body.startswith(EVENTS[0])
    rest = played.body.removeprefix(EVENTS[0])
    if fault == "stream_cut":
        assert (rest, played.end) == (b"", "cut")
    elif fault == "stream_error":
        assert rest.startswith(b"event: error\n")
    else:
        assert rest.endswith(EVENTS[1])
        assert rest != EVENTS[1]


def test_each_event_of_a_recording_is_as_late_as_its_last_byte(play: Play) -> None:
    ends = [0.01, 0.02, 0.03]
    parts = (WHOLE[:9], WHOLE[9 : len(EVENTS[0])], WHOLE[len(EVENTS[0]) :])
    cut = tuple(RecordedPart(*each) for each in zip(ends, parts, strict=True))
    response = RecordedResponse(200, (("content-type", "text/event-stream"),), cut)
    played = playable_answer(replace(recording_of(FOX), response=response), "", "")
    assert [*played.parts] == [(0.02, EVENTS[0]), (0.03, EVENTS[1])]


@pytest.mark.parametrize("fault", ["malformed", "empty_data", "fewer_images"])
def test_fault_of_the_body_leaves_a_recorded_answer_that_breaks_off(play: Play, fault: str) -> None:
    cut = replace(answer('{"created": 1, "da'), end="cut")
    player = play(replace(recording_of(FOX), response=cut))
    played = answer_to(player.url, "POST", GENERATIONS, FOX, X_Emulator_Fault=fault)
    assert (played.status, played.body, played.end) == (200, b'{"created": 1, "da', "cut")


def test_journal_has_of_a_slow_recording_what_has_left(play: Play) -> None:
    text = json.dumps({"data": [], "note": "x" * 4000})
    player = play(recording_of(FOX, text))
    player.inject("slow_body", bytes_per_second=2000)
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx2.stream("POST", player.url + GENERATIONS, json=FOX, headers=headers) as response:
        next(response.iter_raw())
    call = player.wait_for_call(outcome="gone")
    assert call.answer_body
    assert text.startswith(call.answer_body)
    assert len(call.answer_body) < len(text)


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_fault_of_the_body_applies_to_a_stream_with_either_end_of_lines(
    play: Play, end: bytes, size: int
) -> None:
    whole = (event_of(0) + event_of(1) + LAST_EVENT).replace(b"\n", end)
    parts = [whole[start : start + size] for start in range(0, len(whole), size)]
    _, played = played_stream(play, "fewer_partials;keep=1", *parts)
    dropped = event_of(1).replace(b"\n", end)
    assert dropped in whole
    assert played.content == whole.replace(dropped, b"")


@pytest.mark.parametrize("fault", ["malformed", "fewer_partials", "stream_error", "stream_cut"])
def test_fault_leaves_a_stream_that_is_compressed_in_an_unknown_way(play: Play, fault: str) -> None:
    headers = {"content-encoding": "unknown"}
    player, played = played_stream(play, fault, event_of(0), LAST_EVENT, **headers)
    assert played.content == event_of(0) + LAST_EVENT
    assert player.requests[0].outcome == "answered"


GZIPPED = gzip.compress(b'{"data": []}', mtime=0)
RAW_DEFLATED = zlib.compress(b'{"data": []}', wbits=-zlib.MAX_WBITS)


@pytest.mark.parametrize(
    ("coding", "compressed"),
    [("deflate", zlib.compress(b'{"data": []}')), ("deflate", RAW_DEFLATED), ("x-gzip", GZIPPED)],
    ids=["deflate", "deflate without its head", "x-gzip"],
)
def test_compressed_answer_is_sent_plain_to_clients_that_do_not_read_it(
    play: Play, coding: str, compressed: bytes
) -> None:
    headers = (("content-type", "application/json"), ("content-encoding", coding))
    response = RecordedResponse(200, headers, (at_once(compressed),))
    player = play(replace(recording_of(FOX), response=response))
    played = answer_to(player.url, "POST", GENERATIONS, FOX, Accept_Encoding="identity")
    assert played.body == b'{"data": []}'


@pytest.mark.parametrize(
    ("accept", "body"),
    [
        ("gzip", GZIPPED),
        ("br;q=1, gzip ; q=0.5", GZIPPED),
        ("br, *;q=0.1", GZIPPED),
        ("identity", b'{"data": []}'),
        ("*, gzip;q=0", b'{"data": []}'),
    ],
)
def test_gzip_is_sent_to_clients_that_read_it(play: Play, accept: str, body: bytes) -> None:
    headers = (
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
        ("content-length", str(len(GZIPPED))),
    )
    response = RecordedResponse(200, headers, (at_once(GZIPPED),))
    player = play(replace(recording_of(FOX), response=response))
    played = answer_to(player.url, "POST", GENERATIONS, FOX, Accept_Encoding=accept)
    assert played.body == body
    assert dict(played.headers).get("content-encoding") == ("gzip" if body is GZIPPED else None)
    assert dict(played.headers)["content-length"] == str(len(body))
    (call,) = player.requests
    assert call.answer_body == '{"data": []}'


def test_journal_has_the_pictures_of_the_recording(server: Server, play: Play) -> None:
    recording = recorded(server, **CALLS["three"])
    answered = json.loads(answer_of(recording).body)
    files = [png((64, 48), "RGB", colour) for colour in (RED, GREEN, BLUE)]
    usage = {**answered["usage"], "output_tokens": 7, "total_tokens": 9}
    usage["output_tokens_details"] = {"image_tokens": 7, "text_tokens": 0}
    changes = {"usage": usage, "quality": "medium", "size": "64x48"}
    data = [{"b64_json": b64encode(file).decode()} for file in files]
    body = json.dumps({**answered, **changes, "data": data}).encode()
    response = replace(answer_of(recording), parts=(at_once(body),))
    player = play(replace(recording, response=response))
    sent_by(player, recording)
    (call,) = player.requests
    assert (call.model, call.prompt, call.parameters["n"]) == ("gpt-image-2", "A red fox", 3)
    assert (call.parameters["quality"], call.parameters["size"]) == ("medium", "64x48")
    assert [(each.width, each.height) for each in call.pictures] == [(64, 48)] * 3
    assert call.usage
    assert call.usage.output_tokens == 7
    with httpx2.Client(base_url=player.url) as client:
        (listed,) = client.get("/_emulator/requests?has=recording").json()["requests"]
        assert listed["recording"] == "0001"
        for index, file in enumerate(files):
            assert client.get(f"/_emulator/images/{call.id}/{index}").content == file
            assert len(file) == listed["pictures"][index]["bytes"]
        thumbnail = opened(client.get(listed["pictures"][2]["thumbnail"]).content)
        red, green, blue = cast("Pixel", thumbnail.convert("RGB").getpixel((10, 10)))
        assert max(red, green) < 70 < blue


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_journal_has_the_events_of_a_recorded_stream(
    server: Server, play: Play, line_end: bytes
) -> None:
    recording = recorded(server, **CALLS["stream"])
    response = answer_of(recording)
    parts = [at_once(part.data.replace(b"\n", line_end)) for part in response.parts]
    player = play(replace(recording, response=replace(response, parts=tuple(parts))))
    sent_by(player, recording)
    (call,) = player.requests
    (original,) = server.requests
    assert call.event_count == original.event_count == 3
    assert [event.type for event in call.stream_events] == [
        event.type for event in original.stream_events
    ]
    assert call.partial_count == 2
    assert call.usage == original.usage
    assert call.answer_body == (original.answer_body or "").replace("\n", line_end.decode())
    assert call.pictures == original.pictures
    assert call.outcome == "answered"


@pytest.mark.parametrize(
    ("name", "outcome"),
    [("rate limit", "refused"), ("stream error", "failed"), ("stream cut", "cut")],
)
def test_journal_has_the_error_of_a_recording(
    server: Server, play: Play, name: str, outcome: str
) -> None:
    recording = recorded(server, **CALLS[name])
    player = play(recording)
    sent_by(player, recording)
    (call,) = player.requests
    until(lambda: call.duration_ms is not None)
    assert (call.outcome, call.error) == (outcome, server.requests[-1].error)


# --- time


def timed(*seconds: float) -> Recording:
    """A recording of a stream whose events came at these times."""
    parts = tuple(
        RecordedPart(each, f"event: e\ndata: {number}\n\n".encode())
        for number, each in enumerate(seconds)
    )
    headers = (("content-type", "text/event-stream"), ("date", "Thu, 26 Nov 2026 07:54:22 GMT"))
    response = RecordedResponse(200, headers, parts)
    return replace(recording_of({**FOX, "stream": True}), response=response)


@pytest.mark.parametrize("speed", [1, 2.5, 0.5])
def test_events_come_at_their_recorded_times(
    play: Play, monkeypatch: pytest.MonkeyPatch, speed: float
) -> None:
    moments: list[float] = []

    async def wait_until(_: Clock, moment: float) -> None:
        moments.append(moment)

    monkeypatch.setattr(Clock, "wait_until", wait_until)
    recording = timed(10, 11.5, 11.5, 40)
    begin = perf_counter()
    sent_by(play(recording, delay=True, speed=speed), recording)
    end = perf_counter()
    first, second, last = moments
    assert begin <= first - 10 / speed <= end
    assert second - first == pytest.approx(1.5 / speed, abs=1e-9)
    assert last - second == pytest.approx(28.5 / speed, abs=1e-9)


def test_no_event_comes_before_its_time(play: Play) -> None:
    recording = timed(0.05, 0.08, 0.15)
    played = answer_of(sent_by(play(recording, delay=True), recording))
    pairs = zip(played.parts, answer_of(recording).parts, strict=True)
    assert all(part.seconds >= original.seconds for part, original in pairs)


def test_answer_without_delay_waits_for_nothing(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Clock, "wait_until", None)
    recording = timed(10, 20)
    assert not list(differences(sent_by(play(recording, delay=False), recording), recording))


def test_clock_that_is_advanced_ends_the_waits_of_a_recording(play: Play) -> None:
    recording = timed(0, 1000, 2000)
    player = play(recording, delay=True)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(sent_by, player, recording)
        call = player.wait_for_call()
        until(lambda: call.event_count == 1)
        player.clock.advance(seconds=1000)
        until(lambda: call.event_count == 2)
        assert not answer.done()
        player.clock.advance(seconds=1000)
        assert not list(differences(answer.result(), recording))


def test_client_that_leaves_ends_a_recorded_answer(play: Play) -> None:
    player = play(timed(0, 1000), delay=True)
    with (
        openai_client(player) as client,
        client.images.with_streaming_response.generate(
            model="gpt-image-2", prompt="A red fox", size="1024x1024", stream=True
        ) as response,
    ):
        next(response.iter_lines())
    (call,) = player.requests
    until(lambda: call.duration_ms is not None)
    assert (call.outcome, call.event_count) == ("gone", 1)


def test_client_that_leaves_ends_a_recorded_answer_that_a_fault_slows_down(play: Play) -> None:
    player = play(recording_of(FOX, "x" * 3600))
    player.inject("slow_body", bytes_per_second=1)
    with (
        openai_client(player) as client,
        client.images.with_streaming_response.generate(
            model="gpt-image-2", prompt="A red fox", size="1024x1024"
        ),
    ):
        pass
    (call,) = player.requests
    until(lambda: call.duration_ms is not None)
    assert (call.outcome, call.recording) == ("gone", "0001")


# --- answers that are described


def described(body: Any, status: int = 200, **expected: Any) -> Recording:
    """A recording of a call for a fox, whose answer is described."""
    text = body if isinstance(body, str) else json.dumps(body)
    return replace(
        recording_of(FOX),
        response=answer(text, status),
        expectation=Expectation(open_body=not isinstance(body, str), **expected),
    )


def test_open_values_are_those_of_the_emulator(play: Play) -> None:
    body = {"created": "<any>", "data": [{"b64_json": "<any>"}], "size": "7x<any>"}
    player = play(described({**body, "size": "1024x<any>", "note": "as it was"}))
    answered = json.loads(asked(player, FOX))
    assert opened(answered["data"][0]["b64_json"]).size == (1024, 1024)
    assert list(answered) == ["created", "data", "size", "note"]
    assert (answered["size"], answered["note"]) == ("1024x1024", "as it was")
    (call,) = player.requests
    assert (call.recording, len(call.pictures)) == ("0001", 1)
    assert call.answer_headers["x-request-id"]


def test_described_answers_do_not_count_for_the_rate_limit(play: Play) -> None:
    player = play(described({"data": [{"b64_json": "<any>"}]}), rate_limit="1/hour")
    answers = [answer_to(player.url, "POST", GENERATIONS, FOX).status for _ in range(3)]
    ship = FOX | {"prompt": "a ship"}
    answers += [answer_to(player.url, "POST", GENERATIONS, ship).status for _ in range(2)]
    assert answers == [200, 200, 200, 200, 429]


def test_described_headers_stand_in_place_of_the_standard_ones(play: Play) -> None:
    recording = described({"data": [{"b64_json": "<any>"}]})
    assert recording.response
    expected = {
        "content-type": ["application/json"],
        "access-control-allow-origin": ["*"],
        "openai-version": ["as it was"],
        "set-cookie": ["a=1", "b=2"],
    }
    headers = tuple((name, value) for name, values in expected.items() for value in values)
    player = play(replace(recording, response=replace(recording.response, headers=headers)))
    played = answer_to(player.url, "POST", GENERATIONS, FOX, Origin="https://example.com")
    sent = [(name.lower(), value) for name, value in played.headers]
    assert {name: [each for key, each in sent if key == name] for name in expected} == expected
    assert "x-request-id" in dict(sent)


@pytest.mark.parametrize(
    ("recording", "sentence"),
    [
        (
            described({"data": [{"url": "<any>"}]}),
            "body.data[0].url is left open, and the emulator's own answer has none",
        ),
        (
            described({"size": "7x<any>"}),
            "body.size is '7x<any>', and '1024x1024' in the emulator's own answer",
        ),
        (
            described({"error": {"message": "<any>"}}, 429),
            "values are left open, and the emulator answers 200",
        ),
    ],
    ids=["absent", "different", "status"],
)
def test_open_value_that_the_emulator_does_not_have_is_a_miss(
    play: Play, recording: Recording, sentence: str
) -> None:
    player = play(recording)
    missed = answer_to(player.url, "POST", GENERATIONS, FOX)
    notice = dict(missed.headers)["x-emulator-notice"]
    assert notice == f"'0001' cannot be played: {sentence}"
    assert missed.status == 200
    assert json.loads(missed.body)["data"]
    refused = asked(play(recording, on_miss="refuse"), FOX)
    assert sentence in json.loads(refused)["error"]["message"]


def test_described_answer_without_open_values_needs_no_other(play: Play) -> None:
    body = {"error": {"message": "Too many", "code": "rate_limit_exceeded"}}
    player = play(described(body, 429, newline=True))
    played = answer_to(player.url, "POST", GENERATIONS, FOX)
    assert played.status == 429
    assert played.body == json.dumps(body, indent=2).encode() + b"\n"
    assert asked(play(described("text to the byte")), FOX) == "text to the byte"


# --- folders


def test_recordings_of_a_folder_are_played(server: Server, tmp_path: Path) -> None:
    folder = RecordingFolder(tmp_path)
    recordings = [recorded(server, **CALLS[name]) for name in ("three", "mask", "stream cut")]
    names = [folder.add(recording).stem for recording in recordings]
    with Server(replay=tmp_path, delay=False) as player:
        for recording in recordings:
            assert not list(differences(sent_by(player, recording), recording))
        assert [call.recording for call in player.requests] == names


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (None, "replay: .*: No such file or directory"),
        ({}, "replay: .*: there is no recording in it$"),
        ({"0001-fox.json": "{\n}"}, r"0001-fox.json:1: .*"),
    ],
    ids=["missing", "empty", "mistake"],
)
def test_folder_without_good_recordings_is_an_error(
    tmp_path: Path, files: dict[str, str] | None, sentence: str
) -> None:
    folder = tmp_path / "recordings"
    if files is not None:
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
    with pytest.raises(ValueError, match=sentence):
        Emulator(Settings(replay=str(folder)))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"speed": 0}, "speed must be a number above 0, not 0"),
        ({"speed": "fast"}, "speed: expected a number, not 'fast'"),
        ({"on_miss": "ignore"}, "on_miss: expected 'emulate', 'refuse' or 'record', not 'ignore'"),
        ({"replay_match": "x"}, "replay_match: expected 'exact', .* or 'operation', not 'x'"),
    ],
)
def test_setting_of_replay_that_is_none_is_an_error(settings: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Settings(**settings)


def in_large_folder(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Recording:
    """A recording in *folder*, which is read as late as one with hundreds."""
    monkeypatch.setattr("images_emulator.state.replay.MAX_PRELOADED_RECORDINGS", 0)
    recording = recorded(server, **CALLS["generation"])
    RecordingFolder(folder).add(recording)
    return recording


def test_large_folder_is_read_beside_the_start(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = in_large_folder(server, tmp_path, monkeypatch)
    emulator = Emulator(Settings(replay=str(tmp_path), delay=False))
    assert emulator.replay
    assert not emulator.replay.is_prepared
    with Server(emulator=emulator) as player:
        assert not list(differences(sent_by(player, recording), recording))


def test_recordings_that_could_not_be_read_for_a_moment_are_read_at_a_later_call(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = in_large_folder(server, tmp_path, monkeypatch)
    emulator = Emulator(Settings(replay=str(tmp_path), delay=False, on_miss="refuse"))
    assert emulator.replay
    read, errors = emulator.replay._read, [OSError(24, "Too many open files")]

    def failing() -> Any:
        if errors:
            raise errors.pop()
        return read()

    emulator.replay._read = failing
    with pytest.raises(OSError, match="Too many open files"):
        emulator.replay.prepare()
    # The calls of the next second do not read again.
    emulator.replay.prepare()
    assert "Too many open files" in emulator.replay.failure
    emulator.replay._shared.retry_at = 0
    with Server(emulator=emulator) as player:
        assert not list(differences(sent_by(player, recording), recording))
    assert not emulator.replay.failure


def test_large_folder_with_a_mistake_says_so_at_each_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images_emulator.state.replay.MAX_PRELOADED_RECORDINGS", 0)
    (tmp_path / "0001-fox.json").write_text("{")
    with Server(replay=tmp_path, on_miss="refuse", api_key=[KEY]) as player:
        refused = json.loads(asked(player, FOX))
        assert f"the recordings cannot be read: {tmp_path}/0001-fox.json:1" in str(refused)
        stranger = answer_to(player.url, "POST", GENERATIONS, FOX, Authorization="Bearer sk-x")
        assert stranger.status == 401


def test_large_folder_with_a_mistake_hosts_no_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images_emulator.state.replay.MAX_PRELOADED_RECORDINGS", 0)
    picture = RecordedDownload("http://x.example/private/a.png", 200, (), png())
    RecordingFolder(tmp_path).add(replace(recording_of(FOX), downloads=(picture,)))
    (tmp_path / "0002-bad.json").write_text("{")
    with Server(replay=tmp_path) as player:
        answer_to(player.url, "POST", GENERATIONS, FOX)
        assert httpx2.get(f"{player.url}/private/a.png").status_code == 409


def test_caches_weigh_all_of_their_keys(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    caches: list[LRUCache] = []

    class NotedCache(LRUCache):
        def __init__(self, budget: int) -> None:
            super().__init__(budget)
            caches.append(self)

    for module in ("recording_player", "recording_search"):
        monkeypatch.setattr(f"images_emulator.web.{module}.LRUCache", NotedCache)
    response = RecordedResponse(200, (("content-type", "application/json"),), (at_once(b"{}"),))
    player = play(replace(recording_of(FOX), response=response))
    encoding = {"Accept-Encoding": "y" * 20_000}
    answer_to(player.url, "POST", GENERATIONS, FOX, **encoding)
    answer_to(player.url, "POST", f"{GENERATIONS}?x={'q' * 20_000}", FOX)
    assert sum(cache.weight for cache in caches) > 2 * 20_000


def test_values_as_deep_as_json_may_be_are_compared() -> None:
    deep: list[Any] = []
    other: list[Any] = []
    for _ in range(5000):
        deep, other = [deep], [other]
    assert is_same_json(deep, other)
    assert not is_same_json(deep, [other])


def test_file_of_a_recording_that_is_gone_is_a_miss(server: Server, tmp_path: Path) -> None:
    recording = recorded(server, **CALLS["three"])
    RecordingFolder(tmp_path).add(recording)
    with Server(replay=tmp_path, delay=False) as player:
        for file in (tmp_path / "files").iterdir():
            file.unlink()
        body = {**FOX, "n": 3}
        assert "cannot be played: 0001-generations-a-red-fox: response.body" in asked(player, body)


@pytest.mark.parametrize("reads", ["a call", "a picture"])
def test_files_of_recordings_are_not_read_on_the_event_loop(
    reads: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images_emulator.state.replay.MAX_PRELOADED_RECORDINGS", 0)
    body = {"model": "dall-e-3", "prompt": "A fox", "response_format": "url"}
    recording = recorded(server, target=GENERATIONS, body=body)
    RecordingFolder(tmp_path).add(recording)
    threads = []

    def read(path: Path) -> Recording:
        threads.append(current_thread().name)
        return read_recording(path)

    monkeypatch.setattr("images_emulator.recordings.recording_source.read_recording", read)
    with Server(replay=tmp_path, delay=False, on_miss="refuse") as player:
        if reads == "a picture":
            (download,) = sent_by(player, recording).downloads
            assert download.status == 200
        else:
            assert answer_to(player.url, "POST", GENERATIONS, {**body, "n": 2}).status == 404
    assert threads
    assert all(name.startswith("background") for name in threads)


# --- misses that are recorded


def test_miss_is_forwarded_recorded_and_played_from_then_on(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    settings = Settings(
        replay=str(folder),
        on_miss="record",
        upstream=server.base_url,
        upstream_api_key="sk-mine",
        delay=False,
    )
    with Server(settings) as player:
        first = exchange(player.url, "POST", GENERATIONS, FOX)
        until(lambda: any(folder.glob("*.json")))
        until(lambda: len(player.emulator.replay.recordings) == 1)  # type: ignore[union-attr]
        again = exchange(player.url, "POST", GENERATIONS, dict(reversed(FOX.items())))
        # The names of the account are redacted in its headers.
        assert answer_of(again).parts[0].data == answer_of(first).body
        assert [call.recording for call in player.requests] == [None, "0001-generations-a-red-fox"]
        (forwarded,) = server.requests
        assert forwarded.came_with("sk-mine")
        miss, hit = player.requests
        assert miss.recording_miss == (
            f"no recording is of POST {GENERATIONS}; it is forwarded to 127.0.0.1:{server.port}"
        )
        assert hit.usage == forwarded.usage
        # The stop waits for the recording of a call that is answered already.
        exchange(player.url, "GET", "/v1/models")
    text = "".join(path.read_text() for path in folder.glob("*.json"))
    assert "sk-mine" not in text
    assert len([*folder.glob("*.json")]) == 2
    with Server(replay=folder, delay=False, on_miss="refuse") as player:
        assert answer_to(player.url, "POST", GENERATIONS, FOX).body == answer_of(first).body


def test_call_that_is_sent_again_at_once_is_forwarded_once(server: Server, tmp_path: Path) -> None:
    prompts = [f"A fox {number}" for number in range(10)]
    with recording_misses(tmp_path, server.base_url) as player, httpx2.Client() as http:
        for prompt in prompts:
            for _ in range(3):
                answered = http.post(
                    player.url + GENERATIONS, json={**FOX, "prompt": prompt}, headers=KEYED
                )
                assert answered.status_code == 200
    assert len(server.requests) == len(prompts)


@pytest.mark.parametrize("body", [FOX, STREAM])
def test_journal_shows_an_answer_whose_media_type_is_in_capitals(
    server: Server, play: Play, body: dict[str, Any]
) -> None:
    recording = recorded(server, target=GENERATIONS, body=body)
    response = answer_of(recording)
    headers = [
        (name, value.title() if name == "content-type" else value)
        for name, value in response.headers
    ]
    player = play(replace(recording, response=replace(response, headers=tuple(headers))))
    sent_by(player, recording)
    (call,) = player.requests
    assert (len(call.pictures), call.usage) == (1, server.requests[0].usage)


@pytest.mark.parametrize(
    "fields", [{}, {"n": 2}, {"stream": True}, {"stream": True, "partial_images": 2}]
)
def test_forwarded_call_is_in_the_journal_as_the_played_one(
    server: Server, tmp_path: Path, fields: dict[str, Any]
) -> None:
    body = json.dumps({**FOX, **fields}).encode()
    with recording_misses(tmp_path, server.base_url) as player:
        for _ in range(2):
            exchange(player.url, "POST", GENERATIONS, body, "application/json")
            until(lambda: len(player.emulator.replay.recordings) == 1)  # type: ignore[union-attr]
        miss, hit = player.requests
        assert (miss.recording, hit.recording) == (None, "0001-generations-a-red-fox")
        assert miss.pictures == hit.pictures
        assert len(miss.pictures) == fields.get("n", 1)
        for name in ("outcome", "usage", "price_usd", "event_count", "answer_body", "request"):
            assert getattr(miss, name) == getattr(hit, name), name


def recording_misses(folder: Path, upstream: str, **settings: Any) -> Server:
    """A server that forwards calls without a recording to *upstream*, and adds its answers to
    *folder*."""
    settings = {"upstream_api_key": "sk-mine", "delay": False, **settings}
    return Server(replay=folder, on_miss="record", upstream=upstream, **settings)


class SlowUpstream:
    """An API whose answers have a picture by URL. It sends no picture, and no second half of an
    event stream, before `release`."""

    def __init__(self) -> None:
        self.prompts: list[str] = []
        """The prompts of the calls, in their order."""
        self.release = Event()
        self.url = ""

    def answer(self, connection: socket.socket, request: bytes) -> None:
        kind, status, body = "application/json", 200, b'{"data": [{"url": "%s/a.png"}]}'
        if request.startswith(b"GET"):
            self.release.wait(30)
        else:
            prompt = json.loads(request.partition(b"\r\n\r\n")[2])["prompt"]
            self.prompts.append(prompt)
            status = 429 if prompt == "busy" else 200
            kind = "text/event-stream" if prompt == "stream" else kind
        body = body.replace(b"%s", self.url.encode())
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body[:9])
        if kind == "text/event-stream":
            self.release.wait(30)
        connection.sendall(body[9:])


@pytest.fixture
def slow() -> Iterator[SlowUpstream]:
    upstream = SlowUpstream()
    with raw_upstream(upstream.answer) as upstream.url:
        yield upstream
        upstream.release.set()


@pytest.fixture
def in_thread() -> Iterator[Callable[..., Future[int]]]:
    """Sends a call with a prompt to a URL beside the test, for its status."""

    def send(url: str, prompt: str) -> int:
        body = {**FOX, "prompt": prompt}
        return httpx2.post(url + GENERATIONS, json=body, headers=KEYED, timeout=30).status_code

    with ThreadPoolExecutor(8) as pool:
        yield lambda url, prompt: pool.submit(send, url, prompt)


@pytest.mark.parametrize("namespace", ["", "/ns/other"])
def test_only_the_same_call_waits_for_a_recording_that_is_still_to_be_kept(
    namespace: str, slow: SlowUpstream, tmp_path: Path, in_thread: Callable[..., Future[int]]
) -> None:
    with recording_misses(tmp_path, slow.url) as player:
        assert in_thread(player.url, "x").result(30) == 200
        again = in_thread(player.url + namespace, "x")
        # Another prompt, and answers that are not kept.
        for prompt, status in (("y", 200), ("busy", 429), ("busy", 429)):
            assert in_thread(player.url, prompt).result(30) == status
        assert not again.done()
        slow.release.set()
        assert again.result(30) == 200
    assert slow.prompts == ["x", "y", "busy", "busy"]


def test_call_of_a_client_that_has_left_is_not_paid_again(
    slow: SlowUpstream, tmp_path: Path, in_thread: Callable[..., Future[int]]
) -> None:
    with recording_misses(tmp_path, slow.url) as player:
        url, body = player.url + GENERATIONS, {**FOX, "prompt": "stream"}
        with httpx2.stream("POST", url, json=body, headers=KEYED) as response:
            # An iterator that is dropped closes the connection.
            chunks = response.iter_raw()
            next(chunks)
            # Beside a call whose client is there, the same call is one of its own.
            beside = in_thread(player.url, "stream")
            until(lambda: len(slow.prompts) == 2)
        again = in_thread(player.url, "stream")
        assert in_thread(player.url, "busy").result(30) == 429
        slow.release.set()
        assert (beside.result(30), again.result(30)) == (200, 200)
    assert slow.prompts == ["stream", "stream", "busy"]


@pytest.mark.slow
def test_call_whose_client_leaves_while_it_waits_for_a_recording_is_not_forwarded(
    slow: SlowUpstream,
    tmp_path: Path,
    in_thread: Callable[..., Future[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RecordingFolder, "add", fail)
    with recording_misses(tmp_path, slow.url) as player:
        assert in_thread(player.url, "x").result(30) == 200
        with pytest.raises(httpx2.ReadTimeout):
            httpx2.post(
                player.url + GENERATIONS, json={**FOX, "prompt": "x"}, headers=KEYED, timeout=0.5
            )
        # The first client may have left, too, before the end of an answer whose length it knows.
        until(lambda: [call.outcome for call in player.requests][1:] == ["gone"])
        assert slow.prompts == ["x"]
        # What cannot be kept is forwarded again.
        again = in_thread(player.url, "x")
        slow.release.set()
        assert again.result(30) == 200
    assert slow.prompts == ["x", "x"]


def test_what_one_server_has_recorded_is_played_by_another_with_the_same_folder(
    server: Server, tmp_path: Path
) -> None:
    body = {**FOX, "prompt": "A fox of another day"}
    other_day = replace(recording_of(body), as_of="2025-05-01")
    with (
        recording_misses(tmp_path, server.base_url) as one,
        recording_misses(tmp_path, server.base_url) as other,
    ):
        first = answer_to(one.url, "POST", GENERATIONS, FOX)
        until(lambda: any(tmp_path.glob("*.json")))
        RecordingFolder(tmp_path).add(replace(other_day, settings={"as_of": "2025-05-01"}))
        for _ in range(2):
            again = answer_to(other.url, "POST", GENERATIONS, FOX)
            assert again.parts[0].data == first.body
        # Its conditions are not those of the server.
        answer_to(other.url, "POST", GENERATIONS, body)
        names = [call.recording for call in other.requests]
    assert names == ["0001-generations-a-red-fox"] * 2 + [None]
    assert len(server.requests) == 2


def test_no_call_is_forwarded_while_a_new_file_cannot_be_read(
    server: Server, tmp_path: Path
) -> None:
    with recording_misses(tmp_path, server.base_url) as player:
        file = tmp_path / "0001-fox.json"
        file.write_text("{")
        refused = answer_to(player.url, "POST", GENERATIONS, FOX)
        assert (refused.status, server.requests) == (404, [])
        assert f"the recordings cannot be read: {file}:1: is no JSON".encode() in refused.body
        file.unlink()
        assert answer_to(player.url, "POST", GENERATIONS, FOX).status == 200
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "fault",
    ["rate_limit_exceeded", "server_error", "invalid_api_key", "connection_reset", "truncated"],
)
def test_answer_that_another_try_may_mend_is_not_recorded_for_a_miss(
    fault: str, server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.inject(fault)
    settings: dict[str, Any] = {"replay": tmp_path, "on_miss": "record", "delay": False}
    caplog.set_level("INFO", "images_emulator.recordings")
    with (
        Server(**settings, upstream=server.base_url) as player,
        openai_client(player, max_retries=0) as client,
    ):
        with pytest.raises(openai.APIError):
            client.images.generate(model="gpt-image-2", prompt="A red fox")
        client.images.generate(model="gpt-image-2", prompt="A red fox")
    (file,) = tmp_path.glob("*.json")
    assert read_recording(file).response.status == 200  # type: ignore[union-attr]
    dropped, kept = (record.message for record in caplog.records)
    assert dropped.endswith("is not recorded")
    assert kept == f"POST {GENERATIONS} → {file}"


@pytest.mark.parametrize(("keys", "status"), [((), 403), ((KEY,), 200)])
def test_page_of_another_site_does_not_get_the_key_of_the_upstream(
    server: Server, tmp_path: Path, keys: tuple[str, ...], status: int
) -> None:
    settings = Settings(
        replay=str(tmp_path),
        on_miss="record",
        upstream=server.base_url,
        upstream_api_key="sk-mine",
        api_key=keys,
    )
    with Server(settings) as player:
        answered = answer_to(player.url, "POST", GENERATIONS, FOX, Origin="http://evil.example")
        (call,) = player.requests
    assert answered.status == status
    assert len(server.requests) == (status == 200)
    assert ("it is forwarded to" in (call.recording_miss or "")) is (status == 200)


def test_call_with_a_directive_is_not_forwarded(server: Server, tmp_path: Path) -> None:
    body = {**FOX, "prompt": "A red fox [[emulator: latency;seconds=0]]"}
    with Server(replay=tmp_path, on_miss="record", upstream=server.base_url) as player:
        refused = answer_to(player.url, "POST", GENERATIONS, body)
    assert refused.status == 404
    assert b"a call with a directive is not forwarded" in refused.body
    assert not server.requests


def test_no_call_is_forwarded_while_the_recordings_cannot_be_read(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images_emulator.state.replay.MAX_PRELOADED_RECORDINGS", 0)
    (tmp_path / "0001-fox.json").write_text("{")
    with Server(replay=tmp_path, on_miss="record", upstream=server.base_url) as player:
        refused = answer_to(player.url, "POST", GENERATIONS, FOX)
    assert refused.status == 404
    assert b"the recordings cannot be read: " in refused.body
    assert not server.requests


def test_pictures_of_a_recording_are_known_before_it_answers(play: Play) -> None:
    player = play()
    replay = player.emulator.replay
    assert replay
    noted: list[bool] = []
    note = replay._shared.note_hosted

    def note_and_look(position: int, recording: Recording) -> None:
        note(position, recording)
        noted.append(replay.has_pictures(position) and position not in replay.index.names)

    replay.index._on_playable = note_and_look
    replay.add(replace(recording_of(FOX), downloads=(RecordedDownload("http://x/a.png"),)))
    assert noted == [True]


async def test_connection_of_a_miss_in_process_ends_as_the_upstream_ends_its_own(
    server: Server, tmp_path: Path
) -> None:
    server.inject("connection_reset")
    settings = Settings(replay=str(tmp_path), on_miss="record", upstream=server.base_url)
    emulator = Emulator(settings)
    transport = httpx2.ASGITransport(create_app(emulator))
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://x") as http:
        with pytest.raises(ConnectionResetError):
            await http.post(GENERATIONS, json=FOX, headers=headers)
    (call,) = emulator.journal.find()
    assert call.outcome == "cut"
    await emulator.stop()
    emulator.close()


def test_upstream_that_is_away_is_told_to_the_client(tmp_path: Path) -> None:
    upstream = "http://127.0.0.1:9/v1"
    with Server(replay=tmp_path, on_miss="record", upstream=upstream) as player:
        refused = answer_to(player.url, "POST", GENERATIONS, FOX)
        assert refused.status == 502
        assert json.loads(refused.body)["error"]["code"] == "upstream_failed"
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "on_miss: 'record' needs the settings 'replay' and 'upstream'"),
        ({"replay": "x", "upstream": "x"}, "upstream: expected the URL of an API, .*, not 'x'"),
    ],
)
def test_recording_of_misses_needs_an_upstream(
    settings: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    if "replay" in settings:
        settings["replay"] = tmp_path
    with pytest.raises(ValueError, match=sentence):
        Server(on_miss="record", **settings)


def test_refusal_of_misses_without_recordings_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^on_miss: 'refuse' needs the setting 'replay'$"):
        Settings(on_miss="refuse")


# --- the exchanges of this repository

EXCHANGES = (
    "accepted-2025-05",
    "accepted-edit-image-array",
    "azure-gpt-image-1",
    "azure-n-zero",
    "edits-form-no-mimetype",
    "edits-form-svg-by-name",
    "form-no-boundary",
    "form-wrong-boundary",
    "generations-content-type-form",
    "generations-content-type-none",
    "generations-content-type-text",
    "generations-n-eleven",
)
"""Exchanges that are like others but for what decides their answers."""


@pytest.fixture(scope="module")
def exchanges(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that plays `EXCHANGES`."""
    folder = tmp_path_factory.mktemp("exchanges")
    for name in EXCHANGES:
        shutil.copy(FOLDER / f"{name}.json", folder)
    with Server(replay=folder, on_miss="refuse") as server:
        yield server


@pytest.mark.parametrize("name", EXCHANGES)
def test_described_exchange_answers_its_own_call(name: str, exchanges: Server) -> None:
    exchanges.reset()
    recording = read_recording(FOLDER / f"{name}.json")
    headers = {"api_key": KEY} if name.startswith("azure") else {}
    if recording.as_of:
        headers["x_emulator_as_of"] = recording.as_of
    answered = answer_of(sent_by(exchanges, recording, **headers))
    (call,) = exchanges.requests
    assert call.recording == name
    assert not [*answer_differences(recording, answered)]


# --- stores


def replays_of(store: Store, *folders: Sequence[str]) -> list[Replay]:
    """Replays as processes that share *store* have them. Each has read recordings of the names
    that one of *folders* has."""

    def replay(names: Sequence[str]) -> Replay:
        recordings = MemoryRecordings(replace(recording_of(FOX), name=name) for name in names)
        made = Replay(lambda: recordings, Settings(), store, {}, lambda identity: None)
        made.prepare()
        return made

    return [*map(replay, folders)]


async def test_recordings_are_counted_in_the_store(store: Store) -> None:
    """Processes that share a store play each recording once."""
    one, other = replays_of(store, *[["1", "2", "3"]] * 2)
    places = (0, 1, 2)
    assert await one.claim_next(places) == 0
    assert await other.claim_next(places) == 1
    assert await one.claim_next(places) == 2
    assert await other.claim_next(places) == 2
    await other.reset()
    assert await one.claim_next(places) == 0


async def test_recordings_are_counted_by_their_files_whenever_a_process_read_the_folder(
    store: Store,
) -> None:
    """The names have characters that a key in Redis cannot have."""
    one, other = replays_of(store, ["2 fox\udcff", "3 é\n"], ["1 ship", "2 fox\udcff", "3 é\n"])
    assert await other.claim_next((0,)) == 0
    assert await one.claim_next((0, 1)) == 0
    assert await other.claim_next((1, 2)) == 2
    assert await one.claim_next((0, 1)) == 1


# --- recordings that are odd

ODD: dict[str, tuple[dict[str, Any], tuple[int, bytes, str]]] = {
    "length that is none": (
        {"headers": {"content-length": "abc"}, "body": {"text": "{}"}},
        (200, b"{}", "complete"),
    ),
    "length of no body": ({"headers": {"content-length": "10"}}, (200, b"", "complete")),
    "no content with a body": ({"status": 204, "body": {"text": "x"}}, (204, b"", "complete")),
    "not modified": (
        {"status": 304, "headers": {"content-length": "10"}},
        (304, b"", "complete"),
    ),
    "cut before the body": (
        {"headers": {"content-length": "10"}, "end": "cut"},
        (200, b"", "cut"),
    ),
    "gzip that is none": (
        {"headers": {"content-encoding": "gzip"}, "body": {"text": "x"}},
        (200, b"x", "complete"),
    ),
    "status among the headers": (
        {"headers": {":status": "200"}, "body": {"text": "x"}},
        (200, b"x", "complete"),
    ),
}


def models_recorded(folder: Path, response: dict[str, Any]) -> None:
    """A recording of a call for the models, with that answer."""
    request = {"method": "GET", "target": "/v1/models"}
    document = {"version": 1, "request": request, "response": {"status": 200, **response}}
    (folder / "0001-models.json").write_text(json.dumps(document))


@pytest.mark.parametrize("name", ODD)
def test_odd_recording_is_played_as_far_as_http_goes(name: str, tmp_path: Path) -> None:
    response, expected = ODD[name]
    models_recorded(tmp_path, response)
    with Server(replay=tmp_path, delay=False) as player:
        answered = answer_to(player.url, "GET", "/v1/models")
        assert (answered.status, answered.body, answered.end) == expected


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ({"headers": {"x-a": "a\nb"}}, "header 'x-a' cannot have the value"),
        ({"headers": {"x a": "b"}}, "'x a' is no name of a header"),
        ({"headers": {"": "b"}}, "'' is no name of a header"),
        ({"headers": {"x-a": "€"}}, "header 'x-a' cannot have the value"),
        ({"status": 101}, "no server answers with the status 101"),
        ({"status": 700}, "no server answers with the status 700"),
    ],
)
def test_recording_that_no_server_can_send_is_a_miss(
    response: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    models_recorded(tmp_path, response)
    with Server(replay=tmp_path, delay=False) as player:
        answered = answer_to(player.url, "GET", "/v1/models")
        notice = dict(answered.headers)["x-emulator-notice"]
        assert notice.startswith(f"'0001-models' cannot be played: {reason}")


def test_recorded_picture_with_a_status_that_no_server_sends_is_the_storage_error(
    server: Server, tmp_path: Path
) -> None:
    body = {"model": "dall-e-3", "prompt": "A fox", "response_format": "url"}
    recording = recorded(server, target=GENERATIONS, body=body)
    path = RecordingFolder(tmp_path).add(recording)
    document = json.loads(path.read_text())
    document["downloads"][0]["status"] = 101
    path.write_text(json.dumps(document))
    with Server(replay=tmp_path, delay=False) as player:
        url = json.loads(answer_of(sent_by(player, recording)).body)["data"][0]["url"]
        assert answer_to(player.url, "GET", url.removeprefix(player.url)).status == 403
        miss = str(player.downloads[-1].recording_miss)
        assert "no server answers with the status 101" in miss


def test_recorded_picture_that_is_gone_is_the_storage_error(server: Server, tmp_path: Path) -> None:
    body = {"model": "dall-e-3", "prompt": "A fox", "response_format": "url"}
    recording = recorded(server, target=GENERATIONS, body=body)
    RecordingFolder(tmp_path).add(recording)
    with Server(replay=tmp_path, delay=False) as player:
        url = json.loads(answer_of(sent_by(player, recording)).body)["data"][0]["url"]
        for file in (tmp_path / "files").iterdir():
            file.unlink()
        missed = answer_to(player.url, "GET", url.removeprefix(player.url))
        assert missed.status == 403
        assert "cannot be sent" in str(player.downloads[-1].recording_miss)
