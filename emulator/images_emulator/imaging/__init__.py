"""Pictures. Only this package imports Pillow. Its modules, such as `imaging.render`, are imported
when they are first used: to draw, or to validate a call that may have images."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from images_emulator.imaging import decode_limits as decode_limits
    from images_emulator.imaging import decoder as decoder
    from images_emulator.imaging import fitting as fitting
    from images_emulator.imaging import formats as formats
    from images_emulator.imaging import image_loader as image_loader
    from images_emulator.imaging import render as render
    from images_emulator.imaging import thumbnails as thumbnails

_MODULES = (
    "decode_limits",
    "decoder",
    "fitting",
    "formats",
    "image_loader",
    "render",
    "thumbnails",
)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"images_emulator.imaging.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
