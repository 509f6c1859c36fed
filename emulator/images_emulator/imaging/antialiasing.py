"""Anti-aliased edges in pictures of palette indices.

A pixel that an edge runs through takes a palette entry of its own, a mixture of the two colours
that meet there. Such pixels are put down as points of a path: paths are kept, and moved and
stretched by Pillow's own code, so that no pixel costs a step of Python's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from math import hypot, sqrt
from operator import itemgetter
from typing import Any, Final, cast

from PIL import Image, ImageDraw, ImagePath

Points = Sequence[float]
Shades = tuple[int, int]
"""Palette indices of what covers a third and two thirds of a pixel."""

OUTSIDE: Final = (1 / 3, 0, -1 / 3)
"""How far outside of a round edge, in pixels, the middles of those pixels are at most that it
covers to a third, to two thirds, and those that it covers whole."""

FULL_OUTSIDE: Final = 0.375
"""How far outside of its radius, in pixels, the middles of the pixels are at most that Pillow's
ellipse is sure to have."""


STEPS: Final = 24
"""Corners of the polygon below a slope."""

SAMPLES: Final = 8
"""Places along a slope where it is looked what is behind it."""

BELOW: Final = 1.4
"""How far, in pixels, that polygon is below the slope: its corners are whole numbers, and two rows
of points close what is open between them."""


class Inks:
    """The palette of a picture: RGBA bytes, to which mixtures are added up to *end* entries.

    The first *gradient* entries are one colour that changes little from each to the next; *clear*
    is what nothing is drawn on.
    """

    def __init__(self, palette: bytes, end: int, gradient: int, clear: int) -> None:
        self.palette = bytearray(palette)
        self._end = end
        self._gradient = gradient
        self._clear = clear
        self._shades: dict[tuple[int, int], Shades] = {}

    def _mixed(self, under: int, over: int) -> Iterator[bytes]:
        red, green, blue, _ = self.palette[4 * over : 4 * over + 4]
        if under == self._clear:
            yield from (bytes((red, green, blue, alpha)) for alpha in (85, 170))
            return
        r, g, b, _ = self.palette[4 * under : 4 * under + 4]
        yield bytes(((2 * r + red) // 3, (2 * g + green) // 3, (2 * b + blue) // 3, 255))
        yield bytes(((r + 2 * red) // 3, (g + 2 * green) // 3, (b + 2 * blue) // 3, 255))

    def alike(self, one: int, other: int) -> bool:
        """Whether both indices are of the same colour, or of the gradient."""
        return one == other or max(one, other) < self._gradient

    def shades(self, under: int, over: int) -> Shades:
        """What *over* makes of *under* where it covers a part; *over* itself where the palette has
        no room."""
        if under < self._gradient:
            under = under // 4 * 4 + 2
        known = self._shades.get((under, over))
        if known:
            return known
        first = len(self.palette) // 4
        if first + 2 > self._end:
            return over, over
        for entry in self._mixed(under, over):
            self.palette += entry
        self._shades[under, over] = first, first + 1
        return first, first + 1


def _part(outside: float) -> int | None:
    """Which part of `OUTSIDE` a pixel is of; None for one that is not covered."""
    return sum(outside <= most for most in OUTSIDE) - 1 if outside <= OUTSIDE[0] else None


@lru_cache(maxsize=96)
def _circle(radius: int, bands: int) -> tuple[tuple[ImagePath.Path, ...], ...]:
    """The points around an ellipse of that *radius* by the part of them that is covered: for each
    of so many *bands* of rows, from the top."""
    edge = radius + FULL_OUTSIDE - OUTSIDE[-1]
    octants: tuple[list[tuple[int, int]], ...] = ([], [])
    for x in range(int(edge * 0.7072) + 2):
        near = int(sqrt(max(0.0, edge * edge - x * x)))
        for y in (near, near + 1):
            part = _part(hypot(x, y) - edge)
            if part is not None and part < len(octants):
                octants[part].append((x, y))
    circles = [
        sorted(
            {
                (across * x, down * y)
                for place in octant
                for x, y in (place, place[::-1])
                for across in (1, -1)
                for down in (1, -1)
            },
            key=itemgetter(1),  # row by row, as the memory is
        )
        for octant in octants
    ]
    if bands == 1:
        return (tuple(map(ImagePath.Path, circles)),)
    tall = 2 * edge / bands
    ends = [-edge - 1, *(band * tall - edge for band in range(1, bands)), edge + 1]
    return tuple(
        tuple(
            ImagePath.Path([point for point in circle if start <= point[1] < end])
            for circle in circles
        )
        for start, end in pairwise(ends)
    )


@lru_cache(maxsize=16)
def _corner(radius: int) -> tuple[ImagePath.Path, ...]:
    """The points of a quarter of a disc, whose edges are those of pixels: by the part of them that
    is covered, the last whole."""
    points: tuple[list[tuple[int, int]], ...] = ([], [], [])
    for x in range(radius + 1):
        for y in range(radius + 1):
            part = _part(hypot(x, y) - radius - 0.5)
            if part is not None:
                points[part].append((x, y))
    return tuple(map(ImagePath.Path, points))


def _put(pen: ImageDraw.ImageDraw, path: ImagePath.Path, place: Points, index: int) -> None:
    moved = ImagePath.Path(path)
    moved.transform(place)
    pen.draw.draw_points(moved, index)


def _pixel(canvas: Image.Image, x: float, y: float) -> int:
    """The index at that place, or at the nearest within the picture."""
    place = min(max(0, int(x)), canvas.width - 1), min(max(0, int(y)), canvas.height - 1)
    return cast("int", canvas.getpixel(place))  # it has one band


def disc(
    canvas: Image.Image,
    inks: Inks,
    index: int,
    *,
    centre: tuple[int, int],
    radius: int,
    bands: int,
) -> None:
    """A disc of that palette *index*, over one that covers its middle, or where there are several
    *bands* of rows over what is at the left edge of the picture in the middle of each."""
    pen = ImageDraw.Draw(canvas)
    x, y = centre
    tall = 2 * radius / bands
    for band, parts in enumerate(_circle(radius, bands)):
        beneath = _pixel(canvas, x if bands == 1 else 0, y - radius + (band + 0.5) * tall)
        for path, shade in zip(parts, inks.shades(beneath, index), strict=True):
            _put(pen, path, (1, 0, x, 0, 1, y), shade)
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=index)


def rounded_box(
    canvas: Image.Image, inks: Inks, box: tuple[int, int, int, int], radius: int, index: int
) -> None:
    """A rectangle of that palette *index*, whose right and bottom pixels are within *box*, with
    round corners."""
    pen = ImageDraw.Draw(canvas)
    left, top, right, bottom = box
    pen.rectangle((left + radius, top, right - radius, bottom), fill=index)
    pen.rectangle((left, top + radius, right, bottom - radius), fill=index)
    paths = _corner(radius)
    for x, across in ((left, -1), (right, 1)):
        for y, down in ((top, -1), (bottom, 1)):
            inks_here = (*inks.shades(_pixel(canvas, x, y), index), index)
            place = (across, 0, x - across * radius, 0, down, y - down * radius)
            for path, ink in zip(paths, inks_here, strict=True):
                _put(pen, path, place, ink)


def _level(part: float) -> float:
    """How far a slope has come at that *part* of its way; level at its foot and at its top."""
    return part * part * (3 - 2 * part)


@lru_cache(maxsize=16)
def _slope(width: int) -> tuple[ImagePath.Path, ImagePath.Path, ImagePath.Path]:
    """A slope of so many columns from 0 to 1: its height at the middle of each column, and what is
    below it as a polygon, where it goes down and where it goes up."""
    columns = ImagePath.Path(
        [value for x in range(width) for value in (x, _level((x + 0.5) / width))]
    )
    steps = min(width, STEPS)
    corners = [width * step // steps for step in range(steps + 1)]
    line = [value for x in corners for value in (x, _level(x / width))]
    return columns, ImagePath.Path([*line, 0, 1]), ImagePath.Path([*line, width, 0])


def _runs(
    canvas: Image.Image, inks: Inks, columns: range, start: float, rise: float
) -> list[tuple[int, int]]:
    """What is behind the slope in *columns* from the row *start* on: the first column of each run
    of one index, counted from the slope's left, and the index."""
    pixels = canvas.load()
    assert pixels
    left, wide, lowest = columns.start, len(columns), canvas.height - 1
    runs: list[tuple[int, int]] = []
    # Most slopes have one thing behind them.
    for samples in (3, SAMPLES):
        runs.clear()
        for sample in range(samples):
            part = (sample + 0.5) / samples
            row = int(start + rise * part * part * (3 - 2 * part)) - 1
            beneath = cast("int", pixels[left + int(part * wide), min(max(0, row), lowest)])
            if not runs or not inks.alike(beneath, runs[-1][1]):
                runs.append((sample * wide // samples, beneath))
        if len(runs) == 1:
            break
    return runs


def _shade(draw: Any, points: ImagePath.Path, shades: Shades) -> None:
    """Put down *shades* along *points*, each a third of a pixel below the one before; the points
    are two thirds lower afterwards."""
    for shade in shades:
        draw.draw_points(points, shade)
        points.transform((1, 0, 0, 0, 1, 1 / 3))


def hill(
    canvas: Image.Image,
    inks: Inks,
    index: int,
    *,
    heights: Sequence[float],
    nearer: Sequence[float],
    bottom: int,
) -> None:
    """A hill of that palette *index* through *heights*, in pixels from the top and at equal
    distances, down to the row *bottom*. What *nearer*, the next hill, hides is left out."""
    draw = ImageDraw.Draw(canvas).draw
    foot = int(max(heights) + BELOW)
    if foot <= bottom:
        draw.draw_rectangle((0, foot, canvas.width, bottom), index, 1)
    count = len(heights) - 1
    for number in range(count):
        left, right = canvas.width * number // count, canvas.width * (number + 1) // count
        start, end = heights[number], heights[number + 1]
        hidden = nearer and start > nearer[number] + 1 and end > nearer[number + 1] + 1
        if hidden or left == right:
            continue
        rise = end - start
        columns, falling, rising = _slope(right - left)
        runs = _runs(canvas, inks, range(left, right), start, rise)
        below = ImagePath.Path(falling if rise > 0 else rising)
        below.transform((1, 0, left, 0, rise, start + BELOW))
        draw.draw_polygon(below, index, 1)
        low = int(max(start, end) + BELOW)
        if low < foot:
            draw.draw_rectangle((left, low, right - 1, foot), index, 1)
        points = ImagePath.Path(columns)
        points.transform((1, 0, left, 0, rise, start + 1 / 6))
        if len(runs) == 1:
            _shade(draw, points, inks.shades(runs[0][1], index))
        else:
            ends = [*(first for first, _ in runs[1:]), right - left]
            for (first, beneath), last in zip(runs, ends, strict=True):
                _shade(draw, points[first:last], inks.shades(beneath, index))
            points.transform((1, 0, 0, 0, 1, 2 / 3))
        draw.draw_points(points, index)
        points.transform((1, 0, 0, 0, 1, 1))
        draw.draw_points(points, index)
