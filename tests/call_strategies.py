"""Hypothesis strategies of calls, made of the tables of operations and models: nothing here names
a model or a parameter. A value is one that its rule takes, one at its edge, or none of those."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx2
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from images_emulator.contract.model_listing import models_json
from images_emulator.contract.operations import FORM, JSON
from images_emulator.contract.refusal import APIError
from images_emulator.contract.request import Upload
from images_emulator.contract.rules import (
    Choice,
    Flag,
    Integer,
    Object,
    Rule,
    Rules,
    SharedThenOwnRule,
    Text,
    UnsupportedParameter,
)
from images_emulator.contract.sizes import FlexibleSize, ListedServiceSize
from reliability.broken_pictures import corpus
from tests.test_model_rules import Body, accepted, bodies, illegal, legal

MAX_DRAWN_PIXELS = 1_100_000
"""Pixels of the pictures that valid calls ask for, where their model has so small ones."""

TEXT = st.text(st.characters(), max_size=40)
"""Texts of any characters, with lone surrogates among them."""

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
"""Values of any type."""

FILES = st.builds(
    lambda name, kind, data: Upload(name, kind, data, len(data)),
    st.sampled_from(["a.png", "a", "", "é.jpg", "../a.webp"]),
    st.sampled_from(["image/png", "image/jpeg", "text/plain", "application/octet-stream", "x"]),
    st.sampled_from([picture.data for picture in corpus()]),
)
"""Files of broken pictures, under names and types that not all fit them."""


@dataclass(frozen=True, slots=True)
class SentCall:
    """A call with the *fields* of such a body."""

    body: Body
    fields: Mapping[str, Any]

    def send(self, http: httpx2.Client) -> httpx2.Response:
        """The answer of a server."""
        if self.body[2] == JSON:
            text = json.dumps(self.fields).encode()
            return http.post(self.body[1].path, content=text, headers={"content-type": JSON})
        parts = [part for name, value in self.fields.items() for part in _parts(name, value)]
        # A form without parts is none.
        return http.post(self.body[1].path, files=parts or [("", (None, b""))])


Part = tuple[str, tuple[str | None, bytes] | tuple[str | None, bytes, str]]
"""A part of a form, as the client takes it."""


def _parts(name: str, value: Any) -> list[Part]:
    """The parts of a form that stand for a JSON *value* or a file."""
    if isinstance(value, Upload):
        return [
            (name, (value.filename, value.data.ljust(value.size, b"\0"), value.content_type or ""))
        ]
    if isinstance(value, list):
        return [part for each in value for part in _parts(f"{name}[]", each)]
    if isinstance(value, Mapping):
        return [part for key, each in value.items() for part in _parts(f"{name}[{key}]", each)]
    text = value if isinstance(value, str) else json.dumps(value)
    return [(name, (None, text.encode("utf-8", "surrogatepass")))]


def _pixels(size: str) -> int:
    width, _, height = size.partition("x")
    return int(width) * int(height) if height.isdigit() else 0


def _small(sizes: tuple[str, ...]) -> list[str]:
    return [size for size in sizes if _pixels(size) <= MAX_DRAWN_PIXELS] or [
        min(sizes, key=_pixels)
    ]


def usual_value(rule: Rule) -> st.SearchStrategy[Any]:
    """Values that *rule* takes, and that are quick to draw."""
    match rule:
        case SharedThenOwnRule():
            return usual_value(rule.own)
        case UnsupportedParameter():
            return st.nothing()
        case Choice():
            words = (*rule.words, *rule.unlisted)
            return st.sampled_from(_small(words) if all(map(_pixels, words)) else words)
        case ListedServiceSize():
            return st.sampled_from(_small(rule.sizes))
        case FlexibleSize():
            return st.sampled_from(_small(tuple(map(str, rule.examples))))
        case Integer():
            return st.integers(
                rule.minimum, min(rule.minimum + 1, rule.maximum or rule.minimum + 1)
            )
        case Flag():
            return st.booleans()
        case Text():
            size = max(1, rule.min_length)
            return st.text(st.characters(codec="utf-8"), min_size=size, max_size=size + 30)
        case Object():
            required = {n: usual_value(each) for n, each in rule.fields.items() if each.required}
            others = {n: usual_value(each) for n, each in rule.fields.items() if not each.required}
            return st.fixed_dictionaries(required, optional=others)
        case _:
            return st.just(next(legal(rule)))


def edge_value(rule: Rule) -> st.SearchStrategy[Any]:
    """Values that *rule* only just takes."""
    values = [*legal(rule)]
    return st.sampled_from(values) if values else JSON_VALUES


def wrong_value(name: str, rule: Rule) -> st.SearchStrategy[Any]:
    """Values that *rule* only just refuses, and values of any type."""
    return st.sampled_from([value for value, _ in illegal(name, rule)]) | JSON_VALUES | FILES


@cache
def _validator(body: Body) -> Draft202012Validator:
    model, operation, media_type = body
    return Draft202012Validator(models_json()[model]["endpoints"][operation.path][media_type])


def _shown(value: Any) -> Any:
    """*value* as the JSON Schema describes it: a file is a string, or an item of an array."""
    if isinstance(value, Upload):
        return "file"
    return [*map(_shown, value)] if isinstance(value, list) else value


def fits_schema(body: Body, fields: Mapping[str, Any]) -> bool:
    """Whether the published JSON Schema takes these fields."""
    schema = _validator(body).schema["properties"]
    shown = {name: _shown(value) for name, value in fields.items()}
    for name, value in shown.items():
        if schema.get(name, {}).get("type") == "array" and not isinstance(value, list):
            shown[name] = [value]
    return bool(_validator(body).is_valid(shown))


def _fit_together(body: Body, rules: Rules, fields: Mapping[str, Any]) -> bool:
    """Whether the values fit together where no schema can say so: the frames of an animation lie in
    one sheet."""
    known = {name: value for name, value in fields.items() if name in rules}
    try:
        for name, value in known.items():
            rules[name].check_at_service(name, value, body[0], fields)
    except APIError:
        return False
    return True


def _json_ready(body: Body, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields without files, where the body cannot have any."""
    if body[2] == FORM:
        return {**fields}
    return {
        name: value.filename if isinstance(value, Upload) else value
        for name, value in fields.items()
    }


