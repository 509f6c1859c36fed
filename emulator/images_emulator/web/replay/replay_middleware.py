"""The replay middleware. It answers calls with recordings, in place of the application."""

from __future__ import annotations

import logging

from starlette.types import ASGIApp, Receive, Scope, Send

from images_emulator.contract.answer_replacement import NO_REPLACEMENT
from images_emulator.contract.refusal import APIError
from images_emulator.exchange.served_exchange import ServedExchange, exchange_of
from images_emulator.recordings.recording_index import Miss
from images_emulator.state.emulator import Emulator
from images_emulator.state.replay import Replay
from images_emulator.web.azure_endpoints import serves_operation
from images_emulator.web.json_responses import replace_with_error_response
from images_emulator.web.own_answer_claim import claim_own_answer
from images_emulator.web.replay.miss_handler import MissHandler
from images_emulator.web.replay.recording_player import RecordingPlayer, UnplayableError
from images_emulator.web.replay.recording_search import RecordingSearch, SearchResult

logger = logging.getLogger("images_emulator")


class ReplayMiddleware:
    """The middleware inside `FaultMiddleware` and around the router. Without the setting `replay`
    there is none. `RecordingSearch` finds the recordings of a call, `RecordingPlayer` sends one of
    them, and `MissHandler` answers where there is none.

    A call without an accepted key is refused by the application, and uses up no recording. Faults
    apply to a recorded answer as to any other.

    It is outside the router, which turns exceptions into error answers, so it answers its own
    APIErrors. The store may be away when the next of several recordings is asked for, and when the
    pictures behind URLs are stored.
    """

    def __init__(self, app: ASGIApp, emulator: Emulator, replay: Replay) -> None:
        self.app = app
        self.emulator = emulator
        self.replay = replay
        self._search = RecordingSearch(emulator, replay)
        self._player = RecordingPlayer(app, emulator, replay)
        self._misses = MissHandler(emulator, replay, self._search)
        if not replay.is_prepared:
            emulator.renderer.background_queue.submit(lambda _: self._prepare())

    def _prepare(self) -> None:
        """Read the recordings, and log mistakes in them."""
        try:
            self.replay.prepare()
        except (OSError, ValueError) as error:
            logger.error("%s", error)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = exchange_of(scope)
        try:
            if not self.replay.is_prepared:
                await self.emulator.renderer.run_in_background(self._prepare)
            if exchange.is_download:
                await self._answer_download(exchange, scope, receive, send)
            else:
                await self._answer(exchange, scope, receive, send)
        except APIError as error:
            # No recording answers the call then.
            exchange.recording_name, exchange.omits_standard_headers = None, False
            await replace_with_error_response(error, exchange, self.emulator.settings)(
                scope, receive, send
            )

    async def _answer_download(
        self, exchange: ServedExchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer a download with the recorded picture, or by the application."""
        recorded_picture = None
        if exchange.method in ("GET", "HEAD") and not exchange.is_expired:
            query = exchange.head.query_string.decode("latin-1")
            recorded_picture = self.replay.picture_at(exchange.path, query)
        if recorded_picture is None:
            await self.app(scope, receive, send)
        else:
            await self._player.play_download(recorded_picture, scope, receive, send)

    async def _answer(
        self, exchange: ServedExchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer the call by a recording, by the application or as a miss. Raises APIError where
        the store is away, where a miss is refused, and where misses would be forwarded and the
        recordings cannot be read: then nothing of the answer has left."""
        result = await self._search.find(exchange, scope, receive)
        if result is None or await self._try_own_answer(result, exchange):
            await self.app(scope, receive, send)
            return
        if isinstance(result.match_or_miss, Miss):
            result = await self._find_after_waiting(result, exchange, scope, receive)
            if result is None:
                return
        found, request, group = result.match_or_miss, result.request, result.group
        if isinstance(found, Miss):
            await self._misses.handle(
                found, self.app, scope, receive, send, request=request, group=group
            )
            return
        try:
            await self._player.play(found, request, scope, receive, send)
        except UnplayableError as error:
            miss = Miss(exchange.path, (), str(error))
            app = error.emulated.send_kept if error.emulated else self.app
            await self._misses.handle(miss, app, scope, receive, send, request=request)

    async def _find_after_waiting(
        self, missed: SearchResult, exchange: ServedExchange, scope: Scope, receive: Receive
    ) -> SearchResult | None:
        """Wait for the recordings of earlier calls that are still to be kept and may answer this
        call, which has *missed*: see `MissHandler.wait_for_recordings`. Where recordings were added
        since the first search, search again. Return None where the client leaves meanwhile."""
        if not await self._misses.wait_for_recordings(missed.group, exchange, receive):
            return None
        if self.replay.index.count == missed.recording_count:
            return missed
        return await self._search.find(exchange, scope, receive) or missed

    async def _try_own_answer(self, result: SearchResult, exchange: ServedExchange) -> bool:
        """Claim the own answer of the call, which goes before a recording. Set the replacement of
        the exchange, and return whether there is one. The endpoint, which asks the rate limit, gets
        the call afterwards: a call that the limit refuses has used up its own answer. For a call
        that a recording answers, the endpoint is not called, and the call does not count for the
        limit."""
        request, policy = result.request_by_policy, exchange.policy
        if not (request and policy and self.emulator.scenario.has_answers):
            return False
        if not serves_operation(exchange, policy):
            return False
        replacement = await claim_own_answer(exchange, request, self.emulator)
        exchange.replacement = replacement
        return replacement is not NO_REPLACEMENT
