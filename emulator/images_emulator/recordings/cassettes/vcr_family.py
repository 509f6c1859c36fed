"""Cassettes of VCR.py, ruby-vcr and the tools that adopted their form: a list of interactions, each
with a `request` and a `response`, in YAML or JSON."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from images_emulator.contract.http_headers import HeaderPairs
from images_emulator.recordings.cassettes.interaction import (
    Cassette,
    Interaction,
    absolute_url,
    cassette,
    extra_reason,
    header_pairs,
    http_method,
    interaction,
    mapping,
    sequence,
    status_code,
    time_of,
)
from images_emulator.recordings.cassettes.yaml_text import decoded_base64

_STANDARD_PORTS: Final = {"http": "80", "https": "443"}

_DURATION: Final = re.compile(r"(?:(\d{1,4})m)?(\d{1,6}(?:\.\d+)?)(s|ms)")


def read(document: Any, attachment: Callable[[str], bytes]) -> Cassette | None:
    """The cassette that *document* is; None where it has another form. *attachment* is not used:
    these files hold everything themselves. Raises ValueError for a malformed document."""
    if isinstance(document, Mapping):
        if "http_interactions" in document:
            recorder = str(document.get("recorded_with") or "")
            kind = "Betamax" if recorder.startswith("betamax") else "ruby-vcr"
            return cassette(kind, _items(document["http_interactions"]), _interaction)
        if "interactions" in document:
            items = _items(document["interactions"])
            return cassette("go-vcr" if _is_of_go(items) else "VCR.py", items, _interaction)
    if isinstance(document, list) and document and all(map(_is_interaction, document)):
        return cassette("VCR without a version", document, _interaction)
    return None


def _items(value: Any) -> Sequence[Any]:
    return () if value is None else sequence(value, "the list of interactions")


def _is_interaction(item: Any) -> bool:
    return isinstance(item, Mapping) and "request" in item and "response" in item


def _is_of_go(items: Sequence[Any]) -> bool:
    return any(
        isinstance(item, Mapping)
        and isinstance(item.get("response"), Mapping)
        and "code" in item["response"]
        for item in items
    )


def _interaction(number: int, item: Mapping[str, Any]) -> Interaction:
    request = mapping(item.get("request"), "the request")
    response = mapping(item.get("response"), "the response")
    status, reason = _status(response)
    return interaction(
        number,
        method=http_method(request.get("method")),
        url=_url(request),
        request_headers=_headers(request.get("headers"), "the request's headers"),
        request_body=_body(request),
        status=status,
        headers=_headers(response.get("headers"), "the response's headers"),
        body=_body(response),
        seconds=_seconds(response.get("duration")),
        recorded_at=time_of(item.get("recorded_at")),
        extra=extra_reason(status, reason),
    )


def _url(request: Mapping[str, Any]) -> str:
    """The URL: in `uri`; from go-vcr in `url`; from old VCR.py in several parts."""
    if "protocol" in request and "host" in request:
        scheme, port = str(request["protocol"]), str(request.get("port") or "")
        authority = str(request["host"])
        if port and port != _STANDARD_PORTS.get(scheme):
            authority += f":{port}"
        return absolute_url(f"{scheme}://{authority}{request.get('path') or '/'}", "the URL")
    return absolute_url(request.get("uri") or request.get("url"), "the URL")


def _status(response: Mapping[str, Any]) -> tuple[int, Any]:
    """The status and its reason: in `status`; from go-vcr and the httpx support of old VCR.py
    beside it."""
    status = response.get("status")
    if isinstance(status, Mapping):
        return status_code(status.get("code"), "the status"), status.get("message")
    code = response.get("code", response.get("status_code", status))
    number = status_code(code, "the status")
    reason = status.partition(" ")[2] if isinstance(status, str) else None
    return number, reason


def _seconds(duration: Any) -> float:
    """The seconds of a duration as go-vcr writes it, such as `1m2.5s`; 0 where there is none."""
    match = _DURATION.fullmatch(duration) if isinstance(duration, str) else None
    if not match:
        return 0.0
    minutes, number, unit = match.groups()
    return int(minutes or 0) * 60 + float(number) / (1000 if unit == "ms" else 1)


def _headers(value: Any, what: str) -> HeaderPairs:
    """The headers in *value*: a mapping of names to values or lists of values. Old VCR.py has a
    list of pairs, or of lines."""
    if value is None:
        return ()
    if isinstance(value, Mapping):
        return header_pairs(value.items(), what)
    return header_pairs(_pairs(sequence(value, what), what), what)


def _pairs(items: Sequence[Any], what: str) -> Iterable[tuple[Any, Any]]:
    for item in items:
        if isinstance(item, str):
            name, _, value = item.partition(":")
            yield name, value.strip()
            continue
        pair = sequence(item, f"an entry of {what}")
        if len(pair) == 2 and isinstance(pair[0], str):
            yield pair[0], pair[1]
        else:  # a set of pairs, as YAML keeps one of Python
            yield from _pairs(pair, what)


def _body(message: Mapping[str, Any]) -> bytes:
    """The body of a request or a response: text or bytes, either alone or in a mapping that says
    how they are written."""
    if message.get("parsed_body") is not None:
        return json.dumps(message["parsed_body"], default=str).encode()
    value = message.get("body", message.get("content"))
    if not isinstance(value, Mapping):
        return _bytes(value)
    if value.get("base64_string") is not None:
        return _decode(value["base64_string"])
    if "string" in value:
        return _encode(value["string"], value.get("encoding"))
    if "state" in value:  # a file of Python: its content, its position, its attributes
        return _bytes([*sequence(value["state"], "the state of a body"), b""][0])
    if "args" in value:  # an iterator of Python over what the list has
        return _bytes([*sequence(value["args"], "the pieces of a body"), b""][0])
    if value.get("base64") is not None:
        return _decode(value["base64"])
    if value:
        raise ValueError("the body must be text, or have string or base64_string")
    return b""


def _decode(value: Any) -> bytes:
    try:
        return decoded_base64(value)
    except (TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"the body is no base64: {error}") from error


def _encode(value: Any, encoding: Any) -> bytes:
    """The bytes of the text *value* in the *encoding* that ruby names. ASCII-8BIT is ruby's name
    for no encoding."""
    if not isinstance(value, str) or not isinstance(encoding, str):
        return _bytes(value)
    try:
        return value.encode(codecs.lookup(encoding).name)
    except (LookupError, UnicodeEncodeError):
        return _bytes(value)


def _bytes(value: Any) -> bytes:
    """The bytes of *value*: text as UTF-8, bytes as they are, a list as its joined pieces or
    numbers."""
    if value is None:
        return b""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, list):
        if value and all(isinstance(each, int) or _is_number(each) for each in value):
            return bytes(int(each) for each in value)
        return b"".join(map(_bytes, value))
    raise ValueError("the body must be text")


def _is_number(value: Any) -> bool:
    return isinstance(value, str) and value.isdecimal() and value.isascii() and int(value) < 256
