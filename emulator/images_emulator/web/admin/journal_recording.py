"""Calls of the journal as recordings: the bytes that left, with the pictures drawn again."""

from __future__ import annotations

import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import quote

from images_emulator import imaging
from images_emulator.contract.request import ImageRequest
from images_emulator.exchange.exchange import Exchange
from images_emulator.exchange.request_head import text_of_headers
from images_emulator.recordings.recording import (
    End,
    RecordedDownload,
    RecordedPart,
    RecordedRequest,
    RecordedResponse,
    Recording,
)
from images_emulator.recordings.redaction import Redactor
from images_emulator.rendering.render_process import render_files
from images_emulator.rendering.renderer import Renderer

SOURCE: Final = "the journal of an images-emulator, call {id}"
"""The `source` of such a recording."""

_PICTURE: Final = re.compile(
    rb'("b64_json": ?")([A-Za-z0-9+/=]+)\xe2\x80\xa6 \(([\d,]+) characters\)'
)
"""A picture in the text of an answer, as `SentFile.shortened_base64` has it."""

_PATH_CHARACTERS: Final = "/:@!$&'()*+,;=~-._"
"""Characters that stand in a path as they are."""


class NotHeldError(ValueError):
    """The journal does not hold a call as it was. The message is the end of a sentence about the
    call."""


PictureOfCall = tuple[int, int | None]
"""One picture of a call: its index, and the number of the partial image or None."""


Pictures = Mapping[PictureOfCall, bytes]
"""The base64 of pictures."""


def pictures_of(exchange: Exchange) -> Iterator[tuple[ImageRequest, PictureOfCall]]:
    """The pictures that `recording_of` needs, each with the request from which it is drawn."""
    request = exchange.request
    if request is None or exchange.is_download or exchange.status != 200 or exchange.answer.is_raw:
        return
    is_stream = exchange.answer.sent.is_stream
    if is_stream:
        # One more than the partial images that left whole: a fault may have cut the last one.
        for partial in range(min(request.partial_images, exchange.partial_count + 1)):
            yield request, (0, partial)
    for index in range(1 if is_stream else request.n):
        yield request, (index, None)


def drawn_pictures(exchange: Exchange, renderer: Renderer) -> Pictures:
    """The pictures that `recording_of` needs, drawn in the calling thread or from the cache of
    *renderer*."""
    pictures: dict[PictureOfCall, bytes] = {}
    for request, (index, partial) in pictures_of(exchange):
        cached = renderer.cached_image(request, index, partial)
        if cached is not None:
            pictures[index, partial] = cached
        elif (index, partial) not in pictures:
            for number, data in render_files(request, index, partial):
                pictures[index, number] = b2a_base64(data, newline=False)
    return pictures


def recording_of(exchange: Exchange, pictures: Pictures) -> Recording:
    """The recording of *exchange*, with these *pictures* of its answer and without credentials.
    Raises NotHeldError."""
    if not exchange.has_ended:
        raise NotHeldError("is not answered yet")
    if exchange.outcome == "gone":
        raise NotHeldError("was left by its client before the end")
    if exchange.answer.is_stopped:
        raise NotHeldError("was cut by the stop of its server")
    response = _response(exchange, pictures)
    recording = Recording(
        request=_request(exchange),
        response=response,
        error="" if response else "the connection was reset",
        downloads=tuple(_downloads(exchange, pictures)) if response else (),
        source=SOURCE.format(id=exchange.id),
        note=f"fault: {exchange.fault_label}" if exchange.fault_label else "",
        recorded_at=exchange.time,
    )
    redacted = Redactor([exchange.head.api_key]).redact(recording)
    if redacted.request.body == recording.request.body:
        # The body has no credentials, and the answer repeats nothing of the call but its body.
        # Names of accounts are no secrets here: they are the emulator's own.
        return replace(redacted, response=response, downloads=recording.downloads)
    return redacted


