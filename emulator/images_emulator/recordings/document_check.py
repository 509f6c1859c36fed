"""Finds the mistakes in the document of a recording by its JSON Schema, as places and sentences.

The schema alone defines the form. This module implements the part of JSON Schema that it uses, with
sentences for people.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from importlib.resources import files as package_files
from typing import Any, Final

from images_emulator.immutable import Immutable
from images_emulator.recordings.content_document import is_description
from images_emulator.spelling import suggestion

Place = tuple[str | int, ...]
"""The names and indexes that lead to a value of a document."""

VERSION: Final = 1
"""The version of documents that this package reads and writes."""


class Mistake(Immutable):
    """A mistake at one place of a document."""

    place: Place
    sentence: str

    def __str__(self) -> str:
        text = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in self.place)
        return f"{text.removeprefix('.')}: {self.sentence}" if text else self.sentence


class DocumentError(ValueError):
    """A document is no recording. It has all the *mistakes* of the document."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("; ".join(map(str, mistakes)))
        self.mistakes = tuple(mistakes)


@cache
def schema() -> Mapping[str, Any]:
    """The JSON Schema of documents, draft 2020-12."""
    text = package_files("images_emulator.recordings").joinpath("schema.json").read_text("utf-8")
    parsed: Mapping[str, Any] = json.loads(text)
    return parsed


def keys_of(definition: str = "") -> frozenset[str]:
    """The names that an object of this *definition* may have. Without a definition, the names that
    a document may have."""
    rule = schema()["$defs"][definition] if definition else schema()
    return frozenset(rule["properties"])


def mistakes_of(document: Any) -> list[Mistake]:
    """The mistakes in the form of *document*; its files are not looked at."""
    version = document.get("version") if isinstance(document, dict) else VERSION
    if isinstance(version, int) and version > VERSION:
        newer = f"{version} is newer than this program, which reads version {VERSION}"
        return [Mistake(("version",), newer)]
    try:
        return list(_mistakes(document, schema(), ())) or list(_mistakes_in_json(document))
    except RecursionError:
        return [Mistake((), "has too many braces and brackets in each other")]


# --- JSON Schema

_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}
_WITH_ARTICLE: Final = {"object": "an object", "array": "an array", "integer": "an integer"}


def _is(value: Any, type_name: str) -> bool:
    return isinstance(value, _TYPES[type_name]) and (
        type_name == "boolean" or not isinstance(value, bool)
    )


