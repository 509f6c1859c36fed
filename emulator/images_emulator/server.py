"""A real server: in this thread for the command line, in one of its own for tests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from images_emulator.exchange.exchange import Exchange
from images_emulator.http_server import HTTPServer, listening_socket, raise_file_limit
from images_emulator.settings import Settings
from images_emulator.state.clock import Clock
from images_emulator.state.emulator import Emulator
from images_emulator.state.journal import CALLS, DOWNLOADS
from images_emulator.web.app import create_app


class Server:
    """An emulator on a port: a free one where the settings name none.

    *settings* may be given by their names, or changed by them: `Server(as_of="2026-06-01")`. Raises
    ValueError for settings that do not fit each other, TypeError for names that are none, OSError
    where the port cannot be had. Connections wait from then on; they are accepted, as a context
    manager, also an asynchronous one, by a thread of its own:

        with Server() as server:
            client = OpenAI(base_url=server.base_url, api_key="sk-test")
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        emulator: Emulator | None = None,
        **changes: Any,
    ) -> None:
        if emulator and (settings or changes):
            raise TypeError("an emulator has settings of its own; give it or settings, not both")
        raise_file_limit()
        self.emulator = emulator or Emulator(replace(settings or Settings(), **changes))
        self.settings = self.emulator.settings
        self._http = HTTPServer(create_app(self.emulator), self._ready)
        self._on_ready: Callable[[], None] = lambda: None
        self._listener = listening_socket(self.settings.host, self.settings.port)
        self.port = int(self._listener.getsockname()[1])
        self._thread: threading.Thread | None = None
        self._up = threading.Event()
        self._down = threading.Event()
        self._failure: BaseException | None = None
        self._closed = False

    def __repr__(self) -> str:
        state = " (closed)" if self._closed else "" if self._thread else " (not started)"
        return f"<Server {self.url}{state}>"

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
    def requests(self) -> list[Exchange]:
        """The API calls since the last `reset`, oldest first."""
        return self.emulator.journal.find(CALLS)

    @property
    def downloads(self) -> list[Exchange]:
        """The requests for hosted pictures since the last `reset`, oldest first."""
        return self.emulator.journal.find(DOWNLOADS)

    @property
    def clock(self) -> Clock:
        """The time by which URLs and rate limits expire."""
        return self.emulator.clock

    def reset(self) -> None:
        """Forget everything; see `Emulator.reset`. Raises RuntimeError for a closed server."""
        self._check_open()
        self.emulator.reset()

    def inject(
        self,
        fault: str | Mapping[str, Any],
        *,
        times: int | None = 1,
        match: Mapping[str, Any] | None = None,
    ) -> None:
        """Let the next calls meet *fault*; see `Scenario.inject`. Raises ValueError, and
        RuntimeError for a closed server."""
        self._check_open()
        self.emulator.scenario.inject(fault, times=times, match=match)

    def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Serve in this thread until a signal or `close` says stop; *on_ready* is called when
        connections are accepted. Raises RuntimeError where the server has run before."""
        self._begin(threading.current_thread())
        self._on_ready = on_ready
        self._serve()

    def close(self) -> None:
        """Stop for good: open answers get half a second, then all connections are closed, the port
        is free, and what draws has gone. What the server has seen can still be read. Any thread may
        call it, and more than once."""
        self._closed = True
        self._http.should_exit = True
        if self._thread is None:
            self._release()
        elif self._thread is not threading.current_thread():
            self._down.wait()

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError(f"{self.url} is closed for good; make a new Server")

    def _begin(self, thread: threading.Thread) -> None:
        self._check_open()
        if self._thread:
            raise RuntimeError(f"{self.url} is served already")
        self._thread = thread

    def _serve(self) -> None:
        try:
            self._http.run([self._listener])
        finally:
            self._closed = True
            try:
                self._release()
            finally:
                # Others wait for them without end.
                self._down.set()
                self._up.set()

    def _serve_apart(self) -> None:
        try:
            self._serve()
        except BaseException as error:  # also SystemExit, by which uvicorn gives up
            if self._http.started:
                raise
            self._failure = error

    def _ready(self) -> None:
        self._on_ready()
        self._up.set()

    def _release(self) -> None:
        # uvloop leaves it open.
        self._listener.close()
        self.emulator.close()

    def __enter__(self) -> Self:
        """Raises RuntimeError where the server does not come up, or has been closed."""
        thread = threading.Thread(target=self._serve_apart, name="images-emulator", daemon=True)
        self._begin(thread)
        try:
            thread.start()
        except RuntimeError:
            self._down.set()
            self.close()
            self._release()
            raise
        try:
            self._up.wait()
        except BaseException:  # such as Ctrl-C
            self.close()
            raise
        if not self._http.started:
            thread.join()
            raise RuntimeError(f"{self.url} is not served: {self._failure}") from self._failure
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        try:
            return await asyncio.to_thread(self.__enter__)
        except asyncio.CancelledError:
            # The thread goes on, and nobody else could close what it has begun.
            await asyncio.to_thread(self.close)
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.close)
