"""The keys of `match`: the values of a call that they are compared with, and how."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, Final, NamedTuple

from images_emulator.contract.message_format import mask_key
from images_emulator.exchange.field_path import WILDCARDS, is_found, json_text
from images_emulator.exchange.near_miss import NearMissKind
from images_emulator.exchange.prompts import MAX_SEARCH_SECONDS, PromptPattern
from images_emulator.immutable import Immutable

MAX_QUOTED_CHARS: Final = 80
"""Characters of a call's own words in a near miss."""

FieldTexts = tuple[tuple[str, tuple[str, ...]], ...]
"""Paths to fields in the body of a call, each with the JSON texts of the values there."""


class MatchInput(NamedTuple):
    """The values of a call that the `match` of a step is compared with. `MATCH_KEYS` says which of
    them a key reads. *is_download*: the call is for a hosted picture, which has this *model* and
    *prompt*. *seeks_answer*: the call is validated, and may meet an answer; others may meet a
    fault.

    Values that take time to find are there where a step reads them, see `Steps.expensive_keys`, or
    where they are known anyway: *folded_prompt* (the prompt without case), *prompt_name*,
    *image_sha256* (of each image), and *fields* (the values at each path that a step has).
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
    image_count: int = 0
    prompt_name: str = ""
    image_sha256: tuple[str, ...] = ()
    fields: FieldTexts = ()
    folded_prompt: str = ""

    @property
    def chars(self) -> int:
        """Characters of its texts, about."""
        field_chars = sum(len(text) for _, texts in self.fields for text in texts)
        texts = (self.path, self.model, self.prompt, self.api_key, self.size, self.quality)
        return field_chars + sum(len(text or "") for text in texts)


class MatchKey(Immutable):
    """How one key of `match` is compared with a call."""

    name: NearMissKind
    """The key, and the kind of the near miss where it differs."""
    comparison: Callable[[Any], Callable[[Any], bool]]
    """Makes the predicate for the value of a call, from the wanted value in the step. The predicate
    of `prompt_regex` raises TimeoutError where the search takes too long."""
    value_name: str = ""
    """The field of `MatchInput` that has the value of the call; empty for the field with the *name*
    of the key."""
    is_expensive: bool = False
    """Whether the value takes time to find, and is only found where a step has the key."""
    sentence: Callable[[Any, Any], str] | None = None
    """Makes the sentence that says how a call differs, from the wanted value and that of the call;
    None for `NAME VALUE is not WANTED`."""

    @cached_property
    def index(self) -> int:
        """The index of the value of the call in a `MatchInput`."""
        return MatchInput._fields.index(self.value_name or self.name)

    def difference(self, wanted: Any, match_input: MatchInput) -> str:
        """The sentence that says how a call with this *match_input* differs from the *wanted*
        value."""
        value: Any = match_input[self.index]
        if self.sentence:
            return self.sentence(wanted, value)
        return f"{self.name} {_quote(value)} is not {wanted!r}"


def slow_search_sentence(pattern: str) -> str:
    """The sentence that says that the search for the regular expression *pattern* takes too
    long."""
    return f"the search for {pattern!r} in the prompt takes more than {MAX_SEARCH_SECONDS:g} s"


def _equal_to(wanted: Any) -> Callable[[Any], bool]:
    # It takes half as long as `==` in a lambda.
    return frozenset((wanted,)).__contains__


def _matching_glob(wanted: str) -> Callable[[str | None], bool]:
    """The predicate for a text that may have wildcards. A value that the call lacks is an empty
    text for them."""
    if WILDCARDS.isdisjoint(wanted):
        return _equal_to(wanted)
    return lambda value: fnmatchcase(value or "", wanted)


def _containing_text(wanted: str) -> Callable[[str], bool]:
    part = wanted.casefold()
    return lambda folded_text: part in folded_text


def _containing_regex(wanted: str) -> Callable[[str], bool]:
    return PromptPattern(wanted).matches


def _including(wanted: str) -> Callable[[tuple[str, ...]], bool]:
    return lambda values: wanted in values


def _having_fields(wanted: Mapping[str, Any]) -> Callable[[FieldTexts], bool]:
    return lambda fields: _different_path(wanted, fields) is None


def _different_path(wanted: Mapping[str, Any], fields: FieldTexts) -> str | None:
    """The first path at which *fields* do not have the *wanted* value; None where there is none."""
    texts_by_path = dict(fields)
    for path, value in wanted.items():
        if not is_found(value, texts_by_path.get(path, ())):
            return path
    return None


def _quote(value: Any) -> str:
    """A *value* of a call between quotes, the beginning of a long text."""
    return repr(value[:MAX_QUOTED_CHARS]) if isinstance(value, str) else reprlib.repr(value)


def _prompt_sentence(wanted: str, _: str) -> str:
    return f"the prompt does not have {wanted!r}"


def _regex_sentence(wanted: str, prompt: str) -> str:
    try:
        if not PromptPattern(wanted).matches(prompt):
            return f"the prompt does not match {wanted!r}"
    except TimeoutError:
        pass
    # Where it matches now, the search that the call waited for took too long, on a busy machine.
    return slow_search_sentence(wanted)


def _name_sentence(wanted: str, name: str) -> str:
    return f"the prompt's name {_quote(name)} is not {wanted!r}"


def _mask_sentence(wanted: bool, _: bool) -> str:
    return "the call has no mask" if wanted else "the call has a mask"


def _digest_sentence(wanted: str, _: tuple[str, ...]) -> str:
    return f"no image has the SHA-256 {wanted}"


def _fields_sentence(wanted: Mapping[str, Any], fields: FieldTexts) -> str:
    path = _different_path(wanted, fields) or ""
    text = ", ".join(dict(fields).get(path, ())) or "missing"
    if len(text) > MAX_QUOTED_CHARS:
        text = f"{text[:MAX_QUOTED_CHARS]}…"
    return f"{path} is {text}, not {json_text(wanted[path])}"


def _api_key_sentence(wanted: str, api_key: str) -> str:
    return f"api_key {_quote(mask_key(api_key))} is not {mask_key(wanted)!r}"


MATCH_KEYS: Final = (
    MatchKey("path", _matching_glob),
    MatchKey("model", _matching_glob),
    MatchKey(
        "prompt",
        _containing_text,
        value_name="folded_prompt",
        is_expensive=True,
        sentence=_prompt_sentence,
    ),
    MatchKey("prompt_name", _matching_glob, is_expensive=True, sentence=_name_sentence),
    MatchKey("size", _matching_glob),
    MatchKey("quality", _equal_to),
    MatchKey("n", _equal_to),
    MatchKey("background", _equal_to),
    MatchKey("has_mask", _equal_to, sentence=_mask_sentence),
    MatchKey("images", _equal_to, value_name="image_count"),
    MatchKey("image_sha256", _including, is_expensive=True, sentence=_digest_sentence),
    MatchKey("fields", _having_fields, is_expensive=True, sentence=_fields_sentence),
    MatchKey("api_key", _equal_to, sentence=_api_key_sentence),
    MatchKey("retry_count", _equal_to),
    # Last, because its search takes the longest.
    MatchKey("prompt_regex", _containing_regex, value_name="prompt", sentence=_regex_sentence),
)
"""The keys of `match`, in the order in which a step compares them. A near miss names the first that
differs."""
