"""The steps of a scenario as they run: what they ask of a call, and what has met them."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from images_emulator.contract.errors import masked

if TYPE_CHECKING:
    from images_emulator.faults.plan import Step

SHOWN: Final = 80
"""Characters of a call's own words in such a sentence."""

REMEMBERED: Final = 32
"""Kinds of calls for which the steps that match are remembered."""


MAX_REMEMBERED_CHARS: Final = 4096
"""Characters of what is remembered of a call: a client may send a prompt of many megabytes."""


class MatchInput(NamedTuple):
    """What a step may ask about a call; the names are those of its `match`, but for *download*: the
    call is one for a hosted picture, of that model and prompt."""

    path: str
    model: str = ""
    prompt: str = ""
    api_key: str = ""
    retry_count: int = 0
    download: bool = False


def _test(name: str, wanted: str | int) -> Callable[[Any], bool]:
    if isinstance(wanted, int):
        return wanted.__eq__
    if name in {"path", "model"} and not set("*?[").isdisjoint(wanted):
        return lambda given: fnmatchcase(given, wanted)
    return wanted.__eq__


class CountedStep:
    """A step, and the calls that have matched and met it."""

    def __init__(self, step: Step, title: str) -> None:
        self.step = step
        self.title = f"{title} ({step.fault.label})"
        self.number = self.matched = self.met = 0
        self.prompt = step.match.prompt
        self.tests = [
            (place, _test(name, wanted))
            for place, name in enumerate(MatchInput._fields)
            if name not in {"prompt", "download"}
            and (wanted := getattr(step.match, name)) is not None
        ]
        self._after, self._times = step.after, step.times
        self._for_calls = not step.fault.for_downloads
        # A step that does not name their path would be used up by downloads unawares.
        self._for_downloads = step.fault.for_downloads or step.match.path is not None
        lucky = step.probability < 1
        self._luck = random.Random(f"{step.seed} {title}") if lucky else None

    def as_json(self) -> dict[str, Any]:
        """The step as it may be written, its key redacted, and how many calls have met it."""
        step = self.step.as_json()
        if key := self.step.match.api_key:
            step["match"]["api_key"] = masked(key)
        return step | {"met": self.met}

    @property
    def spent(self) -> bool:
        return self._times is not None and self.met >= self._times

    def matches(self, facts: MatchInput) -> bool:
        if not (self._for_downloads if facts.download else self._for_calls):
            return False
        return all(test(facts[place]) for place, test in self.tests)

    def says(self, facts: MatchInput) -> bool:
        """Whether the prompt has what it must have."""
        return self.prompt is None or self.prompt in facts.prompt

    def strikes(self) -> bool:
        """Whether a call that matches meets the fault."""
        self.matched += 1
        if self.matched <= self._after:
            return False
        if self._luck and self._luck.random() >= self.step.probability:
            return False
        self.met += 1
        return True

    def miss(self, facts: MatchInput) -> str:
        """Why the call did not meet it."""
        if facts.download and not self._for_downloads:
            return f"{self.title}: has no path, which is what a step for downloads needs"
        if not (facts.download or self._for_calls):
            return f"{self.title}: is for downloads"
        for place, test in self.tests:
            if not test(facts[place]):
                name = MatchInput._fields[place]
                given, wanted = facts[place], getattr(self.step.match, name)
                if name == "api_key":
                    given, wanted = masked(facts.api_key), masked(wanted)
                if isinstance(given, str):
                    given = given[:SHOWN]
                return f"{self.title}: {name} {given!r} is not {wanted!r}"
        if not self.says(facts):
            return f"{self.title}: the prompt does not have {self.prompt!r}"
        if self.spent:
            return f"{self.title}: has met its {self.met} calls"
        if self.matched <= self.step.after:
            return f"{self.title}: lets the first {self.step.after} pass"
        return f"{self.title}: was left to chance"


class Alike:
    """The *steps* for calls that are alike in all but their prompts, and why the *others* are not
    for them."""

    def __init__(self, steps: Iterable[CountedStep], others: Mapping[CountedStep, str]) -> None:
        self._any: deque[CountedStep] = deque()
        self._by_prompt: dict[int, dict[str, deque[CountedStep]]] = {}
        self._queues: dict[str, Sequence[deque[CountedStep]]] = {}
        self._others = others
        self._missed: dict[str, list[str]] = {}
        for running in steps:
            queue = self._any
            if (part := running.prompt) is not None:
                queue = self._by_prompt.setdefault(len(part), {}).setdefault(part, deque())
            queue.append(running)

    def candidates(self, prompt: str) -> Iterator[CountedStep]:
        """The steps for *prompt* in their order, without the first ones that are spent."""
        queues = self._queues.get(prompt)
        if queues is None:
            queues = [self._any, *self._said(prompt)]
            if len(self._queues) >= REMEMBERED:
                self._queues.clear()
            if len(prompt) <= MAX_REMEMBERED_CHARS:
                self._queues[prompt] = queues
        for queue in queues:
            while queue and queue[0].spent:
                queue.popleft()
        return heapq.merge(*queues, key=attrgetter("number"))

    def misses(self, first: Iterable[CountedStep], facts: MatchInput) -> list[str]:
        """Why the *first* steps did not meet a call. Where none of them is for calls of its prompt,
        it is the same each time."""
        if facts.prompt in self._missed:
            return self._missed[facts.prompt]
        steps = list(first)
        told = [self._others.get(running) or running.miss(facts) for running in steps]
        same = all(running in self._others or not running.says(facts) for running in steps)
        if same and len(facts.prompt) <= MAX_REMEMBERED_CHARS:
            if len(self._missed) >= REMEMBERED:
                self._missed.clear()
            self._missed[facts.prompt] = told
        return told

    def forget_misses(self) -> None:
        """Have `misses` look again: the first steps are others now."""
        self._missed.clear()

    def _said(self, prompt: str) -> Iterator[deque[CountedStep]]:
        for length, queues in self._by_prompt.items():
            # Whichever is fewer is gone through: the texts of this length, or the prompt's places.
            if len(queues) < len(prompt):
                parts = {part for part in queues if part in prompt}
            else:
                places = range(len(prompt) - length + 1)
                parts = queues.keys() & {prompt[place : place + length] for place in places}
            yield from (queues[part] for part in parts)
