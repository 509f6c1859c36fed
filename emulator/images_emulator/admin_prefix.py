"""The path of the admin API, shared by the server and its callers, and its safe methods."""

from __future__ import annotations

from typing import Final

ADMIN_PREFIX: Final = "/_emulator"
"""The beginning of the paths of the admin API."""

READING_METHODS: Final = ("GET", "HEAD", "OPTIONS")
"""The methods of the admin API that change nothing."""
