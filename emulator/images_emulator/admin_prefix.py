"""The path of the admin API, shared by the server and its callers."""

from __future__ import annotations

from typing import Final

ADMIN_PREFIX: Final = "/_emulator"
"""The beginning of the paths of the admin API."""
