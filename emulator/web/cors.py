"""CORS middleware: pages of any origin may call the API, and none of another the admin API."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator.clock import parse_as_of
from emulator.contract.calendar import AsOf
from emulator.contract.cors import ALLOW_ORIGIN, allows_without_origin, preflight_headers
from emulator.state.emulator import Emulator
from emulator.state.hosting import PREFIX as BLOBS
from emulator.web.call import header, headers_of
from emulator.web.recorder import OWN

ORIGIN: Final = b"origin"
REQUEST_METHOD: Final = b"access-control-request-method"
REQUEST_HEADERS: Final = b"access-control-request-headers"
AS_OF: Final = b"x-emulator-as-of"


class CORS:
    """Wraps the whole application: a preflight is answered here, before the journal, the faults and
    the key; every other answer under the API's paths, whether they exist or not, gets
    `access-control-allow-origin` where the call has an `Origin`.

    The admin API and the hosted images, whose store sends no such header, are left as they are.
    """

    def __init__(self, app: ASGIApp, emulator: Emulator) -> None:
        self.app = app
        self.emulator = emulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or OWN in scope["path"] or scope["path"].startswith(BLOBS):
            await self.app(scope, receive, send)
            return
        headers = headers_of(scope)
        if ORIGIN in headers:
            if scope["method"] == "OPTIONS" and REQUEST_METHOD in headers:
                await _preflight(scope)(scope, receive, send)
                return
        elif not allows_without_origin(self._as_of(headers)):
            await self.app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), ALLOW_ORIGIN]
            await send(message)

        await self.app(scope, receive, sending)

    def _as_of(self, headers: Mapping[bytes, bytes]) -> AsOf:
        """The day that the call is judged by; where its header is none, `any`."""
        named = headers.get(AS_OF)
        text = named.decode("latin-1") if named else self.emulator.settings.as_of
        if text != "any":  # as most are: asking the clock takes longer than all else here
            with suppress(ValueError):
                return parse_as_of(text, self.emulator.clock.now().date())
        return None


def _preflight(scope: Scope) -> Response:
    asked = header(scope, REQUEST_HEADERS) if REQUEST_HEADERS in headers_of(scope) else None
    return Response(headers=preflight_headers(header(scope, REQUEST_METHOD), asked))
