"""Response templates: the text that all answers to one request share, with slots for what differs.

A response body is serialised once; each answer joins its bytes with a time, an image, an id.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from typing import Final

_MARK: Final = secrets.token_hex(16)
"""Marks the slots. A client cannot know it, so no text that a client sends has a slot in it."""

_SLOT: Final = re.compile(rf'"{_MARK}#(\w+)"|{_MARK}:(\w+)')

SlotValues = Mapping[str, Callable[[], bytes]]
"""By the name of a slot, the function that gives its value. It is called once for every slot of
that name, in their order."""


def string_slot(name: str) -> str:
    """A slot inside a JSON string: its quotes stay in the text."""
    return f"{_MARK}:{name}"


def number_slot(name: str) -> str:
    """A slot for a JSON number: serialised as a string, whose quotes go with it."""
    return f"{_MARK}#{name}"


class Template:
    """A text that is split at its slots. An image of megabytes is joined in and not searched.

    *unique* is True where no two renderings may be equal: the text has ids of its own.
    """

    def __init__(self, text: str, *, unique: bool = False) -> None:
        self.unique = unique
        pieces = _SLOT.split(text)
        self._parts: list[bytes] = [piece.encode() for piece in pieces[::3]]
        self._names = [
            number or string for number, string in zip(pieces[1::3], pieces[2::3], strict=True)
        ]

    def render(self, values: SlotValues) -> bytes:
        """The text with *values* in its slots. Raises KeyError for a slot that has none."""
        parts = [self._parts[0]]
        for name, part in zip(self._names, self._parts[1:], strict=True):
            parts += values[name](), part
        return b"".join(parts)
