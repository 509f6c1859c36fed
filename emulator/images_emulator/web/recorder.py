"""The recorder. It makes the `Exchange` of each call, enters it in the journal on arrival and on
completion, and adds the API's standard headers to the answer. Downloads and recorded answers have
headers of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from images_emulator.contract.azure import dialect_at
from images_emulator.contract.cors import ALLOW_ORIGIN
from images_emulator.contract.dialect import AnswerFacts, Header
from images_emulator.contract.operations import image_operation_at
from images_emulator.contract.refusal import APIError
from images_emulator.exchange.exchange import CONNECTION, EXCHANGE, Exchange
from images_emulator.exchange.head import RequestHead
from images_emulator.exchange.trace_context import CALL_ID
from images_emulator.state.account import Account
from images_emulator.state.emulator import Emulator
from images_emulator.state.hosting import DOWNLOAD_PREFIX
from images_emulator.state.identity import random_digits, random_uuid
from images_emulator.web.fault_middleware import FaultMiddleware
from images_emulator.web.page_files import is_opened_in_browser
from images_emulator.web.policy import read_policy
from images_emulator.web.release import large_parts, release

ADMIN_PREFIX: Final = "/_emulator"
"""Path prefix of the admin API."""

BODY_SECONDS: Final = 0.05
"""Seconds for which a call waits for its body before it is entered in the journal of a shared
store, where the scenario has faults. With the body, one round trip enters the call and finds its
fault; without it, that takes two."""

ORIGIN: Final = b"origin"
"""The header that browsers send to another origin."""


class Recorder:
    """The middleware inside that of CORS.

    It passes calls to `/_emulator` on to *admin*, and those of a browser that opens `/`, where the
    page is served. They are not entered in the journal.
    """

    def __init__(
        self, app: ASGIApp, admin: ASGIApp, emulator: Emulator, faults: FaultMiddleware
    ) -> None:
        self.app = app
        self.admin = admin
        self.emulator = emulator
        self._faults = faults
        self._shared_store = emulator.store if emulator.store.is_shared else None
        self._leads_to_page = emulator.settings.page
        self._account: Account | None = None
        """The account from which the next two were made; None before the first answer."""
        self._organization = self._project = b""
        """Organization and project of the account, as the headers of answers have them."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        if (
            path.startswith(f"{ADMIN_PREFIX}/")
            or path == ADMIN_PREFIX
            or (path == "/" and self._leads_to_page and is_opened_in_browser(scope))
        ):
            await self._call_admin(scope, receive, send)
            return
        exchange = scope["state"][EXCHANGE] = self._exchange(scope)
        CALL_ID.set(exchange.id)
        journal, connection = self.emulator.journal, exchange.connection
        parts: list[Any] = []
        if exchange.kind == "download" or self._shared_store:
            await self._enter(exchange, receive)
        else:
            exchange.number = await journal.arrived(exchange)

        def complete() -> Awaitable[None]:
            """End the exchange: before the last part of the answer is sent, or when the application
            has returned without one."""
            exchange.end()
            if exchange.is_large:
                parts.extend(large_parts(exchange))
            return journal.completed(exchange, exchange.pending_write)

        async def record(message: Message) -> None:
            # The server drops what is sent on a closed connection.
            leaves = connection is None or not (connection.is_closing() or connection.answer)
            if message["type"] == "http.response.start":
                if exchange.has_recorded_headers:
                    _complete_recorded(exchange, message)
                elif exchange.kind == "call":
                    message["headers"] = [
                        *message.get("headers", ()),
                        *self._standard_headers(exchange, message),
                    ]
                if leaves:
                    exchange.start_response(message["status"], message.get("headers", ()))
            elif message["type"] == "http.response.body":
                if leaves and exchange.sent.listens:
                    count = exchange.sent.event_count
                    exchange.sent.add(message.get("body", b""), exchange.elapsed_ms)
                    if journal.is_observed:
                        journal.sent_events(exchange, count)
                if not message.get("more_body") and exchange.duration_ms is None:
                    if leaves:
                        exchange.sent.end()
                    await complete()
            await send(message)

        if self._shared_store:
            send = (held := _HeldAnswer(exchange, record, send)).pass_on
        try:
            await self.app(scope, receive, held.send if self._shared_store else record)
        finally:
            exchange.pending_write = None
            if exchange.duration_ms is None:
                await complete()
            # The server may keep the scope for a while. It must not keep body and pictures.
            del scope["state"][EXCHANGE]
            if parts:
                self._release(parts)

    async def _call_admin(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._shared_store:
            await self._shared_store.refresh()
        await self.admin(scope, receive, send)

    def _release(self, parts: list[Any]) -> None:
        """Give the memory of *parts* back, in another thread."""
        with suppress(RuntimeError):  # the server ends
            self.emulator.renderer.parser.submit(lambda _: release(parts))

    async def _enter(self, exchange: Exchange, receive: Receive) -> None:
        """Enter a download, or any exchange on a shared store, in the journal.

        On a shared store the same round trip refreshes the registers, the clock's among them, and
        finds the fault that the call meets by the scenario. The entry is written before that: until
        the exchange is completed, its time is by the clock's earlier setting, and a download has no
        picture."""
        journal, store = self.emulator.journal, self._shared_store
        if not store:
            await self._note_picture(exchange)
            exchange.number = await journal.arrived(exchange)
            return
        early: asyncio.Task[None] | None = None
        if exchange.kind == "download":
            exchange.number, _ = await asyncio.gather(
                journal.append(exchange), self._note_picture(exchange)
            )
        elif self.emulator.scenario.has_faults:
            early = await self._begin_to_meet(exchange, receive)
            try:
                exchange.number = await journal.append(exchange)
            except BaseException:
                early.cancel()
                raise
        else:
            exchange.number = await journal.append(exchange)
        clock = self.emulator.clock
        exchange.time, exchange.clock_progress = clock.now(), clock.progress
        journal.tell_arrival(exchange)
        if early:
            await early

    async def _begin_to_meet(self, exchange: Exchange, receive: Receive) -> asyncio.Task[None]:
        """A task that finds the fault of a call: together with the next round trip to the store, or
        where the body takes longer than `BODY_SECONDS`, after the body."""
        reading = asyncio.ensure_future(self._faults.read(exchange, receive))
        try:
            await asyncio.wait({reading}, timeout=BODY_SECONDS)
        except BaseException:
            reading.cancel()
            raise
        return asyncio.ensure_future(self._faults.meet_early(exchange, receive, reading))

    async def _note_picture(self, exchange: Exchange) -> None:
        """Give the exchange of a download the request that the picture answers."""
        # Where the store is away, the endpoint says so.
        with suppress(APIError):
            if hosted := await self.emulator.hosting.peek(exchange.path):
                exchange.request, exchange.hosted_index = hosted.request, hosted.index

    def _exchange(self, scope: Scope) -> Exchange:
        path = scope["path"]
        head = RequestHead(scope["method"], path, scope["query_string"], scope["headers"])
        clock, connection = self.emulator.clock, scope["state"].get(CONNECTION)
        time, progress = clock.now(), clock.progress
        if path.startswith(DOWNLOAD_PREFIX):
            return Exchange(
                head,
                random_uuid(),
                time,
                "download",
                connection=connection,
                clock_progress=progress,
                namespace=self.emulator.namespace,
            )
        dialect = dialect_at(path)
        return Exchange(
            head,
            dialect.request_id(random_digits()),
            time,
            dialect=dialect,
            operation=image_operation_at(path),
            connection=connection,
            clock_progress=progress,
            namespace=self.emulator.namespace,
        )

    def _standard_headers(self, exchange: Exchange, start: Message) -> list[Header]:
        """The headers that the API adds to every answer."""
        read_policy(exchange, self.emulator.settings)
        head, account = exchange.head, self.emulator.account
        if account is not self._account:
            self._organization = account.organization.encode()
            self._project = account.project.encode()
            self._account = account
        answer = AnswerFacts(
            request_id=exchange.id,
            status=start["status"],
            elapsed_ms=round(exchange.elapsed_ms),
            organization=self._organization,
            project=self._project,
            day=exchange.day,
            client_request_id=head.by_name.get(b"x-ms-client-request-id"),
            past_api_management=exchange.past_api_management,
            deployment=exchange.deployment,
        )
        headers = [*exchange.dialect.headers(answer)]
        if names := exchange.own_header_names:
            headers = [each for each in headers if each[0].lower() not in names]
        if ORIGIN in head and ALLOW_ORIGIN not in headers:
            headers.append(ALLOW_ORIGIN)
        return headers


class _HeldAnswer:
    """Holds an answer back until `Exchange.pending_write` is done. An answer without such a write
    passes at once."""

    def __init__(self, exchange: Exchange, record: Send, send: Send) -> None:
        self._exchange = exchange
        self._record = record
        self._send = send
        self._start: Message | None = None
        self._held: list[Message] | None = None

    async def send(self, message: Message) -> None:
        """Record *message*, and send it unless it is held back. Raises the APIError of the write:
        then nothing has left, and the application sends another answer."""
        exchange = self._exchange
        if exchange.pending_write is None:
            is_last = message["type"] == "http.response.body" and not message.get("more_body")
            connection = exchange.connection if is_last else None
            # To record the last part takes a while, and the head is all that a client waits for
            # where there is no body.
            if connection:
                connection.hold_head()
            await self._record(message)
            if connection:
                connection.release_head()
            return
        if self._start is None:
            self._start = message
            return
        self._held = []
        try:
            if message.get("more_body"):
                await exchange.pending_write
            await self._record(self._start)
            # The last part of an answer is recorded together with the write.
            await self._record(message)
        except APIError:
            exchange.forget_answer()
            self._held.clear()
            raise
        finally:
            held, self._held = self._held, None
            exchange.pending_write = self._start = None
        for each in held:
            await self._send(each)

    async def pass_on(self, message: Message) -> None:
        """Send *message*, which is recorded, or keep it while the answer is held back."""
        if self._held is None:
            await self._send(message)
        else:
            self._held.append(message)


def _complete_recorded(exchange: Exchange, start: Message) -> None:
    """Add to the recorded headers of an answer the CORS header that a web page needs to read it,
    and leave out the server's own `date` where there is a recorded one."""
    headers = [*start.get("headers", ())]
    names = {name for name, _ in headers}
    if exchange.kind == "call" and ORIGIN in exchange.head and ALLOW_ORIGIN[0] not in names:
        start["headers"] = [*headers, ALLOW_ORIGIN]
    if exchange.connection and b"date" in names:
        exchange.connection.omit_date()
