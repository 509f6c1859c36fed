"""Text that fits: the fonts that ship with the package, and lines that are no wider than asked."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files
from typing import Final

from PIL import ImageFont
from PIL.ImageFont import FreeTypeFont

REGULAR: Final = "DejaVuSans.ttf"
BOLD: Final = "DejaVuSans-Bold.ttf"

LONGEST: Final = 600
"""Characters of a prompt that a card can ever show; the rest is not measured."""

_NO_GLYPH: Final = "\U0010ffff"


@lru_cache(maxsize=64)
def font(name: str, size: int) -> FreeTypeFont:
    """The font *name* at *size* pixels, laid out the same way on every installation."""
    path = files("emulator.imaging").joinpath("fonts", name)
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=4096)
def _has_glyph(character: str) -> bool:
    face = font(REGULAR, 16)
    return character.isspace() or bytes(face.getmask(character)) != bytes(face.getmask(_NO_GLYPH))


def drawable(text: str) -> str:
    """*text* in one line, with an ellipsis for each run that the fonts have no glyphs for."""
    text = " ".join(text[:LONGEST].split())
    return re.sub("\0+", "…", "".join(char if _has_glyph(char) else "\0" for char in text))


@lru_cache(maxsize=4096)
def width(text: str, face: FreeTypeFont) -> float:
    """Pixels that *text* is wide."""
    return face.getlength(text)


def _broken(word: str, face: FreeTypeFont, most: float) -> list[str]:
    """*word* in pieces that are each no wider than *most*, but at least one character."""
    pieces, start = [], 0
    while start < len(word):
        end = start + 1
        while end < len(word) and width(word[start : end + 1], face) <= most:
            end += 1
        pieces.append(word[start:end])
        start = end
    return pieces


def wrap(text: str, face: FreeTypeFont, most: float, lines: int) -> list[str]:
    """*text* in at most *lines* lines no wider than *most* pixels; an ellipsis marks a cut."""
    wrapped: list[str] = []
    line = ""
    for word in text.split():
        joined = f"{line} {word}" if line else word
        if width(joined, face) <= most:
            line = joined
            continue
        wrapped += [line] if line else []
        *full, line = _broken(word, face, most)
        wrapped += full
        if len(wrapped) > lines:
            break
    wrapped += [line] if line else []
    if len(wrapped) <= lines:
        return wrapped
    last = wrapped[lines - 1]
    while last and width(f"{last}…", face) > most:
        last = last[:-1]
    return [*wrapped[: lines - 1], f"{last.rstrip()}…"]
