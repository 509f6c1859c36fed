"""The exchange of a call that this process serves, from its arrival to its end.

`JournalMiddleware` makes it when the call arrives. The fault middleware, the replay middleware and
the endpoints fill it in. Faults read it, and the journal keeps it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Protocol

from images_emulator.contract.answer_replacement import AnswerReplacement
from images_emulator.contract.calendar import Day
from images_emulator.contract.dialect import MessageFacts
from images_emulator.contract.policy import Policy
from images_emulator.contract.refusal import APIError, ErrorAnswer
from images_emulator.contract.request import ImageRequest
from images_emulator.exchange.body_parser import MAX_BYTES_ON_LOOP
from images_emulator.exchange.call_answer import CallAnswer
from images_emulator.exchange.exchange import EXCHANGE_OVERHEAD_BYTES, Exchange
from images_emulator.exchange.part_readers import (
    KnownBodyReader,
    KnownStreamReader,
    ParsedBodyReader,
    ParsedStreamReader,
    SkippingReader,
    StreamReader,
    TextReader,
)
from images_emulator.exchange.request_head import RawHeaders
from images_emulator.exchange.sent_answer import PartReader

if TYPE_CHECKING:
    from images_emulator.exchange.connection import Connection
    from images_emulator.exchange.known_answer import KnownAnswer

EXCHANGE: Final = "exchange"
"""The key of an ASGI scope's `state` under which the `ServedExchange` of the call is found."""


class WaitClock(Protocol):
    """The clock by which an answer waits: for its fault, or as long as its recording did."""

    async def wait_until(self, moment: float) -> None:
        """Wait until *moment*, in seconds. The time is the machine's `perf_counter()` plus all
        seconds by which the clock was ever advanced."""
        ...


