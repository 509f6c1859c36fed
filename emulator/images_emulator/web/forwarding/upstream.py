"""The upstream: another server of the API. A call is forwarded to it as it is, and its answer is
passed on as it comes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from time import perf_counter
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from images_emulator.contract import emulator_errors
from images_emulator.contract.events import EVENT_END
from images_emulator.contract.http_headers import HOP_BY_HOP, STATUSES, HeaderPairs
from images_emulator.contract.operations import JSON
from images_emulator.contract.refusal import APIError
from images_emulator.exchange.connection import CONNECTION
from images_emulator.exchange.credentials import key_header_name, key_headers
from images_emulator.exchange.request_head import text_of_headers
from images_emulator.exchange.served_exchange import EXCHANGE
from images_emulator.exchange.waits import hang_up, wait_for_disconnect
from images_emulator.recordings.recording import (
    End,
    RecordedPart,
    RecordedRequest,
    RecordedResponse,
    Recording,
)
from images_emulator.recordings.spool import Spool
from images_emulator.recordings.upstream_address import (
    CONNECTION_HEADERS,
    UpstreamAddress,
    http_client_library,
)

if TYPE_CHECKING:
    import httpx2

CONNECT_SECONDS: Final = 10
"""Seconds for the connection to the upstream, with its TLS."""

TIMEOUT_SECONDS: Final = 600
"""Seconds for which the upstream may send nothing, by default. The SDKs wait as long."""

SAME_MOMENT_SECONDS: Final = 0.0005
"""Chunks of an answer that arrive within this time have one time in the recording."""

CasedHeaders = Iterable[tuple[bytes, bytes]]
"""Headers in their order, with their names in the case in which they were sent: see
`protocol.CasedProtocol`. Elsewhere names are in lower case (`exchange.request_head.RawHeaders`)."""


class UpstreamClient:
    """Forwards calls to the server of the API at *url*, which may end in `/v1`. An *api_key*
    replaces the key of each call. An answer fails when nothing of it arrives for *timeout* seconds.

    Raises ValueError for a text that is no URL of a server, and where no HTTP client is installed.
    It may be used on one event loop only.
    """

    def __init__(
        self, url: str, *, api_key: str | None = None, timeout: float = TIMEOUT_SECONDS
    ) -> None:
        self.address = UpstreamAddress(url, api_key or "")
        self.timeout = timeout
        self.library = http_client_library()
        # No connections are kept. A kept one may turn out to be closed just when a call is sent,
        # and the client would see a cut that was none.
        limits = self.library.Limits(max_connections=None, max_keepalive_connections=0)
        times = self.library.Timeout(timeout, connect=min(CONNECT_SECONDS, timeout), pool=None)
        self.client: httpx2.AsyncClient = self.library.AsyncClient(limits=limits, timeout=times)

    def call(self, scope: Scope) -> ForwardedCall:
        """The call of an ASGI *scope*, to be forwarded."""
        return ForwardedCall(self, scope)

    async def close(self) -> None:
        """Close the connections."""
        await self.client.aclose()

    def headers(self, headers: CasedHeaders, target: bytes) -> list[tuple[bytes, bytes]]:
        """The *headers* of a call to *target*, as they are sent to the upstream. They have the
        upstream's host and, if there is one, its API key. They ask for no compression of the
        answer, so that people can read what is recorded."""
        pairs = [*headers]
        names = {name.lower() for name, _ in pairs}
        sent = [(b"Host", self.address.host.encode())]
        sent += _end_to_end(pairs, excluded=CONNECTION_HEADERS)
        if b"accept-encoding" in names:
            sent.append((b"Accept-Encoding", b"identity"))
        if b"transfer-encoding" in names:
            sent.append((b"Transfer-Encoding", b"chunked"))
        return self._with_key(sent, target) if self.address.key else sent

    def _with_key(
        self, headers: list[tuple[bytes, bytes]], target: bytes
    ) -> list[tuple[bytes, bytes]]:
        values = {
            name.encode(): value.encode() for name, value in key_headers(self.address.key).items()
        }
        replaced = [(name, values.get(name.lower(), value)) for name, value in headers]
        if not {name.lower() for name, _ in headers} & values.keys():
            name = key_header_name(target.decode("latin-1")).encode()
            replaced.append((name, values[name]))
        return replaced


class ForwardedCall:
    """One call that is forwarded to *upstream*, and its answer. `forward` is awaited once, and then
    `recording` has the request and the answer."""

    def __init__(self, upstream: UpstreamClient, scope: Scope) -> None:
        self._upstream = upstream
        self._scope = scope
        self._arrived = datetime.now(UTC)
        self._started = perf_counter()
        query: bytes = scope["query_string"]
        self._target: bytes = scope["raw_path"] + (b"?" + query if query else b"")
        self._body = Spool()
        self._is_whole = False
        """Whether the request has arrived whole."""
        self._sent_at: float | None = None
        """When the last byte of the request was sent."""
        self._upstream_status: int | None = None
        """The status of the upstream's answer; None before it begins."""
        self._answer_headers: HeaderPairs = ()
        self._answer = Spool()
        self._arrivals: list[tuple[float, int]] = []
        """For each chunk of the answer: the seconds since the request was sent, and the bytes of
        the answer by then."""
        self._end: End = "cut"
        self._error = ""
        self.has_reached = True
        """False where there was no connection to the upstream."""
        self.status: int | None = None
        """The status of the answer to the client; None before it begins, and where there is none.
        """
        self.duration_ms = 0.0
        """Milliseconds from the arrival of the call to the end of its answer."""
        self._on_cut: Callable[[], Awaitable[None]] | None = None

    async def forward(
        self, receive: Receive, send: Send, on_cut: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Forward the request, and pass each chunk of the answer on when it arrives. Where the
        upstream cuts or resets its connection, *on_cut* is awaited, and the client's is cut or
        reset. Where the upstream cannot be reached or understood, the client gets an error of the
        emulator.

        The answer is read to its end even if the client leaves. Raises ClientDisconnect where it
        leaves before its request is whole.
        """
        self._on_cut = on_cut
        try:
            await self._forward(receive, send)
        finally:
            self.duration_ms = (perf_counter() - self._started) * 1000

    async def _forward(self, receive: Receive, send: Send) -> None:
        library = self._upstream.library
        chunks = self._request_chunks(receive)
        try:
            response = await self._upstream.client.send(self._request(chunks), stream=True)
        except (library.TransportError, OSError) as error:
            # What the client has still to send belongs to the recording.
            async for _ in self._request_chunks(receive):
                pass
            await self._fail(error, receive, send)
            return
        self._upstream_status = response.status_code
        self._answer_headers = _text_pairs(response.headers.raw)
        await self._pass_on(response, receive, send)

    def _request(self, chunks: AsyncIterator[bytes]) -> httpx2.Request:
        library, upstream = self._upstream.library, self._upstream
        headers = upstream.headers(self._scope["headers"], self._target)

        async def trace(event: str, _: Any) -> None:
            if event == "http11.receive_response_headers.started":
                self._sent_at = perf_counter()

        request: httpx2.Request = library.Request(
            self._scope["method"],
            upstream.address.origin,
            headers=headers,
            stream=_stream(library, chunks),
            extensions={"target": upstream.address.target(self._target), "trace": trace},
        )
        return request

    async def _request_chunks(self, receive: Receive) -> AsyncIterator[bytes]:
        """The body of the request, as far as it has not been read. Raises ClientDisconnect."""
        while not self._is_whole:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk: bytes = message.get("body", b"")
            self._is_whole = not message.get("more_body")
            if chunk:
                self._body.add(chunk)
                yield chunk

    async def _pass_on(self, response: httpx2.Response, receive: Receive, send: Send) -> None:
        library, status = self._upstream.library, response.status_code
        if status not in STATUSES:
            await response.aclose()
            self._upstream_status = None
            await self._answer_failure("cannot be understood", f"its status is {status}", send)
            return
        headers = [(name.lower(), value) for name, value in _end_to_end(response.headers.raw)]
        if status == 304:
            # A 304 has no body; this is the length of the one that the client has.
            headers = [pair for pair in headers if pair[0] != b"content-length"]
        self.status = status
        length = next((int(value) for name, value in headers if name == b"content-length"), None)
        if "transfer-encoding" in response.headers:
            length = None  # it does not count then, and may be wrong
        try:
            await send({"type": "http.response.start", "status": status, "headers": headers})
            async for chunk in response.aiter_raw():
                self._add(chunk)
                # A client that knows the length waits for no more.
                if len(self._answer) == length:
                    self._end = "complete"
                await send(_body_message(chunk, more=not self.is_answered))
        except library.ReadError as error:
            self._end, self._error = "reset", _reason(error)
            await self._hang_up(receive, reset=True)
        except library.TransportError as error:
            self._error = _reason(error)
            await self._hang_up(receive, reset=False)
        else:
            if not self.is_answered:
                self._end = "complete"
                await send(_body_message(b"", more=False))
        finally:
            # After an error or a cancellation the upstream would send on.
            await response.aclose()

    def _add(self, chunk: bytes) -> None:
        self._answer.add(chunk)
        seconds = max(perf_counter() - (self._sent_at or self._started), 0)
        arrivals = self._arrivals
        if arrivals and seconds - arrivals[-1][0] < SAME_MOMENT_SECONDS:
            arrivals[-1] = arrivals[-1][0], len(self._answer)
        else:
            arrivals.append((seconds, len(self._answer)))

    async def _fail(self, error: Exception, receive: Receive, send: Send) -> None:
        """End the call, which got no answer because of *error*."""
        library = self._upstream.library
        self._error = _reason(error)
        if isinstance(error, library.ReadError):
            await self._hang_up(receive, reset=True)
        elif isinstance(error, library.RemoteProtocolError) and "disconnected" in str(error):
            await self._hang_up(receive, reset=False)
        elif isinstance(error, library.ReadTimeout):
            seconds = f"{self._upstream.timeout:g} seconds"
            await self._answer_failure("does not answer", f"nothing came for {seconds}", send)
        elif isinstance(error, library.WriteTimeout):
            seconds = f"{self._upstream.timeout:g} seconds"
            await self._answer_failure(
                "does not take this call", f"it took nothing of it for {seconds}", send
            )
        elif isinstance(error, library.LocalProtocolError):
            # The text ends in the header or byte that is wrong, which may be a credential.
            self._error = str(error).partition(" b'")[0].partition(' b"')[0]
            await self._answer_failure("cannot be sent this call", self._error, send)
        elif isinstance(error, library.ProtocolError):
            await self._answer_failure("cannot be understood", self._error, send)
        else:
            self.has_reached = False
            await self._answer_failure("cannot be reached", self._error, send)

    async def _answer_failure(self, problem: str, reason: str, send: Send) -> None:
        """Answer with a 502 that says the *problem* of the upstream, and its *reason*."""
        error = emulator_errors.upstream_failed(
            url=self._upstream.address.base_url, problem=problem, reason=reason.rstrip(".")
        )
        self._error = str(error)
        self.status = error.newest.status
        for message in error_messages(error):
            await send(message)

    async def _hang_up(self, receive: Receive, *, reset: bool) -> None:
        """Close the client's connection as the upstream closed its own."""
        state = self._scope["state"]
        if self._on_cut:
            await self._on_cut()
        if EXCHANGE in state:
            await hang_up(state[EXCHANGE], receive, reset=reset)
        elif CONNECTION in state:
            await state[CONNECTION].hang_up(reset=reset)
            await wait_for_disconnect(receive)

    # --- when it is over

    @property
    def is_recordable(self) -> bool:
        """Whether the request arrived whole. Otherwise there is nothing to record."""
        return self._is_whole

    @property
    def answer_bytes(self) -> int:
        """The length of the answer's body, as far as it has arrived."""
        return len(self._answer)

    @property
    def is_answered(self) -> bool:
        """Whether the upstream's answer has arrived whole."""
        return self._end == "complete"

    @property
    def content_type(self) -> str:
        """The `content-type` of the answer, in lower case; empty where there is none."""
        values = (value for name, value in self._answer_headers if name.lower() == "content-type")
        return next(values, "").lower()

    def recording(self) -> Recording:
        """The request, and the answer as far as it arrived. Credentials are in them. The bodies are
        read when they are first needed, which must be before `close`. A read raises OSError where
        the body could not be kept."""
        request = RecordedRequest.lazy(
            {"body": self._body.read},
            method=self._scope["method"],
            target=self._target.decode("latin-1"),
            headers=_text_pairs(self._scope["headers"]),
        )
        response = None
        if self._upstream_status is not None:
            response = RecordedResponse.lazy(
                {"parts": self._parts},
                status=self._upstream_status,
                headers=self._answer_headers,
                end=self._end,
            )
        return Recording(
            request=request,
            response=response,
            error=self._error,
            source=self._upstream.address.base_url,
            recorded_at=self._arrived,
        )

    def _parts(self) -> tuple[RecordedPart, ...]:
        body = self._answer.read()
        if not body:
            return ()
        ends = []
        if self.content_type.startswith("text/event-stream"):
            ends = [match.end() for match in EVENT_END.finditer(body)]
        if not ends or ends[-1] < len(body):
            ends.append(len(body))
        parts, start, arrivals = [], 0, iter(self._arrivals)
        seconds, arrived = next(arrivals)
        for end in ends:
            while arrived < end:
                seconds, arrived = next(arrivals)
            parts.append(RecordedPart(round(seconds, 4), body[start:end]))
            start = end
        return tuple(parts)

    def close(self) -> None:
        """Drop the bodies."""
        self._body.close()
        self._answer.close()


def _stream(library: ModuleType, chunks: AsyncIterator[bytes]) -> httpx2.AsyncByteStream:
    class Stream(library.AsyncByteStream):  # type: ignore[misc,name-defined]
        def __aiter__(self) -> AsyncIterator[bytes]:
            return chunks

    return Stream()


def _end_to_end(headers: CasedHeaders, excluded: Iterable[str] = ()) -> list[tuple[bytes, bytes]]:
    """*headers* without those of one connection, which `connection` may name, and without those in
    *excluded*. White space around a value is removed."""
    pairs = [*headers]
    names = {
        token.strip().lower()
        for name, value in pairs
        if name.lower() == b"connection"
        for token in value.split(b",")
    }
    left_out = names | {name.encode() for name in (*HOP_BY_HOP, *excluded)}
    return [(name, value.strip()) for name, value in pairs if name.lower() not in left_out]


def _text_pairs(headers: CasedHeaders) -> HeaderPairs:
    return text_of_headers((name, value.strip()) for name, value in headers)


def _body_message(data: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


def error_messages(error: APIError) -> Sequence[Message]:
    """The messages of an answer that refuses a call with *error*."""
    answer = error.answer_on(None)
    body = json.dumps(answer.body()).encode()
    headers = [
        *((name.encode(), value.encode()) for name, value in answer.headers.items()),
        (b"content-type", JSON.encode()),
        (b"content-length", b"%d" % len(body)),
    ]
    start = {"type": "http.response.start", "status": answer.status, "headers": headers}
    return start, _body_message(body, more=False)


def _reason(error: BaseException) -> str:
    """The message of *error*, or that of the system's error behind it, which may say more than the
    library's."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        if isinstance(cause, ExceptionGroup):
            cause = cause.exceptions[0]
            continue
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__
