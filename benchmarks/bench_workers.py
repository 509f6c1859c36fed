"""Figure 23: two workers, compared with two processes that render in a plain loop, and with one
server on their Redis.

Workers and loops have the same cores, all but one. The workers share them with their Redis. The
client, which loops need not have, is on the last core. How many pictures all cores make together,
with the client among them, is told by the CPU time of a picture: that of the workers, of Redis and
of the client.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter, process_time
from typing import Final

from benchmarks import subject
from benchmarks.calls import SMALL, USUAL, fresh, get, post
from benchmarks.load import Load
from benchmarks.measure import Bench, Effort, Measurements, Probe, probe
from benchmarks.servers import (
    GENERATIONS,
    HEALTH,
    Crowd,
    Process,
    children,
    cpu_seconds,
    crowd,
    processes,
    split_cores,
)

WORKERS: Final = 2
CLIENTS: Final = 32
SECONDS: Final = 4.0

COSTS: Final = ("workers CPU ms", "their Redis CPU ms", "client CPU ms", "all CPU ms")
"""The measurements of CPU time for a picture."""


def _loop(seconds: float) -> tuple[float, float]:
    """Images that are rendered in a second, in a plain loop, and the CPU milliseconds of one."""
    requests, done = subject.requests_of(USUAL), 0
    start, spent = perf_counter(), process_time()
    while perf_counter() < start + seconds:
        subject.render(next(requests))
        done += 1
    return done / (perf_counter() - start), (process_time() - spent) / done * 1000


def _loops(pool: ProcessPoolExecutor, seconds: float) -> Measurements:
    """The images of as many processes as there are workers, each in a loop."""
    rates, costs = zip(*pool.map(_loop, [seconds] * WORKERS), strict=True)
    return {"2 loops 1024 /s": sum(rates), "loop CPU ms": sum(costs) / len(costs)}


def _cpu_seconds(supervisor: Process) -> tuple[float, float]:
    """The CPU times so far of all workers, and of their Redis."""
    workers = redis = 0.0
    for child in children(supervisor.pid):
        name = Path(f"/proc/{child}/comm").read_text()
        if name.startswith(("redis", "valkey")):
            redis += cpu_seconds(child)
        else:
            workers += cpu_seconds(child)
    return workers, redis


def _unique(server: Process, callers: Crowd, seconds: float) -> Measurements:
    """The unique images that a server with workers makes in a second, and what one costs."""
    wire = post(GENERATIONS, USUAL)
    load = Load(port=server.port, wire=wire, clients=CLIENTS, seconds=seconds, unique=fresh())
    before = _cpu_seconds(server)
    (tally,) = callers.run(load)
    workers, redis = (
        after - spent for after, spent in zip(_cpu_seconds(server), before, strict=True)
    )
    spent = [each / tally.answers * 1000 for each in (workers, redis, tally.cpu_seconds)]
    costs = dict(zip(COSTS, (*spent, sum(spent)), strict=True))
    return {"2 workers 1024 /s": tally.rate, **costs}


def _repeated(server: Process, callers: Crowd, seconds: float) -> float:
    """The repeated calls that a server answers in a second."""
    wire = post(GENERATIONS, SMALL)
    load = Load(port=server.port, wire=wire, clients=CLIENTS, seconds=seconds / 2)
    return callers.run(load)[0].rate


@contextmanager
def _open(effort: Effort) -> Iterator[Sequence[Probe]]:
    with ExitStack() as stack:
        others, last = split_cores()
        apart = stack.enter_context(Process.emulator("--workers", str(WORKERS), cores=others))
        callers_apart = stack.enter_context(crowd(last))
        loops = stack.enter_context(processes(WORKERS, others))
        apart.ask(HEALTH)
        # Both workers load what they draw with, and so do the loops.
        callers_apart.pictures(apart, USUAL, CLIENTS, 2 * CLIENTS)
        _loops(loops, 0.1)

        two = stack.enter_context(Process.emulator("--workers", str(WORKERS)))
        store = json.loads(two.ask(get("/_emulator/settings")))["store"]
        one = stack.enter_context(Process.emulator("--store", store, "--store-name", "one"))
        callers = stack.enter_context(crowd())
        for server in (two, one):
            server.ask(HEALTH)
        seconds = effort.seconds(SECONDS)
        yield [
            Probe(("2 loops 1024 /s", "loop CPU ms"), lambda: _loops(loops, seconds)),
            Probe(("2 workers 1024 /s", *COSTS), lambda: _unique(apart, callers_apart, seconds)),
            probe("1 server repeated 256 /s", lambda: _repeated(one, callers, seconds)),
            probe("2 workers repeated 256 /s", lambda: _repeated(two, callers, seconds)),
        ]


WORKING: Final = Bench((23,), _open, linux=True)
