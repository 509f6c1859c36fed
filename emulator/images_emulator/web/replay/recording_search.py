"""The search for the recording that answers a call of a server with the setting `replay`."""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
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
from images_emulator.web.authentication import accept_key, file_owner
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
    """What a search for the recordings of a call has found. Both requests are on the day of the
    call's policy, and None where the call makes no images."""

    match_or_miss: RecordingMatch | Miss
    request: ImageRequest | None = None
    """The request that the call makes by the rules of all days, or else by its policy; None where
    both refuse it."""
    request_by_policy: ImageRequest | None = None
    """The request that the application would answer; None where the policy of the call refuses
    it."""
    group: Hashable = None
    """The group of `group_of`; None where the recordings cannot be read."""
    recording_count: int = 0
    """The `RecordingIndex.count` when the search began."""


class RecordingSearch:
    """Searches the recordings of *replay* for calls, and caches what it finds for calls that may
    come again."""

    def __init__(self, emulator: Emulator, replay: Replay) -> None:
        self.emulator = emulator
        self.replay = replay
        self._results = LRUCache(RESULT_CACHE_BYTES)
        self._forwards_misses = emulator.settings.on_miss == OnMiss.RECORD

    def clear(self) -> None:
        """Drop what was found: there are other recordings."""
        self._results.clear()

    async def find(
        self, exchange: ServedExchange, scope: Scope, receive: Receive
    ) -> SearchResult | None:
        """The match or the miss of a call. None for a call that the application is to refuse: it
        has no accepted key, invalid `x-emulator-…` headers, a body that is too long, or a client
        that has left. Raises APIError where the recordings cannot be read and misses would be
        forwarded: the call may be recorded already, and the upstream may ask money for it."""
        settings = self.emulator.settings
        if not accept_key(exchange, settings):
            return None
        if self.replay.failure:
            sentence = f"the recordings cannot be read: {self.replay.failure}"
            if self._forwards_misses:
                exchange.recording_miss = sentence
                raise emulator_errors.no_recording(reason=sentence)
            miss = Miss(exchange.path, (), sentence)
            return SearchResult(miss, recording_count=self.replay.index.count)
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
        """Search the recordings for a call whose policy and body are read, in the thread that the
        search needs."""
        operation = exchange.image_operation
        parsed_call: ParsedCall | None = None
        if operation:
            with suppress(APIError):
                parsed_call = await read_call(exchange, receive, self.emulator)
        search = _CallSearch(self.emulator, self.replay, exchange, scope, parsed_call)
        renderer = self.emulator.renderer
        if operation and operation.reads_uploads:
            return await renderer.run_in_decoder(search.run)
        if not exchange.is_large and search.matches_exactly():
            return search.run()
        # A search for less exact matches may read the files of recordings.
        return await renderer.run_in_background(search.run)


class _CallSearch:
    """The search for the recordings of one call, whose policy and body are read. *parsed_call* is
    the body of a call to an image operation; None where it cannot be parsed."""

    def __init__(
        self,
        emulator: Emulator,
        replay: Replay,
        exchange: ServedExchange,
        scope: Scope,
        parsed_call: ParsedCall | None,
    ) -> None:
        assert exchange.policy, "`RecordingSearch.find` has read it"
        assert exchange.chunks is not None, "`RecordingSearch.find` has read them"
        self._emulator = emulator
        self._replay = replay
        self._exchange = exchange
        self._parsed_call = parsed_call
        self._policy = exchange.policy
        self._as_of = self._policy.as_of.isoformat() if self._policy.as_of else None
        self._chunks = exchange.chunks
        self._target = _target(scope)
        self._is_resolved = False
        self._request: ImageRequest | None = None
        """The request that `_resolve` has made."""

    def matches_exactly(self) -> bool:
        """Whether a recording is of the very call. No file is read, and no upload decoded."""
        return self._replay.find_exact(self._call, self._as_of) is not None

    def run(self) -> SearchResult:
        """Search the recordings: for the call as it was sent, then as recordings redact it. May
        read files and decode uploads, so a call that is large or has uploads needs a thread."""
        count = self._replay.index.count
        match_or_miss = self._replay.find(self._call, self._resolve, self._as_of)
        if isinstance(match_or_miss, Miss) or match_or_miss.level not in _STRICT:
            match_or_miss = self._match_of_redacted_call() or match_or_miss
        # An exact match needs no request, so it may be made only here. `group_of` reads the values
        # that it gives `_call`.
        request = self._resolve()
        by_policy = self._request_by_policy(request)
        return SearchResult(
            match_or_miss,
            self._with_day_of_call(request or by_policy),
            self._with_day_of_call(by_policy),
            group_of(self._call, self._replay.level),
            count,
        )

    @cached_property
    def _call(self) -> ComparedCall:
        """The call in the form in which recordings are compared with it."""
        return compared_call(
            self._exchange.method,
            self._target,
            self._exchange.head.header(b"content-type"),
            self._chunks,
            self._parsed_call.fields if self._parsed_call else None,
        )

    def _resolve(self) -> ImageRequest | None:
        """Make the request by the rules of all days, once, and give `_call` its values. None where
        these rules refuse the call."""
        if not self._is_resolved:
            self._request = self._new_resolver().resolve(self._call, self._parsed_call)
            self._is_resolved = True
        return self._request

    def _request_by_policy(self, request: ImageRequest | None) -> ImageRequest | None:
        """The request by the policy of the call, whose *request* by the rules of all days is known;
        None where the policy refuses the call."""
        policy = self._policy
        if policy.as_of or (request is None and policy.is_lenient):
            return self._new_resolver().request_by(policy, self._call, self._parsed_call)
        return request

    def _with_day_of_call(self, request: ImageRequest | None) -> ImageRequest | None:
        policy = self._policy
        return request and replace(request, as_of=policy.as_of, day=policy.day)

    def _match_of_redacted_call(self) -> RecordingMatch | None:
        """The match of the call whose credentials in query and body are redacted as in recordings.
        None where the call has no such credentials, or matches nothing."""
        headers = text_of_headers(self._exchange.head.pairs)
        sent = RecordedRequest(self._exchange.method, self._target, headers, b"".join(self._chunks))
        try:
            redacted = Redactor().redact(Recording(sent, None)).request
        except UnreadableBodyError:
            return None
        if (redacted.target, redacted.body) == (sent.target, sent.body):
            return None
        call = compared_call_of(redacted)

        def resolve() -> ImageRequest | None:
            return self._new_resolver().resolve(call, parsed_call_of(call, redacted))

        match_or_miss = self._replay.find(call, resolve, self._as_of)
        return match_or_miss if isinstance(match_or_miss, RecordingMatch) else None

    def _new_resolver(self) -> Resolver:
        """A resolver for the call, which may name uploaded files of its API key. The pixels that it
        decodes are limited to those of one call, so each is for one resolution."""
        files, exchange = self._emulator.files, self._exchange
        owner = file_owner(exchange, self._emulator.settings)
        return self._replay.resolver_of_call(lambda file_id: files.data(file_id, owner))


def _target(scope: Scope) -> str:
    """Path and query of the call, as they were sent."""
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return (path + (b"?" + query if query else b"")).decode("latin-1")
