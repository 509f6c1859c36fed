"""Figure 21: the start of a server with 10,000 recordings, and the cost of a recorded answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

from benchmarks.calls import USUAL, numbered, post
from benchmarks.load import Load
from benchmarks.measure import Bench, Effort, Measurements, Probe, probe
from benchmarks.servers import GENERATIONS, HEALTH, Process, crowd

RECORDINGS: Final = 10_000


def _write_recordings(folder: Path, answer: bytes, numbers: range) -> None:
    """Write a recording for each of *numbers* to *folder*, all with the body *answer*."""
    from images_emulator.recordings.folder import RecordingFolder  # noqa: PLC0415 - not in all
    from images_emulator.recordings.recording import (  # noqa: PLC0415 - checkouts
        RecordedPart,
        RecordedRequest,
        RecordedResponse,
        Recording,
    )

    headers = (("content-type", "application/json"),)
    response = RecordedResponse(200, headers, (RecordedPart(0.0, answer),))
    body = json.dumps({**USUAL, "prompt": numbered(numbers[0])}).encode()
    request = RecordedRequest("POST", GENERATIONS, headers, body)
    first = RecordingFolder(folder).add(Recording(request, response))
    text, prompt = first.read_text(), numbered(numbers[0])
    for place, number in enumerate(numbers[1:], 2):
        name = f"{place:05}-{first.name.partition('-')[2]}"
        (folder / name).write_text(text.replace(prompt, numbered(number)))


def _start(folder: Path, number: int) -> Measurements:
    with Process.emulator("--replay", str(folder), "--no-delay") as server:
        server.ask(HEALTH)
        first = perf_counter() - server.started
        server.ask(post(GENERATIONS, USUAL), number)
        return {
            "replay first 200 s": first,
            "replay first recorded s": perf_counter() - server.started,
        }


@contextmanager
def _open(effort: Effort) -> Iterator[Sequence[Probe]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        emulator = stack.enter_context(Process.emulator())
        numbers = range(effort.calls(RECORDINGS))
        wire = post(GENERATIONS, USUAL)
        _write_recordings(folder, emulator.ask(wire), numbers)
        player = stack.enter_context(Process.emulator("--replay", str(folder), "--no-delay"))
        player.ask(wire)
        callers = stack.enter_context(crowd())

        def rate(server: Process) -> float:
            load = Load(port=server.port, wire=wire, clients=8, seconds=effort.seconds(2))
            return callers.run(load)[0].rate

        yield [
            Probe(
                ("replay first 200 s", "replay first recorded s"),
                lambda: _start(folder, numbers[-1]),
            ),
            probe("recorded /s", lambda: rate(player)),
            probe("emulated /s", lambda: rate(emulator)),
        ]


REPLAYED: Final = Bench((21,), _open)
