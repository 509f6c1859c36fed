"""Draws a generated image: a landscape that the request seeds, and a card with the prompt, the
model and a few parameters (size, quality, style).

A pixel of the canvas is one byte, an index into a palette. The indices from `CARD` to `INK` are a
gradient. Pillow's anti-aliased letters mix indices, and because of the gradient they mix colours,
too.
"""

from __future__ import annotations

import colorsys
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from math import cos, sin, tau
from random import Random
from typing import Final, Protocol

from PIL import Image, ImageDraw

from images_emulator.contract.request import ImageRequest
from images_emulator.imaging.antialiasing import (
    SLOPE_STEPS,
    Palette,
    disc,
    hill,
    rounded_box,
    smoothstep,
)
from images_emulator.imaging.text_layout import Paragraph, lines, paragraph
from images_emulator.imaging.typefaces import BOLD
from images_emulator.immutable import Immutable

Colour = tuple[int, int, int]
"""Red, green, blue, from 0 to 255."""


class DrawFunction(Protocol):
    """Draws image *index* (from 0) of *request*, at *phase* (from 0 to 1) of an animation."""

    def __call__(self, request: ImageRequest, index: int, phase: float = 0.0) -> Image.Image: ...


Box = tuple[int, int, int, int]
"""Left, top, right, bottom, in pixels."""

SKY: Final = range(96)
SUN: Final = range(96, 100)
HILLS: Final = range(100, 104)
ACCENT: Final = 104
CARD: Final = 120
INK: Final = 136
MUTED: Final = CARD + (INK - CARD) * 5 // 8
CLEAR: Final = 255
"""Indices of the palette. From `ACCENT` to `CARD`, and from `CARD` to `INK`, it is a gradient.
`CLEAR` is transparent. The free indices are for the mixed colours of anti-aliased edges."""

COLOUR_SCHEMES: Final[Mapping[str, tuple[str, ...]]] = {
    "sunset": ("f9b872", "fde3bb", "feedd0", "ff7450", "e89970", "6f3744", "bb4636"),
    "moonlight": ("12232f", "4d8078", "5aa797", "eef4c9", "347b74", "0f2c33", "0f7a66"),
    "noon": ("6fb4e8", "e3f3fb", "fff7d6", "ffd166", "8cc5a2", "24584b", "21708f"),
    "dusk": ("2b1e4a", "b0648c", "d987a0", "ffe3c2", "7c4a80", "241639", "8f3a76"),
    "dawn": ("f4a6b4", "fdeedd", "fff6ea", "f2637e", "c98aa6", "54396b", "a83f66"),
    "lagoon": ("8fd0d6", "f3fbf4", "fbfbe6", "f6b93b", "6fb3a8", "1d4f5c", "17757d"),
    "winter": ("c9d6e6", "f8fafc", "ffffff", "f9a26c", "a9bdd4", "39506e", "3d628f"),
    "desert": ("d98a4e", "fae5c0", "fdf2dc", "fffaf0", "cf9058", "5e3a2c", "a2541f"),
    "night": ("16243f", "53709f", "7f9cc4", "fdf3c8", "3d5a86", "0e1930", "2d559b"),
    "meadow": ("9ac46b", "f4f7d4", "fbf9df", "f4d35e", "8fb56a", "2c4a2e", "4f7a24"),
}
"""The colours of each scheme, by its name: upper sky, sky at the horizon, halo, sun, farthest hill,
nearest hill, accent. Schemes are chosen by a random number, so another order draws other images."""

_SCHEMES: Final = tuple(COLOUR_SCHEMES.values())

MIN_FONT_SIZE: Final = 9
"""The smallest type of a prompt, in pixels."""

MIN_CARD_ROOM: Final = 60
"""The least length of the shorter edge of a card's box, in pixels: room for three lines of type."""

HILL_COUNTS: Final[dict[str | None, int]] = {"low": 2, "medium": 3, "standard": 3}
"""The number of hills, and of rings of the sun, by quality. Other qualities have four."""

SUN_SIZES: Final = 6
"""The number of radii that the sun may have. They are few because the anti-aliased edges of circles
are cached."""

SUN_BANDS: Final = 3
"""The number of bands of sky behind the sun, from top to bottom. The edge of the sun is mixed with
the colour of each band."""

