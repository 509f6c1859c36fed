"""The answer to the liveness probe, `GET /_emulator/health`."""

from __future__ import annotations

from typing import Final

HEALTH: Final = {"status": "ok"}
"""The body of the answer."""
