"""The policy for a call: the days that decide what exists for it and in which version, and whether
mistakes are forgiven."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from images_emulator.contract.calendar import LAST_KNOWN_DAY, AsOf, Day


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy for one call: its days, and whether validation is lenient, and so forgives
    mistakes.

    *as_of* is the day that decides which models and parameters exist for the call. None is `any`:
    every model and parameter that was ever documented is accepted, and where two days contradict
    each other, the newer rule holds. *today* is the day by the emulator's clock.
    """

    as_of: AsOf = None
    is_lenient: bool = False
    today: date | None = None

    @property
    def day(self) -> Day:
        """The day that decides the versions of rules, messages, keys and headers; None: the newest
        ones.

        Under `any` it is today, so that an announced change takes effect on its day. It is never
        before `LAST_KNOWN_DAY`: a clock that a test freezes in the past does not select an older
        API."""
        return self.as_of or (self.today and max(self.today, LAST_KNOWN_DAY))
