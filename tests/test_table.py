"""The table's own verdicts: for every model, endpoint and parameter the smallest, the largest, the
default and the first illegal value."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from typing import Any

import httpx2
import pytest

from emulator.contract.errors import APIError
from emulator.contract.models import MODELS
from emulator.contract.pictures import OverlayRule, Pictures
from emulator.contract.request import Call, Endpoint, ImageRequest, Upload
from emulator.contract.rules import Choice, Flag, Integer, Object, Rule, Text, Unsupported
from emulator.contract.sizes import FixedSize, FlexibleSize
from emulator.contract.tables import as_json, as_markdown, as_text
from emulator.contract.validation import validate
from emulator.imaging.synthesis import Darkroom
from tests.pictures import half_clear

DARKROOM = Darkroom(lambda identity: None, lambda url: None)
FILE = Upload("a.png", "image/png", half_clear(), len(half_clear()))

# What a legal value needs beside it.
BESIDE: dict[str, dict[str, Any]] = {
    "frame_count": {"output_format": "gif", "size": "512x512"},
    "frame_duration_ms": {"output_format": "gif"},
    "svg": {"output_format": "svg"},
    "output_compression": {"output_format": "webp"},
    "partial_images": {"stream": True},
}


def legal(rule: Rule) -> Iterator[Any]:
    """The default, the smallest and the largest value."""
    match rule:
        case Choice():
            yield from (*rule.words, *rule.unlisted)
        case FlexibleSize():
            yield from (*rule.sizes, "auto", "1024x640", "3840x2160", "1440x480", "480x1440")
        case FixedSize():
            yield from (*rule.sizes, "auto")
        case Integer():
            yield from (rule.least, rule.most if rule.most is not None else 10**6)
        case Flag():
            yield from (True, False)
        case Text():
            yield from ("x" * max(1, rule.shortest), "é" * (rule.longest or 1000))
        case Object():
            yield from ({}, {name: next(legal(inner)) for name, inner in rule.fields.items()})
        case Pictures():
            yield from (FILE, [FILE] * rule.most)
        case OverlayRule():
            yield FILE


def illegal(rule: Rule) -> Iterator[tuple[Any, str]]:  # noqa: PLR0912 - one for each rule
    """The first values that are too much, with the code of the refusal."""
    match rule:
        case Unsupported():
            yield "low", "invalid_input_fidelity_model"
        case Choice(refusal=refusal) if refusal:
            yield "no-such-word", "unknown_parameter"
        case Choice():
            yield "no-such-word", "invalid_value"
            yield 1, "invalid_type"
        case FlexibleSize():
            for size in ("1024x624", "3856x1600", "1456x480", "2896x2880", "1000x1024", "big", ""):
                yield size, "invalid_value"
            yield 1024, "invalid_type"
        case FixedSize():
            yield "512x512", "invalid_value"
            yield 1024, "invalid_type"
        case Integer():
            yield rule.least - 1, "integer_below_min_value"
            if rule.most is not None:
                yield rule.most + 1, "integer_above_max_value"
            yield from product(("1", 1.5, True, []), ["invalid_type"])
        case Flag():
            yield from product(("true", 1, []), ["invalid_type"])
        case Text():
            if rule.longest:
                yield "x" * (rule.longest + 1), "string_above_max_length"
            if rule.shortest:
                yield "", "empty_string"
            yield [], "invalid_type"
        case Object():
            yield {"no-such-field": 1}, "unknown_parameter"
            yield "x", "invalid_type"
        case Pictures():
            yield "x", "invalid_type"
            yield [FILE] * (rule.most + 1), "array_above_max_length"
        case OverlayRule():
            yield "x", "invalid_type"


def rows() -> Iterator[tuple[str, Endpoint, str, Rule]]:
    for model in MODELS.values():
        for endpoint, accepted in model.accepts.items():
            for name, rule in accepted.items():
                yield model.id, endpoint, name, rule


def judged(model: str, endpoint: Endpoint, fields: dict[str, Any]) -> ImageRequest:
    """What becomes of a call that is right but for *fields*."""
    needed: dict[str, Any] = {"model": model}
    accepted = MODELS[model].accepts[endpoint]
    if "prompt" in accepted:
        needed["prompt"] = "x"
    if "image" in accepted:
        needed["image"] = FILE
    form = endpoint is not Endpoint.GENERATIONS
    return validate(Call(endpoint, form, needed | fields), DARKROOM)


def no_mistake_in_a_form(rule: Rule, value: Any, code: str) -> bool:
    """A form has nothing but texts, and an empty one is none."""
    text = isinstance(value, str) and not isinstance(rule, (Pictures, OverlayRule, Text))
    return text and (code == "invalid_type" or not value)


@pytest.mark.parametrize(
    ("model", "endpoint", "name", "rule"), list(rows()), ids=lambda value: str(value)[:30]
)
def test_a_legal_value_passes(model: str, endpoint: Endpoint, name: str, rule: Rule) -> None:
    beside = {
        key: value
        for key, value in BESIDE.get(name, {}).items()
        if key in MODELS[model].accepts[endpoint]
    }
    for value in legal(rule):
        request = judged(model, endpoint, beside | {name: value})
        if isinstance(rule, (Integer, Flag)):
            assert getattr(request, name) == value
    if not rule.required:
        judged(model, endpoint, {})


@pytest.mark.parametrize(
    ("model", "endpoint", "name", "rule"), list(rows()), ids=lambda value: str(value)[:30]
)
def test_the_first_illegal_value_is_refused(
    model: str, endpoint: Endpoint, name: str, rule: Rule
) -> None:
    for value, code in illegal(rule):
        if endpoint is not Endpoint.GENERATIONS and no_mistake_in_a_form(rule, value, code):
            continue
        with pytest.raises(APIError) as refused:
            judged(model, endpoint, {name: value})
        assert refused.value.code == code, value
        assert (refused.value.param or "").startswith(name)


GENERATING = [case for case in rows() if case[1] is Endpoint.GENERATIONS]


@pytest.mark.parametrize(
    ("model", "endpoint", "name", "rule"), GENERATING, ids=lambda value: str(value)[:30]
)
def test_a_refusal_reaches_the_client(
    http: httpx2.Client, model: str, endpoint: Endpoint, name: str, rule: Rule
) -> None:
    for value, code in illegal(rule):
        answer = http.post(endpoint.path, json={"model": model, "prompt": "x", name: value})
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == code


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("endpoint", Endpoint)
def test_what_is_in_no_row_is_unknown(model: str, endpoint: Endpoint) -> None:
    accepted = MODELS[model].accepts.get(endpoint)
    if accepted is None:
        with pytest.raises(APIError, match="Value must be 'dall-e-2'"):
            validate(Call(endpoint, form=True, fields={"model": model}), DARKROOM)
        return
    everything = {name for _, _, name, _ in rows()} - {"images"}
    for name in everything - accepted.keys():
        with pytest.raises(APIError) as refused:
            judged(model, endpoint, {name: "x"})
        assert refused.value.code == "unknown_parameter"


def test_the_table_is_told_as_schema(http: httpx2.Client) -> None:
    told = http.get("/_emulator/models").json()
    assert told == json.loads(json.dumps(as_json()))
    assert told.keys() == MODELS.keys()
    schema = told["gpt-image-2"]["endpoints"]["/v1/images/generations"]
    assert schema["required"] == ["prompt"]
    assert schema["properties"]["n"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 10,
        "default": 1,
    }


def test_the_table_is_told_in_words() -> None:
    for told in (as_text(), as_markdown()):
        assert all(model in told for model in MODELS)
