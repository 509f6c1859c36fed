"""The lines of code samples: groups in brackets, indentation, literals."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

MAX_LINE_CHARS: Final = 72
"""Characters of a group of values that stands in one line of the code."""


def group(opening: str, items: Iterable[str], closing: str, pad: str = "") -> str:
    """*items* between brackets, in one line with *pad* inside of it where that is short."""
    items = [*items]
    if not items:
        return f"{opening}{closing}"
    line = f"{opening}{pad}{', '.join(items)}{pad}{closing}"
    if len(line) <= MAX_LINE_CHARS and "\n" not in line:
        return line
    lines = "".join(f"{item},\n" for item in items)
    return f"{opening}\n{indented(lines)}{closing}"


def indented(text: str) -> str:
    """*text* with its lines indented. Its literals may have separators that other functions take
    for ends of lines."""
    return "\n".join(f"    {line}" if line else line for line in text.split("\n"))


def literal(value: str) -> str:
    """A literal of a text, the same in Python and in JavaScript."""
    return json.dumps(value, ensure_ascii=False)
