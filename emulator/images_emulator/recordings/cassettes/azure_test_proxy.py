"""Session records of the Azure SDK test proxy. The tests of openai-dotnet have them, too."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from images_emulator.contract.http_headers import HeaderPairs
from images_emulator.recordings.cassettes.interaction import (
    Cassette,
    Interaction,
    absolute_url,
    cassette,
    header_pairs,
    http_method,
    interaction,
    mapping,
    sequence,
    status_code,
    text,
)
from images_emulator.recordings.document import header

_TEXT: Final = re.compile(
    r"text/|application/(?:json|xml|x-www-form-urlencoded)\b|[^;]*\+(?:json|xml)\b", re.IGNORECASE
)
"""The media types of bodies that are kept as text. Other bodies are base64."""

_FILE: Final = "b64:"
"""The text before the base64 of a file in a form."""


def read(document: Any, attachment: Callable[[str], bytes]) -> Cassette | None:
    """The cassette that *document* is; None where it is no session record. *attachment* is not
    used: a record holds everything itself. Raises ValueError for a malformed record."""
    if not isinstance(document, Mapping) or "Entries" not in document:
        return None
    entries = sequence(document["Entries"], "the list of entries")
    return cassette("Azure SDK test proxy", entries, _interaction)


def _interaction(number: int, entry: Mapping[str, Any]) -> Interaction:
    sent = _headers(entry.get("RequestHeaders"), "the request's headers")
    headers = _headers(entry.get("ResponseHeaders"), "the response's headers")
    return interaction(
        number,
        method=http_method(entry.get("RequestMethod")),
        url=absolute_url(entry.get("RequestUri"), "the URL"),
        request_headers=sent,
        request_body=_body(entry.get("RequestBody"), sent),
        status=status_code(entry.get("StatusCode"), "the status"),
        headers=headers,
        body=_body(entry.get("ResponseBody"), headers),
    )


def _headers(value: Any, what: str) -> HeaderPairs:
    return () if value is None else header_pairs(mapping(value, what).items(), what)


def _body(value: Any, headers: HeaderPairs) -> bytes:
    """The body in *value*: lines of text, base64, or a JSON value. The record does not keep the
    layout of JSON."""
    if value is None:
        return b""
    if isinstance(value, list):
        return b"".join(_line(text(line, "a line of a body"), headers) for line in value)
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    if _TEXT.match(header(headers, "content-type")):
        return value.encode("utf-8", "surrogateescape")
    return _binary(value)


def _line(value: str, headers: HeaderPairs) -> bytes:
    """The bytes of a line of a body. In a form, one line holds a whole file."""
    is_file = value.startswith(_FILE) and header(headers, "content-type").startswith("multipart/")
    return _binary(value.removeprefix(_FILE)) if is_file else value.encode("utf-8")


def _binary(value: str) -> bytes:
    """The bytes of the base64 in *value*, or the bytes of *value* itself where it is no base64."""
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return value.encode("utf-8", "surrogateescape")
