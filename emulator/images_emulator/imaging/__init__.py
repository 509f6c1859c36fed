"""Pictures. Pillow is imported here and nowhere else, and not before there is something to draw:
who needs `imaging.synthesis` takes it from this package, which imports it then."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from images_emulator.imaging import synthesis as synthesis
    from images_emulator.imaging import uploads as uploads


def __getattr__(name: str) -> Any:
    if name in ("synthesis", "uploads"):
        return import_module(f"images_emulator.imaging.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
