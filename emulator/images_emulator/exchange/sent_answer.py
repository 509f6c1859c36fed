"""The sent part of an answer: its status, its events, and the images that a client can open.

A `PartReader` reads the parts of the body while they leave; `part_readers.py` has one for each kind
of body."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from images_emulator.contract.usage import Usage
from images_emulator.exchange.request_head import RawHeaders

if TYPE_CHECKING:
    from images_emulator.exchange.known_answer import KnownAnswer

MAX_ERROR_BYTES: Final = 16_384
"""The most bytes of a refusal's body that are kept."""

MAX_BODY_BYTES: Final = 16_384
"""The most bytes of the text of another body that are kept."""

MAX_KEPT_EVENTS: Final = 64
"""The most events of a stream that are kept. Further ones are only counted."""

EVENT_BYTES: Final = 320
"""Bytes that a kept event takes in memory, about."""

_PARTIAL: Final = b".partial_image"


def first_line(event: bytes) -> bytes:
    """The first line of *event*, which has its name, without the end of the line."""
    return event.partition(b"\n")[0].removesuffix(b"\r")


class SentEvent(NamedTuple):
    """An event of a stream, as it was when its last byte was about to leave."""

    head: bytes
    """Its first bytes, and those of its `created_at`."""
    ms: float
    """Milliseconds since the call arrived."""
    bytes: int
    """Its length."""

    @property
    def type(self) -> str:
        """The name of the event; `message`, as in the standard, where it has none."""
        line = first_line(self.head)
        name = line.removeprefix(b"event: ") if line.startswith(b"event: ") else b"message"
        return name.decode(errors="replace")

    @property
    def is_partial_image(self) -> bool:
        """Whether the event has a partial image."""
        return first_line(self.head).endswith(_PARTIAL)


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
    _part_reader: PartReader | None = None
    """The reader of the parts of the body; None before the answer starts, and after its end."""

    @property
    def partial_count(self) -> int:
        """The number of partial images that have left, among `kept_events`."""
        return sum(event.is_partial_image for event in self.kept_events)

    @property
    def weight(self) -> int:
        """Bytes that the kept parts of the body take, about."""
        return len(self.error_body) + len(self.body) + EVENT_BYTES * len(self.kept_events)

    def start(self, status: int, headers: RawHeaders, part_reader: PartReader) -> None:
        """Note *status* and *headers*. The *part_reader*, which was made for this answer, will read
        the parts of the body."""
        self.status = status
        self.headers = headers
        self.is_stream = part_reader.is_stream
        self.body_may_differ = part_reader.body_may_differ
        self.needs_parts = part_reader.needs_parts
        if part_reader.is_stream:
            self.kept_events = []
        self._part_reader = part_reader

    def note_known(self, answer: KnownAnswer) -> None:
        """Note the *answer* in the body, where it is known before the last part of the body is
        noted, as an answer of the upstream is."""
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


class PartReader(ABC):
    """Reads the parts of a body while they leave, and notes in *sent* what is in them."""

    is_stream: ClassVar[bool] = False
    """See `SentAnswer.is_stream`."""
    body_may_differ: ClassVar[bool] = False
    """See `SentAnswer.body_may_differ`."""
    needs_parts: ClassVar[bool] = True
    """See `SentAnswer.needs_parts`."""

    def __init__(self, sent: SentAnswer) -> None:
        self.sent = sent

    @abstractmethod
    def add(self, part: bytes, ms: float) -> None:
        """See `SentAnswer.add`."""

    def end(self) -> None:  # noqa: B027 - some have nothing to do
        """See `SentAnswer.end`."""

    def close(self) -> None:  # noqa: B027 - most have nothing to do
        """See `SentAnswer.close`."""

    def add_to_body(self, text: bytes) -> None:
        """Add *text* to the kept part of the body."""
        self.sent.body = (self.sent.body + text)[:MAX_BODY_BYTES]

    def add_to_error(self, text: bytes) -> None:
        """Add *text* to the kept part of the error."""
        self.sent.error_body = (self.sent.error_body + text)[:MAX_ERROR_BYTES]
