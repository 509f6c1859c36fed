"""A recording in the form in which this server sends it."""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final

from images_emulator.contract.dialect import Header
from images_emulator.contract.events import EVENT_END
from images_emulator.contract.http_headers import HeaderPairs
from images_emulator.exchange.known_answer import KnownAnswer, known_answer
from images_emulator.recordings.content_coding import WINDOW_BITS, decoded_content
from images_emulator.recordings.document import EVENT_STREAM, header
from images_emulator.recordings.recording import (
    End,
    RecordedPart,
    Recording,
)
from images_emulator.recordings.sendable import check_status, sendable_headers
from images_emulator.state.replay import hosted_target

CONTENT_LENGTH: Final = "content-length"
"""The header with the length of a body."""

CONTENT_ENCODING: Final = "content-encoding"
"""The header that says how a body is compressed."""

_BODILESS: Final = (204, 304)
"""The statuses of answers without a body."""

OVERHEAD_BYTES: Final = 4096
"""Bytes that a playable answer takes beside its body, about."""


@dataclass(frozen=True, slots=True)
class PlayableAnswer:
    """The answer of a recording, for this server and one kind of client."""

    name: str
    status: int | None
    """The status; None where the connection failed before an answer."""
    headers: Sequence[Header]
    """The recorded headers in their order, without those of the connection, and without the
    `content-encoding` of a body that is sent uncompressed. A recorded `content-length` has the
    length of the body in *parts*; it is greater where the call was a HEAD or the answer was cut.
    Answers with status 204 or 304 have none."""
    parts: Sequence[tuple[float, bytes]]
    """The parts of the body: the seconds from the end of the request, and the bytes. Those of a
    stream are its events, each as late as its last byte was."""
    end: End
    known_answer: KnownAnswer
    """The answer as the journal shows it."""
    weight: int
    """Bytes that the answer takes, about."""
    base_url: str = ""
    """What the URLs of its hosted pictures begin with."""


def accepts(accept_encoding: str, coding: str) -> bool:
    """Whether a client that sends the header *accept_encoding* reads bodies in *coding*. `*` is for
    codings that the header does not name (RFC 9110, 12.5.3)."""
    qualities: dict[str, str] = {}
    for item in accept_encoding.lower().split(","):
        name, _, quality = item.partition(";")
        qualities[name.strip()] = quality.replace(" ", "")
    for name in (coding, coding.removeprefix("x-"), "*"):
        if name in qualities:
            return qualities[name] not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def playable_answer(recording: Recording, base_url: str, accept_encoding: str) -> PlayableAnswer:
    """The answer of *recording* for this server. *base_url* replaces the hosts in the URLs of its
    hosted pictures. A compressed body is sent uncompressed where it may have such URLs, where it is
    a stream, or where a client of this *accept_encoding* does not read it. Raises ValueError for a
    body that cannot be made of its files."""
    response = recording.response
    if response is None:
        nothing = KnownAnswer(is_stream=False)
        return PlayableAnswer(recording.name, None, (), (), "reset", nothing, OVERHEAD_BYTES)
    check_status(response.status)
    headers = response.headers
    recorded_parts: Sequence[RecordedPart] = response.read_uncached("parts")
    if response.status in _BODILESS:
        recorded_parts = ()
    parts = [part.data for part in recorded_parts]
    coding = header(headers, CONTENT_ENCODING).strip().lower()
    seconds = [part.seconds for part in recorded_parts]
    shown: Sequence[bytes] | None = parts
    media_type = header(headers, "content-type").lower()
    is_stream = media_type.startswith(EVENT_STREAM)
    if coding not in ("", "identity"):
        shown = _decompress(parts, coding)
        needs_text = recording.downloads or is_stream or not accepts(accept_encoding, coding)
        if shown is not None and needs_text:
            parts, coding = [*shown], ""
    if is_stream and coding in ("", "identity"):
        seconds, parts = _events(seconds, parts)
        shown = parts
    downloads = {}
    if recording.downloads and coding in ("", "identity"):
        moves = {each.url: base_url + hosted_target(each.url) for each in recording.downloads}
        parts = [_move_urls(part, moves) for part in parts]
        shown = parts
        downloads = {moves[each.url]: each.read_uncached("data") for each in recording.downloads}
    answer = known_answer(shown or (), media_type, downloads)
    return PlayableAnswer(
        recording.name,
        response.status,
        tuple(_adapted_headers(recording, sum(map(len, parts)), keeps_coding=bool(coding))),
        tuple(zip(seconds, parts, strict=True)),
        response.end,
        answer,
        OVERHEAD_BYTES + sum(map(len, parts)) + sum(each.weight for each in answer.pictures),
        base_url,
    )


