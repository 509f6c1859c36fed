"""What a picture was asked to be, written into its file and read back from there."""

from __future__ import annotations

import json
import re
from html import unescape
from io import BytesIO
from typing import Any, Final

from PIL import Image

from images_emulator.contract.request import ImageRequest

KEYWORD: Final = "openai-images-emulator"
"""Names the text in a PNG, and the element in an SVG."""

DESCRIPTION: Final = 0x010E
"""EXIF's `ImageDescription`."""

MOST_IN_JPEG: Final = 65_000
"""Bytes: a segment holds 65,533."""

_IN_SVG: Final = re.compile(rb'<metadata id="%b">(.*?)</metadata>' % KEYWORD.encode(), re.DOTALL)


def note(request: ImageRequest, index: int, partial: int | None = None, room: int = 0) -> bytes:
    """The recipe of picture number *index*, or of its partial image *partial*: JSON in UTF-8.

    Where there is *room* for so many bytes only, the prompt is cut, and `prompt_cut` says so.
    """
    prompt = request.prompt
    told: dict[str, Any] = {
        "endpoint": request.operation.name,
        "model": request.model.id,
        "prompt": prompt,
        "index": index,
        "partial_image_index": partial,
        "size": "{}x{}".format(*request.size),
        "quality": request.quality,
        "style": request.style,
        "background": request.background,
        "complexity": request.complexity,
        "input_fidelity": request.input_fidelity,
        "output_format": request.output_format,
        "output_compression": request.output_compression,
        "images": [picture.digest for picture in request.images] or None,
        "mask": request.mask.digest if request.mask else None,
        "markup": request.markup.digest if request.markup else None,
    }
    told = {name: value for name, value in told.items() if value is not None}
    text = json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")
    while room and len(text) > room:
        prompt = prompt[: len(prompt) * room // len(text) - 1]
        told |= {"prompt": prompt, "prompt_cut": True}
        text = json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")
    return text


def exif(request: ImageRequest, index: int, partial: int | None, room: int) -> Image.Exif:
    """The same for a JPEG or a WebP."""
    told = Image.Exif()
    told[DESCRIPTION] = note(request, index, partial, room)
    return told


def _written(picture: bytes) -> str | bytes | None:
    if drawn := _IN_SVG.search(picture):
        return unescape(drawn[1].decode())
    try:
        with Image.open(BytesIO(picture), formats=("PNG", "JPEG", "WEBP", "GIF")) as file:
            described = file.getexif().get(DESCRIPTION)
            # Texts in EXIF are read as Latin-1, whatever they are.
            exif = described.encode("latin-1") if isinstance(described, str) else None
            found: str | bytes | None = file.info.get(KEYWORD) or file.info.get("comment") or exif
    except OSError:
        raise ValueError("this is no picture") from None
    return found


def read_recipe(picture: bytes) -> dict[str, Any]:
    """What the emulator was asked for when it drew *picture*, the bytes of a file that it answered:
    `endpoint`, `model`, `prompt`, `index` (from 0), `size`, and what else applied, named as the API
    names it; of a partial image `partial_image_index` too, of inputs their SHA-256.

    Raises ValueError for any other file, and for one that was saved anew.
    """
    try:
        told = json.loads(_written(picture) or b"")
    except json.JSONDecodeError:
        told = None
    if not isinstance(told, dict) or "model" not in told:
        raise ValueError("this picture carries no recipe")
    return told
