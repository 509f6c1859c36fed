"""Draws over what a client sent: edits by mask, edits of whole pictures, variations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, cos, sin, tau
from random import Random
from typing import Final

from PIL import Image, ImageChops, ImageOps

from images_emulator.contract.request import ImageRequest, Picture
from images_emulator.imaging.cutouts import room_in, subject_of
from images_emulator.imaging.decoder import image_of
from images_emulator.imaging.drawing import (
    Box,
    card_in,
    card_of,
    draw,
    draw_card,
    draw_scene,
    request_hash,
    tint,
)

DYE: Final = 0.35
"""How much of the scene's colour goes over a picture that is edited as a whole."""

WHITE: Final = (255, 255, 255, 255)
CLEAR: Final = (0, 0, 0, 0)
OPAQUE: Final = 255

GRAIN: Final = 0.5
"""How much of what is drawn into a hole without room for a card is grain: each channel of a pixel
has 128 values then."""

Middle = tuple[float, float]
"""What part of what is cropped off a picture is cropped off its left and its top."""

CENTRE: Final[Middle] = (0.5, 0.5)


def _fit(
    image: Image.Image, size: tuple[int, int], method: Image.Resampling, middle: Middle = CENTRE
) -> Image.Image:
    """*image* scaled and cropped to fill *size*; untouched where it fills it."""
    return image if image.size == size else ImageOps.fit(image, size, method, centering=middle)


def _middle_of(alpha: Image.Image, size: tuple[int, int]) -> Middle:
    """How to crop to *size* so that what is transparent in *alpha* stays in sight."""
    box = _inverse(alpha).getbbox() or (0, 0, *alpha.size)
    scale = max(size[0] / alpha.width, size[1] / alpha.height)
    parts = []
    for start, end, edge, room in (
        (box[0], box[2], alpha.width, size[0] / scale),
        (box[1], box[3], alpha.height, size[1] / scale),
    ):
        spare = edge - room
        wanted = (start + end - room) / 2
        parts.append(min(1.0, max(0.0, wanted / spare)) if spare >= 1 else 0.5)
    return parts[0], parts[1]


def _inverse(alpha: Image.Image) -> Image.Image:
    """White where *alpha* is 0, black elsewhere; mode `L`."""
    return alpha.point([255] + [0] * 255)


def _source(request: ImageRequest) -> Image.Image:
    """The first upload with the markup over it; mode `RGBA`."""
    source = image_of(request.images[0]).convert("RGBA")
    if request.markup:
        source = Image.alpha_composite(source, image_of(request.markup).convert("RGBA"))
    return source


def _flat(request: ImageRequest, image: Image.Image) -> Image.Image:
    """*image* on white, unless the answer may be transparent."""
    if request.transparent:
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, WHITE), image)


def _dyed(image: Image.Image, colour: tuple[int, int, int], part: float) -> Image.Image:
    """*image* with *part* of *colour* all over, its alpha kept; mode `RGBA`.

    Where that comes to the picture's own colours, its lightness is turned instead.
    """
    plain = image.convert("RGB")
    dyed = Image.blend(plain, Image.new("RGB", image.size, colour), part)
    if not ImageChops.difference(plain, dyed).getbbox():
        dyed = Image.blend(plain, ImageOps.invert(plain), part)
    dyed.putalpha(image.getchannel("A"))
    return dyed