def sent_headers(headers: HeaderPairs) -> list[Header]:
    """Recorded *headers* without those of the connection and the length. Raises ValueError for one
    that cannot be sent."""
    return [_encode(*pair) for pair in sendable_headers(headers) if pair[0] != CONTENT_LENGTH]


def _encode(name: str, value: str) -> Header:
    return name.encode(), value.encode("latin-1")


def _adapted_headers(recording: Recording, length: int, *, keeps_coding: bool) -> Iterator[Header]:
    """The `PlayableAnswer.headers` of a body of *length* bytes. Raises ValueError for a header that
    cannot be sent."""
    response = recording.response
    assert response
    for name, value in sendable_headers(response.headers):
        if name == CONTENT_ENCODING and not keeps_coding:
            continue
        if name != CONTENT_LENGTH:
            yield _encode(name, value)
        elif response.status not in _BODILESS:
            # With the length, the server would wait for so many bytes of an answer without a body.
            yield b"content-length", _length(recording, value, length)


def _length(recording: Recording, recorded: str, length: int) -> bytes:
    """The value of `content-length`, which was *recorded*, for a body of *length* bytes. The answer
    to HEAD, and an answer that was cut, tell a greater length than they have."""
    response = recording.response
    assert response
    is_whole = recording.request.method != "HEAD" and response.end == "complete"
    if is_whole or not recorded.strip().isdecimal():
        return b"%d" % length
    grown = length - sum(len(part.data) for part in response.read_uncached("parts"))
    return b"%d" % max(int(recorded) + grown, length)


def _events(seconds: Sequence[float], parts: Sequence[bytes]) -> tuple[list[float], list[bytes]]:
    """The *parts* of a stream, which came after these *seconds*, cut at the ends of its events. A
    part of a recording may be half an event, or several; faults and the journal count events."""
    body = b"".join(parts)
    ends = [match.end() for match in EVENT_END.finditer(body)]
    if body and (not ends or ends[-1] < len(body)):
        ends.append(len(body))  # an event without an end
    part_ends = [*accumulate(map(len, parts))]
    return (
        [seconds[bisect_left(part_ends, end)] for end in ends],
        [body[start:end] for start, end in pairwise([0, *ends])],
    )


def _decompress(parts: Sequence[bytes], coding: str) -> list[bytes] | None:
    """*parts* without their content *coding*. None for an unknown coding, and for bytes that are
    not in it. What was cut off stays away."""

    def read(decompressor: zlib._Decompress) -> list[bytes]:
        decompressed = [decompressor.decompress(part) for part in parts]
        return [*decompressed[:-1], decompressed[-1] + decompressor.flush()] if parts else []

    return decoded_content(coding, read) if coding in WINDOW_BITS else None


def _move_urls(body: bytes, moves: Mapping[str, str]) -> bytes:
    """*body* with its URLs replaced by *moves*, also where JSON has them with escapes."""
    for old, new in moves.items():
        for escape in _ESCAPES:
            body = body.replace(escape(old).encode(), escape(new).encode())
    return body


_ESCAPES: Final = (
    str,
    lambda url: url.replace("/", "\\/"),
    lambda url: url.replace("&", "\\u0026"),
    lambda url: url.replace("/", "\\/").replace("&", "\\u0026"),
)
"""How a writer of JSON may spell a URL."""
