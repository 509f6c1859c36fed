"""The output formats as data: how a drawn picture becomes a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final, Protocol, cast

from PIL import Image

from images_emulator.contract.request import ImageRequest
from images_emulator.imaging import png, svg
from images_emulator.imaging.drawing import CLEAR
from images_emulator.imaging.partial_images import PartialImage
from images_emulator.imaging.recipe import (
    KEYWORD,
    MAX_JPEG_RECIPE_BYTES,
    recipe_exif,
    recipe_json,
)

Options = Mapping[str, Any]

SPARE: Final = CLEAR - 1
"""A place of the palette that no picture uses."""


class Artist(Protocol):
    """Draws the picture number *index* of *request*, at *phase* (from 0 to 1) of an animation."""

    def __call__(self, request: ImageRequest, index: int, phase: float = 0.0) -> Image.Image: ...


class Encoder(Protocol):
    """Writes *image*, or a preview of it, as the picture number *index* of *request*; *partial* is
    the number of the partial image that it is."""

    def __call__(
        self,
        request: ImageRequest,
        image: Image.Image | PartialImage,
        index: int = 0,
        partial: int | None = None,
    ) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Format:
    """One `output_format`: its media type, what it writes of an artist's picture, and what of a
    picture that is already there (only streams need that)."""

    mimetype: str
    write: Callable[[ImageRequest, int, Artist], bytes]
    encode: Encoder | None = None


def _still(mimetype: str, encode: Encoder) -> Format:
    """A format of one frame, in true colour, with alpha only where the picture is transparent."""

    def write(request: ImageRequest, index: int, artist: Artist) -> bytes:
        return encode(request, artist(request, index), index)

    return Format(mimetype, write, encode)


def mode_of(request: ImageRequest) -> str:
    """The mode of the files in true colour: with alpha where they may be transparent."""
    return "RGBA" if request.transparent else "RGB"


def _png(
    request: ImageRequest,
    image: Image.Image | PartialImage,
    index: int = 0,
    partial: int | None = None,
) -> bytes:
    return png.write(image, mode_of(request), {KEYWORD: recipe_json(request, index, partial)})


def _by_pillow(
    name: str, options: Callable[[int], Options], max_recipe_bytes: int | None = None
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


def _jpeg(compression: int) -> Options:
    # 100 is the best quality and the largest file, for WebP too.
    return {"quality": max(1, compression)}


def _webp(compression: int) -> Options:
    # Lossless is no slower than lossy at this effort, and the better picture.
    if compression == 100:
        return {"lossless": True, "quality": 0, "method": 1, "exact": True}
    return {"quality": compression, "method": 0}


def frame_delay(milliseconds: int) -> int:
    """The delay that a GIF can say: "rounds to the nearest 10 ms and caps the encoded delay at
    655,350 ms per frame"."""
    return min(655_350, max(10, (milliseconds + 5) // 10 * 10))


def _indexed(image: Image.Image, *, transparent: bool) -> Image.Image:
    """*image* by a palette, of which the last place is the clear one."""
    if image.mode == "P":
        # Drawn so, with an alpha in the palette that the encoder has no place for.
        colours = image.getpalette("RGB") or []
        indexed = image.copy()
        indexed.putpalette(colours, "RGB")
        return indexed
    indexed = image.convert("RGB").quantize(SPARE, Image.Quantize.MEDIANCUT)
    if transparent:
        indexed.paste(CLEAR, mask=image.getchannel("A").point([255] * 128 + [0] * 128))
    return indexed


def _distinct(image: Image.Image, number: int) -> Image.Image:
    """*image* with one pixel of the card one shade off in every other frame: of two frames that are
    equal Pillow would write one, for twice as long."""
    width, height = image.size
    spot = width // 4, height - max(6, min(image.size) // 20) - 3
    place = cast("int", image.getpixel(spot))
    palette = image.getpalette("RGB") or []
    palette += [0] * (3 * 256 - len(palette))
    red, green, blue = palette[3 * place : 3 * place + 3]
    shade = blue ^ 1 if number % 2 else blue
    palette[3 * SPARE : 3 * SPARE + 3] = [red, green, shade]
    image.putpalette(palette, "RGB")
    image.putpixel(spot, SPARE)
    return image


def _gif(request: ImageRequest, index: int, artist: Artist) -> bytes:
    count = request.frame_count
    frames: Iterator[Image.Image] = (
        _distinct(
            _indexed(artist(request, index, number / count), transparent=request.transparent),
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
"""Each word that `output_format` may be."""
