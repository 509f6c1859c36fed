"""The steps of a scenario as they run: what they ask of a call, and why one did not meet them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from images_emulator.contract.message_format import mask_key
from images_emulator.exchange.near_miss import NearMiss, NearMissKind
from images_emulator.immutable import Immutable
from images_emulator.state.store import Codec, Count, Packed, is_exhausted

if TYPE_CHECKING:
    from images_emulator.faults.scenario_document import Step

MAX_QUOTED_CHARS: Final = 80
"""Characters of a call's own words in a near miss."""

INJECTED: Final = "injected"
"""Name of an injected step in near misses; those of the scenario are `step 1` and so on."""

MAX_SPENT_STEPS: Final = 20
"""Injected steps that are still listed when they have met all their calls: the last ones."""


class MatchInput(NamedTuple):
    """The values of a call that the `match` of a step reads, by the names of its keys. *download*:
    the call is for a hosted picture, which has this *model* and *prompt*. *streams*: it asks for a
    stream."""

    path: str
    model: str = ""
    prompt: str = ""
    api_key: str = ""
    retry_count: int = 0
    download: bool = False
    streams: bool = False


def _test(name: str, wanted: str | int) -> Callable[[Any], bool]:
    """The test for a field of a `MatchInput`, from the *wanted* value of the key *name*."""
    if isinstance(wanted, str):
        if name == "prompt":
            return lambda prompt: wanted in prompt
        if name in {"path", "model"} and not set("*?[").isdisjoint(wanted):
            return lambda value: fnmatchcase(value, wanted)
    return wanted.__eq__


class ScenarioStep:
    """One step, with the *key* of its counter, which is its id in the admin API. A `Quota`."""

    def __init__(self, step: Step, name: str, key: str) -> None:
        self.step = step
        self.name = name
        self.title = f"{name} ({step.fault.label})"
        self.key = key
        self.after, self.times, self.probability = step.after, step.times, step.probability
        self.seed = f"{step.seed} {self.title}"
        self._for_calls = not step.fault.for_downloads
        self._for_streams = step.fault.for_streams
        # A step without a path would be used up by downloads unawares.
        self._for_downloads = step.fault.for_downloads or step.match.path is not None
        self._tests = [
            (place, _test(name, wanted))
            for place, name in enumerate(MatchInput._fields)
            if (wanted := getattr(step.match, name, None)) is not None
        ]

    def matches(self, call: MatchInput) -> bool:
        if not (self._for_downloads if call.download else self._for_calls):
            return False
        if self._for_streams and not call.streams:
            return False
        for place, test in self._tests:  # noqa: SIM110 - a generator takes twice as long
            if not test(call[place]):
                return False
        return True

    def near_miss(self, call: MatchInput, count: Count) -> NearMiss:
        """Why the call did not meet it."""
        spent = is_exhausted(self, count)
        kind, reason = self._reason(call, count, spent=spent)
        return NearMiss(self.key, self.name, self.step.fault.label, kind, reason, spent)

    def _reason(self, call: MatchInput, count: Count, *, spent: bool) -> tuple[NearMissKind, str]:
        if call.download and not self._for_downloads:
            return "target", "has no path, which is what a step for downloads needs"
        if not (call.download or self._for_calls):
            return "target", "is for downloads"
        if self._for_streams and not call.streams:
            return "target", "is for streams, and the call asks for none"
        for place, test in self._tests:
            if not test(call[place]):
                name: Any = MatchInput._fields[place]
                return name, self._difference(name, call[place])
        if spent:
            return "spent", f"has met its {count.grants} calls"
        if count.claims <= self.after:
            return "after", f"lets the first {self.after} pass"
        return "chance", "was left to chance"

    def _difference(self, name: str, value: str | int) -> str:
        wanted = getattr(self.step.match, name)
        if name == "prompt":
            return f"the prompt does not have {wanted!r}"
        if name == "api_key":
            value, wanted = mask_key(str(value)), mask_key(wanted)
        if isinstance(value, str):
            value = value[:MAX_QUOTED_CHARS]
        return f"{name} {value!r} is not {wanted!r}"

    @property
    def is_injected(self) -> bool:
        return self.name == INJECTED

    def as_json(self, count: Count) -> dict[str, Any]:
        """The step as the admin API shows it: its id and its names, its settings, how many calls
        have met it, and whether it is spent. The API key in its `match` is redacted."""
        step = self.step
        match = step.match.model_dump(exclude_none=True)
        if key := step.match.api_key:
            match["api_key"] = mask_key(key)
        return {
            "id": self.key,
            "name": self.name,
            "title": self.title,
            "injected": self.is_injected,
            "fault": step.as_json()["fault"],
            "match": match,
            "times": step.times,
            "after": step.after,
            "probability": step.probability,
            "seed": step.seed,
            "met": count.grants,
            "spent": is_exhausted(self, count),
        }


