"""The fonts that ship with the package, and which of them draws a character."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from PIL import ImageFont
from PIL.ImageFont import FreeTypeFont

REGULAR: Final = "DejaVuSans.ttf"
BOLD: Final = "DejaVuSans-Bold.ttf"
CJK: Final = "DroidSansFallback.ttf"
EMOJI: Final = "NotoEmoji.ttf"
"""Files of fonts in `FONT_FOLDER`."""

NEEDS_SHAPING: Final = {
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
"""The font files, each with whether its letters change shape or place by their neighbours. If they
do, a shaper has to choose the glyphs. The first font that has a character draws it."""

FONT_FOLDER: Final = Path(__file__).parent / "fonts"
"""The folder of the fonts, which are part of the package."""

COVERED_CODE_POINTS: Final = 0x20000
"""The end of the code points in the file `coverage`, which has one byte for each. The byte is the
number of the font that draws the code point, from 1 in the order of `NEEDS_SHAPING`, or 0. The bit
`ALSO_EMOJI` may be added."""

ALSO_EMOJI: Final = 0x80
"""The bit of a coverage byte for a character that the emoji font has, too."""

FIRST_GLYPH: Final = 0xF0000
"""The code point of glyph 0 in the fonts that need shaping. The next ones are glyphs 1, 2 …"""


@lru_cache(maxsize=64)
def font(name: str, size: int) -> FreeTypeFont:
    """The font in the file *name* at *size* pixels, with the layout engine that every Pillow
    has."""
    return ImageFont.truetype(str(FONT_FOLDER / name), size, layout_engine=ImageFont.Layout.BASIC)


@cache
def _coverage() -> bytes:
    return (FONT_FOLDER / "coverage").read_bytes()


@cache
def _names() -> tuple[str, ...]:
    return ("", *NEEDS_SHAPING)


def font_of(char: str) -> str | None:
    """The file of the font that draws *char* as text, or None where no font has it."""
    code = ord(char)
    number = _coverage()[code] & ~ALSO_EMOJI if code < COVERED_CODE_POINTS else 0
    return _names()[number] if number else None


def has_emoji(char: str) -> bool:
    """Whether the emoji font has *char*."""
    entry = _coverage()[ord(char)] if ord(char) < COVERED_CODE_POINTS else 0
    return bool(entry & ALSO_EMOJI) or font_of(char) == EMOJI
