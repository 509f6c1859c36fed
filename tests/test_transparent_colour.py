"""The transparent colour of a PNG (tRNS): the pixels that the PNG specification says are clear, for
each depth of samples."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from struct import pack
from typing import Final

import httpx2
import pytest

from images_emulator.imaging.decoder import decode
from images_emulator.imaging.fitting import decoded_picture
from reliability.broken_pictures import END, Chunk, head, png_of
from tests.pictures import opened, png

GREY, RGB = 0, 2
"""Colour types of PNG."""


def coloured(
    depth: int, kind: int, samples: Sequence[int], transparent: Sequence[int], rows: int = 1
) -> bytes:
    """A PNG of equal *rows*, whose samples have *depth* bits, with a transparent colour."""
    width = len(samples) // (3 if kind == RGB else 1)
    bits = "".join(f"{sample:0{depth}b}" for sample in samples)
    row = b"\0" + int(bits, 2).to_bytes(len(bits) // 8)
    return png_of(
        head(width, rows, depth, kind),
        Chunk(b"tRNS", pack(f">{len(transparent)}H", *transparent)),
        Chunk(b"IDAT", zlib.compress(row * rows)),
        END,
    )


CASES: Final = {
    "1 bit": (1, GREY, [0, 1] * 4, [1], [255, 0] * 4),
    "2 bits, white": (2, GREY, [0, 1, 2, 3], [3], [255, 255, 255, 0]),
    "2 bits, grey": (2, GREY, [0, 1, 2, 3], [1], [255, 0, 255, 255]),
    "2 bits, black": (2, GREY, [0, 1, 2, 3], [0], [0, 255, 255, 255]),
    "2 bits, other bits set": (2, GREY, [0, 1, 2, 3], [0x0106], [255, 255, 0, 255]),
    "4 bits, white": (4, GREY, [0, 3, 15, 1], [15], [255, 255, 0, 255]),
    "4 bits, grey": (4, GREY, [0, 3, 15, 1], [3], [255, 0, 255, 255]),
    "4 bits, other bits set": (4, GREY, [0, 3, 15, 1], [0x11], [255, 255, 255, 0]),
    "8 bits": (8, GREY, [0, 3, 255, 51], [3], [255, 0, 255, 255]),
    "colours of 8 bits": (8, RGB, [1, 2, 3, 3, 2, 1], [3, 2, 1], [255, 0]),
    "colours of 16 bits": (
        *(16, RGB, [0x1234, 0, 0, 0x3400, 0, 0, 0x1234, 0, 0xFFFF]),
        *([0x1234, 0, 0], [0, 255, 255]),
    ),
}
"""Depth, colour type, samples and transparent colour, with the alpha of each pixel."""


@pytest.mark.parametrize(
    ("depth", "kind", "samples", "transparent", "alphas"), CASES.values(), ids=CASES.keys()
)
def test_pixels_of_the_transparent_colour_are_clear(
    depth: int, kind: int, samples: list[int], transparent: list[int], alphas: list[int]
) -> None:
    data = coloured(depth, kind, samples, transparent)
    upload = decode(data)
    assert upload
    assert upload.has_transparent_pixels
    for picture in (upload.image.convert("RGBA"), decoded_picture(data)):
        assert [*picture.getchannel("A").tobytes()] == alphas


def test_a_grey_of_16_bits_is_clear_where_both_bytes_are_the_transparent_colour_s() -> None:
    samples = [0x1234, 0x1235, 0x3400, 0x0012, 0xFFFF]
    picture = decoded_picture(coloured(16, GREY, samples, [0x1234]))
    assert [*picture.getchannel("A").tobytes()] == [0, 255, 255, 255, 255]
    assert [*picture.getchannel("R").tobytes()] == [0x12, 0x12, 0x34, 0, 0xFF]


@pytest.mark.slow
def test_a_large_picture_keeps_its_transparent_colour_at_its_scale() -> None:
    upload = decode(coloured(2, GREY, [3, 3, 2, 2] * 1024, [3], rows=4096))
    assert upload
    assert upload.image.size == (2048, 2048)
    assert upload.has_transparent_pixels
    assert [*upload.image.getchannel("A").crop((0, 0, 4, 1)).tobytes()] == [0, 255, 0, 255]


def test_a_markup_of_four_greys_is_not_opaque(http: httpx2.Client) -> None:
    fields = {"model": "gpt-image-2.5-flare", "prompt": "x", "quality": "low", "size": "1024x1024"}
    markup = coloured(2, GREY, [3] * 32 + [0] * 32, [3], rows=64)
    files = {"image": ("a.png", png()), "markup": ("b.png", markup)}
    answer = http.post("/v1/images/edits", data=fields, files=files)
    assert answer.status_code == 200, answer.text
    assert opened(answer.json()["data"][0]["b64_json"]).size == (1024, 1024)
