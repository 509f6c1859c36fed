"""Body of `GET /_emulator/health`, the liveness probe."""

from __future__ import annotations

from typing import Final

HEALTH: Final = {"status": "ok"}
