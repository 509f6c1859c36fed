"""Sentences about mistakes in faults and scenarios. A sentence names the right values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails


def sentences_of(error: ValidationError) -> Iterator[str]:
    """One sentence for each mistake: its place, and the mistake."""
    for details in error.errors(include_url=False):
        place = ".".join(map(str, details["loc"]))
        yield f"{place}: {sentence_of(details)}" if place else sentence_of(details)


def sentence_of(details: ErrorDetails) -> str:
    """The sentence for one mistake."""
    error_type, text = details["type"], details["msg"]
    if error_type in {"unknown_key", "no_fault", "answer"}:
        return text
    if error_type == "value_error":
        return text.removeprefix("Value error, ")
    if error_type == "missing":
        return "is missing"
    if error_type == "model_type":
        return "this is no mapping of keys to values"
    value: Any = details["input"]
    sentence = f"{text[0].lower()}{text[1:]}"
    if isinstance(value, str | int | float | None):
        return f"{sentence}, not {value!r}"
    return sentence
