"""The JSON of calls in the admin API: its fields are those of the classes here.

Times are by the emulator's clock, durations in milliseconds of the machine. What is not known is
null.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from images_emulator import imaging
from images_emulator.admin_prefix import ADMIN_PREFIX
from images_emulator.contract.rules import Pixels
from images_emulator.contract.usage import Usage
from images_emulator.exchange.call_details import FormPart, UploadDetails, UploadSource
from images_emulator.exchange.exchange import Exchange, ExchangeKind
from images_emulator.exchange.near_miss import NearMiss
from images_emulator.exchange.outcome import Outcome
from images_emulator.exchange.upload_data import all_upload_data, keeps_upload
from images_emulator.state.hosting import DOWNLOAD_PREFIX

THUMBNAIL_EDGE: Final = imaging.thumbnails.EDGES[0]
"""Longest edge of the thumbnails that calls link to, in pixels."""


@dataclass(frozen=True, slots=True)
class UploadSummary:
    """An image that came with a call. *url* leads to its bytes while they are kept. *thumbnail*
    leads to a small picture of it while they are, where its *pixels* are known."""

    field: str
    name: str
    source: UploadSource
    type: str | None
    bytes: int | None
    pixels: Pixels | None
    url: str | None
    thumbnail: str | None


@dataclass(frozen=True, slots=True)
class PictureSummary:
    """A picture that left whole. *url* leads to the picture, drawn again; null where it cannot be
    drawn any more. *bytes* is null for a picture that was sent by URL."""

    index: int
    url: str | None
    thumbnail: str | None
    width: int
    height: int
    format: str
    bytes: int | None


@dataclass(frozen=True, slots=True)
class UsageSummary:
    """The tokens of an answer."""

    input_tokens: int
    input_text_tokens: int
    input_image_tokens: int
    output_tokens: int
    output_text_tokens: int
    output_image_tokens: int
    total_tokens: int


@dataclass(frozen=True, slots=True)
class CallSummary:
    """One call, or one download of a hosted picture. A download has the model and the prompt of its
    picture. A refused call has model, prompt and parameters as they were sent.

    *number* counts the calls in the order of arrival since the last reset, from 1: see
    `Exchange.number`. *sent* are the names in the body that was sent. *recording* names the
    recording that answered. *notices* are the values of the headers `x-emulator-notice`.
    """

    id: str
    number: int | None
    kind: ExchangeKind
    time: datetime
    method: str
    path: str
    key: str | None
    sdk: str | None
    retries: int
    model: str | None
    prompt: str | None
    parameters: Mapping[str, Any]
    sent: Sequence[str]
    uploads: Sequence[UploadSummary]
    status: int | None
    outcome: Outcome
    error: Mapping[str, Any] | None
    duration_ms: float | None
    event_count: int
    partial_count: int
    pictures: Sequence[PictureSummary]
    usage: UsageSummary | None
    price_usd: float | None
    fault: str | None
    recording: str | None
    own_answer: str | None
    violations: Sequence[str]
    notices: Sequence[str]
    is_kept_whole: bool


@dataclass(frozen=True, slots=True)
class ShownAnswer:
    """The part of an answer that has left. *body* is its text, with only the beginning of each
    image. It is null where there is no body, or the body is not kept any more. *headers* are
    without those of the HTTP server."""

    headers: Mapping[str, str]
    body: str | None
    is_whole: bool


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """An event of a stream that was sent, *ms* milliseconds after the call's arrival. *partial* and
    *thumbnail* lead to its partial image; null where it has none that is kept."""

    index: int
    type: str
    ms: float
    bytes: int
    partial: str | None
    thumbnail: str | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of a retry chain."""

    id: str
    number: int | None
    time: datetime
    retries: int
    status: int | None
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class FullCall(CallSummary):
    """A `CallSummary` with all that is kept of the call; *body* is null where it is no text.
    *form* are the parts of a form, *stream_events* the events that were sent, *attempts* all calls
    of a retry chain. *hosted* leads to the picture of a download."""

    query: str
    headers: Mapping[str, str]
    body: str | None
    body_url: str | None
    form: Sequence[FormPart] | None
    answer: ShownAnswer | None
    stream_events: Sequence[StreamEvent]
    hosted: str | None
    near_misses: Sequence[NearMiss]
    attempts: Sequence[Attempt]
    dropped: Sequence[str]


