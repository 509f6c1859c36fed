"""The entrance: CORS preflights, which pages of any origin send before they call the API."""

from __future__ import annotations

import re
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from images_emulator.contract.cors import preflight_headers
from images_emulator.contract.storage import preflight_failure
from images_emulator.state.emulator import Emulator
from images_emulator.state.hosting import PREFIX as BLOBS
from images_emulator.state.identity import random_uuid
from images_emulator.web.recorder import ADMIN_PREFIX, ORIGIN
from images_emulator.web.request_body import header, headers_of
from images_emulator.web.storage import storage_error_response

REQUEST_METHOD: Final = b"access-control-request-method"
REQUEST_HEADERS: Final = b"access-control-request-headers"

TRANSPORT: Final = "transport"
"""The key in a scope's state for the connection, which the emulator's own server puts there."""

ABSOLUTE_FORM: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*")
"""What stands before the path of a target in absolute form, which RFC 9112 asks servers to take
and some ASGI servers hand on."""


class CORS:
    """Wraps the whole application: a preflight is answered here, before the journal, the faults and
    the key. The API allows all; the store of the hosted images has no rules and refuses each; those
    of the admin API pass, and are refused there.
    """

    def __init__(self, app: ASGIApp, emulator: Emulator) -> None:
        self.app = app
        self.emulator = emulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = _own_scope(scope)
            if scope["method"] == "OPTIONS" and _is_preflight(scope):
                await self._preflight(scope)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _preflight(self, scope: Scope) -> Response:
        if scope["path"].startswith(BLOBS):
            scope["state"]["request_id"] = random_uuid()
            return storage_error_response(preflight_failure(), scope, self.emulator)
        asked = header(scope, REQUEST_HEADERS) if REQUEST_HEADERS in headers_of(scope) else None
        return Response(headers=preflight_headers(header(scope, REQUEST_METHOD), asked))


def _own_scope(scope: Scope) -> Scope:
    """The *scope* for the layers within, with a state of its own: where the application is mounted
    in another one, that of *scope* belongs to the host."""
    given = scope.get("state", {})
    state = {TRANSPORT: given[TRANSPORT]} if TRANSPORT in given else {}
    path = scope["path"]
    if absolute := ABSOLUTE_FORM.match(path):
        path = path[absolute.end() :] or "/"
    return {**scope, "path": path, "state": state}


def _is_preflight(scope: Scope) -> bool:
    headers = headers_of(scope)
    return ORIGIN in headers and REQUEST_METHOD in headers and ADMIN_PREFIX not in scope["path"]
