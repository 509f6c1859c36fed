"""Finds the subject of an image, which is cut out, and the room for a card in a mask's transparent
area."""

from __future__ import annotations

from typing import Final

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageStat

from images_emulator.imaging.drawing import Box

SEARCH_EDGE: Final = 128
"""Pixels along the longer edge of the thumbnail that is searched for the subject."""

MIN_CONTRAST: Final = 40
"""The least difference of a subject's colour from the background's, of 255 in any channel."""

SUBJECT_SHARES: Final = (0.03, 0.7)
"""The smallest and the largest share of an image that its subject may cover."""

BORDER_SHARE: Final = 0.25
"""The largest share of the border that the subject may touch on a plain background."""

WHITE: Final = 255
"""White in mode `L`."""

GRID_CELLS: Final = 24
"""Cells along each edge of the box that is searched for the largest rectangle."""


def _thumbnail(image: Image.Image, edge: int) -> Image.Image:
    scale = min(1.0, edge / max(image.size))
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BOX)


def _on_plain_background(small: Image.Image) -> Image.Image | None:
    """A mask of mode `L`: white where *small* differs from the colour of its border, black
    elsewhere. None where the white area is no subject on a plain background."""
    border = Image.new("L", small.size, 255)
    border.paste(0, (2, 2, max(2, small.width - 2), max(2, small.height - 2)))
    colour = tuple(ImageStat.Stat(small, border).median)
    red, green, blue = ImageChops.difference(small, Image.new("RGB", small.size, colour)).split()
    difference = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    subject = difference.point([0] * MIN_CONTRAST + [255] * (256 - MIN_CONTRAST))
    # This removes specks and closes narrow gaps.
    for each in (ImageFilter.MedianFilter(3), ImageFilter.MaxFilter(3), ImageFilter.MinFilter(3)):
        subject = subject.filter(each)
    smallest, largest = SUBJECT_SHARES
    if not smallest < ImageStat.Stat(subject).mean[0] / 255 < largest:
        return None
    return subject if ImageStat.Stat(subject, border).mean[0] / 255 < BORDER_SHARE else None


def _disc_around_edges(small: Image.Image) -> Image.Image:
    """A white disc around the centre of the edges in *small*; mode `L`. The disc is high enough for
    a card below it."""
    edges = small.convert("L").filter(ImageFilter.FIND_EDGES)
    edges.paste(0, (0, 0, 1, edges.height))
    edges.paste(0, (edges.width - 1, 0, *edges.size))
    centre = []
    for size, lowest, highest in (((edges.width, 1), 0.42, 0.58), ((1, edges.height), 0.4, 0.46)):
        weights = edges.resize(size, Image.Resampling.BOX).tobytes()
        total = sum(weights)
        mean = sum(index * weight for index, weight in enumerate(weights)) / total if total else 0
        part = mean / (len(weights) - 1) if total and len(weights) > 1 else 0.5
        centre.append(min(highest, max(lowest, part)))
    x, y = centre[0] * small.width, centre[1] * small.height
    reach = 0.35 * min(small.size)
    disc = Image.new("L", small.size)
    ImageDraw.Draw(disc).ellipse((x - reach, y - reach, x + reach, y + reach), fill=255)
    return disc


def subject_of(image: Image.Image) -> Image.Image:
    """The alpha channel that cuts out the subject of *image*, with a soft edge; mode `L`, in the
    size of *image*.

    On a plain background, the subject is what differs from the colour of the border. Otherwise it
    is a disc. The same image always has the same subject.
    """
    small = _thumbnail(image.convert("RGB"), SEARCH_EDGE)
    subject = _on_plain_background(small) or _disc_around_edges(small)
    soft = subject.filter(ImageFilter.GaussianBlur(1.2)).resize(
        image.size, Image.Resampling.BICUBIC
    )
    return soft.point([min(255, max(0, (value - 112) * 255 // 96)) for value in range(256)])


def card_room(area: Image.Image, box: Box) -> Box | None:
    """The largest rectangle within *box* that is all white in *area*, a mask of mode `L`, and
    preferably a wide one. None where there is none. Its edges are on a grid of `GRID_CELLS` by
    `GRID_CELLS` cells of *box*."""
    part = area.crop(box)
    if part.getextrema() == (WHITE, WHITE):
        return box
    columns, rows = (min(GRID_CELLS, side) for side in part.size)
    xs = [part.width * column // columns for column in range(columns + 1)]
    ys = [part.height * row // rows for row in range(rows + 1)]
    means = part.resize((columns, rows), Image.Resampling.BOX).tobytes()
    white = [
        [mean == WHITE for mean in means[row * columns : (row + 1) * columns]]
        for row in range(rows)
    ]
    best_score, best = 0, None
    depths = [0] * columns
    for row, cells in enumerate(white):
        depths = [depth + 1 if cell else 0 for depth, cell in zip(depths, cells, strict=True)]
        for left in range(columns):
            depth = rows
            for right in range(left, columns):
                depth = min(depth, depths[right])
                if not depth:
                    break
                inner = xs[left], ys[row + 1 - depth], xs[right + 1], ys[row + 1]
                width, height = inner[2] - inner[0], inner[3] - inner[1]
                if (score := width * min(width, height)) > best_score:
                    best_score, best = score, inner
    if best is None:
        return None
    return box[0] + best[0], box[1] + best[1], box[0] + best[2], box[1] + best[3]
