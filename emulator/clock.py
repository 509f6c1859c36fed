"""The time, which a test may move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


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
