"""The path of the admin API, shared by the server and its callers, and its safe methods."""

from __future__ import annotations

from typing import Final

ADMIN_PREFIX: Final = "/_emulator"
"""The beginning of the paths of the admin API."""


def is_admin_path(path: str) -> bool:
    """Whether *path*, in which no namespace is named, is of the admin API."""
    return path == ADMIN_PREFIX or path.startswith(f"{ADMIN_PREFIX}/")


SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")
"""The methods of the admin API that change nothing."""
