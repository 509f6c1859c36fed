"""Figures 14 and 15: what a long scenario costs each call, and what a journal holds of many."""

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
from benchmarks.readings import Bench, Effort, Probe, Taken, probe
from benchmarks.servers import GENERATIONS, HEALTH, Crowd, Process, crowd

STEPS: Final = {"none": 0, "few": 10, "many": 10_000}
CALLS: Final = 100_000
JOURNAL: Final = 16_000_000
"""Bytes, which is less than so many calls would take."""


def _scenario(count: int) -> str:
    """*count* steps for other models, prompts and paths, none of which a call here meets."""
    kinds = ("model", "prompt", "path")
    steps = [
        {"fault": "server_error", "match": {kinds[number % 3]: f"no such thing {number}"}}
        for number in range(count)
    ]
    return json.dumps({"steps": steps})


def _again(
    callers: Crowd, server: Process, seconds: float = inf, calls: int | None = None
) -> float:
    """Answers a second to the same call, again and again."""
    wire = post(GENERATIONS, SMALL)
    load = Load(port=server.port, wire=wire, clients=8, seconds=seconds, calls=calls)
    return callers.run(load)[0].rate


def _anew(callers: Crowd, server: Process, seconds: float) -> float:
    """Pictures a second, no two alike."""
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
        for name, count in STEPS.items():
            file = folder / f"{name}.json"
            file.write_text(_scenario(count))
            flags = ("--scenario", str(file)) if count else ()
            server = stack.enter_context(Process.emulator(*flags))
            server.ask(HEALTH)
            again = partial(_again, callers, server, seconds=seconds)
            anew = partial(_anew, callers, server, seconds)
            probes += [probe(f"{name} steps /s", again), probe(f"{name} unique /s", anew)]
        yield probes


def _gained(callers: Crowd, effort: Effort) -> Taken:
    limits = ("--journal-bytes", str(JOURNAL), "--journal-entries", str(10 * CALLS))
    with Process.emulator(*limits) as server:
        server.ask(post(GENERATIONS, SMALL))
        _again(callers, server, calls=100)
        before = server.megabytes()
        _again(callers, server, calls=effort.calls(CALLS))
        return {"journal MB": server.megabytes() - before}


@contextmanager
def _open_journal(effort: Effort) -> Iterator[Sequence[Probe]]:
    with crowd() as callers:
        yield [Probe(("journal MB",), lambda: _gained(callers, effort))]


STEPPED: Final = Bench((14,), _open_steps)
JOURNALLED: Final = Bench((15,), _open_journal, once=True, linux=True)
