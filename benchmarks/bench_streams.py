"""Figure 10: many slow streams at once. The fault `stall` makes the emulator wait between two of
their events; a stream among many should take as long as one alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

from benchmarks.calls import FAULT_HEADER, STREAM, Wire, post
from benchmarks.load import Load
from benchmarks.measure import Bench, Effort, Measurements, Probe
from benchmarks.servers import GENERATIONS, HEALTH, Crowd, Peak, Process, crowd

STALL_SECONDS: Final = 5.0
"""Seconds between two events of a stream."""
RAMP_SECONDS: Final = 4.0
"""Seconds over which 5,000 streams begin, fewer in proportion, so that all are open at once."""
LOST_SECONDS: Final = 120.0
"""Seconds after which a stream counts as lost, so that a slow server ends too."""


def _load(server: Process, wire: Wire, clients: int, ramp: float = 0.0) -> Load:
    """One stream for each of *clients*."""
    return Load(
        port=server.port, wire=wire, clients=clients, calls=clients, ramp=ramp, limit=LOST_SECONDS
    )


def _crowded(callers: Crowd, effort: Effort, clients: int) -> Measurements:
    wire = post(
        GENERATIONS, STREAM, **{FAULT_HEADER: f"stall;seconds={effort.seconds(STALL_SECONDS):g}"}
    )
    streams = effort.calls(clients)
    with Process.emulator() as server:
        server.ask(HEALTH)
        # Twice: the images of the first stream may be cached.
        alone = [callers.run(_load(server, wire, 1))[0].percentile(0.5) for _ in range(2)][-1]
        if alone < effort.seconds(STALL_SECONDS):
            print("  the emulator does not stall streams", file=sys.stderr)
        length = len(server.ask(wire))
        before = server.megabytes()
        with Peak(server) as peak:
            ramp = effort.seconds(RAMP_SECONDS) * streams / 5_000
            tally = callers.tallies([_load(server, wire, streams, ramp)])[0]
    # A stream that ends early, or in an error, is as lost as one that never ends.
    broken = bool(tally.failure) or tally.received < tally.answers * length
    lost = streams - tally.answers + broken
    late = tally.percentile(0.99) - alone if tally.answers else LOST_SECONDS
    return {
        f"{clients} lost": lost,
        f"{clients} late s": late,
        f"{clients} alone s": alone,
        f"{clients} each KB": (peak.megabytes - before) * 1000 / streams,
        f"{clients} peak MB": peak.megabytes,
    }


@contextmanager
def _open(effort: Effort) -> Iterator[Sequence[Probe]]:
    with crowd() as callers:
        yield [
            Probe(
                tuple(f"{clients} {what}" for what in ("lost", "late s", "each KB", "peak MB")),
                partial(_crowded, callers, effort, clients),
            )
            for clients in (1_000, 5_000)
        ]


STREAMS: Final = Bench((10,), _open, once=True, linux=True)
