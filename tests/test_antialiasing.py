"""Anti-aliasing: each pixel on an edge has about as much of a colour as the shape covers of it."""

from __future__ import annotations

from math import hypot

import pytest
from PIL import Image, ImageChops

from images_emulator.contract.models import NEWEST_MODEL
from images_emulator.contract.operations import GENERATIONS
from images_emulator.contract.request import ImageRequest
from images_emulator.imaging.antialiasing import Palette, disc, hill, rounded_box
from images_emulator.imaging.drawing import draw

BLACK, WHITE, CLEAR = 0, 1, 255
HEIGHTS = (
    (40.2, 20.7, 60.1, 30.3, 30.4, 55.0),
    (50.0, 50.0, 50.0, 49.9, 12.5, 13.4),
    (10.6, 11.0, 63.9, 63.1, 10.0, 60.0),
)


def palette() -> Palette:
    return Palette(bytes([0, 0, 0, 255, 255, 255, 255, 255]), end=254, gradient=0, clear=CLEAR)


def coloured(canvas: Image.Image, colours: Palette) -> Image.Image:
    """*canvas* in the levels of its palette's grey."""
    canvas.putpalette(colours.rgba.ljust(4 * CLEAR, b"\0") + bytes(4), "RGBA")
    return canvas.convert("RGBA")


def white_hill(scale: int, heights: tuple[float, ...]) -> Image.Image:
    canvas, colours = Image.new("L", (320 * scale, 90 * scale), BLACK), palette()
    scaled = [scale * height for height in heights]
    hill(canvas, colours, WHITE, heights=scaled, nearer=[], bottom=canvas.height)
    return coloured(canvas, colours).convert("L")


@pytest.mark.parametrize("heights", HEIGHTS)
def test_a_hill_looks_like_a_larger_one_scaled_down(heights: tuple[float, ...]) -> None:
    small, large = white_hill(1, heights), white_hill(8, heights).reduce(8)
    difference = ImageChops.difference(small, large)
    # A third is the step of its shades; on steep slopes an edge is in two pixels of a column.
    assert max(difference.tobytes()) < 140
    assert sum(difference.histogram()[90:]) < 20
    assert {85, 170} < {level for _, level in small.getcolors() or []}


@pytest.mark.parametrize("radius", [3, 12, 61, 200])
@pytest.mark.parametrize("bands", [1, 3])
def test_a_disc_covers_the_pixels_within_its_radius(radius: int, bands: int) -> None:
    edge = 2 * radius + 21
    canvas, colours = Image.new("L", (edge, edge), BLACK), palette()
    disc(canvas, colours, WHITE, centre=(edge // 2, edge // 2), radius=radius, bands=bands)
    levels = coloured(canvas, colours).convert("L").tobytes()
    for place, level in enumerate(levels):
        y, x = divmod(place, edge)
        outside = hypot(x - edge // 2, y - edge // 2) - radius - 0.7
        cover = min(1.0, max(0.0, 0.5 - outside))
        assert abs(level / 255 - cover) < 0.36


def test_a_rounded_box_has_round_corners_and_straight_sides() -> None:
    canvas, colours = Image.new("L", (120, 80), BLACK), palette()
    rounded_box(canvas, colours, (10, 10, 109, 69), 20, WHITE)
    picture = coloured(canvas, colours).convert("L")
    assert picture.getbbox() == (10, 10, 110, 70)
    assert picture.crop((31, 10, 89, 70)).getextrema() == (255, 255)
    for across in (False, True):
        turned = picture.transpose(
            Image.Transpose.FLIP_LEFT_RIGHT if across else Image.Transpose.FLIP_TOP_BOTTOM
        )
        assert turned.tobytes() == picture.tobytes()
    for x in range(10, 30):
        for y in range(10, 30):
            cover = min(1.0, max(0.0, 21 - hypot(30 - x, 30 - y)))
            level = picture.tobytes()[y * picture.width + x]
            assert abs(level / 255 - cover) < 0.36


def test_an_edge_on_a_transparent_background_is_partly_transparent() -> None:
    canvas, colours = Image.new("L", (80, 80), CLEAR), palette()
    disc(canvas, colours, WHITE, centre=(40, 40), radius=30, bands=3)
    assert {level for _, level in coloured(canvas, colours).getchannel("A").getcolors() or []} == {
        *(0, 85, 170, 255)
    }


def test_edges_are_sharp_where_the_palette_is_full() -> None:
    canvas = Image.new("L", (80, 80), BLACK)
    disc(
        canvas,
        full := Palette(bytes(palette().rgba), 2, 0, CLEAR),
        WHITE,
        centre=(40, 40),
        radius=30,
        bands=1,
    )
    assert {index for _, index in canvas.getcolors() or []} == {BLACK, WHITE}
    assert len(full.rgba) == 8


@pytest.mark.slow
@pytest.mark.parametrize("quality", ["low", "medium", "high"])
def test_the_palette_has_room_for_all_edges_of_a_scene(quality: str) -> None:
    """And for the spare index that animations need."""
    request = ImageRequest(
        operation=GENERATIONS, model=NEWEST_MODEL, size=(512, 512), quality=quality
    )
    for number in range(100):
        canvas = draw(request, number)
        assert max(canvas.tobytes()) < 240
