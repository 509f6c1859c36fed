"""The servers that are compared: processes on free ports, and their memory."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from http.client import HTTPResponse
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import Final, Self

from benchmarks.calls import Wire, fresh, get, post
from benchmarks.load import Load, Tally, drive

HEALTH: Final = get("/_emulator/health")
ROOT: Final = get("/")
GENERATIONS: Final = "/v1/images/generations"

SOURCE_VARIABLE: Final = "BENCHMARKS_SOURCE"
"""Environment variable: the checkout whose emulator is measured, in place of this one."""

TICKS: Final = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
"""Units of CPU time in `/proc` in a second."""

TIMEOUT_SECONDS: Final = 60
"""For the start of a server, and for the answer to one call."""

_bytecode = TemporaryDirectory(prefix="benchmarks-bytecode-")
"""Keeps the bytecode of all servers: that of an installed package is kept beside it, and compiling
would take a third of a start."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Process:
    """A server process: *command*, on *port*. Leaving the context ends it.

    *started* is the time of its start, by `perf_counter`.
    """

    def __init__(
        self,
        name: str,
        port: int,
        *command: str,
        source: str | None = None,
        cores: Collection[int] = (),
    ) -> None:
        self.name, self.port = name, port
        environment = {"PYTHONPYCACHEPREFIX": _bytecode.name, **os.environ}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self.started = perf_counter()
        self._process = subprocess.Popen(
            on_cores(cores, *command),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=source,
        )
        # Always read, since a full pipe stops the server; shown if it fails.
        self.stderr = b""
        threading.Thread(target=self._read_stderr, daemon=True).start()

    @classmethod
    def emulator(cls, *flags: str, cores: Collection[int] = ()) -> Process:
        port = free_port()
        source, package = os.environ.get(SOURCE_VARIABLE), "images_emulator"
        if source and (Path(source) / "emulator" / package).is_dir():
            source = str(Path(source) / "emulator")
        elif source:
            package = "emulator"  # as it was called before
        # With -m, Python looks into the working directory first.
        command = sys.executable, "-m", package, "serve", "--port", str(port), *flags
        return cls("emulator", port, *command, source=source, cores=cores)

    @classmethod
    def aimock(cls, program: Path, fixture: Path) -> Process:
        """aimock, which answers what stands in a *fixture*; *program* is its `dist/cli.js`."""
        port = free_port()
        command = "node", str(program), "--port", str(port), "--fixtures", str(fixture)
        return cls("aimock", port, *command, "--log-level", "silent")

    @classmethod
    def plain(cls) -> Process:
        return cls._of_benchmarks("plain")

    @classmethod
    def hello(cls) -> Process:
        return cls._of_benchmarks("hello")

    @classmethod
    def bare(cls, http: str, loop: str, folder: Path) -> Process:
        return cls._of_benchmarks("bare", http, loop, str(folder))

    @classmethod
    def _of_benchmarks(cls, name: str, *arguments: str) -> Process:
        port = free_port()
        command = sys.executable, "-m", f"benchmarks.{name}", str(port), *arguments
        return cls(name, port, *command)

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def _read_stderr(self) -> None:
        assert self._process.stderr
        for line in self._process.stderr:
            self.stderr = (self.stderr + line)[-4096:]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self._process.kill()
        self._process.wait()

    def connect(self) -> socket.socket:
        """Connect as soon as the server accepts. Raises RuntimeError if it never does."""
        while self._process.poll() is None:
            with contextlib.suppress(ConnectionRefusedError):
                return socket.create_connection(("127.0.0.1", self.port), TIMEOUT_SECONDS)
            if perf_counter() > self.started + TIMEOUT_SECONDS:
                break
            sleep(0.0005)
        raise RuntimeError(f"{self.name} did not start:\n{self.stderr.decode()}")

    def ask(self, wire: Wire, number: int = 0) -> bytes:
        """Make one call and return the body of the answer. Raises RuntimeError unless it is 200."""
        with self.connect() as connection:
            connection.sendall(wire.numbered(number))
            with HTTPResponse(connection) as response:
                response.begin()
                body = response.read()
        if response.status != 200:
            raise RuntimeError(f"{self.name} answered {response.status}: {body[:2000]!r}")
        return body

    def megabytes(self, kind: str = "Pss") -> float:
        """Memory of the process and its children: `Pss`, the proportional set, or `Rss`, the
        resident one. Raises OSError on other systems than Linux."""
        size = _bytes(self._process.pid, kind)
        # A child that has just ended has no memory.
        for child in children(self._process.pid):
            with contextlib.suppress(OSError):
                size += _bytes(child, kind)
        return size / 1e6


def children(process: int) -> Iterator[int]:
    """The numbers of the child processes of a process."""
    for thread in Path(f"/proc/{process}/task").iterdir():
        with contextlib.suppress(OSError):
            yield from map(int, (thread / "children").read_text().split())


def cpu_seconds(process: int) -> float:
    """CPU time of a process and its children so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    own = sum(map(int, fields[11:15])) / TICKS
    return own + sum(map(cpu_seconds, children(process)))


def _bytes(process: int, kind: str) -> int:
    rolled = Path(f"/proc/{process}/smaps_rollup").read_text()
    line = next(line for line in rolled.splitlines() if line.startswith(f"{kind}:"))
    return int(line.split()[1]) * 1024


class Peak:
    """The largest proportional set of a server within the context, in MB, sampled every 50 ms."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.megabytes = process.megabytes()

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            self.megabytes = max(self.megabytes, self._process.megabytes())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()


class Crowd:
    """The clients: one process that runs loads."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def tallies(self, loads: Sequence[Load]) -> list[Tally]:
        """Run *loads* at once and return their tallies, also those of failures."""
        return self._pool.submit(drive, loads).result()

    def run(self, *loads: Load) -> list[Tally]:
        """Run *loads* at once. Raises RuntimeError unless every call was answered as it should."""
        tallies = self.tallies(loads)
        for load, tally in zip(loads, tallies, strict=True):
            if tally.failure or tally.lost or not tally.answers:
                failure = tally.failure or f"{tally.lost} calls without an answer"
                raise RuntimeError(f"port {load.port}: {failure[:2000]}")
        return tallies

    def pictures(self, server: Process, body: dict[str, object], clients: int, calls: int) -> Tally:
        """Make *calls* calls, each for another image."""
        wire = post(GENERATIONS, body)
        load = Load(port=server.port, wire=wire, clients=clients, calls=calls, unique=fresh())
        return self.run(load)[0]


@contextlib.contextmanager
def crowd(cores: Collection[int] = ()) -> Iterator[Crowd]:
    with processes(1, cores) as pool:
        yield Crowd(pool)


def processes(count: int, cores: Collection[int] = ()) -> ProcessPoolExecutor:
    """So many processes that start anew, and stay on *cores* where some are given."""
    initializer = partial(os.sched_setaffinity, 0, cores) if cores else None
    return ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=initializer)


def on_cores(cores: Collection[int], *command: str) -> tuple[str, ...]:
    """*command*, whose process and its children stay on *cores*; on any where there are none."""
    if not cores:
        return command
    return "taskset", "--cpu-list", ",".join(map(str, cores)), *command


def split_cores() -> tuple[Sequence[int], Sequence[int]]:
    """The cores of this process: all but the last one, and that one. Where there is one core, it is
    in both."""
    *others, last = sorted(os.sched_getaffinity(0))
    return others or [last], [last]
