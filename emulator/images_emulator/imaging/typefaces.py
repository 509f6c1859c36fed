"""The fonts that ship with the package, and which of them has a character."""

from __future__ import annotations

from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from PIL import ImageFont
from PIL.ImageFont import FreeTypeFont

REGULAR: Final = "DejaVuSans.ttf"
BOLD: Final = "DejaVuSans-Bold.ttf"
CJK: Final = "DroidSansFallback.ttf"
EMOJI: Final = "NotoEmoji.ttf"

BOOK: Final = {
    REGULAR: False,
    CJK: False,
    "NotoSansArabic.ttf": True,
    "NotoSansHebrew.ttf": True,
    "NotoSansDevanagari.ttf": True,
    "NotoSansBengali.ttf": True,
    "NotoSansGurmukhi.ttf": True,
    "NotoSansGujarati.ttf": True,
    "NotoSansOriya.ttf": True,
    "NotoSansTamil.ttf": True,
    "NotoSansTelugu.ttf": True,
    "NotoSansKannada.ttf": True,
    "NotoSansMalayalam.ttf": True,
    "NotoSansSinhala.ttf": True,
    "NotoSansThai.ttf": True,
    "NotoSansLao.ttf": True,
    "NotoSansKhmer.ttf": True,
    "NotoSansMyanmar.ttf": True,
    "NotoSansThaana.ttf": True,
    "NotoSansArmenian.ttf": False,
    "NotoSansGeorgian.ttf": False,
    "NotoSansEthiopic.ttf": False,
    "NotoSansCanadianAboriginal.ttf": False,
    EMOJI: True,
}
"""Each font, and whether its letters change shape or place by their neighbours. The first that
has a character draws it."""

FOLDER: Final = Path(str(files("images_emulator.imaging") / "fonts"))
COVERED: Final = 0x20000
"""The file `coverage` has a byte for each code point below: the number in the book of the font
that draws it, from 1, or 0; and a bit that says that the emoji font has it too."""
ALSO_EMOJI: Final = 0x80
GLYPHS: Final = 0xF0000
"""In a font of letters that change, this code point stands for the first glyph, and so on."""


@lru_cache(maxsize=64)
def font(name: str, size: int) -> FreeTypeFont:
    """The font *name* at *size* pixels, laid out the same way on every installation."""
    return ImageFont.truetype(str(FOLDER / name), size, layout_engine=ImageFont.Layout.BASIC)


@cache
def _coverage() -> bytes:
    return (FOLDER / "coverage").read_bytes()


@cache
def _names() -> tuple[str, ...]:
    return ("", *BOOK)


def name_of(char: str) -> str | None:
    """The font that draws *char* where nothing asks for an emoji."""
    code = ord(char)
    place = _coverage()[code] & ~ALSO_EMOJI if code < COVERED else 0
    return _names()[place] if place else None


def has_emoji(char: str) -> bool:
    """Whether *char* may be drawn as a picture."""
    seen = _coverage()[ord(char)] if ord(char) < COVERED else 0
    return bool(seen & ALSO_EMOJI) or name_of(char) == EMOJI
