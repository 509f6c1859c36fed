"""A recording as a JSON document of version 1, and back: the same bytes, headers and times.

The form is described in docs/reference/exchange-files.md, and in `schema.json`.
"""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from math import isfinite
from typing import Any, Final

from images_emulator.contract.http_headers import HeaderPairs
from images_emulator.recordings.content_coding import WINDOW_BITS, decoded_content
from images_emulator.recordings.content_document import (
    Document,
    content_document,
    content_of_document,
    is_description,
    plain_text,
    repeated,
)
from images_emulator.recordings.document_check import (
    VERSION,
    DocumentError,
    Mistake,
    Place,
    mistakes_of,
)
from images_emulator.recordings.document_fast_check import is_certainly_valid
from images_emulator.recordings.form_document import form_document, form_of_document
from images_emulator.recordings.recorded_files import Data, FileReader, FileWriter
from images_emulator.recordings.recording import (
    Expectation,
    RecordedDownload,
    RecordedPart,
    RecordedRequest,
    RecordedResponse,
    Recording,
)
from images_emulator.recordings.stream_document import stream_document, stream_of_document

_NOTHING: Final[Mapping[str, Any]] = {}

PLAIN_FIELDS: Final = "_plain_fields"
"""The name under which a lazy request keeps the result of `plain_fields`."""

EVENT_STREAM: Final = "text/event-stream"
"""The media type of streams."""

MAX_DECODED_BODY_BYTES: Final = 2**26
"""Longer bodies are not shown decoded."""


def header(headers: HeaderPairs, name: str) -> str:
    """The value of the first header *name*, which is in lower case; empty where there is none."""
    return next((value for each, value in headers if each.lower() == name), "")


# --- to a document


def to_document(recording: Recording, files: FileWriter | None) -> dict[str, Any]:
    """The document of *recording*. Pictures, uploads and other bytes that are no text are added to
    *files*. Without *files* they are in the document, in base64.

    Raises ValueError for a recording that JSON cannot hold, such as one with an infinite time.
    """
    document: dict[str, Any] = {"version": VERSION}
    if recording.source:
        document["source"] = recording.source
    if recording.note:
        document["note"] = recording.note
    if recording.recorded_at:
        if recording.recorded_at.tzinfo is None:
            raise ValueError("recorded_at needs a time zone")
        document["recorded_at"] = recording.recorded_at.isoformat()
    if recording.as_of is not None:
        document["as_of"] = recording.as_of
    if recording.settings:
        document["settings"] = dict(recording.settings)
    if recording.broken:
        document["broken"] = True
    document["request"] = _request_document(recording, files)
    if recording.response:
        key = "expected" if recording.expectation else "response"
        document[key] = _response_document(recording.response, recording.expectation, files)
    else:
        document["error"] = recording.error
    if recording.downloads:
        document["downloads"] = [_download_document(each, files) for each in recording.downloads]
    if recording.extra:
        document["extra"] = dict(recording.extra)
    return document


def _request_document(recording: Recording, files: FileWriter | None) -> dict[str, Any]:
    request = recording.request
    document: dict[str, Any] = {"method": request.method, "target": request.target}
    if recording.authorised is not None:
        document["authorised"] = recording.authorised
    if recording.refused_key is not None:
        document["key"] = recording.refused_key
    return (
        document
        | _headers_document(request.headers)
        | _body_document(request.body, request.headers, files)
    )


def _headers_document(headers: HeaderPairs) -> dict[str, Any]:
    if not headers:
        return {}
    by_name = dict(headers)
    return {
        "headers": by_name if len(by_name) == len(headers) else [list(each) for each in headers]
    }


def _body_document(
    body: bytes, headers: HeaderPairs, files: FileWriter | None, *, as_json: bool = True
) -> dict[str, Any]:
    if not body:
        return {}
    content_type = header(headers, "content-type")
    coding = header(headers, "content-encoding").strip().lower()
    if coding not in ("", "identity"):
        if files is None:
            return {"body": {"base64": b64encode(body).decode()}}
        document: dict[str, Any] = {"file": files.add([body], f".{_coding_suffix(coding)}")}
        decoded = decoded_body(body, coding)
        if decoded:
            document["decoded"] = content_document(decoded, files, content_type)
        return {"body": document}
    form = form_document(body, content_type, files) if content_type else None
    return {"body": form or content_document(body, files, content_type, as_json=as_json)}


def _coding_suffix(coding: str) -> str:
    return {"gzip": "gz", "br": "br", "zstd": "zst"}.get(coding, "bin")


