"""What is wrong with settings, in words that name what they may be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails


def explained(error: ValidationError) -> Iterator[str]:
    """One sentence for each mistake, with the place where it is."""
    for each in error.errors(include_url=False):
        place = ".".join(map(str, each["loc"]))
        yield f"{place}: {told(each)}" if place else told(each)


def told(each: ErrorDetails) -> str:
    """What one mistake is."""
    kind, message = each["type"], each["msg"]
    if kind in {"unknown_key", "no_fault"}:
        return message
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    if kind == "missing":
        return "is missing"
    if kind == "model_type":
        return "this is no mapping of keys to values"
    given: Any = each["input"]
    said = f"{message[0].lower()}{message[1:]}"
    return f"{said}, not {given!r}" if isinstance(given, str | int | float | None) else said
