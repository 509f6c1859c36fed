"""Open values: values that the description of an answer leaves open, to be filled from another
answer."""

from __future__ import annotations

import re
from typing import Any, Final

from images_emulator.recordings.recording import ANY

_ABSENT: Final = object()
"""Stands for a value that the other answer does not have."""


def has_open_values(value: Any) -> bool:
    """Whether anything in the JSON *value* is left open."""
    if isinstance(value, dict):
        return any(map(has_open_values, value.values()))
    if isinstance(value, list):
        return any(map(has_open_values, value))
    return isinstance(value, str) and ANY in value


def fill(described: Any, answer: Any, place: str = "body") -> Any:
    """Return the JSON value *described* with its open values filled in from the same places of
    *answer*. Raises ValueError where *answer* has no fitting value; its sentence names the first
    such *place*."""
    if isinstance(described, dict):
        items = answer if isinstance(answer, dict) else {}
        return {
            name: fill(each, items.get(name, _ABSENT), f"{place}.{name}")
            for name, each in described.items()
        }
    if isinstance(described, list):
        values = answer if isinstance(answer, list) else []
        return [
            fill(each, values[index] if index < len(values) else _ABSENT, f"{place}[{index}]")
            for index, each in enumerate(described)
        ]
    if not isinstance(described, str) or ANY not in described:
        return described
    if answer is _ABSENT:
        raise ValueError(f"{place} is left open, and the emulator's own answer has none")
    if described == ANY:
        return answer
    pattern = ".*".join(map(re.escape, described.split(ANY)))
    if isinstance(answer, str) and re.fullmatch(pattern, answer, re.DOTALL):
        return answer
    raise ValueError(f"{place} is '{described}', and {answer!r} in the emulator's own answer")
