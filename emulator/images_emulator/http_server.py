"""The HTTP server beneath `Server`: uvicorn with its own listening socket and its own way to stop
(graceful shutdown). The way of a call from here on is drawn in `.github/CONTRIBUTING.md`."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from types import FrameType
from typing import Final, cast

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from images_emulator.contract.cors import ALLOW_ORIGIN
from images_emulator.contract.dialects import dialect_at
from images_emulator.contract.notices import EMULATOR_FAILED, NOTICE_HEADER
from images_emulator.listening_socket import BACKLOG
from images_emulator.namespace_names import split_path
from images_emulator.protocol import (
    IDLE_CHECK_SECONDS,
    ConnectionLimits,
    HTTPProtocol,
    LimitedConfig,
)
from images_emulator.settings import Settings
from images_emulator.shared_listener import SharedListener
from images_emulator.state.random_ids import random_digits
from images_emulator.threads import DaemonThreadPool

logger = logging.getLogger("images_emulator")

DRAIN_SECONDS: Final = 0.25
"""The seconds for which idle connections stay open after SIGTERM. Behind a proxy a call may already
be on its way on one, and nobody would send it again."""

GRACE_SECONDS: Final = 0.5
"""The seconds that open answers get to finish when the server stops."""

POLL_SECONDS: Final = 0.02
"""The most seconds between two checks whether the answers have ended."""

MIN_POLL_SECONDS: Final = 0.001
"""The seconds between the first two of these checks. Each next pause is twice as long, because idle
connections end in a moment."""

LOOP_SECONDS: Final = 0.1
"""The seconds between two calls of `HTTPServer.on_tick`, as in uvicorn."""

LOOPS_BETWEEN_IDLE_CHECKS: Final = round(IDLE_CHECK_SECONDS / LOOP_SECONDS)
"""The number of calls of `HTTPServer.on_tick` between two calls of `HTTPProtocol.end_if_idle`."""

LOOPS_A_DAY: Final = round(86_400 / LOOP_SECONDS)
"""The number of calls of `HTTPServer.on_tick` after which they are counted anew, as in uvicorn."""

MAX_THREADS: Final = 32
"""The most threads for what blocks in the admin API, the live feed and answers of functions. It is
the upper bound of asyncio's own default. Fetches of images and beginnings of namespaces, which may
take long, have threads of their own."""


class _ServerErrorMiddleware:
    """Ends a cancelled call without a log entry, where uvicorn would log a traceback. Calls are
    cancelled only when the server stops, after their connections are closed.

    A call that fails before its answer has begun is answered with the API's own error, where
    uvicorn would send a text. uvicorn then logs the failure, and closes the connection.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except asyncio.CancelledError:
            pass
        except Exception:
            # uvicorn raises RuntimeError where an answer has begun.
            with suppress(RuntimeError):
                await _send_server_error(scope["path"], send)
            raise


