"""A step of a scenario as it runs: what it asks of a call, and why a call did not meet it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Literal

from images_emulator.contract.message_format import mask_key
from images_emulator.exchange.field_path import FieldPath
from images_emulator.exchange.near_miss import NearMiss, NearMissKind
from images_emulator.state.match_keys import (
    MATCH_KEYS,
    MatchInput,
    MatchKey,
    slow_search_sentence,
)
from images_emulator.state.store import ClaimCount, is_spent

if TYPE_CHECKING:
    from images_emulator.step_documents.scenario_document import StepDocument

StepOrigin = Literal["injected", "document", "pictures"]
"""Where a step comes from: a test injects it, or it is in the scenario's document, or in the folder
of pictures."""


def _holds(predicate: Callable[[Any], bool], value: Any) -> bool:
    """Whether *predicate* holds for *value*. One that takes too long does not."""
    with suppress(TimeoutError):
        return predicate(value)
    return False


class ScenarioStep:
    """One step, with its *name* in near misses (see `NearMiss.name`). *step_id* is its id in the
    admin API."""

    def __init__(self, document: StepDocument, origin: StepOrigin, name: str, step_id: str) -> None:
        self.document = document
        self.origin: Final = origin
        self.name = name
        self.title = f"{name} ({document.label})"
        self.id = step_id
        self.key = step_id
        """The key of its counter, which `Quota` asks for."""
        self.after, self.times, self.probability = (
            document.after,
            document.times,
            document.probability,
        )
        self.seed = f"{document.seed} {self.title}"
        self.own_answer = document.answer and document.answer.own_answer()
        """Its own answer; None for a fault."""
        fault = document.fault
        self._is_answer = fault is None
        self._may_meet_calls = fault is None or not fault.for_downloads
        self._only_streams = fault is not None and fault.for_streams
        # Otherwise downloads would use up a step without a path, which is meant for calls.
        self._may_meet_downloads = fault is not None and (
            fault.for_downloads or document.match.path is not None
        )
        match = document.match
        wanted = [
            (key, value) for key in MATCH_KEYS if (value := getattr(match, key.name)) is not None
        ]
        self.expensive_keys = frozenset(key.name for key, _ in wanted if key.is_expensive)
        """The expensive keys in its `match`: see `MatchKey.is_expensive`."""
        self.paths = tuple(map(FieldPath, match.fields or ()))
        """The paths in its `match`."""
        self._predicates = [(key, key.index, key.comparison(value)) for key, value in wanted]

    def matches(self, match_input: MatchInput) -> bool:
        """Whether its `match` holds for a call with this *match_input*, whatever its counter says.
        Raises TimeoutError where the search for its `prompt_regex` takes too long."""
        if match_input.seeks_answer is not self._is_answer:
            return False
        if not (self._may_meet_downloads if match_input.is_download else self._may_meet_calls):
            return False
        if self._only_streams and not match_input.asks_for_stream:
            return False
        for _, index, holds in self._predicates:  # noqa: SIM110 - a generator takes twice as long
            if not holds(match_input[index]):
                return False
        return True

    def difference(self, match_input: MatchInput) -> str | None:
        """How a call with this *match_input* differs from the step's `match`, in a sentence; None
        where it does not."""
        key = self._different_key(match_input)
        return self._difference_at(key, match_input) if key else None

    def _different_key(self, match_input: MatchInput) -> MatchKey | None:
        """The first key of the step's `match` that does not hold; None where all do."""
        for key, index, predicate in self._predicates:
            if not _holds(predicate, match_input[index]):
                return key
        return None

    def _difference_at(self, key: MatchKey, match_input: MatchInput) -> str:
        return key.difference(getattr(self.document.match, key.name), match_input)

    def near_miss(self, match_input: MatchInput, count: ClaimCount) -> NearMiss:
        """The reason why a call with this *match_input* did not meet the step."""
        spent = is_spent(self, count)
        kind, reason = self._reason(match_input, count, spent=spent)
        return NearMiss(self.id, self.name, self.document.label, kind, reason, spent)

    def _reason(
        self, match_input: MatchInput, count: ClaimCount, *, spent: bool
    ) -> tuple[NearMissKind, str]:
        if match_input.is_download and not self._may_meet_downloads:
            return "target", "has no path, which is what a step for downloads needs"
        if not (match_input.is_download or self._may_meet_calls):
            return "target", "is for downloads"
        if self._only_streams and not match_input.asks_for_stream:
            return "target", "is for streams, and the call asks for none"
        if key := self._different_key(match_input):
            return key.name, self._difference_at(key, match_input)
        if spent:
            return "spent", f"has met its {count.grants} calls"
        pattern = self.document.match.prompt_regex
        if pattern is not None and count.claims == self.after == 0:
            # If the step had matched, it would have a claim of this call.
            return "prompt_regex", slow_search_sentence(pattern)
        if count.claims <= self.after:
            return "after", f"lets the first {self.after} pass"
        return "chance", "was left to chance"

    @property
    def is_injected(self) -> bool:
        """Whether a test has injected it."""
        return self.origin == "injected"

    @property
    def is_answer_for_any_number(self) -> bool:
        """Whether it is an answer of the folder of pictures for any number of calls, such as a
        picture there: no test expects a call of it."""
        return self.origin == "pictures" and self.own_answer is not None and self.times is None

    def is_unmet(self, count: ClaimCount) -> bool:
        """Whether the step still waits for a call: its first call, or as many as its `times`."""
        return count.grants < (self.times or 1)

    def match_as_json(self) -> dict[str, Any]:
        """Its `match`, with the API key redacted."""
        match = self.document.match.model_dump(exclude_none=True)
        if key := self.document.match.api_key:
            match["api_key"] = mask_key(key)
        return match

    def as_json(self, count: ClaimCount) -> dict[str, Any]:
        """The step as the admin API shows it: its id and its names, its settings, how many calls
        have met it, and whether it is spent. The API key in its `match` is redacted."""
        document = self.document
        return {
            "id": self.id,
            "name": self.name,
            "title": self.title,
            "injected": self.is_injected,
            "fault": document.fault_as_json(),
            "answer": document.answer and document.answer.as_json(),
            "match": self.match_as_json(),
            "times": document.times,
            "after": document.after,
            "probability": document.probability,
            "seed": document.seed,
            "met": count.grants,
            "spent": is_spent(self, count),
        }
