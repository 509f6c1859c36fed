"""The lines of code samples: groups in brackets, indentation, literals."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

MAX_LINE_CHARS: Final = 72
"""The most characters of a group of values in one line of the code."""


def group(opening: str, items: Iterable[str], closing: str, pad: str = "") -> str:
    """*items* between brackets. Where that is short, it is one line, with *pad* inside the
    brackets."""
    items = [*items]
    if not items:
        return f"{opening}{closing}"
    line = f"{opening}{pad}{', '.join(items)}{pad}{closing}"
    if len(line) <= MAX_LINE_CHARS and "\n" not in line:
        return line
    lines = "".join(f"{item},\n" for item in items)
    return f"{opening}\n{indented(lines)}{closing}"


def indented(text: str) -> str:
    """*text* with its lines indented. `str.splitlines` would also split at separators inside
    literals."""
    return "\n".join(f"    {line}" if line else line for line in text.split("\n"))


def literal(value: str) -> str:
    """A literal of a text, the same in Python and in JavaScript."""
    return json.dumps(value, ensure_ascii=False)