async def _send_server_error(path: str, send: Send) -> None:
    """Answer a call of *path* with the API's server error. Nothing else is known about the call."""
    with suppress(ValueError):
        if named := split_path(path):
            path = named[1]
    dialect = dialect_at(path)
    request_id = dialect.request_id(random_digits())
    answer = dialect.refusal("server_error")(request_id=request_id).answer_on(None)
    body = dialect.error_body(answer)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        (NOTICE_HEADER, EMULATOR_FAILED.encode()),
        ALLOW_ORIGIN,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class HTTPServer(uvicorn.Server):
    """Serves *app*, and calls *on_ready* when it accepts connections. It stops within
    four times `GRACE_SECONDS`, whatever is open; SIGTERM adds `DRAIN_SECONDS`. Then it calls
    *on_shutdown*, if given, and waits for it.

    *protocol* reads the requests within *limits*, by default those of the default settings.
    Without *date_header* an answer has a `date` only if *app* gives it one. With *shared_listener*
    it accepts connections from that listener, as other processes do.
    """

    def __init__(
        self,
        app: ASGIApp,
        on_ready: Callable[[], None],
        *,
        limits: ConnectionLimits | None = None,
        protocol: type[HTTPProtocol] = HTTPProtocol,
        date_header: bool = True,
        on_shutdown: Callable[[], Awaitable[None]] | None = None,
        shared_listener: SharedListener | None = None,
    ) -> None:
        limits = limits or ConnectionLimits.from_settings(Settings())
        config = LimitedConfig(
            _ServerErrorMiddleware(app),
            limits,
            http=protocol,
            date_header=date_header,
            backlog=BACKLOG,
            timeout_keep_alive=limits.idle_timeout,
            ws="none",
            lifespan="off",
            proxy_headers=False,  # see web/forwarded_headers.py
            log_config=None,
            access_log=False,
            server_header=False,
        )
        super().__init__(config)
        self._config = config
        self._drains = False
        """Whether a stop leaves idle connections open for a while."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._exits = asyncio.Event()
        """Set when the server is to stop."""
        self._on_ready = on_ready
        self._protocol = protocol
        self._on_shutdown = on_shutdown
        self._shared_listener = shared_listener
        if shared_listener:
            self.server_state.connections = shared_listener.connections

    def connection_count(self) -> int:
        """The number of open connections."""
        return len(self.server_state.connections)

    def stop(self) -> None:
        """Begin to stop. Any thread may call this, also before the server has started."""
        self.should_exit = True
        if self._loop:
            with suppress(RuntimeError):  # it has stopped already
                self._loop.call_soon_threadsafe(self._exits.set)

    async def main_loop(self) -> None:
        """Call `on_tick` every `LOOP_SECONDS`, until it says that the server is to stop. It is
        called at once after `stop`: uvicorn would notice that up to a tenth of a second later,
        which each test with a server of its own would wait."""
        counter = 0
        while not await self.on_tick(counter):
            counter = (counter + 1) % LOOPS_A_DAY
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOP_SECONDS):
                    await self._exits.wait()

    async def on_tick(self, counter: int) -> bool:
        """Let each connection notice that it is idle. Return whether the server is to stop."""
        if counter % LOOPS_BETWEEN_IDLE_CHECKS == 0:
            for connection in [*self.server_state.connections]:
                try:
                    cast("HTTPProtocol", connection).end_if_idle()
                except Exception:
                    # An exception here would make uvicorn end the server.
                    logger.exception("an idle connection could not be closed")
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop, without keeping the signal. uvicorn would raise it again after the stop: SIGTERM
        would end the process before its children, and Ctrl-C would print a traceback. A second
        signal makes the stop quicker."""
        self._drains = sig == signal.SIGTERM and not self.should_exit
        self.stop()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, with a thread pool of its own for `asyncio.to_thread`, and call *on_ready*."""
        self._loop = asyncio.get_running_loop()
        threads = DaemonThreadPool(MAX_THREADS, thread_name_prefix="images-emulator")
        self._loop.set_default_executor(threads)
        await super().startup([] if self._shared_listener else sockets)
        if self._shared_listener:
            self._shared_listener.start(self._new_protocol)
        if self.started:
            self._on_ready()

    def _new_protocol(self) -> asyncio.Protocol:
        return self._protocol(self.config, self.server_state, self.lifespan.state)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop in these steps:

        - Accept no more connections.
        - After SIGTERM, leave the open connections for up to `DRAIN_SECONDS`.
        - Wait up to `GRACE_SECONDS` for answers in progress.
        - Close all connections, as the end of the process would, and wait up to `GRACE_SECONDS`
          until their protocols know it.
        - Wait up to `GRACE_SECONDS` for their tasks.
        """
        # No `await` may stand between the last accept and the close of the listeners: the system
        # resets connections that still wait on a listener when it is closed.
        waiting = _accepted_from(sockets or ()) if self._drains else []
        for server in self.servers:
            server.close()
        if self._shared_listener:
            self._shared_listener.stop()
        for listener in sockets or ():
            listener.close()
        if self._shared_listener:
            await self._shared_listener.wait_for_protocols(GRACE_SECONDS)
        connections, tasks = self.server_state.connections, self.server_state.tasks
        if self._drains:
            await self._drain(waiting)
        for connection in [*connections]:
            connection.shutdown()
        clock = asyncio.get_running_loop().time
        end = clock() + GRACE_SECONDS
        pause = MIN_POLL_SECONDS
        while (connections or tasks) and clock() < end:
            await asyncio.sleep(pause)
            pause = min(2 * pause, POLL_SECONDS)
        for connection in [*connections]:
            cast("HTTPProtocol", connection).cut()
        # The connections are closed before the tasks are cancelled: a call that is cancelled on an
        # open connection is answered 500. A connection is closed once `connection_lost` has run,
        # some steps of the loop after `cut`.
        end = clock() + GRACE_SECONDS
        while connections and clock() < end:  # noqa: ASYNC110 - protocols tell nobody
            await asyncio.sleep(0)
        for task in [*tasks]:
            task.cancel()
        if tasks:
            await asyncio.wait([*tasks], timeout=GRACE_SECONDS)
        if self._on_shutdown:
            await self._on_shutdown()

    async def _drain(self, waiting: Iterable[socket.socket]) -> None:
        """Let each connection have one more answer, for up to `DRAIN_SECONDS`. The answer says that
        it is the last. The *waiting* connections, which have no protocol yet, have one, too."""
        self._config.is_draining = True
        connections = self.server_state.connections
        for connection in [*connections]:
            cast("HTTPProtocol", connection).drain()
        loop = asyncio.get_running_loop()
        await asyncio.gather(
            *(loop.connect_accepted_socket(self._new_protocol, each) for each in waiting),
            return_exceptions=True,  # of a client that has left
        )
        end = loop.time() + DRAIN_SECONDS
        while self._drains and connections and loop.time() < end:  # noqa: ASYNC110 - uvicorn has no event
            await asyncio.sleep(POLL_SECONDS)


def _accepted_from(listeners: Iterable[socket.socket]) -> list[socket.socket]:
    """The connections that wait on *listeners* to be accepted."""
    waiting = []
    for listener in listeners:
        with suppress(OSError):  # none waits
            listener.setblocking(False)
            while True:
                waiting.append(listener.accept()[0])
    return waiting
