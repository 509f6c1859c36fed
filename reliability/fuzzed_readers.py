"""What reads the bytes of clients, given mutated bytes: see `reliability.fuzzing`."""

from __future__ import annotations

import asyncio

from reliability.fuzzing.fuzzer import fuzz
from reliability.fuzzing.targets import TARGETS
from reliability.promise import Effort, Figure, Outcome


async def fuzzed_readers(effort: Effort, loop: str) -> Outcome:
    """Each target in turn, without a server."""
    figures, mistakes = [], []
    for name in TARGETS:
        fuzzed = await asyncio.to_thread(fuzz, name, max(1, round(effort.seconds)))
        figures.append(Figure(fuzzed.inputs, f"inputs of the target {name}", least=1))
        if fuzzed.output:
            mistakes.append(f"{name}: {fuzzed.output}")
    return Outcome(figures, mistakes)
