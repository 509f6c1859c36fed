"""Figures 8 and 19: time from the start of a process to its first answers."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

from benchmarks.calls import USUAL, post
from benchmarks.measure import Bench, Effort, Measurements, Probe, probe
from benchmarks.servers import GENERATIONS, HEALTH, ROOT, Process

AIMOCK: Final = "@copilotkit/aimock@1.43.0"
"""The nearest relative that is used much: a mock of many providers, in TypeScript."""

FIXTURE: Final = {
    "match": {"userMessage": "A lighthouse", "endpoint": "image"},
    "response": {"image": {"b64_json": "iVBORw0KGgo="}},
}


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


@contextmanager
def _open_aimock(effort: Effort) -> Iterator[Sequence[Probe]]:
    """Nothing is measured where npm does not install aimock."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        program = _installed_aimock(folder)
        fixture = folder / "fixture.json"
        fixture.write_text(json.dumps({"fixtures": [FIXTURE]}))

        def aimock() -> float:
            assert program
            with Process.aimock(program, fixture) as server:
                server.ask(post(GENERATIONS, USUAL))
                return perf_counter() - server.started

        def emulator() -> float:
            with Process.emulator() as server:
                server.ask(post(GENERATIONS, USUAL))
                return perf_counter() - server.started

        yield (
            [
                probe("aimock first answer s", aimock),
                probe("emulator first answer s", emulator),
            ]
            if program
            else []
        )


def _installed_aimock(folder: Path) -> Path | None:
    """Aimock's program, installed in *folder*; None where npm is not there or fails."""
    npm = shutil.which("npm")
    if not npm:
        return None
    install = [npm, "install", "--silent", "--no-audit", "--no-fund", AIMOCK]
    try:
        subprocess.run(install, cwd=folder, check=True, timeout=120)
    except subprocess.SubprocessError:
        return None
    return folder / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"


STARTING: Final = Bench((8,), _open)
AIMOCK_STARTING: Final = Bench((19,), _open_aimock)
