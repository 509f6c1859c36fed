"""The scenario: which fault meets which call, by its steps and by those that a test injects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

from images_emulator.exchange.field_path import FieldPath
from images_emulator.exchange.near_miss import NearMiss
from images_emulator.state.identity import random_id
from images_emulator.state.steps import CODEC, INJECTED, MatchInput, ScenarioStep, Steps
from images_emulator.state.store import Store, is_exhausted

if TYPE_CHECKING:
    from images_emulator.faults.base import BaseFault
    from images_emulator.faults.scenario_document import Step

MAX_NEAR_MISSES: Final = 20
"""The most near misses of one call: those of the first steps."""

MAX_SCANS: Final = 32
"""Entries of the cache of scans."""

MAX_SCAN_CHARS: Final = 4096
"""The most characters of the texts of a call whose scan is cached. A prompt may have megabytes."""


class _Scan:
    """The live *steps* that match a *call*, as far as they have been looked for, and its near
    misses where it met no step and they name no count.

    It is cached for the next equal call: to match 1,000 steps takes 0.16 ms, as long as an answer.
    Any change of the steps empties the cache.
    """

    def __init__(self, steps: Steps, call: MatchInput) -> None:
        self._rest = (step for step in chain(steps.injected, steps.live) if step.matches(call))
        self._matching: list[ScenarioStep] = []
        self.near_misses: list[NearMiss] | None = None

    def matching(self) -> Iterator[ScenarioStep]:
        """The steps that match, in their order. Calls may ask at the same time."""
        at = 0
        while at < len(self._matching) or self._find_next():
            yield self._matching[at]
            at += 1

    def _find_next(self) -> bool:
        step = next(self._rest, None)
        if step is None:
            return False
        self._matching.append(step)
        return True


class Scenario:
    """The steps in their order, injected ones first. The first that matches a call and grants it
    its fault wins.

    An injected step goes when it has met all its calls; one of the scenario stays, for the record.
    The last injected ones that have gone are still listed.
    Any thread may change the steps; that blocks, see `Store.run`.

    It begins with the file at *path*. Raises ValueError for one with mistakes, or that is missing.
    """

    def __init__(self, store: Store, path: str | None = None) -> None:
        self._store = store
        self._initial: Sequence[Step] = ()
        if path is not None:
            from images_emulator.faults.scenario_document import read_scenario  # noqa: PLC0415 - most servers need none

            self._initial = read_scenario(path).steps
        self._steps = store.register("scenario", _begun(self._initial), CODEC)
        self._counters = store.counters("scenario")
        self._scans: tuple[Steps, dict[MatchInput, _Scan]] = self._steps.value, {}

    def __bool__(self) -> bool:
        steps = self._steps.value
        return bool(steps.injected or steps.planned)

    @property
    def reads(self) -> frozenset[str]:
        """Which of `steps.EXPENSIVE_KEYS` its steps ask for."""
        return self._steps.value.reads

    @property
    def paths(self) -> tuple[FieldPath, ...]:
        """The paths to fields that its steps ask for."""
        return self._steps.value.paths

    async def meet(self, call: MatchInput) -> tuple[BaseFault | None, list[NearMiss]]:
        """The fault that a call meets; or None, and the near misses: why it met none of the first
        steps."""
        steps = self._steps.value
        scans = self._scans_of(steps)
        scan = scans.get(call)
        if scan is None:
            scan = _Scan(steps, call)
            if call.chars <= MAX_SCAN_CHARS:
                if len(scans) >= MAX_SCANS:
                    scans.clear()
                scans[call] = scan
        claim = await self._counters.claim(scan.matching())
        if claim:
            step, count = claim
            if is_exhausted(step, count):
                await self._steps.update(lambda steps: steps.without_exhausted(step))
            return step.step.fault, []
        if scan.near_misses is not None:
            return None, scan.near_misses
        first = list(islice(chain(steps.injected, steps.planned), MAX_NEAR_MISSES))
        counts = await self._counters.counts([step.key for step in first])
        pairs = zip(first, counts, strict=True)
        near_misses = [step.near_miss(call, count) for step, count in pairs]
        # The near miss of a step that matches names its count.
        if not any(step.matches(call) for step in first):
            scan.near_misses = near_misses
        return None, near_misses

    def _scans_of(self, steps: Steps) -> dict[MatchInput, _Scan]:
        """The cache of scans of these *steps*."""
        scanned, scans = self._scans
        if scanned is not steps:
            scans = {}
            # As one value: another thread may have other steps.
            self._scans = steps, scans
        return scans

    def inject(
        self,
        fault: str | Mapping[str, Any],
        *,
        times: int | None = 1,
        match: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        """Let the next calls that *match* meet *fault*, which has these *settings*, before
        any step of the scenario and after the steps injected earlier; as often as *times* says,
        None: always. Downloads of hosted pictures are meant only where *match* has a `path`.
        Raises ValueError."""
        if settings:
            fault = {**({"kind": fault} if isinstance(fault, str) else fault), **settings}
        self.add({"fault": fault, "times": times, "match": dict(match or {})})

    def add(self, document: Mapping[str, Any]) -> None:
        """Inject a step as a scenario has it. Raises ValueError."""
        from images_emulator.faults.scenario_document import parse_step  # noqa: PLC0415 - it loads pydantic

        step = ScenarioStep(parse_step(document), INJECTED, random_id())
        self._store.run(self._steps.update(lambda steps: steps.with_injected(step)))

    def remove(self, identity: str) -> None:
        """Remove the step with that id, be it injected, of the scenario, or spent. `reset` begins
        the scenario with it again. Raises KeyError where there is none."""
        self._store.run(self._steps.update(lambda steps: steps.without(identity)))

    def load(self, document: Mapping[str, Any]) -> None:
        """Begin another scenario; injected steps are gone. Raises ValueError."""
        from images_emulator.faults.scenario_document import parse_scenario  # noqa: PLC0415 - it loads pydantic

        self._begin(parse_scenario(document).steps)

    def read(self, path: str) -> None:
        """Begin the scenario in a file; injected steps are gone. Raises ValueError."""
        from images_emulator.faults.scenario_document import read_scenario  # noqa: PLC0415 - it loads pydantic

        self._begin(read_scenario(path).steps)

    def clear(self) -> None:
        """No more faults, until `reset` begins the scenario of the settings again."""
        self._begin(())

    def reset(self) -> None:
        """Begin the scenario of the settings again; injected steps are gone."""
        self._begin(self._initial)

    def as_json(self) -> dict[str, Any]:
        """The steps, and how many calls have met each of them; keys are redacted. Injected ones
        come first, spent ones last."""
        steps = self._steps.value.listed()
        counts = self._store.run(self._counters.counts([step.key for step in steps]))
        pairs = zip(steps, counts, strict=True)
        return {"steps": [step.as_json(count) for step, count in pairs]}

    def _begin(self, steps: Sequence[Step]) -> None:
        self._store.run(self._replace(_begun(steps)))

    async def _replace(self, steps: Steps) -> None:
        await self._steps.update(lambda _: steps)
        await self._counters.clear()


def _begun(steps: Sequence[Step]) -> Steps:
    """*steps* with new counters: calls that are under way count for the old ones."""
    run = random_id(8)
    planned = tuple(
        ScenarioStep(step, f"step {number}", f"{run}-{number}")
        for number, step in enumerate(steps, 1)
    )
    return Steps.of(planned=planned, live=planned)
