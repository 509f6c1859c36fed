"""The recipe of an image file: the parameters from which it was rendered, as JSON in its metadata.

Each entry of `formats.OUTPUT_FORMATS` says how the files of a format hold the recipe. `read_recipe`
in `recipe_reader.py` reads it back.
"""

from __future__ import annotations

import json
import re
from io import BytesIO
from typing import Any, Final

from PIL import Image

from images_emulator.contract.request import ImageRequest

KEYWORD: Final = "openai-images-emulator"
"""Keyword of the text chunk of a PNG, and id of the `<metadata>` element of an SVG."""

EXIF_IMAGE_DESCRIPTION: Final = 0x010E
"""The EXIF tag `ImageDescription`, which holds the recipe in the formats that have EXIF."""

MAX_JPEG_RECIPE_BYTES: Final = 65_000
"""The most bytes of a recipe in a JPEG. Its EXIF segment holds 65,533 bytes, with its own
header."""

_SVG_METADATA: Final = re.compile(
    rb'<metadata id="%b">(.*?)</metadata>' % KEYWORD.encode(), re.DOTALL
)


def recipe_json(
    request: ImageRequest, index: int, partial: int | None = None, max_bytes: int | None = None
) -> bytes:
    """The recipe of image *index* (from 0), or of its partial image *partial*: JSON in UTF-8.

    A recipe longer than *max_bytes* has its prompt cut, and `prompt_cut` set to true.
    """
    values = request.recipe()
    recipe = {
        "endpoint": values.pop("operation"),
        "model": values.pop("model"),
        "prompt": values.pop("prompt"),
        "index": index,
    }
    if partial is not None:
        recipe["partial_image_index"] = partial
    if own := values.pop("own_pictures", None):
        # A call may have many more own pictures than images.
        values["own_picture"] = own[index % len(own)]
    recipe |= values
    text = _encode(recipe)
    while max_bytes and len(text) > max_bytes:
        prompt = recipe["prompt"]
        recipe["prompt"] = prompt[: len(prompt) * max_bytes // len(text) - 1]
        recipe["prompt_cut"] = True
        text = _encode(recipe)
    return text


def _encode(recipe: dict[str, Any]) -> bytes:
    return json.dumps(recipe, ensure_ascii=False).encode("utf-8", "replace")


def recipe_exif(
    request: ImageRequest, index: int, partial: int | None, max_bytes: int | None
) -> Image.Exif:
    """The EXIF of a file, with the recipe as its only entry."""
    exif = Image.Exif()
    exif[EXIF_IMAGE_DESCRIPTION] = recipe_json(request, index, partial, max_bytes)
    return exif


def svg_recipe(image_file: bytes) -> str | bytes | None:
    """The recipe in an SVG, not yet parsed; None where it has none."""
    from html import unescape  # noqa: PLC0415 - it delays the first picture

    element = _SVG_METADATA.search(image_file)
    return unescape(element[1].decode()) if element else None


def pillow_recipe(image_file: bytes, pillow_name: str) -> str | bytes | None:
    """The recipe in a file of the format that Pillow calls *pillow_name*, not yet parsed; None
    where it has none. Raises ValueError for a file of another format."""
    from images_emulator.imaging.pillow_warnings import pillow_silenced  # noqa: PLC0415 - it delays the first picture

    try:
        with pillow_silenced(), Image.open(BytesIO(image_file), formats=(pillow_name,)) as image:
            description = image.getexif().get(EXIF_IMAGE_DESCRIPTION)
            # Pillow decodes EXIF texts as Latin-1, whatever their encoding is.
            exif = description.encode("latin-1") if isinstance(description, str) else None
            text: str | bytes | None = image.info.get(KEYWORD) or image.info.get("comment") or exif
    except OSError:
        raise ValueError("this is no picture") from None
    return text