@dataclass(frozen=True, slots=True)
class CallCounts:
    """The numbers of calls with each value, over all kept calls of the kind that was asked for.
    *pictures* and *price_usd* are sums over the same calls."""

    model: Mapping[str, int]
    status: Mapping[int, int]
    outcome: Mapping[Outcome, int]
    fault: Mapping[str, int]
    key: Mapping[str, int]
    path: Mapping[str, int]
    pictures: int
    price_usd: float


@dataclass(frozen=True, slots=True)
class Calls:
    """Some of the calls that were asked for, newest last. *total* is the number of all of them.
    *dropped* is the number of calls that were let go since the last reset. *counts* is null unless
    it was asked for."""

    requests: Sequence[CallSummary]
    total: int
    dropped: int
    counts: CallCounts | None


@dataclass(frozen=True, slots=True)
class AnsweredImage:
    """A picture that was answered, drawn again by its link."""

    url: str
    call_id: str
    model: str
    prompt: str
    size: str
    output_format: str


@dataclass(frozen=True, slots=True)
class Gallery:
    """The pictures of some of the calls, newest last. *total* is the number of pictures of all the
    calls."""

    images: Sequence[AnsweredImage]
    total: int


def answered_images(exchange: Exchange) -> Iterator[AnsweredImage]:
    """The pictures of *exchange*'s answer that can be drawn again."""
    request = exchange.drawn_request
    for index in exchange.image_indexes if request else ():
        assert request
        yield AnsweredImage(
            f"{ADMIN_PREFIX}/images/{exchange.id}/{index}",
            exchange.id,
            request.model.id,
            request.prompt,
            "{}x{}".format(*request.size),
            request.output_format,
        )


def _uploads(exchange: Exchange, uploads: Iterable[UploadDetails]) -> Iterator[UploadSummary]:
    for number, upload in enumerate(uploads):
        url = f"{ADMIN_PREFIX}/requests/{exchange.id}/uploads/{number}"
        is_kept = keeps_upload(exchange, upload)
        yield UploadSummary(
            upload.field,
            upload.name,
            upload.source,
            upload.type,
            upload.bytes,
            upload.pixels,
            url if is_kept else None,
            f"{url}/thumbnail/{THUMBNAIL_EDGE}" if is_kept and upload.pixels else None,
        )


def _pictures(exchange: Exchange) -> Iterator[PictureSummary]:
    is_kept = exchange.drawn_request is not None
    for picture in exchange.pictures:
        url = f"{ADMIN_PREFIX}/images/{exchange.id}/{picture.index}"
        yield PictureSummary(
            picture.index,
            url if is_kept else None,
            f"{url}/thumbnail/{THUMBNAIL_EDGE}" if is_kept else None,
            picture.width,
            picture.height,
            picture.format,
            picture.bytes,
        )


def _usage(usage: Usage | None) -> UsageSummary | None:
    if usage is None:
        return None
    return UsageSummary(
        usage.input_tokens,
        usage.input_text,
        usage.input_image,
        usage.output_tokens,
        usage.output_text,
        usage.output_image,
        usage.total_tokens,
    )


def _summary_fields(exchange: Exchange) -> dict[str, Any]:
    details = exchange.details
    return {
        "id": exchange.id,
        "number": exchange.number,
        "kind": exchange.kind,
        "time": exchange.time,
        "method": exchange.method,
        "path": exchange.path,
        "key": exchange.key,
        "sdk": exchange.sdk,
        "retries": exchange.retries,
        "model": details.model,
        "prompt": details.prompt,
        "parameters": details.parameters,
        "sent": details.sent_names,
        "uploads": [*_uploads(exchange, details.uploads)],
        "status": exchange.status,
        "outcome": exchange.outcome,
        "error": exchange.error,
        "duration_ms": exchange.duration_ms and round(exchange.duration_ms, 3),
        "event_count": exchange.event_count,
        "partial_count": exchange.partial_count,
        "pictures": [*_pictures(exchange)],
        "usage": _usage(exchange.usage),
        "price_usd": exchange.price_usd,
        "fault": exchange.fault,
        "recording": exchange.recording,
        "own_answer": exchange.own_answer,
        "violations": details.violations,
        "notices": exchange.notices,
        "is_kept_whole": exchange.is_kept_whole,
    }


