"""Glyph outlines as SVG paths, for text that a viewer may have no font for."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from images_emulator.imaging.shaping import unscaled_font

if TYPE_CHECKING:
    from uharfbuzz import DrawFuncs


_font = lru_cache(maxsize=64)(unscaled_font)


@cache
def _pen() -> DrawFuncs:
    """A pen that appends path commands to a list."""
    import uharfbuzz  # noqa: PLC0415 - see `shaping`

    def command(letter: str) -> Any:
        def write(*arguments: Any) -> None:
            *coordinates, path = arguments
            path.append(letter + " ".join(f"{each:g}" for each in coordinates))

        return write

    pen = uharfbuzz.DrawFuncs()
    pen.set_move_to_func(command("M"))
    pen.set_line_to_func(command("L"))
    pen.set_quadratic_to_func(command("Q"))
    pen.set_cubic_to_func(command("C"))
    pen.set_close_path_func(command("Z"))
    return pen


def units_per_em(name: str) -> int:
    """The number of outline units in the font file *name* that make one font size."""
    units: int = _font(name).face.upem
    return units


@lru_cache(maxsize=1024)
def outline(name: str, glyph: int) -> str:
    """The outline of glyph number *glyph* in the font file *name*, as SVG path data. It is in the
    font's units, with y up from the baseline."""
    path: list[str] = []
    _font(name).draw_glyph(glyph, _pen(), path)
    return "".join(path)
