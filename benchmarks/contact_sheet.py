"""A contact sheet: every kind of image on one page, to judge by eye.

python -m benchmarks.contact_sheet OUT.png
python -m benchmarks.contact_sheet GALLERY.png gallery    # 24 images, some of each kind
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Sequence
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from benchmarks import samples
from benchmarks.samples import Row, Tile

COLUMNS: Final = 6
MAX_EDGE: Final = 320
"""Pixels along the longer edge of an image on the sheet; smaller ones keep their size."""
GAP: Final = 20
CAPTION: Final = 28
HEADING: Final = 64
PAPER, INK, LIGHT, DARK = "#f4f4f2", "#22242c", "#ffffff", "#d9d9d9"


def _opened(tile: Tile) -> Image.Image:
    picture = tile[1]() if callable(tile[1]) else tile[1]
    return Image.open(io.BytesIO(picture)) if isinstance(picture, bytes) else picture


def _chequered(size: tuple[int, int]) -> Image.Image:
    """A chequered background, which shows where an image is transparent."""
    ground = Image.new("RGBA", size, LIGHT)
    pen = ImageDraw.Draw(ground)
    for top in range(0, size[1], 16):
        for left in range(top % 32, size[0], 32):
            pen.rectangle((left, top, left + 15, top + 15), fill=DARK)
    return ground


def _thumbnail(tile: Tile) -> Image.Image:
    picture = _opened(tile)
    # Scaling without an alpha channel takes half the time.
    small = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    small.thumbnail((MAX_EDGE, MAX_EDGE), Image.Resampling.LANCZOS)
    return Image.alpha_composite(_chequered(small.size), small.convert("RGBA"))


def _lines(tiles: Sequence[Image.Image]) -> list[Sequence[Image.Image]]:
    return [tiles[start : start + COLUMNS] for start in range(0, len(tiles), COLUMNS)]


def _panel(row: Row) -> Image.Image:
    """One row of samples with its heading, in as many lines as it needs."""
    lines = _lines([_thumbnail(tile) for tile in row.tiles])
    heights = [max(small.height for small in line) + CAPTION + GAP for line in lines]
    width = COLUMNS * (MAX_EDGE + GAP) + GAP
    panel = Image.new("RGB", (width, HEADING + sum(heights)), PAPER)
    pen = ImageDraw.Draw(panel)
    pen.text((GAP, HEADING // 3), row.heading, fill=INK, font=ImageFont.load_default(30))
    captions = iter(row.tiles)
    plain = ImageFont.load_default(17)
    top = HEADING
    for line, height in zip(lines, heights, strict=True):
        for column, small in enumerate(line):
            left = GAP + column * (MAX_EDGE + GAP)
            panel.paste(small, (left, top))
            pen.text((left, top + small.height + 6), next(captions)[0], fill=INK, font=plain)
        top += height
    return panel


def contact_sheet(rows: Iterable[Row]) -> Image.Image:
    """The samples of *rows*, one row under the other."""
    panels = [_panel(row) for row in rows]
    height = sum(panel.height for panel in panels) + GAP
    sheet = Image.new("RGB", (panels[0].width, height), PAPER)
    top = 0
    for panel in panels:
        sheet.paste(panel, (0, top))
        top += panel.height
    return sheet


if __name__ == "__main__":
    rows = [samples.gallery()] if sys.argv[2:] == ["gallery"] else samples.rows()
    contact_sheet(rows).save(sys.argv[1], compress_level=1)
