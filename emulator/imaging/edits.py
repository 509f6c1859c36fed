"""Draws over what a client sent: edits by mask, edits of whole pictures, variations."""

from __future__ import annotations

from math import ceil, sqrt
from typing import Final

from PIL import Image, ImageChops, ImageOps

from emulator.contract.request import ImageRequest, Picture
from emulator.imaging import placeholder
from emulator.imaging.uploads import image_of

DYE: Final = 0.35
"""How much of the scene's colour goes over a picture that is edited as a whole."""

WHITE: Final = (255, 255, 255, 255)


def _fit(image: Image.Image, size: tuple[int, int], method: Image.Resampling) -> Image.Image:
    """*image* scaled and cropped about its centre to fill *size*; untouched where it fills it."""
    return image if image.size == size else ImageOps.fit(image, size, method)


def _source(request: ImageRequest) -> Image.Image:
    """The first upload with the markup over it; mode `RGBA`."""
    source = image_of(request.images[0]).convert("RGBA")
    if request.markup:
        source = Image.alpha_composite(source, image_of(request.markup).convert("RGBA"))
    return source


def _holes(mask: Picture, size: tuple[int, int]) -> Image.Image:
    """White where *mask* is fully transparent, black elsewhere, to the pixel; mode `L`."""
    alpha = image_of(mask).convert("RGBA").getchannel("A")
    alpha = _fit(alpha, size, Image.Resampling.NEAREST)
    return alpha.point([255] + [0] * 255)


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
    request: ImageRequest, index: int, pictures: list[Image.Image], box: tuple[int, int, int, int]
) -> Image.Image:
    """The scene with all *pictures* in *box*, each whole and in a white frame; mode `RGBA`."""
    canvas = placeholder.draw(request, index).convert("RGBA")
    width, height = box[2] - box[0], box[3] - box[1]
    columns = min(len(pictures), max(1, ceil(sqrt(len(pictures) * width / height))))
    rows = ceil(len(pictures) / columns)
    wide, high = width // columns, height // rows
    frame = max(2, min(wide, high) // 40)
    room = max(1, wide - 6 * frame), max(1, high - 6 * frame)
    for place, picture in enumerate(pictures):
        small = ImageOps.contain(picture, room)
        framed = ImageOps.expand(_flat(request, small), border=frame, fill=WHITE)
        row, column = divmod(place, columns)
        left = box[0] + column * wide + (wide - framed.width) // 2
        top = box[1] + row * high + (high - framed.height) // 2
        canvas.paste(framed, (left, top))
    return canvas


def edit(request: ImageRequest, index: int) -> Image.Image:
    """The edit number *index* of *request*; mode `RGBA`.

    With a mask, the source shows where it is opaque and the drawing where it is transparent.
    Without one, the whole source is dyed. Several pictures are laid out on a sheet, and with a mask
    the further ones are within its transparent part.
    """
    source = _source(request)
    others = [image_of(each).convert("RGBA") for each in request.images[1:]]
    if request.mask is None and others:
        above_the_card = (0, 0, request.size[0], request.size[1] * 5 // 8)
        return _sheet(request, index, [source, *others], above_the_card)
    fitted = _fit(source, request.size, Image.Resampling.LANCZOS)
    if request.mask is None:
        dyed = _dyed(_flat(request, fitted), placeholder.tint(request, index), DYE)
        return Image.alpha_composite(dyed, placeholder.draw_card(request, index).convert("RGBA"))
    holes = _holes(request.mask, request.size)
    box = holes.getbbox() if others else None
    drawing = _sheet(request, index, others, box) if box else placeholder.draw(request, index)
    return Image.composite(drawing.convert("RGBA"), _flat(request, fitted), holes)


def vary(request: ImageRequest, index: int) -> Image.Image:
    """The variation number *index* of *request*: the source in another tone, every other one
    mirrored; mode `RGBA`."""
    fitted = _flat(request, _fit(_source(request), request.size, Image.Resampling.LANCZOS))
    if index % 2:
        fitted = ImageOps.mirror(fitted)
    return _dyed(fitted, placeholder.tint(request, index), 0.2)
