"""The base class of the handlers of the admin API. All emulators of a process share one application
of these handlers: making it takes 30 ms and 0.7 MB, and a server may have a thousand namespaces."""

from __future__ import annotations

from asyncio import AbstractEventLoop, get_running_loop
from contextvars import ContextVar
from typing import Final
from weakref import WeakKeyDictionary

from starlette.types import ASGIApp, Receive, Scope, Send

from images_emulator.contract import admin_errors
from images_emulator.exchange.exchange import Exchange
from images_emulator.state.emulator import Emulator
from images_emulator.web.admin.live_feed import LiveFeed
from images_emulator.web.namespaces import Namespaces


class AdminContext:
    """An emulator whose admin API is called, its live feeds, and the *namespaces* of its server;
    None without a server."""

    def __init__(self, emulator: Emulator, namespaces: Namespaces | None) -> None:
        self.emulator = emulator
        self.namespaces = namespaces
        self._feeds: WeakKeyDictionary[AbstractEventLoop, LiveFeed] = WeakKeyDictionary()

    @property
    def feed(self) -> LiveFeed:
        """The live feed on the running event loop. An application has a loop for each server that
        serves it, and tests may call it on loops of their own."""
        loop = get_running_loop()
        feed = self._feeds.get(loop)
        if feed is None:
            feed = self._feeds[loop] = LiveFeed(self.emulator)
        return feed


_CONTEXT: Final = ContextVar[AdminContext]("admin context")
"""The context of the call that is being handled. Threads of the handlers have it, too."""


class AdminHandlers:
    """Handlers of the emulator whose admin API is called."""

    @property
    def context(self) -> AdminContext:
        """The context of the call that is being handled."""
        return _CONTEXT.get()

    @property
    def emulator(self) -> Emulator:
        """The emulator whose admin API is called."""
        return _CONTEXT.get().emulator

    async def find_exchange(self, call_id: str) -> Exchange:
        """The exchange with that id. Raises APIError where the journal has none."""
        exchange = await self.emulator.journal.get(call_id)
        if not exchange:
            raise admin_errors.no_such_request(id=call_id)
        return exchange


class ContextMiddleware:
    """Calls the shared *app* with the *context* of one emulator."""

    def __init__(self, app: ASGIApp, context: AdminContext) -> None:
        self.app = app
        self.context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        before = _CONTEXT.set(self.context)
        try:
            await self.app(scope, receive, send)
        finally:
            _CONTEXT.reset(before)
