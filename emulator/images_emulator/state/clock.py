"""The time, which a test may move and hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Final, NamedTuple

YEARS: Final = range(2000, 9000)
"""The years that the clock may be set to; an hour more or less is a date in all of them."""


class _Setting(NamedTuple):
    """What a clock was set to: an offset to the system's time, or the moment that it is held at."""

    offset: timedelta = timedelta()
    moment: datetime | None = None


class Clock:
    """The system's time and an offset, or one moment; only this clock says what has expired.

    Any thread may set it: readers take the setting as one value, writers take turns.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._setting = _Setting()

    @property
    def frozen(self) -> bool:
        return self._setting.moment is not None

    def now(self) -> datetime:
        """The emulator's time, in UTC."""
        offset, moment = self._setting
        if moment:
            return moment
        now = datetime.now(UTC)
        return now + offset if offset else now

    def advance(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0) -> None:
        """Move the time on; negative figures move it back. Raises ValueError out of `YEARS`."""
        try:
            step = timedelta(seconds=seconds, minutes=minutes, hours=hours)
            with self._lock:
                moved = _possible(self.now() + step)
                offset, moment = self._setting
                self._setting = _Setting(moment=moved) if moment else _Setting(offset + step)
        except OverflowError:
            raise ValueError(_OUT) from None

    def freeze(self, at: datetime | None = None) -> None:
        """Hold the time at *at*, in UTC where it has no zone, or where it stands. Raises
        ValueError out of `YEARS`."""
        try:
            if at:
                at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        except OverflowError:
            raise ValueError(_OUT) from None
        with self._lock:
            self._setting = _Setting(moment=_possible(at or self.now()))

    def resume(self) -> None:
        """Let the time run on from where it was held."""
        with self._lock:
            if moment := self._setting.moment:
                self._setting = _Setting(moment - datetime.now(UTC))

    def reset(self) -> None:
        with self._lock:
            self._setting = _Setting()


_OUT: Final = f"the clock goes from {YEARS.start} to {YEARS.stop - 1}"


def _possible(moment: datetime) -> datetime:
    if moment.year not in YEARS:
        raise ValueError(_OUT)
    return moment
