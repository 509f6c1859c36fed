"""HAR files, version 1.2, and the recordings of Polly.JS: HAR files with a form of their own for
binary bodies."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

from images_emulator.contract.http_headers import HeaderPairs
from images_emulator.file_types import SIGNATURE_BYTES, file_type_of
from images_emulator.recordings.cassettes.interaction import (
    FILES_LOST,
    Cassette,
    Interaction,
    absolute_url,
    cassette,
    content_length,
    extra_reason,
    header_pairs,
    http_method,
    interaction,
    mapping,
    sequence,
    status_code,
    text,
    time_of,
)
from images_emulator.recordings.cassettes.yaml_text import decoded_base64
from images_emulator.recordings.document import header

POLLY: Final = "Polly.JS"
"""The name of the `creator` in the files of Polly.JS."""

_FORM: Final = "multipart/form-data"
_URLENCODED: Final = "application/x-www-form-urlencoded"

MAX_MILLISECONDS: Final = 24 * 3600 * 1000
"""The longest time of an answer. A longer one in a file counts as unknown."""

_BOUNDARY: Final = "har-form-boundary"
"""The boundary for a form whose parts the file has without their boundary."""

_UTF_8: Final = "utf-8"
_LATIN_1: Final = "latin-1"

_SURROGATE: Final = re.compile("[\udc80-\udcff]")

_LINE_ENDS: Final = {ord("\r"): " ", ord("\n"): " "}
"""What would end a line of the head of a part, and what takes its place."""

_ESCAPES: Final = {ord('"'): "%22", ord("\r"): "%0D", ord("\n"): "%0A"}
"""How names in the head of a part have the characters that would end them."""

Attachment = Callable[[str], bytes]
"""Reads a file beside the archive by its name."""


def read(document: Any, attachment: Attachment) -> Cassette | None:
    """The cassette that *document* is; None where it is no HAR. *attachment* reads a file beside
    the document by name, and raises OSError. Raises ValueError for a malformed document."""
    if not isinstance(document, Mapping) or not isinstance(document.get("log"), Mapping):
        return None
    log = document["log"]
    creator = log.get("creator")
    is_polly = "_recordingName" in log or (
        isinstance(creator, Mapping) and creator.get("name") == POLLY
    )
    entries = sequence(log.get("entries"), "the list of entries")
    return cassette(POLLY if is_polly else "HAR", entries, partial(_interaction, attachment))


def _interaction(attachment: Attachment, number: int, entry: Mapping[str, Any]) -> Interaction:
    request = mapping(entry.get("request"), "the request")
    response = mapping(entry.get("response"), "the response")
    sent = _header_list(request.get("headers"), "the request's headers")
    sent, body = _request_body(request, sent, attachment)
    # A request that failed has no status, or 0; Playwright writes -1.
    code = response.get("status")
    failed = code in (None, 0, -1)
    status = None if failed else status_code(code, "the status")
    headers = _header_list(response.get("headers"), "the response's headers")
    return interaction(
        number,
        method=http_method(request.get("method")),
        url=absolute_url(request.get("url"), "the URL"),
        request_headers=sent,
        request_body=body,
        status=status,
        headers=headers,
        body=b"" if failed else _content(response.get("content"), headers, attachment),
        error=str(response.get("_error") or response.get("_failureText") or ""),
        seconds=_seconds(entry.get("timings")),
        recorded_at=time_of(entry.get("startedDateTime")),
        extra=extra_reason(status, response.get("statusText")),
    )


def _seconds(timings: Any) -> float:
    """The seconds from the last byte of the request to the last byte of the answer."""
    if not isinstance(timings, Mapping):
        return 0.0
    spent = (timings.get("wait"), timings.get("receive"))
    # -1 stands for an unknown time.
    seconds = [
        each for each in spent if isinstance(each, int | float) and 0 < each < MAX_MILLISECONDS
    ]
    return sum(seconds) / 1000


def _header_list(value: Any, what: str) -> HeaderPairs:
    if value is None:
        return ()
    pairs = (mapping(each, f"an entry of {what}") for each in sequence(value, what))
    return header_pairs(((each.get("name"), each.get("value")) for each in pairs), what)


def _request_body(
    request: Mapping[str, Any], headers: HeaderPairs, attachment: Attachment
) -> tuple[HeaderPairs, bytes]:
    """The headers of a request, with the content type of its body added where it is missing, and
    the body."""
    if request.get("postData") is None:
        return headers, b""
    data = mapping(request["postData"], "postData")
    body = _read_stored_body(data, attachment)
    if body is None and isinstance(data.get("text"), str) and data["text"]:
        body = _encode(data["text"], _length(request, headers))
    media_type = data.get("mimeType")
    media_type = media_type if isinstance(media_type, str) else ""
    if not body:
        params = sequence(data.get("params") or (), "params")
        headers, body = _form_of_params(params, media_type, headers, _length(request, headers))
    if body and media_type and not header(headers, "content-type"):
        headers = (*headers, *header_pairs([("Content-Type", media_type)], "postData"))
    return headers, body


def _length(request: Mapping[str, Any], headers: HeaderPairs) -> int | None:
    """The number of bytes that the body should have, by the headers or by the file."""
    if declared := content_length(headers):
        return declared
    size = request.get("bodySize")
    return size if isinstance(size, int) and size > 0 else None


def _encode(value: str, length: int | None) -> bytes:
    """The bytes of *value*: UTF-8, or Latin-1 where only that has the *length* that the file names.
    Tools keep the files of a form in one or the other."""
    body = value.encode("utf-8", "surrogateescape")
    if length is None or len(body) == length or len(value) != length:
        return body
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return body


def _form_of_params(
    params: Sequence[Any], media_type: str, headers: HeaderPairs, length: int | None
) -> tuple[HeaderPairs, bytes]:
    """The headers and the body of a form that the file has as *params*. *length* is the number of
    bytes that the body should have, as far as it is known."""
    fields = [mapping(each, "a parameter") for each in params]
    if not fields:
        return headers, b""
    content_type = header(headers, "content-type") or media_type
    if content_type.lower().startswith(_URLENCODED):
        pairs = [(str(each.get("name")), str(each.get("value") or "")) for each in fields]
        return headers, urlencode(pairs).encode()
    if not content_type.lower().startswith(_FORM):
        raise ValueError(
            "the body of the request is not in the file, and its parameters are of no form"
        )
    _, has_boundary, boundary = content_type.partition("boundary=")
    boundary = boundary.partition(";")[0].strip().strip('"') if has_boundary else _BOUNDARY
    if not has_boundary:
        parts = [_part(each) for each in fields]
        while any(boundary.encode() in part for part in parts):
            boundary += "x"
        others = ((name, value) for name, value in headers if name.lower() != "content-type")
        headers = (*others, ("Content-Type", f"{content_type}; boundary={boundary}"))
    return headers, _form(fields, boundary, length)


def _form(fields: Sequence[Mapping[str, Any]], boundary: str, length: int | None) -> bytes:
    """The form of *fields*: UTF-8, or Latin-1 for its files or for all of it, where only that has
    the *length*. Tools keep files in one or the other. Raises ValueError where no coding has the
    *length*, so that the bytes of a file are not known."""

    def form(*, files: str = _UTF_8, texts: str = _UTF_8) -> bytes:
        codings = (files if each.get("fileName") else texts for each in fields)
        parts = (_part(each, coding, texts) for each, coding in zip(fields, codings, strict=True))
        body = b"".join(f"--{boundary}\r\n".encode() + part for part in parts)
        return body + f"--{boundary}--\r\n".encode()

    body = form()
    files = [str(each.get("value")) for each in fields if each.get("fileName")]
    if length == len(body) or not any(map(_has_two_codings, files)):
        return body
    if length is None:
        return form(files=_LATIN_1) if any(map(_is_latin1_file, files)) else body
    for coded in (form(files=_LATIN_1), form(files=_LATIN_1, texts=_LATIN_1)):
        if length == len(coded):
            return coded
    raise ValueError(FILES_LOST)


def _has_two_codings(value: str) -> bool:
    """Whether the bytes of *value* depend on its coding. Lone surrogates stand for bytes that are
    no UTF-8, and are known."""
    return not value.isascii() and not _SURROGATE.search(value)


def _is_latin1_file(value: str) -> bool:
    """Whether *value* is a file in Latin-1, by its first bytes. An SVG is a text in any coding."""
    file_type = file_type_of(value[:SIGNATURE_BYTES].encode("latin-1", "replace"))
    return file_type is not None and file_type.name != "SVG"


def _part(field: Mapping[str, Any], coding: str = _UTF_8, head_coding: str = _UTF_8) -> bytes:
    """A part of a form, without the boundary before it. Head and value are in their coding, or in
    UTF-8 where that lacks a character."""
    name, value, file = field.get("name"), field.get("value"), field.get("fileName")
    if file and not value:
        raise ValueError(f"the file {file} of the request is not in the cassette")
    quoted = _quote(text(name, "the name of a parameter"))
    head = f"Content-Disposition: form-data; name={quoted}"
    head += f"; filename={_quote(str(file))}" if file else ""
    media_type = str(field.get("contentType") or "").translate(_LINE_ENDS)
    head += f"\r\nContent-Type: {media_type}" if media_type else ""
    data = "" if value is None else str(value)
    return b"%b\r\n\r\n%b\r\n" % (_bytes_of(head, head_coding), _bytes_of(data, coding))


def _bytes_of(value: str, coding: str) -> bytes:
    with suppress(UnicodeEncodeError):
        return value.encode(coding, "surrogateescape")
    return value.encode(_UTF_8, "surrogateescape")


def _quote(name: str) -> str:
    """A name as browsers write it in the head of a part:
    https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data"""
    return f'"{name.translate(_ESCAPES)}"'


def _content(value: Any, headers: HeaderPairs, attachment: Attachment) -> bytes:
    """The body of a response."""
    if value is None:
        return b""
    content = mapping(value, "the content")
    stored = _read_stored_body(content, attachment)
    if stored:
        return stored
    body, size = content.get("text"), content.get("size")
    if stored is not None or body is None or body == "":
        if isinstance(size, int) and size > 0:
            raise ValueError(f"the body of the answer, of {size} bytes, is not in the cassette")
        return b""
    body = text(body, "the text of the content")
    is_hex = content.get("_isBinary") is True
    if header(headers, "content-encoding") and (chunks := _chunks(body)):
        encoding = content.get("encoding") or "hex"
        return b"".join(_decode(chunk, encoding) for chunk in chunks)
    return _decode(body, "hex" if is_hex else str(content.get("encoding") or ""))


def _chunks(body: str) -> list[str]:
    """The chunks of a compressed body, as Polly.JS keeps them; empty where *body* is no such
    list."""
    if not body.startswith("["):
        return []
    try:
        chunks = json.loads(body)
    except (ValueError, RecursionError):
        return []
    return chunks if all(isinstance(each, str) for each in chunks) else []


def _read_stored_body(holder: Mapping[str, Any], attachment: Attachment) -> bytes | None:
    """The body from a file beside the archive, or from base64 in *holder*; None where it has
    neither."""
    if isinstance(name := holder.get("_file"), str):
        try:
            return attachment(name)
        except OSError as error:
            raise ValueError(f"the body in the file {name} cannot be read: {error}") from error
    if holder.get("encoding") == "base64" and not str(holder.get("text") or "").startswith("["):
        return _decode(str(holder.get("text") or ""), "base64")
    return None


def _decode(value: str, encoding: str) -> bytes:
    try:
        match encoding:
            case "base64":
                return decoded_base64(value)
            case "hex":
                return bytes.fromhex(value)
    except ValueError as error:
        raise ValueError(
            f"the body is not the {encoding} that it is said to be: {error}"
        ) from error
    return value.encode("utf-8", "surrogateescape")
