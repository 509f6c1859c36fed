"""The filters of calls: which calls match them, and how other calls differ."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from functools import partial
from operator import contains, eq
from typing import Any, Final, Literal, NamedTuple, Self, TypedDict, get_args

from images_emulator.contract.message_format import mask_key
from images_emulator.exchange.call_details import PARAMETERS, kept_value
from images_emulator.exchange.credentials import redacted_text
from images_emulator.exchange.exchange import Exchange, ExchangeKind
from images_emulator.exchange.outcome import Outcome
from images_emulator.spelling import suggestion

MAX_SHOWN_CHARS: Final = 200
"""Characters of a value in the text of a difference."""

Texts = str | Sequence[str] | None
"""A value of a filter, or several values, one of which has to match. None or an empty sequence
matches all."""

Numbers = int | Sequence[int] | None
"""A number of a filter, or several, one of which has to match. None or an empty sequence matches
all."""

Has = Literal[
    "mask", "inputs", "events", "violations", "retry", "fault", "recording", "own_answer", "picture"
]
"""Something that a call may have: a mask; input images; events of a stream that were sent;
forgiven violations; an earlier attempt; a fault that it met; a recording that answered it; an
own answer; a picture that was sent whole."""

_STATUS: Final = re.compile(r"[1-5](\d\d|xx)", re.ASCII)

_WORD: Final = re.compile(r"[\w.,:/*?+-]+")
"""A text that needs no quotes in a sentence."""


class FilterError(ValueError):
    """The argument *name*, mostly a filter, has a value that it cannot have, for a *reason*."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


