"""A local server that a test cannot tell from the OpenAI Images API.

The names in `__all__`, the pytest plugin and `images_emulator.testcontainers` are the public API.
So are the properties and methods, as far as they have a docstring, of what these return: calls,
clocks, namespaces. Their classes and modules, and all else, are internal, and may change in any
release.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from images_emulator.client_errors import ServerError as ServerError
    from images_emulator.imaging.recipe_reader import read_recipe as read_recipe
    from images_emulator.remote_server import RemoteServer as RemoteServer
    from images_emulator.server import Server as Server
    from images_emulator.server import running as running
    from images_emulator.settings import Settings as Settings
    from images_emulator.state.emulator import Emulator as Emulator
    from images_emulator.web.app import create_app as create_app

_HOMES = {
    "Emulator": "images_emulator.state.emulator",
    "RemoteServer": "images_emulator.remote_server",
    "Server": "images_emulator.server",
    "ServerError": "images_emulator.client_errors",
    "Settings": "images_emulator.settings",
    "create_app": "images_emulator.web.app",
    "read_recipe": "images_emulator.imaging.recipe_reader",
    "running": "images_emulator.server",
}

__all__ = [
    "Emulator",
    "RemoteServer",
    "Server",
    "ServerError",
    "Settings",
    "create_app",
    "read_recipe",
    "running",
]


def __getattr__(name: str) -> Any:
    """Return a public name. It is imported at its first use, because most commands need few of
    them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
