"""The distribution that the package is installed by."""

from __future__ import annotations

from typing import Final

DISTRIBUTION: Final = "openai-images-emulator"
"""Its name on PyPI, by which `importlib.metadata` knows it."""

IMPORT_NAME: Final = "images_emulator"
"""The name of the package, with which the names of metrics and of attributes of spans begin."""