@st.composite
def valid_calls(draw: st.DrawFn) -> SentCall:
    """Calls that the JSON Schema of their model takes."""
    body = draw(st.sampled_from([*bodies()]))
    fields: dict[str, Any] = {} if body[1].only_model else {"model": body[0]}
    rules = {
        name: rule
        for name, rule in accepted(body).items()
        if not isinstance(rule, UnsupportedParameter)
    }
    for name in (*(n for n, rule in rules.items() if rule.required), *rules):
        if name not in fields and (rules[name].required or draw(st.booleans())):
            fields[name] = draw(usual_value(rules[name]))
            fits = fits_schema(body, fields) and _fit_together(body, rules, fields)
            if not rules[name].required and not fits:
                del fields[name]
    assert fits_schema(body, fields)
    return SentCall(body, fields)


@st.composite
def any_calls(draw: st.DrawFn) -> SentCall:
    """Calls with values of all kinds, some of which are valid all the same."""
    body = draw(st.sampled_from([*bodies()]))
    fields: dict[str, Any] = {"model": body[0]}
    for name, rule in accepted(body).items():
        kind = draw(st.sampled_from(["usual", "usual", "edge", "wrong", "none", "none"]))
        if kind == "none" and not rule.required:
            continue
        if kind == "usual" and not isinstance(rule, UnsupportedParameter):
            fields[name] = draw(usual_value(rule))
        elif kind == "edge":
            fields[name] = draw(edge_value(rule))
        else:
            fields[name] = draw(wrong_value(name, rule))
    if draw(st.integers(0, 5)) == 0:
        fields[draw(TEXT)] = draw(JSON_VALUES)
    return SentCall(body, _json_ready(body, fields))
