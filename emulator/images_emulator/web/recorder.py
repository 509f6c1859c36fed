"""The layer of the journal: gives each call its id, writes it down, and gives each answer the API's
standard headers."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from images_emulator.contract.cors import ALLOW_ORIGIN
from images_emulator.contract.dialect import Answer, Dialect
from images_emulator.state.emulator import Emulator
from images_emulator.state.entry import Entry, Kind
from images_emulator.state.hosting import PREFIX as BLOBS
from images_emulator.state.identity import random_digits, random_uuid
from images_emulator.web.authentication import day_of
from images_emulator.web.dialect import dialect_at
from images_emulator.web.release import release
from images_emulator.web.request_body import headers_of, is_large, parse_again

ADMIN_PREFIX: Final = "/_emulator"
"""Path prefix of the admin API."""

ORIGIN: Final = b"origin"


class Recorder:
    """Wraps the whole application; calls to *admin*, the admin API, are not journalled."""

    def __init__(self, app: ASGIApp, admin: ASGIApp, emulator: Emulator) -> None:
        self.app = app
        self.admin = admin
        self.emulator = emulator
        account = emulator.account
        self._account = account.organization.encode(), account.project.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        if path.startswith(f"{ADMIN_PREFIX}/") or path == ADMIN_PREFIX:
            await self.admin(scope, receive, send)
            return
        download = path.startswith(BLOBS)
        dialect = dialect_at(path)
        identity = random_uuid() if download else dialect.request_id(random_digits())
        entry = await self._arrived(identity, scope, dialect, "download" if download else "call")
        transport = scope["state"].get("transport")

        async def sending(message: Message) -> None:
            # What is sent on a closed connection leaves no more.
            leaves = transport is None or not transport.is_closing()
            if message["type"] == "http.response.start" and download:
                # The store's headers are its own.
                if leaves:
                    entry.answering(message["status"])
            elif message["type"] == "http.response.start":
                answer = Answer(
                    identity,
                    message["status"],
                    round(entry.elapsed_ms),
                    *self._account,
                    day_of(scope, self.emulator.settings),
                    headers_of(scope).get(b"x-ms-client-request-id"),
                    scope["state"].get("admitted", False),
                    scope["state"].get("deployment"),
                )
                headers = [*message.get("headers", ()), *dialect.headers(answer)]
                if ORIGIN in headers_of(scope) and ALLOW_ORIGIN not in headers:
                    headers.append(ALLOW_ORIGIN)
                message["headers"] = headers
                if leaves:
                    entry.answering(message["status"])
            elif message["type"] == "http.response.body":
                if leaves and entry.listens:
                    entry.sending(message.get("body", b""))
                if not message.get("more_body") and entry.duration_ms is None:
                    if leaves:
                        entry.sent()
                    self._completed(entry)
            await send(message)

        try:
            await self.app(scope, receive, sending)
        finally:
            if entry.duration_ms is None:
                self._completed(entry)
            # What still holds the scope holds no body and no pictures.
            state = {**scope["state"]}
            scope["state"].clear()
            if is_large(state.get("body") or ()):
                with suppress(RuntimeError):  # the server ends
                    self.emulator.renderer.parser.submit(lambda _: release(state))

    async def _arrived(self, identity: str, scope: Scope, dialect: Dialect, kind: Kind) -> Entry:
        state = scope.setdefault("state", {})
        state["request_id"], state["time"] = identity, self.emulator.clock.now()
        state["dialect"] = dialect
        entry = Entry(
            scope["method"],
            scope["path"],
            scope["query_string"].decode("latin-1"),
            scope["headers"],
            identity=identity,
            time=state["time"],
            state=state,
            parse=parse_again,
            kind=kind,
        )
        if kind == "download" and (hosted := await self.emulator.hosting.peek(scope["path"])):
            state["drawing"] = hosted.request
        self.emulator.journal.arrived(entry)
        return entry

    def _completed(self, entry: Entry) -> None:
        """Once the last of the answer is to be sent, or there will be no more of it."""
        entry.end()
        self.emulator.journal.completed(entry)
