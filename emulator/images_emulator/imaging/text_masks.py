"""Words as masks, which are kept: to draw a glyph takes the font engine many times what it takes to
put down one that is there, and prompts say the same words again and again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from PIL import ImageDraw

from images_emulator.imaging.typefaces import CJK, font

KEPT: Final = 256
"""Masks, of which a word takes 30 kB on the largest card."""


class Stamp(NamedTuple):
    """A mask of Pillow's core, and how far its left and upper edge are from the pen, in pixels."""

    mask: Any
    left: int
    top: int


def pieces(text: str, name: str) -> Sequence[str]:
    """What of *text* in the font *name* is worth keeping: its words, and each sign of a script that
    has no spaces."""
    return text if name == CJK else text.split(" ")


@lru_cache(maxsize=1024)
def _length(text: str, name: str, size: int) -> float:
    return font(name, size).getlength(text)


def length(text: str, name: str, size: int) -> float:
    """The width of *text*, in pixels."""
    parts = pieces(text, name)
    blanks = (len(parts) - 1) * gap(name, size)
    return sum(_length(part, name, size) for part in parts) + blanks


def gap(name: str, size: int) -> float:
    """What is between two pieces, in pixels."""
    return 0.0 if name == CJK else _length(" ", name, size)


@lru_cache(maxsize=KEPT)
def _stamp(text: str, name: str, size: int) -> Stamp:
    mask, (left, top) = font(name, size).getmask2(text, "L", anchor="ls")
    return Stamp(mask, left, top)


def put(
    pen: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    name: str,
    size: int,
    *,
    fill: int,
) -> None:
    """Draw *text* from *place*, which is its left end on the line that it stands on."""
    x, base = place
    for part in pieces(text, name):
        mask, left, top = _stamp(part, name, size)
        if part:
            pen.draw.draw_bitmap((round(x) + left, round(base) + top), mask, fill)
        x += _length(part, name, size) + gap(name, size)