def decoded_body(body: bytes, coding: str) -> bytes | None:
    """*body* without its content *coding*. None for an unknown coding, for a body that is not
    encoded so, and for one that gives more than `MAX_DECODED_BODY_BYTES`."""

    def read(decompressor: zlib._Decompress) -> bytes | None:
        data = decompressor.decompress(body, MAX_DECODED_BODY_BYTES)
        return data if decompressor.eof and not decompressor.unused_data else None

    return decoded_content(coding, read) if coding in WINDOW_BITS else None


def _response_document(
    response: RecordedResponse, expectation: Expectation | None, files: FileWriter | None
) -> dict[str, Any]:
    document: dict[str, Any] = {"status": response.status} | _headers_document(response.headers)
    if expectation:
        if expectation.headers_present:
            document["headers_present"] = list(expectation.headers_present)
        if expectation.newline is not None:
            document["newline"] = expectation.newline
    parts = response.parts
    for part in parts:
        if not isfinite(part.seconds) or part.seconds < 0:
            raise ValueError(f"{part.seconds} seconds: a time is finite, and 0 or more")
    content_type = header(response.headers, "content-type")
    is_stream = content_type.partition(";")[0].strip().lower() == EVENT_STREAM
    if len(parts) > 1 or (parts and is_stream and not expectation):
        document["body"] = stream_document(parts, content_type, files)
    elif parts:
        if not expectation:
            document["seconds"] = parts[0].seconds
        is_open = expectation is None or expectation.open_body
        document |= _body_document(parts[0].data, response.headers, files, as_json=is_open)
    if response.end != "complete":
        document["end"] = response.end
    return document


def _download_document(download: RecordedDownload, files: FileWriter | None) -> dict[str, Any]:
    document: dict[str, Any] = {"url": download.url, "status": download.status}
    return (
        document
        | _headers_document(download.headers)
        | _body_document(download.data, download.headers, files)
    )


# --- from a document


def from_document(document: Any, files: FileReader, name: str = "") -> Recording:
    """The recording of *document*. Its bodies are made when they are first read, from *files* and
    descriptions. An error in making one is then a ValueError that names the recording.

    Raises DocumentError for a document that is no recording.
    """
    if not is_certainly_valid(document):
        mistakes = mistakes_of(document)
        if mistakes:
            raise DocumentError(mistakes)
    get, request = document.get, document["request"]
    expected = get("expected")
    response = expected or get("response")
    recorded_at = get("recorded_at")
    return Recording(
        request=_request_of_document(request, files, name),
        response=_response_of_document(response, files, name) if response else None,
        error=get("error", ""),
        downloads=tuple(
            [_download_of_document(each, files, name) for each in get("downloads", ())]
        ),
        source=get("source", ""),
        note=get("note", ""),
        recorded_at=datetime.fromisoformat(recorded_at) if recorded_at else None,
        as_of=get("as_of"),
        settings=get("settings", _NOTHING),
        broken=get("broken", False),
        authorised=request.get("authorised"),
        refused_key=request.get("key"),
        expectation=_expectation_of_document(expected) if expected else None,
        extra=get("extra", _NOTHING),
        name=name,
    )


def _request_of_document(document: Document, files: FileReader, name: str) -> RecordedRequest:
    method, target = document["method"], document["target"]
    headers = _headers_of_document(document.get("headers", _NOTHING))
    if "body" not in document:
        return RecordedRequest(method=method, target=target, headers=headers)
    body = document["body"]
    place = f"{name}: request.body"
    loaders = {
        "body": lambda: _make_at_place(place, lambda: _body_of_document(body, headers, files)),
        PLAIN_FIELDS: lambda: _make_at_place(place, lambda: plain_fields_of_body(body)),
    }
    return RecordedRequest.lazy(loaders, method=method, target=target, headers=headers)


def _headers_of_document(document: Any) -> HeaderPairs:
    pairs = document.items() if isinstance(document, dict) else document
    return tuple([(_header_text(name), _header_text(value)) for name, value in pairs])


def _header_text(value: Any) -> str:
    return value if isinstance(value, str) else repeated(value)


def _response_of_document(document: Document, files: FileReader, name: str) -> RecordedResponse:
    headers = _headers_of_document(document.get("headers", _NOTHING))
    seconds = document.get("seconds", 0.0)
    loaders: dict[str, Callable[[], Any]] = {}
    if "body" in document:
        body = document["body"]
        place = f"{name}: response.body"
        loaders["parts"] = lambda: _make_at_place(
            place, lambda: _parts_of_document(body, seconds, headers, files)
        )
    elif "seconds" in document:
        loaders["parts"] = lambda: (RecordedPart(seconds, b""),)
    return RecordedResponse.lazy(
        loaders,
        status=document["status"],
        headers=headers,
        end=document.get("end", "complete"),
    )