class ParameterFilters(TypedDict, total=False):
    """The parameters of the API by which calls are filtered: those of `PARAMETERS` of
    `exchange/call_details.py`."""

    size: Texts
    quality: Texts
    n: Numbers
    background: Texts
    output_format: Texts
    output_compression: Numbers
    moderation: Texts
    input_fidelity: Texts
    stream: bool | None
    partial_images: Numbers
    response_format: Texts
    style: Texts
    user: Texts
    safety_identifier: Texts
    complexity: Texts
    frame_count: Numbers
    frame_duration_ms: Numbers
    svg: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Filters of journal entries. An entry matches if it matches all filters. A filter with several
    values matches if one value does. Raises FilterError.

    *path*, *model* and *own_answer* are globs. *status* is a number, or a class such as `4xx`.
    *prompt* is a part of the prompt, *text* a part of prompt, error message, model or id, both in
    any case. *key* is an API key, whole or redacted, *fault* the name of the fault that was met,
    *kind* `call` or `download`; for *outcome* and *has* see `Outcome` and `Has`. *parameters* are
    values of JSON, compared with those of `Exchange.parameters`.
    """

    method: Texts = None
    path: Texts = None
    model: Texts = None
    status: int | str | Sequence[int | str] | None = None
    outcome: Texts = None
    key: Texts = None
    prompt: Texts = None
    text: Texts = None
    fault: Texts = None
    own_answer: Texts = None
    has: Texts = None
    kind: Texts = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _FILTERS:
            for value in _alternatives(getattr(self, name)):
                if not isinstance(value, str) and name != "status":
                    raise FilterError(name, f"expected a text, not {value!r}")
        for name, choices in _CHOICES.items():
            for value in _alternatives(getattr(self, name)):
                if value not in choices:
                    raise FilterError(name, f"expected {' or '.join(choices)}, not '{value}'")
        for value in _alternatives(self.status):
            if not _STATUS.fullmatch(str(value).lower()):
                raise FilterError("status", f"expected one such as 404 or 4xx, not '{value}'")
        for name, wanted in self.parameters.items():
            for value in _alternatives(wanted):
                if not _is_json(value):
                    raise FilterError(name, f"expected a value of JSON, not {value!r}")

    @classmethod
    def from_filters(cls, filters: Mapping[str, Any]) -> Self:
        """The query of *filters* by their names, parameters among them. Raises TypeError for
        another name, too."""
        names = (*FILTER_NAMES, *PARAMETERS)
        for name in filters:
            if name not in names:
                hint = suggestion(name, names, "'") or f"; there are {', '.join(names)}"
                raise TypeError(f"calls have no filter '{name}'{hint}")
        own = {name: value for name, value in filters.items() if name in FILTER_NAMES}
        return cls(**own, parameters={name: filters[name] for name in filters if name not in own})

    def __contains__(self, exchange: Exchange) -> bool:
        return next(self._failed_filters(exchange), None) is None

    @property
    def has_filters(self) -> bool:
        """Whether there may be calls that do not match."""
        return next(self._wanted_filters(), None) is not None

    def matching(self, exchanges: list[Exchange]) -> list[Exchange]:
        """The *exchanges* that match; all of them, where there is no filter."""
        if not self.has_filters:
            return exchanges
        return [exchange for exchange in exchanges if exchange in self]

    def __str__(self) -> str:
        """The filters with their values: `model gpt-image-2, size 1024x1024 or 1536x1024`."""
        return ", ".join(
            f"{name} {' or '.join(_value_texts(call_filter.redact(value) for value in values))}"
            for name, call_filter, values in self._wanted_filters()
        )

    def mismatches(self, exchange: Exchange) -> list[str]:
        """Why *exchange* does not match: a phrase for each filter that it does not match, such as
        `size is 1536x1024, not 1024x1024`. Keys are redacted, long values cut."""
        return [
            call_filter.difference(name, actual, values, exchange.head.api_key)
            for name, call_filter, actual, values in self._failed_filters(exchange)
        ]

    def _wanted_filters(self) -> Iterator[tuple[str, _Filter, Sequence[Any]]]:
        """The filters that have values, each with its name and its values."""
        for name, call_filter in _FILTERS.items():
            if values := _alternatives(getattr(self, name)):
                yield name, call_filter, values
        for name, value in self.parameters.items():
            if values := _alternatives(value):
                yield name, _parameter_filter(name), values

    def _failed_filters(
        self, exchange: Exchange
    ) -> Iterator[tuple[str, _Filter, Any, Sequence[Any]]]:
        """The filters that *exchange* does not match, each with its name, the exchange's value
        and the wanted values."""
        for name, call_filter, values in self._wanted_filters():
            actual = call_filter.read(exchange)
            if not any(call_filter.matches(actual, value) for value in values):
                yield name, call_filter, actual, values


def _alternatives(value: Any) -> Sequence[Any]:
    """The values of a filter, of which a call has one."""
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list | tuple | set | frozenset) else (value,)


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _is_status(status: int | None, value: int | str) -> bool:
    if status is None:
        return False
    wanted, text = str(value).lower(), str(status)
    return text[0] == wanted[0] if wanted.endswith("xx") else text == wanted


def _texts(exchange: Exchange) -> Sequence[str]:
    """The texts that the filter `text` searches."""
    details = exchange.details
    texts = (details.prompt, (exchange.error or {}).get("message"), details.model, exchange.id)
    return [text for text in texts if isinstance(text, str)]


def _is_part(text: str, value: str) -> bool:
    return value.casefold() in text.casefold()


def _features(exchange: Exchange) -> Sequence[str]:
    details = exchange.details
    names = [upload.field for upload in details.uploads]
    features = {
        "mask": "mask" in names,
        "inputs": any(name.startswith("image") for name in names),
        "events": exchange.event_count > 0,
        "violations": bool(details.violations),
        "retry": exchange.retries > 0,
        "fault": exchange.fault is not None,
        "recording": exchange.recording is not None,
        "own_answer": exchange.own_answer is not None,
        "picture": bool(exchange.image_indexes),
    }
    return [name for name, is_there in features.items() if is_there]


def _is_same(name: str, actual: Any, value: Any) -> bool:
    """Whether the parameter *name* has this *value* of JSON, where true is no number."""
    return isinstance(actual, bool) == isinstance(value, bool) and bool(
        actual == kept_value(name, value)
    )


class _Filter(NamedTuple):
    """The parts of a filter. *read* gives the value of an entry, and may parse the body for it.
    *matches* tests that value against a value of the filter. *phrase* says that no value
    matches."""

    read: Callable[[Exchange], Any]
    matches: Callable[[Any, Any], bool]
    phrase: str = "{name} is {actual}, not {expected}"
    redact: Callable[[Any], Any] = lambda value: value
    """Makes the form in which a value is shown, actual or expected."""

    def difference(self, name: str, actual: Any, values: Sequence[Any], key: str) -> str:
        """The phrase for a call that was made with *key*."""
        items = actual if isinstance(actual, list) else [actual]
        texts = _value_texts(map(self.redact, [*items, *values]), key)
        return self.phrase.format(
            name=name,
            actual=", ".join(texts[: len(items)]) or "nothing",
            expected=" or ".join(texts[len(items) :]),
        )


def _value_texts(values: Iterable[Any], key: str = "") -> list[str]:
    """The texts of *values*, without *key*: in quotes, unless all can be told apart without
    quotes."""
    listed = [_redact(value, key) for value in values]
    words = [str(value) for value in listed]
    if len({*words}) == len({*map(repr, listed)}) and all(map(_WORD.fullmatch, words)):
        return words
    return [repr(value) if isinstance(value, str) else str(value) for value in listed]


def _redact(value: Any, key: str) -> Any:
    if value is None or isinstance(value, int | float):
        return value
    text = redacted_text(str(value), key)
    return text if len(text) <= MAX_SHOWN_CHARS else f"{text[:MAX_SHOWN_CHARS]}…"


def _redacted_key(value: Exchange | str) -> str | None:
    return mask_key(value) if isinstance(value, str) else value.key


_FILTERS: Final[Mapping[str, _Filter]] = {
    "kind": _Filter(lambda exchange: exchange.kind, eq),
    "method": _Filter(
        lambda exchange: exchange.method, lambda method, value: bool(method == value.upper())
    ),
    "path": _Filter(lambda exchange: exchange.path, fnmatchcase),
    "status": _Filter(lambda exchange: exchange.status, _is_status),
    "outcome": _Filter(lambda exchange: exchange.outcome, eq),
    "fault": _Filter(lambda exchange: exchange.fault, eq),
    "own_answer": _Filter(lambda exchange: exchange.own_answer or "", fnmatchcase),
    "key": _Filter(
        lambda exchange: exchange,
        lambda exchange, value: exchange.came_with(value),
        redact=_redacted_key,
    ),
    "has": _Filter(_features, contains, "has {actual}, not {expected}"),
    "model": _Filter(lambda exchange: exchange.model or "", fnmatchcase),
    "prompt": _Filter(
        lambda exchange: exchange.prompt or "", _is_part, "{name} is {actual}, without {expected}"
    ),
    "text": _Filter(
        _texts,
        lambda texts, value: any(_is_part(text, value) for text in texts),
        "{name} is {actual}, without {expected}",
    ),
}
"""The filters that are no parameters of the API, by their names."""

FILTER_NAMES: Final = tuple(each.name for each in fields(Query) if each.name != "parameters")
"""The names of the filters that are no parameters, in the order in which they are listed."""


def _parameter_filter(name: str) -> _Filter:
    return _Filter(lambda exchange: exchange.parameters.get(name), partial(_is_same, name))


_CHOICES: Final[Mapping[str, Sequence[str]]] = {
    "kind": get_args(ExchangeKind),
    "outcome": get_args(Outcome),
    "has": get_args(Has),
}


ALL_ENTRIES: Final = Query()
DOWNLOADS: Final = Query(kind="download")
"""Queries of all entries of the journal, and of the downloads among them."""