def _request(exchange: Exchange) -> RecordedRequest:
    head, body = exchange.head, exchange.body
    if body is None:
        length = head.header(b"content-length") or "0"
        if "body" in exchange.dropped:
            raise NotHeldError("had a body that the journal holds no more")
        if length != "0" or b"transfer-encoding" in head:
            raise NotHeldError("had a body that was not read")
    query = head.query_string.decode("latin-1")
    path = quote(head.path, safe=_PATH_CHARACTERS)
    return RecordedRequest(
        head.method, f"{path}?{query}" if query else path, text_of_headers(head.pairs), body or b""
    )


def _response(exchange: Exchange, pictures: Pictures) -> RecordedResponse | None:
    """The answer; None where the connection was reset before the status."""
    answer, sent = exchange.answer, exchange.answer.sent
    if sent.status is None:
        return None
    end: End = "complete"
    if not sent.is_whole:
        end = "reset" if answer.is_reset else "cut"
    headers = text_of_headers(sent.headers)
    body = _with_pictures(exchange, exchange.answer_bytes or b"", pictures)
    if sent.is_stream:
        parts = tuple(_events(exchange, body))
    else:
        length = exchange.answer_headers.get("content-length", str(len(body)))
        if end == "complete" and length != str(len(body)):
            raise NotHeldError("has an answer of which the journal holds only a part")
        parts = (RecordedPart(_seconds(exchange.duration_ms or 0), body),) if body else ()
    return RecordedResponse(sent.status, headers, parts, end)


def _with_pictures(exchange: Exchange, body: bytes, pictures: Pictures) -> bytes:
    """*body* with its whole *pictures* in place of their shown beginnings."""
    count = 0

    def picture(match: re.Match[bytes]) -> bytes:
        nonlocal count
        key: PictureOfCall = (count, None)
        if exchange.answer.sent.is_stream:
            # A fault may have kept the last partial images back.
            start = body.rfind(b"\n\n", 0, match.start())
            name = body[0 if start < 0 else start + 2 : match.start()].partition(b"\n")[0]
            key = (0, count if name.endswith(b".partial_image") else None)
        count += 1
        # A fault may have let only the beginning of the picture leave. No fault changes it
        # otherwise.
        encoded = pictures.get(key, b"")[: int(match[3].replace(b",", b""))]
        if not encoded.startswith(match[2]) or f"{len(encoded):,}".encode() != match[3]:
            raise NotHeldError("has a picture that the journal does not hold")
        return match[1] + encoded

    return _PICTURE.sub(picture, body)


def _events(exchange: Exchange, body: bytes) -> Iterator[RecordedPart]:
    """The events of the stream *body*, with the times at which they left."""
    events = list(exchange.stream_events)
    if exchange.event_count > len(events):
        raise NotHeldError("has a stream of which the journal holds only the first events")
    ends = [match.end() for match in re.finditer(rb"\n\n", body)]
    start = 0
    for end in [*ends, *([len(body)] if ends[-1:] != [len(body)] and body else [])]:
        data, start = body[start:end], end
        is_event = data.endswith(b"\n\n") and not data.startswith((b":", b"\n"))
        event = events.pop(0) if is_event and events else None
        if event and event.bytes != len(data):
            raise NotHeldError("has a stream of which the journal does not hold all")
        ms = event.ms if event else events[0].ms if events else exchange.duration_ms or 0
        yield RecordedPart(_seconds(ms), data)


def _seconds(ms: float) -> float:
    return round(ms / 1000, 6)


def _downloads(exchange: Exchange, pictures: Pictures) -> Iterator[RecordedDownload]:
    """The hosted pictures that the answer names."""
    request = exchange.drawn_request
    for index, url in enumerate(exchange.answer.image_urls if request else ()):
        assert request
        encoded = pictures.get((index, None))
        if encoded:
            media_type = imaging.render.media_type(request, index)
            yield RecordedDownload(
                url.decode(), 200, (("content-type", media_type),), a2b_base64(encoded)
            )
