"""Rounds: every reading is taken once in each, one after the other, so that a slow minute of the
machine is every reading's slow minute."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from random import Random
from time import perf_counter

from benchmarks.figure import Figure

Taken = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long to measure: *rounds* that count, after *idle* ones that do not, and of each
    reading's usual seconds or numbers *part*."""

    rounds: int = 9
    idle: int = 1
    part: float = 1.0

    def seconds(self, usual: float) -> float:
        return usual * self.part

    def calls(self, usual: int) -> int:
        return max(1, round(usual * self.part))


@dataclass(frozen=True, slots=True)
class Probe:
    """Takes the readings of those names."""

    names: tuple[str, ...]
    take: Callable[[], Taken]


def probe(name: str, take: Callable[[], float]) -> Probe:
    """A probe of one reading."""
    return Probe((name,), lambda: {name: take()})


@dataclass(frozen=True, slots=True)
class Bench:
    """The probes for the figures of those *numbers*; *open* starts what they need and ends it. A
    bench that takes its readings *once* has no rounds: one of it takes minutes. What one of *linux*
    reads, no other system tells."""

    numbers: tuple[int, ...]
    open: Callable[[Effort], AbstractContextManager[Sequence[Probe]]]
    once: bool = False
    linux: bool = False


@dataclass(frozen=True, slots=True)
class Spread:
    """The same figure from several rounds."""

    median: float
    low: float
    high: float

    @property
    def width(self) -> float:
        """From lowest to highest, as a part of the median."""
        return (self.high - self.low) / self.median if self.median else 0.0


def spread(values: Sequence[float]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values))


def timed(
    job: Callable[[], object], seconds: float, clock: Callable[[], float] = perf_counter
) -> float:
    """The median time of a *job*, in seconds of *clock*, done at least three times."""
    times: list[float] = []
    until = perf_counter() + seconds
    while len(times) < 3 or perf_counter() < until:
        start = clock()
        job()
        times.append(clock() - start)
    return statistics.median(times)


CALIBRATION = "calibration s"


def calibration() -> float:
    """Seconds that a fixed piece of work takes; that they differ is the machine's doing."""
    return timed(lambda: Random(4).randbytes(1 << 20).count(7) + sum(range(50_000)), 0.05)


def _rounds(bench: Bench, figures: Sequence[Figure], effort: Effort) -> Iterator[dict[str, float]]:
    """The readings that *figures* need, and what is taken with them, round by round."""
    wanted = {name for figure in figures for name in figure.readings}
    with bench.open(effort) as probes:
        chosen = [each for each in probes if wanted & {*each.names}]
        idle, rounds = (0, 1) if bench.once else (effort.idle, effort.rounds)
        for number in range(idle + rounds):
            print(f"  round {number - idle + 1} of {rounds}", file=sys.stderr)
            taken = {CALIBRATION: calibration()}
            for each in chosen:
                print(f"    {', '.join(each.names)}", file=sys.stderr)
                taken |= each.take()
            if number >= idle:
                yield taken


def read(
    benches: Mapping[str, Bench], figures: Sequence[Figure], effort: Effort
) -> list[dict[str, float]]:
    """All rounds of what *figures* need; those of one bench hold no reading of another."""
    rounds: list[dict[str, float]] = []
    for name, bench in benches.items():
        needing = [figure for figure in figures if figure.number in bench.numbers]
        if needing and bench.linux and sys.platform != "linux":
            print(f"{name}: not measured, for only Linux tells", file=sys.stderr)
        elif needing:
            print(name, file=sys.stderr)
            rounds += _rounds(bench, needing, effort)
    return rounds
