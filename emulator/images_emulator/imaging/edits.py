"""Draws edits and variations of uploads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, cos, sin, tau
from random import Random
from typing import Final

from PIL import Image, ImageChops, ImageOps

from images_emulator.contract.call_image import CallImage
from images_emulator.contract.request import ImageRequest
from images_emulator.imaging.cutouts import card_room, subject_of
from images_emulator.imaging.decoder import image_of
from images_emulator.imaging.drawing import (
    Box,
    card_in,
    card_of,
    draw,
    draw_card,
    draw_scene,
    seed_of,
    tint_of,
)

TINT_SHARE: Final = 0.35
"""The share of the scene's colour in an image that is edited without a mask."""

VARIATION_TINT_SHARE: Final = 0.2
"""Share of the scene's colour in a variation."""

WHITE_RGBA: Final = (255, 255, 255, 255)
CLEAR_RGBA: Final = (0, 0, 0, 0)
"""Pixels in mode `RGBA`."""

OPAQUE: Final = 255
"""The alpha of an opaque pixel."""

GRAIN_SHARE: Final = 0.5
"""The share of noise in a drawing without room for a card. Each channel of a pixel then has 128
possible values."""

Centering = tuple[float, float]
"""Where an image is cropped: the shares of the cropped pixels that are at the left and at the
top."""

CENTRE: Final[Centering] = (0.5, 0.5)
"""The middle: equal parts are cropped on both sides."""


def _fit(
    image: Image.Image,
    size: tuple[int, int],
    method: Image.Resampling,
    centering: Centering = CENTRE,
) -> Image.Image:
    """*image* scaled and cropped to fill *size*."""
    return image if image.size == size else ImageOps.fit(image, size, method, centering=centering)


def _centering_on_transparency(alpha: Image.Image, size: tuple[int, int]) -> Centering:
    """The centering that crops to *size* and keeps the transparent area of *alpha* in the image."""
    box = _transparent_area(alpha).getbbox() or (0, 0, *alpha.size)
    scale = max(size[0] / alpha.width, size[1] / alpha.height)
    shares = []
    for start, end, edge, room in (
        (box[0], box[2], alpha.width, size[0] / scale),
        (box[1], box[3], alpha.height, size[1] / scale),
    ):
        cropped = edge - room
        offset = (start + end - room) / 2
        shares.append(min(1.0, max(0.0, offset / cropped)) if cropped >= 1 else 0.5)
    return shares[0], shares[1]


def _transparent_area(alpha: Image.Image) -> Image.Image:
    """A mask of mode `L`: white where *alpha* is 0, black elsewhere."""
    return alpha.point([255] + [0] * 255)


def _source(request: ImageRequest) -> Image.Image:
    """The first image with the markup on it; mode `RGBA`."""
    source = image_of(request.images[0]).convert("RGBA")
    if request.markup:
        source = Image.alpha_composite(source, image_of(request.markup).convert("RGBA"))
    return source


def _on_white(request: ImageRequest, image: Image.Image) -> Image.Image:
    """*image* on white, unless the background is transparent."""
    if request.is_transparent:
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, WHITE_RGBA), image)


def _tint(image: Image.Image, colour: tuple[int, int, int], share: float) -> Image.Image:
    """*image* blended with *share* of *colour*, with its own alpha channel; mode `RGBA`.

    Where blending changes nothing, *image* is blended with its negative instead.
    """
    opaque = image.convert("RGB")
    tinted = Image.blend(opaque, Image.new("RGB", image.size, colour), share)
    if not ImageChops.difference(opaque, tinted).getbbox():
        tinted = Image.blend(opaque, ImageOps.invert(opaque), share)
    tinted.putalpha(image.getchannel("A"))
    return tinted


