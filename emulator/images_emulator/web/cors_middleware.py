"""The CORS middleware. It answers preflights, which web pages of any origin send before they call
the API. It is outside of the journal, and begins each call's scope."""

from __future__ import annotations

import re
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from images_emulator.admin_prefix import is_admin_path
from images_emulator.contract.blob_storage import preflight_failure
from images_emulator.contract.cors import preflight_headers
from images_emulator.exchange.connection import CONNECTION
from images_emulator.exchange.request_head import first_by_name
from images_emulator.state.emulator import Emulator
from images_emulator.state.hosting import DOWNLOAD_PREFIX
from images_emulator.state.random_ids import random_uuid
from images_emulator.web.answer_sender import ORIGIN
from images_emulator.web.blob_responses import storage_error_response

REQUEST_METHOD: Final = b"access-control-request-method"
REQUEST_HEADERS: Final = b"access-control-request-headers"
"""Headers of a preflight, beside `origin`."""

ABSOLUTE_FORM: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*")
"""The part before the path of a request target in absolute form. RFC 9112 requires servers to
accept such targets, and some ASGI servers pass them on unchanged."""


def is_preflight(scope: Scope) -> bool:
    """Whether a browser asks by this call whether it may send another one."""
    if scope["method"] != "OPTIONS":
        return False
    headers = first_by_name(scope["headers"])
    return ORIGIN in headers and REQUEST_METHOD in headers


class CORSMiddleware:
    """The middleware around `JournalMiddleware`. It answers a preflight before the journal, the
    faults and the check of the key. The API allows every preflight. The blob storage refuses every
    preflight, because it has no CORS rules. The admin API gets its own preflights, and refuses
    them.

    Within it there are calls alone: other scopes, such as those of WebSockets, go to Starlette's
    router, which closes them.

    It also gives each call a scope with a state of its own, and with the path alone where the
    target is in absolute form.
    """

    def __init__(self, app: ASGIApp, emulator: Emulator) -> None:
        self.app = app
        self.emulator = emulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            from starlette.routing import Router  # noqa: PLC0415 - a server has HTTP alone

            await Router()(scope, receive, send)
            return
        scope = _own_scope(scope)
        if not is_admin_path(scope["path"]) and is_preflight(scope):
            await self._preflight(scope)(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _preflight(self, scope: Scope) -> Response:
        if scope["path"].startswith(DOWNLOAD_PREFIX):
            now = self.emulator.clock.now()
            return storage_error_response(preflight_failure(), random_uuid(), now)
        headers = first_by_name(scope["headers"])
        method = headers[REQUEST_METHOD].decode("latin-1")
        names = headers.get(REQUEST_HEADERS)
        return Response(
            headers=preflight_headers(method, None if names is None else names.decode("latin-1"))
        )


def _own_scope(scope: Scope) -> Scope:
    """The *scope* for the application within, with a state of its own. Where the application is
    mounted in another application, the state of *scope* belongs to the host."""
    host = scope.get("state", {})
    state = {CONNECTION: host[CONNECTION]} if CONNECTION in host else {}
    path = scope["path"]
    if not path.startswith("/") and (absolute := ABSOLUTE_FORM.match(path)):
        path = path[absolute.end() :] or "/"
    return {**scope, "path": path, "state": state}
