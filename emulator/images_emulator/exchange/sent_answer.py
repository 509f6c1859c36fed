"""The sent part of an answer: its status, its events, and the images that a client can open."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from images_emulator.contract.events import EVENT_END
from images_emulator.contract.request import ImageRequest
from images_emulator.contract.usage import Usage
from images_emulator.exchange.answer_json import image_items, is_image, json_value, usage_in
from images_emulator.exchange.request_head import RawHeaders
from images_emulator.exchange.sent_file import without_base64

if TYPE_CHECKING:
    from images_emulator.exchange.known_answer import KnownAnswer

MAX_ERROR_BYTES: Final = 16_384
"""The most bytes of a refusal's body that are kept."""

MAX_BODY_BYTES: Final = 16_384
"""The most bytes of the text of another body that are kept."""

MAX_KEPT_EVENTS: Final = 64
"""The most events of a stream that are kept. Further ones are only counted."""

MAX_EVENT_HEAD_BYTES: Final = 96
"""The most bytes of the beginning of an event that are kept. They hold its name, and the `type` in
its data."""

MAX_TIME_BYTES: Final = 32
"""The most bytes that are kept of an event's `created_at` where it is not among the first
`MAX_EVENT_HEAD_BYTES`."""

EVENT_BYTES: Final = 320
"""Bytes that a kept event takes in memory, about."""

_PARTIAL: Final = b".partial_image"
_COMPLETED: Final = b".completed"
_ERROR: Final = b"event: error"
_TIME: Final = b'"created_at":'


class SentEvent(NamedTuple):
    """An event of a stream, as it was when its last byte was about to leave."""

    head: bytes
    """Its first bytes, and those of its time."""
    ms: float
    """Milliseconds since the call arrived."""
    bytes: int
    """Its length."""

    @property
    def type(self) -> str:
        """The name of the event; `message`, as in the standard, where it has none."""
        line = _first_line(self.head)
        name = line.removeprefix(b"event: ") if line.startswith(b"event: ") else b"message"
        return name.decode(errors="replace")

    @property
    def is_partial_image(self) -> bool:
        """Whether the event has a partial image."""
        return _first_line(self.head).endswith(_PARTIAL)


@dataclass(slots=True, eq=False)
class SentAnswer:
    """One answer while it is sent."""

    status: int | None = None
    """None before the answer starts."""
    headers: RawHeaders = ()
    body: bytes | bytearray = b""
    """The text of a body that the journal cannot make again. With `body_may_differ` it has lost its
    base64. It is cut at `MAX_BODY_BYTES`."""
    event_count: int = 0
    """The number of server-sent events, in chunks of any length."""
    image_indexes: tuple[int, ...] = ()
    """The indexes, from 0, of the images that were sent whole."""
    error_body: bytes = b""
    """The beginning of a refusal's body, or the `error` event that ended a stream."""
    is_stream: bool = False
    """Whether the answer is a stream of events."""
    is_whole: bool = False
    """Whether all of the answer was sent."""
    needs_parts: bool = False
    """Whether `AnswerSender` has to call `add` for the parts of the body."""
    kept_events: Sequence[SentEvent] = ()
    """The first `MAX_KEPT_EVENTS` events."""
    body_may_differ: bool = False
    """Whether the body may differ from the one that the emulator makes of the request: a fault may
    rewrite or cut it, or it was recorded or forwarded. Then `body` and `usage` are noted of what
    leaves. Otherwise the journal makes the body of an image operation again."""
    usage: Usage | None = None
    """The usage in the body, with `body_may_differ`."""
    _part_reader: _PartReader | None = None
    """What reads the parts of the body; None before the answer starts, and after its end."""

    @property
    def partial_count(self) -> int:
        """The number of partial images that have left, among `kept_events`."""
        return sum(event.is_partial_image for event in self.kept_events)

    @property
    def weight(self) -> int:
        """Bytes that the kept parts of the body take, about."""
        return len(self.error_body) + len(self.body) + EVENT_BYTES * len(self.kept_events)

    def start(
        self,
        status: int,
        request: ImageRequest | None,
        headers: RawHeaders = (),
        *,
        body_may_differ: bool,
        keeps_answer_text: bool = False,
        known_answer: KnownAnswer | None = None,
        is_forwarded_stream: bool = False,
    ) -> None:
        """Note *status* and *headers*. With *body_may_differ* the body may be another one than the
        emulator makes of the *request*, so it is read to find its images, unless there is a
        *known_answer*. With *keeps_answer_text* the beginning of the body is kept.
        *is_forwarded_stream* tells of a stream that comes from an upstream, whose *request* is not
        known here."""
        self.status = status
        self.headers = headers
        request = request if status == 200 else None
        self.is_stream = (
            known_answer.is_stream
            if known_answer
            else is_forwarded_stream or bool(request and request.stream)
        )
        self.body_may_differ = known_answer is not None or (body_may_differ and request is not None)
        self.needs_parts = (
            self.is_stream or self.body_may_differ or keeps_answer_text or status >= 400
        )
        if self.is_stream:
            self.kept_events = []
        self._part_reader = _part_reader_of(self, request, known_answer)

    def note_known(self, answer: KnownAnswer) -> None:
        """Note what is known of the whole body before its last part is noted."""
        self.image_indexes, self.usage = answer.image_indexes, answer.usage
        self.body, self.body_may_differ = b"".join(answer.texts)[:MAX_BODY_BYTES], True

    def add(self, part: bytes, ms: float) -> None:
        """Note a part of the body that is about to leave, *ms* milliseconds after the call's
        arrival."""
        if self._part_reader:
            self._part_reader.add(part, ms)

    def end(self) -> None:
        """Note that the last part of the body is about to leave."""
        self.is_whole = True
        if self._part_reader:
            self._part_reader.end()

    def close(self) -> None:
        """Note that no further part follows."""
        if self._part_reader:
            self._part_reader.close()
        self._part_reader = None


