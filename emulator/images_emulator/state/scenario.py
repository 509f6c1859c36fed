"""Which fault meets which call: the steps of a scenario, and those that a test injects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, count, islice
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from images_emulator.state.steps import (
    MAX_REMEMBERED_CHARS,
    REMEMBERED,
    Alike,
    CountedStep,
    MatchInput,
)

if TYPE_CHECKING:
    from images_emulator.faults import AnyFault
    from images_emulator.faults.plan import Step

MISSES: Final = 20
"""Steps of which a call is told why they did not match."""

MAX_INJECTED: Final = 10**12
"""Injected steps are numbered from less than this up, to stand before those of the scenario."""


class Scenario:
    """The steps in their order, injected ones first. Any thread may change them at any time.

    An injected step goes when it has met all its calls; one of a scenario stays, for the record.

    With *path* it begins as the file says. Raises ValueError for one with mistakes or none at all.
    """

    def __init__(self, path: str | None = None) -> None:
        self._lock = Lock()
        self._initial: Sequence[Step] = ()
        if path is not None:
            from images_emulator.faults.plan import read_plan  # noqa: PLC0415 - most servers need none

            self._initial = read_plan(path).steps
        self.reset()

    def __bool__(self) -> bool:
        return bool(self._injected or self._planned)

    def inject(
        self,
        fault: str | Mapping[str, Any],
        *,
        times: int | None = 1,
        match: Mapping[str, Any] | None = None,
    ) -> None:
        """Let the next calls that *match* meet *fault*, before any step of the scenario and after
        what was injected earlier; as often as *times* says, None: always. Downloads of hosted
        pictures are meant only where *match* has a `path`. Raises ValueError."""
        self.add({"fault": fault, "times": times, "match": dict(match or {})})

    def add(self, given: Mapping[str, Any]) -> None:
        """Inject a step as it stands in a scenario. Raises ValueError."""
        from images_emulator.faults.plan import step_of  # noqa: PLC0415 - see above

        step = step_of(given)
        with self._lock:
            running = CountedStep(step, "injected")
            running.number = next(self._numbers)
            self._injected[running] = None
            self._known.clear()

    def load(self, given: Mapping[str, Any]) -> None:
        """Begin another scenario; what was injected is gone. Raises ValueError."""
        from images_emulator.faults.plan import plan_of  # noqa: PLC0415 - see above

        self._begin(plan_of(given).steps)

    def read(self, path: str) -> None:
        """Begin the scenario in a file; what was injected is gone. Raises ValueError."""
        from images_emulator.faults.plan import read_plan  # noqa: PLC0415 - see above

        self._begin(read_plan(path).steps)

    def clear(self) -> None:
        """No more faults, until `reset` begins the scenario of the settings again."""
        self._begin(())

    def reset(self) -> None:
        """Begin the scenario of the settings again; what was injected is gone."""
        self._begin(self._initial)

    def as_json(self) -> dict[str, Any]:
        """The steps, and how many calls have met each of them; keys are redacted."""
        with self._lock:
            steps = [running.as_json() for running in self._all()]
        return {"steps": steps}

    def meet(self, facts: MatchInput) -> tuple[AnyFault | None, list[str]]:
        """The fault that a call meets; or None, and why it met none of the first steps."""
        with self._lock:
            alike = self._alike(facts)
            for running in alike.candidates(facts.prompt):
                if not running.spent and running.strikes():
                    self._drop_spent(running)
                    return running.step.fault, []
            return None, alike.misses(islice(self._all(), MISSES), facts)

    def _begin(self, steps: Sequence[Step]) -> None:
        with self._lock:
            self._numbers = count(-MAX_INJECTED)
            self._injected: dict[CountedStep, None] = {}
            self._planned = [
                CountedStep(step, f"step {number}") for number, step in enumerate(steps, 1)
            ]
            for number, running in enumerate(self._planned):
                running.number = number
            self._live = self._planned
            self._known: dict[MatchInput, Alike] = {}

    def _all(self) -> Iterator[CountedStep]:
        return chain(self._injected, self._planned)

    def _drop_spent(self, running: CountedStep) -> None:
        """Forget an injected step that has met all its calls."""
        if running.spent and running in self._injected:
            del self._injected[running]
            for alike in self._known.values():
                alike.forget_misses()

    def _alike(self, facts: MatchInput) -> Alike:
        """The steps for calls like this one. They change only with the scenario, so that they are
        looked for once."""
        alike = facts._replace(prompt="")
        known = self._known.get(alike)
        if known is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._live = [running for running in self._live if not running.spent]
            others = {
                running: running.miss(alike)
                for running in islice(self._all(), MISSES)
                if not running.matches(alike)
            }
            steps = chain(self._injected, self._live)
            known = Alike((each for each in steps if each.matches(alike)), others)
            if len(alike.path) + len(alike.model) + len(alike.api_key) <= MAX_REMEMBERED_CHARS:
                self._known[alike] = known
        return known
