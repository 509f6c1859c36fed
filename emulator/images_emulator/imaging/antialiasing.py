"""Draws shapes with anti-aliased edges in images of palette indices.

A pixel on an edge has a palette entry of its own: a mixture of the two colours that meet there. The
pixels of an edge are the points of a cached path, which Pillow moves, stretches and draws in C.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from math import hypot, sqrt
from operator import itemgetter
from typing import Any, Final, cast

from PIL import Image, ImageDraw, ImagePath

AffineMatrix = Sequence[float]
"""Six numbers a, b, c, d, e, f: the point (x, y) goes to (ax + by + c, dx + ey + f)."""

Shades = tuple[int, int]
"""The palette indices of a colour where it covers a third and two thirds of a pixel."""

COVERAGE_DISTANCES: Final = (1 / 3, 0, -1 / 3)
"""The largest distances, in pixels, of a pixel's centre beyond a round edge, by the coverage of the
pixel. The shape covers a third, two thirds, and all of it."""

ELLIPSE_REACH: Final = 0.375
"""The largest distance, in pixels, of a pixel's centre beyond the radius at which Pillow's ellipse
always fills the pixel."""

SLOPE_STEPS: Final = 24
"""The most steps of a slope: of the upper edge of its polygon here, of the path in an SVG."""

BACKGROUND_SAMPLES: Final = 8
"""The number of positions along a slope at which the colour of the background is read."""

POLYGON_OFFSET: Final = 1.4
"""The distance from a slope down to its polygon, in pixels. Pillow rounds the corners of the
polygon; two rows of points fill the gap."""


class Palette:
    """The palette of an image, as RGBA bytes. Mixtures are added to it, up to *end* entries.

    The first *gradient* entries are a gradient, in which neighbours differ little. The index
    *clear* is transparent.
    """

    def __init__(self, rgba: bytes, end: int, gradient: int, clear: int) -> None:
        self.rgba = bytearray(rgba)
        self._end = end
        self._gradient = gradient
        self._clear = clear
        self._shades: dict[tuple[int, int], Shades] = {}

    def _mix(self, under: int, over: int) -> Iterator[bytes]:
        red, green, blue, _ = self.rgba[4 * over : 4 * over + 4]
        if under == self._clear:
            yield from (bytes((red, green, blue, alpha)) for alpha in (85, 170))
            return
        r, g, b, _ = self.rgba[4 * under : 4 * under + 4]
        yield bytes(((2 * r + red) // 3, (2 * g + green) // 3, (2 * b + blue) // 3, 255))
        yield bytes(((r + 2 * red) // 3, (g + 2 * green) // 3, (b + 2 * blue) // 3, 255))

    def is_similar(self, one: int, other: int) -> bool:
        """Whether both indices have the same colour, or are in the gradient."""
        return one == other or max(one, other) < self._gradient

    def shades(self, under: int, over: int) -> Shades:
        """The palette indices of the mixtures of *over* on *under*. Where the palette is full, both
        are *over*."""
        if under < self._gradient:
            under = under // 4 * 4 + 2
        shades = self._shades.get((under, over))
        if shades:
            return shades
        first = len(self.rgba) // 4
        if first + 2 > self._end:
            return over, over
        for entry in self._mix(under, over):
            self.rgba += entry
        self._shades[under, over] = first, first + 1
        return first, first + 1


def _coverage(distance: float) -> int | None:
    """The index in `COVERAGE_DISTANCES` for a pixel at that *distance* outside of an edge; None
    where the pixel is not covered."""
    if distance > COVERAGE_DISTANCES[0]:
        return None
    return sum(distance <= limit for limit in COVERAGE_DISTANCES) - 1


@lru_cache(maxsize=96)
def _circle(radius: int, bands: int) -> tuple[tuple[ImagePath.Path, ...], ...]:
    """The edge of a disc of *radius* pixels, in *bands* bands of rows from the top. Each band has
    the points that the disc covers to a third, and those that it covers to two thirds."""
    edge = radius + ELLIPSE_REACH - COVERAGE_DISTANCES[-1]
    octants: tuple[list[tuple[int, int]], ...] = ([], [])
    for x in range(int(edge * 0.7072) + 2):
        near = int(sqrt(max(0.0, edge * edge - x * x)))
        for y in (near, near + 1):
            coverage = _coverage(hypot(x, y) - edge)
            if coverage is not None and coverage < len(octants):
                octants[coverage].append((x, y))
    circles = [
        sorted(
            {
                (across * x, down * y)
                for point in octant
                for x, y in (point, point[::-1])
                for across in (1, -1)
                for down in (1, -1)
            },
            key=itemgetter(1),  # row by row, in the order of memory
        )
        for octant in octants
    ]
    if bands == 1:
        return (tuple(map(ImagePath.Path, circles)),)
    height = 2 * edge / bands
    ends = [-edge - 1, *(band * height - edge for band in range(1, bands)), edge + 1]
    return tuple(
        tuple(
            ImagePath.Path([point for point in circle if start <= point[1] < end])
            for circle in circles
        )
        for start, end in pairwise(ends)
    )


@lru_cache(maxsize=16)
def _corner(radius: int) -> tuple[ImagePath.Path, ...]:
    """The points of a quarter of a disc of *radius* pixels: those that it covers to a third, to two
    thirds and wholly."""
    points: tuple[list[tuple[int, int]], ...] = ([], [], [])
    for x in range(radius + 1):
        for y in range(radius + 1):
            coverage = _coverage(hypot(x, y) - radius - 0.5)
            if coverage is not None:
                points[coverage].append((x, y))
    return tuple(map(ImagePath.Path, points))


def _draw_points(
    pen: ImageDraw.ImageDraw, path: ImagePath.Path, matrix: AffineMatrix, index: int
) -> None:
    """Draw the points of *path*, transformed by *matrix*, in the palette *index*."""
    moved = ImagePath.Path(path)
    moved.transform(matrix)
    pen.draw.draw_points(moved, index)


def _pixel(canvas: Image.Image, x: float, y: float) -> int:
    """The palette index at the position *x*, *y*, or at the nearest position within the image."""
    position = min(max(0, int(x)), canvas.width - 1), min(max(0, int(y)), canvas.height - 1)
    return cast("int", canvas.getpixel(position))  # it has one band


def disc(
    canvas: Image.Image,
    palette: Palette,
    index: int,
    *,
    centre: tuple[int, int],
    radius: int,
    bands: int,
) -> None:
    """Draw a disc in the palette *index*.

    With one band, the edge is mixed with the colour at the disc's centre, for a disc on a larger
    one. With several *bands* of rows, for a disc on a gradient, the edge of each band is mixed with
    another colour: that at the left edge of the image, in the middle of the band.
    """
    pen = ImageDraw.Draw(canvas)
    x, y = centre
    height = 2 * radius / bands
    for band, parts in enumerate(_circle(radius, bands)):
        background = _pixel(canvas, x if bands == 1 else 0, y - radius + (band + 0.5) * height)
        for path, shade in zip(parts, palette.shades(background, index), strict=True):
            _draw_points(pen, path, (1, 0, x, 0, 1, y), shade)
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=index)


def rounded_box(
    canvas: Image.Image, palette: Palette, box: tuple[int, int, int, int], radius: int, index: int
) -> None:
    """Draw a rectangle with round corners in the palette *index*. The right and bottom pixels of
    *box* are part of it."""
    pen = ImageDraw.Draw(canvas)
    left, top, right, bottom = box
    pen.rectangle((left + radius, top, right - radius, bottom), fill=index)
    pen.rectangle((left, top + radius, right, bottom - radius), fill=index)
    paths = _corner(radius)
    for x, across in ((left, -1), (right, 1)):
        for y, down in ((top, -1), (bottom, 1)):
            shades = (*palette.shades(_pixel(canvas, x, y), index), index)
            matrix = (across, 0, x - across * radius, 0, down, y - down * radius)
            for path, shade in zip(paths, shades, strict=True):
                _draw_points(pen, path, matrix, shade)


def smoothstep(part: float) -> float:
    """The height of a slope from 0 to 1 at *part* of its width; level at both ends."""
    return part * part * (3 - 2 * part)


@lru_cache(maxsize=16)
def _slope(width: int) -> tuple[ImagePath.Path, ImagePath.Path, ImagePath.Path]:
    """A slope of *width* columns, with heights from 0 to 1: the height at the centre of each
    column, and two polygons of the area below it. The first polygon is for a slope that falls on
    the screen, the second for one that rises."""
    columns = ImagePath.Path(
        [value for x in range(width) for value in (x, smoothstep((x + 0.5) / width))]
    )
    steps = min(width, SLOPE_STEPS)
    corners = [width * step // steps for step in range(steps + 1)]
    line = [value for x in corners for value in (x, smoothstep(x / width))]
    return columns, ImagePath.Path([*line, 0, 1]), ImagePath.Path([*line, width, 0])


def _background_runs(
    canvas: Image.Image, palette: Palette, columns: range, start: float, rise: float
) -> list[tuple[int, int]]:
    """The background along a slope in *columns* that begins at row *start*, as runs of one palette
    index. Each run is its first column, counted from the left of the slope, and its index."""
    pixels = canvas.load()
    assert pixels
    left, width, last_row = columns.start, len(columns), canvas.height - 1
    runs: list[tuple[int, int]] = []
    # Most slopes have one background, for which three samples are enough.
    for samples in (3, BACKGROUND_SAMPLES):
        runs.clear()
        for sample in range(samples):
            part = (sample + 0.5) / samples
            row = int(start + rise * smoothstep(part)) - 1
            index = cast("int", pixels[left + int(part * width), min(max(0, row), last_row)])
            if not runs or not palette.is_similar(index, runs[-1][1]):
                runs.append((sample * width // samples, index))
        if len(runs) == 1:
            break
    return runs


def _draw_shades_and_lower(draw: Any, points: ImagePath.Path, shades: Shades) -> None:
    """Draw *points* in each of *shades*, and move them down by a third of a pixel after each
    shade."""
    for shade in shades:
        draw.draw_points(points, shade)
        points.transform((1, 0, 0, 0, 1, 1 / 3))


def hill(
    canvas: Image.Image,
    palette: Palette,
    index: int,
    *,
    heights: Sequence[float],
    nearer: Sequence[float],
    bottom: int,
) -> None:
    """Draw a hill in the palette *index* down to the row *bottom*. *heights* are points of its
    outline at equal distances, in pixels from the top. *nearer* are the heights of the next hill;
    slopes that it hides are left out."""
    draw = ImageDraw.Draw(canvas).draw
    foot = int(max(heights) + POLYGON_OFFSET)
    if foot <= bottom:
        draw.draw_rectangle((0, foot, canvas.width, bottom), index, 1)
    count = len(heights) - 1
    for number in range(count):
        left, right = canvas.width * number // count, canvas.width * (number + 1) // count
        start, end = heights[number], heights[number + 1]
        is_hidden = nearer and start > nearer[number] + 1 and end > nearer[number + 1] + 1
        if is_hidden or left == right:
            continue
        rise = end - start
        columns, falling, rising = _slope(right - left)
        runs = _background_runs(canvas, palette, range(left, right), start, rise)
        below = ImagePath.Path(falling if rise > 0 else rising)
        below.transform((1, 0, left, 0, rise, start + POLYGON_OFFSET))
        draw.draw_polygon(below, index, 1)
        low = int(max(start, end) + POLYGON_OFFSET)
        if low < foot:
            draw.draw_rectangle((left, low, right - 1, foot), index, 1)
        points = ImagePath.Path(columns)
        points.transform((1, 0, left, 0, rise, start + 1 / 6))
        if len(runs) == 1:
            _draw_shades_and_lower(draw, points, palette.shades(runs[0][1], index))
        else:
            ends = [*(first for first, _ in runs[1:]), right - left]
            for (first, background), last in zip(runs, ends, strict=True):
                # A slice is a copy, so *points* are lowered below.
                _draw_shades_and_lower(draw, points[first:last], palette.shades(background, index))
            points.transform((1, 0, 0, 0, 1, 2 / 3))
        draw.draw_points(points, index)
        points.transform((1, 0, 0, 0, 1, 1))
        draw.draw_points(points, index)