def _grid(count: int, width: int, height: int) -> tuple[int, int]:
    """The columns of *count* equal squares that fill *width* × *height* best, and their edge in
    pixels: large ones, and few places empty."""
    grids = []
    for columns in range(1, count + 1):
        rows = ceil(count / columns)
        edge = min(width // columns, height // rows)
        grids.append((edge * count / (columns * rows), columns, edge))
    _, columns, edge = max(grids)
    return columns, max(1, edge)


def _lay_out(
    canvas: Image.Image,
    request: ImageRequest,
    pictures: Sequence[Callable[[], Image.Image]],
    box: Box,
) -> None:
    """Put all *pictures* on *canvas* in *box*: in equal squares, each whole and in a white frame,
    in rows that are centred."""
    margin = min(box[2] - box[0], box[3] - box[1]) // 40
    box = box[0] + margin, box[1] + margin, box[2] - margin, box[3] - margin
    width, height = box[2] - box[0], box[3] - box[1]
    columns, edge = _grid(len(pictures), width, height)
    rows = ceil(len(pictures) / columns)
    frame = max(1, edge // 40)
    room = max(1, edge - 6 * frame)
    top = box[1] + (height - rows * edge) // 2
    for place, picture in enumerate(pictures):
        small = _flat(request, ImageOps.contain(picture(), (room, room)).convert("RGBA"))
        framed = ImageOps.expand(small, border=frame, fill=WHITE)
        row, column = divmod(place, columns)
        in_row = min(columns, len(pictures) - row * columns)
        left = box[0] + (width - in_row * edge) // 2 + column * edge
        x, y = left + (edge - framed.width) // 2, top + row * edge + (edge - framed.height) // 2
        canvas.alpha_composite(framed, (max(0, x), max(0, y)))


def _original(picture: Picture) -> Callable[[], Image.Image]:
    """Opens *picture* when it is its turn; a palette is no scale of colours to mix."""

    def opened() -> Image.Image:
        image = image_of(picture)
        return image.convert("RGBA") if image.mode in ("P", "PA", "1") else image

    return opened


def _drawn_into(
    holes: Image.Image,
    request: ImageRequest,
    index: int,
    pictures: Sequence[Callable[[], Image.Image]],
    phase: float,
) -> Image.Image:
    """What fills *holes*, which are white: the scene in their own size, with its card and
    *pictures* where there is room; mode `RGBA`, clear around them."""
    box = holes.getbbox()
    assert box
    size = box[2] - box[0], box[3] - box[1]
    room = room_in(holes, box)
    card = card_in(room, request, index, 0.4 if pictures else 0.8) if room else None
    moved = card.moved(-box[0], -box[1]) if card else None
    drawing = draw_scene(request, index, size, moved, phase).convert("RGBA")
    if not card:
        drawing = _grained(drawing, request, index)
    canvas = Image.new("RGBA", holes.size, CLEAR)
    canvas.paste(drawing, box)
    if pictures:
        _lay_out(canvas, request, pictures, (*room[:3], card.box[1]) if room and card else box)
    return canvas


def _grained(image: Image.Image, request: ImageRequest, index: int) -> Image.Image:
    """*image* with a grain that the request seeds: a hole of a few pixels, or several of them far
    apart, show too little of a scene to tell it from another."""
    chance = Random(request_hash(request, index))
    grain = Image.frombytes("RGB", image.size, chance.randbytes(3 * image.width * image.height))
    grained = Image.blend(image.convert("RGB"), grain, GRAIN)
    grained.putalpha(image.getchannel("A"))
    return grained


def _whole(request: ImageRequest, index: int, source: Image.Image, phase: float) -> Image.Image:
    """All of *source* in another tone under the card; where the answer is to be transparent, what
    stands out of an opaque one is cut out."""
    part = DYE * (1 - 0.25 * (1 - cos(tau * phase)) - 0.1 * sin(tau * phase))
    fitted = _flat(request, _fit(source, request.size, Image.Resampling.LANCZOS))
    dyed = _dyed(fitted, tint(request, index), part)
    if request.transparent and fitted.getchannel("A").getextrema()[0] == OPAQUE:
        dyed.putalpha(subject_of(fitted))
    return Image.alpha_composite(dyed, draw_card(request, index).convert("RGBA"))


def edit(request: ImageRequest, index: int, phase: float = 0.0) -> Image.Image:
    """The edit number *index* of *request*; mode `RGBA`.

    With a mask, the source shows where it is opaque and the drawing where it is transparent; a mask
    without a hole counts as none. Without one, the whole source is dyed, and with a transparent
    background its subject alone remains. Several pictures are laid out on a sheet, and with a mask
    the further ones are within its transparent part.
    """
    others = [_original(each) for each in request.images[1:]]
    source = _source(request)
    if request.mask:
        alpha = image_of(request.mask).convert("RGBA").getchannel("A")
        middle = _middle_of(alpha, request.size)
        holes = _inverse(_fit(alpha, request.size, Image.Resampling.NEAREST, middle))
        if holes.getbbox():
            fitted = _fit(source, request.size, Image.Resampling.LANCZOS, middle)
            drawing = _drawn_into(holes, request, index, others, phase)
            return Image.composite(drawing, _flat(request, fitted), holes)
    if not others:
        return _whole(request, index, source, phase)
    canvas = draw(request, index, phase).convert("RGBA")
    card = card_of(request, index)
    above = 0, 0, request.size[0], card.box[1] if card else request.size[1]
    _lay_out(canvas, request, [lambda: source, *others], above)
    return canvas


def vary(request: ImageRequest, index: int, phase: float = 0.0) -> Image.Image:
    """The variation number *index* of *request*: the source in another tone, every other one
    mirrored; mode `RGBA`."""
    fitted = _flat(request, _fit(_source(request), request.size, Image.Resampling.LANCZOS))
    if index % 2:
        fitted = ImageOps.mirror(fitted)
    return _dyed(fitted, tint(request, index), 0.2)
