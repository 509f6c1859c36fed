"""The distribution that contains the package."""

from __future__ import annotations

from typing import Final

DISTRIBUTION: Final = "openai-images-emulator"
"""The name of the distribution on PyPI and for `importlib.metadata`."""

IMPORT_NAME: Final = "images_emulator"
"""The name of the package. The names of metrics and of attributes of spans begin with it."""
