"""Templates of answers: the text that all answers to one request share, with slots for the values
that differ.

The template is serialised once. Each answer joins its bytes with a time, an image and an id.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from typing import Final

_MARK: Final = secrets.token_hex(16)
"""The mark of a slot. It is random, so no text that a client sends has a slot in it."""

_SLOT: Final = re.compile(rf'"{_MARK}#(\w+)"|{_MARK}:(\w+)')

SlotValues = Mapping[str, Callable[[], bytes]]
"""Functions that make the value of a slot, by the slot's name. A function is called once for every
slot of that name, in the order of the text."""


def string_slot(name: str) -> str:
    """A slot inside a JSON string. The quotes stay in the text."""
    return f"{_MARK}:{name}"


def number_slot(name: str) -> str:
    """A slot for a JSON number. It is serialised as a string, and `Template` removes the quotes."""
    return f"{_MARK}#{name}"


class Template:
    """A text that is split at its slots. An image of megabytes is joined in and not searched."""

    def __init__(self, text: str) -> None:
        pieces = _SLOT.split(text)
        self._parts: list[bytes] = [piece.encode() for piece in pieces[::3]]
        self._names = [
            number or string for number, string in zip(pieces[1::3], pieces[2::3], strict=True)
        ]

    def fill(self, values: SlotValues) -> bytes:
        """The text with *values* in its slots. Raises KeyError for a slot that has none."""
        parts = [self._parts[0]]
        for name, part in zip(self._names, self._parts[1:], strict=True):
            parts += values[name](), part
        return b"".join(parts)
