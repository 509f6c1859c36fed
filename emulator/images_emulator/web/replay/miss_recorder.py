"""Records calls that no recording answers: a missed call is forwarded to the upstream, and kept."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterator
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Final

from starlette.types import Message, Receive, Scope, Send

from images_emulator.contract import emulator_errors
from images_emulator.contract.events import EventSplitter
from images_emulator.contract.request import ImageRequest
from images_emulator.exchange.known_answer import KnownAnswer
from images_emulator.exchange.served_exchange import ServedExchange, exchange_of
from images_emulator.exchange.waits import client_stays_during
from images_emulator.faults.base import is_event_stream
from images_emulator.recordings.folder import (
    RecordingFolder,
    read_recording,
    recording_paths,
)
from images_emulator.recordings.recording import TRANSIENT_STATUSES, Recording
from images_emulator.state.emulator import Emulator
from images_emulator.state.replay import PendingRecording, Replay
from images_emulator.web.forwarding.record_proxy import RecordingResult, RecordProxy
from images_emulator.web.forwarding.upstream import UpstreamClient
from images_emulator.web.replay.playable_answer import playable_answer
from images_emulator.web.server_names import ServerNames

logger = logging.getLogger("images_emulator.recordings")
"""The logger that tells what became of each miss."""

_NOT_KEPT: Final = TRANSIENT_STATUSES | {401, 403, 409}
"""Statuses of answers that are not kept, so that the client's next try may get another answer:
momentary ones, conflicts (409), and those about a key, which would also be played for another
key."""


class MissRecorder:
    """Forwards calls to the upstream of the settings. It adds their recordings to the folder and to
    *replay*, and then calls *on_kept*. The next call of the kind is played, also one that comes
    before the recording is kept: see `wait_for_pending`.

    Results that may differ at the next try are passed on and not kept: answers about a key,
    answers that depend on the moment, and connections that failed. Raises ValueError where the
    upstream is no URL, and where there is no HTTP client.
    """

    def __init__(self, emulator: Emulator, replay: Replay, on_kept: Callable[[], None]) -> None:
        settings = emulator.settings
        assert settings.upstream
        assert settings.replay
        self._emulator = emulator
        self._replay = replay
        self._on_kept = on_kept
        self._folder = RecordingFolder(Path(settings.replay))
        key = settings.upstream_api_key
        try:
            self._upstream = UpstreamClient(settings.upstream, api_key=key)
        except ValueError as error:
            raise ValueError(f"upstream: {error}") from None
        self._names = ServerNames(settings.host, settings.public_url)
        self._lends_key = bool(key) and not settings.api_key
        """Whether any call is let in, and gets the key."""
        keys = (key,) if key else ()
        self._proxy = RecordProxy(self._upstream, self._save, _log_result, keys)

    def check(self, exchange: ServedExchange) -> None:
        """Raises APIError for a call that is not forwarded: a call of a page of another site, which
        would get the key of the upstream, and a call with a directive in its prompt, whose
        recording would never match the call without the directive."""
        if self._lends_key:
            self._names.check_page(exchange.head.pairs)
        if exchange.has_directive:
            reason = f"{exchange.recording_miss}; a call with a directive is not forwarded"
            raise emulator_errors.no_recording(reason=reason)

    @property
    def host(self) -> str:
        """The host of the upstream."""
        return self._upstream.address.host

    async def wait_for_pending(self, group: Hashable, receive: Receive) -> bool:
        """Wait for those pending recordings that may answer a call of this *group*, and whose calls
        are over for their clients, as far as is known now. A client that sends calls one after the
        other pays once for equal ones. Calls beside each other do not wait.

        Return False where the client of the call leaves meanwhile.
        """
        ends = [
            asyncio.wrap_future(pending.end)
            for pending in [*self._replay.pending_recordings]
            if pending.group == group and pending.is_over_for_client
        ]
        return not ends or await client_stays_during(asyncio.wait(ends), receive)

    def read_new_files(self) -> None:
        """Add the recordings that another process has put into the folder since it was read. A file
        that was read is not read again. Any thread may call this. Raises OSError and ValueError
        where a file cannot be read."""
        with self._replay.save_lock:
            try:
                paths = recording_paths(self._folder.folder)
            except FileNotFoundError:
                return
            for path in paths:
                if path.stem not in self._replay.index.all_names:
                    with suppress(FileNotFoundError):
                        self._replay.add(read_recording(path))
                        self._on_kept()

    async def forward(
        self,
        request: ImageRequest | None,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        group: Hashable,
    ) -> None:
        """Forward a call, which makes *request*, and record it. The *group* is that of `group_of`.
        It is None where a recording matches the call but cannot be played: no other call waits for
        the new recording then."""
        exchange = exchange_of(scope)
        exchange.goes_to_upstream = exchange.omits_standard_headers = True
        exchange.request = None  # a recording that could not be played may have one
        messages = _body_messages(exchange.chunks or ())

        async def receive_again() -> Message:
            return next(messages, None) or await receive()

        pending = PendingRecording(group, exchange.connection)
        self._replay.pending_recordings.add(pending)
        is_complete = False

        def end() -> None:
            if pending in self._replay.pending_recordings:
                self._replay.pending_recordings.remove(pending)
                pending.end.set_result(None)

        splitter: EventSplitter | None = None

        async def send_and_note(message: Message) -> None:
            nonlocal is_complete, splitter
            if message["type"] == "http.response.body":
                is_complete = not message.get("more_body")
                pending.is_answered = is_complete
                if splitter:
                    # Faults count on an event being one message.
                    for event in splitter.split(message["body"], is_last=is_complete):
                        await send({**message, "body": event, "more_body": True})
                    message = {**message, "body": b""}
            else:
                if message["status"] in _NOT_KEPT:
                    end()
                if exchange.fault_label and is_event_stream(message):
                    splitter = EventSplitter()
            await send(message)

        async def send_rest() -> None:
            """Send what has come of an event that the upstream does not end."""
            for rest in splitter.split(b"", is_last=True) if splitter else ():
                await send({"type": "http.response.body", "body": rest, "more_body": True})

        async def note_answer(recording: Recording) -> None:
            is_answer = recording.response and recording.response.status == HTTPStatus.OK
            # Where a fault may change the body, nobody knows what the client gets of it.
            if exchange.image_operation and is_answer and not exchange.fault_changes_body:
                try:
                    exchange.note_forwarded(request, await self._make_known_answer(recording))
                except Exception:  # whatever is wrong with it, the client gets its answer
                    logger.exception("%s is not in the journal", exchange.path)

        try:
            await self._proxy.forward(
                scope,
                receive_again,
                send_and_note,
                on_end=end,
                on_answer=note_answer,
                on_cut=send_rest,
            )
        finally:
            if not is_complete:
                end()

    async def _make_known_answer(self, recording: Recording) -> KnownAnswer:
        """The answer of *recording* as the journal shows it. Raises OSError and ValueError."""
        # Decoding megabytes of base64 takes a while.
        run = self._emulator.renderer.run_in_background
        return await run(lambda: playable_answer(recording, "", "").known_answer)

    async def finish(self) -> None:
        """Wait until all recordings are kept, and close the connections to the upstream."""
        await self._proxy.finish()

    def _save(self, recording: Recording) -> Path | None:
        response = recording.response
        if response is None or response.end != "complete" or response.status in _NOT_KEPT:
            return None
        with self._replay.save_lock:
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


def _log_result(result: RecordingResult) -> None:
    request = result.recording.request
    title = f"{request.method} {request.target}"
    if result.problem:
        logger.error("%s: %s", title, result.problem)
    elif result.file:
        logger.info("%s → %s", title, result.file)
    else:
        answer = f"an answer with status {result.status}" if result.status else "a cut connection"
        logger.info("%s: %s is not recorded", title, answer)
