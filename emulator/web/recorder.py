"""The outermost layer: gives each call its id and each answer the API's standard headers."""

from __future__ import annotations

from time import perf_counter
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator.state.emulator import Emulator
from emulator.state.hosting import PREFIX as BLOBS

OWN: Final = "/_emulator"
"""The prefix of what is the emulator's and not the API's."""

VERSION: Final = "2020-10-01"


class Recorder:
    """Wraps the whole application."""

    def __init__(self, app: ASGIApp, emulator: Emulator) -> None:
        self.app = app
        self.emulator = emulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and "://" in scope["path"]:
            # A proxy's absolute form, which RFC 9112 asks servers to take.
            scope["path"] = urlsplit(scope["path"]).path
        if scope["type"] != "http" or scope["path"].startswith((OWN, BLOBS)):
            await self.app(scope, receive, send)
            return
        start = perf_counter()
        scope.setdefault("state", {})["request_id"] = identity = f"req_{uuid4().hex}"

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = identity
                headers["openai-version"] = VERSION
                headers["openai-processing-ms"] = str(round((perf_counter() - start) * 1000))
                headers["x-content-type-options"] = "nosniff"
                headers["access-control-expose-headers"] = "X-Request-ID"
                if message["status"] != 401:
                    headers["openai-organization"] = self.emulator.organization
                    headers["openai-project"] = self.emulator.project
            await send(message)

        await self.app(scope, receive, sending)