class Steps(Immutable):
    """The steps in their order: *injected* ones, then those of the scenario as *planned*. Of these
    *live* are those that may still be met. *spent* are the last injected ones that have met all
    their calls; no call is compared with them."""

    injected: tuple[ScenarioStep, ...] = ()
    planned: tuple[ScenarioStep, ...] = ()
    live: tuple[ScenarioStep, ...] = ()
    spent: tuple[ScenarioStep, ...] = ()

    def listed(self) -> tuple[ScenarioStep, ...]:
        """All steps, in the order in which calls are compared with them, and then the spent."""
        return (*self.injected, *self.planned, *self.spent)

    def with_injected(self, step: ScenarioStep) -> Steps:
        return replace(self, injected=(*self.injected, step))

    def without_exhausted(self, step: ScenarioStep) -> Steps:
        """The steps when *step* has met all its calls. One of the scenario stays as planned, for
        the record; an injected one is spent."""
        if not step.is_injected:
            return replace(self, live=_without(step.key, self.live))
        injected = _without(step.key, self.injected)
        if injected is self.injected:
            return self  # it was removed meanwhile
        spent = (*self.spent, step)[-MAX_SPENT_STEPS:]
        return replace(self, injected=injected, spent=spent)

    def without(self, key: str) -> Steps:
        """The steps without that of this *key*. Raises KeyError where there is none."""
        if not any(step.key == key for step in self.listed()):
            raise KeyError(key)
        return Steps(
            *(
                _without(key, steps)
                for steps in (self.injected, self.planned, self.live, self.spent)
            )
        )


def _without(key: str, steps: tuple[ScenarioStep, ...]) -> tuple[ScenarioStep, ...]:
    # Not by `filter`: most often it is the first, also of thousands.
    for place, each in enumerate(steps):
        if each.key == key:
            return steps[:place] + steps[place + 1 :]
    return steps


def _pack(steps: Steps) -> Packed:
    live = {step.key for step in (*steps.injected, *steps.live)}
    return Packed(
        {
            "steps": [
                {
                    "name": step.name,
                    "key": step.key,
                    "live": step.key in live,
                    "step": step.step.as_json(),
                }
                for step in steps.listed()
            ]
        }
    )


def _unpack(packed: Packed) -> Steps:
    from images_emulator.faults.scenario_document import parse_step  # noqa: PLC0415 - most servers need none

    def read(document: Mapping[str, Any]) -> ScenarioStep:
        return ScenarioStep(parse_step(document["step"]), document["name"], document["key"])

    steps = [(read(each), each["live"]) for each in packed.document["steps"]]
    return Steps(
        injected=tuple(step for step, live in steps if step.is_injected and live),
        planned=tuple(step for step, _ in steps if not step.is_injected),
        live=tuple(step for step, live in steps if not step.is_injected and live),
        spent=tuple(step for step, live in steps if step.is_injected and not live),
    )


CODEC: Final = Codec(_pack, _unpack)
