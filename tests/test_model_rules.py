"""The verdicts of the models' rules: for every model, kind of body and parameter the smallest, the
largest, the default and the first illegal value, at any date and around the days of a change."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from datetime import date, timedelta
from functools import cache, partial
from itertools import product
from math import prod
from typing import Any

import httpx2
import pytest
from jsonschema import Draft202012Validator
from openai import OpenAI

from images_emulator.contract.calendar import AsOf
from images_emulator.contract.image_rules import IMAGE_BYTES_LIMIT, InputImages, OverlayRule
from images_emulator.contract.message_format import Words
from images_emulator.contract.model import Model
from images_emulator.contract.model_listing import (
    models_json,
    models_markdown,
    models_text,
)
from images_emulator.contract.model_rules import FLEXIBLE_SIZE, MARKUP
from images_emulator.contract.models import LISTED_MODEL, MODEL_PARAMETER_RULE, MODELS
from images_emulator.contract.operations import (
    EDITS,
    FORM,
    GENERATIONS,
    IMAGE_OPERATIONS,
    JSON,
    Operation,
)
from images_emulator.contract.policy import Policy
from images_emulator.contract.references import MAX_URL_CHARS, ImageReferences, ReferencedOverlay
from images_emulator.contract.refusal import OLDER_ENVELOPE, APIError
from images_emulator.contract.request import ImageRequest, ParsedCall, Upload
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
from images_emulator.contract.sizes import (
    FlexibleSize,
    GatewayAndServiceSize,
    GatewaySize,
    ListedServiceSize,
)
from images_emulator.contract.tables_of_day import tables_on
from images_emulator.contract.uploads import SquarePNG, UploadedImages, UploadedOverlay
from images_emulator.contract.validation import validate
from images_emulator.imaging.image_loader import PillowImageLoader
from images_emulator.terminal_text import TERMINAL_COLUMNS
from tests.pictures import half_clear

pytestmark = pytest.mark.not_on_redis("is about validation")

DAY = timedelta(days=1)

PICTURE = half_clear()

# A file's id is its size in bytes.
LOADER = PillowImageLoader(cache(lambda size: PICTURE.ljust(int(size), b"\0")), lambda url: PICTURE)
FILE = Upload("a.png", "image/png", PICTURE, len(PICTURE))
DATA_URL = "data:image/png;base64," + base64.b64encode(PICTURE).decode()
REFERENCE = {"image_url": DATA_URL}
LONG_URL = "https://example.invalid/".ljust(MAX_URL_CHARS, "x")


Shape = tuple[int, int]
"""Width and height."""

MEASURES: Mapping[str, Callable[[Shape], float]] = {
    "max_edge": max,
    "min_edge": min,
    "max_ratio": lambda shape: max(shape) / min(shape),
    "min_pixels": prod,
    "max_pixels": prod,
}
"""What each limit of a `FlexibleSize` limits."""


def limits_of(rule: FlexibleSize) -> Iterator[tuple[str, Callable[[Shape], float], Any]]:
    """The name, the measure and the value of each limit of *rule*."""
    for name in (each.name for each in fields(rule)):
        if name.startswith(("min_", "max_")):
            if name not in MEASURES:
                pytest.fail(
                    f"test_model_rules does not know what {type(rule).__name__}.{name} limits"
                )
            if getattr(rule, name) is not None:
                yield name, MEASURES[name], getattr(rule, name)


@cache
def sizes_at_the_limits(rule: FlexibleSize) -> tuple[list[str], list[str]]:
    """The sizes that *rule* only just takes, and those that it only just refuses: by each limit
    alone, and by the step."""
    edges = range(rule.step, rule.max_edge + rule.step + 1, rule.step)
    shapes = [(w, h) for w, h in product(edges, edges) if w >= h]
    beyond: dict[str, set[Shape]] = {}
    for name, measure, limit in limits_of(rule):
        sign = 1 if name.startswith("max_") else -1
        beyond[name] = {shape for shape in shapes if sign * measure(shape) > sign * limit}
    within = {*shapes}.difference(*beyond.values())
    taken, refused = [], [(min(within)[0] + 1, min(within)[1])]
    for name, measure, _ in limits_of(rule):
        most, least = (max, min) if name.startswith("max_") else (min, max)
        taken.append(most(within, key=measure))
        others = (shapes for each, shapes in beyond.items() if each != name)
        if alone := beyond[name].difference(*others):
            refused.append(least(alone, key=measure))

    def sizes(edges: list[Shape]) -> list[str]:
        return [size for w, h in edges for size in (f"{w}x{h}", f"{h}x{w}")]

    return sizes(taken), sizes(refused)


RULE_CLASSES = (
    *(Choice, ListedServiceSize, Flag, FlexibleSize, GatewayAndServiceSize, ImageReferences),
    *(Integer, GatewaySize, SharedThenOwnRule, Object, ReferencedOverlay, SquarePNG, Text),
    *(UnsupportedParameter, UploadedImages, UploadedOverlay),
)
"""The classes of rules for which `legal` and `illegal` have values. A subclass is a class of its
own, and needs values of its own or a line in one of their cases."""


def check_class(rule: Rule) -> None:
    """Fail the test where the class of *rule* is not one of `RULE_CLASSES`."""
    if type(rule) not in RULE_CLASSES:
        name = type(rule).__name__
        pytest.fail(f"{__file__}: `legal`, `illegal` and RULE_CLASSES need a case for {name}")


def legal(rule: Rule) -> Iterator[Any]:  # noqa: PLR0912 - one for each rule
    """The default, the smallest and the largest value."""
    check_class(rule)
    match rule:
        case SharedThenOwnRule():
            yield from legal(rule.own)
        case Choice():
            yield from (*rule.words, *rule.unlisted)
        case FlexibleSize():
            yield from (*rule.examples, "auto", *sizes_at_the_limits(rule)[0])
        case ListedServiceSize():
            yield from (*rule.sizes, "auto")
        case Integer():
            yield from (rule.minimum, rule.maximum if rule.maximum is not None else 10**6)
        case Flag():
            yield from (True, False)
        case Text():
            yield from ("x" * max(1, rule.min_length), "é" * (rule.max_length or 1000))
        case Object():
            yield {name: next(legal(inner)) for name, inner in rule.fields.items()}
            yield {n: next(legal(inner)) for n, inner in rule.fields.items() if inner.required}
        case SquarePNG():
            yield from (FILE, replace(FILE, size=rule.size_limit - 1))
        case UploadedImages():
            yield from (FILE, [FILE] * rule.max_items, replace(FILE, size=rule.size_limit - 1))
        case UploadedOverlay():
            yield from (FILE, replace(FILE, size=rule.size_limit - 1))
        case ImageReferences():
            yield from ([REFERENCE], [REFERENCE] * rule.max_items)
            yield from ([{"file_id": str(IMAGE_BYTES_LIMIT - 1)}], [{"image_url": LONG_URL}])
        case ReferencedOverlay():
            yield from (REFERENCE, {"file_id": str(rule.size_limit - 1)})
        case UnsupportedParameter():
            return


def illegal(name: str, rule: Rule) -> Iterator[tuple[Any, str]]:  # noqa: PLR0912, PLR0915 - one for each rule
    """The first values that are too much, with the code of the refusal."""
    check_class(rule)
    match rule:
        case SharedThenOwnRule():
            for value, code in illegal(name, rule.own):
                try:
                    rule.shared.check_at_gateway(name, value)
                except APIError:
                    yield value, code
                else:
                    yield value, str(rule.refusal.code)
        case UnsupportedParameter():
            yield next(legal(rule.like)), f"invalid_{name}_model"
        case Choice(refusal=refusal) if refusal:
            word = "no-such-word"
            yield word, str(refusal(name=name, value=word, listed=Words(rule.words)).newest.code)
        case Choice():
            yield "no-such-word", "invalid_value"
            yield 1, "invalid_type"
        case FlexibleSize():
            for size in (*sizes_at_the_limits(rule)[1], "big", ""):
                yield size, "invalid_value"
            yield 1024, "invalid_type"
        case ListedServiceSize():
            yield f"1{rule.sizes[0]}", "invalid_value"
            yield 1024, "invalid_type"
        case Integer():
            yield rule.minimum - 1, "integer_below_min_value"
            if rule.maximum is not None:
                yield rule.maximum + 1, "integer_above_max_value"
            yield from product(("1", 1.5, True, []), ["invalid_type"])
        case Flag():
            yield from product(("true", 1, []), ["invalid_type"])
        case Text():
            if rule.max_length:
                yield "x" * (rule.max_length + 1), "string_above_max_length"
            if rule.min_length:
                yield "", "empty_string"
            yield [], "invalid_type"
        case Object():
            yield {"no-such-field": 1}, "unknown_parameter"
            if any(inner.required for inner in rule.fields.values()):
                yield {}, "missing_required_parameter"
            yield "x", "invalid_type"
        case UploadedImages():
            yield "x", "invalid_type"
            one = isinstance(rule, SquarePNG)
            yield [FILE] * (rule.max_items + 1), "invalid_type" if one else "array_above_max_length"
            yield replace(FILE, size=rule.size_limit), "invalid_image_format" if one else TOO_LARGE
        case UploadedOverlay():
            yield "x", "invalid_type"
            yield replace(FILE, size=rule.size_limit), TOO_LARGE
        case ImageReferences():
            yield from (("x", "invalid_type"), ([], "empty_array"))
            yield [REFERENCE] * (rule.max_items + 1), "array_above_max_length"
            yield from (([value], code) for value, code in no_references())
            yield [{"file_id": str(IMAGE_BYTES_LIMIT)}], TOO_LARGE
            yield [{"image_url": "data:image/png;base64,AAAA"}], "invalid_image_file"
        case ReferencedOverlay():
            yield from no_references()
            yield {"file_id": str(rule.size_limit)}, TOO_LARGE


@pytest.mark.parametrize("values", [legal, partial(illegal, "size")])
@pytest.mark.parametrize("rule", [ListedServiceSize(("8x8",), auto="8x8"), FLEXIBLE_SIZE], ids=repr)
def test_a_subclass_of_a_rule_needs_values_of_its_own(
    rule: Rule, values: Callable[[Rule], Iterator[Any]]
) -> None:
    next(values(rule))
    subclass = type("OddSize", (type(rule),), {})
    odd = subclass(**{each.name: getattr(rule, each.name) for each in fields(rule)})
    with pytest.raises(pytest.fail.Exception, match="need a case for OddSize"):
        next(values(odd))


TOO_LARGE = "file_above_max_size"


def no_references() -> Iterator[tuple[Any, str]]:
    yield "x", "invalid_type"
    yield {"name": "x"}, "unknown_parameter"
    yield {}, "invalid_value"
    yield {"image_url": DATA_URL, "file_id": "1"}, "invalid_value"
    yield {"image_url": 1}, "invalid_type"
    yield {"image_url": "ftp://example.invalid/a.png"}, "invalid_value"
    yield {"image_url": LONG_URL + "x"}, "string_above_max_length"


Body = tuple[str, Operation, str]
"""A model, an operation, and the media type of what is sent there."""


def accepted(body: Body, as_of: AsOf = None) -> Rules:
    """What *body* may hold. Raises APIError where the model takes none such."""
    model, operation, media_type = body
    return tables_on(as_of).rules(MODELS[model], ParsedCall(operation, media_type == FORM, {}))


def is_read(body: Body, as_of: AsOf = None) -> bool:
    """Whether the model takes such a body, by its row for pictures."""
    model, operation, media_type = body
    image = MODELS[model].rules[operation].get("image")
    if media_type == FORM or not isinstance(image, UploadedImages):
        return True
    return image.json_period is not None and as_of in image.json_period


def bodies() -> Iterator[Body]:
    for model in MODELS.values():
        for operation in model.rules:
            of_each_kind = ((model.id, operation, media_type) for media_type in operation.bodies)
            yield from (body for body in of_each_kind if is_read(body))


def case_id(value: Any) -> str:
    return "-".join(map(str, value)) if isinstance(value, tuple) else str(value)


def validated(
    body: Body, fields: dict[str, Any], as_of: AsOf = None, *, policy: Policy | None = None
) -> ImageRequest:
    """What becomes of a call that is right but for *fields*."""
    model, operation, media_type = body
    right = {"model": model, "prompt": "x", "image": FILE, "images": [REFERENCE]}
    accepted_names = {
        *accepted(body, as_of),
        *(["model"] if as_of in MODEL_PARAMETER_RULE.period else []),
    }
    needed = {name: value for name, value in right.items() if name in accepted_names}
    call = ParsedCall(operation, media_type == FORM, needed | fields)
    return validate(call, LOADER, policy or Policy(as_of))


def beside(body: Body, name: str, value: Any, as_of: AsOf) -> dict[str, Any]:
    """Other parameters with which that *value* has no conflict."""
    model, operation, media_type = body
    rules = accepted(body, as_of)
    call = ParsedCall(operation, media_type == FORM, {})
    others: dict[str, Any] = {}
    for conflict in tables_on(as_of).conflicts(MODELS[model], call):
        fields = others | {name: value}
        values = {each: rule.resolve(fields.get(each), None, {}) for each, rule in rules.items()}
        if name in conflict.when and all(
            condition.holds(values.get(each)) for each, condition in conflict.when.items()
        ):
            other = next(each for each in conflict.when if each != name)
            words = (word for word in legal(rules[other]) if not conflict.when[other].holds(word))
            others[other] = next(words)
    return others


def has_code(error: APIError, code: str) -> bool:
    """Whether *error* has that *code*; the older stack had few, and named no param."""
    answer = error.newest
    return answer.code == code or (answer.envelope == OLDER_ENVELOPE and answer.param is None)


def no_mistake_in_a_form(rule: Rule, value: Any, code: str) -> bool:
    """A form has nothing but texts, and an empty one, or an object of none, is not given."""
    if value == {} and isinstance(rule, Object):
        return True
    text = isinstance(value, str) and not isinstance(rule, (InputImages, OverlayRule, Text))
    return text and (code == "invalid_type" or not value)


def passes(body: Body, name: str, rule: Rule, as_of: AsOf = None) -> None:
    """Assert that each legal value of *rule* does."""
    for value in legal(rule):
        request = validated(body, beside(body, name, value, as_of) | {name: value}, as_of)
        if isinstance(rule, (Integer, Flag)):
            assert getattr(request, name) == value
    if not rule.required:
        validated(body, {}, as_of)


def is_refused(body: Body, name: str, rule: Rule, as_of: AsOf = None) -> None:
    """Assert that each illegal value of *rule* is."""
    for value, code in illegal(name, rule):
        if body[2] == FORM and no_mistake_in_a_form(rule, value, code):
            continue
        with pytest.raises(APIError) as refused:
            validated(body, {name: value}, as_of)
        assert has_code(refused.value, code), str(value)[:80]
        param = refused.value.newest.param or name
        assert param.startswith(name) or (isinstance(rule, SharedThenOwnRule) and param == "model")


@pytest.mark.parametrize("body", list(bodies()), ids=case_id)
def test_legal_values_are_accepted(body: Body) -> None:
    for name, rule in accepted(body).items():
        passes(body, name, rule)


@pytest.mark.parametrize("body", list(bodies()), ids=case_id)
def test_first_illegal_values_are_refused(body: Body) -> None:
    for name, rule in accepted(body).items():
        is_refused(body, name, rule)


IMAGE_OF_GPT = MODELS["gpt-image-1"].rules[EDITS]["image"]
IMAGE_OF_DALLE = MODELS["dall-e-2"].rules[EDITS]["image"]


@pytest.mark.parametrize(
    ("rule", "size_limit", "max_items"),
    [
        (IMAGE_OF_GPT, 52_428_800, 16),
        (IMAGE_OF_GPT.version_on(date(2025, 6, 1)), 26_214_400, 16),
        (IMAGE_OF_DALLE, 4_194_304, 1),
        (MODELS["gpt-image-2"].rules[EDITS]["mask"], 4_194_304, None),
        (MARKUP, 52_428_800, None),
        (MARKUP.json_rule(None), 52_428_800, None),
    ],
)
def test_files_have_the_documented_limits(
    rule: Any, size_limit: int, max_items: int | None
) -> None:
    assert (rule.size_limit, getattr(rule, "max_items", None)) == (size_limit, max_items)


def test_a_url_of_an_image_may_have_20_megabytes() -> None:
    schema = ReferencedOverlay().schema()
    assert schema["properties"]["image_url"]["maxLength"] == MAX_URL_CHARS == 20_971_520


@pytest.mark.parametrize("max_ratio", [None, 2])
@pytest.mark.parametrize("source", [(1, 16_384), (16_384, 1), (9, 1), (640, 480)])
def test_auto_size_of_an_elongated_image_keeps_the_longest_edge(
    source: Shape, max_ratio: int | None
) -> None:
    rule = replace(FLEXIBLE_SIZE, max_ratio=max_ratio)
    size = rule.resolve("auto", source, {})
    assert max(size) <= rule.max_edge
    assert 0.99 * rule.auto_pixels <= prod(size) <= rule.auto_pixels
    assert (size[0] > size[1]) == (source[0] > source[1])


@pytest.mark.parametrize(
    ("source", "size"),
    [((9, 9), (1254, 1254)), ((3, 2), (1536, 1024)), ((3, 1), (2172, 724)), ((1, 9), (724, 2172))],
)
def test_auto_size_has_the_pixels_of_1536x1024(source: Shape, size: Shape) -> None:
    assert FLEXIBLE_SIZE.resolve("auto", source, {}) == size


def test_limits_of_a_flexible_size_are_told_from_two_on() -> None:
    text = replace(FLEXIBLE_SIZE, min_edge=2, min_pixels=2).schema()["description"]
    assert "at least 2 and at most" in text
    assert " 2 to " in text
    least: dict[str, Any] = {
        each.name: each.default for each in fields(FlexibleSize) if "min_" in each.name
    }
    text = replace(FLEXIBLE_SIZE, **least).schema()["description"]
    assert "at least" not in text
    assert f" at most {FLEXIBLE_SIZE.max_pixels:,} pixels" in text


@pytest.mark.parametrize("min_edge", [1, 640])
@pytest.mark.parametrize("min_pixels", [1, FLEXIBLE_SIZE.min_pixels])
@pytest.mark.parametrize("max_ratio", [None, 2])
def test_every_limit_of_a_flexible_size_refuses_on_its_own(
    min_edge: int, min_pixels: int, max_ratio: int | None
) -> None:
    rule = replace(FLEXIBLE_SIZE, min_edge=min_edge, min_pixels=min_pixels, max_ratio=max_ratio)
    taken, refused = sizes_at_the_limits(rule)
    for size in taken:
        rule.check_at_service("size", size, "x", {})
    sentences = set()
    for size in refused:
        with pytest.raises(APIError) as error:
            rule.check_at_service("size", size, "x", {})
        sentences.add(str(error.value).partition(". ")[2])
    assert ("The shortest edge must be greater than or equal to 640." in sentences) == (
        min_edge == 640
    )
    assert any("ratio" in sentence for sentence in sentences) == (max_ratio == 2)
    limits = (min_edge > 1, min_pixels > 1, max_ratio is not None)
    assert len(sentences) == 3 + sum(limits)
    text = rule.schema()["description"]
    assert (f" {min_pixels:,} to {rule.max_pixels:,} pixels" in text) == (min_pixels > 1)
    assert (f" at most {rule.max_pixels:,} pixels" in text) == (min_pixels == 1)
    assert ("at least 640 and at most" in text) == (min_edge == 640)
    assert ("1:2 to 2:1" in text) == (max_ratio == 2)
    width, height = rule.resolve("auto", (3000, 1000), {})
    assert round(width / height) == (max_ratio or 3)


def days() -> Iterator[tuple[Body, str, date]]:
    """Those on which something changed for a parameter while its model lived."""
    for body in bodies():
        model, operation, _ = body
        for name, rule in MODELS[model].rules[operation].items():
            turns = {rule.period.since, rule.period.until, *(until for until, _ in rule.earlier)}
            for day in sorted(turn for turn in turns if turn):
                around = (day - DAY, day)
                if all(MODELS[model].exists_on(each) and is_read(body, each) for each in around):
                    yield body, name, day


@pytest.mark.parametrize(("body", "name", "day"), list(days()), ids=case_id)
@pytest.mark.parametrize("before", [DAY, timedelta()], ids=["before", "on"])
def test_dated_rule_holds_before_and_on_its_day(
    body: Body, name: str, day: date, before: timedelta
) -> None:
    as_of = day - before
    model, operation, media_type = body
    dated = MODELS[model].rules[operation][name]
    rule = dated.version_on(as_of)
    if media_type == JSON and isinstance(rule, OverlayRule):
        rule = rule.json_rule(as_of) or rule
    if as_of not in dated.period:
        with pytest.raises(APIError, match=f"'{name}'") as unknown:
            validated(body, {name: next(legal(rule))}, as_of)
        assert has_code(unknown.value, "unknown_parameter")
        return
    passes(body, name, rule, as_of)
    is_refused(body, name, rule, as_of)
    if rule.required and rule.nullable:
        with pytest.raises(APIError) as missing:
            validated(body, {}, as_of)
        assert has_code(missing.value, "missing_required_parameter")


@pytest.mark.parametrize("body", [each for each in bodies() if each[1] is GENERATIONS], ids=case_id)
def test_illegal_values_are_bad_requests_over_http(http: httpx2.Client, body: Body) -> None:
    model, operation, _ = body
    for name, rule in accepted(body).items():
        for value, code in illegal(name, rule):
            answer = http.post(operation.path, json={"model": model, "prompt": "x", name: value})
            assert answer.status_code == 400
            assert answer.json()["error"]["code"] == code


@pytest.mark.parametrize("body", list(bodies()), ids=case_id)
def test_rule_has_a_schema(body: Body) -> None:
    bare = {type(rule).__name__ for rule in accepted(body).values() if not rule.schema()}
    assert not bare, f"{bare} needs `schema`, by which the tables and `/_emulator/models` tell it"


def schema_tells(rule: Rule, value: Any, code: str) -> bool:
    """Whether a JSON Schema can say that *value* is refused: it knows no file, and neither the
    arithmetic of sizes nor the schemes of URLs."""
    of_a_file = code in (TOO_LARGE, "invalid_image_file") or "ftp:" in str(value)
    return not of_a_file and not (isinstance(rule, FlexibleSize) and "x" in str(value))


@pytest.mark.parametrize("name", sorted({name for body in bodies() for name in accepted(body)}))
def test_schema_of_a_parameter_takes_what_its_rules_take(name: str) -> None:
    rules = {repr(rule): rule for body in bodies() if (rule := accepted(body).get(name))}
    for rule in rules.values():
        schema = rule.schema()
        if isinstance(rule, (UploadedImages, UploadedOverlay)):
            file = schema.get("items", schema)
            assert file == {"type": "string", "format": "binary"}
            continue
        meets = Draft202012Validator(schema).is_valid
        assert meets(schema.get("default", next(legal(rule), None))) != (
            isinstance(rule, UnsupportedParameter)
        )
        for value in legal(rule):
            assert meets(value), value
            assert value != "auto" or "default" in schema
        for value, code in illegal(name, rule):
            assert not meets(value) or not schema_tells(rule, value, code), value


@pytest.mark.parametrize("body", list(bodies()), ids=case_id)
def test_parameter_without_a_rule_is_unknown(body: Body) -> None:
    everything = {name for each in bodies() for name in accepted(each)} - {"image", "images"}
    for name in everything - accepted(body).keys():
        with pytest.raises(APIError) as refused:
            validated(body, {name: "x"})
        assert has_code(refused.value, "unknown_parameter")


@pytest.mark.parametrize("model", MODELS.values(), ids=str)
@pytest.mark.parametrize("operation", IMAGE_OPERATIONS.values(), ids=str)
def test_model_that_does_not_support_the_operation_is_refused(
    model: Model, operation: Operation
) -> None:
    if operation not in model.rules and not operation.only_model:
        with pytest.raises(APIError, match=f"Value must be '{LISTED_MODEL}'"):
            validate(ParsedCall(operation, is_form=True, fields={"model": model.id}), LOADER)


def test_admin_api_gives_the_table_as_json_schema(http: httpx2.Client) -> None:
    models = http.get("/_emulator/models").json()
    assert models == json.loads(json.dumps(models_json()))
    dates = ("released", "shutdown", "replacement")
    assert [models["gpt-image-1"][key] for key in dates] == [
        "2025-04-23",
        "2026-10-23",
        "gpt-image-2.5-sunburst",
    ]
    assert [models["gpt-image-2"][key] for key in dates] == ["2026-04-21", None, None]
    assert {
        (model, path, media_type)
        for model, row in models.items()
        for path, schemas in row["endpoints"].items()
        for media_type in schemas
    } == {(model, operation.path, media_type) for model, operation, media_type in bodies()}
    schema = models["gpt-image-2"]["endpoints"]["/v1/images/generations"][JSON]
    assert schema["required"] == ["prompt"]
    assert schema["allOf"][0] == {
        "description": "Streaming is only supported with n=1.",
        "not": {
            "properties": {
                "n": {"type": "integer", "exclusiveMinimum": 1},
                "stream": {"const": True},
            },
            "required": ["n", "stream"],
        },
    }
    assert schema["properties"]["n"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 10,
        "default": 1,
    }
    form, references = (
        models["gpt-image-2"]["endpoints"]["/v1/images/edits"][each]["properties"]
        for each in (FORM, JSON)
    )
    assert form["image"]["items"] == form["mask"] == {"type": "string", "format": "binary"}
    assert references["images"]["items"] == references["mask"]
    assert references["mask"]["properties"].keys() == {"image_url", "file_id"}


def test_text_and_markdown_list_every_model() -> None:
    for text in (models_text(), models_markdown()):
        assert all(model in text for model in MODELS)


def test_text_of_the_table_fits_a_terminal_and_lists_every_parameter() -> None:
    text = models_text()
    assert max(map(len, text.splitlines())) <= TERMINAL_COLUMNS == 100
    _, *parts = text.split("POST ")
    assert len(parts) == len(IMAGE_OPERATIONS)
    assert parts[-1] == (
        "/v1/images/variations\n\n"
        "  dall-e-2\n"
        "    image            one\n"
        "    n                1 to 10\n"
        "    size             256x256, 512x512, 1024x1024\n"
        "    response_format  url, b64_json\n"
        "    user             yes\n\n"
        "  left out, of dall-e-2: n 1, size 1024x1024, response_format url\n"
    )
    for operation, part in zip(IMAGE_OPERATIONS.values(), parts, strict=True):
        for model in MODELS.values():
            assert (model.id in part) == (operation in model.rules)
            assert all(f"\n    {name} " in part for name in model.rules.get(operation, ()))


@pytest.mark.parametrize("model", MODELS)
def test_tables_have_what_is_answered_where_a_parameter_is_left_out(
    model: str, client: OpenAI
) -> None:
    _, part = models_markdown().split("`POST /v1/images/generations`")
    lines = part[part.index("| left out |") :].split("\n\n")[0].splitlines()
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    column = next(at for at, models in enumerate(head) if model in models.split("<br>"))
    listed = {row[0].strip("`"): row[column] for row in rows if row[column]}
    answer = client.images.generate(model=model, prompt="x")
    assert answer.data
    if "output_format" in listed:
        assert (answer.quality, answer.background) == (listed["quality"], listed["background"])
        assert (answer.size, answer.output_format) == (listed["size"], listed["output_format"])
    else:
        assert answer.data[0].url
        assert listed["response_format"] == "url"


@pytest.mark.parametrize(
    ("model", "operation", "name", "first_day", "changes"),
    [
        ("dall-e-2", GENERATIONS, "prompt", None, ("2023-11-06", "2025-04-16")),
        ("dall-e-2", GENERATIONS, "quality", "2023-11-06", ("2025-04-16",)),
        ("dall-e-2", GENERATIONS, "size", None, ("2023-11-06", "2024-11-01")),
        ("dall-e-2", EDITS, "image", None, ("2023-04-01", "2025-04-16")),
        ("dall-e-2", EDITS, "mask", None, ("2022-12-20",)),
        ("dall-e-3", GENERATIONS, "n", None, ("2025-04-16",)),
        ("dall-e-3", GENERATIONS, "size", None, ("2024-11-01", "2025-04-16")),
        ("gpt-image-1", GENERATIONS, "size", None, ("2026-02-01",)),
        ("gpt-image-1", GENERATIONS, "stream", "2025-07-16", ()),
        ("gpt-image-1", GENERATIONS, "partial_images", "2025-07-16", ()),
        ("gpt-image-1", GENERATIONS, "complexity", "2026-11-04", ()),
        ("gpt-image-1", GENERATIONS, "safety_identifier", "2026-10-16", ()),
        ("gpt-image-1", GENERATIONS, "background", None, ()),
        ("gpt-image-1", EDITS, "image", None, ("2025-06-02",)),
        ("gpt-image-1", EDITS, "background", "2025-05-02", ()),
        ("gpt-image-1", EDITS, "output_format", "2025-06-16", ()),
        ("gpt-image-1", EDITS, "output_compression", "2025-06-16", ()),
        ("gpt-image-1", EDITS, "input_fidelity", "2025-07-16", ()),
        ("gpt-image-1.5", EDITS, "input_fidelity", "2025-07-16", ()),
        ("gpt-image-2.5-flare", EDITS, "markup", "2026-10-31", ()),
        ("gpt-image-2.6-sunburst", EDITS, "svg", "2026-11-12", ()),
        ("gpt-image-2.6-sunburst", EDITS, "output_format", None, ("2026-11-12",)),
    ],
)
def test_days_on_which_a_parameter_came_and_changed(
    model: str, operation: Operation, name: str, first_day: str | None, changes: tuple[str, ...]
) -> None:
    rule = MODELS[model].rules[operation][name]
    assert rule.period.since == (first_day and date.fromisoformat(first_day))
    assert tuple(until.isoformat() for until, _ in rule.earlier) == changes


GPT_IMAGE_DEFAULTS = {
    "n": 1,
    "quality": "low",
    "background": "opaque",
    "output_format": "png",
    "output_compression": 100,
    "moderation": "auto",
    "size": (1254, 1254),
    "stream": False,
    "partial_images": 0,
    "complexity": None,
    "user": None,
    "safety_identifier": None,
}


@pytest.mark.parametrize(
    ("model", "operation", "defaults"),
    [
        ("dall-e-2", GENERATIONS, {"n": 1, "size": (1024, 1024), "response_format": "url"}),
        ("dall-e-3", GENERATIONS, {"n": 1, "size": (1024, 1024), "response_format": "url"}),
        ("dall-e-3", GENERATIONS, {"quality": "standard", "style": "vivid"}),
        ("gpt-image-1", GENERATIONS, {"quality": "high", "size": (1024, 1536)}),
        ("gpt-image-1", EDITS, {"quality": "high", "input_fidelity": "low"}),
        ("gpt-image-1-mini", GENERATIONS, {"quality": "high", "size": (1024, 1536)}),
        ("gpt-image-1-mini", EDITS, {"quality": "high", "size": (1024, 1536)}),
        ("gpt-image-1.5", GENERATIONS, {"quality": "medium", "size": (1024, 1536)}),
        ("gpt-image-1.5", EDITS, {"quality": "medium", "input_fidelity": "low"}),
        ("gpt-image-2", GENERATIONS, GPT_IMAGE_DEFAULTS),
        ("gpt-image-2", EDITS, GPT_IMAGE_DEFAULTS),
        ("gpt-image-2.5-sunburst", GENERATIONS, GPT_IMAGE_DEFAULTS),
        ("gpt-image-2.6-flare", GENERATIONS, GPT_IMAGE_DEFAULTS),
        ("gpt-image-2.6-flare", EDITS, GPT_IMAGE_DEFAULTS),
        ("gpt-image-2.6-flare", EDITS, {"frame_count": None, "frame_duration_ms": None}),
    ],
)
def test_values_of_parameters_that_a_call_leaves_out(
    model: str, operation: Operation, defaults: dict[str, Any]
) -> None:
    rules = MODELS[model].rules[operation]
    assert {name: rules[name].resolve(None, None, {}) for name in defaults} == defaults


def test_the_mini_model_has_no_input_fidelity() -> None:
    assert "input_fidelity" in MODELS["gpt-image-1"].rules[EDITS]
    assert "input_fidelity" not in MODELS["gpt-image-1-mini"].rules[EDITS]


@pytest.mark.parametrize(("limit", "digits"), [(640, 641), (4300, 4301), (0, 4301)])
def test_a_number_with_more_digits_than_python_reads_is_refused(limit: int, digits: int) -> None:
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(limit)
    try:
        with pytest.raises(APIError, match="integer"):
            Integer(minimum=1).parse_text("n", "1" * digits)
    finally:
        sys.set_int_max_str_digits(before)
