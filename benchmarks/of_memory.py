"""Figure 9: what the emulator holds. Only Linux tells the proportional set of a process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from benchmarks.calls import LARGE, USUAL
from benchmarks.readings import Bench, Effort, Probe, Taken
from benchmarks.servers import HEALTH, Crowd, Peak, Process, crowd

FILL: Final = 10_000
FURTHER: Final = 3_000


def _filled(callers: Crowd, effort: Effort) -> Taken:
    with Process.emulator() as server:
        server.ask(HEALTH)
        ready = server.megabytes("Rss")
        callers.pictures(server, USUAL, 8, effort.calls(FILL))
        filled = server.megabytes()
        further = effort.calls(FURTHER)
        callers.pictures(server, USUAL, 8, further)
        growth = (server.megabytes() - filled) * 1000 / further
    return {"ready MB": ready, "filled MB": filled, "growth MB": growth}


def _crowded(callers: Crowd, effort: Effort) -> Taken:
    with Process.emulator() as server:
        server.ask(HEALTH)
        with Peak(server) as peak:
            callers.pictures(server, LARGE, 32, max(32, effort.calls(160)))
    return {"peak 4K MB": peak.megabytes}


@contextmanager
def _open(effort: Effort) -> Iterator[Sequence[Probe]]:
    with crowd() as callers:
        yield [
            Probe(("ready MB", "filled MB", "growth MB"), lambda: _filled(callers, effort)),
            Probe(("peak 4K MB",), lambda: _crowded(callers, effort)),
        ]


MEMORY: Final = Bench((9,), _open, once=True, linux=True)
