"""A local server that a test cannot tell from the OpenAI Images API."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.imaging.recipe import read_recipe as read_recipe
    from emulator.server import Server as Server
    from emulator.settings import Settings as Settings
    from emulator.state.emulator import Emulator as Emulator
    from emulator.web.app import create_app as create_app

_HOMES = {
    "Emulator": "emulator.state.emulator",
    "Server": "emulator.server",
    "Settings": "emulator.settings",
    "create_app": "emulator.web.app",
    "read_recipe": "emulator.imaging.recipe",
}

__all__ = ["Emulator", "Server", "Settings", "create_app", "read_recipe"]


def __getattr__(name: str) -> Any:
    """The public names, imported when they are first asked for: most commands need few."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
