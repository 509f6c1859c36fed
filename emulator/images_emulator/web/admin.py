"""The way in to the admin API, which is made when somebody first comes."""

from __future__ import annotations

from functools import cached_property
from typing import Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from images_emulator.state.emulator import Emulator
from images_emulator.web.admin_auth import AdminAuth
from images_emulator.web.recorder import ADMIN_PREFIX

HEALTH: Final = {"status": "ok"}


class Admin:
    """Answers `health` by itself, so that the start of a server does not wait for FastAPI, which
    takes a tenth of a second for the rest."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == f"{ADMIN_PREFIX}/health" and scope["method"] in ("GET", "HEAD"):
            await JSONResponse(HEALTH)(scope, receive, send)
        else:
            await self._guarded(scope, receive, send)

    @cached_property
    def _guarded(self) -> ASGIApp:
        from images_emulator.web.admin_api import create_admin_api  # noqa: PLC0415 - see above

        return AdminAuth(create_admin_api(self.emulator), self.emulator.settings)
