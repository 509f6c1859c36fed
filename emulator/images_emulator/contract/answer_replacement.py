"""What a call is sent in place of the answer that the emulator makes: pictures, values or a whole
answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from images_emulator.contract.http_headers import (
    FRAMING_HEADERS,
    STATUSES,
    HeaderPairs,
    check_header,
)
from images_emulator.contract.own_picture import OwnPicture
from images_emulator.contract.refusal import APIError
from images_emulator.immutable import Immutable

MAX_CREATED: Final = 253_402_300_799
"""The last second of the year 9999, since 1970."""


def encoded_headers(headers: HeaderPairs) -> list[tuple[bytes, bytes]]:
    """The *headers* as ASGI has them, their names in lower case."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _check_headers(headers: HeaderPairs) -> None:
    """Raises ValueError for a header that HTTP cannot have, or that only the server can write."""
    for name, value in headers:
        check_header(name, value)
        if name.lower() in FRAMING_HEADERS:
            raise ValueError(f"the server itself writes the header '{name}'")


class AnswerOverrides(Immutable):
    """Values of an answer, each in place of the emulator's value. None keeps the emulator's value.

    - *usage*: the whole `usage` of the body, or of the last event, also for models that count no
      tokens.
    - *created*: `created` of the body and `created_at` of events, in seconds since 1970.
    - *revised_prompt*: the revised prompt of each image; events have none.
    - *headers*: headers that replace headers of the same names, the API's standard ones included.

    Raises ValueError for a *created* out of range and for headers that an answer cannot have.
    """

    usage: Mapping[str, Any] | None = None
    created: int | None = None
    revised_prompt: str | None = None
    headers: HeaderPairs = ()

    def __post_init__(self) -> None:
        if self.created is not None and not 0 <= self.created <= MAX_CREATED:
            raise ValueError(f"'created' is seconds since 1970, at most {MAX_CREATED}")
        _check_headers(self.headers)

    def created_on(self, time: datetime) -> datetime:
        """The time in `created` of an answer at *time*."""
        return time if self.created is None else datetime.fromtimestamp(self.created, UTC)


NO_OVERRIDES: Final = AnswerOverrides()
"""An answer as the emulator writes it."""


class RawAnswer(Immutable):
    """An answer that is sent as it is. No picture is drawn. Only the API's standard headers are
    added, except those whose names are among *headers*.

    Raises ValueError for a *status* out of 200 to 599, for a *body* with a status that has none,
    and for headers that an answer cannot have.
    """

    status: int = 200
    headers: HeaderPairs = ()
    body: bytes = b""

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"the status of an answer is 200 to 599, not {self.status}")
        if self.body and self.status in (204, 304):
            raise ValueError(f"an answer with status {self.status} has no body")
        _check_headers(self.headers)


class AnswerReplacement(Immutable, eq=False):
    """What one call is sent for its own answer, in place of what the emulator makes: a whole answer
    *raw*, or else *pictures* in place of the drawings (None: the emulator draws) and the
    *overrides*.

    - *label*: the name of the own answer in the journal.
    - *error*: the error that the call is sent in place of all that, because making the pictures
      failed.
    - *is_for_one_call*: whether no other call has the same replacement. Any other replacement may
      be that of many calls, and caches know it by its identity.
    """

    label: str
    pictures: tuple[OwnPicture, ...] | None = None
    overrides: AnswerOverrides = NO_OVERRIDES
    raw: RawAnswer | None = None
    error: APIError | None = None
    is_for_one_call: bool = False


NO_REPLACEMENT: Final = AnswerReplacement("")
"""The replacement of a call without an own answer: the call is sent what the emulator makes."""
