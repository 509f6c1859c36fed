"""A Redis of the tests' own, on a Unix socket."""

from __future__ import annotations

import atexit
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic
from typing import Final

import pytest

_NUMBERS: Final = count()

START_SECONDS: Final = 10
"""Seconds in which Redis must reply after its start."""


def new_store_name() -> str:
    """A name of a state that no test has used."""
    return f"test-{next(_NUMBERS)}"


def missing_part() -> str:
    """What tests of Redis need and is not there; empty where all is."""
    if find_spec("redis") is None:
        return "needs the extra [redis]"
    if not (shutil.which("redis-server") or shutil.which("valkey-server")):
        return "needs redis-server or valkey-server"
    return ""


class RedisServer:
    """A server that keeps nothing on disk. It can be paused, killed and started again."""

    def __init__(self, *options: str) -> None:
        if missing := missing_part():
            pytest.skip(missing)
        command = shutil.which("redis-server") or shutil.which("valkey-server")
        assert command
        self._folder = Path(mkdtemp(prefix="redis-"))
        self._socket = self._folder / "socket"
        self._command = (
            *(command, "--port", "0", "--unixsocket", str(self._socket), "--save", ""),
            *("--appendonly", "no", "--dir", str(self._folder), "--logfile", "log"),
            *options,
        )
        self.start()

    @property
    def url(self) -> str:
        """For the setting `store`."""
        return f"unix://{self._socket}"

    @property
    def patient_url(self) -> str:
        """`url` for another process, where no test patches the time for a reply: the second that it
        has may be too short beside other tests."""
        return f"{self.url}?socket_timeout=30"

    def start(self) -> None:
        """Start it, empty, and wait until it replies."""
        self._process = subprocess.Popen(self._command)
        end = monotonic() + START_SECONDS
        while True:
            try:
                if self.command("PING") == b"+PONG\r\n":
                    return
            except OSError:
                assert monotonic() < end, "Redis does not start"
                assert self._process.poll() is None, (self._folder / "log").read_text()

    def command(self, *words: str) -> bytes:
        """Send a command, and return the first bytes of the reply as they come."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(START_SECONDS)
            connection.connect(str(self._socket))
            connection.sendall(" ".join(words).encode() + b"\r\n")
            return connection.recv(2**20)

    def pause(self) -> None:
        """Let it reply to nothing; connections stay open."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it reply to what has arrived meanwhile."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, and forget all that it had."""
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
        self._socket.unlink(missing_ok=True)

    def close(self) -> None:
        """End it for good."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


def stoppable_redis() -> Iterator[RedisServer]:
    """A Redis that a test may stop; for a fixture `redis_server`."""
    server = RedisServer()
    yield server
    server.resume()
    server.close()


class Sentinel:
    """A sentinel on *port* that watches the master at the port *master*, under the name *service*.
    A master that has not replied for *down_ms* milliseconds is down."""

    def __init__(
        self, folder: Path, port: int, service: str, master: int, *, down_ms: int = 2000
    ) -> None:
        self._port = port
        configuration = folder / f"sentinel-{port}.conf"
        configuration.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {folder}\nlogfile {folder}/sentinel.log\n"
            f"sentinel monitor {service} 127.0.0.1 {master} 1\n"
            f"sentinel down-after-milliseconds {service} {down_ms}\n"
            f"sentinel failover-timeout {service} 1000\n"
        )
        command = shutil.which("redis-server") or shutil.which("valkey-server")
        assert command
        self._process = subprocess.Popen((command, str(configuration), "--sentinel"))
        end = monotonic() + START_SECONDS
        while True:
            with suppress(OSError):
                if self.command("PING") == b"+PONG\r\n":
                    return
            assert monotonic() < end, "the sentinel does not start"

    def command(self, *words: str) -> bytes:
        """Send a command, and return the first bytes of the reply as they come."""
        with socket.create_connection(("127.0.0.1", self._port), START_SECONDS) as connection:
            connection.sendall(" ".join(words).encode() + b"\r\n")
            return connection.recv(2**20)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


@cache
def shared_redis() -> RedisServer:
    """The server that all tests share which do not stop it. Skips the test without one."""
    server = RedisServer()
    atexit.register(server.close)
    return server
