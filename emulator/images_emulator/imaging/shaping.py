"""Letters that change by their neighbours: which glyphs a run of text takes, and where they stand.

Pillow can do this through libraries that its wheels do not have everywhere; HarfBuzz's own binding
gives the same glyphs on every installation, and is imported when such a script first occurs.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

from images_emulator.imaging.typefaces import FOLDER, GLYPHS

if TYPE_CHECKING:
    from uharfbuzz import Font


class Glyph(NamedTuple):
    """A glyph as the character that stands for it in the font, and its place in pixels."""

    char: str
    x: float
    up: float


@cache
def possible() -> bool:
    """Whether the library is there: a few platforms have no wheel of it."""
    try:
        import uharfbuzz  # noqa: F401, PLC0415 - five megabytes that most pictures never need
    except ImportError:
        return False
    return True


def unscaled(name: str) -> Font:
    """The font *name*, in its own units."""
    import uharfbuzz  # noqa: PLC0415 - see above

    return uharfbuzz.Font(uharfbuzz.Face(uharfbuzz.Blob.from_file_path(FOLDER / name)))


@lru_cache(maxsize=64)
def _font(name: str, size: int) -> Font:
    font = unscaled(name)
    font.scale = (size * 64, size * 64)
    return font


@lru_cache(maxsize=1024)
def shaped(text: str, name: str, size: int, *, from_right: bool) -> tuple[tuple[Glyph, ...], float]:
    """The glyphs of *text* in the font *name* from left to right, and their width in pixels."""
    import uharfbuzz  # noqa: PLC0415 - see above

    buffer = uharfbuzz.Buffer()
    buffer.add_str(text)
    buffer.direction = "rtl" if from_right else "ltr"
    buffer.language = "und"  # or it would be the machine's
    buffer.guess_segment_properties()
    uharfbuzz.shape(_font(name, size), buffer)
    glyphs, x = [], 0
    for info, place in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
        if info.codepoint:
            char = chr(GLYPHS + info.codepoint)
            glyphs.append(Glyph(char, (x + place.x_offset) / 64, place.y_offset / 64))
            x += place.x_advance
    return tuple(glyphs), x / 64
