"""A step of a scenario as it runs: what it asks of a call, and why a call did not meet it."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from images_emulator.contract.message_format import mask_key
from images_emulator.exchange.field_path import WILDCARDS, FieldPath, is_found, json_text
from images_emulator.exchange.near_miss import NearMiss, NearMissKind
from images_emulator.exchange.prompts import MAX_SEARCH_SECONDS, PromptPattern
from images_emulator.state.store import ClaimCount, is_spent

if TYPE_CHECKING:
    from images_emulator.step_documents.scenario_document import StepDocument

MAX_QUOTED_CHARS: Final = 80
"""Characters of a call's own words in a near miss."""

StepOrigin = Literal["injected", "document", "pictures"]
"""Where a step comes from: a test injects it, or it is in the scenario's document, or in the folder
of pictures."""


class MatchInput(NamedTuple):
    """The values of a call that the `match` of a step reads; `_INDEX_BY_KEY` has the value of each
    key. *is_download*: the call is for a hosted picture, which has this *model* and *prompt*.
    *seeks_answer*: the call is validated, and may meet an answer; others may meet a fault.

    Values that take time to find are there where a step reads them, see `Steps.expensive_keys`, or
    where they are known anyway: *folded_prompt* (the prompt without case), *prompt_name*,
    *image_sha256* (of each image), and *fields* (the JSON texts of the values at each path).
    """

    path: str
    model: str = ""
    prompt: str = ""
    api_key: str = ""
    retry_count: int = 0
    is_download: bool = False
    asks_for_stream: bool = False
    seeks_answer: bool = False
    size: str | None = None
    quality: str | None = None
    n: int | None = None
    background: str | None = None
    has_mask: bool = False
    images: int = 0
    prompt_name: str = ""
    image_sha256: tuple[str, ...] = ()
    fields: tuple[tuple[str, tuple[str, ...]], ...] = ()
    folded_prompt: str = ""

    @property
    def chars(self) -> int:
        """Characters of its texts, about."""
        field_chars = sum(len(text) for _, texts in self.fields for text in texts)
        texts = (self.path, self.model, self.prompt, self.api_key, self.size, self.quality)
        return field_chars + sum(len(text or "") for text in texts)


EXPENSIVE_KEYS: Final = frozenset({"prompt", "prompt_name", "image_sha256", "fields"})
"""The keys of `match` whose values are computed only where a step has them."""

_GLOBS: Final = frozenset({"path", "model", "size", "prompt_name"})
"""The keys of `match` whose texts may have wildcards."""

_ALWAYS_TEXTS: Final = frozenset({"path", "model", "api_key", "prompt_name"})
"""The keys of `match` whose value every call has, be it empty."""

_INDEX_BY_KEY: Final[Mapping[str, int]] = {
    **{name: index for index, name in enumerate(MatchInput._fields)},
    "prompt": MatchInput._fields.index("folded_prompt"),
    "prompt_regex": MatchInput._fields.index("prompt"),
}
"""For a key of `match`, the index of the value in a `MatchInput` that it is compared with."""


def _predicate(name: str, wanted: Any) -> Callable[[Any], bool]:
    """The predicate for a field of a `MatchInput`, from the *wanted* value of the key *name*. It
    raises TimeoutError where the search for `prompt_regex` takes too long."""
    if name == "prompt":
        part = wanted.casefold()
        return lambda folded_prompt: part in folded_prompt
    if name == "prompt_regex":
        return PromptPattern(wanted).matches
    if name == "image_sha256":
        return lambda digests: wanted in digests
    if name == "fields":
        return lambda fields: _different_field(wanted, fields) is None
    if name in _GLOBS and not WILDCARDS.isdisjoint(wanted):
        return lambda value: fnmatchcase(value or "", wanted)
    if isinstance(wanted, str) and name in _ALWAYS_TEXTS:
        return wanted.__eq__
    return lambda value: value == wanted


def _holds(predicate: Callable[[Any], bool], value: Any) -> bool:
    """Whether *predicate* holds for *value*. One that takes too long does not."""
    with suppress(TimeoutError):
        return predicate(value)
    return False


def _different_field(
    wanted: Mapping[str, Any], fields: tuple[tuple[str, tuple[str, ...]], ...]
) -> str | None:
    """The first path at which the *fields* of a call do not have the *wanted* value; None where
    there is none."""
    texts_by_path = dict(fields)
    for path, value in wanted.items():
        if not is_found(value, texts_by_path.get(path, ())):
            return path
    return None


