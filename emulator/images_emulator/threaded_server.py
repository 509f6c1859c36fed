"""The start, the address and the end of a server that runs in the calling thread or in its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from images_emulator.http_server import HTTPServer
from images_emulator.listening_socket import http_url, listening_socket, raise_file_limit


class ThreadedServer:
    """The base class of servers, whose address is *host* and *port*. Port 0 takes a free
    one. With *listener*, a socket that listens already, that is the port.

    The constructor opens the port, and connections queue. `run` serves them in the calling thread.
    As a context manager, synchronous or asynchronous, the server serves them in its own thread.

    Raises OSError where the port is taken.
    """

    def __init__(
        self,
        make_http_server: Callable[[Callable[[], None]], HTTPServer],
        host: str,
        port: int,
        *,
        listener: socket.socket | None = None,
    ) -> None:
        """Open the port. *make_http_server* is given the function that the HTTP server calls when
        it accepts connections."""
        raise_file_limit()
        self._http = make_http_server(self._report_ready)
        self._host = host
        self._on_ready: Callable[[], None] = lambda: None
        self._listener = listener or listening_socket(host, port)
        self.port = int(self._listener.getsockname()[1])
        self._thread: threading.Thread | None = None
        self._started = threading.Event()
        """Set when the server accepts connections, or has failed to start."""
        self._stopped = threading.Event()
        """Set when the port is free again."""
        self._failure: BaseException | None = None
        self._closed = False

    def __repr__(self) -> str:
        state = " (closed)" if self._closed else "" if self._thread else " (not started)"
        return f"<{type(self).__name__} {self.url}{state}>"

    @property
    def url(self) -> str:
        """The address of the server: `http://HOST:PORT`."""
        return http_url(self._host, self.port)

    @property
    def base_url(self) -> str:
        """The `base_url` for OpenAI's SDKs: `http://HOST:PORT/v1`."""
        return f"{self.url}/v1"

    @property
    def is_stopping(self) -> bool:
        """Whether the server stops or has stopped, by a signal, by `close` or because it failed."""
        return self._http.should_exit or self._closed

    def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Serve in this thread until SIGINT, SIGTERM or `close`. Calls *on_ready* once the server
        accepts connections. Raises RuntimeError for a server that has run before."""
        self._begin(threading.current_thread())
        self._on_ready = on_ready
        self._serve()

    def close(self) -> None:
        """Stop for good. The port is closed at once. Open answers have half a second to end; then
        their connections are closed. Any thread may call this, and may call it twice."""
        self._closed = True
        self._http.stop()
        if self._thread is None:
            self._release()
        elif self._thread is not threading.current_thread():
            self._stopped.wait()

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
                # `close` and `__enter__` wait without a timeout for these events.
                self._stopped.set()
                self._started.set()

    def _serve_in_thread(self) -> None:
        try:
            self._serve()
        except BaseException as error:  # also SystemExit, by which uvicorn gives up
            if self._http.started:
                raise
            self._failure = error

    def _report_ready(self) -> None:
        self._on_ready()
        self._started.set()

    def _release(self) -> None:
        """Release the server's resources; called when it has stopped."""
        # uvloop leaves the socket open.
        self._listener.close()

    def __enter__(self) -> Self:
        """Serve in a thread of the server's own. Raises RuntimeError where the server does not
        start, or has run before."""
        thread = threading.Thread(target=self._serve_in_thread, name="images-emulator", daemon=True)
        self._begin(thread)
        try:
            thread.start()
        except (RuntimeError, MemoryError):
            self._stopped.set()
            self.close()
            self._release()
            raise
        try:
            self._started.wait()
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
            # Only this function has a reference to the server, whose thread would otherwise go on
            # serving.
            await asyncio.to_thread(self.close)
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.close)