@dataclass(slots=True, eq=False, repr=False)
class ServedExchange(Exchange):
    """A call while this process answers it, with everything that only its answer needs.

    A comment above an attribute, here, in `Exchange` and in `CallAnswer`, names the modules and
    methods that set it once the exchange is made. `tests/test_architecture.py` checks the comments.
    Attributes are set on the thread of the server's event loop. Only `answer.cached_usage` and the
    caches in `head` are set by the first thread that needs them.
    """

    # --- the arrival

    # Set by `web/journal_middleware.py`.
    connection: Connection | None = None
    """The TCP connection; None in process, under another server, and when the call is over."""

    # Set by `web/journal_middleware.py`.
    clock: WaitClock | None = None
    """The clock by which the answer waits; None where no server answers, and when the call is
    over."""

    # Set by `web/journal_middleware.py`.
    advanced_seconds_at_arrival: float = 0
    """All seconds by which the clock had been advanced when the call arrived. Later advances
    shorten the waits of the answer."""

    # Set by `web/journal_middleware.py`.
    end_call: Callable[[], Awaitable[None]] | None = None
    """`AnswerSender.end_call`, for `hang_up`, which ends the call before it closes the connection.
    None where no journal has the call, and when the application has returned."""

    # --- the body, the key and the policy, once they are needed

    # Set by `web/call_policy.py`.
    policy: Policy | None = None
    """The policy that judges the call. None until its headers are read, and where
    `x-emulator-as-of` or `x-emulator-validation` is invalid."""

    # Set by `web/authentication.py`.
    accepted_key: str | None = None
    """The accepted API key. Rate limits and scenarios use it. None before authentication, and for a
    call that authentication refuses."""

    # Set by `ServedExchange.keep_request_body`.
    is_too_long: bool = False
    """Whether the body has more bytes than the settings allow."""

    # Set by `web/request_body.py`; dropped by `exchange/retention.py`.
    parse_error: APIError | None = None
    """The error of a body that cannot be parsed, until the call is completed."""

    # --- faults

    # Set by `web/fault_middleware.py`.
    fault_changes_body: bool = False
    """Whether the fault of the call may change the body of the answer, or cut it."""

    # Set by `web/fault_search.py`.
    has_directive: bool = False
    """Whether a directive was taken out of the prompt of `cached_call`. The body still has it."""

    # Set by `web/fault_middleware.py`; dropped by `exchange/retention.py`.
    fault_message_values: Mapping[str, Any] | None = None
    """Values of the call that the message of a fault's error may name."""

    # Set by `faults/downloads.py`.
    is_expired: bool = False
    """Whether a fault makes the URL of this download count as expired."""

    # --- recordings and own answers

    # Set by `web/replay/recording_player.py`, `web/replay/miss_recorder.py`, and
    # `web/replay/replay_middleware.py` where no recording answers after all.
    omits_standard_headers: bool = False
    """Whether the answer has the headers of a recording, or of the upstream, in place of the API's
    standard ones."""

    # Set by `web/replay/recording_player.py`.
    breaks_off: bool = False
    """Whether the recorded answer ends before its body is whole."""

    # Set by `web/replay/miss_recorder.py`.
    goes_to_upstream: bool = False
    """Whether the call is forwarded to the upstream, because no recording answers it."""

    # Set by `web/replay/replay_middleware.py`; dropped by `exchange/retention.py`.
    replacement: AnswerReplacement | None = None
    """The replacement that `ReplayMiddleware` has claimed, because an own answer goes before a
    recording; `NO_REPLACEMENT` where the call has no own answer. None where `ReplayMiddleware` has
    claimed nothing: then the endpoint claims the own answer."""

    # --- the answer

    # Set by `web/azure_endpoints.py`, of a refused call by `web/fault_middleware.py`.
    deployment: str | None = None
    """The Azure deployment that the call reached."""

    # Set by `web/azure_endpoints.py`, of a refused call by `web/fault_middleware.py`.
    passed_api_management: bool = False
    """Whether Azure API Management let the call pass. The answer then has the headers of the
    service behind it."""

    # Set by `ServedExchange.hold_back_until`, to None by `web/answer_sender.py` and
    # `web/journal_middleware.py`.
    pending_write: asyncio.Future[None] | None = None
    """A write to the store that must succeed before the answer begins to leave."""

    _start: float = field(default_factory=perf_counter)

    @property
    def day(self) -> Day:
        """The day that decides messages and headers of the answer. It is the day of `any` where the
        call's `x-emulator-…` headers are invalid."""
        return (self.policy or Policy(today=self.time.date())).day

    @property
    def has_older_stack_headers(self) -> bool:
        """Whether the answer has its headers on the days of the older stack: see `StackDays`. It
        does where the operation stayed on that stack, and exists on the as-of of the call."""
        operation = self.image_operation
        as_of = self.policy.as_of if self.policy else None
        return bool(operation and operation.stayed_on_older_stack and as_of in operation.period)

    def error_answer(self, error: APIError) -> ErrorAnswer:
        """The answer of *error* in the words of the day that the call is judged by. Errors of the
        HTTP protocol (`protocol.py`) and of an upstream that cannot be reached have the newest
        words; those of the blob storage are a `StorageError`."""
        return error.answer_on(
            self.image_operation.message_day(self.day) if self.image_operation else self.day
        )

    def message_values(self, deployment: str, model: str) -> Mapping[str, str]:
        """The values that only this dialect's error messages name. On Azure they are the
        *deployment*, the *model* behind it and the API version."""
        return self.dialect.message_values(
            MessageFacts(self.image_operation, deployment, model, self.head.api_version)
        )

    @property
    def is_large(self) -> bool:
        """Whether the body is too long to search or parse it on the event loop."""
        return self.body_bytes > MAX_BYTES_ON_LOOP

    @property
    def elapsed_ms(self) -> float:
        """Milliseconds since the call's arrival, by the machine's clock."""
        return (perf_counter() - self._start) * 1000

    def keep_request_body(self, chunks: tuple[bytes, ...] | None) -> None:
        """Keep the body, in the *chunks* in which it arrived; None where it is too long."""
        self.chunks = chunks
        self.is_too_long = chunks is None
        if chunks is None:
            self.dropped = ("body",)
        self.body_bytes = sum(map(len, chunks or ()))

    def note_images(self, request: ImageRequest, answer: KnownAnswer) -> ImageRequest:
        """Note the images of an *answer* to *request* that the emulator has not made. Return the
        request with them, which is the `request` from now on."""
        self.request = request = answer.request_as_answered(request)
        self.answer.image_urls, self.answer.files = answer.urls, answer.files
        return request

    def note_forwarded(self, request: ImageRequest | None, answer: KnownAnswer) -> None:
        """Note the *answer* of the upstream to a call that makes *request*, before its last part is
        sent. Where the answer lacks the files, there is no request: the emulator has no pictures in
        their place."""
        self.answer.sent.note_known(answer)
        if request and answer.pictures:
            self.note_images(request, answer)

    def note_start(self, status: int, headers: RawHeaders = ()) -> None:
        """Note how the answer begins, before the client can see it."""
        self.answer.sent.start(status, headers, self._part_reader(status, headers))

    def _part_reader(self, status: int, headers: RawHeaders) -> PartReader:
        """The reader for the body of the answer that begins with *status* and *headers*."""
        answer, sent = self.answer, self.answer.sent
        if known := answer.known_answer:
            return (KnownStreamReader if known.is_stream else KnownBodyReader)(sent, known)
        is_drawn = status == 200 and not (self.is_download or answer.is_raw)
        request = self.request if is_drawn else None
        if request:
            if self.fault_changes_body or answer.is_described:
                return (ParsedStreamReader if request.stream else ParsedBodyReader)(sent)
            return StreamReader(sent) if request.stream else SkippingReader(sent, request.n)
        media_type = _media_type(headers)
        if self.goes_to_upstream and media_type.startswith(b"text/event-stream"):
            return StreamReader(sent)
        # The text of an answer is kept, but not of a file, nor of what an image operation makes.
        is_kept_text = self.image_operation is None and not media_type.startswith(_FILE_TYPES)
        if status >= 400 or (not self.is_download and (answer.is_raw or is_kept_text)):
            return TextReader(sent)
        return SkippingReader(sent, 0)

    def hold_back_until(self, write: Coroutine[Any, Any, None]) -> None:
        """Hold the answer back until *write*, a write to the store, is done. Called at most once.
        An exception of *write* is raised by the `send` of the answer, or by the `hang_up` in place
        of an answer."""
        assert self.pending_write is None
        self.pending_write = asyncio.ensure_future(write)
        self.pending_write.add_done_callback(lambda done: done.cancelled() or done.exception())

    def discard_answer(self) -> None:
        """Discard the answer, because another one is sent in its place. Nothing of it has left
        yet."""
        self.answer = CallAnswer()
        self.duration_ms, self.weight = None, EXCHANGE_OVERHEAD_BYTES

    def note_end(self) -> None:
        """Note the end of the answer: its last part is about to be sent, or the application's call
        has ended without a last part."""
        duration_ms = self.elapsed_ms
        answer = self.answer
        protocol_answer = self.connection and self.connection.protocol_answer
        if protocol_answer and answer.sent.status is None:
            self.note_start(protocol_answer.status)
            answer.sent.add(protocol_answer.body, duration_ms)
            answer.sent.end()
        if self.connection and not answer.sent.is_whole:
            answer.is_stopped = self.connection.is_stopped
        answer.sent.close()
        # Last: from now on other threads take the answer as it is for the whole one.
        self.duration_ms = duration_ms


_FILE_TYPES: Final = (b"application/octet-stream", b"image/", b"audio/", b"video/")
"""The beginnings of the media types of files, whose bytes are no text."""


def _media_type(headers: RawHeaders) -> bytes:
    """The `content-type` in *headers*, in lower case; empty where there is none."""
    values = (value for name, value in headers if name.lower() == b"content-type")
    return next(values, b"").lower()


def exchange_of(scope: MutableMapping[str, Any]) -> ServedExchange:
    """The exchange of the call in an ASGI *scope*."""
    exchange: ServedExchange = scope["state"][EXCHANGE]
    return exchange
