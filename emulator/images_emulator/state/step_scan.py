"""The search of the steps for those that a call matches, and the cache of such searches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from threading import Lock
from typing import Final

from images_emulator.exchange.near_miss import NearMiss
from images_emulator.state.match_keys import MatchInput
from images_emulator.state.scenario_step import ScenarioStep
from images_emulator.state.steps import Steps
from images_emulator.state.store import ClaimCount

MAX_NEAR_MISSES: Final = 20
"""The most near misses of one call: those of the first steps."""

MAX_CACHED_SCANS: Final = 32
"""Entries of the cache of scans."""

MAX_SCAN_CHARS: Final = 4096
"""The most characters of the texts of a call whose scan is cached. A prompt may have megabytes."""


class StepScan:
    """A search for the live *steps* that match the *match_input* of a call: the steps found so far,
    and the near misses."""

    def __init__(self, steps: Steps, match_input: MatchInput) -> None:
        self.is_certain = True
        """Whether all steps so far could be compared, and in time."""
        self._steps = steps
        self._match_input = match_input
        self._rest = self._search()
        self._lock = Lock()
        """Held while `_rest` is asked for its next step: a generator is of one thread at a time."""
        self._matching: list[ScenarioStep] = []
        self._near_misses: Sequence[NearMiss] | None = None
        """The near misses; None until they are known, and where they depend on counts."""

    def matching(self) -> Iterator[ScenarioStep]:
        """The steps that match, in their order. Calls and threads may iterate at the same time."""
        index = 0
        while index < len(self._matching) or self._search_to(index):
            yield self._matching[index]
            index += 1

    def steps_to_explain(self) -> Sequence[ScenarioStep]:
        """The first steps for calls of this kind, whether they match or not: `near_misses` explains
        why the call has met none of them, and needs their counts. Empty if the near misses are
        known already."""
        if self._near_misses is not None:
            return ()
        return [*islice(self._steps.for_calls_like(self._match_input), MAX_NEAR_MISSES)]

    def near_misses(
        self, steps_to_explain: Sequence[ScenarioStep], counts: Sequence[ClaimCount]
    ) -> Sequence[NearMiss]:
        """Why the call has met none of *steps_to_explain*, whose counts are *counts*."""
        if self._near_misses is not None:
            return self._near_misses
        pairs = zip(steps_to_explain, counts, strict=True)
        near_misses = [step.near_miss(self._match_input, count) for step, count in pairs]
        # The reason of a step that matches names its count.
        matching = {step.id for step in self.matching()}
        if matching.isdisjoint(step.id for step in steps_to_explain):
            self._near_misses = near_misses
        return near_misses

    def _search(self) -> Iterator[ScenarioStep]:
        for step in chain(self._steps.injected, self._steps.live_planned):
            try:
                if step.matches(self._match_input):
                    yield step
            except TimeoutError:
                self.is_certain = False
            except BaseException:
                # A generator that has raised is finished: this scan would miss the later steps.
                self.is_certain = False
                raise

    def _search_to(self, index: int) -> bool:
        """Search on until the matching step with the *index* is found. Return whether there is
        one."""
        with self._lock:
            if index == len(self._matching):
                self._matching.extend(islice(self._rest, 1))
            return index < len(self._matching)


class StepScans:
    """The scans of the last calls, for equal calls to come: to match 1,000 steps takes 0.16 ms, as
    long as an answer. Any change of the steps empties the cache. Where a step could not be compared
    in time, the next equal call is scanned anew."""

    def __init__(self) -> None:
        self._scans: tuple[Steps | None, dict[MatchInput, StepScan]] = None, {}
        """The steps, and the scans of these."""

    def scan_of(self, steps: Steps, match_input: MatchInput) -> StepScan:
        """The scan of *steps* for a call with this *match_input*; it is cached unless that is
        long."""
        scans = self._scans_of(steps)
        scan = scans.get(match_input)
        if scan is None or not scan.is_certain:
            scan = StepScan(steps, match_input)
            if match_input.chars <= MAX_SCAN_CHARS:
                if len(scans) >= MAX_CACHED_SCANS:
                    scans.clear()
                scans[match_input] = scan
        return scan

    def _scans_of(self, steps: Steps) -> dict[MatchInput, StepScan]:
        scanned_steps, scans = self._scans
        if scanned_steps is not steps:
            scans = {}
            # As one value: another thread may have other steps.
            self._scans = steps, scans
        return scans
