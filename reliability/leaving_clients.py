"""Clients that leave in the middle, and those that read slowly."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Final

from reliability.load import CLIENTS, MAX_MORE_MB, each_of, raise_file_limit, warm
from reliability.mixed_calls import KEY, Result, mix
from reliability.promise import Effort, Figure, Outcome
from reliability.raw_calls import (
    EDITS,
    FORM,
    GENERATIONS,
    TIMEOUT_SECONDS,
    ask,
    connected,
    form,
    parsed,
    post_json,
    read_all,
    request,
)
from reliability.server_process import ServerProcess, growth

LEAVING: Final = 1000
"""Clients that leave in the middle of a stream, and as many in the middle of an upload."""

LEAVING_AT_ONCE: Final = 100

SLOW_READERS: Final = 50

SLOW_READER_MB: Final = 12.0
"""Megabytes that the server may hold for a slow reader: a stream of four pictures, in base64, of
which none is kept twice."""

_RESET: Final = struct.pack("ii", 1, 0)
"""A linger time of 0: the kernel sends RST in place of FIN."""

_STREAM: Final = {
    "model": "gpt-image-2",
    "prompt": "A stream that nobody reads to its end",
    "quality": "low",
    "stream": True,
    "partial_images": 3,
}


def _reset(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


ENDS: Final[tuple[Callable[[asyncio.StreamWriter], None], ...]] = (
    asyncio.StreamWriter.close,
    _reset,
)
"""The ways in which a connection ends: by FIN and by RST."""


async def leaving_clients(effort: Effort, loop: str) -> Outcome:
    """Half of the clients leave by FIN, half by RST; calls that are made meanwhile are right."""
    count = effort.count(LEAVING)
    upload = form({"model": "gpt-image-2", "prompt": "x"}, {"image": b"x" * 200_000})
    edit = request("POST", EDITS, upload, content_type=FORM)
    result = Result()
    left = 0

    with ServerProcess("--api-key", KEY, "--log-level", "error", loop=loop) as server:
        before = await warm(server, effort)

        async def leave_a_stream(number: int) -> None:
            nonlocal left
            fault = "latency;realistic=true;scale=0.05"
            async with connected(server.port) as (reader, writer):
                writer.write(post_json(GENERATIONS, _STREAM, x_emulator_fault=fault))
                await asyncio.wait_for(reader.readuntil(b"partial_image"), TIMEOUT_SECONDS)
                ENDS[number % 2](writer)
            left += 1

        async def leave_an_upload(number: int) -> None:
            nonlocal left
            async with connected(server.port) as (_, writer):
                writer.write(edit[: number * len(edit) // count])
                await writer.drain()
                ENDS[number % 2](writer)
            left += 1

        mistakes, more, _ = await asyncio.gather(
            each_of(range(count), LEAVING_AT_ONCE, leave_a_stream),
            each_of(range(count), LEAVING_AT_ONCE, leave_an_upload),
            mix(server.url, effort.seconds / 10, 2, result),
        )
        after = await server.after_reset(before)
    return Outcome(
        [
            Figure(left, "clients left", least=2 * count),
            Figure(result.checked, "calls answered right meanwhile", least=1),
            *growth(before, after, memory=MAX_MORE_MB),
        ],
        [*mistakes, *more, *result.mistakes, *server.mistakes],
    )


async def slow_readers(effort: Effort, loop: str) -> Outcome:
    """Each asks for a stream of large pictures, with a small window, and reads nothing until calls
    of other clients have been answered."""
    raise_file_limit()
    count = effort.count(SLOW_READERS, least=5)
    fields = _STREAM | {"size": "3840x2160"}
    result = Result()
    whole = 0

    with ServerProcess("--api-key", KEY, "--log-level", "error", loop=loop) as server:
        await warm(server, effort)
        expected = len((await ask(server.port, post_json(GENERATIONS, fields))).events())
        before = await server.after_reset()
        await ask(server.port, post_json(GENERATIONS, fields))
        idle = server.resident()
        others = asyncio.Event()

        async def read_slowly(_: int) -> None:
            nonlocal whole
            with socket.socket() as small:
                small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                small.setblocking(False)
                await asyncio.get_running_loop().sock_connect(small, ("127.0.0.1", server.port))
                reader, writer = await asyncio.open_connection(sock=small, limit=4096)
                writer.write(post_json(GENERATIONS, fields))
                begun = await asyncio.wait_for(reader.read(100), TIMEOUT_SECONDS)
                await others.wait()
                events = parsed(begun + await read_all(reader)).events()
                writer.close()
            if len(events) != expected:
                raise ValueError(f"{len(events)} events of {expected}")
            whole += 1

        readers = asyncio.ensure_future(each_of(range(count), count, read_slowly))
        await mix(server.url, effort.seconds / 10, CLIENTS, result)
        held = server.resident() - idle
        others.set()
        mistakes = await readers
        after = await server.after_reset(before)
    return Outcome(
        [
            Figure(whole, "slow readers got all of their stream", least=count),
            Figure(held / count, "MB held for each", most=SLOW_READER_MB),
            Figure(result.checked, "calls answered right meanwhile", least=1),
            *growth(before, after, memory=MAX_MORE_MB),
        ],
        [*mistakes, *result.mistakes, *server.mistakes],
    )
