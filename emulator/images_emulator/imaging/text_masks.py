"""A cache of drawn words. FreeType takes many times as long to draw glyphs as Pillow takes to paste
a mask of them, and prompts repeat their words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from PIL import ImageDraw

from images_emulator.imaging.typefaces import CJK, font

MAX_MASKS: Final = 256
"""The most masks in the cache. The mask of a word takes 30 kB on the largest card."""


class TextMask(NamedTuple):
    """An image of Pillow's core in mode `L`, and the distances of its left and upper edge from the
    pen, in pixels."""

    mask: Any
    left: int
    top: int


def _pieces(text: str, name: str) -> Sequence[str]:
    """The parts of *text* that have a mask each: words, or every character in CJK, which has no
    spaces."""
    return text if name == CJK else text.split(" ")


@lru_cache(maxsize=1024)
def _piece_width(text: str, name: str, size: int) -> float:
    return font(name, size).getlength(text)


def _space_width(name: str, size: int) -> float:
    """The distance between two pieces, in pixels."""
    return 0.0 if name == CJK else _piece_width(" ", name, size)


def text_width(text: str, name: str, size: int) -> float:
    """The width in pixels of *text* in the font file *name* at *size* pixels, without shaping."""
    pieces = _pieces(text, name)
    spaces = (len(pieces) - 1) * _space_width(name, size)
    return sum(_piece_width(piece, name, size) for piece in pieces) + spaces


@lru_cache(maxsize=MAX_MASKS)
def _mask(text: str, name: str, size: int) -> TextMask:
    mask, (left, top) = font(name, size).getmask2(text, "L", anchor="ls")
    return TextMask(mask, left, top)


def draw_text(
    pen: ImageDraw.ImageDraw,
    position: tuple[float, float],
    text: str,
    name: str,
    size: int,
    *,
    fill: int,
) -> None:
    """Draw *text* in the palette index *fill*. *position* is its left end on the baseline."""
    x, base = position
    for piece in _pieces(text, name):
        mask, left, top = _mask(piece, name, size)
        if piece:
            pen.draw.draw_bitmap((round(x) + left, round(base) + top), mask, fill)
        x += _piece_width(piece, name, size) + _space_width(name, size)
