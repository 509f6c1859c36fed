"""The HTTP server beneath `Server`: uvicorn on a socket of ours, with an end of ours."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import FrameType
from typing import Final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from images_emulator.protocol import Protocol
from images_emulator.threads import DaemonThreadPool

GRACE_SECONDS: Final = 0.5
"""Seconds that open answers get to finish when the server stops."""

POLL_SECONDS: Final = 0.02
"""Seconds between two checks whether the answers have ended."""

KEEP_ALIVE_SECONDS: Final = 620
"""Seconds for which an idle connection stays open: longer than proxies and load balancers keep
theirs, the longest for 600. One that is closed while a proxy sends a call on it makes a 502."""

BACKLOG: Final = 4096
"""Connections that may wait to be accepted."""

MAX_THREADS: Final = 32
"""Threads for calls that block, such as fetching a remote image; asyncio's own default at most."""


class _Cancellable:
    """Ends a cancelled call without a log entry, where uvicorn would log a traceback. Only the stop
    of the server cancels calls, after it has closed their connections."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(asyncio.CancelledError):
            await self.app(scope, receive, send)


class HTTPServer(uvicorn.Server):
    """Serves *app*; calls *ready* when connections are accepted, and stops in `GRACE_SECONDS`
    whatever is open. Then it calls *finish*, if there is one, and waits for it.

    *protocol* reads the requests. Where not *dated*, an answer has a `date` only if *app* gives
    it one.
    """

    def __init__(
        self,
        app: ASGIApp,
        ready: Callable[[], None],
        *,
        protocol: type[Protocol] = Protocol,
        dated: bool = True,
        finish: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        config = uvicorn.Config(
            _Cancellable(app),
            http=protocol,
            date_header=dated,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            ws="none",
            lifespan="off",
            proxy_headers=False,  # see web/forwarded.py
            log_config=None,
            access_log=False,
            server_header=False,
        )
        super().__init__(config)
        self._ready = ready
        self._finish = finish

    def connections(self) -> int:
        """The number of open connections."""
        return len(self.server_state.connections)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop, and forget the signal. uvicorn would raise it again after the stop: SIGTERM would
        end the process before its children, Ctrl-C would print a traceback."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, with threads of our own for `asyncio.to_thread`, and call *ready*."""
        threads = DaemonThreadPool(MAX_THREADS, thread_name_prefix="images-emulator")
        asyncio.get_running_loop().set_default_executor(threads)
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, wait up to `GRACE_SECONDS` for answers in progress, then
        close all connections, as the end of the process would."""
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        connections, tasks = self.server_state.connections, self.server_state.tasks
        for connection in [*connections]:
            connection.shutdown()
        clock = asyncio.get_running_loop().time
        end = clock() + GRACE_SECONDS
        while (connections or tasks) and clock() < end:  # noqa: ASYNC110 - uvicorn has no event
            await asyncio.sleep(POLL_SECONDS)
        for connection in [*connections]:
            connection.transport.abort()
        # After the connections: a call that is cancelled on an open connection is answered 500.
        for task in [*tasks]:
            task.cancel()
        if tasks:
            await asyncio.wait([*tasks], timeout=GRACE_SECONDS)
        if self._finish:
            await self._finish()


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that listens on *host* and *port*. Raises OSError where it cannot be had.

    It listens at once: two sockets may be bound to one port as long as neither does.
    """
    try:
        # A name in bytes is looked up as it stands; for a text Python loads its IDNA codec.
        name = host.encode() if host.isascii() else host
        family, kind, protocol, _, address = socket.getaddrinfo(
            name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as reason:
        error = OSError(reason.errno, f"{host}:{port}: {reason.strerror or reason}")
        if reason.errno == errno.EADDRINUSE:
            error.add_note(
                "Where no port is named, Server takes a free one; each worker of pytest-xdist "
                "needs one of its own."
            )
        raise error from None
    return listener


def raise_file_limit() -> None:
    """Raise the limit of open files to the most that the system allows this process. With 256 files
    the server resets three in four of a thousand streams."""
    try:
        import resource  # noqa: PLC0415 - not on Windows, where there is no such limit
    except ImportError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS has hard limits that it does not take.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
