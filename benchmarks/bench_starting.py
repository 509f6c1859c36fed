"""Figure 8: time from the start of a process to its first answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Final

from benchmarks.calls import USUAL, post
from benchmarks.measure import Bench, Effort, Measurements, Probe, probe
from benchmarks.servers import GENERATIONS, HEALTH, ROOT, Process


def _hello() -> float:
    with Process.hello() as server:
        server.ask(ROOT)
        return perf_counter() - server.started


def _emulator() -> Measurements:
    with Process.emulator() as server:
        server.ask(HEALTH)
        first = perf_counter() - server.started
        server.ask(post(GENERATIONS, USUAL))
        return {
            "emulator first 200 s": first,
            "emulator first picture s": perf_counter() - server.started,
        }


@contextmanager
def _open(effort: Effort) -> Iterator[Sequence[Probe]]:
    yield [
        probe("hello first 200 s", _hello),
        Probe(("emulator first 200 s", "emulator first picture s"), _emulator),
    ]


STARTING: Final = Bench((8,), _open)
