"""The sent part of an answer: its status, its events, and the images that a client can open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

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
"""The most bytes that are kept of the time of an event that has it further behind."""

EVENT_BYTES: Final = 320
"""Bytes that a kept event takes in memory, about."""

_PARTIAL: Final = b".partial_image"
_COMPLETED: Final = b".completed"
_ERROR: Final = b"event: error\n"
_TIME: Final = b'"created_at":'


class SentEvent(NamedTuple):
    """An event of a stream, as it was when its last byte left."""

    head: bytes
    """Its first bytes, and those of its time."""
    ms: float
    """Milliseconds since the call arrived."""
    bytes: int
    """Its length."""

    @property
    def type(self) -> str:
        """The name of the event; `message`, as in the standard, where it has none."""
        line = self.head.partition(b"\n")[0]
        name = line.removeprefix(b"event: ") if line.startswith(b"event: ") else b"message"
        return name.decode(errors="replace")

    @property
    def is_partial_image(self) -> bool:
        """Whether the event has a partial image."""
        return self.head.partition(b"\n")[0].endswith(_PARTIAL)


class SentAnswer:
    """One answer while it is sent.

    - *event_count*: the number of server-sent events, in chunks of any length.
    - *kept_events*: the first `MAX_KEPT_EVENTS` events.
    - *image_indexes*: the indexes, from 0, of the images that were sent whole.
    - *error_body*: the beginning of a refusal's body, or the `error` event that ended a stream.
    - *is_whole*: whether all of the answer was sent.
    - *body*: the text of a body that the journal cannot make again. A body that was recorded, or
      that a fault may have changed, has lost its base64. Of a body without images it is the
      beginning.
    """

    __slots__ = (
        "_is_stream",
        "_known",
        "_part_count",
        "_pending",
        "_request",
        "body",
        "body_may_change",
        "error_body",
        "event_count",
        "headers",
        "image_indexes",
        "is_whole",
        "kept_events",
        "listens",
        "status",
        "usage",
    )

    def __init__(self) -> None:
        self.status: int | None = None
        self.headers: RawHeaders = ()
        self.body: bytes | bytearray = b""
        self.event_count = 0
        self.image_indexes: tuple[int, ...] = ()
        self.error_body = b""
        self.is_whole = False
        self.listens = False
        """Whether `AnswerRecorder` has to call `add` for the parts of the body."""
        self.kept_events: Sequence[SentEvent] = ()
        self.body_may_change = False
        """Whether the body may be another one than the emulator makes of the request. A fault may
        have rewritten or cut it, or it was recorded."""
        self.usage: Usage | None = None
        """The usage in the body, where `body_may_change`."""
        self._request: ImageRequest | None = None
        self._known: KnownAnswer | None = None
        self._part_count = 0
        self._is_stream = False
        self._pending: bytearray | None = None

    @classmethod
    def completed(
        cls,
        status: int | None,
        *,
        event_count: int,
        image_indexes: tuple[int, ...],
        error_body: bytes,
        is_stream: bool,
        is_whole: bool = True,
        kept_events: Sequence[SentEvent] = (),
        body_may_change: bool = False,
        headers: RawHeaders = (),
        body: bytes = b"",
    ) -> SentAnswer:
        """An answer that has ended: nothing more of it will leave."""
        sent = cls()
        sent.status, sent.event_count, sent.image_indexes = status, event_count, image_indexes
        sent.error_body, sent._is_stream, sent.is_whole = error_body, is_stream, is_whole
        sent.kept_events, sent.body_may_change = kept_events, body_may_change
        sent.headers, sent.body = headers, body
        return sent

    @property
    def is_stream(self) -> bool:
        """Whether the answer is a stream of events."""
        return self._is_stream

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
        body_may_change: bool,
        keep_body: bool = False,
        known: KnownAnswer | None = None,
    ) -> None:
        """Note *status* and *headers*. With *body_may_change* a fault may rewrite or cut the body,
        so the body is read to find its images, unless *known* has them. With *keep_body* the
        beginning of the body is kept."""
        self.status = status
        self.headers = headers
        self._request = request if status == 200 else None
        self._is_stream = bool(self._request and self._request.stream)
        self.body_may_change = body_may_change and self._request is not None
        self.listens = self._is_stream or self.body_may_change or keep_body or status >= 400
        self._pending = bytearray() if self._is_stream or self.body_may_change else None
        if known:
            self._known, self.body_may_change, self.listens = known, True, True
            self._is_stream = known.is_stream
            self._pending = bytearray() if known.is_stream else None
        if self._is_stream:
            self.kept_events = []

    def add(self, part: bytes, ms: float) -> None:
        """Note a part of the body, *ms* milliseconds after the call's arrival."""
        if self._known:
            self._add_part_of(self._known, part, ms)
        elif self._is_stream:
            self._add_events(part, ms)
        elif self._pending is not None:
            self._pending += part
        elif (self.status or 0) >= 400:
            self.error_body = (self.error_body + part)[:MAX_ERROR_BYTES]
        else:
            self._keep(part)

    def end(self) -> None:
        """Note that the body has left to its end."""
        self.is_whole = True
        if self._known and not self._is_stream:
            self.image_indexes, self.usage = self._known.images, self._known.usage
            return
        if self._is_stream or not self._request:
            return
        if not self.body_may_change:
            self.image_indexes = tuple(range(self._request.n))
        else:
            payload = json_value(self._pending or b"")
            self.image_indexes = tuple(index for index, _ in image_items(payload))
            self.usage = usage_in(payload)

    def close(self) -> None:
        """Note that no further part follows: drop the values that only such a part would need."""
        if self._pending and self.body_may_change and not self._known:
            self._keep(without_base64(self._pending))
        self._pending = None
        self._request = self._known = None

    def _keep(self, text: bytes) -> None:
        """Add *text* to the kept part of the body."""
        self.body = (self.body + text)[:MAX_BODY_BYTES]

    def _add_part_of(self, known: KnownAnswer, part: bytes, ms: float) -> None:
        text = b"".join(known.texts[self._part_count : self._part_count + 1])
        self._part_count += 1
        self._keep(text)
        if self._is_stream:
            self._add_events(part, ms)
        elif (self.status or 0) >= 400:
            self.error_body = (self.error_body + text)[:MAX_ERROR_BYTES]

    def _add_events(self, part: bytes, ms: float) -> None:
        pending = self._pending
        if pending is None:
            return
        if not pending and _is_event(part):
            self._add_event(part, ms)
            return
        # The end of an event may lie in two parts.
        place = max(0, len(pending) - 1)
        pending += part
        while (end := pending.find(b"\n\n", place)) >= 0:
            self._add_event(bytes(pending[: end + 2]), ms)
            del pending[: end + 2]
            place = 0

    def _add_event(self, event: bytes, ms: float) -> None:
        if self.body_may_change and not self._known:
            self._keep(without_base64(event))
        if event.startswith((b":", b"\n")):
            # A comment, which clients overlook.
            return
        self.event_count += 1
        head = _head_of(event)
        if self.event_count <= MAX_KEPT_EVENTS:
            assert isinstance(self.kept_events, list)
            self.kept_events.append(SentEvent(head, ms, len(event)))
        self.error_body = event[:MAX_ERROR_BYTES] if event.startswith(_ERROR) else b""
        if not head.partition(b"\n")[0].endswith(_COMPLETED):
            return
        if self._known or not self.body_may_change:
            self.image_indexes = (0,)
            self.usage = self._known.usage if self._known else None
            return
        payload = json_value(event.partition(b"\ndata: ")[2])
        self.usage = usage_in(payload)
        if is_image(payload):
            self.image_indexes = (0,)


def _head_of(event: bytes) -> bytes:
    """The bytes of *event* that are kept. In an event of 2025 the time comes behind the image."""
    head = event[:MAX_EVENT_HEAD_BYTES]
    place = -1 if _TIME in head else event.rfind(_TIME)
    return head if place < 0 else head + event[place : place + MAX_TIME_BYTES]


def _is_event(part: bytes) -> bool:
    """Whether *part* is one whole event of two lines, as it nearly always is. Searching for a
    single byte is ten times as fast as for two, and an event may have megabytes."""
    first_end = part.find(b"\n")
    second_end = part.find(b"\n", first_end + 1)
    return first_end > 0 and second_end == len(part) - 2 and part.endswith(b"\n")
