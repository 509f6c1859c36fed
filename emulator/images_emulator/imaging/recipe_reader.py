"""Reads the recipe of an image file back."""

from __future__ import annotations

import json
from typing import Any

from images_emulator.imaging.formats import format_of


def read_recipe(picture: bytes) -> dict[str, Any]:
    """The recipe of *picture*, the bytes of a file that the emulator answered.

    Its keys are `endpoint`, `model`, `prompt`, `index` (from 0), `size`, and the other parameters
    that decide drawing and encoding, named as the API names them. The recipe of a partial image
    has `partial_image_index`, too. Input images and the own picture (`own_picture`) are named by
    their SHA-256.

    Raises ValueError for a file without a recipe, such as one that was saved without metadata.
    """
    output_format = format_of(picture)
    if output_format is None:
        raise ValueError("this is no picture")
    try:
        recipe = json.loads(output_format.read_recipe(picture) or b"")
    except (ValueError, RecursionError):
        recipe = None
    if not isinstance(recipe, dict) or "model" not in recipe:
        raise ValueError("this picture carries no recipe")
    return recipe
