"""The Redis process that the supervisor starts for its workers where the setting `store` names no
store."""

from __future__ import annotations

import asyncio
import shutil
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import quote

PROGRAMS: Final = ("redis-server", "valkey-server")
"""Programs that will do, in the order in which they are looked for."""

POLL_SECONDS: Final = 0.01
"""Seconds between two questions to a Redis that starts."""

START_SECONDS: Final = 10.0
"""Seconds within which a Redis that starts has to reply."""


PATIENCE_SECONDS: Final = 10.0
"""Seconds that the workers wait for a reply. A Redis that runs is late only where the machine is
busy. A connection to a Redis that is gone fails at once."""


class OwnRedisError(RuntimeError):
    """There is no Redis; the message says why."""


def _program() -> str:
    """The path of the program. Raises OwnRedisError where it, or its client, is missing."""
    if find_spec("redis") is None:
        command = "pip install 'openai-images-emulator[redis]'"
        raise OwnRedisError(f"workers share a Redis, which needs its client: {command}")
    path = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if path is None:
        names = " or ".join(PROGRAMS)
        raise OwnRedisError(
            f"workers share a Redis: install {names}, or name one that runs with --store"
        )
    return path


class OwnRedis:
    """A server on a Unix socket in *folder*, which must be there, and belong to this user alone. It
    writes no data to disk, but its log to *folder*, and refuses to store anything beyond
    *max_bytes*.

    Raises OwnRedisError where the program, or its client for Python, is missing.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._socket = folder / "redis.sock"
        self._log = folder / "redis.log"
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "save": "",
            "appendonly": "no",
            "maxmemory": str(max_bytes),
            "maxmemory-policy": "noeviction",
            "dir": str(folder),
            "logfile": str(self._log),
            "loglevel": "warning",
            "daemonize": "no",
            "timeout": "0",
        }
        self._command = [_program()]
        for name, value in options.items():
            self._command += [f"--{name}", value]
        self.process: Process | None = None
        """The process, once it has been started."""

    @property
    def url(self) -> str:
        """The URL for the setting `store`."""
        return f"unix://{quote(str(self._socket))}?socket_timeout={PATIENCE_SECONDS:g}"

    async def start(self, on_start: Callable[[Process], None] = lambda process: None) -> Process:
        """Start a process, with nothing stored, and wait until it replies. Calls *on_start* with
        the process before that. Raises OwnRedisError."""
        self._socket.unlink(missing_ok=True)
        try:
            self.process = process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=DEVNULL,
                stdout=DEVNULL,
                stderr=DEVNULL,
                # Ctrl-C is for the supervisor: the workers need their store to the end.
                start_new_session=True,
            )
        except OSError as error:
            raise OwnRedisError(f"{self._command[0]} cannot be started: {error.strerror}") from None
        on_start(process)
        try:
            await asyncio.wait_for(self._wait_for_reply(process), START_SECONDS)
        except TimeoutError:
            await self.stop()
            raise self._error("does not answer") from None
        return process

    async def stop(self) -> None:
        """End the process at once; it has nothing to save."""
        if self.process:
            with suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()

    async def _wait_for_reply(self, process: Process) -> None:
        while not await self._replies():
            if process.returncode is not None:
                raise self._error(f"has ended with exit status {process.returncode}")
            await asyncio.sleep(POLL_SECONDS)

    async def _replies(self) -> bool:
        """Whether the Redis replies to a ping."""
        try:
            reader, writer = await asyncio.open_unix_connection(self._socket)
        except OSError:
            return False
        try:
            writer.write(b"PING\r\n")
            return await reader.readline() == b"+PONG\r\n"
        except OSError:
            return False
        finally:
            writer.transport.abort()

    def _error(self, reason: str) -> OwnRedisError:
        with suppress(OSError):
            if lines := self._log.read_text(errors="replace").strip().splitlines():
                reason = f"{reason}: {lines[-1].strip()}"
        return OwnRedisError(f"{self._command[0]} {reason}")
