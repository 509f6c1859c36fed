"""The images, the usage and the error that a client finds in the JSON of an answer, or of an
event."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Any, Final

from images_emulator import imaging
from images_emulator.contract.usage import Usage, read_usage
from images_emulator.file_types import SIGNATURE_BYTES

_SIGNATURE_CHARS: Final = SIGNATURE_BYTES // 3 * 4
"""Characters of base64 in which the signature of a file is searched."""


def json_value(text: bytes | bytearray) -> Any:
    """The value in *text*; None where *text* is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def image_items(answer: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The items of the body *answer* that are images, with their indexes."""
    items = answer.get("data") if isinstance(answer, Mapping) else None
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if is_image(item):
            yield index, item


def usage_in(payload: Any) -> Usage | None:
    """The usage in the body or the event *payload*."""
    return read_usage(payload.get("usage")) if isinstance(payload, Mapping) else None


def error_in(text: bytes | None, *, is_stream: bool) -> Mapping[str, Any] | None:
    """The `error` object in *text*, which is a body, or an event of a stream; None without one."""
    if not text:
        return None
    payload = json_value(text.partition(b"data: ")[2] if is_stream else text)
    error = payload.get("error") if isinstance(payload, dict) else None
    return error if isinstance(error, dict) else None


def is_image(item: Any) -> bool:
    """Whether *item* has a URL, or base64 in whole groups of four that begins like an image file.
    The rest is not decoded, because that takes 15 ms for a picture of 3 MB."""
    if not isinstance(item, Mapping):
        return False
    encoded = item.get("b64_json")
    if not isinstance(encoded, str):
        return bool(item.get("url"))
    if len(encoded) % 4:
        return False
    try:
        beginning = b64decode(encoded[:_SIGNATURE_CHARS], validate=True)
    except ValueError:
        return False
    return imaging.formats.format_of(beginning) is not None
