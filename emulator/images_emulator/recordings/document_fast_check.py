"""A quick check that accepts most documents of recordings, those of the usual form, in ten
microseconds. Any other document is left to the full check, which takes twenty times as long."""

from __future__ import annotations

from datetime import date, datetime
from math import inf
from typing import Any, Final, get_args

from images_emulator.recordings.content_document import BASE64, is_description
from images_emulator.recordings.document_check import VERSION, keys_of
from images_emulator.recordings.recording import End

_KEYS: Final = keys_of()
_REQUEST_KEYS: Final = keys_of("request")
_RESPONSE_KEYS: Final = keys_of("response")
_EXPECTED_KEYS: Final = keys_of("expected")
_PART_KEYS: Final = frozenset({"name", "filename", "content_type", "head", "text", "file"})
_EVENT_KEYS: Final = frozenset({"seconds", "event", "data", "text", "file"})
_LAYOUT_KEYS: Final = keys_of("layout") - {"indent"}
_NO_FILE: Final = ("file", "")
_ENDS: Final = get_args(End)


def is_certainly_valid(document: Any) -> bool:
    """Whether the form of *document* is certainly right. A document that fails this check, such as
    one with described pictures, may still be right."""
    try:
        return _is_right(document)
    except (KeyError, TypeError, ValueError, AttributeError):
        return False


def _is_right(document: Any) -> bool:
    keys, get, request = document.keys(), document.get, document["request"]
    version = document["version"]
    return (
        keys <= _KEYS
        and type(version) is int
        and version == VERSION
        and ("response" in keys) + ("expected" in keys) + ("error" in keys) == 1
        and "downloads" not in keys
        and type(get("source", "")) is str
        and type(get("note", "")) is str
        and type(get("error", "")) is str
        and type(get("settings", {})) is dict
        and type(get("extra", {})) is dict
        and type(get("broken", False)) is bool
        and type(get("$schema", "")) is str
        and ("recorded_at" not in keys or _has_zone(document["recorded_at"]))
        and ("as_of" not in keys or _is_day(document["as_of"]))
        and _is_right_request(request)
        and ("response" not in keys or _is_right_response(document["response"]))
        and ("expected" not in keys or _is_right_expectation(document["expected"]))
    )


def _has_zone(time: Any) -> bool:
    return datetime.fromisoformat(time).tzinfo is not None


def _is_day(text: str) -> bool:
    return date.fromisoformat(text).isoformat() == text


def _is_right_request(request: Any) -> bool:
    method, target = request["method"], request["target"]
    return (
        request.keys() <= _REQUEST_KEYS
        and type(method) is str
        and type(target) is str
        and method != "" != target
        and type(request.get("authorised", False)) is bool
        and type(request.get("key", "")) is str
        and _are_right_headers(request.get("headers", {}))
        and ("body" not in request or _is_right_body(request["body"]))
    )


def _is_right_response(response: Any) -> bool:
    status = response["status"]
    return (
        response.keys() <= _RESPONSE_KEYS
        and type(status) is int
        and 100 <= status <= 999
        and _is_time(response.get("seconds", 0))
        and response.get("end", "complete") in _ENDS
        and _are_right_headers(response.get("headers", {}))
        and ("body" not in response or _is_right_response_body(response["body"]))
    )


def _is_right_expectation(expected: Any) -> bool:
    status, present = expected["status"], expected.get("headers_present", [])
    return (
        expected.keys() <= _EXPECTED_KEYS
        and type(status) is int
        and 100 <= status <= 999
        and type(expected.get("newline", False)) is bool
        and type(present) is list
        and all(type(name) is str for name in present)
        and "end" not in expected
        and _are_right_headers(expected.get("headers", {}))
        and ("body" not in expected or _is_right_body(expected["body"]))
    )


def _are_right_headers(headers: Any) -> bool:
    if type(headers) is dict:
        return all(type(value) is str for value in headers.values())
    return type(headers) is list and all(
        type(pair) is list and len(pair) == 2 and type(pair[0]) is str and type(pair[1]) is str
        for pair in headers
    )


def _is_right_body(body: Any) -> bool:
    keys = body.keys()
    if "json" in keys:
        return (
            len(keys) == 1 or (len(keys) == 2 and _is_right_layout(body["layout"]))
        ) and _is_right_json(body["json"])
    if "form" in keys:
        form = body["form"]
        return len(keys) == 1 and type(form) is list and all(map(_is_part, form))
    ((kind, value),) = body.items()
    return kind in ("text", "base64", "file") and type(value) is str and (kind, value) != _NO_FILE


def _is_right_response_body(body: Any) -> bool:
    if "stream" not in body:
        return _is_right_body(body)
    stream = body["stream"]
    return (
        (len(body) == 1 or (len(body) == 2 and _is_right_layout(body["layout"])))
        and type(stream) is list
        and stream != []
        and all(map(_is_event, stream))
    )


def _is_right_json(value: Any) -> bool:
    """Whether the only descriptions in a JSON *value* are files in base64."""
    if type(value) is dict:
        if is_description(value):
            file = value.get("file")
            return type(file) is str and file != "" and value.get("as") == BASE64
        return all(map(_is_right_json, value.values()))
    return type(value) is not list or all(map(_is_right_json, value))


def _is_right_layout(layout: Any) -> bool:
    indent = layout.get("indent", 0)
    return (
        (type(indent) is int and 0 <= indent <= 16)
        and all(type(value) is bool for name, value in layout.items() if name != "indent")
        and layout.keys() - _LAYOUT_KEYS <= {"indent"}
    )


def _is_part(part: Any) -> bool:
    keys = part.keys()
    return (
        keys <= _PART_KEYS
        and "name" in keys
        and "head" not in keys
        and ("text" in keys) + ("file" in keys) == 1
        and part.get("file") != ""
        and all(
            type(value) is str
            and (name in ("text", "file") or not ("\r" in value or "\n" in value or '"' in value))
            for name, value in part.items()
        )
    )


def _is_event(entry: Any) -> bool:
    keys = entry.keys()
    return (
        keys <= _EVENT_KEYS
        and _is_time(entry["seconds"])
        and ("data" in keys) + ("text" in keys) + ("file" in keys) == 1
        and entry.get("file") != ""
        and type(entry.get("event", "")) is str
        and type(entry.get("text", "")) is str
        and type(entry.get("file", "")) is str
        and _is_right_json(entry.get("data"))
    )


def _is_time(seconds: Any) -> bool:
    return (type(seconds) is float or type(seconds) is int) and 0 <= seconds < inf
