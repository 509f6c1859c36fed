"""Reads the recipe of an image file back."""

from __future__ import annotations

import json
from typing import Any

from images_emulator.imaging.formats import format_of


def read_recipe(picture: bytes) -> dict[str, Any]:
    """The recipe of *picture*, the bytes of a file that the emulator answered.

    Its keys are `endpoint`, `model`, `prompt`, `index` (from 0), `size`, and the other parameters
    that decide drawing and encoding, named as the API names them. Of a partial image there is
    `partial_image_index`, of inputs and of an own picture (`own_picture`) their SHA-256.

    Raises ValueError for any other file, and for one that was saved anew.
    """
    output_format = format_of(picture)
    if output_format is None:
        raise ValueError("this is no picture")
    try:
        recipe = json.loads(output_format.read_recipe(picture) or b"")
    except json.JSONDecodeError:
        recipe = None
    if not isinstance(recipe, dict) or "model" not in recipe:
        raise ValueError("this picture carries no recipe")
    return recipe