class _PartReader(ABC):
    """Reads the parts of an answer while they leave, and notes in *sent* what is in them."""

    def __init__(self, sent: SentAnswer) -> None:
        self.sent = sent

    @abstractmethod
    def add(self, part: bytes, ms: float) -> None:
        """See `SentAnswer.add`."""

    def end(self) -> None:  # noqa: B027 - a stream has nothing to do
        """See `SentAnswer.end`."""

    def close(self) -> None:  # noqa: B027 - most have nothing to do
        """See `SentAnswer.close`."""

    def add_to_body(self, text: bytes) -> None:
        """Add *text* to the kept part of the body."""
        self.sent.body = (self.sent.body + text)[:MAX_BODY_BYTES]

    def add_to_error(self, text: bytes) -> None:
        """Add *text* to the kept part of the error."""
        self.sent.error_body = (self.sent.error_body + text)[:MAX_ERROR_BYTES]


class _BodyReader(_PartReader):
    """Reads the text of a body that is no stream. Where the body has the *image_count* images
    that the emulator makes of the request, no part is passed to it."""

    def __init__(self, sent: SentAnswer, image_count: int) -> None:
        super().__init__(sent)
        self._image_count = image_count

    def add(self, part: bytes, ms: float) -> None:
        if (self.sent.status or 0) >= 400:
            self.add_to_error(part)
        else:
            self.add_to_body(part)

    def end(self) -> None:
        if self._image_count:
            self.sent.image_indexes = tuple(range(self._image_count))


class _ParsedBodyReader(_PartReader):
    """Reads a body that may differ, and that is no stream. Its images and its usage are looked for
    at the end."""

    def __init__(self, sent: SentAnswer) -> None:
        super().__init__(sent)
        self._parts = bytearray()

    def add(self, part: bytes, ms: float) -> None:
        self._parts += part

    def end(self) -> None:
        payload = json_value(self._parts)
        self.sent.image_indexes = tuple(index for index, _ in image_items(payload))
        self.sent.usage = usage_in(payload)

    def close(self) -> None:
        if self._parts:
            self.add_to_body(without_base64(self._parts))


class _KnownBodyReader(_PartReader):
    """Reads a body that is no stream, and is known before it is sent."""

    def __init__(self, sent: SentAnswer, known_answer: KnownAnswer) -> None:
        super().__init__(sent)
        self._known_answer = known_answer
        self._texts = iter(known_answer.texts)

    def add(self, part: bytes, ms: float) -> None:
        text = next(self._texts, b"")
        self.add_to_body(text)
        if (self.sent.status or 0) >= 400:
            self.add_to_error(text)

    def end(self) -> None:
        self.sent.image_indexes = self._known_answer.image_indexes
        self.sent.usage = self._known_answer.usage


