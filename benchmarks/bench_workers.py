"""Figure 23: two workers, compared with two processes that render in a plain loop, and with one
server on their Redis."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from typing import Final

from benchmarks.bench_serving import loop_rate
from benchmarks.calls import SMALL, USUAL, fresh, get, post
from benchmarks.load import Load
from benchmarks.measure import Bench, Effort, Probe, probe
from benchmarks.servers import GENERATIONS, HEALTH, Crowd, Process, crowd

WORKERS: Final = 2
CLIENTS: Final = 32
SECONDS: Final = 4.0


def _loops_rate(pool: ProcessPoolExecutor, seconds: float) -> float:
    """Images that as many processes as there are workers render in a second, each in a loop."""
    return sum(pool.map(loop_rate, [USUAL] * WORKERS, [seconds] * WORKERS))


def _probes(
    two: Process, one: Process, callers: Crowd, pool: ProcessPoolExecutor, seconds: float
) -> Iterator[Probe]:
    def unique() -> float:
        wire = post(GENERATIONS, USUAL)
        load = Load(port=two.port, wire=wire, clients=CLIENTS, seconds=seconds, unique=fresh())
        return callers.run(load)[0].rate

    def repeated(server: Process) -> float:
        wire = post(GENERATIONS, SMALL)
        load = Load(port=server.port, wire=wire, clients=CLIENTS, seconds=seconds / 2)
        return callers.run(load)[0].rate

    yield probe("2 loops 1024 /s", lambda: _loops_rate(pool, seconds))
    yield probe("2 workers 1024 /s", unique)
    yield probe("1 server repeated 256 /s", lambda: repeated(one))
    yield probe("2 workers repeated 256 /s", lambda: repeated(two))


@contextmanager
def _open(effort: Effort) -> Iterator[Sequence[Probe]]:
    with ExitStack() as stack:
        two = stack.enter_context(Process.emulator("--workers", str(WORKERS)))
        store = json.loads(two.ask(get("/_emulator/settings")))["store"]
        one = stack.enter_context(Process.emulator("--store", store, "--store-name", "one"))
        pool = stack.enter_context(ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")))
        callers = stack.enter_context(crowd())
        for server in (two, one):
            server.ask(HEALTH)
        # Both workers load what they draw with, and so do the loops.
        callers.pictures(two, USUAL, CLIENTS, 2 * CLIENTS)
        _loops_rate(pool, 0.1)
        yield [*_probes(two, one, callers, pool, effort.seconds(SECONDS))]


WORKING: Final = Bench((23,), _open)
