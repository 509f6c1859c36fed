"""Plays recordings: sends recorded answers and recorded pictures in place of the application."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote, urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from images_emulator.contract.dialect import Header
from images_emulator.contract.file_objects import upload_and_purpose
from images_emulator.contract.operations import CREATE_FILE
from images_emulator.contract.refusal import APIError
from images_emulator.contract.request import ImageRequest
from images_emulator.exchange.answer_json import json_value
from images_emulator.exchange.served_exchange import ServedExchange, exchange_of
from images_emulator.exchange.waits import Waits, hang_up
from images_emulator.lru_cache import LRUCache
from images_emulator.recordings.recording import Recording
from images_emulator.recordings.recording_index import RecordingMatch
from images_emulator.recordings.sendable import check_status
from images_emulator.state.emulator import Emulator
from images_emulator.state.replay import RecordedPicture, Replay
from images_emulator.web.authentication import file_owner
from images_emulator.web.forwarded_headers import base_url
from images_emulator.web.replay.described_answer import EmulatedAnswer, described_answer
from images_emulator.web.replay.playable_answer import (
    OVERHEAD_BYTES,
    PlayableAnswer,
    playable_answer,
    sent_headers,
)
from images_emulator.web.request_body import read_fields

HOSTED_OVERHEAD_BYTES: Final = 2048
"""Bytes that the request of a hosted picture takes beside the picture, about."""


class UnplayableError(Exception):
    """The recording *name* cannot be played, for *reason*. Nothing of an answer has left.
    *emulated* is the emulator's answer to the call, where that was asked for already."""

    def __init__(
        self, name: str, reason: Exception, emulated: EmulatedAnswer | None = None
    ) -> None:
        super().__init__(f"'{name}' cannot be played: {reason}")
        self.emulated = emulated


