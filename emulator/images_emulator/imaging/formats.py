"""The output formats: how a drawn image becomes a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final, Protocol, cast

from PIL import Image

from images_emulator.contract.request import ImageRequest
from images_emulator.imaging import png, svg
from images_emulator.imaging.drawing import CLEAR, DrawFunction
from images_emulator.imaging.partial_images import PartialImage
from images_emulator.imaging.recipe import (
    KEYWORD,
    MAX_JPEG_RECIPE_BYTES,
    recipe_exif,
    recipe_json,
)

SaveOptions = Mapping[str, Any]
"""Keyword arguments of Pillow's `save`."""

SPARE: Final = CLEAR - 1
"""A palette index that no drawing uses."""


class Encoder(Protocol):
    """Encodes *image* as the file of image *index* of *request*, or of partial image *partial*."""

    def __call__(
        self,
        request: ImageRequest,
        image: Image.Image | PartialImage,
        index: int = 0,
        partial: int | None = None,
    ) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Format:
    """One `output_format`.

    *write* draws and encodes an image; *encode* encodes one that is already drawn, as streams need.
    A format without *encode* has no streams.
    """

    mimetype: str
    write: Callable[[ImageRequest, int, DrawFunction], bytes]
    encode: Encoder | None = None


def _still(mimetype: str, encode: Encoder) -> Format:
    """A format of one frame in true colour."""

    def write(request: ImageRequest, index: int, draw: DrawFunction) -> bytes:
        return encode(request, draw(request, index), index)

    return Format(mimetype, write, encode)


def mode_of(request: ImageRequest) -> str:
    """The mode of a file in true colour: `RGBA` where the background is transparent, else `RGB`."""
    return "RGBA" if request.transparent else "RGB"


def _png(
    request: ImageRequest,
    image: Image.Image | PartialImage,
    index: int = 0,
    partial: int | None = None,
) -> bytes:
    return png.write(image, mode_of(request), {KEYWORD: recipe_json(request, index, partial)})


def _by_pillow(
    name: str, options: Callable[[int], SaveOptions], max_recipe_bytes: int | None = None
) -> Encoder:
    def encode(
        request: ImageRequest,
        image: Image.Image | PartialImage,
        index: int = 0,
        partial: int | None = None,
    ) -> bytes:
        whole = image.whole() if isinstance(image, PartialImage) else image
        file = BytesIO()
        whole.convert(mode_of(request)).save(
            file,
            name,
            exif=recipe_exif(request, index, partial, max_recipe_bytes),
            **options(request.output_compression),
        )
        return file.getvalue()

    return encode


def _jpeg(compression: int) -> SaveOptions:
    # Compression 100 is the best quality and the largest file, for WebP too.
    return {"quality": max(1, compression)}


def _webp(compression: int) -> SaveOptions:
    # At this effort lossless is no slower than lossy.
    if compression == 100:
        return {"lossless": True, "quality": 0, "method": 1, "exact": True}
    return {"quality": compression, "method": 0}


def frame_delay(milliseconds: int) -> int:
    """The delay that a GIF can hold, in milliseconds. The documentation: "rounds to the nearest 10
    ms and caps the encoded delay at 655,350 ms per frame"."""
    return min(655_350, max(10, (milliseconds + 5) // 10 * 10))


def _indexed(image: Image.Image, *, transparent: bool) -> Image.Image:
    """*image* in mode `P`; index `CLEAR` is transparent."""
    if image.mode == "P":
        # Drawn so; its palette has an alpha, which the encoder does not take.
        colours = image.getpalette("RGB") or []
        indexed = image.copy()
        indexed.putpalette(colours, "RGB")
        return indexed
    indexed = image.convert("RGB").quantize(SPARE, Image.Quantize.MEDIANCUT)
    if transparent:
        indexed.paste(CLEAR, mask=image.getchannel("A").point([255] * 128 + [0] * 128))
    return indexed


def _distinct(image: Image.Image, number: int) -> Image.Image:
    """*image* with one pixel of the card changed by one shade in every other frame: Pillow merges
    equal frames into one of twice the delay."""
    width, height = image.size
    position = width // 4, height - max(6, min(image.size) // 20) - 3
    index = cast("int", image.getpixel(position))
    palette = image.getpalette("RGB") or []
    palette += [0] * (3 * 256 - len(palette))
    red, green, blue = palette[3 * index : 3 * index + 3]
    shade = blue ^ 1 if number % 2 else blue
    palette[3 * SPARE : 3 * SPARE + 3] = [red, green, shade]
    image.putpalette(palette, "RGB")
    image.putpixel(position, SPARE)
    return image


def _gif(request: ImageRequest, index: int, draw: DrawFunction) -> bytes:
    count = request.frame_count
    frames: Iterator[Image.Image] = (
        _distinct(
            _indexed(draw(request, index, number / count), transparent=request.transparent),
            number,
        )
        for number in range(count)
    )
    file = BytesIO()
    next(frames).save(
        file,
        "GIF",
        save_all=True,
        append_images=frames,
        duration=frame_delay(request.frame_duration_ms),
        loop=0,
        comment=recipe_json(request, index),
        disposal=2,
        optimize=False,
        **({"transparency": CLEAR} if request.transparent else {}),
    )
    return file.getvalue()


OUTPUT_FORMATS: Final[Mapping[str, Format]] = {
    "png": _still("image/png", _png),
    "jpeg": _still("image/jpeg", _by_pillow("JPEG", _jpeg, MAX_JPEG_RECIPE_BYTES)),
    "webp": _still("image/webp", _by_pillow("WEBP", _webp)),
    "gif": Format("image/gif", _gif),
    "svg": Format("image/svg+xml", svg.write),
}
"""The formats by the values of `output_format`."""
