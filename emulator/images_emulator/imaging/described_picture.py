"""Draws the pictures that documents describe in place of a file."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from io import BytesIO
from typing import Any, Final, cast

from PIL import Image

from images_emulator.file_types import PNG_SIGNATURE

MAX_PIXELS: Final = 2**26
"""The most pixels of a described picture."""

BLUE: Final = (51, 102, 153, 255)
BROWN: Final = (153, 102, 51, 0)
"""Colours of a described picture."""

_PASSES: Final = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
"""The passes of Adam7: the first column and row of each, and the steps between them."""


def draw_described(description: Mapping[str, Any]) -> bytes:
    """The file of a picture with the `size` (`WxH`), Pillow's `mode` and the `format` of
    *description*.

    The upper left quarter is transparent where the mode has alpha and the picture is not `opaque`.
    The picture may be `animated`, `progressive`, `interlaced`, or `cut` to a number of bytes.
    Raises ValueError or OSError where there is no such picture.
    """
    width, height = map(int, description["size"].split("x"))
    if width * height > MAX_PIXELS:
        raise ValueError(f"a described picture has at most {MAX_PIXELS} pixels")
    image = Image.new("RGBA", (width, height), BLUE)
    if not description.get("opaque"):
        image.paste(BROWN, (0, 0, width // 2, height // 2))
    if description["mode"] == "I;16":
        image = Image.new("I;16", (width, height), 40_000)
    options: dict[str, Any] = {}
    if description.get("animated"):
        second = image.rotate(90).convert(description["mode"])
        options = {"save_all": True, "append_images": [second]}
    if description.get("progressive"):
        options = {"progressive": True}
    file = BytesIO()
    image.convert(description["mode"]).save(file, description["format"], **options)
    data = _interlaced_png(image) if description.get("interlaced") else file.getvalue()
    return data[: description.get("cut")]


def _interlaced_png(image: Image.Image) -> bytes:
    """An Adam7 PNG of *image*, which Pillow reads but does not write."""
    rows = b""
    width, height = image.size
    pixels = image.convert("RGB")
    for x, y, across, down in _PASSES:
        for row in range(y, height, down):
            line = bytes(
                channel
                for column in range(x, width, across)
                for channel in cast("tuple[int, ...]", pixels.getpixel((column, row)))
            )
            rows += b"\0" + line if line else b""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return PNG_SIGNATURE + body