class _StreamReader(_PartReader):
    """Reads a stream whose events are as the emulator makes them of the request. The event that
    completes it has the image."""

    def __init__(self, sent: SentAnswer) -> None:
        super().__init__(sent)
        self._pending = bytearray()
        """The beginning of an event."""

    def add(self, part: bytes, ms: float) -> None:
        pending = self._pending
        if not pending and _is_event(part):
            self.add_event(part, ms)
            return
        # The end of an event may lie in two parts.
        search_start = max(0, len(pending) - 3)
        pending += part
        while end := _end_of_event(pending, search_start):
            self.add_event(bytes(pending[:end]), ms)
            del pending[:end]
            search_start = 0

    def add_event(self, event: bytes, ms: float) -> None:
        """Note an *event* whose last byte is about to leave."""
        sent = self.sent
        if event.startswith((b":", b"\n")):
            # A comment, which clients overlook.
            return
        sent.event_count += 1
        head = _head_of(event)
        if sent.event_count <= MAX_KEPT_EVENTS:
            assert isinstance(sent.kept_events, list)
            sent.kept_events.append(SentEvent(head, ms, len(event)))
        name_line = _first_line(head)
        sent.error_body = event[:MAX_ERROR_BYTES] if name_line == _ERROR else b""
        if name_line.endswith(_COMPLETED):
            self.add_completion(event)

    def add_completion(self, event: bytes) -> None:
        """Note the *event* that completes the stream."""
        self.sent.image_indexes = (0,)


class _ParsedStreamReader(_StreamReader):
    """Reads a stream that may differ: also the text and the usage of its events."""

    def add_event(self, event: bytes, ms: float) -> None:
        self.add_to_body(without_base64(event))
        super().add_event(event, ms)

    def add_completion(self, event: bytes) -> None:
        payload = json_value(event.partition(b"\ndata: ")[2])
        self.sent.usage = usage_in(payload)
        if is_image(payload):
            self.sent.image_indexes = (0,)

    def close(self) -> None:
        if self._pending:
            self.add_to_body(without_base64(self._pending))


class _KnownStreamReader(_StreamReader):
    """Reads a stream that is known before it is sent."""

    def __init__(self, sent: SentAnswer, known_answer: KnownAnswer) -> None:
        super().__init__(sent)
        self._known_answer = known_answer
        self._texts = iter(known_answer.texts)

    def add(self, part: bytes, ms: float) -> None:
        self.add_to_body(next(self._texts, b""))
        super().add(part, ms)

    def add_completion(self, event: bytes) -> None:
        super().add_completion(event)
        self.sent.usage = self._known_answer.usage


def _part_reader_of(
    sent: SentAnswer, request: ImageRequest | None, known_answer: KnownAnswer | None
) -> _PartReader:
    """The reader of the parts of an answer that starts."""
    if known_answer:
        return (_KnownStreamReader if sent.is_stream else _KnownBodyReader)(sent, known_answer)
    if sent.is_stream:
        return (_ParsedStreamReader if sent.body_may_differ else _StreamReader)(sent)
    if sent.body_may_differ:
        return _ParsedBodyReader(sent)
    return _BodyReader(sent, request.n if request else 0)


def _head_of(event: bytes) -> bytes:
    """The bytes of *event* that are kept. In an event of 2025 the time comes behind the image."""
    head = event[:MAX_EVENT_HEAD_BYTES]
    time_start = -1 if _TIME in head else event.rfind(_TIME)
    return head if time_start < 0 else head + event[time_start : time_start + MAX_TIME_BYTES]


def _first_line(event: bytes) -> bytes:
    """The first line of *event*, which has its name, without the end of the line."""
    return event.partition(b"\n")[0].removesuffix(b"\r")


def _end_of_event(data: bytearray, start: int) -> int:
    """The index behind the first event in *data*, whose end is searched from *start* on; 0 where it
    has no end yet. Recorded streams may have CRLF at the ends of their lines."""
    if data.find(b"\r", start) < 0:
        last_line_end = data.find(b"\n\n", start)
        return last_line_end + 2 if last_line_end >= 0 else 0
    end = EVENT_END.search(data, start)
    if end is None or (data.endswith(b"\r") and end.end() == len(data)):
        return 0  # the rest of the last CRLF may follow
    return end.end()


def _is_event(part: bytes) -> bool:
    """Whether *part* is one whole event of two lines, as it nearly always is. Searching for a
    single byte is ten times as fast as for two, and an event may have megabytes."""
    first_end = part.find(b"\n")
    second_end = part.find(b"\n", first_end + 1)
    return first_end > 0 and second_end == len(part) - 2 and part.endswith(b"\n")
