"""Figure 22: a server with its state in Redis, compared with one that has it in memory."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import Final

from benchmarks.calls import SMALL, post
from benchmarks.load import Load
from benchmarks.measure import Bench, Effort, Measurements, Probe
from benchmarks.servers import GENERATIONS, HEALTH, Process, cpu_seconds, crowd

START_SECONDS: Final = 10.0
"""Seconds in which Redis must answer after its start."""

COUNTED_CALLS: Final = 20
"""The calls over which round trips and bytes are counted."""


class _Redis:
    """A Redis that keeps nothing on disk, on a socket in *folder*."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        if program is None:
            raise RuntimeError("figure 22 needs redis-server or valkey-server")
        self._socket = folder / "socket"
        self._process = subprocess.Popen(
            (program, "--port", "0", "--unixsocket", str(self._socket), "--save", ""),
            stdout=subprocess.DEVNULL,
        )
        end = perf_counter() + START_SECONDS
        while perf_counter() < end and self._process.poll() is None:
            with suppress(OSError):
                self.statistics()
                return
            sleep(0.01)
        raise RuntimeError(f"{program} did not start")

    @property
    def url(self) -> str:
        """For the setting `store`."""
        return f"unix://{self._socket}"

    def statistics(self) -> dict[str, str]:
        """The lines of `INFO stats`."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self._socket))
            connection.sendall(b"INFO stats\r\n")
            text = connection.recv(2**16).decode()
        pairs = (line.partition(":") for line in text.splitlines())
        return {name: value for name, colon, value in pairs if colon}

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()


def _costs(server: Process, redis: _Redis) -> Measurements:
    """Round trips and bytes of a call."""
    wire = post(GENERATIONS, SMALL)
    server.ask(wire)  # it connects, and loads the scripts
    before = redis.statistics()
    for _ in range(COUNTED_CALLS):
        server.ask(wire)
    after = redis.statistics()

    def difference(name: str, own: int = 0) -> float:
        return (int(after[name]) - int(before[name]) - own) / COUNTED_CALLS

    return {
        # Asking is a read, and so is the end of the connection that asked.
        "store round trips": difference("total_reads_processed", 2),
        "store KB": difference("total_net_input_bytes") / 1000,
    }


@contextmanager
def _open(effort: Effort) -> Iterator[Sequence[Probe]]:
    with ExitStack() as stack:
        redis = _Redis(Path(stack.enter_context(TemporaryDirectory())))
        stack.callback(redis.close)
        stored = stack.enter_context(Process.emulator("--store", redis.url))
        kept = stack.enter_context(Process.emulator())
        for server in (stored, kept):
            server.ask(HEALTH)
        callers = stack.enter_context(crowd())

        wire = post(GENERATIONS, SMALL)

        def alone(name: str, server: Process) -> Measurements:
            load = Load(port=server.port, wire=wire, seconds=effort.seconds(2))
            # Not the mean, which is that of the few calls that other programs stop.
            return {f"{name} repeated 256 µs": callers.run(load)[0].percentile(0.5) * 1e6}

        def together(name: str, server: Process) -> Measurements:
            load = Load(port=server.port, wire=wire, clients=32, seconds=effort.seconds(2))
            before = cpu_seconds(server.pid)
            (tally,) = callers.run(load)
            spent = cpu_seconds(server.pid) - before
            return {
                f"{name} repeated 256 by 32 /s": tally.rate,
                f"{name} CPU µs": spent / tally.answers * 1e6,
            }

        servers = (("store", stored), ("memory", kept))
        yield [
            *(
                Probe((f"{name} repeated 256 µs",), partial(alone, name, server))
                for name, server in servers
            ),
            *(
                Probe(
                    (f"{name} repeated 256 by 32 /s", f"{name} CPU µs"),
                    partial(together, name, server),
                )
                for name, server in servers
            ),
            Probe(("store round trips", "store KB"), lambda: _costs(stored, redis)),
        ]


STORED: Final = Bench((22,), _open, linux=True)
