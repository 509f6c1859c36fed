"""Conflicts: combinations of parameters that a model refuses, in validation, schemas and tables."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import pytest

from images_emulator.contract.conflicts import Above, Conflict, Equal, OtherThan, Present
from images_emulator.contract.model import Model
from images_emulator.contract.model_listing import models_markdown, models_text, schema_of
from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import FORM
from images_emulator.contract.policy import Policy
from images_emulator.contract.refusal import APIError, Refusal, Violation
from images_emulator.contract.request import ParsedCall
from images_emulator.contract.rules import Choice, Integer
from images_emulator.contract.tables_of_day import tables_on
from tests.test_model_rules import Body, accepted, bodies, case_id, legal, validated

ABSENT = object()


def meets(schema: Any, value: Any) -> bool:
    """Whether *value* is valid by *schema*, of which the keywords are known that conflicts use."""
    match schema:
        case bool():
            return schema
        case {"const": constant}:
            return bool(value == constant)
        case {"enum": words}:
            return value in words
        case {"not": inner}:
            return not meets(inner, value)
        case {"exclusiveMinimum": limit}:
            return isinstance(value, int) and value > limit
        case {"exclusiveMaximum": limit}:
            return isinstance(value, int) and value < limit
        case {"properties": properties, "required": required}:
            return all(name in value for name in required) and all(
                meets(inner, value[name]) for name, inner in properties.items() if name in value
            )
        case _:
            return True


def conflicts_of(body: Body) -> Iterator[Conflict]:
    model, operation, media_type = body
    yield from tables_on(None).conflicts(
        MODELS[model], ParsedCall(operation, media_type == FORM, {})
    )


CASES = [(body, conflict) for body in bodies() for conflict in conflicts_of(body)]


def test_every_conflict_of_the_table_applies_to_some_call() -> None:
    conflicts = {str(each): each for model in MODELS.values() for each in model.conflicts}
    in_force = {name for name, conflict in conflicts.items() if conflict.is_in_force(None)}
    assert in_force == {str(conflict) for _, conflict in CASES}
    assert len(in_force) > 10


@pytest.mark.parametrize(("body", "conflict"), CASES, ids=case_id)
def test_json_schema_refuses_the_combinations_that_validation_refuses(
    body: Body, conflict: Conflict
) -> None:
    rules = accepted(body)
    schemas = schema_of(rules, conflicts_of(body))["allOf"]
    values = [[ABSENT, *legal(rules[name])] for name in conflict.when if name in rules]
    verdicts = set()
    for combination in product(*values):
        fields = {
            name: value
            for name, value in zip(conflict.when, combination, strict=True)
            if value is not ABSENT
        }
        sent: Mapping[str, Any] = fields
        broken = [each["description"] for each in schemas if not meets(each, sent)]
        verdicts.add(bool(broken))
        if not broken:
            validated(body, fields)
            continue
        with pytest.raises(APIError) as refused:
            validated(body, fields)
        assert refused.value.newest.message == broken[0]
    assert verdicts == {True, False}


def test_json_schema_has_no_combination_that_the_rules_exclude() -> None:
    refusal = Refusal("No {name} with {output_format}.")
    rules = {"n": Integer(minimum=1, default=1), "output_format": Choice(("png",), default="png")}
    assert Conflict({"n": Above(1), "output_format": Equal("gif")}, refusal).schema(rules) is None
    assert Conflict({"n": Above(1), "mask": Present()}, refusal).schema(rules) is None
    assert Conflict({"n": Above(1), "output_format": Equal("png")}, refusal).schema(rules) == {
        "description": "No n with png.",
        "not": {
            "properties": {"n": {"type": "integer", "exclusiveMinimum": 1}}
            | {"output_format": {"enum": ["png"]}},
            "required": ["n"],
        },
    }


@pytest.mark.parametrize("model", MODELS.values(), ids=str)
def test_rows_of_the_table_can_be_compared_and_sent_to_another_process(model: Model) -> None:
    copy = pickle.loads(pickle.dumps(model))  # noqa: S301 - our own
    assert copy == model
    assert copy.rules == model.rules
    assert copy.conflicts == model.conflicts
    assert copy.token_rates == model.token_rates


def test_conditions_are_compared_by_value() -> None:
    assert Equal("jpeg") == Equal("jpeg") != Equal("png")
    assert len({Equal("jpeg"), OtherThan("jpeg")}) == 2
    assert {Above(1), Above(1), Present()} == {Above(1), Present()}


@pytest.mark.parametrize(("body", "conflict"), CASES, ids=case_id)
def test_lenient_validation_drops_the_first_parameter_of_a_conflict(
    body: Body, conflict: Conflict
) -> None:
    rules = accepted(body)
    values = {
        name: next(value for value in legal(rules[name]) if meets(schema, value))
        for name, schema in (conflict.schema(rules) or {})["not"]["properties"].items()
    }
    request = validated(body, values, policy=Policy(is_lenient=True))
    assert request.forgiven[0] == Violation.from_error(conflict.error())
    dropped = conflict.yielding
    assert getattr(request, dropped) == getattr(validated(body, {}), dropped)


def test_tables_list_the_refused_combinations() -> None:
    assert "| `background` transparent with `output_format` jpeg | refused |" in models_markdown()
    assert "| `frame_count` with `output_format` other than gif |  |  |  | refused |" in (
        models_markdown()
    )
    assert "    refused together:\n      n above 1 with stream true\n" in models_text()
