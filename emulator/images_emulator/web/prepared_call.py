"""A call that may come again, prepared: validated, with what all answers to it share.
`Emulator.prepared_calls` caches it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

from images_emulator.contract.answer_replacement import (
    NO_OVERRIDES,
    NO_REPLACEMENT,
    AnswerOverrides,
    AnswerReplacement,
)
from images_emulator.contract.dialect import Dialect
from images_emulator.contract.operations import Operation
from images_emulator.contract.policy import Policy
from images_emulator.contract.request import ImageRequest
from images_emulator.contract.templates import Template
from images_emulator.exchange.call_details import CallDetails
from images_emulator.exchange.request_head import RawHeaders
from images_emulator.exchange.sent_file import FileKey, SentFile

OVERHEAD_BYTES: Final = 4096
"""Bytes that a prepared call takes beside its body and its texts, about."""


class PreparedKey(NamedTuple):
    """The key of a call in `Emulator.prepared_calls`. Calls with equal keys have the same request
    and the same text of the answer."""

    operation: Operation
    dialect: Dialect
    policy: Policy
    """It has the day, and those settings that can change."""
    content_type: bytes | None
    body: tuple[bytes, ...]
    """The body as it was sent. The request of a body with a directive has the prompt without it,
    because `FaultSearch` takes the directive out of each call with such a body."""


def prepared_weight(key: PreparedKey) -> int:
    """Bytes that a prepared call with this *key* takes in memory, about: its body, the texts of the
    body in the request (up to four times its length), and the same texts in the templates."""
    return OVERHEAD_BYTES + len(key.content_type or b"") + 8 * sum(map(len, key.body))


@dataclass(slots=True, weakref_slot=True, eq=False)
class PreparedCall:
    """A validated call, with its body and the parts that all answers to it share. `Emulator` caches
    them, with the bytes of events."""

    image_request: ImageRequest
    chunks: tuple[bytes, ...]
    templates: dict[int | None, Template] = field(default_factory=dict)
    """The templates that were needed so far: the template of a JSON body under None, the template
    of an event under its number."""
    files: dict[FileKey, SentFile] = field(default_factory=dict)
    """The files that were drawn so far; see `CallAnswer.files`."""
    details: CallDetails | None = None
    """The details for the journal, where the body is too long for the journal to parse it again."""
    overrides: AnswerOverrides = NO_OVERRIDES
    """The values of the answers in place of the emulator's own."""
    notice_headers: RawHeaders | None = None
    """The headers that tell of own pictures which are not what the call asks for. None until the
    own pictures were checked."""
    event_key: object | None = None
    """The stand-in for this object in the keys of its events in `Emulator.prepared_calls`. With
    the object itself, a key would keep body and uploads. None where no other call has this
    object."""
    _last_copy: WeakKeyDictionary[AnswerReplacement, PreparedCall] = field(
        default_factory=WeakKeyDictionary
    )
    """The last result of `with_replacement`, while its replacement is in memory."""

    def with_replacement(self, replacement: AnswerReplacement) -> PreparedCall:
        """A copy of the call that has the pictures and the overrides of *replacement*. It shares no
        part of an answer with this one. For `NO_REPLACEMENT` it is this one itself.

        The last copy is kept, so a repeated call is as fast as any other. It does not outlive the
        *replacement*, which has the pictures, so the budget of prepared calls need not count these.
        """
        if replacement is NO_REPLACEMENT:
            return self
        copy = self._last_copy.get(replacement)
        if copy is None:
            is_kept = not replacement.is_for_one_call
            copy = PreparedCall(
                replace(self.image_request, own_pictures=replacement.pictures),
                self.chunks,
                details=self.details,
                overrides=replacement.overrides,
                event_key=self.event_key and object() if is_kept else None,
            )
            self._last_copy.clear()
            if is_kept:
                self._last_copy[replacement] = copy
        return copy
