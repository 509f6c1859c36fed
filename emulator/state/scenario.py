"""Which fault meets which call: the steps of a scenario, and those that a test injects."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import islice
from operator import attrgetter
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from emulator.contract.errors import masked

if TYPE_CHECKING:
    from emulator.faults import AnyFault
    from emulator.faults.plan import Step

MISSES: Final = 20
"""Steps of which a call is told why they did not match."""

SHOWN: Final = 80
"""Characters of a call's own words in such a sentence."""

REMEMBERED: Final = 32
"""Kinds of calls for which the steps that match are remembered."""


class Facts(NamedTuple):
    """What a step may ask about a call; the names are those of its `match`."""

    path: str
    model: str = ""
    prompt: str = ""
    api_key: str = ""
    retry_count: int = 0


def _test(name: str, wanted: str | int) -> Callable[[Any], bool]:
    if isinstance(wanted, int):
        return wanted.__eq__
    if name in {"path", "model"} and not set("*?[").isdisjoint(wanted):
        return lambda given: fnmatchcase(given, wanted)
    return wanted.__eq__


class _Running:
    """A step, and the calls that have matched and met it."""

    def __init__(self, step: Step, title: str) -> None:
        self.step = step
        self.title = f"{title} ({step.fault.label})"
        self.number = self.matched = self.met = 0
        self.prompt = step.match.prompt
        self.tests = [
            (place, _test(name, wanted))
            for place, name in enumerate(Facts._fields)
            if name != "prompt" and (wanted := getattr(step.match, name)) is not None
        ]
        self._after, self._times = step.after, step.times
        lucky = step.probability < 1
        self._luck = random.Random(f"{step.seed} {title}") if lucky else None

    @property
    def spent(self) -> bool:
        return self._times is not None and self.met >= self._times

    def matches(self, facts: Facts) -> bool:
        return all(test(facts[place]) for place, test in self.tests)

    def strikes(self) -> bool:
        """Whether a call that matches meets the fault."""
        self.matched += 1
        if self.matched <= self._after:
            return False
        if self._luck and self._luck.random() >= self.step.probability:
            return False
        self.met += 1
        return True

    def miss(self, facts: Facts) -> str:
        """Why the call did not meet it."""
        for place, test in self.tests:
            if not test(facts[place]):
                name = Facts._fields[place]
                given, wanted = facts[place], getattr(self.step.match, name)
                if name == "api_key":
                    given, wanted = masked(facts.api_key), masked(wanted)
                if isinstance(given, str):
                    given = given[:SHOWN]
                return f"{self.title}: {name} {given!r} is not {wanted!r}"
        if self.prompt is not None and self.prompt not in facts.prompt:
            return f"{self.title}: the prompt does not have {self.prompt!r}"
        if self.spent:
            return f"{self.title}: has met its {self.met} calls"
        if self.matched <= self.step.after:
            return f"{self.title}: lets the first {self.step.after} pass"
        return f"{self.title}: was left to chance"


class _Alike:
    """The *steps* for calls that are alike in all but their prompts, and why the *others* are not
    for them."""

    def __init__(self, steps: Iterable[_Running], others: Mapping[_Running, str]) -> None:
        self._any: deque[_Running] = deque()
        self._by_prompt: dict[int, dict[str, deque[_Running]]] = {}
        self._queues: dict[str, Sequence[deque[_Running]]] = {}
        self.others = others
        for running in steps:
            queue = self._any
            if (part := running.prompt) is not None:
                queue = self._by_prompt.setdefault(len(part), {}).setdefault(part, deque())
            queue.append(running)

    def candidates(self, prompt: str) -> Iterator[_Running]:
        """The steps for *prompt* in their order, without the first ones that are spent."""
        if prompt not in self._queues:
            if len(self._queues) >= REMEMBERED:
                self._queues.clear()
            self._queues[prompt] = [self._any, *self._said(prompt)]
        queues = self._queues[prompt]
        for queue in queues:
            while queue and queue[0].spent:
                queue.popleft()
        return heapq.merge(*queues, key=attrgetter("number"))

    def _said(self, prompt: str) -> Iterator[deque[_Running]]:
        for length, queues in self._by_prompt.items():
            # Whichever is fewer is gone through: the texts of this length, or the prompt's places.
            if len(queues) < len(prompt):
                parts = {part for part in queues if part in prompt}
            else:
                places = range(len(prompt) - length + 1)
                parts = queues.keys() & {prompt[place : place + length] for place in places}
            yield from (queues[part] for part in parts)


