"""Figures 14 and 15: the cost of a long scenario to each call, and the memory of a full journal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.calls import SMALL, USUAL, fresh, post
from benchmarks.load import Load
from benchmarks.measure import Bench, Effort, Measurements, Probe, probe
from benchmarks.servers import GENERATIONS, HEALTH, Crowd, Process, crowd

STEP_COUNTS: Final = {"none": 0, "few": 10, "many": 1_000}
JOURNAL_CALLS: Final = 100_000
JOURNAL_BYTES: Final = 16_000_000
"""Less than that many calls would take."""


def _scenario(count: int) -> str:
    """A scenario of *count* steps, for models, prompts and paths that no call has."""
    kinds = ("model", "prompt", "path")
    steps = [
        {"fault": "server_error", "match": {kinds[number % 3]: f"no such thing {number}"}}
        for number in range(count)
    ]
    return json.dumps({"steps": steps})


def _repeated_rate(
    callers: Crowd, server: Process, seconds: float = inf, calls: int | None = None
) -> float:
    """Answers a second to the same call, repeated."""
    wire = post(GENERATIONS, SMALL)
    load = Load(port=server.port, wire=wire, clients=8, seconds=seconds, calls=calls)
    return callers.run(load)[0].rate


def _unique_rate(callers: Crowd, server: Process, seconds: float) -> float:
    """Images a second, each for another prompt."""
    wire = post(GENERATIONS, USUAL)
    load = Load(port=server.port, wire=wire, clients=8, seconds=seconds, unique=fresh())
    return callers.run(load)[0].rate


@contextmanager
def _open_steps(effort: Effort) -> Iterator[Sequence[Probe]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        callers = stack.enter_context(crowd())
        seconds = effort.seconds(2)
        probes = []
        for name, count in STEP_COUNTS.items():
            file = folder / f"{name}.json"
            file.write_text(_scenario(count))
            flags = ("--scenario", str(file)) if count else ()
            server = stack.enter_context(Process.emulator(*flags))
            server.ask(HEALTH)
            repeated = partial(_repeated_rate, callers, server, seconds=seconds)
            unique = partial(_unique_rate, callers, server, seconds)
            probes += [probe(f"{name} steps /s", repeated), probe(f"{name} unique /s", unique)]
        yield probes


def _journal_memory(callers: Crowd, effort: Effort) -> Measurements:
    limits = ("--journal-bytes", str(JOURNAL_BYTES), "--journal-entries", str(10 * JOURNAL_CALLS))
    with Process.emulator(*limits) as server:
        server.ask(post(GENERATIONS, SMALL))
        _repeated_rate(callers, server, calls=100)
        before = server.megabytes()
        _repeated_rate(callers, server, calls=effort.calls(JOURNAL_CALLS))
        return {"journal MB": server.megabytes() - before}


@contextmanager
def _open_journal(effort: Effort) -> Iterator[Sequence[Probe]]:
    with crowd() as callers:
        yield [Probe(("journal MB",), lambda: _journal_memory(callers, effort))]


STEPPED: Final = Bench((14,), _open_steps)
JOURNALLED: Final = Bench((15,), _open_journal, once=True, linux=True)