SLOPE: Final = tuple(smoothstep(step / SLOPE_STEPS) for step in range(SLOPE_STEPS))
"""The height of a slope at each of its steps, from 0 to 1 (smoothstep). The slope is level at
both ends."""


class Scene(Immutable):
    """The random parts of an image, which its request seeds. `_landscape` of this module draws them
    as pixels, `_landscape` of `svg.py` as shapes."""

    colours: bytes
    """The palette entries before the mixed colours of edges, in RGBA."""
    sun: tuple[float, float, float]
    """Centre and radius, as fractions of the width, the height and the shorter edge."""
    ridges: tuple[tuple[float, ...], ...]
    """The heights of each hill's points, as fractions of the image's height; the farthest hill is
    first."""


def seed_of(request: ImageRequest, index: int) -> int:
    """The seed of the random parts of image *index*: a hash of the request's drawing key and
    *index*."""
    text = "\x1f".join([*request.drawing_key, str(index)])
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8])


def _shift(code: str, turn: float, vivid: float) -> Colour:
    """The colour `rrggbb` with its hue turned by *turn* and its saturation times *vivid*."""
    hue, light, saturation = colorsys.rgb_to_hls(*(part / 255 for part in bytes.fromhex(code)))
    turned = colorsys.hls_to_rgb((hue + turn) % 1, light, min(1, saturation * vivid))
    red, green, blue = (round(part * 255) for part in turned)
    return red, green, blue


