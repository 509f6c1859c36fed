"""Where things are in pictures: the subject, to be cut out, and the room in a mask's hole."""

from __future__ import annotations

from typing import Final

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageStat

from images_emulator.imaging.drawing import Box

GRID: Final = 128
"""Pixels along the longer edge of the small picture that the subject is looked for in."""

MIN_CONTRAST: Final = 40
"""By how much, of 255 in any channel, a colour differs from the background's."""

SUBJECT_SHARES: Final = (0.03, 0.7)
"""The least and the most of a picture that is taken for its subject."""

BORDER_SHARE: Final = 0.25
"""The most of a plain background's border that the subject may touch."""

WHITE: Final = 255

CELLS: Final = 24
"""Cells along the longer edge of a hole, of which the largest rectangle is made up."""


def _small(image: Image.Image, edge: int) -> Image.Image:
    scale = min(1.0, edge / max(image.size))
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BOX)


def _before_plain_ground(small: Image.Image) -> Image.Image | None:
    """White where *small* differs from the colour of its border, black elsewhere, mode `L`; or None
    where that is no thing before a plain background."""
    border = Image.new("L", small.size, 255)
    border.paste(0, (2, 2, max(2, small.width - 2), max(2, small.height - 2)))
    colour = tuple(ImageStat.Stat(small, border).median)
    red, green, blue = ImageChops.difference(small, Image.new("RGB", small.size, colour)).split()
    difference = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    subject = difference.point([0] * MIN_CONTRAST + [255] * (256 - MIN_CONTRAST))
    # Specks go, narrow gaps are closed.
    for each in (ImageFilter.MedianFilter(3), ImageFilter.MaxFilter(3), ImageFilter.MinFilter(3)):
        subject = subject.filter(each)
    least, most = SUBJECT_SHARES
    fits = least < ImageStat.Stat(subject).mean[0] / 255 < most
    return (
        subject if fits and ImageStat.Stat(subject, border).mean[0] / 255 < BORDER_SHARE else None
    )


def _where_it_is_busy(small: Image.Image) -> Image.Image:
    """A white disc around the middle of what has most edges in *small*, but no lower than leaves
    the card its place; mode `L`."""
    edges = small.convert("L").filter(ImageFilter.FIND_EDGES)
    edges.paste(0, (0, 0, 1, edges.height))
    edges.paste(0, (edges.width - 1, 0, *edges.size))
    centre = []
    for size, least, most in (((edges.width, 1), 0.42, 0.58), ((1, edges.height), 0.4, 0.46)):
        weights = edges.resize(size, Image.Resampling.BOX).tobytes()
        total = sum(weights)
        mean = sum(place * weight for place, weight in enumerate(weights)) / total if total else 0
        part = mean / (len(weights) - 1) if total and len(weights) > 1 else 0.5
        centre.append(min(most, max(least, part)))
    x, y = centre[0] * small.width, centre[1] * small.height
    reach = 0.35 * min(small.size)
    disc = Image.new("L", small.size)
    ImageDraw.Draw(disc).ellipse((x - reach, y - reach, x + reach, y + reach), fill=255)
    return disc


def subject_of(image: Image.Image) -> Image.Image:
    """The alpha of what stands out in *image*, with a soft edge; mode `L`, in its size.

    That is what differs from the colour of the picture's border, as a thing before a plain
    background does, or else a disc. The same picture has the same subject.
    """
    small = _small(image.convert("RGB"), GRID)
    subject = _before_plain_ground(small) or _where_it_is_busy(small)
    soft = subject.filter(ImageFilter.GaussianBlur(1.2)).resize(
        image.size, Image.Resampling.BICUBIC
    )
    return soft.point([min(255, max(0, (value - 112) * 255 // 96)) for value in range(256)])


def room_in(hole: Image.Image, box: Box) -> Box | None:
    """The rectangle for a card within *box*: all white in *hole*, wide rather than high, and as
    large as can be; None where nothing is. It is found to a twenty-fourth of the box's edges."""
    part = hole.crop(box)
    if part.getextrema() == (WHITE, WHITE):
        return box
    columns, rows = (min(CELLS, side) for side in part.size)
    xs = [part.width * column // columns for column in range(columns + 1)]
    ys = [part.height * row // rows for row in range(rows + 1)]
    means = part.resize((columns, rows), Image.Resampling.BOX).tobytes()
    white = [
        [mean == WHITE for mean in means[row * columns : (row + 1) * columns]]
        for row in range(rows)
    ]
    best, found = 0, None
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
                if width * min(width, height) > best:
                    best, found = width * min(width, height), inner
    if found is None:
        return None
    return box[0] + found[0], box[1] + found[1], box[0] + found[2], box[1] + found[3]
