"""The replay middleware. It answers calls with recordings, in place of the application."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from images_emulator.contract import emulator_errors
from images_emulator.contract.answer_overrides import NO_REPLACEMENT
from images_emulator.contract.dialect import Header
from images_emulator.contract.file_objects import check_upload
from images_emulator.contract.http_headers import header_value
from images_emulator.contract.notices import NOTICE_HEADER
from images_emulator.contract.operations import CREATE_FILE
from images_emulator.contract.refusal import APIError
from images_emulator.contract.request import ImageRequest
from images_emulator.contract.rules import Pixels
from images_emulator.exchange.answer_json import json_value
from images_emulator.exchange.known_answer import KnownAnswer
from images_emulator.exchange.near_miss import NearMiss
from images_emulator.exchange.served_exchange import ServedExchange, exchange_of
from images_emulator.exchange.waits import Waits, hang_up
from images_emulator.lru_cache import LRUCache
from images_emulator.recordings.matching import (
    Miss,
    RecordingMatch,
)
from images_emulator.recordings.recording import Recording
from images_emulator.recordings.sendable import check_status
from images_emulator.setting_values import OnMiss
from images_emulator.state.emulator import Emulator
from images_emulator.state.replay import RecordedPicture, Replay
from images_emulator.web.authentication import file_owner
from images_emulator.web.described_answer import EmulatedAnswer, described_answer
from images_emulator.web.forwarded_headers import base_url
from images_emulator.web.json_responses import refuse
from images_emulator.web.own_answer_search import claim_own_answer
from images_emulator.web.playback import OVERHEAD_BYTES, Playback, playback, sent_headers
from images_emulator.web.recording_search import RecordingSearch, SearchResult
from images_emulator.web.request_body import read_fields

logger = logging.getLogger("images_emulator")

if TYPE_CHECKING:
    from images_emulator.web.miss_recorder import MissRecorder

HOSTED_OVERHEAD_BYTES: Final = 2048
"""Bytes that the request of a hosted picture takes beside the picture, about."""

MAX_NOTICE_CHARS: Final = 1024
"""The longest notice of a miss, in a header."""


class ReplayMiddleware:
    """The middleware inside `FaultMiddleware` and around the router. Without the setting `replay`
    there is none.

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
        self._playables = LRUCache(emulator.settings.cache)
        """The recordings in the form in which they are sent, by their positions, the base URL of
        their pictures and the call's `accept-encoding`. A recording never changes, so only the
        budget empties it. Each namespace has a cache of its own."""
        self._hosted_requests = LRUCache(emulator.settings.cache)
        """The requests of hosted pictures that were played, by their paths, with the pictures.
        Only the budget empties it. Each namespace has a cache of its own."""
        self._miss_recorder: MissRecorder | None = None
        if emulator.settings.on_miss == OnMiss.RECORD:
            from images_emulator.web.miss_recorder import MissRecorder  # noqa: PLC0415 - an extra

            self._miss_recorder = MissRecorder(emulator.settings, replay, self._search.clear)
            emulator.cleanup_callbacks = (*emulator.cleanup_callbacks, self._miss_recorder.finish)
        if not replay.is_prepared:
            emulator.renderer.background_queue.submit(lambda _: self._prepare())

    def _prepare(self) -> None:
        """Read the recordings, and log mistakes in them."""
        try:
            self.replay.prepare()
        except (OSError, ValueError) as error:
            logger.error("%s", error)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = exchange_of(scope)
        try:
            await self._answer(exchange, scope, receive, send)
        except APIError as error:
            # No recording answers the call then.
            exchange.recording, exchange.has_recorded_headers = None, False
            await refuse(error, exchange, self.emulator.settings)(scope, receive, send)

    async def _answer(
        self, exchange: ServedExchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer the call by a recording, by the application or as a miss. Raises APIError where
        the store is away: then nothing of the answer has left."""
        if not self.replay.is_prepared:
            await self.emulator.renderer.run_in_background(self._prepare)
        if exchange.kind == "download":
            query = exchange.head.query_string.decode("latin-1")
            hosted = self.replay.picture_at(exchange.path, query)
            if hosted is None or exchange.is_expired or exchange.method not in ("GET", "HEAD"):
                await self.app(scope, receive, send)
            else:
                await self._send_download(hosted, exchange, scope, receive, send)
            return
        count = self.replay.index.count
        result = await self._search.find(exchange, scope, receive)
        if result is None:
            await self.app(scope, receive, send)
            return
        if await self._claim_own_answer(result, exchange):
            await self.app(scope, receive, send)
            return
        if isinstance(result.match_or_miss, Miss) and self._miss_recorder:
            if not await self._miss_recorder.wait_for_recordings(result.group, receive):
                return
            await self._read_new_files(self._miss_recorder, exchange)
            if self.replay.index.count != count:
                result = await self._search.find(exchange, scope, receive) or result
        if isinstance(result.match_or_miss, RecordingMatch):
            await self._play(result.match_or_miss, result.request, exchange, scope, receive, send)
        else:
            self._note_miss(result.match_or_miss, exchange)
            await self._answer_miss(exchange, self.app, scope, receive, send, result.group)

    async def _claim_own_answer(self, result: SearchResult, exchange: ServedExchange) -> bool:
        """Claim the own answer of the call, which goes before a recording. Return whether it meets
        one. A call that a recording answers does not count for the rate limit, so the endpoint asks
        this only afterwards: a call that the limit refuses has used up its own answer."""
        if result.request is None or not self.emulator.scenario.has_answers:
            return False
        replacement = await claim_own_answer(exchange, result.request, self.emulator)
        exchange.replacement = replacement
        return replacement is not NO_REPLACEMENT

    # --- to play it

    async def _play(  # noqa: PLR0917 - the three of ASGI, and what is played for which call
        self,
        match: RecordingMatch,
        request: ImageRequest | None,
        exchange: ServedExchange,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Answer the call with the next of the recordings that it matches. A recording that cannot
        be made of its files is a miss."""
        position = await self.replay.claim_next(match.positions)
        try:
            played = await self._playable(position, Request(scope, receive), exchange)
        except (OSError, ValueError) as error:
            name = self.replay.index.names[position]
            self._note_miss(
                Miss(exchange.path, (), f"'{name}' cannot be played: {error}"), exchange
            )
            await self._answer_miss(exchange, self.app, scope, receive, send)
            return
        if isinstance(played, Recording):
            await self._play_described(played, exchange, scope, receive, send)
            return
        exchange.recording, exchange.has_recorded_headers = played.name, True
        exchange.breaks_off = played.end != "complete"
        self._note(played, request, exchange)
        if exchange.method == "POST" and exchange.path.endswith(CREATE_FILE.route):
            await self._keep_file(played, exchange, receive)
        await self._send(played, exchange, receive, send)

    async def _send(
        self, played: Playback, exchange: ServedExchange, receive: Receive, send: Send
    ) -> None:
        """Send a recorded answer, until the client leaves. With the setting `delay` each part is as
        late as it was recorded. End the connection as the recorded one ended."""
        settings = self.emulator.settings
        waits = None
        if settings.delay:
            exchange.clock = self.emulator.clock
            waits = Waits(exchange)
        if played.status is None:
            await hang_up(exchange, receive, reset=True)
            return
        is_started, last = False, 0.0
        is_complete = played.end == "complete"
        for number, (seconds, data) in enumerate(played.parts, 1):
            if waits and seconds > last:
                if not await waits.wait_while_client_stays(
                    (seconds - last) / settings.speed, receive
                ):
                    return
                last = seconds
            if not is_started:
                await send(_start(played.status, played.headers))
                is_started = True
            is_last = is_complete and number == len(played.parts)
            await send({"type": "http.response.body", "body": data, "more_body": not is_last})
        if not is_started:
            await send(_start(played.status, played.headers))
            if is_complete:
                await send({"type": "http.response.body", "body": b""})
        if not is_complete:
            await hang_up(exchange, receive, reset=played.end == "reset")

    async def _play_described(
        self,
        recording: Recording,
        exchange: ServedExchange,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Play a recording whose answer is described. Values that it leaves open are filled in from
        the emulated answer. Where that is not possible, the call is a miss, which does not count
        for the rate limit either."""
        emulated = EmulatedAnswer()
        exchange.recording = recording.name
        await self.app(scope, receive, emulated.collect)
        try:
            described = await self.emulator.renderer.run_in_background(
                lambda: described_answer(recording, emulated)
            )
        except ValueError as error:
            exchange.recording = None
            self._note_miss(
                Miss(exchange.path, (), f"'{recording.name}' cannot be played: {error}"), exchange
            )
            await self._answer_miss(exchange, emulated, scope, receive, send)
            return
        exchange.body_may_change = True
        exchange.answer.own_header_names = described.described_names
        await send(_start(described.status, described.headers))
        await send({"type": "http.response.body", "body": described.body})

    async def _playable(
        self, position: int, request: Request, exchange: ServedExchange
    ) -> Playback | Recording:
        """The recording in the form that is sent to this client. A recording whose answer is
        described stays as it is. Raises OSError and ValueError where it cannot be made of its
        files."""
        base = ""
        if self.replay.has_pictures(position):
            base = base_url(request, self.emulator.settings.public_url)
        accept_encoding = exchange.head.header(b"accept-encoding")
        key = position, base, accept_encoding
        playable: Playback | Recording | None = self._playables.get(key)
        if playable is None:

            def make() -> Playback | Recording:
                recording = self.replay.recordings[position]
                if recording.expectation:
                    return recording
                return playback(recording, base, accept_encoding)

            # Reading megabytes of base64 takes a while.
            playable = await self.emulator.renderer.run_in_background(make)
            weight = playable.weight if isinstance(playable, Playback) else OVERHEAD_BYTES
            self._playables.put(key, playable, weight + len(base) + len(accept_encoding))
        return playable

    def _note(
        self, played: Playback, request: ImageRequest | None, exchange: ServedExchange
    ) -> None:
        """Note in *exchange* what the journal shows of the answer: its pictures, and unless a fault
        changes it, the recorded answer."""
        answer = played.known_answer
        if request and played.status == HTTPStatus.OK:
            exchange.request = request = _as_answered(request, answer)
            exchange.answer.image_urls = answer.urls
            for url, picture in zip(answer.urls, answer.pictures, strict=False):
                hosted = replace(request, own_pictures=(picture,))
                path = unquote(urlsplit(url.decode().removeprefix(played.base_url)).path)
                weight = HOSTED_OVERHEAD_BYTES + picture.weight
                self._hosted_requests.put(path, hosted, weight)
            files = answer.files
            if answer.is_stream and answer.image_indexes:
                # The journal finds the whole image by the number of the last event.
                files = {**files, request.partial_images: files[max(files)]}
            exchange.answer.files = files
        if not exchange.body_may_change:
            exchange.answer.known_answer, exchange.body_may_change = answer, True

    async def _keep_file(
        self, played: Playback, exchange: ServedExchange, receive: Receive
    ) -> None:
        """Keep the file of an upload under its id in the recorded answer: a call that no recording
        answers may name that id. Raises APIError where the store is away."""
        file_object = json_value(b"".join(data for _, data in played.parts))
        file_id = file_object.get("id") if isinstance(file_object, Mapping) else None
        if played.status != HTTPStatus.OK or not isinstance(file_id, str):
            return
        try:
            fields = await read_fields(exchange, receive, CREATE_FILE, self.emulator)
            upload, purpose = check_upload(fields)
        except (APIError, ClientDisconnect):
            return
        owner = file_owner(exchange, self.emulator.settings)
        await self.emulator.files.add(upload.filename, purpose, upload.data, file_id, owner=owner)

    async def _send_download(
        self,
        hosted: RecordedPicture,
        exchange: ServedExchange,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Send a hosted picture as it was fetched."""

        def read() -> tuple[Message, bytes]:
            download = self.replay.download(hosted)
            check_status(download.status)
            data: bytes = download.read_uncached("data")
            length = b"content-length", b"%d" % len(data)
            return _start(download.status, [*sent_headers(download.headers), length]), data

        try:
            start, data = await self.emulator.renderer.run_in_background(read)
        except (OSError, ValueError) as error:
            exchange.recording_miss = f"the recorded picture cannot be sent: {error}"
            await self.app(scope, receive, send)
            return
        exchange.recording = self.replay.index.names[hosted.position]
        exchange.has_recorded_headers = True
        exchange.request = self._hosted_requests.get(exchange.path)
        await send(start)
        await send({"type": "http.response.body", "body": data})

    # --- a miss

    async def _read_new_files(self, recorder: MissRecorder, exchange: ServedExchange) -> None:
        """Read the recordings that other processes have added to the folder. Raises APIError where
        one cannot be read: the call may be recorded already, and the upstream may ask money for
        it."""
        try:
            await self.emulator.renderer.run_in_background(recorder.read_new_files)
        except (OSError, ValueError) as error:
            sentence = f"the recordings cannot be read: {error}"
            exchange.recording_miss = sentence
            raise emulator_errors.no_recording(reason=sentence) from error

    @staticmethod
    def _note_miss(miss: Miss, exchange: ServedExchange) -> None:
        """Note in *exchange* why no recording answers the call."""
        near_misses = [
            NearMiss(
                step=each.name,
                name="recording",
                label=each.name,
                kind="recording",
                reason=each.reason,
                spent=False,
            )
            for each in miss.nearest
        ]
        exchange.near_misses = (*exchange.near_misses, *near_misses)
        exchange.recording_miss = str(miss)

    async def _answer_miss(  # noqa: PLR0917 - the three of ASGI, and what is answered how
        self,
        exchange: ServedExchange,
        app: ASGIApp,
        scope: Scope,
        receive: Receive,
        send: Send,
        group: Hashable = None,
    ) -> None:
        """Answer a call that has a `recording_miss`, as the setting `on_miss` says: refuse it,
        forward it to the upstream (which `recording_miss` then says), or let *app* answer it, with
        a notice. *group* is that of a call that no recording matches. Raises APIError where it is
        refused."""
        sentence = exchange.recording_miss or ""
        if self.emulator.settings.on_miss == OnMiss.REFUSE:
            raise emulator_errors.no_recording(reason=sentence)
        if self._miss_recorder:
            self._miss_recorder.check(exchange)
            exchange.recording_miss = f"{sentence}; it is forwarded to {self._miss_recorder.host}"
            await self._miss_recorder.forward(group, scope, receive, send)
            return
        notice = NOTICE_HEADER, header_value(sentence, MAX_NOTICE_CHARS)

        async def send_with_notice(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), notice]
            await send(message)

        await app(scope, receive, send_with_notice)


def _start(status: int, headers: Sequence[Header]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": [*headers]}


def _as_answered(request: ImageRequest, answer: KnownAnswer) -> ImageRequest:
    """*request* with the pictures of the answer, and with the parameters that the answer repeats.
    For `auto` the API may have chosen other values than the emulator."""
    changes: dict[str, Any] = {**answer.parameters}
    size = _pixels(changes.pop("size", ""))
    if size:
        changes["size"] = size
    if answer.pictures:
        changes["own_pictures"] = answer.pictures
    return replace(request, **changes) if changes else request


def _pixels(size: str) -> Pixels | None:
    width, x, height = size.partition("x")
    return (int(width), int(height)) if x and width.isdecimal() and height.isdecimal() else None