def _ramp(start: Colour, end: Colour, steps: int) -> bytes:
    """A gradient of *steps* colours from *start* to *end*, in RGBA bytes with an alpha of 255."""
    last = max(1, steps - 1)
    ramp = bytearray(b"\xff" * (4 * steps))
    for channel, (low, high) in enumerate(zip(start, end, strict=True)):
        # Whole numbers throughout, halves rounded up.
        first, rise = 2 * low * last + last, 2 * (high - low)
        doubled = range(first, first + rise * steps, rise) if rise else [first] * steps
        ramp[channel::4] = bytes([value // (2 * last) for value in doubled])
    return bytes(ramp)


CARD_TO_INK: Final = _ramp((252, 251, 248), (29, 31, 42), INK - CARD + 1)
"""Colours of the palette from `CARD` to `INK`."""


def _base_colours(chance: Random, vivid: float) -> bytes:
    scheme = _SCHEMES[int(chance.random() * len(_SCHEMES))]
    turn = chance.uniform(-0.025, 0.025)
    high, low, halo, sun, far, near, accent = (_shift(code, turn, vivid) for code in scheme)
    ramps = (
        _ramp(high, low, len(SKY)),
        _ramp(halo, sun, len(SUN)),
        _ramp(far, near, len(HILLS)),
        _ramp(accent, (252, 251, 248), CARD - ACCENT),
        CARD_TO_INK,
    )
    return b"".join(ramps)


def scene_of(request: ImageRequest, index: int, phase: float = 0.0) -> Scene:
    """The scene of image *index* of *request*. In an animation, the sun moves around a small circle
    while *phase* goes from 0 to 1. A field of *request* that is used here has the mark `DRAWING`:
    see `contract/field_codecs.py`."""
    chance = Random(seed_of(request, index))
    vivid = {"natural": 0.55, "vivid": 1.2}.get(request.style or "", 1.0)
    colours = _base_colours(chance, vivid)
    x, y = chance.uniform(0.2, 0.8), chance.uniform(0.2, 0.36)
    # The radius has few values, since the edges of circles are cached.
    radius = 0.14 + 0.06 * int(chance.random() * SUN_SIZES) / SUN_SIZES
    turn = tau * phase
    sun = x + 0.06 * sin(turn), y + 0.06 * (1 - cos(turn)), radius
    hills = HILL_COUNTS.get(request.quality, len(HILLS))
    ridges = []
    for number in range(hills):
        base = 0.42 + 0.26 * number / max(1, hills - 1)
        ridges.append(tuple(base + chance.uniform(-0.09, 0.09) for _ in range(6)))
    return Scene(colours, sun, tuple(ridges))


def _smooth(points: Sequence[float]) -> list[float]:
    """The heights of *points*, joined by slopes."""
    joined = [start + (end - start) * part for start, end in pairwise(points) for part in SLOPE]
    return [*joined, points[-1]]


def sun_rings(scene: Scene, size: tuple[int, int]) -> Iterator[tuple[float, int]]:
    """The radius in pixels and the palette index of each ring of the sun, largest ring first."""
    radius, rings = scene.sun[2] * min(size), len(scene.ridges)
    for ring in range(rings):
        yield radius * (1 + 0.28 * (rings - 1 - ring)), SUN[ring + len(SUN) - rings]


def ridge_line(ridge: Sequence[float], size: tuple[int, int]) -> list[tuple[float, float]]:
    """The outline of a hill, from the left edge to the right, in pixels."""
    heights = _smooth(ridge)
    step = size[0] / (len(heights) - 1)
    return [(index * step, part * size[1]) for index, part in enumerate(heights)]


def _palette_of(scene: Scene) -> Palette:
    return Palette(scene.colours, end=CLEAR - 1, gradient=len(SKY), clear=CLEAR)


def _landscape(canvas: Image.Image, scene: Scene, palette: Palette, *, is_opaque: bool) -> None:
    """Draw the sun; where the image *is_opaque*, with the sky and the hills."""
    width, height = canvas.size
    horizon = round(height * 0.62)
    hills = [[part * height for part in ridge] for ridge in scene.ridges]
    if is_opaque:
        draw = ImageDraw.Draw(canvas).draw
        foot = min(height, round(max(hills[0])) + 3)
        for band in SKY:
            top, bottom = horizon * band // len(SKY), horizon * (band + 1) // len(SKY)
            if top > foot:
                break
            draw.draw_rectangle((0, top, width, bottom), band, 1)
    centre = round(scene.sun[0] * width), round(scene.sun[1] * height)
    bands = SUN_BANDS
    for reach, colour in sun_rings(scene, canvas.size):
        disc(canvas, palette, colour, centre=centre, radius=round(reach), bands=bands)
        bands = 1
    if not is_opaque:
        return
    # A hill is drawn down to where the next one hides it.
    for number, heights in enumerate(hills):
        nearer = hills[number + 1] if number + 1 < len(hills) else []
        bottom = round(max(nearer)) + 3 if nearer else height
        colour = HILLS[number + len(HILLS) - len(hills)]
        hill(canvas, palette, colour, heights=heights, nearer=nearer, bottom=bottom)


def line_height(size: int) -> int:
    """Pixels from one line of the prompt to the next, in type of *size* pixels."""
    return round(size * 1.35)


def prompt_paragraph(prompt: str, size: int, width: float, height: int) -> Paragraph:
    """The prompt as a card shows it, in at most five lines of type of *size*. A longer prompt has
    smaller type, and as many lines as *height* has room for. Of a still longer one, the beginning
    and the end are shown."""
    shapes = [(size, max(1, min(5, height // line_height(size))))]
    for part in (3 / 4, 3 / 5):
        smaller = max(MIN_FONT_SIZE, round(size * part))
        shapes.append((smaller, max(1, height // line_height(smaller))))
    return paragraph(prompt.strip() or "no prompt", shapes, width)


def prompt_fingerprint(prompt: str) -> str:
    """The length and the shortened SHA-256 of *prompt* in UTF-8. For a prompt that is not shown
    whole, they tell it from others with the same beginning and end."""
    digest = hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{len(prompt):,} characters, SHA-256 {digest[:8]}…"


class Card(Immutable):
    """The card of an image, laid out in *box*. All sizes are pixels."""

    request: ImageRequest
    index: int
    box: Box
    padding: int
    small: int
    """Size of the type above and below the prompt."""
    large: int
    """Size of the type of the prompt, if the whole prompt fits."""
    text: Paragraph

    def moved(self, right: int, down: int) -> Card:
        """The card moved by so many pixels, *right* and *down*."""
        x, y = self.box[0] + right, self.box[1] + down
        end, bottom = self.box[2] + right, self.box[3] + down
        return replace(self, box=(x, y, end, bottom))

    def draw(self, canvas: Image.Image, palette: Palette) -> None:
        """Draw the card on *canvas*, in colours of *palette*."""
        left, top, right, _ = self.box
        pen = ImageDraw.Draw(canvas)
        rounded_box(canvas, palette, self.box, max(4, self.large // 2), CARD)
        x, y, end = left + self.padding, top + self.padding, right - self.padding
        room = end - x
        (number,) = lines(f"#{self.index + 1}", self.small, room, face=BOLD)
        number.draw(pen, end - number.width, y, ACCENT)
        space = room - number.width - self.small // 2
        for title in lines(self.request.model.id, self.small, space, face=BOLD):
            title.draw(pen, x, y, ACCENT)
        y += _prompt_offset(self.small)
        size = self.text.lines[0].size if self.text.lines else self.large
        for line in self.text.lines:
            line.draw(pen, x, y, INK)
            y += line_height(size)
        y += _prompt_offset(self.small) - self.small - (line_height(size) - size)
        details = ["{} × {}".format(*self.request.size), self.request.quality, self.request.style]
        if not self.text.is_whole:
            details.insert(0, prompt_fingerprint(self.request.prompt))
        for line in lines(" · ".join(each for each in details if each), self.small, room):
            line.draw(pen, x, y, MUTED)


def _prompt_offset(small: int) -> int:
    """Pixels from the top of a line of the small type to the prompt."""
    return round(small * 1.9)


def card_in(room: Box, request: ImageRequest, index: int, share: float = 0.5) -> Card | None:
    """The card of image *index* of *request* at the bottom of *room*; None where it would be too
    small to read. The card takes at most about *share* of the height of *room*."""
    width, height = room[2] - room[0], room[3] - room[1]
    short = min(width, height)
    if short < MIN_CARD_ROOM:
        return None
    margin, padding = max(3, short // 20), max(4, short // 26)
    small, large = max(10, short // 38), max(12, short // 24)
    left, bottom = room[0] + margin, room[3] - margin
    right = room[0] + min(width - margin, margin + max(short - 2 * margin, width // 2))
    around = 2 * padding + _prompt_offset(small) + small
    space = min(round(height * share) - 2 * _prompt_offset(small), height - 2 * margin - around)
    text = prompt_paragraph(request.prompt, large, right - left - 2 * padding, space)
    size = text.lines[0].size if text.lines else large
    top = bottom - around - len(text.lines) * line_height(size)
    return Card(request, index, (left, top, right, bottom), padding, small, large, text)


def _with_palette(canvas: Image.Image, palette: Palette) -> Image.Image:
    canvas.putpalette(palette.rgba.ljust(4 * CLEAR, b"\xff") + b"\xff\xff\xff\x00", "RGBA")
    return canvas


def draw(request: ImageRequest, index: int, phase: float = 0.0) -> Image.Image:
    """Draw image *index* (from 0) of *request* in its size; mode `P`.

    With a transparent background, everything but the sun and the card is transparent.
    """
    return draw_scene(request, index, request.size, card_of(request, index), phase)


def draw_scene(
    request: ImageRequest,
    index: int,
    size: tuple[int, int],
    card: Card | None,
    phase: float = 0.0,
) -> Image.Image:
    """Draw the scenery of image *index* of *request* in any *size*, with *card* where it is given;
    mode `P`."""
    scene = scene_of(request, index, phase)
    palette = _palette_of(scene)
    # Sky and hills cover the canvas, so it needs no colour of its own.
    canvas = Image.new("L", size, CLEAR if request.is_transparent else None)
    _landscape(canvas, scene, palette, is_opaque=not request.is_transparent)
    if card:
        card.draw(canvas, palette)
    return _with_palette(canvas, palette)


def card_of(request: ImageRequest, index: int) -> Card | None:
    """The card of image *index* in its usual place, at the bottom."""
    return card_in((0, 0, *request.size), request, index)


def draw_card(request: ImageRequest, index: int) -> Image.Image:
    """The card of image *index* on a transparent canvas; mode `P`."""
    palette = _palette_of(scene_of(request, index))
    canvas = Image.new("L", request.size, CLEAR)
    if card := card_of(request, index):
        card.draw(canvas, palette)
    return _with_palette(canvas, palette)


def tint_of(request: ImageRequest, index: int) -> Colour:
    """The colour of the sun in image *index*, with which uploads are tinted."""
    colours = scene_of(request, index).colours
    red, green, blue = colours[4 * SUN[-1] : 4 * SUN[-1] + 3]
    return red, green, blue
