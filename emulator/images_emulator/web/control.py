"""The way in to the control plane, which is made when somebody first comes."""

from __future__ import annotations

from functools import cached_property
from typing import Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from images_emulator.state.emulator import Emulator
from images_emulator.web.guard import Guard
from images_emulator.web.recorder import OWN

HEALTH: Final = {"status": "ok"}


class ControlPlane:
    """Answers `health` by itself, so that the start of a server does not wait for FastAPI, which
    takes a tenth of a second for the rest."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == f"{OWN}/health" and scope["method"] in ("GET", "HEAD"):
            await JSONResponse(HEALTH)(scope, receive, send)
        else:
            await self._guarded(scope, receive, send)

    @cached_property
    def _guarded(self) -> ASGIApp:
        from images_emulator.web.admin import create_control_plane  # noqa: PLC0415 - see above

        return Guard(create_control_plane(self.emulator), self.emulator.settings)
