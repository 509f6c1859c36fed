"""The middleware that makes the `ServedExchange` of each call, enters it in the journal on arrival,
and ends it. An `AnswerSender` sends the answer."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from images_emulator.admin_prefix import is_admin_path
from images_emulator.contract.dialects import dialect_at
from images_emulator.contract.operations import image_operation_at
from images_emulator.exchange.connection import CONNECTION
from images_emulator.exchange.request_head import RequestHead
from images_emulator.exchange.served_exchange import EXCHANGE, ServedExchange
from images_emulator.exchange.trace_context import CALL_ID
from images_emulator.state.emulator import Emulator
from images_emulator.state.hosting import DOWNLOAD_PREFIX
from images_emulator.state.random_ids import random_digits, random_uuid
from images_emulator.web.answer_sender import AnswerSender, StandardHeaders
from images_emulator.web.fault_search import FaultSearch
from images_emulator.web.json_responses import error_response, server_error
from images_emulator.web.memory_release import release_memory
from images_emulator.web.page_files import is_browser_navigation

logger = logging.getLogger("images_emulator")


class JournalMiddleware:
    """The middleware inside `CORSMiddleware`. It enters each call in the journal before it is
    answered, and completes it there.

    It passes calls to `/_emulator` on to *admin*, and where the page is served, also calls of a
    browser that opens `/`. Such calls are not entered in the journal.
    """

    def __init__(
        self, app: ASGIApp, admin: ASGIApp, emulator: Emulator, fault_search: FaultSearch
    ) -> None:
        self.app = app
        self.admin = admin
        self.emulator = emulator
        self._fault_search = fault_search
        self._leads_to_page = emulator.settings.page
        self._headers = StandardHeaders(emulator)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._is_for_admin(scope):
            await self.admin(scope, receive, send)
            return
        await self._serve(self._new_exchange(scope), scope, receive, send)

    async def _serve(
        self, exchange: ServedExchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer a call, from its entry in the journal to its completion there."""
        CALL_ID.set(exchange.id)
        local_advance = self.emulator.clock.local_advance
        await self._fault_search.start_early_search(exchange, receive)
        sender = AnswerSender(exchange, self.emulator, self._headers, send)
        exchange.end_call = sender.end_call
        # From here on the journal may have the call, also where entering it fails or is cancelled.
        scope["state"][EXCHANGE] = exchange
        try:
            # Between the start of the search and `journal.append` nothing may suspend: claim and
            # entry are sent together (see `state/store.py`).
            await self._enter(exchange, local_advance)
            is_in_process = exchange.connection is None
            try:
                await self.app(scope, receive, sender.send)
            except Exception:
                # The router answers for what endpoints raise; this is for the middleware around it.
                if exchange.status is not None:
                    raise
                logger.exception("%s %s failed", exchange.method, exchange.path)
                error = server_error(exchange)
                response = error_response(error, exchange, self.emulator.settings)
                await response(scope, receive, sender.send)
            if exchange.answer.is_hung_up and is_in_process:
                raise ConnectionResetError("the connection was closed in place of an answer")
        finally:
            self._fault_search.cancel_early_search(exchange)
            exchange.pending_write = exchange.end_call = None
            try:
                await sender.end_call()
            finally:
                # The server may keep the scope for a while. It must not keep body and pictures.
                del scope["state"][EXCHANGE]
                exchange.connection = exchange.clock = None
                if sender.large_parts:
                    self._release(sender.large_parts)

    def _is_for_admin(self, scope: Scope) -> bool:
        """Whether the call is to the admin API, or of a browser that opens the page."""
        path = scope["path"]
        return is_admin_path(path) or (
            path == "/" and self._leads_to_page and is_browser_navigation(scope)
        )

    def _release(self, parts: list[Any]) -> None:
        """Give the memory of *parts* back, in another thread."""
        with suppress(RuntimeError):  # the server ends
            self.emulator.renderer.background_queue.submit(lambda _: release_memory(parts))

    async def _enter(self, exchange: ServedExchange, local_advance: float) -> None:
        """Enter an exchange in the journal, and tell the observers. *local_advance* is the
        clock's, as it was when the call came.

        With a shared store this is a round trip, which also brings the registers up to date, the
        clock's among them, and makes the claim that `FaultSearch.start_early_search` has started.
        Until the exchange is completed, its entry there has the time by the clock before the round
        trip, and the entry of a download has no picture.
        """
        journal, clock = self.emulator.journal, self.emulator.clock
        try:
            if exchange.is_download:
                exchange.number, _ = await asyncio.gather(
                    journal.append(exchange), self._note_picture(exchange)
                )
            else:
                exchange.number = await journal.append(exchange)
            exchange.time = clock.now()
            # A client that has found the entry may have advanced the clock meanwhile. That advance
            # counts for this call.
            exchange.advanced_seconds_at_arrival = max(
                exchange.advanced_seconds_at_arrival,
                clock.advanced_before(local_advance),
            )
        finally:
            # Observers hear of the arrival before the completion, also where the entry failed.
            journal.notify_arrival(exchange)

    async def _note_picture(self, exchange: ServedExchange) -> None:
        """Give the exchange of a download the request that the picture answers."""
        # Where the store is away, or the picture cannot be read, the endpoint says so.
        with suppress(Exception):
            if hosted := await self.emulator.hosting.peek(exchange.path):
                exchange.request, exchange.hosted_index = hosted.request, hosted.index

    def _new_exchange(self, scope: Scope) -> ServedExchange:
        path = scope["path"]
        head = RequestHead(scope["method"], path, scope["query_string"], scope["headers"])
        clock, dialect = self.emulator.clock, dialect_at(path)
        is_download = path.startswith(DOWNLOAD_PREFIX)
        return ServedExchange(
            head,
            random_uuid() if is_download else dialect.request_id(random_digits()),
            clock.now(),
            is_download,
            dialect=dialect,
            image_operation=image_operation_at(path),
            connection=scope["state"].get(CONNECTION),
            advanced_seconds_at_arrival=clock.advanced_seconds,
            clock=clock,
            namespace=self.emulator.namespace,
        )
