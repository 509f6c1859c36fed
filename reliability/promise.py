"""The shapes of the table: a promise, the effort of a run, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Final

UVLOOP: Final = "uvloop"
"""The event loop that the server takes where it is installed."""

ASYNCIO: Final = "asyncio"
"""The event loop that the server takes otherwise."""

EXTRAS: Final = {"atheris": "fuzzing"}
"""The extras of packages that are not in that of the name `reliability`."""

MAX_MISTAKES: Final = 10
"""Mistakes of one run that are printed one by one."""


@dataclass(frozen=True, slots=True)
class Effort:
    """The length of a run: *seconds* for what lasts a time, and the *scale* of numbers."""

    seconds: float
    scale: float = 1.0
    calls: int = 200_000
    """Hostile calls, at a scale of 1."""

    @property
    def arguments(self) -> Sequence[str]:
        """The arguments of the command, where they are not the usual ones."""
        usual = Effort(180)
        values = {
            "--minutes": (self.seconds / 60, usual.seconds / 60),
            "--scale": (self.scale, usual.scale),
            "--calls": (self.calls, usual.calls),
        }
        return [f"{name} {value:.10g}" for name, (value, each) in values.items() if value != each]

    def count(self, number: int, least: int = 1) -> int:
        """*number* in the scale of this run, at least *least*."""
        return max(least, round(number * self.scale))


@dataclass(frozen=True, slots=True)
class Figure:
    """One *value* of a run, and the *most* or the *least* that it may be. *name* follows the value
    in the report: `3 MB more memory`."""

    value: float
    name: str
    most: float | None = None
    least: float | None = None

    @property
    def held(self) -> bool:
        """Whether the value is as promised."""
        return (self.most is None or self.value <= self.most) and (
            self.least is None or self.value >= self.least
        )

    def __str__(self) -> str:
        bound = f" (at most {self.most:,g})" if self.most else ""
        bound += f" (at least {self.least:,g})" if self.least and not self.held else ""
        return f"{self.value:,.0f} {self.name}{bound}"


@dataclass(slots=True)
class Outcome:
    """The end of one run. *mistakes* are sentences, one for each answer or end that is not as it
    should be."""

    figures: list[Figure] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)

    @property
    def all_figures(self) -> list[Figure]:
        """The figures, and the number of mistakes."""
        return [*self.figures, Figure(len(self.mistakes), "mistakes", most=0)]

    @property
    def held(self) -> bool:
        """Whether the promise was kept."""
        return all(figure.held for figure in self.all_figures)

    def __str__(self) -> str:
        return ", ".join(map(str, self.all_figures))


Scenario = Callable[[Effort, str], Coroutine[Any, Any, Outcome]]
"""Tries to break a promise on a server with this event loop. What it raises is a mistake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A row of the table. Either a *scenario* holds it, on each of the *loops*, or *tests* of the
    suite, as `test_cli.py::test_signal_stops_an_idle_server`."""

    name: str
    text: str
    """The promise, a sentence without a full stop."""
    scenario: Scenario | None = None
    loops: Sequence[str] = (UVLOOP,)
    tests: Sequence[str] = ()
    package: str = ""
    """The package without which the scenario is left out; `EXTRAS` has its extra."""

    @property
    def missing_part(self) -> str:
        """Why the promise cannot be tried here; empty where it can."""
        if not self.package or find_spec(self.package):
            return ""
        extra = EXTRAS.get(self.package, "reliability")
        return f"{self.package} is not installed: pip install -e '.[{extra}]'"
