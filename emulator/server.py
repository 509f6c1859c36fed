"""A real server: in this thread for the command line, in one of its own for tests."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

import uvicorn

from emulator.clock import Clock
from emulator.protocol import Protocol
from emulator.settings import Settings
from emulator.state.emulator import Emulator
from emulator.state.entry import Entry
from emulator.web.app import create_app

GRACE: Final = 0.5
"""Seconds that open answers get to finish when the server stops."""


class _Uvicorn(uvicorn.Server):
    """Says when it accepts connections."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def _bound(host: str, port: int) -> socket.socket:
    """A socket on *host* and *port*. Raises OSError where it cannot be had."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def raise_file_limit() -> None:
    """As many open connections as the system allows this process: with 256 of them, three in four
    of a thousand streams are reset."""
    try:
        import resource  # noqa: PLC0415 - not on Windows, where there is no such limit
    except ImportError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS has hard limits that it does not take.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Server:
    """An emulator on a port.

    Raises ValueError for settings that do not fit each other, OSError where the port cannot be had.
    As a context manager, also an asynchronous one, it serves from a thread of its own; where no
    settings say otherwise, on a free port:

        with Server() as server:
            client = OpenAI(base_url=server.base_url, api_key="sk-test")
    """

    def __init__(
        self, settings: Settings | None = None, *, emulator: Emulator | None = None
    ) -> None:
        raise_file_limit()
        self.emulator = emulator or Emulator(settings or Settings(port=0))
        self.settings = self.emulator.settings
        self._started = threading.Event()
        self._on_ready: Callable[[], None] = lambda: None
        config = uvicorn.Config(
            create_app(self.emulator),
            http=Protocol,
            backlog=4096,
            ws="none",
            lifespan="off",
            proxy_headers=False,  # see web.call.base_url
            log_config=None,
            access_log=False,
            server_header=False,
            # An int by its annotation, a number of seconds in fact.
            timeout_graceful_shutdown=GRACE,  # type: ignore[arg-type]
        )
        self._uvicorn = _Uvicorn(config, self._ready)
        self._listener = _bound(self.settings.host, self.settings.port)
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        """`http://HOST:PORT`"""
        host = self.settings.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def base_url(self) -> str:
        """What an SDK takes as its `base_url`."""
        return f"{self.url}/v1"

    @property
    def requests(self) -> list[Entry]:
        """The calls since the last `reset`, oldest first."""
        return self.emulator.journal.find()

    @property
    def clock(self) -> Clock:
        """The time by which URLs and rate limits expire."""
        return self.emulator.clock

    def reset(self) -> None:
        """Forget everything; see `Emulator.reset`."""
        self.emulator.reset()

    def inject(
        self,
        fault: str | Mapping[str, Any],
        *,
        times: int | None = 1,
        match: Mapping[str, Any] | None = None,
    ) -> None:
        """Let the next calls meet *fault*; see `Scenario.inject`. Raises ValueError."""
        self.emulator.scenario.inject(fault, times=times, match=match)

    def run(self, on_ready: Callable[[], None]) -> None:
        """Serve until a signal says stop; *on_ready* is called when connections are accepted."""
        self._on_ready = on_ready
        try:
            self._uvicorn.run([self._listener])
        finally:
            self._close()

    def _ready(self) -> None:
        self._on_ready()
        self._started.set()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(
            target=self._uvicorn.run, args=([self._listener],), name="images-emulator", daemon=True
        )
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._uvicorn.should_exit = True
        if self._thread:
            self._thread.join()
        self._close()

    def _close(self) -> None:
        # uvloop leaves it open.
        self._listener.close()
        self.emulator.close()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, trace)
