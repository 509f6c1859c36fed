"""Partial images of a stream: the final image in coarse squares, which become finer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from PIL import Image

from images_emulator.immutable import Immutable

SQUARES: Final = (24, 64, 160)
"""The number of squares along the shorter edge of the first, second and third partial image."""

SAMPLES: Final = 2
"""The number of sampled pixels along each edge of a finest square, whose colour is their mean. With
so few samples, a large image takes no longer than a small one."""


class PartialImage(Immutable):
    """An image of squares in mode `RGB` or `RGBA`. *image* has the width of the whole image, and
    one row of pixels for each row of squares. *heights* are the heights of these rows, in pixels.
    """

    image: Image.Image
    heights: tuple[int, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the whole image."""
        return self.image.width, sum(self.heights)

    def whole(self) -> Image.Image:
        """The image in its full height."""
        return self.image.resize(self.size, Image.Resampling.NEAREST)


def _scaled_size(size: tuple[int, int], shorter_edge: int) -> tuple[int, int]:
    """*size* scaled down so that its shorter edge has at most *shorter_edge* pixels."""
    scale = min(1.0, shorter_edge / min(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def partial_images(image: Image.Image, mode: str, start: int, end: int) -> Iterator[PartialImage]:
    """The partial images of *image* in *mode* (`RGB` or `RGBA`), from index *start* to *end* - 1.
    Each square has the mean colour of its samples."""
    width, height = image.size
    columns, rows = _scaled_size(image.size, SQUARES[-1])
    sampled = image.resize((SAMPLES * columns, SAMPLES * rows), Image.Resampling.NEAREST)
    finest = sampled.convert(mode).reduce(SAMPLES)
    for number in range(start, end):
        columns, rows = _scaled_size(image.size, SQUARES[number])
        squares = finest.resize((columns, rows), Image.Resampling.BOX)
        yield PartialImage(
            squares.resize((width, rows), Image.Resampling.NEAREST),
            tuple(height * (row + 1) // rows - height * row // rows for row in range(rows)),
        )
