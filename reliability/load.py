"""Clients of all kinds: for minutes, in streams, with uploads."""

from __future__ import annotations

import asyncio
import base64
import resource
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from hashlib import blake2b
from typing import Any, Final

from reliability.mixed_calls import KEY, Result, mix
from reliability.promise import Effort, Figure, Outcome
from reliability.raw_calls import (
    FILES,
    FORM,
    GENERATIONS,
    BrokenAnswerError,
    ask,
    form,
    post_json,
    request,
)
from reliability.server_process import Holdings, ServerProcess, growth

CLIENTS: Final = 32

STREAMS: Final = 5000
"""Streams that are open at once."""

STREAM_PROMPTS: Final = 20
"""Pictures that they show."""

UPLOADS: Final = 10_000

WARM_UP_SECONDS: Final = 6.0
"""Seconds of mixed calls at most, after which modules are loaded, and render processes have
started."""

MAX_MORE_MB: Final = 60.0
"""Megabytes that a server may hold more after a load and a reset than before it."""

MAX_STREAM_KB: Final = 40.0
"""Kilobytes that a server may hold for an open stream."""

STREAMS_MORE_MB: Final = 100.0
"""The same after all streams, 20 KB for each: the allocator keeps small blocks between others that
are in use, and uses them again."""


async def warm(server: ServerProcess, effort: Effort) -> Holdings:
    """Let *server* load what calls of all kinds need. Returns what it holds after that."""
    result = Result()
    await mix(server.url, min(WARM_UP_SECONDS, effort.seconds), CLIENTS, result)
    server.mistakes += result.mistakes
    return await server.after_reset()


async def each_of(
    items: Iterable[Any], clients: int, call: Callable[[Any], Awaitable[None]]
) -> list[str]:
    """Make the *call* with each of *items*, by so many *clients* at once. Returns what they
    raised, as sentences."""
    left, mistakes = iter(items), []

    async def client() -> None:
        for item in left:
            try:
                await call(item)
            except (OSError, TimeoutError, ValueError, LookupError, BrokenAnswerError) as error:
                mistakes.append(f"{item}: {type(error).__name__}: {error}")

    await asyncio.gather(*(client() for _ in range(clients)))
    return mistakes


async def mixed_load(effort: Effort, loop: str) -> Outcome:
    """Clients with calls of all kinds."""
    result = Result()
    with ServerProcess("--api-key", KEY, "--log-level", "error", loop=loop) as server:
        before = await warm(server, effort)
        await mix(server.url, effort.seconds, CLIENTS, result)
        after = await server.after_reset(before)
    lost = result.failures.total()
    return Outcome(
        [
            Figure(result.checked, "calls answered right", least=1),
            Figure(lost, "calls without an answer", most=0),
            *growth(before, after, memory=MAX_MORE_MB),
        ],
        [*result.mistakes, *server.mistakes],
    )


def raise_file_limit() -> None:
    """Allow this process the connections of all clients."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def many_streams(effort: Effort, loop: str) -> Outcome:
    """Streams that are all open before the first of them ends."""
    raise_file_limit()
    count = effort.count(STREAMS)
    expected: dict[int, bytes] = {}
    types: Counter[tuple[str, ...]] = Counter()

    def digest(event: Any) -> bytes:
        return blake2b(base64.b64decode(event["b64_json"])).digest()

    def call_of(number: int, **headers: str) -> bytes:
        fields = {
            "model": "gpt-image-2",
            "prompt": f"a stream {number % STREAM_PROMPTS}",
            "quality": "low",
            "stream": True,
            "partial_images": 1,
        }
        return post_json(GENERATIONS, fields, **headers)

    with ServerProcess("--api-key", KEY, "--log-level", "error", loop=loop) as server:
        before = await warm(server, effort)
        for number in range(STREAM_PROMPTS):
            answer = await ask(server.port, call_of(number))
            expected[number] = digest(answer.events()[-1])

        async def stream(number: int) -> None:
            fault = f"latency;realistic=true;scale={0.1 + count / 6000:.2f}"
            answer = await ask(server.port, call_of(number, x_emulator_fault=fault))
            events = answer.events()
            types[tuple(event["type"] for event in events)] += 1
            if digest(events[-1]) != expected[number % STREAM_PROMPTS]:
                raise ValueError("another picture")

        async def peak() -> Holdings:
            most = before
            while True:
                try:
                    await asyncio.sleep(0.2)
                except asyncio.CancelledError:
                    return most
                most = max(most, server.holdings(), key=lambda held: held.tasks)

        idle = server.resident()
        watch = asyncio.ensure_future(peak())
        mistakes = await each_of(range(count), count, stream)
        watch.cancel()
        at_peak = await watch
        at_once = at_peak.tasks
        after = await server.after_reset(before)
    mistakes += [f"{number} streams of {kind}" for kind, number in types.items() if len(kind) != 2]
    return Outcome(
        [
            Figure(types.total(), "streams", least=count),
            Figure(min(at_once, count), "of them open at once", least=0.9 * count),
            Figure(
                1000 * (at_peak.memory - idle) / max(1, at_once),
                "KB held for each",
                most=MAX_STREAM_KB,
            ),
            *growth(before, after, memory=STREAMS_MORE_MB),
        ],
        [*mistakes, *server.mistakes],
    )


async def many_uploads(effort: Effort, loop: str) -> Outcome:
    """Small files, each of which is uploaded, read back and deleted."""
    count = effort.count(UPLOADS)
    with ServerProcess("--api-key", KEY, "--log-level", "error", loop=loop) as server:
        before = await warm(server, effort)

        async def upload(number: int) -> None:
            content = f"file {number}".encode() * 20
            body = form({"purpose": "vision"}, {"file": content})
            answer = await ask(server.port, request("POST", FILES, body, content_type=FORM))
            path = f"{FILES}/{answer.json()['id']}"
            if (await ask(server.port, request("GET", f"{path}/content"))).body != content:
                raise ValueError("another content")
            if not (await ask(server.port, request("DELETE", path))).json()["deleted"]:
                raise ValueError("not deleted")

        mistakes = await each_of(range(count), CLIENTS, upload)
        after = await server.after_reset(before)
    return Outcome(
        [
            Figure(count - len(mistakes), "files uploaded, read and deleted", least=count),
            *growth(before, after, memory=MAX_MORE_MB),
        ],
        [*mistakes, *server.mistakes],
    )
