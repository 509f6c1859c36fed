"""What a figure is: one reading over another, and where it should come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor, log10


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table: the reading *over*, divided by the reading *under* if there is one."""

    number: int
    words: str
    over: str
    under: str | None = None
    most: float | None = None
    least: float | None = None  # the goal, where small or where large is good
    unit: str = ""

    @property
    def readings(self) -> tuple[str, ...]:
        return (self.over, self.under) if self.under else (self.over,)

    @property
    def goal(self) -> str:
        bound, sign = (self.most, "≤") if self.least is None else (self.least, "≥")
        return f"{sign} {bound:g} {self.unit}".rstrip()

    def of(self, taken: Mapping[str, float]) -> float | None:
        """The figure of one round, or None where a reading of it could not be taken."""
        if any(name not in taken for name in self.readings):
            return None
        return taken[self.over] / (taken[self.under] if self.under else 1)

    def reached(self, value: float) -> bool:
        return (self.most is None or value <= self.most) and (
            self.least is None or value >= self.least
        )

    def shown(self, value: float) -> str:
        """*value* with three digits that count."""
        digits = min(4, max(0, 2 - floor(log10(abs(value))))) if value else 0
        return f"{value:.{digits}f} {self.unit}".rstrip()
