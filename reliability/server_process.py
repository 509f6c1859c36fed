"""The real server, in a process of its own, and what that process holds. Linux alone tells."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic
from typing import Any, Final, NamedTuple, Self
from urllib.parse import quote

import httpx2

from reliability.promise import UVLOOP, Figure

START_SECONDS: Final = 60.0
"""Seconds for the start of a server, and for its end."""

SETTLE_SECONDS: Final = 20.0
"""Seconds in which a server gives back what the last clients had."""

MAX_MORE_DESCRIPTORS: Final = 8
"""Descriptors that a server may have more at the end: the pipes of a render process that has
joined meanwhile, and idle connections that are about to close."""

MAX_MORE_TASKS: Final = 0
"""Tasks that may be left in the end."""


class Holdings(NamedTuple):
    """What a server holds: *memory* in MB (resident set), numbers of the others. *blocks* are those
    in which Python has small objects."""

    memory: float
    descriptors: int
    tasks: int
    threads: int
    blocks: int


class ServerProcess:
    """`images-emulator serve` with these *flags* on a free port, on the event loop *loop*.

    Leaving the context ends it by SIGTERM; then `mistakes` has what was wrong with its end: a
    status other than 0, or anything on stderr. *limits* are resource limits by the names of the
    module `resource` without `RLIMIT_`, which hold before the command begins. Raises RuntimeError
    where the server does not start.
    """

    def __init__(
        self,
        *flags: str,
        loop: str = UVLOOP,
        variables: Mapping[str, str] | None = None,
        limits: Mapping[str, int] | None = None,
    ) -> None:
        self.mistakes: list[str] = []
        self._text = ""
        self._probe, other = socket.socketpair()
        self._stderr = TemporaryFile()  # noqa: SIM115 - closed with the process
        port = () if "--port" in flags else ("--port", "0")
        options = json.dumps({"loop": loop, "limits": limits or {}})
        command = ("-m", "reliability.probed_server", str(other.fileno()), options, "serve")
        with other:
            self.process = subprocess.Popen(
                [sys.executable, *command, *port, *flags],
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                text=True,
                env={**os.environ, **(variables or {})},
                pass_fds=[other.fileno()],
            )
        self._answers = self._probe.makefile("r")
        self.pid = self.process.pid
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line.startswith("Listening on http://"):
            self._end()
            raise RuntimeError(f"the server did not start: {line}{self.stderr()}")
        self.url = line.removeprefix("Listening on ").strip()
        self.port = int(self.url.rpartition(":")[2])

    def stderr(self) -> str:
        """What the server has written to stderr."""
        if not self._stderr.closed:
            self._stderr.seek(0)
            self._text = self._stderr.read().decode(errors="replace")
        return self._text

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self, *signals: int) -> None:
        """End the server, by SIGTERM where no *signals* are named, once."""
        if self._stderr.closed:
            return
        for each in signals or (signal.SIGTERM,):
            with suppress(ProcessLookupError):
                self.process.send_signal(each)
        try:
            status: int | None = self.process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            status = None
        if status != 0:
            self.mistakes.append(f"the server ended with {status}")
        if text := self.stderr():
            self.mistakes.append(f"the server wrote to stderr: {text[-2000:]}")
        self._end()

    def _end(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()
        self._answers.close()
        self._probe.close()
        self.stderr()
        self._stderr.close()

    def ask(self, *question: Any) -> Any:
        """The answer to a *question*: the name of a method of `Probe`, and its arguments. Raises
        EOFError where the server has ended."""
        self._probe.sendall(f"{json.dumps(question)}\n".encode())
        answer = self._answers.readline()
        if not answer:
            status = self.process.poll()
            raise EOFError(f"the probe was closed, status {status}: {self.stderr()[-2000:]}")
        return json.loads(answer)

    def resident(self) -> float:
        """The resident memory, in MB."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def descriptors(self) -> int:
        """The files and sockets that the process has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def address_space(self) -> int:
        """The bytes of addresses that the server has, which `RLIMIT_AS` limits."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[0])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def holdings(self) -> Holdings:
        """What the server holds now."""
        counts = self.ask("count")
        names = ("descriptors", "tasks", "threads", "blocks")
        return Holdings(self.resident(), *(counts[name] for name in names))

    async def after_reset(self, before: Holdings | None = None) -> Holdings:
        """What the server holds after a reset and without namespaces, once its connections are
        closed: as soon as it is no more than *before*, or after `SETTLE_SECONDS`."""
        async with httpx2.AsyncClient(timeout=START_SECONDS) as http:
            path = f"{self.url}/_emulator/namespaces"
            for namespace in (await http.get(path)).json()["namespaces"]:
                name = quote(namespace["name"], safe="")
                (await http.delete(f"{path}/{name}")).raise_for_status()
            (await http.post(f"{self.url}/_emulator/reset")).raise_for_status()
        end = monotonic() + (SETTLE_SECONDS if before else 1)
        while True:
            now = self.holdings()
            settled = before and all(a <= b for a, b in zip(now[1:3], before[1:3], strict=True))
            if settled or monotonic() > end:
                return now
            await asyncio.sleep(0.1)


def growth(before: Holdings, after: Holdings, *, memory: float) -> Sequence[Figure]:
    """The figures of a server that held *before* a load and *after* it, each after a reset. It may
    have *memory* MB more: its allocator and caches of code keep some."""
    return (
        Figure(after.memory - before.memory, "MB more memory", most=memory),
        Figure(
            after.descriptors - before.descriptors, "more descriptors", most=MAX_MORE_DESCRIPTORS
        ),
        Figure(after.tasks - before.tasks, "more tasks", most=MAX_MORE_TASKS),
    )
