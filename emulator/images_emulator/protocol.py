"""HTTP/1.1 on the connections of the server: uvicorn's protocol, with limits (408, 431, 503)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, cast

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from images_emulator.buffered_transport import BufferedTransport
from images_emulator.contract import emulator_errors, errors
from images_emulator.contract.cors import ALLOW_ORIGIN
from images_emulator.contract.refusal import APIError
from images_emulator.contract.wire import pretty
from images_emulator.exchange.connection import CONNECTION, ProtocolAnswer
from images_emulator.settings import Settings

IDLE_CHECK_SECONDS: Final = 1
"""The seconds between two calls of `HTTPProtocol.end_if_idle`."""

LINGER_SECONDS: Final = 5.0
"""The seconds for which the server reads and discards the bytes of a refused client."""


class ConnectionLimits(NamedTuple):
    """The limits of a connection. See the settings `max_head`, `max_connections` and
    `idle_timeout`."""

    max_head: int
    """The most bytes of a request line with its headers."""
    max_connections: int
    idle_timeout: int
    """Seconds."""

    @classmethod
    def from_settings(cls, settings: Settings) -> ConnectionLimits:
        """The limits that the *settings* set."""
        return cls(settings.max_head, settings.max_connections, settings.idle_timeout)


class LimitedConfig(uvicorn.Config):
    """uvicorn's configuration, with the *limits* of connections. To add a header to every answer of
    the server, also to what is no valid HTTP, pass it in uvicorn's option `headers`. Headers of the
    API's answers are in `contract/dialect.py`."""

    def __init__(self, app: Any, limits: ConnectionLimits, **options: Any) -> None:
        super().__init__(app, **options)
        self.limits = limits
        self.is_draining = False
        """Whether each answer is the last of its connection, because the server is stopping."""


