"""Text shaping: chooses and places the glyphs of text whose letters change by their neighbours.

HarfBuzz does it, by its binding uharfbuzz. Pillow could do it by libraries that not all of its
wheels have; uharfbuzz gives the same glyphs on every installation. It is imported when a text first
needs it.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

from images_emulator.imaging.typefaces import FIRST_GLYPH, FONT_FOLDER

if TYPE_CHECKING:
    from uharfbuzz import Font


class Glyph(NamedTuple):
    """A glyph, as its character in the font (see `typefaces.FIRST_GLYPH`), and its place in pixels:
    *x* from the start of the run, *up* from the baseline."""

    char: str
    x: float
    up: float


@cache
def is_available() -> bool:
    """Whether uharfbuzz is installed. It has no wheel for a few platforms."""
    try:
        import uharfbuzz  # noqa: F401, PLC0415 - five megabytes that most images never need
    except ImportError:
        return False
    return True


def unscaled_font(name: str) -> Font:
    """HarfBuzz's font of the file *name*, in the font's own units."""
    import uharfbuzz  # noqa: PLC0415 - few images need it

    return uharfbuzz.Font(uharfbuzz.Face(uharfbuzz.Blob.from_file_path(FONT_FOLDER / name)))


@lru_cache(maxsize=64)
def _font(name: str, size: int) -> Font:
    """HarfBuzz's font of the file *name* at *size* pixels, in units of 1/64 pixel."""
    font = unscaled_font(name)
    font.scale = (size * 64, size * 64)
    return font


@lru_cache(maxsize=1024)
def shape(text: str, name: str, size: int, *, from_right: bool) -> tuple[tuple[Glyph, ...], float]:
    """The glyphs of *text* in the font file *name* at *size* pixels, from left to right, and their
    width in pixels."""
    import uharfbuzz  # noqa: PLC0415 - few images need it

    buffer = uharfbuzz.Buffer()
    buffer.add_str(text)
    buffer.direction = "rtl" if from_right else "ltr"
    buffer.language = "und"  # the default is the machine's
    buffer.guess_segment_properties()
    uharfbuzz.shape(_font(name, size), buffer)
    glyphs, x = [], 0
    for info, position in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
        if info.codepoint:
            char = chr(FIRST_GLYPH + info.codepoint)
            glyphs.append(Glyph(char, (x + position.x_offset) / 64, position.y_offset / 64))
            x += position.x_advance
    return tuple(glyphs), x / 64