def _expectation_of_document(document: Document) -> Expectation:
    return Expectation(
        open_body="json" in document.get("body", ()),
        headers_present=tuple(document.get("headers_present", ())),
        newline=document.get("newline"),
    )


def _download_of_document(document: Document, files: FileReader, name: str) -> RecordedDownload:
    url, headers = document["url"], _headers_of_document(document.get("headers", _NOTHING))
    loaders: dict[str, Callable[[], Any]] = {}
    if "body" in document:
        body, place = document["body"], f"{name}: {url}"
        loaders["data"] = lambda: _make_at_place(
            place, lambda: _body_of_document(body, headers, files)
        )
    return RecordedDownload.lazy(loaders, url=url, status=document["status"], headers=headers)


def _make_at_place(place: str, make: Callable[[], Any]) -> Any:
    """Return the value that *make* gives. Raises ValueError, with the *place* in its message, where
    *make* raises an error."""
    try:
        return make()
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"{place}: {error}") from error


def _body_of_document(document: Document, headers: HeaderPairs, files: FileReader) -> bytes:
    if "form" in document:
        return form_of_document(document, header(headers, "content-type"), files)
    return content_of_document(document, files)


def _parts_of_document(
    document: Document, seconds: float, headers: HeaderPairs, files: FileReader
) -> tuple[RecordedPart, ...]:
    if "stream" in document:
        return stream_of_document(document, files)
    return (RecordedPart(seconds, _body_of_document(document, headers, files)),)


# --- all of it


def file_places(
    document: Any, place: Place = (), *, in_json: bool = False
) -> Iterator[tuple[Place, str]]:
    """Yield the files that a *document* names, each with its place. Where *in_json*, the *document*
    is a value of JSON, and only descriptions in it name files."""
    if isinstance(document, list):
        for index, each in enumerate(document):
            yield from file_places(each, (*place, index), in_json=in_json)
    elif isinstance(document, dict):
        if (not in_json or is_description(document)) and isinstance(document.get("file"), str):
            yield (*place, "file"), document["file"]
        for name, member in document.items():
            if name not in ("settings", "extra", "headers"):
                inner = in_json or name in ("json", "data")
                yield from file_places(member, (*place, name), in_json=inner)


def mistakes_in_bodies(recording: Recording) -> Iterator[Mistake]:
    """The mistakes that keep the bodies of *recording* from being made."""
    response = "expected" if recording.expectation else "response"
    values: list[tuple[Place, Callable[[], Any]]] = [
        (("request", "body"), lambda: recording.request.body),
        ((response, "body"), lambda: recording.response and recording.response.parts),
        *(
            (("downloads", index, "body"), lambda each=each: each.data)
            for index, each in enumerate(recording.downloads)
        ),
    ]
    for place, value in values:
        try:
            value()
        except ValueError as error:
            yield Mistake(place, str(error.__cause__ or error))


# --- without files


def plain_fields(request: RecordedRequest) -> Mapping[str, Any]:
    """The fields of the body of *request* that can be read without its files. A form gives the
    texts of its parts, by their names. A JSON object gives its members; a member with a file has
    the file's description as its value.

    Empty for any other body, and for an encoded one. Raises ValueError for a description that
    cannot be followed.
    """
    values: Mapping[str, Any] | None = request.lazy_value(PLAIN_FIELDS)
    if values is None:
        document = _body_document(request.body, request.headers, _NoFiles())
        values = plain_fields_of_body(document.get("body", _NOTHING))
    return values


class _NoFiles:
    """Takes files and keeps none."""

    def add(self, chunks: Iterable[Data], suffix: str) -> str:
        for _ in chunks:
            pass
        return suffix


def plain_fields_of_body(body: Document) -> Mapping[str, Any]:
    """The fields that `plain_fields` gives, read from the document of a body."""
    if "form" in body:
        fields: dict[str, Any] = {}
        for part in body["form"]:
            if "name" in part and "filename" not in part and "text" in part:
                text = plain_text(part["text"])
                if text is not None:
                    fields.setdefault(part["name"], text)
        return fields
    value = body.get("json")
    if not isinstance(value, dict) or is_description(value):
        # A description stands for a text, which is the whole body.
        return {}
    return {
        name: repeated(inner)
        if isinstance(inner, dict) and inner.keys() == {"repeat", "times"}
        else inner
        for name, inner in value.items()
    }
