"""Failures at each place of the emulator's code that a call passes: memory that is not there, a
disk that is full, a connection that is gone."""

from __future__ import annotations

import asyncio
import io
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from PIL import Image

from reliability.mixed_calls import KEY
from reliability.probed_server import MESSAGE
from reliability.promise import Effort, Figure, Outcome
from reliability.raw_calls import (
    EDITS,
    FILES,
    FORM,
    GENERATIONS,
    JSON,
    BrokenAnswerError,
    RawAnswer,
    ask,
    connected,
    form,
    parsed,
    post_json,
    read_all,
    request,
)
from reliability.server_process import ServerProcess, growth
from reliability.stopping import SMALL

ERRORS: Final = ("MemoryError", "OSError", "ConnectionResetError")

THREADS: Final = {"loop": ERRORS, "pool": ERRORS, "decoder_queue": ERRORS[:1]}
"""The threads in which functions fail: that of the event loop, that which renders, that which
decodes; with what they raise there, by turns. A decoder reads bytes that are in memory, and raises
OSError for a file that is broken."""

MAX_PLACES: Final = 1000
"""Places that fail in one kind of call and one thread, more than there are."""

LEAST_PLACES: Final = 4

HANG_SECONDS: Final = 20.0
"""Seconds after which a call hangs."""

MAX_MORE_MB: Final = 60.0
"""Megabytes that the server may hold more in the end."""

DIFFERENT: Final = frozenset({"created", "created_at", "id", "url", "expires_at", "number"})
"""Keys whose values differ between two right answers."""


def _calls() -> Mapping[str, bytes]:
    """Calls of each kind, whose answers are alike each time."""
    file = io.BytesIO()
    Image.new("RGBA", (300, 300), "teal").save(file, "PNG")
    by_url = {"model": "dall-e-2", "prompt": "x", "size": "256x256"}
    refused = {**by_url, "n": 99}
    edit = form({**by_url, "response_format": "b64_json"}, {"image": file.getvalue()})
    upload = form({"purpose": "vision"}, {"file": b"x"})
    stream = {"model": "gpt-image-2", "prompt": "x", "quality": "low", "stream": True}
    azure = "/openai/deployments/none/images/generations?api-version=2025-04-01-preview"
    return {
        "generation": post_json(GENERATIONS, SMALL),
        "by URL": post_json(GENERATIONS, by_url),
        "edit": request("POST", EDITS, edit, content_type=FORM),
        "stream": post_json(GENERATIONS, {**stream, "partial_images": 1}),
        "refusal": post_json(GENERATIONS, refused),
        "late refusal": post_json(GENERATIONS, refused, x_emulator_fault="latency;seconds=0.01"),
        "upload": request("POST", FILES, upload, content_type=FORM),
        "models": request("GET", "/v1/models"),
        "Azure": post_json(azure, by_url),
        "settings": request("GET", "/_emulator/settings"),
        "scenario": request("POST", "/_emulator/scenario/reset"),
        "mistake": request("POST", "/_emulator/inject", b"{}", content_type=JSON),
        "reset": request("POST", "/_emulator/reset"),
    }


def _essence(answer: RawAnswer) -> Any:
    """What is the same in each right answer to a call."""

    def alike(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: alike(each) for key, each in value.items() if key not in DIFFERENT}
        if isinstance(value, list):
            return [alike(each) for each in value]
        return value

    is_stream = answer.headers.get("content-type", "").startswith("text/event-stream")
    body = answer.events() if is_stream else answer.json() if answer.body else None
    return answer.status, alike(body)


def _mistake(data: bytes, expected: Any) -> str:
    """What is wrong with the *data* that a client got whose call failed inside, where *expected*
    would have been right. A connection that was closed without an answer, or in it, is right."""
    try:
        answer = parsed(data)
        essence = _essence(answer)
    except (BrokenAnswerError, ValueError):
        return ""
    if b"Traceback" in data or MESSAGE.encode() in data:
        return f"shows the failure: {data[:300]!r}"
    if essence == expected or (answer.status == 500 and "error" in answer.json()):
        return ""
    if answer.status == 200 and isinstance(essence[1], list):
        # A stream ends with an error, or with its connection.
        return ""
    return f"is another answer: {data[:300]!r}"


async def failure_points(effort: Effort, loop: str) -> Outcome:
    """Each function of the emulator fails once, as a call of each kind enters it. The call ends in
    an answer or with its connection, and the same call after it is right."""
    outcomes: Counter[str] = Counter()
    mistakes = []
    flags = ("--api-key", KEY, "--log-level", "error", "--cache", "0", "--render-processes", "0")
    most = effort.count(MAX_PLACES, least=LEAST_PLACES)
    with ServerProcess(*flags, loop=loop) as server:

        async def bytes_of(call: bytes) -> bytes:
            async with connected(server.port) as (reader, writer):
                writer.write(call)
                return await asyncio.wait_for(read_all(reader), HANG_SECONDS)

        async def essence_of(call: bytes) -> Any:
            return _essence(await asyncio.wait_for(ask(server.port, call), HANG_SECONDS))

        calls = _calls()
        for call in calls.values():
            await essence_of(call)
        before = await server.after_reset()
        for (name, call), thread in (
            (each, thread) for each in calls.items() for thread in THREADS
        ):
            expected = await essence_of(call)
            errors = THREADS[thread]
            server.ask("enter", thread, 0, errors[0])
            await bytes_of(call)
            places, _ = server.ask("leave")
            for at in range(1, places + 1, math.ceil(places / most) or 1):
                server.ask("enter", thread, at, errors[at % len(errors)])
                try:
                    data = await bytes_of(call)
                except ConnectionResetError:
                    data = b""
                except TimeoutError:
                    data = b""
                    mistakes.append(f"{name}, {at} in {thread} hangs")
                _, place = server.ask("leave")
                if not place:
                    continue
                outcomes["answered" if data else "closed"] += 1
                if mistake := _mistake(data, expected):
                    mistakes.append(f"{name}, {place} in {thread} {mistake}")
                try:
                    again = await essence_of(call)
                except (OSError, TimeoutError, ValueError, BrokenAnswerError) as wrong:
                    again = repr(wrong)
                outcomes["right"] += again == expected
                if again != expected:
                    mistakes.append(f"{name} after {place} in {thread}: {again!r:.300}")
        after = await server.after_reset(before)
        server.stop()
    mistakes += [each for each in server.mistakes if "wrote to stderr" not in each]
    failures = outcomes["answered"] + outcomes["closed"]
    return Outcome(
        [
            Figure(failures, "functions failed in a call", least=1),
            Figure(outcomes["closed"], "of them closed the connection without an answer"),
            Figure(outcomes["right"], "calls after them were right", least=failures),
            *growth(before, after, memory=MAX_MORE_MB),
        ],
        mistakes,
    )
