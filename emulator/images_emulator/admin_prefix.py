"""The path of the admin API, for the server and for those who call it."""

from __future__ import annotations

from typing import Final

ADMIN_PREFIX: Final = "/_emulator"
"""How the paths of the admin API begin."""
