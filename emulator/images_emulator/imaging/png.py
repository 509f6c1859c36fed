"""Writes PNG files, strip by strip through a fast deflater.

Pillow's own encoder tries five filters on every row, which drawn images do not need. It also takes
the whole image at once, in memory that the system allocates each time. Here a strip fits the
processor's cache, and is expanded from its palette, filtered and deflated there.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any, Final
from zlib import crc32

from PIL import Image, ImageChops

from images_emulator.file_types import PNG_SIGNATURE
from images_emulator.imaging.partial_images import PartialImage

STRIP_BYTES: Final = 512 * 1024
"""Bytes of true colour that are filtered and deflated at once."""

COLOUR_TYPES: Final = {"RGB": 2, "RGBA": 6}
"""The colour type in the PNG header, by Pillow's mode."""

NO_FILTER, UP = b"\x00", b"\x02"
"""The bytes of the PNG filters 0 (None) and 2 (Up), as they stand before each scanline."""

FIRST_BYTES: Final = 4
"""The number of bytes at the start of a stream that are deflated by themselves, so that the same
pixels give the same bytes in any process.

If ISA-L (2.32) gets more than 16 bytes at first, its third hash is of a register that holds the
stream's address (`.write_first_byte` of igzip_icf_body_h1_gr_bt.asm). One image in 3,000 then comes
out differently. With three bytes or fewer it does not start yet.
"""


def _fastest() -> ModuleType:
    """ISA-L's deflater where it is installed, else zlib's. ISA-L is three times as fast and
    compresses these images as well, but has wheels for the common platforms only."""
    try:
        from isal import isal_zlib  # noqa: PLC0415 - it may not be there
    except ImportError:
        return zlib
    module: ModuleType = isal_zlib
    return module


DEFLATER: Final = _fastest()
"""The module that deflates: zlib, or isal where it is installed."""

RAW_ENCODER: Final[Callable[..., Any] | None] = getattr(Image, "_getencoder", None)
"""Pillow's encoder of raw pixels; None where Pillow has none, as it is not documented. `tobytes`
does the same."""


def _pack(
    strip: Image.Image,
    mode: str,
    stride: int,
    raw_encoder: Callable[..., Any] | None = RAW_ENCODER,
) -> bytes:
    """The pixels of *strip* in *mode*, with zeros up to *stride* bytes a row. `tobytes` takes a
    third longer than *raw_encoder*, because it encodes 64 KB at a time and joins them."""
    if raw_encoder is None:
        return strip.tobytes("raw", mode, stride, 1)
    encoder = raw_encoder(strip.mode, "raw", (mode, stride, 1))
    encoder.setimage(strip.im, (0, 0, *strip.size))
    _, _, rows = encoder.encode(stride * strip.height)
    encoder.cleanup()
    assert len(rows) == stride * strip.height
    return bytes(rows)


def _rows(image: Image.Image, mode: str, top: int, bottom: int) -> bytes:
    """Scanlines *top* to *bottom* - 1 of *image* in *mode*. Each is followed by the filter byte of
    the next one, `NO_FILTER`."""
    strip = image.crop((0, top, image.width, bottom))
    if strip.mode != mode:
        # Palettes have four bytes a colour; expanding all four takes a fifth less time.
        strip = strip.convert("RGBA")
    return _pack(strip, mode, image.width * len(mode) + 1)


def _rows_up(image: Image.Image, top: int, bottom: int) -> bytearray:
    """Scanlines *top* to *bottom* - 1 of *image*, filtered by `UP`: each as its difference from the
    scanline above."""
    width, stride = image.width, image.width * len(image.mode) + 1
    strip = image.crop((0, top, width, bottom))
    above = image.crop((0, top - 1, width, bottom - 1))
    difference = ImageChops.subtract_modulo(strip, above)
    rows = bytearray(_pack(difference, image.mode, stride))
    rows[stride - 1 :: stride] = UP * (bottom - top)
    return rows


def _partial_image_rows(image: PartialImage, mode: str) -> Iterator[bytes]:
    """The scanlines of a partial image. Each distinct row comes once with filter 0 (None), followed
    by height - 1 rows with filter 2 (Up) and zero differences."""
    stride = image.image.width * len(mode) + 1
    rows = memoryview(_rows(image.image, mode, 0, image.image.height))
    unchanged = memoryview((UP + bytes(stride - 1)) * max(image.heights))
    strip: list[bytes | memoryview] = []
    strip_height = 0
    for row, height in enumerate(image.heights):
        first = rows[row * stride : (row + 1) * stride - 1]
        strip += (NO_FILTER, first, unchanged[: (height - 1) * stride])
        strip_height += height
        if strip_height * stride >= STRIP_BYTES:
            yield b"".join(strip)
            strip, strip_height = [], 0
    yield b"".join(strip)


def _strips(image: Image.Image, mode: str) -> Iterator[bytes | bytearray | memoryview]:
    width, height = image.size
    # Drawn images have equal bytes within a row; the rows of a photograph resemble each other.
    is_drawn = image.mode == "P"
    if not is_drawn and image.mode != mode:
        image = image.convert(mode)
    step = max(1, STRIP_BYTES // (width * len(mode) + 1))
    yield NO_FILTER if is_drawn else UP
    for top in range(0, height, step):
        bottom = min(height, top + step)
        rows = _rows(image, mode, top, bottom) if is_drawn else _rows_up(image, top, bottom)
        # No filter follows the last scanline.
        yield memoryview(rows)[:-1] if bottom == height else rows


def _deflate(
    pieces: Iterable[bytes | bytearray | memoryview], deflater: ModuleType
) -> Iterator[bytes]:
    stream = deflater.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS)
    start = b""
    for piece in pieces:
        rest = memoryview(piece)
        if missing := FIRST_BYTES - len(start):
            start += rest[:missing]
            rest = rest[missing:]
            if len(start) == FIRST_BYTES:
                yield stream.compress(start) + stream.flush(zlib.Z_SYNC_FLUSH)
        yield stream.compress(rest)
    yield stream.flush()


def chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG chunk: length, type, data, CRC-32."""
    return b"".join(
        (struct.pack(">I", len(data)), kind, data, struct.pack(">I", crc32(data, crc32(kind))))
    )


def text_chunk(keyword: str, text: bytes) -> bytes:
    """An iTXt chunk: *text* in UTF-8 under *keyword*, uncompressed and without a language."""
    return chunk(b"iTXt", keyword.encode("latin-1") + bytes(5) + text)


def encode(
    image: Image.Image | PartialImage,
    mode: str,
    texts: Mapping[str, bytes],
    deflater: ModuleType = DEFLATER,
) -> bytes:
    """*image* (in mode `P` if it was drawn) as a PNG of *mode* (`RGB` or `RGBA`), with *texts* by
    keyword. One image gives the same bytes with the same *deflater*, and the same pixels with any.
    """
    rows = (
        _partial_image_rows(image, mode)
        if isinstance(image, PartialImage)
        else _strips(image, mode)
    )
    header = struct.pack(">IIBBBBB", *image.size, 8, COLOUR_TYPES[mode], 0, 0, 0)
    return b"".join(
        (
            PNG_SIGNATURE,
            chunk(b"IHDR", header),
            *(text_chunk(keyword, text) for keyword, text in texts.items()),
            chunk(b"IDAT", b"".join(_deflate(rows, deflater))),
            chunk(b"IEND", b""),
        )
    )
