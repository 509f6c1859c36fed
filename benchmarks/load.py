"""The load generator: many connections that call, count the answers and call again, in a process
of its own.

HTTP is read by its lengths only, into one buffer that all connections share. Compared by hand with
`wrk -t1 -c32` on two shared cores: 35,000 to 45,000 answers of 50 KB a second from a raw asyncio
server on uvloop (wrk 22,000 to 38,000), 80 to 95 % of wrk's from the bare server at 0.2 and 50 KB,
and twice wrk's at 1.5 MB. So it is the server that is measured. With a buffer of 1 MB, which no
cache near the core holds, large bodies came at a third of that.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, islice, repeat
from math import inf
from time import perf_counter, process_time
from typing import Final, cast

from uvicorn.loops.auto import auto_loop_factory

from benchmarks.calls import Wire

_BUFFER: Final = bytearray(1 << 16)
_LAST_CHUNK: Final = b"\r\n0\r\n\r\n"
_MAX_OPENING: Final = 256
"""Connections that are opened at once; the servers' backlogs are 2,048."""

_TIMEOUT_SECONDS: Final = 60
"""Seconds without a byte, after which what is still awaited counts as lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The calls of *clients* connections to a port, until *seconds* are over or *calls* are made.

    With *unique*, each call has the next number from there on; without it all are the same.
    """

    port: int
    wire: Wire
    clients: int = 1
    seconds: float = inf
    calls: int | None = None
    unique: int | None = None
    pause: float = 0.0
    """Seconds between an answer and the next call."""
    status: int = 200
    ramp: float = 0.0
    """Seconds over which the clients begin, one after the other."""
    limit: float = inf
    """Seconds after which what is still awaited counts as lost."""

    def requests(self) -> Iterator[bytes]:
        numbers = repeat(0) if self.unique is None else count(self.unique)
        return (self.wire.numbered(number) for number in islice(numbers, self.calls))


@dataclass(slots=True)
class Tally:
    """The results of a load. *times* are seconds from a call to the end of its answer;
    *first_times* those of the first calls of connections, which meet an idle server."""

    answers: int = 0
    received: int = 0
    """Bytes, heads and all."""
    seconds: float = 0.0
    """From the first call to the last answer."""
    times: list[float] = field(default_factory=list)
    first_times: list[float] = field(default_factory=list)
    lost: int = 0
    failure: str = ""
    """The beginning of an answer with another status, if there was one."""
    cpu_seconds: float = 0.0
    """CPU time of the load generator, for all loads that it ran at once."""

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds

    def percentile(self, part: float) -> float:
        """The percentile *part*, from 0 to 1, of the times, in seconds."""
        ordered = sorted(self.times or self.first_times)
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


class _Connection(asyncio.BufferedProtocol):
    """One client: a call at a time."""

    def __init__(self, load: Load, tally: Tally, requests: Iterator[bytes]) -> None:
        self.load, self.tally, self.requests = load, tally, requests
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self.loop.create_future()
        self.until = inf
        self.sent: float | None = None
        self.calls = 0
        self.head = b""
        self.due: float = 0
        """Bytes of the body still to come; inf where only its last chunk says it, negative while
        the head is not whole."""
        self.tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def start(self, until: float) -> None:
        self.until = until
        self._call()

    def _call(self) -> None:
        request = next(self.requests, None) if perf_counter() < self.until else None
        if request is None:
            self.transport.close()
            return
        self.head, self.due, self.tail = b"", -1, b""
        self.calls += 1
        self.sent = perf_counter()
        self.transport.write(request)

    def get_buffer(self, sizehint: int) -> bytearray:
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        self.tally.received += nbytes
        if self.due < 0:
            self.head += _BUFFER[:nbytes]
            end = self.head.find(b"\r\n\r\n") + 4
            if end < 4:
                return
            self._read_head(end)
            nbytes = len(self.head) - end
            if self.due == inf:
                self.tail = self.head[end:][-len(_LAST_CHUNK) :]
        elif self.due == inf:
            last = bytes(_BUFFER[max(0, nbytes - len(_LAST_CHUNK)) : nbytes])
            self.tail = (self.tail + last)[-len(_LAST_CHUNK) :]
        self.due -= nbytes
        if self.due == 0 or self.tail == _LAST_CHUNK:
            self._answered()

    def _read_head(self, end: int) -> None:
        head = self.head[:end].lower()
        if int(head[9:12]) != self.load.status:
            self.tally.failure = self.head.decode("latin-1")
        start = head.find(b"content-length:")
        self.due = inf if start < 0 else int(head[start + 15 : head.index(b"\r", start)])

    def _answered(self) -> None:
        now = perf_counter()
        assert self.sent
        times = self.tally.times if self.calls > 1 else self.tally.first_times
        times.append(now - self.sent)
        self.tally.answers += 1
        self.sent = None
        if self.load.pause:
            self.loop.call_later(self.load.pause, self._call)
        else:
            self._call()

    def connection_lost(self, exc: Exception | None) -> None:
        self.tally.lost += self.sent is not None
        self.sent = None
        if not self.done.done():
            self.done.set_result(None)


async def _open_connections(load: Load, tally: Tally) -> list[_Connection]:
    barrier, requests = asyncio.Semaphore(_MAX_OPENING), load.requests()
    loop = asyncio.get_running_loop()

    async def one() -> _Connection | None:
        async with barrier:
            with contextlib.suppress(OSError):
                _, protocol = await loop.create_connection(
                    lambda: _Connection(load, tally, requests), "127.0.0.1", load.port
                )
                return protocol
        tally.lost += 1
        return None

    opened = await asyncio.gather(*(one() for _ in range(load.clients)))
    return [connection for connection in opened if connection]


async def _run_all(loads: Sequence[Load]) -> list[Tally]:
    tallies = [Tally() for _ in loads]
    all_of = [await _open_connections(*pair) for pair in zip(loads, tallies, strict=True)]

    async def run(load: Load, tally: Tally, connections: Sequence[_Connection]) -> None:
        begun = perf_counter()
        for number, connection in enumerate(connections):
            if load.ramp:
                due = begun + load.ramp * number / len(connections)
                await asyncio.sleep(max(0.0, due - perf_counter()))
            connection.start(begun + load.ramp + load.seconds)
        left = {connection.done for connection in connections}
        while left:
            before, rest = tally.received, begun + load.limit - perf_counter()
            _, left = await asyncio.wait(left, timeout=max(0.0, min(_TIMEOUT_SECONDS, rest)))
            if left and (tally.received == before or rest < _TIMEOUT_SECONDS):
                for connection in connections:
                    connection.transport.abort()
        tally.seconds = perf_counter() - begun

    await asyncio.gather(*(run(*each) for each in zip(loads, tallies, all_of, strict=True)))
    return tallies


def drive(loads: Sequence[Load]) -> list[Tally]:
    """Run all *loads* at once and return their tallies. It needs a process of its own."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    before = process_time()
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        tallies = runner.run(_run_all(loads))
    for tally in tallies:
        tally.cpu_seconds = process_time() - before
    return tallies
