"""The time, which a test may move."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta


class Clock:
    """The system's time and an offset; only this clock says what has expired."""

    def __init__(self) -> None:
        self._offset = timedelta()

    def now(self) -> datetime:
        """The emulator's time, in UTC."""
        return datetime.now(UTC) + self._offset

    def advance(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0) -> None:
        """Move the time on; negative figures move it back."""
        self._offset += timedelta(seconds=seconds, minutes=minutes, hours=hours)

    def reset(self) -> None:
        self._offset = timedelta()


def parse_as_of(text: str, today: date) -> date | None:
    """`any` (None), `today` or YYYY-MM-DD. Raises ValueError for anything else."""
    if text == "any":
        return None
    if text == "today":
        return today
    try:
        # Python reads other forms of ISO 8601 too; all of them are shorter or have a week.
        return date.fromisoformat(text if len(text) == 10 and "W" not in text else "")
    except ValueError:
        raise ValueError(f"expected 'any', 'today' or a date as YYYY-MM-DD, not '{text}'") from None
