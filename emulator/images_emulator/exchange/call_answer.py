"""The answer to one call: what it was made of, and how much of it has left."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from images_emulator.contract.answer_replacement import NO_OVERRIDES, AnswerOverrides
from images_emulator.contract.usage import Usage
from images_emulator.exchange.sent_answer import SentAnswer
from images_emulator.exchange.sent_file import FileKey, SentFile

if TYPE_CHECKING:
    from images_emulator.exchange.known_answer import KnownAnswer


@dataclass(slots=True, eq=False)
class CallAnswer:
    """The attributes of an `Exchange` that belong to its answer.

    An exchange gets a new `CallAnswer` where the answer is given up before any of it has left, and
    another answer is sent in its place (`ServedExchange.discard_answer`). So a reader in another
    thread reads `Exchange.answer` once. The server's thread sets the attributes, but `cached_usage`
    is set by the first thread that asks for the usage.
    """

    # Set by `web/own_answer_claim.py`.
    own_answer_label: str | None = None
    """The `label` of the own answer that the call was given; see `Exchange.own_answer`."""

    # Set by `web/image_responses.py`.
    overrides: AnswerOverrides = NO_OVERRIDES
    """Values of the answer in place of the emulator's."""

    # Set by `web/image_responses.py`, or `web/replay/recording_player.py`.
    own_header_names: Collection[bytes] = ()
    """The names of headers, in lower case, that stand in place of the API's standard ones."""

    # Set by `web/image_responses.py`.
    is_raw: bool = False
    """Whether the answer is a step's `raw`: its body is not made of the request, and it has no
    drawn pictures."""

    # Set by `web/replay/recording_player.py`.
    is_described: bool = False
    """Whether the answer is made by the description in a recording: its body is not made of the
    request alone."""

    # Set by `web/replay/recording_player.py`; dropped by `exchange/retention.py`.
    known_answer: KnownAnswer | None = None
    """The answer of a recording as the journal will show it, until the call is completed."""

    # Set by `web/image_responses.py`; of an answer from elsewhere by `ServedExchange.note_images`.
    files: Mapping[FileKey, SentFile] = field(default_factory=dict)
    """The files of the images. Calls with equal answers share the mapping, which is filled as the
    images are drawn. Of a recorded or forwarded stream there is the final image alone; its partial
    images are own pictures of the request."""

    # Set by `web/image_responses.py`; of an answer from elsewhere by `ServedExchange.note_images`.
    image_urls: Sequence[bytes] = ()
    """The URLs of the images, where the answer has them in place of files."""
    sent: SentAnswer = field(default_factory=SentAnswer)
    """The part that has left."""

    # Set by `exchange/waits.py`.
    is_hung_up: bool = False
    """Whether a fault, a recording, or an upstream that ended its own connection closed the
    connection."""

    # Set by `exchange/waits.py`.
    is_reset: bool = False
    """Whether the connection was closed with a TCP reset."""

    # Set by `ServedExchange.note_end`.
    is_stopped: bool = False
    """Whether the stop of the server closed the connection, before all of the answer had left."""

    # Set by `Exchange.usage` and `exchange/retention.py`.
    cached_usage: Usage | None = None
    """The usage, once it is worked out."""

    @property
    def is_closed(self) -> bool:
        """Whether the server closed the connection: see `is_hung_up` and `is_stopped`."""
        return self.is_hung_up or self.is_stopped
