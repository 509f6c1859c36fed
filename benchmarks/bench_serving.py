"""Figures 3 to 7 and 13: serving, compared with a plain loop, the plain and the bare server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, Final

from benchmarks import subject
from benchmarks.calls import LARGE, SMALL, STREAM, USUAL, fresh, post, upload
from benchmarks.load import Load
from benchmarks.measure import Bench, Effort, Measurements, Probe, probe
from benchmarks.servers import GENERATIONS, HEALTH, Crowd, Process, crowd

EDITS: Final = "/v1/images/edits"
UPLOAD_BYTES: Final = 50_000_000
PREBUILT: Final = {"256": SMALL, "1024": USUAL, "stream": STREAM}
"""The calls whose answers the bare server has, by its paths."""


def loop_rate(fields: Mapping[str, Any], seconds: float) -> float:
    """Images that are rendered in a second, in a plain loop."""
    requests, done, start = subject.requests_of(fields), 0, perf_counter()
    while perf_counter() < start + seconds:
        subject.render(next(requests))
        done += 1
    return done / (perf_counter() - start)


@dataclass(frozen=True, slots=True)
class _Servers:
    """The servers, all up at once, and the process that calls them."""

    emulator: Process
    plain: Process
    bare: Process
    crowd: Crowd
    effort: Effort

    def unique(self, server: Process, fields: Mapping[str, Any], seconds: float) -> float:
        """Images a second for 8 clients, each for another prompt."""
        wire, time = post(GENERATIONS, fields), self.effort.seconds(seconds)
        load = Load(port=server.port, wire=wire, clients=8, seconds=time, unique=fresh())
        return self.crowd.run(load)[0].rate

    def repeated(
        self, server: Process, path: str, fields: Mapping[str, Any], clients: int = 32
    ) -> float:
        """Answers a second to the same call, repeated."""
        seconds = self.effort.seconds(1)
        load = Load(port=server.port, wire=post(path, fields), clients=clients, seconds=seconds)
        return self.crowd.run(load)[0].rate

    def latency(self) -> Measurements:
        wire, seconds = post(GENERATIONS, USUAL), self.effort.seconds(4)
        load = Load(port=self.emulator.port, wire=wire, clients=32, seconds=seconds, unique=fresh())
        tally = self.crowd.run(load)[0]
        return {
            "emulator 1024 p50 s": tally.percentile(0.5),
            "emulator 1024 p99 s": tally.percentile(0.99),
        }

    def health(self) -> float:
        """p99 in ms of a health call every 5 ms, while 8 clients wait for images."""
        port, seconds = self.emulator.port, self.effort.seconds(3)
        wire = post(GENERATIONS, USUAL)
        pictures = Load(port=port, wire=wire, clients=8, seconds=seconds, unique=fresh())
        probing = Load(port=port, wire=HEALTH, seconds=seconds, pause=0.005)
        return self.crowd.run(pictures, probing)[1].percentile(0.99) * 1000

    def upload(self, server: Process, path: str, status: int) -> float:
        """Seconds from the first byte sent to the answer."""
        load = Load(
            port=server.port,
            wire=upload(path, UPLOAD_BYTES),
            calls=self.effort.calls(6),
            status=status,
        )
        return self.crowd.run(load)[0].percentile(0.5)

    def probes(self) -> Iterator[Probe]:
        def of(name: str, measure: Callable[..., float], *arguments: Any) -> Probe:
            return probe(name, lambda: measure(*arguments))

        for name, fields, seconds in (("1024", USUAL, 2.0), ("4K", LARGE, 4.0)):
            yield of(f"loop {name} /s", loop_rate, fields, self.effort.seconds(seconds))
            for server in (self.emulator, self.plain):
                yield of(f"{server.name} {name} /s", self.unique, server, fields, seconds)
        for name in ("1024", "256"):
            fields = PREBUILT[name]
            call = (self.emulator, GENERATIONS, fields)
            yield of(f"emulator repeated {name} /s", self.repeated, *call)
            yield of(f"bare {name} /s", self.repeated, self.bare, f"/{name}", fields)
        yield Probe(("emulator 1024 p50 s", "emulator 1024 p99 s"), self.latency)
        yield of("health p99 ms", self.health)
        yield of("emulator stream /s", self.repeated, self.emulator, GENERATIONS, STREAM, 8)
        yield of("bare stream /s", self.repeated, self.bare, "/stream", STREAM, 8)
        # Read, parsed and refused: there is no image in it.
        yield of("emulator upload s", self.upload, self.emulator, EDITS, 400)
        yield of("bare upload s", self.upload, self.bare, "/256", 200)


@contextmanager
def _open(effort: Effort) -> Iterator[Sequence[Probe]]:
    with ExitStack() as stack:
        emulator = stack.enter_context(Process.emulator())
        plain = stack.enter_context(Process.plain())
        folder = Path(stack.enter_context(TemporaryDirectory()))
        emulator.ask(HEALTH)
        for name, fields in PREBUILT.items():
            (folder / name).write_bytes(emulator.ask(post(GENERATIONS, fields)))
        bare = stack.enter_context(Process.bare(*subject.parser_and_loop(), folder))
        bare.ask(post("/256", SMALL))
        plain.ask(post(GENERATIONS, SMALL))
        callers = stack.enter_context(crowd())
        yield [*_Servers(emulator, plain, bare, callers, effort).probes()]


SERVING: Final = Bench((3, 4, 5, 6, 7, 13), _open)