class RecordingPlayer:
    """Sends recorded answers to calls. Values that a recording leaves open are those that *app*
    answers."""

    def __init__(self, app: ASGIApp, emulator: Emulator, replay: Replay) -> None:
        self.app = app
        self.emulator = emulator
        self.replay = replay
        self._playables = LRUCache(emulator.settings.cache)
        """The recordings in the form in which they are sent, by their positions, the base URL of
        their pictures and the call's `accept-encoding`. A recording never changes, so only the
        budget empties it. Each namespace has a cache of its own."""
        self._hosted_requests = LRUCache(emulator.settings.cache)
        """The requests of hosted pictures that were played, by their paths, with the pictures.
        Only the budget empties it. Each namespace has a cache of its own."""

    async def play(
        self,
        match: RecordingMatch,
        image_request: ImageRequest | None,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Answer a call, which makes *image_request*, with the next of the recordings that it
        matches. Raises UnplayableError for one that cannot be made of its files, or leaves values
        open that the emulator's answer lacks. Raises APIError where the store is away: then nothing
        of the answer has left."""
        exchange = exchange_of(scope)
        position = await self.replay.claim_next(match.positions)
        try:
            playable = await self._find_or_make_playable(
                position, Request(scope, receive), exchange
            )
        except (OSError, ValueError) as error:
            raise UnplayableError(self.replay.index.names[position], error) from error
        if isinstance(playable, Recording):
            await self._play_described(playable, scope, receive, send)
            return
        if exchange.method == "POST" and exchange.path.endswith(CREATE_FILE.subpath):
            await self._keep_file(playable, exchange, receive)
        exchange.recording_name, exchange.omits_standard_headers = playable.name, True
        exchange.breaks_off = playable.end != "complete"
        self._note_answer(playable, image_request, exchange)
        await self._send(playable, exchange, receive, send)

    async def play_download(
        self,
        recorded_picture: RecordedPicture,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Send a hosted picture as it was fetched. Where that is not possible, the application
        answers."""
        exchange = exchange_of(scope)

        def read() -> tuple[Message, bytes]:
            download = self.replay.download(recorded_picture)
            check_status(download.status)
            data: bytes = download.read_uncached("data")
            length = b"content-length", b"%d" % len(data)
            return _start_message(download.status, [*sent_headers(download.headers), length]), data

        try:
            start, data = await self.emulator.renderer.run_in_background(read)
        except (OSError, ValueError) as error:
            exchange.recording_miss = f"the recorded picture cannot be sent: {error}"
            await self.app(scope, receive, send)
            return
        exchange.recording_name = self.replay.index.names[recorded_picture.position]
        exchange.omits_standard_headers = True
        exchange.request = self._hosted_requests.get(exchange.path)
        await send(start)
        await send({"type": "http.response.body", "body": data})

    async def _send(
        self, playable: PlayableAnswer, exchange: ServedExchange, receive: Receive, send: Send
    ) -> None:
        """Send a recorded answer, until the client leaves. With the setting `delay` each part is as
        late as it was recorded. End the connection as the recorded one ended."""
        settings = self.emulator.settings
        waits = None
        if settings.delay:
            waits = Waits(exchange)
        if playable.status is None:
            await hang_up(exchange, receive, reset=True)
            return
        is_started, last = False, 0.0
        is_complete = playable.end == "complete"
        for number, (seconds, data) in enumerate(playable.parts, 1):
            if waits and seconds > last:
                if not await waits.wait_while_client_stays(
                    (seconds - last) / settings.speed, receive
                ):
                    return
                last = seconds
            if not is_started:
                await send(_start_message(playable.status, playable.headers))
                is_started = True
            is_last = is_complete and number == len(playable.parts)
            await send({"type": "http.response.body", "body": data, "more_body": not is_last})
        if not is_started:
            await send(_start_message(playable.status, playable.headers))
            if is_complete:
                await send({"type": "http.response.body", "body": b""})
        if not is_complete:
            await hang_up(exchange, receive, reset=playable.end == "reset")

    async def _play_described(
        self,
        recording: Recording,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Play a recording whose answer is described. Values that it leaves open are filled in from
        the emulated answer. Raises UnplayableError where that is not possible: the call does not
        count for the rate limit then either."""
        exchange, emulated = exchange_of(scope), EmulatedAnswer()
        exchange.recording_name = recording.name
        await self.app(scope, receive, emulated.collect)
        try:
            described = await self.emulator.renderer.run_in_background(
                lambda: described_answer(recording, emulated)
            )
        except ValueError as error:
            exchange.recording_name = None
            raise UnplayableError(recording.name, error, emulated) from error
        exchange.answer.is_described = True
        exchange.answer.own_header_names = described.described_names
        await send(_start_message(described.status, described.headers))
        await send({"type": "http.response.body", "body": described.body})

    async def _find_or_make_playable(
        self, position: int, request: Request, exchange: ServedExchange
    ) -> PlayableAnswer | Recording:
        """The recording in the form that is sent to this client. A recording whose answer is
        described stays as it is. Raises OSError and ValueError where it cannot be made of its
        files."""
        base = ""
        if self.replay.has_pictures(position):
            base = base_url(request, self.emulator.settings.public_url)
        accept_encoding = exchange.head.header(b"accept-encoding")
        key = position, base, accept_encoding
        playable: PlayableAnswer | Recording | None = self._playables.get(key)
        if playable is None:

            def make() -> PlayableAnswer | Recording:
                recording = self.replay.recordings[position]
                if recording.expectation:
                    return recording
                return playable_answer(recording, base, accept_encoding)

            # Reading megabytes of base64 takes a while.
            playable = await self.emulator.renderer.run_in_background(make)
            weight = playable.weight if isinstance(playable, PlayableAnswer) else OVERHEAD_BYTES
            self._playables.put(key, playable, weight + len(base) + len(accept_encoding))
        return playable

    def _note_answer(
        self, playable: PlayableAnswer, image_request: ImageRequest | None, exchange: ServedExchange
    ) -> None:
        """Note in *exchange* what the journal shows of the answer: its pictures, and unless a fault
        changes it, the recorded answer."""
        answer = playable.known_answer
        if image_request and playable.status == HTTPStatus.OK:
            image_request = exchange.note_images(image_request, answer)
            for url, picture in zip(answer.urls, answer.pictures, strict=False):
                picture_request = replace(image_request, own_pictures=(picture,))
                path = unquote(urlsplit(url.decode().removeprefix(playable.base_url)).path)
                weight = HOSTED_OVERHEAD_BYTES + picture.weight
                self._hosted_requests.put(path, picture_request, weight)
        if not exchange.fault_changes_body:
            exchange.answer.known_answer = answer

    async def _keep_file(
        self, playable: PlayableAnswer, exchange: ServedExchange, receive: Receive
    ) -> None:
        """Keep the file of an upload under its id in the recorded answer: a call that no recording
        answers may name that id. Raises APIError where the store is away."""
        file_object = json_value(b"".join(data for _, data in playable.parts))
        file_id = file_object.get("id") if isinstance(file_object, Mapping) else None
        if playable.status != HTTPStatus.OK or not isinstance(file_id, str):
            return
        try:
            fields = await read_fields(exchange, receive, CREATE_FILE, self.emulator)
            upload, purpose = upload_and_purpose(fields)
        except (APIError, ClientDisconnect):
            return
        owner = file_owner(exchange, self.emulator.settings)
        await self.emulator.files.add(upload.filename, purpose, upload.data, file_id, owner=owner)


def _start_message(status: int, headers: Sequence[Header]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": [*headers]}
