"""Serialization of requests and exchanges that are stored outside the process: a JSON object, and
bytes.

Uploads and bodies are in the bytes, because as base64 in the object they would take a third more.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from itertools import chain
from operator import is_
from typing import Any, Final, NamedTuple

from images_emulator import imaging
from images_emulator.contract.answer_replacement import NO_OVERRIDES, AnswerOverrides
from images_emulator.contract.call_image import CallImage
from images_emulator.contract.dialects import dialect_at
from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import OPERATIONS
from images_emulator.contract.own_picture import own_files_of
from images_emulator.contract.request import ImageRequest
from images_emulator.contract.usage import Usage
from images_emulator.exchange.call_answer import CallAnswer
from images_emulator.exchange.call_details import CallDetails, UploadDetails
from images_emulator.exchange.credentials import redacted_answer
from images_emulator.exchange.exchange import EXCHANGE_OVERHEAD_BYTES, Exchange
from images_emulator.exchange.near_miss import NearMiss
from images_emulator.exchange.request_head import RawHeaders, RequestHead
from images_emulator.exchange.sent_answer import SentAnswer, SentEvent
from images_emulator.exchange.sent_file import FileKey, SentFile
from images_emulator.lru_cache import LRUCache

PackedValue = tuple[Mapping[str, Any], bytes]
"""A JSON object, and the bytes beside it."""

MAX_SHARED_BYTES: Final = 2**20
"""Bytes of the texts that calls share."""

SHARED_OVERHEAD_BYTES: Final = 1024
"""The approximate number of bytes that a shared text takes in addition to its length, with the
values of `_SharedText`, but without the body of the call."""

_BODY_COPIES: Final = 5
"""The number of times its own length that a body takes in memory, with its texts in the
request."""

_OPTIONAL: Final = {
    "fault": "fault_label",
    "recording": "recording_name",
    "recording_miss": "recording_miss",
    "hosted_index": "hosted_index",
    "span_trace_id": "span_trace_id",
}
"""The attributes of an exchange that the JSON has unchanged, by their keys there. A value of None
is left out."""

_OPTIONAL_OF_ANSWER: Final = {
    "own_answer": "own_answer_label",
    "is_hung_up": "is_hung_up",
    "is_reset": "is_reset",
    "is_stopped": "is_stopped",
    "is_raw": "is_raw",
}
"""The attributes of its answer that the JSON has unchanged, by their keys there. Values of None and
False are left out."""


def pack_request(request: ImageRequest) -> PackedValue:
    """The *request* as JSON and bytes. The bytes are the uploads in the order of their
    descriptions, then the files of own pictures, each once, in the order of `own_files`."""
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
    files = [*_split(data, document["file_bytes"])]
    digests = document["own_files"]
    uploads = iter(files[: len(files) - len(digests)])
    own = dict(zip(reversed(digests), reversed(files), strict=False))

    def image(description: Mapping[str, Any]) -> CallImage:
        return imaging.decoder.restore(description, next(uploads))

    return ImageRequest.from_json(
        document["request"], models=MODELS, image=image, file=own.__getitem__
    )


def pack_arrival(exchange: Exchange) -> PackedValue:
    """The facts of an exchange that are known at its arrival. There are no bytes."""
    head = exchange.head
    document = {
        "id": exchange.id,
        "time": exchange.time.isoformat(),
        "kind": exchange.kind,
        "method": head.method,
        "path": head.path,
        "query": head.query_string.decode("latin-1"),
        "headers": _header_text(head.pairs),
    }
    if exchange.image_operation:
        document["operation"] = exchange.image_operation.name
    if exchange.namespace:
        document["namespace"] = exchange.namespace
    return document, b""


def pack_completion(exchange: Exchange) -> PackedValue:
    """The members of a completed exchange that `pack_arrival` leaves out, and its time, which may
    have changed since. The bytes are the uploads and the body. An exchange whose bytes are gone can
    be unpacked without them."""
    files, shared = _shared_members(exchange)
    return _own_members(exchange) | shared, _files_and_body(exchange, files)


def pack_redacted(exchange: Exchange) -> dict[str, Any]:
    """An exchange as one JSON object, without credentials in its head and in the answer, which may
    repeat the key; its bytes are in base64."""
    document, _ = pack_arrival(exchange)
    completion, data = pack_completion(exchange)
    head, sent = exchange.head, completion["sent"]
    for name in ("error_body", "body"):
        if name in sent:
            redacted = redacted_answer(sent[name].encode("latin-1"), head.api_key)
            sent[name] = redacted.decode("latin-1")
    headers = [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in head.redacted_headers.items()
    ]
    return {
        **document,
        **completion,
        "query": head.redacted_query,
        "headers": _header_text(headers),
        "data": b64encode(data).decode(),
    }


def unpack_redacted(document: Mapping[str, Any]) -> Exchange:
    """The exchange of `pack_redacted`. Raises KeyError, TypeError or ValueError for a document that
    another version has packed."""
    return unpack_exchange(document, b64decode(document["data"]))


class CompletionPacker:
    """Packs completed exchanges as `pack_completion` does, in less time. Members that are equal in
    all calls with one request are made into JSON text once. The texts of the last requests are
    kept, up to `MAX_SHARED_BYTES`."""

    def __init__(self) -> None:
        self._texts = LRUCache(MAX_SHARED_BYTES)

    def pack(self, exchange: Exchange) -> tuple[Mapping[str, Any], bytes, str]:
        """The members of the JSON object that only this exchange has, the bytes, and the text of
        the other members."""
        own = _own_members(exchange)
        request = exchange.request
        if request is None or request.has_files:
            files, shared = _shared_members(exchange)
            return own | shared, _files_and_body(exchange, files), ""
        # A cached request is alive, so no other request has its identity.
        shared_text: _SharedText | None = self._texts.get(id(request))
        identical, equal = _values_of_shared_text(exchange)
        if shared_text is None or not shared_text.is_of(identical, equal):
            _, shared = _shared_members(exchange)
            text = json.dumps(shared, separators=(",", ":"))[1:-1]
            shared_text = _SharedText(text, identical, equal)
            held_bytes = len(text) + _BODY_COPIES * exchange.body_bytes
            self._texts.put(id(request), shared_text, SHARED_OVERHEAD_BYTES + held_bytes)
        return own, exchange.body or b"", shared_text.text


class _SharedText(NamedTuple):
    """The *text* of the members that exchanges share, and the values from which it was made:
    another exchange has the same text where some are *identical* and the others *equal*."""

    text: str
    identical: tuple[object, ...]
    equal: tuple[object, ...]

    def is_of(self, identical: tuple[object, ...], equal: tuple[object, ...]) -> bool:
        """Whether it is the text of an exchange with these values."""
        return self.equal == equal and all(map(is_, self.identical, identical))


def _values_of_shared_text(
    exchange: Exchange,
) -> tuple[tuple[object, ...], tuple[object, ...]]:
    """The values that decide the text of the shared members: the `identical` and the `equal` ones
    of `_SharedText`. The usage is made of them, so `CallAnswer.cached_usage`, which a reader may
    have set or not, is none of them."""
    answer, sent = exchange.answer, exchange.answer.sent
    return (exchange.request, exchange.chunks, answer.files), (
        len(answer.files),
        sent.image_indexes,
        sent.partial_count,
        sent.usage,
        sent.body_may_differ,
        answer.overrides.usage,
        exchange.cached_details,
    )


def _shared_members(exchange: Exchange) -> tuple[bytes, dict[str, Any]]:
    """The files of the request, and the members that are equal in all calls with the same request,
    body and images."""
    files, usage = b"", exchange.usage
    members: dict[str, Any] = {} if usage is None else {"usage": _as_json(usage)}
    if exchange.request:
        members["request"], files = pack_request(exchange.request)
    members["details"] = _details_as_json(exchange.details)
    if exchange.answer.files:
        members["files"] = [
            [*key, file.base64_chars, file.beginning.decode("latin-1"), file.file_bytes]
            for key, file in exchange.answer.files.items()
        ]
    if files:
        members["upload_bytes"] = len(files)
    if exchange.chunks is not None:
        members["body_bytes"] = exchange.body_bytes
    return files, members


def _own_members(exchange: Exchange) -> dict[str, Any]:
    """The members that differ between calls with the same request."""
    answer = exchange.answer
    members: dict[str, Any] = {
        "time": exchange.time.isoformat(),
        "number": exchange.number,
        "duration_ms": exchange.duration_ms,
        "weight": exchange.weight,
        "sent": _sent_as_json(answer.sent),
    }
    for key, attribute in _OPTIONAL.items():
        if (value := getattr(exchange, attribute)) is not None:
            members[key] = value
    for key, attribute in _OPTIONAL_OF_ANSWER.items():
        if (value := getattr(answer, attribute)) is not None and value is not False:
            members[key] = value
    if answer.overrides is not NO_OVERRIDES:
        members["overrides"] = _as_json(answer.overrides)
    if answer.image_urls:
        members["image_urls"] = [url.decode() for url in answer.image_urls]
    if exchange.dropped:
        members["dropped"] = [*exchange.dropped]
    if exchange.near_misses:
        members["near_misses"] = [_as_json(miss) for miss in exchange.near_misses]
    return members


def _sent_as_json(sent: SentAnswer) -> dict[str, Any]:
    members: dict[str, Any] = {"status": sent.status, "headers": _header_text(sent.headers)}
    for name, value in (("error_body", sent.error_body), ("body", sent.body)):
        if value:
            members[name] = value.decode("latin-1")
    if sent.image_indexes:
        members["image_indexes"] = [*sent.image_indexes]
    if sent.event_count:
        members["event_count"] = sent.event_count
    if sent.kept_events:
        members["kept_events"] = [
            [each.head.decode("latin-1"), *each[1:]] for each in sent.kept_events
        ]
    for name in ("is_stream", "is_whole", "body_may_differ"):
        if getattr(sent, name):
            members[name] = True
    return members


def _as_json(value: Usage | AnswerOverrides | NearMiss | CallDetails) -> dict[str, Any]:
    """The fields of *value*, each as it is."""
    return {each.name: getattr(value, each.name) for each in fields(value)}


def _details_as_json(details: CallDetails) -> dict[str, Any]:
    return {**_as_json(details), "uploads": [asdict(upload) for upload in details.uploads]}


def _files_and_body(exchange: Exchange, files: bytes) -> bytes:
    return files + (exchange.body or b"")


def _header_text(pairs: Iterable[tuple[bytes, bytes]]) -> str:
    """Names and values in turn, one a line: none of them can have a line end."""
    return b"\n".join(chain.from_iterable(pairs)).decode("latin-1")


def unpack_exchange(document: Mapping[str, Any], data: bytes) -> Exchange:
    """The exchange that `pack_arrival` packed. It is completed where *document* has the members of
    `pack_completion`, too. Where *data* is empty because the bytes are gone, the exchange has
    neither body nor uploads, and `dropped` says so."""
    get = document.get
    head = RequestHead(
        document["method"],
        document["path"],
        document["query"].encode("latin-1"),
        _unpack_pairs(document["headers"]),
    )
    details = get("details")
    exchange = Exchange(
        head,
        document["id"],
        datetime.fromisoformat(document["time"]),
        document["kind"] == "download",
        dialect=dialect_at(document["path"]),
        image_operation=OPERATIONS[document["operation"]] if "operation" in document else None,
        number=get("number"),
        namespace=get("namespace"),
        answer=_unpack_answer(document),
        dropped=get("dropped", ()),
        near_misses=tuple(NearMiss(**miss) for miss in get("near_misses", ())),
        duration_ms=get("duration_ms"),
        weight=get("weight", EXCHANGE_OVERHEAD_BYTES),
        cached_details=_unpack_details(details) if details else None,
        **{name: document[key] for key, name in _OPTIONAL.items() if key in document},
    )
    upload_bytes, body_bytes = get("upload_bytes", 0), get("body_bytes")
    files, body = data[:upload_bytes], data[upload_bytes:]
    exchange.weight -= upload_bytes + (body_bytes or 0) - len(data)
    if "request" in document and len(files) == upload_bytes:
        exchange.request = unpack_request(document["request"], files)
    elif exchange.image_indexes and "pictures" not in exchange.dropped:
        exchange.dropped = [*exchange.dropped, "pictures"]
    if body_bytes is not None and len(body) == body_bytes:
        exchange.chunks, exchange.body_bytes = (body,), body_bytes
    elif body_bytes:
        exchange.dropped = ["body", *exchange.dropped]
    return exchange


def _unpack_answer(document: Mapping[str, Any]) -> CallAnswer:
    get = document.get
    usage, sent = get("usage"), get("sent")
    return CallAnswer(
        overrides=_unpack_overrides(document["overrides"])
        if "overrides" in document
        else NO_OVERRIDES,
        files={
            FileKey(image, partial): SentFile(chars, beginning.encode("latin-1"), size)
            for image, partial, chars, beginning, size in get("files", ())
        },
        image_urls=[url.encode() for url in get("image_urls", ())],
        sent=_unpack_sent(sent) if sent else SentAnswer(),
        cached_usage=Usage(**usage) if usage else None,
        **{name: document[key] for key, name in _OPTIONAL_OF_ANSWER.items() if key in document},
    )


def _split(data: bytes, lengths: Sequence[int]) -> Iterator[bytes]:
    start = 0
    for length in lengths:
        yield data[start : start + length]
        start += length


def _unpack_pairs(text: str) -> RawHeaders:
    parts = text.encode("latin-1").split(b"\n") if text else []
    return [*zip(parts[::2], parts[1::2], strict=True)]


def _unpack_overrides(document: Mapping[str, Any]) -> AnswerOverrides:
    headers = tuple((name, value) for name, value in document["headers"])
    return AnswerOverrides(**{**document, "headers": headers})


def _unpack_sent(document: Mapping[str, Any]) -> SentAnswer:
    get = document.get
    return SentAnswer(
        document["status"],
        event_count=get("event_count", 0),
        image_indexes=tuple(get("image_indexes", ())),
        error_body=get("error_body", "").encode("latin-1"),
        is_stream=get("is_stream", False),
        is_whole=get("is_whole", False),
        kept_events=[
            SentEvent(head.encode("latin-1"), ms, size) for head, ms, size in get("kept_events", ())
        ],
        body_may_differ=get("body_may_differ", False),
        headers=_unpack_pairs(document["headers"]),
        body=get("body", "").encode("latin-1"),
    )


def _unpack_details(document: Mapping[str, Any]) -> CallDetails:
    uploads = tuple(
        UploadDetails(**{**upload, "pixels": upload["pixels"] and tuple(upload["pixels"])})
        for upload in document["uploads"]
    )
    violations, names = tuple(document["violations"]), tuple(document["sent_names"])
    members = {"uploads": uploads, "violations": violations, "sent_names": names}
    return CallDetails(**{**document, **members})
