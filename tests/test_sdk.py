"""A drift alarm: what the installed SDK knows, the tables know."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import cache
from inspect import Parameter
from typing import Any, get_args, get_type_hints
from warnings import catch_warnings

import httpx2
import pytest
from openai import OpenAI
from openai.types.image_model import ImageModel

from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import image_operation_at
from images_emulator.contract.rules import Choice

OF_EVERY_METHOD = {"extra_headers", "extra_query", "extra_body", "timeout"}


@cache
def methods() -> dict[str, Callable[..., Any]]:
    """The methods of `client.images` by the path that each of them posts to."""
    paths: list[str] = []

    def note(request: httpx2.Request) -> httpx2.Response:
        paths.append(request.url.path)
        return httpx2.Response(200, json={"created": 0})

    http = httpx2.Client(transport=httpx2.MockTransport(note))
    images = OpenAI(api_key="x", base_url="http://sdk/v1", http_client=http).images
    by_path: dict[str, Callable[..., Any]] = {}
    for name, method in inspect.getmembers(images, inspect.ismethod):
        if not name.startswith("_"):
            required = [
                each.name
                for each in inspect.signature(method).parameters.values()
                if each.default is Parameter.empty
            ]
            with catch_warnings(action="ignore", category=DeprecationWarning):
                method(**{each: b"x" if each == "image" else "x" for each in required})
            by_path[paths.pop()] = method
    return by_path


def parameters() -> Iterator[tuple[str, str, Any]]:
    """Each path, and a parameter of its method with its type."""
    for path, method in methods().items():
        for name, hint in get_type_hints(method).items():
            if name not in OF_EVERY_METHOD | {"return"}:
                yield path, name, hint


def test_every_model_of_the_sdk_is_in_the_table() -> None:
    assert set(get_args(ImageModel)) <= MODELS.keys()


@pytest.mark.parametrize("path", methods())
def test_every_method_of_the_sdk_has_an_operation(path: str) -> None:
    assert image_operation_at(path), f"contract/operations.py has no operation at {path}"


@pytest.mark.parametrize(("path", "name", "hint"), list(parameters()))
def test_every_parameter_of_the_sdk_has_a_rule(path: str, name: str, hint: Any) -> None:
    operation = image_operation_at(path)
    assert operation
    accepted = [model.rules[operation] for model in MODELS.values() if operation in model.rules]
    rules = [rules[name] for rules in accepted if name in rules]
    assert rules or name == "model", f"no model in contract/models.py takes {name!r} at {path}"
    choices = [rule for rule in rules if isinstance(rule, Choice)]
    if choices and name != "size":
        accepted_words = {word for rule in choices for word in (*rule.words, *rule.unlisted)}
        assert words(hint) <= accepted_words, f"no model takes these words of {name!r} at {path}"


def words(hint: Any) -> set[str]:
    """The literal strings in a type, at any depth."""
    if isinstance(hint, str):
        return {hint}
    return set().union(*(words(inner) for inner in get_args(hint)))
