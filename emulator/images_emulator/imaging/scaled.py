"""Loads the pixels of a file at the scale at which they are kept. A large picture is not copied
whole, and a large JPEG is not decoded at its full size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from PIL import ExifTags, Image, ImageOps

from images_emulator.contract.rules import Pixels
from images_emulator.imaging.decode_limits import PIXEL_BYTES, scale_of

TRANSPOSED_ORIENTATIONS: Final = frozenset({5, 6, 7, 8})
"""The EXIF orientations that exchange width and height."""

STRIP_ROWS: Final = 64
"""The number of rows of the scaled picture that are made at once."""


class ScaledPixels(NamedTuple):
    """The pixels of a file, upright. *size* is the size of the file. *known_transparency* says
    whether any pixel of the file is fully transparent. It is None for a JPEG, which has no
    transparency, and for a PNG that is not scaled: there *image* itself shows it."""

    image: Image.Image
    size: Pixels
    known_transparency: bool | None = None


def load(file: Image.Image) -> ScaledPixels:
    """Decode the opened *file*, or the first frame of an animation. Raises any error of the
    decoder."""
    size = file.size
    scale = scale_of(*size)
    known_transparency = None
    if file.format == "WEBP":
        image, known_transparency = _join_strips(
            _webp_strips(file, STRIP_ROWS * scale), file, scale
        )
    elif file.format == "JPEG" or scale == 1:
        if scale > 1:
            file.draft(None, (size[0] // scale, size[1] // scale))
        file.load()
        image = file
    else:
        file.load()
        image, known_transparency = _join_strips(_strips(file, STRIP_ROWS * scale), file, scale)
    orientation = file.getexif().get(ExifTags.Base.Orientation)
    upright = (size[1], size[0]) if orientation in TRANSPOSED_ORIENTATIONS else size
    if image is file:
        return ScaledPixels(ImageOps.exif_transpose(image), upright)
    if orientation:
        image.getexif()[ExifTags.Base.Orientation] = orientation
        ImageOps.exif_transpose(image, in_place=True)
    return ScaledPixels(image, upright, known_transparency)


def _join_strips(
    strips: Iterator[Image.Image], file: Image.Image, scale: int
) -> tuple[Image.Image, bool]:
    """The picture that *strips* make, in mode `L`, `RGB` or `RGBA`, and whether any of its pixels
    is fully transparent. Each strip has `STRIP_ROWS` times *scale* rows; the last one may have
    fewer.

    The alpha of one pixel stands for *scale*² pixels, so that the clear pixels of a mask stay
    clear.
    """
    has_alpha = file.has_transparency_data
    mode = "RGBA" if has_alpha else "L" if file.mode in ("1", "L") else "RGB"
    size = -(-file.width // scale), -(-file.height // scale)
    picture, has_transparent_pixels = Image.new(mode, size), False
    for number, part in enumerate(strips):
        strip = part if part.mode == mode else part.convert(mode)
        reduced = strip.reduce(scale) if scale > 1 else strip
        if has_alpha:
            alpha = strip.getchannel("A")
            has_transparent_pixels |= alpha.histogram()[0] > 0
            if scale > 1:
                reduced.putalpha(alpha.resize(reduced.size, Image.Resampling.NEAREST))
        picture.paste(reduced, (0, number * STRIP_ROWS))
    return picture, has_transparent_pixels


def _strips(file: Image.Image, rows: int) -> Iterator[Image.Image]:
    """The decoded *file* in strips of *rows* rows."""
    for top in range(0, file.height, rows):
        yield file.crop((0, top, file.width, min(top + rows, file.height)))


def _webp_strips(file: Any, rows: int) -> Iterator[Image.Image]:
    """The first frame of an opened WebP *file* in strips of *rows* rows. Pillow would copy the
    frame twice more."""
    frame = memoryview(file._decoder.get_next()[0])
    row_bytes = file.width * PIXEL_BYTES
    for top in range(0, file.height, rows):
        height = min(rows, file.height - top)
        data = frame[top * row_bytes : (top + height) * row_bytes]
        yield Image.frombytes(file.mode, (file.width, height), data, "raw", file.rawmode)
