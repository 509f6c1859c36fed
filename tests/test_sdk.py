"""A drift alarm: what the installed SDK knows, the table knows."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import pytest
from openai.types.image_create_variation_params import ImageCreateVariationParams
from openai.types.image_edit_params import ImageEditParamsNonStreaming
from openai.types.image_generate_params import ImageGenerateParamsNonStreaming
from openai.types.image_model import ImageModel

from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import (
    EDITS,
    GENERATIONS,
    IMAGE_OPERATIONS,
    VARIATIONS,
    Operation,
)
from images_emulator.contract.rules import Choice

PARAMS = {
    GENERATIONS: ImageGenerateParamsNonStreaming,
    EDITS: ImageEditParamsNonStreaming,
    VARIATIONS: ImageCreateVariationParams,
}


def test_every_model_of_the_sdk_is_in_the_table() -> None:
    assert set(get_args(ImageModel)) <= MODELS.keys()


@pytest.mark.parametrize("operation", IMAGE_OPERATIONS.values(), ids=str)
def test_every_parameter_of_the_sdk_is_in_some_row(operation: Operation) -> None:
    rules = {name for model in MODELS.values() for name in model.accepts.get(operation, {})} | {
        "model"
    }
    assert set(get_type_hints(PARAMS[operation])) <= rules


def words(hint: Any) -> set[str]:
    """The literal strings in a type, at any depth."""
    if isinstance(hint, str):
        return {hint}
    return set().union(*(words(inner) for inner in get_args(hint)))


@pytest.mark.parametrize("operation", IMAGE_OPERATIONS.values(), ids=str)
def test_every_word_of_the_sdk_is_a_choice_of_some_model(operation: Operation) -> None:
    known: dict[str, set[str]] = {}
    for model in MODELS.values():
        for name, rule in model.accepts.get(operation, {}).items():
            if isinstance(rule, Choice):
                known.setdefault(name, set()).update(rule.words, rule.unlisted)
    for name, hint in get_type_hints(PARAMS[operation]).items():
        if name in known and name != "size":
            assert words(hint) <= known[name], name
