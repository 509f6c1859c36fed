"""At which date the API is asked: a day, or any day there ever was; and what held on a day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, TypeVar

T = TypeVar("T")

AsOf = date | None
"""None is `any`: whatever was documented in a model's lifetime is accepted."""


@dataclass(frozen=True, slots=True)
class Period:
    """From *since*, included, to *until*, not included; open where they are None."""

    since: date | None = None
    until: date | None = None

    def __contains__(self, day: AsOf) -> bool:
        """Whether *day* is in it; `any` is in every period."""
        if day is None:
            return True
        return (self.since is None or self.since <= day) and (
            self.until is None or day < self.until
        )


ALWAYS = Period()


def version_on(day: AsOf, newest: T, earlier: Sequence[tuple[date, T]]) -> T:
    """The version that held on *day*: one of *earlier*, which are `(until, version)` with the
    oldest first and the day *until* not included, or the *newest*, which None asks for."""
    if day is None:
        return newest
    return next((version for until, version in earlier if day < until), newest)


GATEWAY_SINCE: Final = date(2025, 4, 16)
"""The day on which the gateway was first met: a week before gpt-image-1, and "since yesterday" on
2025-04-17 (openai-node#1468, go-openai#967). Before it the older stack judged all calls: another
wording, another order of keys, no `param`."""

JSON_EDITS_SINCE: Final = date(2026, 2, 9)
"""The day from which edits took JSON, and with it a new reading of forms."""

OLDER_STACK: Final = GATEWAY_SINCE - timedelta(days=1)
"""The day whose sentences an endpoint keeps that never moved to the gateway."""


KNOWN_UNTIL: Final = date(2026, 11, 25)
"""The day up to which this contract knows the API: what its sources say of later days is announced
and may come otherwise."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How one call is judged: at which date, and whether what can be forgiven is.

    *today* is the day by the emulator's clock.
    """

    as_of: AsOf = None
    lenient: bool = False
    today: AsOf = None

    @property
    def day(self) -> AsOf:
        """The day whose sentences and headers hold; None for the newest ones.

        Under `any` that is today, so that a change that is announced waits for its day, but none
        before `KNOWN_UNTIL`: a test that freezes its clock in the past asks for no older API.
        """
        return self.as_of or (self.today and max(self.today, KNOWN_UNTIL))
