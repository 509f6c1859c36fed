"""The output formats as data: how a drawn picture becomes a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

from PIL import Image

Options = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Format:
    """One `output_format`: its media type, and Pillow's name and options for a compression."""

    mimetype: str
    pillow: str
    options: Callable[[int], Options]


def _png(compression: int) -> Options:
    return {"compress_level": 1}


def _jpeg(compression: int) -> Options:
    return {"quality": max(1, compression)}


def _webp(compression: int) -> Options:
    # Lossless is no slower than lossy at this effort, and the better picture.
    if compression == 100:
        return {"lossless": True, "quality": 0, "method": 1, "exact": True}
    return {"quality": compression, "method": 0}


FORMATS: Final[Mapping[str, Format]] = {
    "png": Format("image/png", "PNG", _png),
    "jpeg": Format("image/jpeg", "JPEG", _jpeg),
    "webp": Format("image/webp", "WEBP", _webp),
}
"""Each word that `output_format` may be."""


def encode(image: Image.Image, output_format: str, compression: int, *, transparent: bool) -> bytes:
    """*image* as a file in true colour, with alpha only where it is *transparent*.

    *compression* is 0 to 100, of which 100 is the best quality and the largest file.
    """
    form = FORMATS[output_format]
    file = BytesIO()
    image.convert("RGBA" if transparent else "RGB").save(
        file, form.pillow, **form.options(compression)
    )
    return file.getvalue()
