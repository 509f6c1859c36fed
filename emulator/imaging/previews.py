"""Partial images: the final picture in coarse squares that get finer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from PIL import Image

CELLS: Final = (24, 64, 160)
"""Squares along the shorter edge of the first, second and third partial image."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A picture of squares. *image* has its width, and one row of pixels for each row of squares;
    *heights* says how many pixels each of those is high."""

    image: Image.Image
    heights: tuple[int, ...]

    @property
    def size(self) -> tuple[int, int]:
        return self.image.width, sum(self.heights)

    def whole(self) -> Image.Image:
        """The picture in its full height."""
        return self.image.resize(self.size, Image.Resampling.NEAREST)


def preview(image: Image.Image, number: int) -> Preview:
    """*image* as its partial image *number* (from 0) shows it, in the same mode."""
    width, height = image.size
    scale = min(1.0, CELLS[number] / min(width, height))
    columns, rows = max(1, round(width * scale)), max(1, round(height * scale))
    squares = image.resize((columns, rows), Image.Resampling.NEAREST)
    return Preview(
        squares.resize((width, rows), Image.Resampling.NEAREST),
        tuple(height * (row + 1) // rows - height * row // rows for row in range(rows)),
    )
