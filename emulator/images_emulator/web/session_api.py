"""The session of a browser: a cookie in place of the admin token's header, which `EventSource` and
`<img>` cannot send."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from images_emulator.contract import admin_errors
from images_emulator.state.emulator import Emulator
from images_emulator.web.admin_auth import SESSION_PATH, SessionCookie, is_same
from images_emulator.web.admin_docs import json_body_schema
from images_emulator.web.recorder import ADMIN_PREFIX
from images_emulator.web.request_body import read_admin_json


class Token(BaseModel):
    """Body of `POST /_emulator/session`: the admin token."""

    model_config = ConfigDict(extra="forbid", strict=True)

    token: str


class SessionAPI:
    """Handlers of one emulator's session. Where it has no admin token, none is needed."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.token = emulator.settings.admin_token
        self.cookie = SessionCookie(self.token) if self.token is not None else None

    def router(self) -> APIRouter:
        router = APIRouter(tags=["emulator"])
        body = json_body_schema(Token)
        router.post(SESSION_PATH, status_code=204, openapi_extra=body)(self.begin)
        router.delete(SESSION_PATH, status_code=204)(self.end)
        return router

    async def begin(self, request: Request) -> Response:
        """Set a cookie that does as well as the header with the admin token, for the pages of this
        server, until the browser is closed."""
        sent = Token.model_validate(await read_admin_json(request.receive, self.emulator))
        response = Response(status_code=204)
        if self.token is not None and self.cookie is not None:
            if not is_same(sent.token, self.token):
                raise admin_errors.wrong_token()
            response.set_cookie(
                self.cookie.name,
                self.cookie.value,
                path=ADMIN_PREFIX,
                httponly=True,
                samesite="strict",
            )
        return response

    async def end(self) -> Response:
        """Remove the cookie."""
        response = Response(status_code=204)
        if self.cookie is not None:
            response.delete_cookie(
                self.cookie.name, path=ADMIN_PREFIX, httponly=True, samesite="strict"
            )
        return response
