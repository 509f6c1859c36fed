"""Partial images: the final picture in coarse squares that get finer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from PIL import Image

CELLS: Final = (24, 64, 160)
"""Squares along the shorter edge of the first, second and third partial image."""

SAMPLES: Final = 2
"""Along each edge of the finest squares: so many pixels are looked at for the colour of one, as
cheap for a large picture as for a small one."""


@dataclass(frozen=True, slots=True)
class PartialImage:
    """A picture of squares, mode `RGB` or `RGBA`. *image* has its width, and one row of pixels for
    each row of squares; *heights* says how many pixels each of those is high."""

    image: Image.Image
    heights: tuple[int, ...]

    @property
    def size(self) -> tuple[int, int]:
        return self.image.width, sum(self.heights)

    def whole(self) -> Image.Image:
        """The picture in its full height."""
        return self.image.resize(self.size, Image.Resampling.NEAREST)


def _scaled(size: tuple[int, int], shorter_edge: int) -> tuple[int, int]:
    """*size* in its proportions, with a shorter edge of at most *shorter_edge*."""
    scale = min(1.0, shorter_edge / min(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def partial_images(image: Image.Image, mode: str, start: int, end: int) -> Iterator[PartialImage]:
    """*image* in *mode* (`RGB` or `RGBA`) as its partial images from number *start* (from 0) up to
    *end* show it: each square has the mean colour of what is under it."""
    width, height = image.size
    columns, rows = _scaled(image.size, CELLS[-1])
    sampled = image.resize((SAMPLES * columns, SAMPLES * rows), Image.Resampling.NEAREST)
    finest = sampled.convert(mode).reduce(SAMPLES)
    for number in range(start, end):
        columns, rows = _scaled(image.size, CELLS[number])
        squares = finest.resize((columns, rows), Image.Resampling.BOX)
        yield PartialImage(
            squares.resize((width, rows), Image.Resampling.NEAREST),
            tuple(height * (row + 1) // rows - height * row // rows for row in range(rows)),
        )
