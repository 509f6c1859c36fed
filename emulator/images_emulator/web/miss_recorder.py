"""Records calls that no recording answers: a missed call is forwarded to the upstream, and kept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from starlette.types import Message, Receive, Scope, Send

from images_emulator.contract import emulator_errors
from images_emulator.exchange.served_exchange import ServedExchange, exchange_of
from images_emulator.recordings.folder import RecordingFolder, read_recording
from images_emulator.recordings.recording import TRANSIENT_STATUSES, Recording
from images_emulator.settings import Settings
from images_emulator.state.replay import Replay
from images_emulator.web.record_proxy import RecordingResult, RecordProxy
from images_emulator.web.server_names import ServerNames
from images_emulator.web.upstream import Upstream

logger = logging.getLogger("images_emulator.recordings")
"""The logger that tells what became of each miss."""

_NOT_KEPT: Final = TRANSIENT_STATUSES | {401, 403, 409}
"""Statuses of answers that are not kept, so that the client's next try may get another answer:
momentary ones, conflicts (409), and those about a key, which would also be played for another
key."""


class MissRecorder:
    """An application that forwards calls to the upstream of the *settings*. It adds their
    recordings to the folder and to *replay*, and then calls *on_kept*. The next call of the kind is
    played.

    Results that may differ at the next try are passed on and not kept: answers about a key,
    answers that depend on the moment, and connections that failed. Raises ValueError where the
    upstream is no URL, and where there is no HTTP client.
    """

    def __init__(self, settings: Settings, replay: Replay, on_kept: Callable[[], None]) -> None:
        assert settings.upstream
        assert settings.replay
        self._replay = replay
        self._on_kept = on_kept
        self._folder = RecordingFolder(Path(settings.replay))
        key = settings.upstream_api_key
        try:
            self._upstream = Upstream(settings.upstream, api_key=key)
        except ValueError as error:
            raise ValueError(f"upstream: {error}") from None
        self._names = ServerNames(settings.host, settings.public_url)
        self._lends_key = bool(key) and not settings.api_key
        """Whether any call is let in, and gets the key."""
        keys = (key,) if key else ()
        self._proxy = RecordProxy(self._upstream, self._save, _log_result, keys)

    def check(self, exchange: ServedExchange) -> None:
        """Raises APIError for a call that is not forwarded: of a page of another site, which would
        get the key of the upstream, and one with a directive in its prompt. The recording would
        have the directive, and never match the call without it."""
        if self._lends_key:
            self._names.check_page(exchange.head.pairs)
        if exchange.has_directive:
            reason = f"{exchange.recording_miss}; a call with a directive is not forwarded"
            raise emulator_errors.no_recording(reason=reason)

    @property
    def host(self) -> str:
        """The host of the upstream."""
        return self._upstream.api.host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = exchange_of(scope)
        exchange.goes_to_upstream = exchange.has_recorded_headers = exchange.body_may_change = True
        messages = _body_messages(exchange.chunks or ())

        async def receive_again() -> Message:
            return next(messages, None) or await receive()

        await self._proxy(scope, receive_again, send)

    async def finish(self) -> None:
        """Wait until all recordings are kept, and close the connections to the upstream."""
        await self._proxy.finish()

    def _save(self, recording: Recording) -> Path | None:
        response = recording.response
        if response is None or response.end != "complete" or response.status in _NOT_KEPT:
            return None
        path = self._folder.add(recording)
        # Read again, so that its bodies do not stay in memory.
        self._replay.add(read_recording(path))
        self._on_kept()
        return path


def _body_messages(chunks: tuple[bytes, ...]) -> Iterator[Message]:
    """The messages in which an application receives a body."""
    for chunk in chunks:
        yield {"type": "http.request", "body": chunk, "more_body": True}
    yield {"type": "http.request", "body": b"", "more_body": False}


def _log_result(call: RecordingResult) -> None:
    request = call.recording.request
    title = f"{request.method} {request.target}"
    if call.problem:
        logger.error("%s: %s", title, call.problem)
    elif call.file:
        logger.info("%s → %s", title, call.file)
    else:
        answer = f"an answer with status {call.status}" if call.status else "a cut connection"
        logger.info("%s: %s is not recorded", title, answer)
