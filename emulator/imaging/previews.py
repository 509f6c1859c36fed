"""Partial images: the final picture in coarse squares that get finer."""

from __future__ import annotations

from typing import Final

from PIL import Image

CELLS: Final = (24, 64, 160)
"""Squares along the shorter edge of the first, second and third partial image."""


def preview(image: Image.Image, number: int) -> Image.Image:
    """*image* as its partial image *number* (from 0) shows it, in the same size and mode."""
    width, height = image.size
    scale = min(1.0, CELLS[number] / min(width, height))
    small = max(1, round(width * scale)), max(1, round(height * scale))
    return image.resize(small, Image.Resampling.NEAREST).resize(
        image.size, Image.Resampling.NEAREST
    )