def _grid(count: int, width: int, height: int) -> tuple[int, int]:
    """The best grid of *count* equal squares in *width* × *height*: the number of columns, and the
    edge of a square in pixels. The best grid has large squares and few empty cells."""
    grids = []
    for columns in range(1, count + 1):
        rows = ceil(count / columns)
        edge = min(width // columns, height // rows)
        grids.append((edge * count / (columns * rows), columns, edge))
    _, columns, edge = max(grids)
    return columns, max(1, edge)


def _paste_grid(
    canvas: Image.Image,
    request: ImageRequest,
    images: Sequence[Callable[[], Image.Image]],
    box: Box,
) -> None:
    """Paste *images* into *box* of *canvas*, in a grid of equal cells with centred rows. Each image
    is scaled to fit its cell, and framed in white."""
    margin = min(box[2] - box[0], box[3] - box[1]) // 40
    box = box[0] + margin, box[1] + margin, box[2] - margin, box[3] - margin
    width, height = box[2] - box[0], box[3] - box[1]
    columns, edge = _grid(len(images), width, height)
    rows = ceil(len(images) / columns)
    border = max(1, edge // 40)
    room = max(1, edge - 6 * border)
    top = box[1] + (height - rows * edge) // 2
    for index, load in enumerate(images):
        small = _on_white(request, ImageOps.contain(load(), (room, room)).convert("RGBA"))
        framed = ImageOps.expand(small, border=border, fill=WHITE_RGBA)
        row, column = divmod(index, columns)
        in_row = min(columns, len(images) - row * columns)
        left = box[0] + (width - in_row * edge) // 2 + column * edge
        x, y = left + (edge - framed.width) // 2, top + row * edge + (edge - framed.height) // 2
        canvas.alpha_composite(framed, (max(0, x), max(0, y)))


def _loader_of(call_image: CallImage) -> Callable[[], Image.Image]:
    """A function that decodes *call_image* when it is called, and returns its pixels in a mode that
    can be scaled."""

    def load() -> Image.Image:
        image = image_of(call_image)
        return image.convert("RGBA") if image.mode in ("P", "PA", "1") else image

    return load


def _drawing_for(
    area: Image.Image,
    request: ImageRequest,
    index: int,
    images: Sequence[Callable[[], Image.Image]],
    phase: float,
) -> Image.Image:
    """The drawing for the white *area*: the scene in the size of the area's bounding box, with
    *images*, and with the card where there is room for it. Mode `RGBA`, transparent around the box.
    """
    box = area.getbbox()
    assert box
    size = box[2] - box[0], box[3] - box[1]
    room = card_room(area, box)
    card = card_in(room, request, index, 0.4 if images else 0.8) if room else None
    moved = card.moved(-box[0], -box[1]) if card else None
    drawing = draw_scene(request, index, size, moved, phase).convert("RGBA")
    if not card:
        drawing = _with_grain(drawing, request, index)
    canvas = Image.new("RGBA", area.size, CLEAR_RGBA)
    canvas.paste(drawing, box)
    if images:
        _paste_grid(canvas, request, images, (*room[:3], card.box[1]) if room and card else box)
    return canvas


def _with_grain(image: Image.Image, request: ImageRequest, index: int) -> Image.Image:
    """*image* with noise that the request seeds. Without a card, a few pixels of one scene look
    like those of another."""
    chance = Random(seed_of(request, index))
    grain = Image.frombytes("RGB", image.size, chance.randbytes(3 * image.width * image.height))
    grained = Image.blend(image.convert("RGB"), grain, GRAIN_SHARE)
    grained.putalpha(image.getchannel("A"))
    return grained


def _edit_whole(
    request: ImageRequest, index: int, source: Image.Image, phase: float
) -> Image.Image:
    """*source* tinted, under the card. For a transparent background, the subject of an opaque
    *source* is cut out."""
    share = TINT_SHARE * (1 - 0.25 * (1 - cos(tau * phase)) - 0.1 * sin(tau * phase))
    fitted = _on_white(request, _fit(source, request.size, Image.Resampling.LANCZOS))
    tinted = _tint(fitted, tint_of(request, index), share)
    if request.is_transparent and fitted.getchannel("A").getextrema()[0] == OPAQUE:
        tinted.putalpha(subject_of(fitted))
    return Image.alpha_composite(tinted, draw_card(request, index).convert("RGBA"))


def edit(request: ImageRequest, index: int, phase: float = 0.0) -> Image.Image:
    """Draw edit *index* (from 0) of *request*; mode `RGBA`.

    With a mask, the source shows where the mask is opaque, and the drawing where it is transparent.
    A mask without transparent pixels counts as none.

    Without a mask the whole source is tinted; with a transparent background only its subject
    remains. Several images are put in a grid on the drawing. With a mask, the images after the
    first are put into its transparent area.
    """
    others = [_loader_of(each) for each in request.images[1:]]
    source = _source(request)
    if request.mask:
        alpha = image_of(request.mask).convert("RGBA").getchannel("A")
        centering = _centering_on_transparency(alpha, request.size)
        area = _transparent_area(_fit(alpha, request.size, Image.Resampling.NEAREST, centering))
        if area.getbbox():
            fitted = _fit(source, request.size, Image.Resampling.LANCZOS, centering)
            drawing = _drawing_for(area, request, index, others, phase)
            return Image.composite(drawing, _on_white(request, fitted), area)
    if not others:
        return _edit_whole(request, index, source, phase)
    canvas = draw(request, index, phase).convert("RGBA")
    card = card_of(request, index)
    above = 0, 0, request.size[0], card.box[1] if card else request.size[1]
    _paste_grid(canvas, request, [lambda: source, *others], above)
    return canvas


def vary(request: ImageRequest, index: int, phase: float = 0.0) -> Image.Image:
    """Draw variation *index* (from 0) of *request*: the source tinted, every other one mirrored;
    mode `RGBA`."""
    fitted = _on_white(request, _fit(_source(request), request.size, Image.Resampling.LANCZOS))
    if index % 2:
        fitted = ImageOps.mirror(fitted)
    return _tint(fitted, tint_of(request, index), VARIATION_TINT_SHARE)
