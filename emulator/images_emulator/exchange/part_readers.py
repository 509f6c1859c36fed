"""Readers of the parts of an answer's body, one for each kind of body.

| the body | no stream | stream |
|---|---|---|
| images as the emulator makes them of the request | `SkippingReader` | `StreamReader` |
| images that a fault or a recording may change | `ParsedBodyReader` | `ParsedStreamReader` |
| a `KnownAnswer`, such as the answer of a recording | `KnownBodyReader` | `KnownStreamReader` |
| images from the upstream | `SkippingReader` | `StreamReader` |
| an error, a raw answer, or another text without images | `TextReader` | |
| a file | `SkippingReader` | |

`ServedExchange.note_start` chooses the reader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from images_emulator.contract.events import EVENT_END
from images_emulator.exchange.answer_json import image_items, is_image, json_value, usage_in
from images_emulator.exchange.sent_answer import (
    MAX_ERROR_BYTES,
    MAX_KEPT_EVENTS,
    PartReader,
    SentAnswer,
    SentEvent,
    first_line,
)
from images_emulator.exchange.sent_file import with_shortened_base64

if TYPE_CHECKING:
    from images_emulator.exchange.known_answer import KnownAnswer

MAX_EVENT_HEAD_BYTES: Final = 96
"""The most bytes of the beginning of an event that are kept. They hold its name, and the `type` in
its data."""

MAX_TIME_BYTES: Final = 32
"""The most bytes that are kept of an event's `created_at` where it is not among the first
`MAX_EVENT_HEAD_BYTES`."""

_COMPLETED: Final = b".completed"
_ERROR: Final = b"event: error"
_TIME: Final = b'"created_at":'


class SkippingReader(PartReader):
    """Skips the parts of a body that has *image_count* images of the emulator's own, and notes
    these images when the whole body has left. For a body from elsewhere, the count is 0."""

    needs_parts = False

    def __init__(self, sent: SentAnswer, image_count: int) -> None:
        super().__init__(sent)
        self._image_count = image_count

    def add(self, part: bytes, ms: float) -> None:
        pass

    def end(self) -> None:
        # `SentAnswer.note_known` may have noted the images of a body from elsewhere.
        if self._image_count:
            self.sent.image_indexes = tuple(range(self._image_count))


class TextReader(PartReader):
    """Keeps the beginning of a body: of an error, or of another text."""

    def add(self, part: bytes, ms: float) -> None:
        if (self.sent.status or 0) >= 400:
            self.add_to_error(part)
        else:
            self.add_to_body(part)


class ParsedBodyReader(PartReader):
    """Parses a body that may differ from the emulator's, once it has left whole, for its images and
    its usage."""

    body_may_differ = True

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
            self.add_to_body(with_shortened_base64(self._parts))


class KnownBodyReader(PartReader):
    """Notes the texts, the images and the usage of a known answer, whose body is no stream, while
    the answer leaves. The texts are those of the parts, in their order."""

    body_may_differ = True

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


class StreamReader(PartReader):
    """Reads the names and times of the events of a stream. The event that completes it has the
    image."""

    is_stream = True

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
        name_line = first_line(head)
        sent.error_body = event[:MAX_ERROR_BYTES] if name_line == _ERROR else b""
        if name_line.endswith(_COMPLETED):
            self.add_completion(event)

    def add_completion(self, event: bytes) -> None:
        """Note the *event* that completes the stream."""
        self.sent.image_indexes = (0,)


class ParsedStreamReader(StreamReader):
    """Also reads the texts and the usage of a stream that may differ from the emulator's own."""

    body_may_differ = True

    def add_event(self, event: bytes, ms: float) -> None:
        self.add_to_body(with_shortened_base64(event))
        super().add_event(event, ms)

    def add_completion(self, event: bytes) -> None:
        payload = json_value(event.partition(b"\ndata: ")[2])
        self.sent.usage = usage_in(payload)
        if is_image(payload):
            self.sent.image_indexes = (0,)

    def close(self) -> None:
        if self._pending:
            self.add_to_body(with_shortened_base64(self._pending))


class KnownStreamReader(StreamReader):
    """Notes the texts, the events and the usage of a known answer whose body is a stream, while the
    stream leaves."""

    body_may_differ = True

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


def _head_of(event: bytes) -> bytes:
    """The bytes of *event* that are kept. In an event of 2025 the time comes behind the image."""
    head = event[:MAX_EVENT_HEAD_BYTES]
    time_start = -1 if _TIME in head else event.rfind(_TIME)
    return head if time_start < 0 else head + event[time_start : time_start + MAX_TIME_BYTES]


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