def summary(exchange: Exchange) -> CallSummary:
    """The summary of a call, also of one that is not over."""
    return CallSummary(**_summary_fields(exchange))


def counts_of(exchanges: Iterable[Exchange]) -> CallCounts:
    """The counts over *exchanges*. The values are in the order in which they first came. Downloads
    all have different paths, so they are counted under one pattern."""
    tallies: dict[str, Counter[Any]] = {
        name: Counter() for name in ("model", "status", "outcome", "fault", "key", "path")
    }
    images, price = 0, 0.0
    for exchange in exchanges:
        for name, tally in tallies.items():
            value = getattr(exchange, name)
            if name == "path" and exchange.is_download:
                value = f"{DOWNLOAD_PREFIX}*"
            if value is not None:
                tally[value] += 1
        images += len(exchange.image_indexes)
        price += exchange.price_usd or 0
    return CallCounts(**tallies, pictures=images, price_usd=round(price, 8))


def stream_events(exchange: Exchange) -> list[StreamEvent]:
    """The first events of the stream that have been sent, also before its end."""
    events, partial_count = [], 0
    for index, event in enumerate(exchange.stream_events):
        partial_url = None
        if event.is_partial_image:
            if exchange.request:
                partial_url = f"{ADMIN_PREFIX}/images/{exchange.id}/0/partials/{partial_count}"
            partial_count += 1
        thumbnail = partial_url and f"{partial_url}/thumbnail/{THUMBNAIL_EDGE}"
        ms = round(event.ms, 3)
        events.append(StreamEvent(index, event.type, ms, event.bytes, partial_url, thumbnail))
    return events


def _uploads_with_pixels(
    exchange: Exchange, read_file: Callable[[str], bytes | None]
) -> Iterator[UploadDetails]:
    """The uploads of a call. Pixels that are not known yet are read from the files."""
    uploads = exchange.uploads
    unknown = any(each.pixels is None and keeps_upload(exchange, each) for each in uploads)
    files = all_upload_data(exchange, read_file) if unknown else iter(())
    for upload in uploads:
        data = next(files, None)
        if upload.pixels is None and data is not None:
            yield replace(upload, pixels=imaging.decoder.pixels_of(data))
        else:
            yield upload


def _answer(exchange: Exchange) -> ShownAnswer | None:
    if exchange.status is None:
        return None
    return ShownAnswer(exchange.answer_headers, exchange.answer_body, exchange.answer.sent.is_whole)


def detail(
    exchange: Exchange, attempts: Iterable[Exchange], read_file: Callable[[str], bytes | None]
) -> FullCall:
    """The detail of a call with its *attempts*. *read_file* gives the content of a file by its
    id."""
    body = exchange.body
    fields = _summary_fields(exchange)
    fields["uploads"] = [*_uploads(exchange, _uploads_with_pixels(exchange, read_file))]
    return FullCall(
        **fields,
        query=exchange.query,
        headers=exchange.headers,
        body=_utf8_or_none(body),
        body_url=f"{ADMIN_PREFIX}/requests/{exchange.id}/body" if body is not None else None,
        form=exchange.form,
        answer=_answer(exchange),
        stream_events=stream_events(exchange),
        hosted=_hosted_picture_path(exchange),
        attempts=[
            Attempt(each.id, each.number, each.time, each.retries, each.status, each.outcome)
            for each in attempts
        ],
        near_misses=exchange.near_misses,
        dropped=exchange.dropped,
    )


def _hosted_picture_path(exchange: Exchange) -> str | None:
    index = exchange.hosted_index
    if index is None or not exchange.picture_request(index):
        return None
    return f"{ADMIN_PREFIX}/images/{exchange.id}/{index}"


def _utf8_or_none(data: bytes | None) -> str | None:
    try:
        return data.decode() if data is not None else None
    except UnicodeDecodeError:
        return None