def _resolve(rule: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in rule:
        rule = schema()["$defs"][rule["$ref"].removeprefix("#/$defs/")]
    return rule


def _with_article(type_name: str) -> str:
    return _WITH_ARTICLE.get(type_name, f"a {type_name}")


def _mistakes(value: Any, rule: Mapping[str, Any], place: Place) -> Iterator[Mistake]:
    rule = _resolve(rule)
    if "type" in rule and not _is(value, rule["type"]):
        yield Mistake(place, f"must be {_with_article(rule['type'])}")
        return
    if "const" in rule and (value != rule["const"] or isinstance(value, bool)):
        yield Mistake(place, f"must be {json.dumps(rule['const'])}")
    if "enum" in rule and value not in rule["enum"]:
        yield Mistake(place, f"must be one of {', '.join(rule['enum'])}")
    if isinstance(value, str):
        yield from _mistakes_of_text(value, rule, place)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _mistakes_of_number(value, rule, place)
    elif isinstance(value, dict):
        yield from _mistakes_of_object(value, rule, place)
    elif isinstance(value, list):
        yield from _mistakes_of_array(value, rule, place)
    for alternatives in (rule, *rule.get("allOf", ())):
        if "oneOf" in alternatives:
            yield from _mistakes_of_alternatives(value, alternatives["oneOf"], place)


def _mistakes_of_text(text: str, rule: Mapping[str, Any], place: Place) -> Iterator[Mistake]:
    if len(text) < rule.get("minLength", 0):
        yield Mistake(place, "is empty")
    if "pattern" in rule and not re.search(rule["pattern"], text):
        yield Mistake(place, f"is not of the form {rule['pattern']}")
    if rule.get("format") == "date" and not _is_date(text):
        yield Mistake(place, "is no date such as 2026-03-31")
    if rule.get("format") == "date-time" and not _is_time(text):
        yield Mistake(place, "is no time with a zone such as 2026-03-31T12:00:00+00:00")


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _mistakes_of_number(number: float, rule: Mapping[str, Any], place: Place) -> Iterator[Mistake]:
    if number < rule.get("minimum", number):
        yield Mistake(place, f"is below {rule['minimum']}")
    if number > rule.get("maximum", number):
        yield Mistake(place, f"is above {rule['maximum']}")


def _mistakes_of_object(
    value: Mapping[str, Any], rule: Mapping[str, Any], place: Place
) -> Iterator[Mistake]:
    for name in rule.get("required", ()):
        if name not in value:
            yield Mistake(place, f"lacks {name!r}")
    properties, others = rule.get("properties", {}), rule.get("additionalProperties")
    for name, inner in value.items():
        if name in properties:
            yield from _mistakes(inner, properties[name], (*place, name))
        elif others is False:
            yield Mistake((*place, name), f"is not known{suggestion(name, properties)}")
        elif others:
            yield from _mistakes(inner, others, (*place, name))


def _mistakes_of_array(
    value: Sequence[Any], rule: Mapping[str, Any], place: Place
) -> Iterator[Mistake]:
    least, most = rule.get("minItems", 0), rule.get("maxItems", len(value))
    if not least <= len(value) <= most:
        yield Mistake(place, f"must have {least} items" if least == most else "is empty")
    if "items" in rule:
        for index, inner in enumerate(value):
            yield from _mistakes(inner, rule["items"], (*place, index))


def _mistakes_of_alternatives(
    value: Any, alternatives: Sequence[Mapping[str, Any]], place: Place
) -> Iterator[Mistake]:
    """Yield the mistakes of *value*, checked against the intended one of *alternatives*: the one of
    its type, or the one that alone requires a name that is in *value*."""
    rules = [_resolve(each) for each in alternatives]
    fitting = [rule for rule in rules if "type" not in rule or _is(value, rule["type"])]
    if not fitting:
        kinds = " or ".join(_with_article(rule["type"]) for rule in rules)
        yield Mistake(place, f"must be {kinds}")
        return
    if not isinstance(value, dict):
        yield from _mistakes(value, fitting[0], place)
        return
    fitting = _flatten(fitting)
    names = [name for rule in fitting for name in rule.get("required", ())[:1]]
    meant = [rule for rule in fitting if {*rule.get("required", ())[:1]} <= value.keys()]
    exact = [rule for rule in meant if {*rule.get("required", ())} <= value.keys()]
    if not meant:
        yield Mistake(place, f"needs one of {', '.join(dict.fromkeys(names))}")
    elif len(exact) > 1 and all("properties" not in rule for rule in exact):
        both = " and ".join(repr(rule["required"][0]) for rule in exact)
        yield Mistake(place, f"has {both}, which exclude each other")
    else:
        yield from _mistakes(value, (exact or meant)[0], place)


def _flatten(rules: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """*rules*, in which each rule that has only alternatives is replaced by its alternatives."""
    flat_rules: list[Mapping[str, Any]] = []
    for rule in rules:
        if "oneOf" in rule and "properties" not in rule:
            flat_rules += _flatten([_resolve(each) for each in rule["oneOf"]])
        else:
            flat_rules.append(rule)
    return flat_rules


def _mistakes_in_json(document: Any) -> Iterator[Mistake]:
    """The mistakes in the descriptions within the JSON values of bodies and events."""
    for place, value in _json_values(document, ()):
        yield from _mistakes_of_descriptions(value, place)


def _json_values(document: Any, place: Place) -> Iterator[tuple[Place, Any]]:
    for side in ("request", "response", "expected"):
        body = document.get(side, {}).get("body", {})
        if "json" in body:
            yield (side, "body", "json"), body["json"]
        for index, entry in enumerate(body.get("stream", ())):
            if "data" in entry:
                yield (side, "body", "stream", index, "data"), entry["data"]


def _mistakes_of_descriptions(value: Any, place: Place) -> Iterator[Mistake]:
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _mistakes_of_descriptions(inner, (*place, index))
    elif isinstance(value, dict):
        if is_description(value):
            yield from _mistakes(value, _DESCRIPTION, place)
            return
        for name, inner in value.items():
            yield from _mistakes_of_descriptions(inner, (*place, name))


_DESCRIPTION: Final = {"$ref": "#/$defs/description"}


# --- lines

_BLANKS: Final = re.compile(r"[ \t\r\n]*")
_RAW: Final = json.JSONDecoder()


def line_number_of(text: str, place: Place) -> int:
    """The line, from 1, of the value at *place* in the JSON *text*. Where there is no such value,
    the line of the innermost value on the way to it that exists."""
    position = _BLANKS.match(text).end()  # type: ignore[union-attr]
    for step in place:
        inner = _position_of(text, position, step)
        if inner is None:
            break
        position = inner
    return text.count("\n", 0, position) + 1


def _position_of(text: str, position: int, step: str | int) -> int | None:
    """The position of the member or item *step* of the object or array at *position*."""
    count = 0
    closing = {"{": "}", "[": "]"}.get(text[position])
    if closing is None:
        return None
    position = _skip(text, position + 1)
    while text[position] != closing:
        name: str | int = count
        if closing == "}":
            name, position = _RAW.raw_decode(text, position)
            position = _skip(text, _skip(text, position) + 1)
        if name == step:
            return position
        _, position = _RAW.raw_decode(text, position)
        position = _skip(text, position)
        if text[position] == ",":
            position = _skip(text, position + 1)
        count += 1
    return None


def _skip(text: str, position: int) -> int:
    match = _BLANKS.match(text, position)
    assert match
    return match.end()
