"""Pictures that tests send and read."""

from __future__ import annotations

import base64
from io import BytesIO

from openai.types import ImagesResponse
from PIL import Image

RED, BLUE, GREEN = (200, 30, 40), (20, 60, 210), (30, 160, 70)


def encoded(image: Image.Image, form: str = "PNG") -> bytes:
    file = BytesIO()
    image.save(file, form)
    return file.getvalue()


def plain(
    size: tuple[int, int] = (64, 64), mode: str = "RGB", colour: tuple[int, ...] = RED
) -> Image.Image:
    """One colour all over, in any mode."""
    return Image.new("RGBA" if mode == "RGBA" else "RGB", size, colour).convert(mode)


def png(
    size: tuple[int, int] = (64, 64), mode: str = "RGB", colour: tuple[int, ...] = RED
) -> bytes:
    return encoded(plain(size, mode, colour))


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
