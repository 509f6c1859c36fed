"""The output formats (`output_format`: PNG, JPEG, WebP, GIF, SVG) with their encoders. Each makes a
file of a drawn image, and knows and reads such files.

A new output format is an entry of `OUTPUT_FORMATS`, and an entry of `FILE_TYPES` in
`file_types.py`. Which models have it, and which do not stream it, is in `contract/model_rules.py`;
which Azure lacks, in `_adapt_rule` of `contract/azure.py`; which an exchange file may describe, in
`recordings/schema.json`. All that a format touches is in `.github/CONTRIBUTING.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from typing import Any, Final, Protocol, cast

from PIL import Image

from images_emulator.contract.request import ImageRequest
from images_emulator.file_types import FILE_TYPES, FileType
from images_emulator.imaging import png
from images_emulator.imaging.drawing import CLEAR, DrawFunction
from images_emulator.imaging.partial_images import PartialImage
from images_emulator.imaging.recipe import (
    KEYWORD,
    MAX_JPEG_RECIPE_BYTES,
    pillow_recipe,
    recipe_exif,
    recipe_json,
    svg_recipe,
)
from images_emulator.immutable import Immutable

SaveOptions = Mapping[str, Any]
"""Keyword arguments of Pillow's `save`."""

SPARE: Final = CLEAR - 1
"""A palette index that no drawing uses."""

MAX_PALETTE_COLOURS: Final = SPARE
"""The most colours of an image: those before `SPARE`."""

SAMPLE_EDGE: Final = 256
"""The most pixels along an edge of the sample from which a photograph's GIF takes its colours."""


def pillow_name(file_type: FileType) -> str:
    """Pillow's name of a format, such as `WEBP`."""
    return file_type.name.upper()


class Encoder(Protocol):
    """Encodes *image* as the file of image *index* of *request*, or of its partial image
    *partial*."""

    def __call__(
        self,
        request: ImageRequest,
        image: Image.Image | PartialImage,
        index: int = 0,
        partial: int | None = None,
    ) -> bytes: ...


class OutputFormat(Immutable):
    """One `output_format`.

    *render* draws and encodes an image. *encode* encodes an image that is already drawn, as streams
    need; a format without it is one of `UNSTREAMED_FORMATS` of `contract/model_rules.py`.
    *read_recipe* returns the recipe in a file, not yet parsed, or None where the file has none. It
    raises ValueError for a file that cannot be read.

    *render* and *encode* give the same bytes in any process, with any number of threads. An encoder
    that shares its work among threads therefore has a fixed number of them.
    """

    file_type: FileType
    render: Callable[[ImageRequest, int, DrawFunction], bytes]
    read_recipe: Callable[[bytes], str | bytes | None]
    encode: Encoder | None = None
    has_scripts: bool = False
    """Whether a browser would run scripts in its files."""


def _read_by_pillow(file_type: FileType) -> Callable[[bytes], str | bytes | None]:
    return lambda image_file: pillow_recipe(image_file, pillow_name(file_type))


def _still_format(file_type: FileType, encode: Encoder) -> OutputFormat:
    """A format of one frame in true colour."""

    def render(request: ImageRequest, index: int, draw: DrawFunction) -> bytes:
        return encode(request, draw(request, index), index)

    return OutputFormat(file_type, render, _read_by_pillow(file_type), encode)


def mode_of(request: ImageRequest) -> str:
    """The mode of a file in true colour: `RGBA` where the background is transparent, else `RGB`."""
    return "RGBA" if request.is_transparent else "RGB"


def _png(
    request: ImageRequest,
    image: Image.Image | PartialImage,
    index: int = 0,
    partial: int | None = None,
) -> bytes:
    return png.encode(image, mode_of(request), {KEYWORD: recipe_json(request, index, partial)})


def _pillow_format(
    file_type: FileType,
    options: Callable[[int], SaveOptions],
    max_recipe_bytes: int | None = None,
) -> OutputFormat:
    """A format that Pillow writes. *options* gives the options of Pillow for an
    `output_compression`. The EXIF holds the recipe, in at most *max_recipe_bytes*."""

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
            pillow_name(file_type),
            exif=recipe_exif(request, index, partial, max_recipe_bytes),
            **options(request.output_compression),
        )
        return file.getvalue()

    return _still_format(file_type, encode)


def _jpeg(compression: int) -> SaveOptions:
    # Compression 100 gives the best quality and the largest file, also for WebP.
    return {"quality": max(1, compression)}


def _webp(compression: int) -> SaveOptions:
    # At this effort, lossless encoding is no slower than lossy.
    if compression == 100:
        return {"lossless": True, "quality": 0, "method": 1, "exact": True}
    return {"quality": compression, "method": 0}