class HTTPProtocol(HttpToolsProtocol):
    """HTTP/1.1 without upgrades, within the limits of a `LimitedConfig`.

    In uvicorn, a `cycle` is one request with its answer, and `self.cycle` is that of the newest
    request. A client that does not wait for answers has its next requests in `self.pipeline`, the
    newest first, while `_running` is answered.

    The request header `upgrade` is ignored. The JDK's client sends `upgrade: h2c` by default, and
    httptools would take the body for bytes of the other protocol.

    These limits hold:

    - A head may have `max_head` bytes. A longer one is answered 431, before the application is
      called.
    - The trailers of a body and the extensions of its chunks may have `max_head` bytes, too, not
      counting those that were read together with bytes of the body. A call with longer ones ends
      as if its client had left.
    - A request of which nothing comes for `idle_timeout` seconds is answered 408. Its call, too,
      ends as if its client had left.
    - A request on a connection past `max_connections` is answered 503.
    """

    _restart: tuple[bytes, int] | None = None
    """The head of a request with an `upgrade` header, without that header, and how many bytes of
    the last chunk the parser had then read."""

    _framing_bytes = 0
    """The bytes that came since the last byte of a body or the last end of a head."""

    _count_is_low = False
    """Whether `_framing_bytes` may lack bytes, because a head or a part of a body ended within a
    chunk: what followed in that chunk, such as the beginning of the next head, was not counted."""

    _refused = False
    """Whether the server has answered with an error of its own, which ends the connection."""

    _is_excess = False
    """Whether the limit of connections was reached when this one was made."""

    _in_head = False
    """Whether a head has begun and not ended."""

    _idle_checks = 0
    """The number of calls of `end_if_idle` since the last byte came, while the rest of a request or
    another request may come."""

    _buffered: BufferedTransport | None = None
    """The transport; None where there was no memory for it."""

    _running: RequestResponseCycle | None = None
    """The cycle of the call that runs, or ran last."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        try:
            self._config = cast("LimitedConfig", self.config)
            self._limits = self._config.limits
            super().connection_made(transport)
            self._buffered = BufferedTransport(transport, self.loop, self.flow, self.tasks)
        except Exception:
            # The event loop would leave the connection open, with nobody to read it.
            self.connections.discard(self)
            transport.abort()
            raise
        self.transport = cast("asyncio.Transport", self._buffered)
        if len(self.connections) > self._limits.max_connections:
            self._is_excess = True
            self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        # uvicorn tells the call of the newest request, which may wait behind the one that runs.
        self.pipeline.clear()
        if running := self._running:
            running.disconnected |= not running.response_complete
            running.message_event.set()
        super().connection_lost(exc)

    def end_if_idle(self) -> None:
        """End the connection if nothing has come for as long as it may be idle. An unfinished
        request is answered 408."""
        cycle = self.cycle
        is_over = cycle is None or cycle.response_complete
        if not (is_over or (cycle.more_body and not self.flow.read_paused)):
            self._idle_checks = 0
            return
        self._idle_checks += 1
        seconds = self._limits.idle_timeout
        if self._idle_checks * IDLE_CHECK_SECONDS <= seconds or self.transport.is_closing():
            return
        if is_over and not self._in_head:
            self.transport.close()
        else:
            self._end_with_error(errors.late_request(seconds=seconds))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self.scope["state"][CONNECTION] = self.transport

    def drain(self) -> None:
        """Make the answer to the newest request, if it has not begun, the last one of the
        connection, and say so in it. An answer that has no end is ended."""
        if self._buffered:
            self._buffered.tell_stop()
        if self.cycle and not self.cycle.response_started:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """Close the connection: now if no answer is open on it, else after the answer."""
        if self._buffered:
            self._buffered.tell_stop()
        super().shutdown()

    def cut(self) -> None:
        """Close the connection because the server stops, whatever is open on it."""
        (self._buffered.cut if self._buffered else self.transport.abort)()

    def data_received(self, data: bytes) -> None:
        self._idle_checks = 0
        if not self._in_head:
            self._count_is_low = False
        if self._is_excess:
            self._refuse_connection()
        chunks = [memoryview(data)]
        while chunks and not self._refused and not self.transport.is_closing():
            chunk = chunks.pop()
            self._framing_bytes += len(chunk)
            super().data_received(cast("bytes", chunk))
            if self._restart:
                head, offset = self._restart
                self._restart = None
                chunks += (chunk[offset:], memoryview(head))
            elif self._framing_bytes > self._limits.max_head:
                self._refuse_head()

    def on_headers_complete(self) -> None:
        if self._framing_bytes > self._limits.max_head or self._count_is_low:
            # The count includes all of the last chunk, whatever else is in it.
            lines = sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers)
            if len(self.url) + lines > self._limits.max_head:
                self._refuse_head()
                raise ValueError("the head is too large")
        self._framing_bytes = 0
        self._count_is_low = True
        self._in_head = False
        self.url = _origin_form(self.url)
        super().on_headers_complete()
        if not self.parser.should_upgrade():
            # The parser adds a body's trailers to them, which nobody reads here.
            self.headers = []
            if self._config.is_draining:
                self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._framing_bytes = 0
        self._count_is_low = True
        super().on_body(body)

    def eof_received(self) -> None:
        if self._refused:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer 400 to bytes that are no request, and close the connection."""
        # uvicorn also calls this for exceptions of the parser's callbacks: a large head, a mistake
        # of the client, or too little memory.
        if self._refused:
            return
        error = sys.exc_info()[1]
        if isinstance(error, httptools.HttpParserCallbackError):
            reason = error.__context__
            if not isinstance(reason, ValueError | httptools.HttpParserError):
                self.transport.close()
                raise reason or error
        self._refused = True
        self._end_with(400, {"content-type": "text/plain; charset=utf-8"}, msg.encode())

    def _refuse_head(self) -> None:
        self._end_with_error(errors.head_too_large(limit=self._limits.max_head))

    def _refuse_connection(self) -> None:
        limit, count = self._limits.max_connections, len(self.connections)
        self._end_with_error(emulator_errors.too_many_connections(count=count, limit=limit))

    def _end_with_error(self, error: APIError) -> None:
        """Answer with *error*, and close the connection."""
        if self._refused:
            return
        self._refused = True
        # The day is not known before the head is read.
        answer = error.answer_on(None)
        # A web page reads it, too: whether one has called is not known either.
        name, value = (text.decode() for text in ALLOW_ORIGIN)
        headers = {"content-type": "application/json", name: value, **answer.headers}
        self._end_with(answer.status, headers, pretty(answer.body()))

    def _end_with(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Send the last answer, and close the connection when the client has closed its end, or
        some seconds later. Closing at once, with bytes of the request unread, would reset the
        connection.

        Where the answer to an earlier request is outstanding, only that answer is sent: a client
        would take the last answer for it. Where a call is still being read, it ends as if its
        client had left. If its answer has begun, the connection is closed.
        """
        if self.pipeline and self.cycle.more_body:
            # The call of this request has not begun.
            self.pipeline.popleft()
            assert self._running, "the others wait for it"
            self.cycle = self.pipeline[0][0] if self.pipeline else self._running
        cycle = self.cycle
        if cycle and not cycle.response_complete:
            if not cycle.more_body:
                # The cycle is of an earlier request.
                cycle.keep_alive = False
                return
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.close()
                return
            if self._buffered:
                self._buffered.protocol_answer = ProtocolAnswer(status, body)
        lines = "".join(f"{name.lower()}: {value}\r\n" for name, value in headers.items())
        usual = b"".join(b"%s: %s\r\n" % each for each in self.server_state.default_headers)
        self.transport.write(
            STATUS_LINE[status]
            + usual
            + lines.encode()
            + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body)
            + body
        )
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _should_upgrade(self) -> bool:
        # uvicorn then does not begin the request, and httptools raises HttpParserUpgrade.
        return True

    def handle_websocket_upgrade(self) -> None:
        """Read the request again, without the header that stopped the parser in it."""
        upgrade = sys.exc_info()[1]
        assert isinstance(upgrade, httptools.HttpParserUpgrade)
        headers = [(name, value) for name, value in self.headers if name != b"upgrade"]
        if len(headers) == len(self.headers):
            # CONNECT stops the parser, too.
            self.send_400_response("Nothing is tunnelled here.")
            return
        version = self.parser.get_http_version().encode()
        head = [self.scope["method"].encode(), b" ", self.url, b" HTTP/", version, b"\r\n"]
        for name, value in headers:
            head += name, b": ", value, b"\r\n"
        self.parser = httptools.HttpRequestParser(self)
        self._restart = b"".join((*head, b"\r\n")), upgrade.args[0]


class CasedProtocol(HTTPProtocol):
    """The protocol of `record`: names of headers keep the case in which they were sent. Its
    application looks names up in any case."""

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        # The base class looks for `upgrade` in lower case.
        if self.headers[-1][0] != b"upgrade":
            self.headers[-1] = (name, value)


def _origin_form(target: bytes) -> bytes:
    """The *target* of a request in a form in which httptools finds a path. A URL without a path
    (`http://host?query`) becomes `/?query`. A malformed URL is taken for a path that does not
    exist."""
    if target.startswith(b"/") or target == b"*":
        return target
    try:
        path = httptools.parse_url(target).path
    except httptools.HttpParserInvalidURLError:
        return b"/" + target
    if path:
        return target
    _, query, rest = target.partition(b"?")
    return b"/" + query + rest
