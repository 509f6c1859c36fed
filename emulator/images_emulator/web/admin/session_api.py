"""The session of a browser: a cookie in place of the admin token's header, which `EventSource` and
`<img>` cannot send."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from images_emulator.contract import admin_errors
from images_emulator.web.admin.admin_auth import SESSION_PATH, SessionCookie, are_same
from images_emulator.web.admin.admin_body import AdminBody
from images_emulator.web.admin.admin_docs import error_responses, json_body_schema
from images_emulator.web.admin.admin_handlers import AdminHandlers
from images_emulator.web.request_body import read_admin_json

COOKIE_PATH: Final = "/"
"""The path of the cookie. Pages of namespaces have other paths than `/_emulator/`."""

MAX_TOKEN_BODY_BYTES: Final = 65_536
"""The longest body with a token. It is read before the client has access."""


class Token(AdminBody):
    """Body of `POST /_emulator/session`: the admin token."""

    token: str


class SessionAPI(AdminHandlers):
    """Handlers of one emulator's session. An emulator without an admin token needs no session."""

    def router(self) -> APIRouter:
        router = APIRouter(tags=["emulator"])
        body = json_body_schema(Token)
        refused = error_responses(admin_errors.wrong_token, admin_errors.unknown_input)
        router.post(SESSION_PATH, status_code=204, openapi_extra=body, responses=refused)(
            self.begin
        )
        router.delete(SESSION_PATH, status_code=204)(self.end)
        return router

    async def begin(self, request: Request) -> Response:
        """Set a cookie that gives the same access as the header with the admin token, to the pages
        of this server and until the browser is closed."""
        document = await read_admin_json(request.receive, self.emulator, MAX_TOKEN_BODY_BYTES)
        sent = Token.model_validate(document)
        response = Response(status_code=204)
        token = self.emulator.settings.admin_token
        if token is not None:
            if not are_same(sent.token, token):
                raise admin_errors.wrong_token()
            cookie = SessionCookie(token)
            response.set_cookie(
                cookie.name,
                cookie.value,
                path=COOKIE_PATH,
                httponly=True,
                samesite="strict",
            )
        return response

    async def end(self) -> Response:
        """Remove the cookie."""
        response = Response(status_code=204)
        token = self.emulator.settings.admin_token
        if token is not None:
            name = SessionCookie(token).name
            response.delete_cookie(name, path=COOKIE_PATH, httponly=True, samesite="strict")
        return response
