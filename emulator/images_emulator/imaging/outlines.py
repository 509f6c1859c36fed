"""Letters as SVG paths: text that a viewer has no font for would be a row of boxes."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from images_emulator.imaging.shaping import unscaled

if TYPE_CHECKING:
    from uharfbuzz import DrawFuncs


_font = lru_cache(maxsize=64)(unscaled)


@cache
def _pen() -> DrawFuncs:
    """Writes what it is told to draw into a list of commands."""
    import uharfbuzz  # noqa: PLC0415 - see `shaping`

    def command(letter: str) -> Any:
        def write(*told: Any) -> None:
            *places, path = told
            path.append(letter + " ".join(f"{place:g}" for place in places))

        return write

    pen = uharfbuzz.DrawFuncs()
    pen.set_move_to_func(command("M"))
    pen.set_line_to_func(command("L"))
    pen.set_quadratic_to_func(command("Q"))
    pen.set_cubic_to_func(command("C"))
    pen.set_close_path_func(command("Z"))
    return pen


def units(name: str) -> int:
    """The units in which the outlines of the font *name* are, to one size of it."""
    scale: int = _font(name).face.upem
    return scale


@lru_cache(maxsize=1024)
def outline(name: str, glyph: int) -> str:
    """The outline of the glyph of that number in the font *name*, as path data: in its units, from
    its place on the line, and up."""
    path: list[str] = []
    _font(name).draw_glyph(glyph, _pen(), path)
    return "".join(path)
