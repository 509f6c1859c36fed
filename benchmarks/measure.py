"""Rounds of measurements. In each round every value is measured once, one after the other, so that
a slow minute of the machine slows all of them."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from random import Random
from time import perf_counter

from benchmarks.figure import Figure

Measurements = Mapping[str, float]
"""Values by name; the name ends in the unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long to measure: *rounds* after *warm_up* rounds that do not count, with the usual
    durations and numbers of calls times *scale*."""

    rounds: int = 9
    warm_up: int = 1
    scale: float = 1.0

    def seconds(self, usual: float) -> float:
        return usual * self.scale

    def calls(self, usual: int) -> int:
        return max(1, round(usual * self.scale))


@dataclass(frozen=True, slots=True)
class Probe:
    """Measures the values of *names*."""

    names: tuple[str, ...]
    measure: Callable[[], Measurements]


def probe(name: str, measure: Callable[[], float]) -> Probe:
    """A probe of one value."""
    return Probe((name,), lambda: {name: measure()})


@dataclass(frozen=True, slots=True)
class Bench:
    """The probes for the figures *numbers*; *open* starts and ends the servers that they need.

    A bench with *once* is measured in a single round, since that takes minutes. One with *linux*
    needs `/proc`.
    """

    numbers: tuple[int, ...]
    open: Callable[[Effort], AbstractContextManager[Sequence[Probe]]]
    once: bool = False
    linux: bool = False


@dataclass(frozen=True, slots=True)
class Spread:
    """The values of one figure or measurement over several rounds."""

    median: float
    low: float
    high: float

    @property
    def width(self) -> float:
        """Highest minus lowest, as a fraction of the median."""
        return (self.high - self.low) / self.median if self.median else 0.0


def spread(values: Sequence[float]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values))


def median_time(
    job: Callable[[], object], seconds: float, clock: Callable[[], float] = perf_counter
) -> float:
    """The median time of *job* in seconds of *clock*, over *seconds* and at least three runs."""
    times: list[float] = []
    until = perf_counter() + seconds
    while len(times) < 3 or perf_counter() < until:
        start = clock()
        job()
        times.append(clock() - start)
    return statistics.median(times)


CALIBRATION = "calibration s"


def calibration() -> float:
    """Seconds that a fixed piece of work takes. They differ only by the machine's load."""
    return median_time(lambda: Random(4).randbytes(1 << 20).count(7) + sum(range(50_000)), 0.05)


def _rounds(bench: Bench, figures: Sequence[Figure], effort: Effort) -> Iterator[dict[str, float]]:
    """The measurements of each round: those that *figures* need, and all of the same probes."""
    wanted = {name for figure in figures for name in figure.measurements}
    with bench.open(effort) as probes:
        chosen = [each for each in probes if wanted & {*each.names}]
        warm_up, rounds = (0, 1) if bench.once else (effort.warm_up, effort.rounds)
        for number in range(warm_up + rounds):
            print(f"  round {number - warm_up + 1} of {rounds}", file=sys.stderr)
            measurements = {CALIBRATION: calibration()}
            for each in chosen:
                print(f"    {', '.join(each.names)}", file=sys.stderr)
                measurements |= each.measure()
            if number >= warm_up:
                yield measurements


def measure(
    benches: Mapping[str, Bench], figures: Sequence[Figure], effort: Effort
) -> list[dict[str, float]]:
    """Run all rounds that *figures* need. A round has the measurements of one bench."""
    rounds: list[dict[str, float]] = []
    for name, bench in benches.items():
        needing = [figure for figure in figures if figure.number in bench.numbers]
        if needing and bench.linux and sys.platform != "linux":
            print(f"{name}: not measured, it needs Linux", file=sys.stderr)
        elif needing:
            print(name, file=sys.stderr)
            rounds += _rounds(bench, needing, effort)
    return rounds
