"""Figures 16 and 17: the effect of heavy and hostile bodies on other clients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Final

from benchmarks import subject
from benchmarks.calls import USUAL, Wire, edit, fresh, objects, post, upload
from benchmarks.load import Load
from benchmarks.measure import Bench, Effort, Probe, probe
from benchmarks.servers import GENERATIONS, HEALTH, Crowd, Process, crowd

EDITS: Final = "/v1/images/edits"
FORM_BYTES: Final = 240_000_000
JSON_BYTES: Final = 21_000_000
EDIT_IMAGES: Final = 16
EDIT_EDGE: Final = 4080
"""Pixels along an edge of a PNG of 50 MB."""
JPEG_SCANS: Final = 1_000
JPEG_EDGE: Final = 4096
"""Pixels along an edge of the JPEG of so many scans."""


def _longest_wait(server: Process, callers: Crowd, others: Crowd, wire: Wire) -> float:
    """The longest wait of a health call every 5 ms, in milliseconds, while *others* send *wire*."""
    heavy = Load(port=server.port, wire=wire, calls=1)
    probing = Load(port=server.port, wire=HEALTH, seconds=0.5, pause=0.005)
    callers.run(probing)
    waits = []
    with ThreadPoolExecutor(1) as thread:
        # The status of the answer does not matter: it has changed over time.
        sent = thread.submit(others.tallies, [heavy])
        while not sent.done():
            waits += callers.run(probing)[0].times
    return max(waits) * 1000


def _rate(server: Process, callers: Crowd, seconds: float) -> float:
    """Images a second, each for another prompt."""
    wire = post(GENERATIONS, USUAL)
    load = Load(port=server.port, wire=wire, clients=8, seconds=seconds, unique=fresh())
    return callers.run(load)[0].rate


def _rate_beside(
    server: Process, callers: Crowd, others: Crowd, wire: Wire, seconds: float
) -> float:
    """The same while *others* send *wire* ten times a second, or as fast as it is answered."""
    uploads = Load(port=server.port, wire=wire, seconds=seconds, pause=0.1)
    with ThreadPoolExecutor(1) as thread:
        sent = thread.submit(others.tallies, [uploads])
        rate = _rate(server, callers, seconds)
        sent.result()
    return rate


@contextmanager
def _open(effort: Effort) -> Iterator[Sequence[Probe]]:
    with ExitStack() as stack:
        callers, others = stack.enter_context(crowd()), stack.enter_context(crowd())
        server = stack.enter_context(Process.emulator())
        server.ask(HEALTH)
        picture = subject.noise(EDIT_EDGE)
        bodies = {
            "edit": edit(EDITS, [picture] * effort.calls(EDIT_IMAGES)),
            "form": upload(EDITS, effort.calls(FORM_BYTES)),
            "JSON": objects(GENERATIONS, effort.calls(JSON_BYTES)),
        }
        scans = edit(EDITS, [subject.scans(effort.calls(JPEG_SCANS), JPEG_EDGE)])
        seconds = effort.seconds(4)
        yield [
            *(
                probe(
                    f"health beside {name} ms",
                    partial(_longest_wait, server, callers, others, wire),
                )
                for name, wire in bodies.items()
            ),
            probe("alone 1024 /s", partial(_rate, server, callers, seconds)),
            probe(
                "beside scans 1024 /s",
                partial(_rate_beside, server, callers, others, scans, seconds),
            ),
        ]


UPLOADS: Final = Bench((16, 17), _open)
