"""Text with holes: what is the same in each answer to a request is written out once."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from typing import Final

_MARK: Final = secrets.token_hex(16)
"""Stands in no text by chance, nor on purpose."""

_HOLE: Final = re.compile(rf'"{_MARK}#(\w+)"|{_MARK}:(\w+)')


def text_hole(name: str) -> str:
    """To be put into JSON as a string, of which the quotes stay."""
    return f"{_MARK}:{name}"


def number_hole(name: str) -> str:
    """To be put into JSON where a number will be."""
    return f"{_MARK}#{name}"


class Template:
    """A text, split at its holes. A large picture is put in without a walk over its letters.

    No two fillings of a *unique* one are to be the same.
    """

    def __init__(self, text: str, *, unique: bool = False) -> None:
        self.unique = unique
        pieces = _HOLE.split(text)
        self._parts: list[bytes] = [piece.encode() for piece in pieces[::3]]
        self._names = [
            number or word for number, word in zip(pieces[1::3], pieces[2::3], strict=True)
        ]

    def filled(self, fillers: Mapping[str, Callable[[], bytes]]) -> bytes:
        """The text with what the *fillers* by name return, each called once for every hole."""
        parts = [self._parts[0]]
        for name, part in zip(self._names, self._parts[1:], strict=True):
            parts += fillers[name](), part
        return b"".join(parts)
