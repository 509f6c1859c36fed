"""The search for the recording that answers a call of a server with the setting `replay`."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from itertools import chain
from typing import Final, NamedTuple

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from images_emulator.contract import emulator_errors
from images_emulator.contract.refusal import APIError
from images_emulator.contract.request import ImageRequest, ParsedCall
from images_emulator.exchange.request_head import text_of_headers
from images_emulator.exchange.served_exchange import ServedExchange
from images_emulator.lru_cache import LRUCache
from images_emulator.recordings.compared_call import ComparedCall, Resolver, compared_call
from images_emulator.recordings.recorded_credentials import redacting_headers
from images_emulator.recordings.recording import (
    RecordedRequest,
    Recording,
)
from images_emulator.recordings.recording_index import (
    Miss,
    RecordingMatch,
    compared_call_of,
    group_of,
    parsed_call_of,
)
from images_emulator.recordings.redaction import Redactor, UnreadableBodyError
from images_emulator.setting_values import OnMiss, ReplayMatch
from images_emulator.state.emulator import Emulator
from images_emulator.state.replay import Replay
from images_emulator.web.authentication import authenticate, file_owner
from images_emulator.web.call_policy import policy_of
from images_emulator.web.request_body import read_body, read_call

RESULT_CACHE_BYTES: Final = 2**21
"""Memory for the matches of calls that may come again."""

MAX_CACHED_BODY_BYTES: Final = 16_384
"""The longest body of a call whose search result is cached. A test sends a short one again and
again."""

RESULT_OVERHEAD_BYTES: Final = 2048
"""Bytes that a match takes beside the body and the credentials of its call, about."""

_STRICT: Final = (ReplayMatch.EXACT, ReplayMatch.REQUEST)
"""The levels at which a recording matches only the very same call."""


class SearchResult(NamedTuple):
    """The match or the miss of a call, and its request by the rules of all days. *request* is None
    where the call makes no images, or has a mistake that its policy does not forgive.
    *request_of_day* is that by the policy of the call; None where this refuses it. *group* is that
    of `group_of`; None where the recordings cannot be read."""

    match_or_miss: RecordingMatch | Miss
    request: ImageRequest | None
    request_of_day: ImageRequest | None = None
    group: Hashable = None


class RecordingSearch:
    """Searches the recordings of *replay* for calls, and caches what it finds for calls that may
    come again."""

    def __init__(self, emulator: Emulator, replay: Replay) -> None:
        self.emulator = emulator
        self.replay = replay
        self._results = LRUCache(RESULT_CACHE_BYTES)
        self._forwards_misses = emulator.settings.on_miss == OnMiss.RECORD

    def clear(self) -> None:
        """Forget what was found: there are other recordings."""
        self._results.clear()

    async def find(
        self, exchange: ServedExchange, scope: Scope, receive: Receive
    ) -> SearchResult | None:
        """The match or the miss of a call. None for a call that the application is to refuse: it
        has no accepted key, invalid `x-emulator-…` headers, a body that is too long, or a client
        that has left. Raises APIError where the recordings cannot be read and misses would be
        forwarded: the call may be recorded already, and the upstream may ask money for it."""
        settings = self.emulator.settings
        if not authenticate(exchange, settings):
            return None
        if self.replay.failure:
            sentence = f"the recordings cannot be read: {self.replay.failure}"
            if self._forwards_misses:
                exchange.recording_miss = sentence
                raise emulator_errors.no_recording(reason=sentence)
            return SearchResult(Miss(exchange.path, (), sentence), None)
        try:
            policy = policy_of(exchange, settings)
            chunks = await read_body(exchange, receive, settings)
        except (APIError, ClientDisconnect):
            return None
        operation = exchange.image_operation
        may_come_again = exchange.body_bytes <= MAX_CACHED_BODY_BYTES
        if not may_come_again or (operation and operation.reads_uploads):
            return await self._search(exchange, scope, receive)
        content_type = exchange.head.header(b"content-type")
        credentials = redacting_headers(text_of_headers(scope["headers"]))
        # Namespaces have caches of their own, and may record for each other.
        count = self.replay.index.count
        target = _target(scope)
        key = exchange.method, target, content_type, credentials, policy, chunks, count
        result: SearchResult | None = self._results.get(key)
        if result is None:
            result = await self._search(exchange, scope, receive)
            texts = exchange.method, target, content_type, *chain(*credentials)
            weight = exchange.body_bytes + sum(map(len, texts))
            self._results.put(key, result, RESULT_OVERHEAD_BYTES + weight)
        return result

    async def _search(
        self, exchange: ServedExchange, scope: Scope, receive: Receive
    ) -> SearchResult:
        """Compare a call, whose policy and body are read, with the recordings."""
        operation, policy, chunks = exchange.image_operation, exchange.policy, exchange.chunks
        assert policy, "`find` has read it"
        assert chunks is not None, "`find` has read them"
        parsed_call: ParsedCall | None = None
        if operation:
            with suppress(APIError):
                parsed_call = await read_call(exchange, receive, self.emulator)

        as_of = policy.as_of.isoformat() if policy.as_of else None

        def compare() -> ComparedCall:
            content_type = exchange.head.header(b"content-type")
            fields = parsed_call.fields if parsed_call else None
            return compared_call(exchange.method, _target(scope), content_type, chunks, fields)

        def search() -> SearchResult:
            call = compare()

            @cache
            def resolve() -> ImageRequest | None:
                return self._resolver(exchange).resolve(call, parsed_call)

            outcome = self.replay.find(call, resolve, as_of)
            if isinstance(outcome, Miss) or outcome.level not in _STRICT:
                outcome = self._find_redacted(exchange, scope, chunks, as_of) or outcome
            # After an exact match, the call is resolved only here.
            request = request_of_day = resolve()
            if policy.as_of or (request is None and policy.is_lenient):
                request_of_day = self._resolver(exchange).request_by(policy, call, parsed_call)
            request = request or request_of_day
            if request:
                request = replace(request, as_of=policy.as_of, day=policy.day)
            if request_of_day and not policy.as_of:
                request_of_day = request
            group = group_of(call, self.replay.level)
            return SearchResult(outcome, request, request_of_day, group)

        if operation and operation.reads_uploads:
            return await self.emulator.renderer.run_in_decoder(search)
        if not exchange.is_large and self.replay.find_exact(compare(), as_of):
            return search()
        # A search for less exact matches may read the files of recordings.
        return await self.emulator.renderer.run_in_background(search)

    def _resolver(self, exchange: ServedExchange) -> Resolver:
        """A resolver for the call, which may name uploaded files of its API key. The pixels that it
        decodes are limited to those of one call, so each is for one resolution."""
        files, owner = self.emulator.files, file_owner(exchange, self.emulator.settings)
        return self.replay.resolver_of_call(lambda file_id: files.data(file_id, owner))

    def _find_redacted(
        self,
        exchange: ServedExchange,
        scope: Scope,
        chunks: Sequence[bytes],
        as_of: str | None,
    ) -> RecordingMatch | None:
        """The match of a call whose credentials in query and body are redacted as in recordings.
        None where the call has no such credentials, or matches nothing."""
        sent = RecordedRequest(
            exchange.method, _target(scope), text_of_headers(scope["headers"]), b"".join(chunks)
        )
        try:
            redacted = Redactor().redact(Recording(sent, None)).request
        except UnreadableBodyError:
            return None
        if (redacted.target, redacted.body) == (sent.target, sent.body):
            return None
        call = compared_call_of(redacted)

        def resolve() -> ImageRequest | None:
            return self._resolver(exchange).resolve(call, parsed_call_of(call, redacted))

        result = self.replay.find(call, resolve, as_of)
        return result if isinstance(result, RecordingMatch) else None


def _target(scope: Scope) -> str:
    """Path and query of the call, as they were sent."""
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return (path + (b"?" + query if query else b"")).decode("latin-1")
