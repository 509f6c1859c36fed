"""The exchange: one call and its answer, as one typed value.

An `Exchange` is what the journal keeps and what tests read. The process that serves the call has a
`ServedExchange` (`served_exchange.py`), which is an `Exchange` with everything that only the answer
needs. Separate modules describe an answer that has left: `outcome.py`, `sent_images.py` (with the
price), `answer_body.py`. The exchange holds its answer as a `CallAnswer`
(`call_answer.py`), which holds the part that was sent as a `SentAnswer` (`sent_answer.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from images_emulator.contract.dialect import OPENAI, Dialect
from images_emulator.contract.models import MODELS
from images_emulator.contract.notices import NOTICE_HEADER
from images_emulator.contract.operations import FORM, Operation
from images_emulator.contract.refusal import APIError
from images_emulator.contract.request import ImageRequest, ParsedCall
from images_emulator.contract.usage import Usage, read_usage, usage_of
from images_emulator.exchange.answer_body import images_body, stream_body
from images_emulator.exchange.answer_json import error_in
from images_emulator.exchange.body_parser import parse_body
from images_emulator.exchange.call_answer import CallAnswer
from images_emulator.exchange.call_details import (
    CallDetails,
    FormPart,
    UploadDetails,
    details_of,
    form_parts,
)
from images_emulator.exchange.credentials import redacted_answer
from images_emulator.exchange.form_parser import list_parts
from images_emulator.exchange.near_miss import NearMiss
from images_emulator.exchange.outcome import Outcome, outcome_of
from images_emulator.exchange.request_head import RequestHead
from images_emulator.exchange.sent_answer import SentEvent
from images_emulator.exchange.sent_file import FileKey, SentFile
from images_emulator.exchange.sent_images import ImageParameters, SentImage, price_of, sent_images
from images_emulator.exchange.trace_context import trace_id_in

EXCHANGE_OVERHEAD_BYTES: Final = 2048
"""Bytes that a completed exchange takes beside its head, its body and its pictures, about."""

MAX_REPARSE_BYTES: Final = 16_384
"""The most bytes of a body that is parsed again whenever a reader asks for the call's details. A
parsed body may take 24 times its length, so it is not kept. For a longer body the journal keeps
the details, if the body was parsed to answer the call. The log makes the line of a call with a
longer body at once, so that the body is not kept while the line waits to be written."""

ExchangeKind = Literal["call", "download"]
"""The kind of an exchange in JSON and in filters: a call to the API, or a `download`, a request for
a hosted picture."""

READABLE_ATTRIBUTES: Final = (
    "id",
    "time",
    "is_download",
    "number",
    "namespace",
    "recording_miss",
    "near_misses",
    "duration_ms",
    "dropped",
)
"""The attributes of an `Exchange` that a reader in any thread may read, beside its properties. They
are replaced and never changed."""


@dataclass(slots=True, weakref_slot=True, eq=False)
class Exchange:
    """One call and its answer: an entry of the journal.

    Its readers are tests, observers of the journal, the thread of the log, and handlers of the
    admin API. They read it and change nothing: neither an attribute nor the value of one. The
    properties, from `details` on, describe the call and its answer.

    - A call that another process has served is read from the shared store: a new object, as that
      process wrote it last. Its reader may read all of it in its own thread. Several readers may
      share the objects of `Log.summaries`.
    - A call that this process serves is its `ServedExchange`, the very object that the server fills
      in, even while the call is answered. A reader in any thread may read the properties, and of
      the attributes `head` and the `READABLE_ATTRIBUTES`. Once the call `has_ended`, it may also
      read `request`, `hosted_index` and `answer`; the journal may replace `request` all the same.
      Until then a property may be newer than one that was read before it. The other attributes are
      for the server's thread.
    """

    # --- the arrival

    head: RequestHead
    id: str
    """`req_` and 32 hexadecimal digits; a UUID on Azure's paths and for a download."""

    # Set by `web/journal_middleware.py`, once the call is entered in the journal.
    time: datetime
    """The time of the call's arrival, by the emulator's clock."""
    is_download: bool = False
    """Whether it is a request for a hosted picture."""

    # Set by `web/journal_middleware.py`.
    number: int | None = None
    """The call's number in the order of arrival since the last reset, from 1.

    - 0 where the shared store could not be reached at the arrival, so that the journal got the call
      later, and where the store has refused the call, so that the journal lacks it.
    - None until the call is entered in the journal, and for a call of another process until it is
      over.
    """
    namespace: str | None = None
    """The name of the namespace that the call reached; None for the default one."""
    dialect: Dialect = OPENAI
    image_operation: Operation | None = None
    """The image operation that the path leads to; None for every other path."""

    # --- the body

    # Set by `ServedExchange.keep_request_body`, of a prepared call by `web/images_api.py`; dropped
    # by `exchange/retention.py`.
    chunks: tuple[bytes, ...] | None = None
    """The body, in the chunks in which it arrived. None until it is read, where it is too long, and
    where it is not kept any more."""

    # Set by `ServedExchange.keep_request_body`; dropped by `exchange/retention.py`.
    body_bytes: int = 0
    """The length of the body in `chunks`."""

    # Set by `web/request_body.py`, with a directive by `web/fault_search.py`; dropped by
    # `exchange/retention.py`.
    cached_call: ParsedCall | None = None
    """The parsed body, once it is parsed and until the call is completed; see `parsed_call`."""

    # --- what has answered the call

    # Set by `web/fault_middleware.py`.
    fault_label: str | None = None
    """The `label` of the fault that the call was given; see `fault`."""

    # Set by `web/fault_search.py`; more are added by `web/own_answer_claim.py` and
    # `web/replay/miss_handler.py`.
    near_misses: Sequence[NearMiss] = ()
    """Why the call met none of the first steps of the scenario: steps with a fault, unless it met
    a fault, and steps with an answer, unless it met an answer. Where no recording answers the call,
    the nearest recordings follow."""

    # Set by `web/replay/recording_player.py`, and `web/replay/replay_middleware.py` where no
    # recording answers after all.
    recording_name: str | None = None
    """The `name` of the recording that answers the call; see `recording`."""

    # Set by `web/replay/recording_search.py`, `web/replay/miss_handler.py`, and of a picture that
    # cannot be sent by `web/replay/recording_player.py`.
    recording_miss: str | None = None
    """The reason why no recording answers the call, in a sentence. None where one does, and where
    there are no recordings."""

    # Set by `web/images_api.py`; of a download by `web/journal_middleware.py` or
    # `web/replay/recording_player.py`; where the answer was recorded or forwarded by
    # `ServedExchange.note_images` and `web/replay/miss_recorder.py`; reduced or dropped by
    # `exchange/retention.py`.
    request: ImageRequest | None = None
    """The validated request; where the answer was recorded or forwarded, with the pictures and the
    parameters of that. For a download, the request of its picture."""

    # Set by `web/journal_middleware.py`.
    hosted_index: int | None = None
    """For a download, the index of its picture in the answer that had its URL. None where there is
    no picture at that path."""

    # --- the answer and the end

    # Set by `ServedExchange.discard_answer`.
    answer: CallAnswer = field(default_factory=CallAnswer)

    # Set by `ServedExchange.note_end` and `ServedExchange.discard_answer`.
    duration_ms: float | None = None
    """Milliseconds from arrival to end; None until the end, see `has_ended`."""

    # Set by `exchange/retention.py` and `ServedExchange.discard_answer`.
    weight: int = EXCHANGE_OVERHEAD_BYTES
    """Bytes that the journal counts for the exchange, about."""

    # Set by `ServedExchange.keep_request_body` and `exchange/retention.py`.
    dropped: Sequence[str] = ()
    """The parts that are not kept any more: `body`, `pictures`."""

    # Set by `exchange/retention.py`, of a prepared call by `web/images_api.py`.
    cached_details: CallDetails | None = None
    """The details, once they are worked out. Calls with equal bodies may share them."""

    # --- the span

    # Set by `web/instruments/tracing.py`.
    span_trace_id: str | None = None
    """The trace of the call's span, as 32 hexadecimal digits; None where none is recorded."""

    def __eq__(self, other: object) -> bool:
        """Whether both are the same call: a shared store may make another object of it."""
        return isinstance(other, Exchange) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def details(self) -> CallDetails:
        """The model, prompt, parameters and uploads of the call, as far as they are known."""
        # These three are read before `cached_details`. Another thread may drop them meanwhile, the
        # call by `drop_unkept` and the others by `drop_body_and_pictures`. Each first sets
        # `cached_details`, where it will be needed.
        call, request, chunks = self.cached_call, self.request, self.chunks
        if details := self.cached_details:
            return details
        if self.is_download:
            if request is None:
                return CallDetails()
            return CallDetails(request.model.id, request.prompt or None)
        may_parse = self.body_bytes <= MAX_REPARSE_BYTES
        return details_of(self._parse(call, chunks) if may_parse else call, request)

    def _parse(
        self, call: ParsedCall | None, chunks: tuple[bytes, ...] | None
    ) -> ParsedCall | None:
        """The parsed body; None where there is none or it cannot be parsed."""
        if call or not chunks or not self.image_operation:
            return call
        with suppress(APIError):
            return parse_body(self.head.header(b"content-type"), chunks, self.image_operation)
        return None

    @property
    def parsed_call(self) -> ParsedCall | None:
        """The parsed body of a call to an image operation. None where it cannot be parsed, or is
        not kept. It may parse the body again, which takes a second for 200 MB."""
        return self._parse(self.cached_call, self.chunks)

    @property
    def kind(self) -> ExchangeKind:
        """`call`, or `download` for a request for a hosted picture."""
        return "download" if self.is_download else "call"

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.head.method

    @property
    def path(self) -> str:
        """The path, without the query."""
        return self.head.path

    @property
    def query(self) -> str:
        """The query string, without `?`; credentials are redacted."""
        return self.head.redacted_query

    @property
    def headers(self) -> Mapping[str, str]:
        """The request's headers by their names in lower case; credentials are redacted."""
        return self.head.redacted_headers

    @property
    def key(self) -> str | None:
        """The API key that was sent, redacted where it has more than 12 characters."""
        return self.head.redacted_key

    @property
    def trace_id(self) -> str | None:
        """The trace that the call belongs to: the trace of its span, or else of the client's header
        `traceparent`."""
        return self.span_trace_id or trace_id_in(self.head.header(b"traceparent"))

    @property
    def retries(self) -> int:
        """The number of the SDK's earlier attempts, as the SDK tells it in a header."""
        return self.head.retry_count

    @property
    def sdk(self) -> str | None:
        """The SDK, such as `openai-python 3.52.0`, or else the first word of the user agent."""
        return self.head.sdk

    @property
    def model(self) -> str | None:
        """The model that answers, or else the model as it was sent."""
        return self.details.model

    @property
    def prompt(self) -> str | None:
        """The prompt; None for a call that has none."""
        return self.details.prompt

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The other parameters: for a validated call with their defaults, else as they were
        sent."""
        return self.details.parameters

    @property
    def sent_names(self) -> Sequence[str]:
        """The names in the body, as far as known. Unlike `parameters`, they leave out defaults."""
        return self.details.sent_names

    @property
    def uploads(self) -> Sequence[UploadDetails]:
        """The images that came with the call, the mask among them."""
        return self.details.uploads

    @property
    def violations(self) -> Sequence[str]:
        """The mistakes that lenient validation forgave, as `param: code`."""
        return self.details.violations

    @property
    def notices(self) -> Sequence[str]:
        """The emulator's notices on the call, from the headers `x-emulator-notice`: a path that is
        probably meant, a model that was shut down, a picture that is not what was asked for."""
        headers = self.answer.sent.headers
        return [value.decode("latin-1") for name, value in headers if name == NOTICE_HEADER]

    @property
    def fault(self) -> str | None:
        """The name of the fault that the call was given, such as `timeout` or `server_error`."""
        return self.fault_label

    @property
    def recording(self) -> str | None:
        """The name of the recording that answers the call: that of its file, without a suffix."""
        return self.recording_name

    @property
    def own_answer(self) -> str | None:
        """The name of the own answer that the call was given: the name of its picture, or `answer`,
        `raw 503`, `function f`."""
        return self.answer.own_answer_label

    @property
    def status(self) -> int | None:
        """The status that was sent. None until then, and where the connection was cut earlier."""
        return self.answer.sent.status

    @property
    def has_ended(self) -> bool:
        """Whether the call is over. It ends just before the last part of the answer is sent, or
        when the call is given up."""
        return self.duration_ms is not None

    @property
    def outcome(self) -> Outcome:
        """`answered`, `refused`, `failed` (a stream that ended with an error), `cut` (the server
        closed the connection: for a fault or a recording, as its upstream did, or when it
        stopped), `gone` (the client left first) or `waiting`."""
        answer, has_ended = self.answer, self.has_ended
        return outcome_of(answer.sent, has_ended=has_ended, is_closed=answer.is_closed)

    @property
    def event_count(self) -> int:
        """The number of events of a stream that were sent."""
        return self.answer.sent.event_count

    @property
    def stream_events(self) -> Sequence[SentEvent]:
        """The first events of a stream that were sent, with their types and times."""
        return self.answer.sent.kept_events

    @property
    def partial_count(self) -> int:
        """The number of partial images that were sent, among the `stream_events`."""
        return self.answer.sent.partial_count

    @property
    def image_indexes(self) -> Sequence[int]:
        """The indexes of the images that were sent whole."""
        return self.answer.sent.image_indexes

    @property
    def drawn_request(self) -> ImageRequest | None:
        """The request from which the pictures of the answer can be drawn again. None where no
        picture was sent."""
        return self.request if self.image_indexes else None

    def picture_request(self, index: int) -> ImageRequest | None:
        """The request from which picture *index* can be drawn again: a picture that was sent, or
        the picture of a download. None for any other."""
        if self.is_download:
            return self.request if index == self.hosted_index else None
        return self.drawn_request if index in self.image_indexes else None

    @property
    def pictures(self) -> Sequence[SentImage]:
        """The images that were sent whole: their sizes, formats and lengths."""
        request, parameters, answer = self.request, self._image_parameters, self.answer
        if parameters is None:
            return ()
        files = {index: answer.files.get(FileKey(index)) for index in answer.sent.image_indexes}
        return sent_images(files, parameters, request)

    @property
    def _image_parameters(self) -> ImageParameters | None:
        """The parameters of the images that were sent; None where none was."""
        if not self.image_indexes:
            return None
        if request := self.request:
            return ImageParameters.from_request(request)
        # A recorded answer may be to a call that no rule knows.
        with suppress(KeyError, ValueError, AttributeError):
            return ImageParameters.from_details(self.details.parameters)
        return None

    @property
    def usage(self) -> Usage | None:
        """The tokens of the answer, as its `usage` tells them. None for a model that counts no
        tokens, and where no usage was sent."""
        # The request is read first: `drop_body_and_pictures` sets `cached_usage` before it drops
        # the request.
        request = self.request if self.image_indexes else None
        answer = self.answer
        if usage := answer.cached_usage or answer.sent.usage:
            return usage
        if request is None or answer.sent.body_may_differ:
            return None
        counts = answer.overrides.usage
        usage = usage_of(request, self.partial_count) if counts is None else read_usage(counts)
        answer.cached_usage = usage
        return usage

    @property
    def price_usd(self) -> float | None:
        """The API's price for the answer, in US dollars. None where the answer lacks what the model
        is priced by, images or usage. None where no source tells the price, as for the model that
        writes an SVG."""
        request = self.request
        model = request.model if request else MODELS.get(self.model or "")
        return price_of(model, len(self.image_indexes), self._image_parameters, self.usage)

    @property
    def is_kept_whole(self) -> bool:
        """Whether the journal still has all that it keeps of a call: neither its body nor its
        pictures have been dropped, and the body was not too long to keep."""
        return not self.dropped

    @property
    def error(self) -> Mapping[str, Any] | None:
        """The `error` object of the answer, or of the event that ended the stream. The API key is
        redacted."""
        sent = self.answer.sent
        return error_in(self._redact(sent.error_body), is_stream=sent.is_stream)

    @property
    def error_code(self) -> str | None:
        """The `code` in `error`."""
        return (self.error or {}).get("code")

    @property
    def answer_headers(self) -> Mapping[str, str]:
        """The headers of the answer by their names in lower case. The values of a header that came
        twice are joined with a comma. Headers that the HTTP server adds (`date`) are left out."""
        headers: dict[str, str] = {}
        for raw_name, raw_value in self.answer.sent.headers:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return headers

    @property
    def answer_body(self) -> str | None:
        """The body of the answer as far as it has left, with only the beginning of each image:
        `iVBORw0K… (57,344 characters)`. None where there is no body, where it is not kept any more,
        and for the bytes of a file."""
        body = self.answer_bytes
        return None if body is None else body.decode(errors="replace")

    @property
    def answer_bytes(self) -> bytes | None:
        """`answer_body` as bytes. The API key in an error is redacted."""
        # The request is read first: `drop_body_and_pictures` sets `dropped` before it drops the
        # request.
        request, answer = self.request, self.answer
        sent, overrides = answer.sent, answer.overrides
        if sent.body or sent.body_may_differ:
            return self._redact(bytes(sent.body))
        if sent.error_body and not sent.is_stream:
            return self._redact(sent.error_body)
        if request is None or answer.is_raw or self.is_download or sent.status != 200:
            return None
        if "body" in self.dropped:
            # An answer repeats values of its call, so it is dropped with the call's body.
            return None
        # The usage of an own answer may have other keys than `Usage` has.
        usage = self.usage if overrides.usage is None else usage_of(request)
        if sent.is_stream:
            return stream_body(request, answer.files, usage, sent, overrides)
        if not sent.is_whole:
            return None
        images: Sequence[SentFile] | Sequence[bytes] = answer.image_urls
        if not images:
            images = [answer.files[FileKey(index)] for index in range(request.n)]
        return images_body(
            request,
            images,
            usage,
            self.dialect,
            overrides,
            request_id=self.id,
            time=self.time,
        )

    def _redact(self, answer: bytes) -> bytes:
        return redacted_answer(answer, self.head.api_key) if answer else answer

    @property
    def body(self) -> bytes | None:
        """The body as it arrived. None where it was not read or is not kept any more."""
        chunks = self.chunks
        return None if chunks is None else b"".join(chunks)

    @property
    def form(self) -> Sequence[FormPart] | None:
        """The parts of a form in their order. None for another body, and where the body is not
        kept. Each read parses the body again."""
        content_type, chunks = self.head.header(b"content-type"), self.chunks
        if not chunks or not content_type.lower().startswith(FORM):
            return None
        with suppress(APIError):
            return form_parts(*list_parts(content_type, chunks))
        return None

    def came_with(self, key: str) -> bool:
        """Whether the call was sent with *key*, which may be whole or redacted."""
        return key in (self.head.api_key, self.key)

    def __str__(self) -> str:
        duration = "unfinished" if self.duration_ms is None else f"{self.duration_ms:.0f} ms"
        error = self.error or {}
        code = error.get("code") or error.get("type")
        parts = (self.method, self.path, self.model, self.status, code, duration)
        return " ".join(str(part) for part in parts if part is not None)

    def __repr__(self) -> str:
        return f"<{self.id}: {self}>"