class ScenarioStep:
    """One step, with its *name* in near misses (see `NearMiss.name`). The *key* of its counter,
    which `Quota` asks for, is its id in the admin API."""

    def __init__(self, document: StepDocument, origin: StepOrigin, name: str, key: str) -> None:
        self.document = document
        self.origin: Final = origin
        self.name = name
        self.title = f"{name} ({document.label})"
        self.key = key
        self.after, self.times, self.probability = (
            document.after,
            document.times,
            document.probability,
        )
        self.seed = f"{document.seed} {self.title}"
        self.answer = document.answer and document.answer.own_answer()
        """Its answer; None for a fault."""
        fault = document.fault
        self._is_answer = fault is None
        self._may_meet_calls = fault is None or not fault.for_downloads
        self._only_streams = fault is not None and fault.for_streams
        # Otherwise downloads would use up a step without a path, which is meant for calls.
        self._may_meet_downloads = fault is not None and (
            fault.for_downloads or document.match.path is not None
        )
        wanted = {name: value for name, value in document.match if value is not None}
        self.expensive_keys = EXPENSIVE_KEYS & wanted.keys()
        """Which of `EXPENSIVE_KEYS` its `match` has."""
        self.paths = tuple(map(FieldPath, wanted.get("fields", ())))
        """The paths in its `match`."""
        if "prompt_regex" in wanted:  # last, because it takes the longest
            wanted["prompt_regex"] = wanted.pop("prompt_regex")
        self._predicates = [
            (name, _INDEX_BY_KEY[name], _predicate(name, value)) for name, value in wanted.items()
        ]

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
        key = self._different_match_key(match_input)
        return self._difference_sentence(key, match_input) if key else None

    def _different_match_key(self, match_input: MatchInput) -> Any:
        """The first key of the step's `match` that does not hold; None where all do."""
        for name, index, predicate in self._predicates:
            if not _holds(predicate, match_input[index]):
                return name
        return None

    def near_miss(self, match_input: MatchInput, count: ClaimCount) -> NearMiss:
        """The reason why a call with this *match_input* did not meet the step."""
        spent = is_spent(self, count)
        kind, reason = self._reason(match_input, count, spent=spent)
        return NearMiss(self.key, self.name, self.document.label, kind, reason, spent)

    def _reason(
        self, match_input: MatchInput, count: ClaimCount, *, spent: bool
    ) -> tuple[NearMissKind, str]:
        if match_input.is_download and not self._may_meet_downloads:
            return "target", "has no path, which is what a step for downloads needs"
        if not (match_input.is_download or self._may_meet_calls):
            return "target", "is for downloads"
        if self._only_streams and not match_input.asks_for_stream:
            return "target", "is for streams, and the call asks for none"
        if key := self._different_match_key(match_input):
            return key, self._difference_sentence(key, match_input)
        if spent:
            return "spent", f"has met its {count.grants} calls"
        pattern = self.document.match.prompt_regex
        if pattern is not None and count.claims == self.after == 0:
            # A step that matched would have a claim of this call.
            return "prompt_regex", _slow_search(pattern)
        if count.claims <= self.after:
            return "after", f"lets the first {self.after} pass"
        return "chance", "was left to chance"

    def _difference_sentence(self, name: str, match_input: MatchInput) -> str:
        """The sentence that says how *match_input* differs from what the key *name* wants."""
        wanted = getattr(self.document.match, name)
        value: Any = match_input[_INDEX_BY_KEY[name]]
        match name:
            case "prompt":
                return f"the prompt does not have {wanted!r}"
            case "prompt_regex":
                return _regex_difference(wanted, match_input.prompt)
            case "prompt_name":
                return f"the prompt's name {_quoted(value)} is not {wanted!r}"
            case "has_mask":
                return "the call has no mask" if wanted else "the call has a mask"
            case "image_sha256":
                return f"no image has the SHA-256 {wanted}"
            case "fields":
                path = _different_field(wanted, value) or ""
                text = ", ".join(dict(value).get(path, ())) or "missing"
                if len(text) > MAX_QUOTED_CHARS:
                    text = f"{text[:MAX_QUOTED_CHARS]}…"
                return f"{path} is {text}, not {json_text(wanted[path])}"
            case "api_key":
                return f"api_key {_quoted(mask_key(value))} is not {mask_key(wanted)!r}"
        return f"{name} {_quoted(value)} is not {wanted!r}"

    @property
    def is_injected(self) -> bool:
        """Whether a test has injected it."""
        return self.origin == "injected"

    @property
    def is_answer_for_any_number(self) -> bool:
        """Whether it is an answer of the folder of pictures for any number of calls, such as a
        picture there: no test expects a call of it."""
        return self.origin == "pictures" and self.answer is not None and self.times is None

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
            "id": self.key,
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


def _quoted(value: Any) -> str:
    """A *value* of a call between quotes, the beginning of a long text."""
    return repr(value[:MAX_QUOTED_CHARS]) if isinstance(value, str) else reprlib.repr(value)


def _regex_difference(wanted: str, prompt: str) -> str:
    try:
        if not PromptPattern(wanted).matches(prompt):
            return f"the prompt does not match {wanted!r}"
    except TimeoutError:
        pass
    # Where it matches now, the search that the call waited for took too long, on a busy machine.
    return _slow_search(wanted)


def _slow_search(wanted: str) -> str:
    return f"the search for {wanted!r} in the prompt takes more than {MAX_SEARCH_SECONDS:g} s"
