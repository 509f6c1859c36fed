"""Writes PNG files, strip by strip into a fast deflater.

Pillow's own encoder tries five filters on every row of true colour, which drawn pictures do not
need, and walks the whole picture at once, whose memory the system hands out anew each time. Here a
strip that fits the processor's cache is expanded from its palette, filtered and deflated.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Final
from zlib import crc32

from PIL import Image, ImageChops

from images_emulator.imaging.partial_images import PartialImage

STRIP: Final = 512 * 1024
"""Bytes of true colour that are deflated at once."""

COLOUR_TYPES: Final = {"RGB": 2, "RGBA": 6}

NO_FILTER, UP = b"\x00", b"\x02"

ALONE: Final = 4
"""Bytes at a stream's start that are deflated by themselves, so that the same pixels are the same
bytes in any process. If ISA-L (2.32) is given more than 16 to start with, it hashes for the third
a register that holds the stream's address (`.write_first_byte` of igzip_icf_body_h1_gr_bt.asm),
and one picture in 3,000 comes out otherwise. With three or fewer it does not start yet."""


def _fastest() -> ModuleType:
    """ISA-L's deflater is three times as fast as zlib's and packs these pictures as small; it has
    wheels for the common platforms only."""
    try:
        from isal import isal_zlib  # noqa: PLC0415 - it may not be there
    except ImportError:
        return zlib
    module: ModuleType = isal_zlib
    return module


DEFLATER: Final = _fastest()


def _packed(strip: Image.Image, mode: str, stride: int) -> bytes:
    """What `strip.tobytes("raw", mode, stride, 1)` returns. That asks for 64 KB at a time and joins
    them, which takes a third longer."""
    encoder = Image._getencoder(strip.mode, "raw", (mode, stride, 1))
    encoder.setimage(strip.im, (0, 0, *strip.size))
    _, _, rows = encoder.encode(stride * strip.height)
    encoder.cleanup()
    assert len(rows) == stride * strip.height
    return bytes(rows)


def _rows(image: Image.Image, mode: str, top: int, bottom: int) -> bytes:
    """The rows from *top* to *bottom* of *image* in *mode*, each with a byte of zero behind it,
    which is the filter of the row that follows."""
    strip = image.crop((0, top, image.width, bottom))
    if strip.mode != mode:
        # The palette has four bytes a colour: with all of them it takes a fifth less to look up.
        strip = strip.convert("RGBA")
    return _packed(strip, mode, image.width * len(mode) + 1)


def _raised(image: Image.Image, top: int, bottom: int) -> bytearray:
    """The same rows as their differences to the ones above them, each with that filter's byte."""
    width, stride = image.width, image.width * len(image.mode) + 1
    strip = image.crop((0, top, width, bottom))
    above = image.crop((0, top - 1, width, bottom - 1))
    difference = ImageChops.subtract_modulo(strip, above)
    rows = bytearray(_packed(difference, image.mode, stride))
    rows[stride - 1 :: stride] = UP * (bottom - top)
    return rows


def _squares(preview: PartialImage, mode: str) -> Iterator[bytes]:
    """Each row once, and then as often as it is high again as "no different"."""
    stride = preview.image.width * len(mode) + 1
    rows = memoryview(_rows(preview.image, mode, 0, preview.image.height))
    same = memoryview((UP + bytes(stride - 1)) * max(preview.heights))
    strip: list[bytes | memoryview] = []
    tall = 0
    for row, height in enumerate(preview.heights):
        first = rows[row * stride : (row + 1) * stride - 1]
        strip += (NO_FILTER, first, same[: (height - 1) * stride])
        tall += height
        if tall * stride >= STRIP:
            yield b"".join(strip)
            strip, tall = [], 0
    yield b"".join(strip)


def _strips(image: Image.Image, mode: str) -> Iterator[bytes | bytearray | memoryview]:
    width, height = image.size
    # A drawn picture is flat: equal bytes in a row. A photograph's rows resemble each other.
    drawn = image.mode == "P"
    if not drawn and image.mode != mode:
        image = image.convert(mode)
    step = max(1, STRIP // (width * len(mode) + 1))
    yield NO_FILTER if drawn else UP
    for top in range(0, height, step):
        bottom = min(height, top + step)
        rows = _rows(image, mode, top, bottom) if drawn else _raised(image, top, bottom)
        # The last row has no other behind it.
        yield memoryview(rows)[:-1] if bottom == height else rows


def _deflated(
    pieces: Iterable[bytes | bytearray | memoryview], deflater: ModuleType
) -> Iterator[bytes]:
    stream = deflater.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS)
    start = b""
    for piece in pieces:
        rest = memoryview(piece)
        if missing := ALONE - len(start):
            start += rest[:missing]
            rest = rest[missing:]
            if len(start) == ALONE:
                yield stream.compress(start) + stream.flush(zlib.Z_SYNC_FLUSH)
        yield stream.compress(rest)
    yield stream.flush()


def chunk(kind: bytes, data: bytes) -> bytes:
    return b"".join(
        (struct.pack(">I", len(data)), kind, data, struct.pack(">I", crc32(data, crc32(kind))))
    )


def text_chunk(keyword: str, text: bytes) -> bytes:
    """*text* in UTF-8 under *keyword*, uncompressed and in no named language."""
    return chunk(b"iTXt", keyword.encode("latin-1") + bytes(5) + text)


def write(
    image: Image.Image | PartialImage,
    mode: str,
    texts: Mapping[str, bytes],
    deflater: ModuleType = DEFLATER,
) -> bytes:
    """*image*, of mode `P` if it was drawn, as a PNG of *mode* (`RGB` or `RGBA`) with *texts* by
    keyword. The same picture gives the same bytes by the same *deflater*, and the same pixels by
    any."""
    rows = _squares(image, mode) if isinstance(image, PartialImage) else _strips(image, mode)
    header = struct.pack(">IIBBBBB", *image.size, 8, COLOUR_TYPES[mode], 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            *(text_chunk(keyword, text) for keyword, text in texts.items()),
            chunk(b"IDAT", b"".join(_deflated(rows, deflater))),
            chunk(b"IEND", b""),
        )
    )
