"""At which date the API is asked: a day, or any day there ever was."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

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


@dataclass(frozen=True, slots=True)
class Policy:
    """How one call is judged: at which date, and whether what can be forgiven is."""

    as_of: AsOf = None
    lenient: bool = False
