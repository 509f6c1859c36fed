"""Requests and exchanges outside the process: a JSON object, and bytes beside it.

The object is text that a shared store and other programs read; the bytes are what would grow by a
third in it, uploads and bodies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from images_emulator import imaging
from images_emulator.contract.answer_overrides import AnswerOverrides
from images_emulator.contract.azure import dialect_at
from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import OPERATIONS
from images_emulator.contract.own_picture import own_files_of
from images_emulator.contract.picture import Picture
from images_emulator.contract.request import ImageRequest
from images_emulator.contract.usage import Usage
from images_emulator.exchange.details import CallDetails, UploadDetails
from images_emulator.exchange.encoded_file import EncodedFile
from images_emulator.exchange.exchange import Exchange
from images_emulator.exchange.head import RawHeaders, RequestHead
from images_emulator.exchange.near_miss import NearMiss
from images_emulator.exchange.sent import SentEvent, SentResponse

PackedValue = tuple[Mapping[str, Any], bytes]
"""A JSON object, and the bytes beside it."""


def pack_request(request: ImageRequest) -> PackedValue:
    """The bytes are the uploads in the order of their descriptions, then the files of own pictures
    in the order of their digests in `own_files`, each once."""
    files = imaging.decoder.upload_files_of(request) if request.images else []
    own = own_files_of(request.own_pictures)
    files += own.values()
    document = {
        "request": request.to_json(),
        "file_bytes": [len(file) for file in files],
        "own_files": [*own],
    }
    return document, b"".join(files)


def unpack_request(document: Mapping[str, Any], data: bytes) -> ImageRequest:
    """The request of `pack_request`. Raises ValueError for anything else."""
    files = [*_cut(data, document["file_bytes"])]
    digests = document["own_files"]
    uploads = iter(files[: len(files) - len(digests)])
    own = dict(zip(reversed(digests), reversed(files), strict=False))

    def picture(description: Mapping[str, Any]) -> Picture:
        return imaging.decoder.DecodedImage(data=next(uploads), pixels=None, **description)

    return ImageRequest.from_json(
        document["request"], models=MODELS, picture=picture, file=own.__getitem__
    )


def pack_exchange(exchange: Exchange) -> PackedValue:
    """The JSON and the bytes of an exchange, for the log of a store. The bytes are the uploads and
    the body. The exchange can be unpacked without them."""
    request, files = None, b""
    if exchange.request:
        request, files = pack_request(exchange.request)
    body = exchange.body
    head, sent, usage = exchange.head, exchange.sent, exchange.usage
    document = {
        "method": head.method,
        "path": head.path,
        "query": head.query_string.decode("latin-1"),
        "headers": [[part.decode("latin-1") for part in pair] for pair in head.pairs],
        "id": exchange.id,
        "time": exchange.time.isoformat(),
        "kind": exchange.kind,
        "operation": exchange.operation and exchange.operation.name,
        "number": exchange.number,
        "fault": exchange.fault,
        "recording": exchange.recording,
        "recording_miss": exchange.recording_miss,
        "own_answer": exchange.own_answer,
        "hosted_index": exchange.hosted_index,
        "is_hung_up": exchange.is_hung_up,
        "is_reset": exchange.is_reset,
        "is_raw": exchange.is_raw,
        "overrides": asdict(exchange.overrides),
        "files": {
            str(number): [file.chars, file.beginning.decode("latin-1"), file.length]
            for number, file in exchange.files.items()
        },
        "image_urls": [url.decode() for url in exchange.image_urls],
        "usage": usage and asdict(usage),
        "dropped": list(exchange.dropped),
        "near_misses": [asdict(miss) for miss in exchange.near_misses],
        "duration_ms": exchange.duration_ms,
        "details": asdict(exchange.details),
        "sent": {
            "status": sent.status,
            "event_count": sent.event_count,
            "image_indexes": list(sent.image_indexes),
            "error_body": sent.error_body.decode("latin-1"),
            "is_stream": sent.is_stream,
            "is_whole": sent.is_whole,
            "kept_events": [[each.head.decode("latin-1"), *each[1:]] for each in sent.kept_events],
            "body_may_change": sent.body_may_change,
            "headers": [[part.decode("latin-1") for part in pair] for pair in sent.headers],
            "body": sent.body.decode("latin-1"),
        },
        "request": request,
        "upload_bytes": len(files),
        "body_bytes": None if body is None else len(body),
    }
    return document, files + (body or b"")


def unpack_exchange(document: Mapping[str, Any], data: bytes) -> Exchange:
    """The exchange of `pack_exchange`; of one whose bytes are gone without body and uploads."""
    head = RequestHead(
        document["method"],
        document["path"],
        document["query"].encode("latin-1"),
        _pairs(document["headers"]),
    )
    exchange = Exchange(
        head,
        document["id"],
        datetime.fromisoformat(document["time"]),
        document["kind"],
        dialect=dialect_at(document["path"]),
        operation=OPERATIONS[document["operation"]] if document["operation"] else None,
        number=document["number"],
        fault=document["fault"],
        recording=document["recording"],
        recording_miss=document["recording_miss"],
        own_answer=document["own_answer"],
        hosted_index=document["hosted_index"],
        is_hung_up=document["is_hung_up"],
        is_reset=document["is_reset"],
        is_raw=document["is_raw"],
        overrides=_overrides(document["overrides"]),
        files={
            int(number): EncodedFile(chars, beginning.encode("latin-1"), size)
            for number, (chars, beginning, size) in document["files"].items()
        },
        image_urls=[url.encode() for url in document["image_urls"]],
        dropped=document["dropped"],
        near_misses=tuple(NearMiss(**miss) for miss in document["near_misses"]),
        sent=_sent(document["sent"]),
        duration_ms=document["duration_ms"],
        cached_usage=Usage(**document["usage"]) if document["usage"] else None,
        cached_details=_details(document["details"]),
    )
    upload_bytes, body_bytes = document["upload_bytes"], document["body_bytes"]
    files, body = data[:upload_bytes], data[upload_bytes:]
    if document["request"] and len(files) == upload_bytes:
        exchange.request = unpack_request(document["request"], files)
    elif exchange.images:
        exchange.dropped = [*exchange.dropped, "pictures"]
    if body_bytes is not None and len(body) == body_bytes:
        exchange.keep_body((body,))
    elif body_bytes:
        exchange.dropped = ["body", *exchange.dropped]
    return exchange


def _cut(data: bytes, lengths: Sequence[int]) -> Iterator[bytes]:
    start = 0
    for length in lengths:
        yield data[start : start + length]
        start += length


def _pairs(headers: Sequence[tuple[str, str]]) -> RawHeaders:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _overrides(document: Mapping[str, Any]) -> AnswerOverrides:
    headers = tuple((name, value) for name, value in document["headers"])
    return AnswerOverrides(**{**document, "headers": headers})


def _sent(document: Mapping[str, Any]) -> SentResponse:
    return SentResponse.completed(
        document["status"],
        event_count=document["event_count"],
        image_indexes=tuple(document["image_indexes"]),
        error_body=document["error_body"].encode("latin-1"),
        is_stream=document["is_stream"],
        is_whole=document["is_whole"],
        kept_events=[
            SentEvent(head.encode("latin-1"), ms, size)
            for head, ms, size in document["kept_events"]
        ],
        body_may_change=document["body_may_change"],
        headers=_pairs(document["headers"]),
        body=document["body"].encode("latin-1"),
    )


def _details(document: Mapping[str, Any]) -> CallDetails:
    uploads = tuple(
        UploadDetails(**{**each, "pixels": each["pixels"] and tuple(each["pixels"])})
        for each in document["uploads"]
    )
    violations, sent = tuple(document["violations"]), tuple(document["sent"])
    return CallDetails(**{**document, "uploads": uploads, "violations": violations, "sent": sent})
