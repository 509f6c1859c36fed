"""A figure: one measurement divided by another, and its goal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor, log10


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table: measurement *over*, divided by measurement *under* if that is set. The
    goal is *most*, where less is better, or *least*."""

    number: int
    words: str
    over: str
    under: str | None = None
    most: float | None = None
    least: float | None = None
    unit: str = ""

    @property
    def measurements(self) -> tuple[str, ...]:
        return (self.over, self.under) if self.under else (self.over,)

    @property
    def goal(self) -> str:
        bound, sign = (self.most, "≤") if self.least is None else (self.least, "≥")
        return f"{sign} {bound:g} {self.unit}".rstrip()

    def of(self, measurements: Mapping[str, float]) -> float | None:
        """The figure of one round; None where it was not measured."""
        if any(name not in measurements for name in self.measurements):
            return None
        return measurements[self.over] / (measurements[self.under] if self.under else 1)

    def reached(self, value: float) -> bool:
        return (self.most is None or value <= self.most) and (
            self.least is None or value >= self.least
        )

    def shown(self, value: float) -> str:
        """*value* with three significant digits and its unit."""
        digits = min(4, max(0, 2 - floor(log10(abs(value))))) if value else 0
        return f"{value:.{digits}f} {self.unit}".rstrip()