class Scenario:
    """The steps in their order, injected ones first. Any thread may change them at any time.

    With *path* it begins as the file says. Raises ValueError for one with mistakes or none at all.
    """

    def __init__(self, path: str | None = None) -> None:
        self._lock = Lock()
        self._initial: Sequence[Step] = ()
        if path is not None:
            from emulator.faults.plan import read_plan  # noqa: PLC0415 - most servers need none

            self._initial = read_plan(path).steps
        self.reset()

    def __bool__(self) -> bool:
        return bool(self._all)

    def inject(
        self,
        fault: str | Mapping[str, Any],
        *,
        times: int | None = 1,
        match: Mapping[str, Any] | None = None,
    ) -> None:
        """Let the next calls that *match* meet *fault*, before any step of the scenario; as often
        as *times* says, None: always. Raises ValueError."""
        self.add({"fault": fault, "times": times, "match": dict(match or {})})

    def add(self, given: Mapping[str, Any]) -> None:
        """Inject a step as it stands in a scenario. Raises ValueError."""
        from emulator.faults.plan import step_of  # noqa: PLC0415 - see above

        step = step_of(given)
        with self._lock:
            self._injected.append(_Running(step, "injected"))
            self._arrange()

    def load(self, given: Mapping[str, Any]) -> None:
        """Begin another scenario; what was injected is gone. Raises ValueError."""
        from emulator.faults.plan import plan_of  # noqa: PLC0415 - see above

        self._begin(plan_of(given).steps)

    def read(self, path: str) -> None:
        """Begin the scenario in a file; what was injected is gone. Raises ValueError."""
        from emulator.faults.plan import read_plan  # noqa: PLC0415 - see above

        self._begin(read_plan(path).steps)

    def clear(self) -> None:
        """No more faults, until `reset` begins the scenario of the settings again."""
        self._begin(())

    def reset(self) -> None:
        """Begin the scenario of the settings again; what was injected is gone."""
        self._begin(self._initial)

    def as_json(self) -> dict[str, Any]:
        """The steps, and how many calls have met each of them."""
        with self._lock:
            steps = [running.step.as_json() | {"met": running.met} for running in self._all]
        return {"steps": steps}

    def meet(self, facts: Facts) -> tuple[AnyFault | None, list[str]]:
        """The fault that a call meets; or None, and why it met none of the first steps."""
        with self._lock:
            alike = self._alike(facts)
            for running in alike.candidates(facts.prompt):
                if not running.spent and running.strikes():
                    return running.step.fault, []
            first = islice(self._all, MISSES)
            return None, [alike.others.get(running) or running.miss(facts) for running in first]

    def _begin(self, steps: Sequence[Step]) -> None:
        with self._lock:
            self._injected: list[_Running] = []
            self._planned = [
                _Running(step, f"step {number}") for number, step in enumerate(steps, 1)
            ]
            self._arrange()

    def _arrange(self) -> None:
        self._all = [*self._injected, *self._planned]
        for number, running in enumerate(self._all):
            running.number = number
        self._live = self._all
        self._known: dict[Facts, _Alike] = {}

    def _alike(self, facts: Facts) -> _Alike:
        """The steps for calls like this one. They change only with the scenario, so that they are
        looked for once."""
        alike = facts._replace(prompt="")
        if alike not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._live = [running for running in self._live if not running.spent]
            others = {
                running: running.miss(alike)
                for running in islice(self._all, MISSES)
                if not running.matches(alike)
            }
            steps = (running for running in self._live if running.matches(alike))
            self._known[alike] = _Alike(steps, others)
        return self._known[alike]