def frame_delay(milliseconds: int) -> int:
    """The delay that a GIF can hold, in milliseconds. The documentation says: "rounds to the
    nearest 10 ms and caps the encoded delay at 655,350 ms per frame"."""
    return min(655_350, max(10, (milliseconds + 5) // 10 * 10))


def _to_palette(image: Image.Image, *, transparent: bool) -> Image.Image:
    """*image* in mode `P`; index `CLEAR` is transparent."""
    if image.mode == "P":
        # The image was drawn in this mode; its palette has an alpha, which the encoder does not
        # take.
        colours = image.getpalette("RGB") or []
        indexed = image.copy()
        indexed.putpalette(colours, "RGB")
        return indexed
    return _cut_out(
        image.convert("RGB").quantize(MAX_PALETTE_COLOURS, Image.Quantize.MEDIANCUT),
        image,
        transparent,
    )


def _dither_to_palette(image: Image.Image, *, transparent: bool) -> Image.Image:
    """*image*, which may be a photograph, in mode `P`. Colours that the palette lacks are dithered.
    The palette is made from a sample, which takes a twentieth of the time of making it from the
    image."""
    colours = image.convert("RGB")
    if colours.getcolors(MAX_PALETTE_COLOURS):
        return _to_palette(image, transparent=transparent)
    edges = (min(edge, SAMPLE_EDGE) for edge in image.size)
    sample = colours.resize((*edges,), Image.Resampling.NEAREST)
    palette = sample.quantize(MAX_PALETTE_COLOURS, Image.Quantize.MEDIANCUT)
    indexed = colours.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    return _cut_out(indexed, image, transparent)


def _cut_out(indexed: Image.Image, image: Image.Image, transparent: bool) -> Image.Image:
    """*indexed*; where *transparent*, with the index `CLEAR` wherever *image* is transparent."""
    if transparent:
        indexed.paste(CLEAR, mask=image.getchannel("A").point([255] * 128 + [0] * 128))
    return indexed


def _opaque_position(image: Image.Image) -> tuple[int, int]:
    """An opaque pixel of an *image* in mode `P`, of the card where there is one; any pixel of a
    clear image."""
    width, height = image.size
    position = width // 4, height - max(6, min(image.size) // 20) - 3
    if image.getpixel(position) != CLEAR:
        return position
    pixels = image.tobytes()
    first = len(pixels) - len(pixels.lstrip(bytes([CLEAR])))
    return (first % width, first // width) if first < len(pixels) else position


def _make_distinct(image: Image.Image, number: int) -> Image.Image:
    """*image*, in which every other frame has one opaque pixel changed by one shade. Pillow would
    otherwise merge equal frames into one of twice the delay."""
    position = _opaque_position(image)
    index = cast("int", image.getpixel(position))
    palette = image.getpalette("RGB") or []
    palette += [0] * (3 * 256 - len(palette))
    red, green, blue = palette[3 * index : 3 * index + 3]
    shade = blue ^ 1 if number % 2 else blue
    palette[3 * SPARE : 3 * SPARE + 3] = [red, green, shade]
    image.putpalette(palette, "RGB")
    image.putpixel(position, SPARE)
    return image


def _gif_frames(request: ImageRequest, index: int, draw: DrawFunction) -> Iterator[Image.Image]:
    to_palette = _dither_to_palette if request.own_pictures else _to_palette
    last = indexed = None
    for number in range(request.frame_count):
        image = draw(request, index, number / request.frame_count)
        if indexed is None or image is not last:
            last, indexed = image, to_palette(image, transparent=request.is_transparent)
        yield _make_distinct(indexed.copy(), number)


def _gif(request: ImageRequest, index: int, draw: DrawFunction) -> bytes:
    frames = _gif_frames(request, index, draw)
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
        **({"transparency": CLEAR} if request.is_transparent else {}),
    )
    return file.getvalue()


def _svg(request: ImageRequest, index: int, draw: DrawFunction) -> bytes:
    from images_emulator.imaging import svg  # noqa: PLC0415 - it delays the first picture

    return svg.render(request, index, draw)


OUTPUT_FORMATS: Final[Mapping[str, OutputFormat]] = {
    "png": _still_format(FILE_TYPES["png"], _png),
    "jpeg": _pillow_format(FILE_TYPES["jpeg"], _jpeg, MAX_JPEG_RECIPE_BYTES),
    "webp": _pillow_format(FILE_TYPES["webp"], _webp),
    "gif": OutputFormat(FILE_TYPES["gif"], _gif, _read_by_pillow(FILE_TYPES["gif"])),
    "svg": OutputFormat(FILE_TYPES["svg"], _svg, svg_recipe, has_scripts=True),
}
"""The formats by the values of `output_format`. `contract/model_rules.py` says which models take a
format, and which parameters conflict with it. `contract/usage.py` names the format that a
language model writes: SVG."""


def format_of(beginning: bytes) -> OutputFormat | None:
    """The output format of the file with that *beginning*, or None."""
    for output_format in OUTPUT_FORMATS.values():
        if output_format.file_type.signature.match(beginning):
            return output_format
    return None
