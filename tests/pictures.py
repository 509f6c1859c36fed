"""Pictures that tests send and read."""

from __future__ import annotations

import base64
from functools import cache
from io import BytesIO
from zlib import crc32

from openai.types import ImagesResponse
from PIL import Image

from images_emulator.imaging.formats import OUTPUT_FORMATS

RED, BLUE, GREEN = (200, 30, 40), (20, 60, 210), (30, 160, 70)

STREAMABLE_FORMATS = [name for name, each in OUTPUT_FORMATS.items() if each.encode]
"""The output formats of one frame, which Pillow opens by the same names."""


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    """The file of *image*. A PNG is written, and read, in half the time of the usual level."""
    if form == "PNG":
        options = {"compress_level": 1} | options
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def plain(
    size: tuple[int, int] = (64, 64), mode: str = "RGB", colour: tuple[int, ...] = RED
) -> Image.Image:
    """One colour all over, in any mode."""
    return Image.new("RGBA" if mode == "RGBA" else "RGB", size, colour).convert(mode)


@cache
def png(
    size: tuple[int, int] = (64, 64), mode: str = "RGB", colour: tuple[int, ...] = RED
) -> bytes:
    return encoded(plain(size, mode, colour))


@cache
def half_clear(size: tuple[int, int] = (64, 64), colour: tuple[int, ...] = RED) -> bytes:
    """A PNG whose left half is fully transparent."""
    image = plain(size, "RGBA", (*colour, 255))
    image.paste((*colour, 0), (0, 0, size[0] // 2, size[1]))
    return encoded(image)


def halves(size: tuple[int, int] = (64, 64)) -> Image.Image:
    """Red above, blue below."""
    image = plain(size)
    image.paste(BLUE, (0, size[1] // 2, *size))
    return image


def opened(data: bytes | str | None) -> Image.Image:
    """A picture from its bytes or their base64, decoded whole."""
    assert data
    image = Image.open(BytesIO(base64.b64decode(data) if isinstance(data, str) else data))
    image.load()
    return image


def answered(response: ImagesResponse) -> list[Image.Image]:
    assert response.data
    return [opened(item.b64_json) for item in response.data]


def scans(count: int, size: tuple[int, int] = (64, 64)) -> bytes:
    """A progressive JPEG of *count* scans; the last one comes again and again, which changes no
    pixel and costs as much as any other."""
    data = encoded(plain(size), "JPEG", progressive=True)
    start = data.rindex(b"\xff\xda")
    further = count - data.count(b"\xff\xda")
    return data[:-2] + data[start:-2] * further + data[-2:]


def chunks(count: int) -> bytes:
    """A PNG of *count* chunks, of which most are empty."""
    empty = b"\0\0\0\0prVt" + crc32(b"prVt").to_bytes(4, "big")
    data = png()
    # IHDR, one IDAT and IEND are there already.
    return data[:33] + empty * (count - 3) + data[33:]


def segments(count: int) -> bytes:
    """A JPEG of *count* segments, of which most are empty."""
    data = encoded(plain(), "JPEG")
    before = sum(data.count(b"\xff" + bytes([kind])) for kind in (0xC0, 0xC4, 0xDA, 0xDB, 0xE0))
    return data[:2] + b"\xff\xe5\0\2" * (count - before) + data[2:]


def webp_chunks(count: int) -> bytes:
    """A WebP of *count* chunks, of which most are empty."""
    data = encoded(plain(mode="RGBA"), "WEBP")
    body = data[12:] + b"prVt\0\0\0\0" * count
    return b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WEBP" + body
