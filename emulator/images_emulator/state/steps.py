"""The steps of a scenario in their order, and how the store has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import chain
from typing import Any, Final

from images_emulator.exchange.field_path import FieldPath
from images_emulator.immutable import Immutable
from images_emulator.state.match_keys import MatchInput
from images_emulator.state.scenario_step import ScenarioStep
from images_emulator.state.store import Codec, Packed

MAX_SPENT_STEPS: Final = 20
"""The number of spent injected steps that are still listed: the last ones."""


class Steps(Immutable):
    """The steps in their order: the *injected* steps, then the *planned* steps of the scenario.

    - *live_planned*: the planned steps that may still be met.
    - *spent_injected*: the last steps that were injected and have met all their calls; no call is
      compared with them. `spent_steps` has those of the scenario, too.
    - *expensive_keys*, *paths*: the keys of `match` that are expensive (`MatchKey.is_expensive`),
      and the paths to fields, that a step asks for, or has asked for before it was removed.
    """

    injected: tuple[ScenarioStep, ...] = ()
    planned: tuple[ScenarioStep, ...] = ()
    live_planned: tuple[ScenarioStep, ...] = ()
    spent_injected: tuple[ScenarioStep, ...] = ()
    expensive_keys: frozenset[str] = frozenset()
    paths: tuple[FieldPath, ...] = ()

    @classmethod
    def from_steps(
        cls,
        injected: tuple[ScenarioStep, ...] = (),
        planned: tuple[ScenarioStep, ...] = (),
        **others: tuple[ScenarioStep, ...],
    ) -> Steps:
        """These steps, with what they read."""
        steps = (*injected, *planned)
        return cls(
            injected,
            planned,
            expensive_keys=frozenset().union(*(step.expensive_keys for step in steps)),
            paths=_distinct_paths(path for step in steps for path in step.paths),
            **others,
        )

    @cached_property
    def has_faults(self) -> bool:
        """Whether a call may meet a fault, or a near miss of one."""
        return any(step.own_answer is None for step in chain(self.injected, self.planned))

    @cached_property
    def has_answers(self) -> bool:
        """Whether a call may meet an answer, or a near miss of one."""
        return any(step.own_answer is not None for step in chain(self.injected, self.planned))

    def listed(self) -> tuple[ScenarioStep, ...]:
        """All steps: the injected ones that may be met, those of the scenario, and the injected
        ones that are spent."""
        return (*self.injected, *self.planned, *self.spent_injected)

    def for_calls_like(self, match_input: MatchInput) -> Iterator[ScenarioStep]:
        """The injected and planned steps for calls of the kind of *match_input*: validated or
        not."""
        for step in chain(self.injected, self.planned):
            if (step.own_answer is not None) is match_input.seeks_answer:
                yield step

    def spent_steps(self) -> Iterator[ScenarioStep]:
        """The steps that no call is compared with, because they have met all their calls."""
        live = {step.id for step in self.live_planned}
        return chain(self.spent_injected, (step for step in self.planned if step.id not in live))

    def with_revived(self, step_id: str) -> Steps:
        """The steps when the spent step with this id may be met again."""
        step = next((each for each in self.spent_steps() if each.id == step_id), None)
        if step is None:
            return self
        if not step.is_injected:
            live = {step_id, *(each.id for each in self.live_planned)}
            return replace(
                self, live_planned=tuple(each for each in self.planned if each.id in live)
            )
        unspent = replace(self, spent_injected=_steps_without(step_id, self.spent_injected))
        return unspent.with_injected(step)

    def with_injected(self, step: ScenarioStep) -> Steps:
        """The steps with *step* as the last of the injected ones; but an answer goes before the
        first answer without `times`, which would take every call."""
        at = len(self.injected)
        if step.own_answer is not None:
            is_endless = (
                each.own_answer is not None and each.times is None for each in self.injected
            )
            at = next((index for index, endless in enumerate(is_endless) if endless), at)
        injected = (*self.injected[:at], step, *self.injected[at:])
        paths = self.paths
        if step.paths:
            paths = _distinct_paths(chain(paths, step.paths))
        return replace(
            self,
            injected=injected,
            expensive_keys=self.expensive_keys | step.expensive_keys,
            paths=paths,
        )

    def with_spent(self, step: ScenarioStep) -> Steps:
        """The steps when *step* has met all its calls. A step of the scenario stays planned, for
        the record; an injected step is spent."""
        if not step.is_injected:
            return replace(self, live_planned=_steps_without(step.id, self.live_planned))
        injected = _steps_without(step.id, self.injected)
        if injected is self.injected:
            return self  # it was removed meanwhile
        spent = (*self.spent_injected, step)[-MAX_SPENT_STEPS:]
        return replace(self, injected=injected, spent_injected=spent)

    def without(self, step_id: str) -> Steps:
        """The steps without the step with this id. Raises KeyError where there is none."""
        if all(step.id != step_id for step in self.listed()):
            raise KeyError(step_id)
        return replace(
            self,
            injected=_steps_without(step_id, self.injected),
            planned=_steps_without(step_id, self.planned),
            live_planned=_steps_without(step_id, self.live_planned),
            spent_injected=_steps_without(step_id, self.spent_injected),
        )


def _distinct_paths(paths: Iterable[FieldPath]) -> tuple[FieldPath, ...]:
    """The *paths* by their texts, each once."""
    by_text = {path.text: path for path in paths}
    return tuple(by_text[text] for text in sorted(by_text))


def _steps_without(step_id: str, steps: tuple[ScenarioStep, ...]) -> tuple[ScenarioStep, ...]:
    # A loop ends earlier than `filter`: most often the step is the first, even of thousands.
    for index, step in enumerate(steps):
        if step.id == step_id:
            return steps[:index] + steps[index + 1 :]
    return steps


def _pack(steps: Steps) -> Packed:
    """The steps; beside them the files of their answers, each once."""
    live = {step.id for step in (*steps.injected, *steps.live_planned)}
    files: dict[str, bytes] = {}
    documents = [
        {
            "origin": step.origin,
            "name": step.name,
            "id": step.id,
            "live": step.id in live,
            "step": step.document.pack(files),
        }
        for step in steps.listed()
    ]
    lengths = [[digest, len(data)] for digest, data in files.items()]
    return Packed({"steps": documents, "files": lengths}, b"".join(files.values()))


def _unpack(packed: Packed) -> Steps:
    from images_emulator.own_answers.picture_files import ReadingContext  # noqa: PLC0415 - most servers need none
    from images_emulator.step_documents.scenario_document import parse_step  # noqa: PLC0415 - it loads pydantic

    files, at = {}, 0
    for digest, length in packed.document["files"]:
        files[digest] = packed.data[at : at + length]
        at += length
    context = ReadingContext(stored=files)

    def read(document: Mapping[str, Any]) -> ScenarioStep:
        step = parse_step(document["step"], context)
        return ScenarioStep(step, document["origin"], document["name"], document["id"])

    steps = [(read(each), each["live"]) for each in packed.document["steps"]]
    return Steps.from_steps(
        injected=tuple(step for step, live in steps if step.is_injected and live),
        planned=tuple(step for step, _ in steps if not step.is_injected),
        live_planned=tuple(step for step, live in steps if not step.is_injected and live),
        spent_injected=tuple(step for step, live in steps if step.is_injected and not live),
    )


CODEC: Final = Codec(_pack, _unpack)
"""Packs the steps for their register in the store."""
