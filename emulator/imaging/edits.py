"""Draws over what a client sent: edits by mask, edits of whole pictures, variations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, cos, sin, sqrt, tau
from typing import Final

from PIL import Image, ImageChops, ImageOps

from emulator.contract.request import ImageRequest, Picture
from emulator.imaging import placeholder
from emulator.imaging.uploads import image_of

DYE: Final = 0.35
"""How much of the scene's colour goes over a picture that is edited as a whole."""

WHITE: Final = (255, 255, 255, 255)


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


def _sheet(
    request: ImageRequest,
    index: int,
    pictures: Sequence[Callable[[], Image.Image]],
    box: tuple[int, int, int, int],
    phase: float = 0.0,
) -> Image.Image:
    """The scene with all *pictures* in *box*, each whole and in a white frame; mode `RGBA`."""
    canvas = placeholder.draw(request, index, phase).convert("RGBA")
    width, height = box[2] - box[0], box[3] - box[1]
    columns = min(len(pictures), max(1, ceil(sqrt(len(pictures) * width / height))))
    rows = ceil(len(pictures) / columns)
    wide, high = width // columns, height // rows
    frame = max(2, min(wide, high) // 40)
    room = max(1, wide - 6 * frame), max(1, high - 6 * frame)
    for place, picture in enumerate(pictures):
        small = _flat(request, ImageOps.contain(picture(), room).convert("RGBA"))
        framed = ImageOps.expand(small, border=frame, fill=WHITE)
        row, column = divmod(place, columns)
        left = box[0] + column * wide + (wide - framed.width) // 2
        top = box[1] + row * high + (high - framed.height) // 2
        canvas.alpha_composite(framed, (max(0, left), max(0, top)))
    return canvas


def _original(picture: Picture) -> Callable[[], Image.Image]:
    """Opens *picture* when it is its turn; a palette is no scale of colours to mix."""

    def opened() -> Image.Image:
        image = image_of(picture)
        return image.convert("RGBA") if image.mode in ("P", "PA", "1") else image

    return opened


def edit(request: ImageRequest, index: int, phase: float = 0.0) -> Image.Image:
    """The edit number *index* of *request*; mode `RGBA`.

    With a mask, the source shows where it is opaque and the drawing where it is transparent.
    Without one, the whole source is dyed. Several pictures are laid out on a sheet, and with a mask
    the further ones are within its transparent part.
    """
    others = [_original(each) for each in request.images[1:]]
    if request.mask is None and others:
        above_the_card = (0, 0, request.size[0], request.size[1] * 5 // 8)
        sheet = [lambda: _source(request), *others]
        return _sheet(request, index, sheet, above_the_card, phase)
    source = _source(request)
    if request.mask is None:
        fitted = _flat(request, _fit(source, request.size, Image.Resampling.LANCZOS))
        part = DYE * (1 - 0.25 * (1 - cos(tau * phase)) - 0.1 * sin(tau * phase))
        dyed = _dyed(fitted, placeholder.tint(request, index), part)
        return Image.alpha_composite(dyed, placeholder.draw_card(request, index).convert("RGBA"))
    alpha = image_of(request.mask).convert("RGBA").getchannel("A")
    middle = _middle_of(alpha, request.size)
    fitted = _fit(source, request.size, Image.Resampling.LANCZOS, middle)
    holes = _inverse(_fit(alpha, request.size, Image.Resampling.NEAREST, middle))
    box = holes.getbbox() if others else None
    drawing = _sheet(request, index, others, box) if box else placeholder.draw(request, index)
    return Image.composite(drawing.convert("RGBA"), _flat(request, fitted), holes)


def vary(request: ImageRequest, index: int, phase: float = 0.0) -> Image.Image:
    """The variation number *index* of *request*: the source in another tone, every other one
    mirrored; mode `RGBA`."""
    fitted = _flat(request, _fit(_source(request), request.size, Image.Resampling.LANCZOS))
    if index % 2:
        fitted = ImageOps.mirror(fitted)
    return _dyed(fitted, placeholder.tint(request, index), 0.2)
