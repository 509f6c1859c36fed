"""Rules for images that a JSON body refers to: `{"image_url": …}` or `{"file_id": …}`."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from images_emulator.contract import errors
from images_emulator.contract.call_image import CallImage, ImageLoader
from images_emulator.contract.image_rules import IMAGE_BYTES_LIMIT, InputImages, OverlayRule
from images_emulator.contract.message_format import json_type

MAX_URL_CHARS: Final = 20_971_520
"""The most characters of an `image_url`, from the specification."""

BASE64_CHUNK_CHARS: Final = 2**20
"""Characters of base64 that are decoded at once; a multiple of four."""

REFERENCE_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "image_url": {"type": "string", "maxLength": MAX_URL_CHARS},
        "file_id": {"type": "string"},
    },
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
}
"""JSON Schema of a reference."""


def check_reference(name: str, value: Any) -> None:
    """Raises APIError where *value* is no reference."""
    if not isinstance(value, Mapping):
        raise errors.wrong_type(name=name, expected="an object", got=json_type(value))
    for key in value:
        if key not in ("image_url", "file_id"):
            raise errors.unknown_field(name=f"{name}.{key}")
    keys = [key for key in ("image_url", "file_id") if value.get(key) is not None]
    if len(keys) != 1:
        raise errors.not_one_reference(name=name)
    where, text = f"{name}.{keys[0]}", value[keys[0]]
    if not isinstance(text, str):
        raise errors.wrong_type(name=where, expected="a string", got=json_type(text))
    if keys[0] == "image_url":
        if len(text) > MAX_URL_CHARS:
            raise errors.string_too_long(
                name=where, value=text, limit=MAX_URL_CHARS, length=len(text)
            )
        if not re.match(r"(?i)https?://[^/]|data:", text):
            raise errors.not_an_image_url(name=where)


def _from_base64(text: str) -> bytes:
    """The bytes of the base64 *text*. Raises ValueError. The text is decoded in chunks, so that
    other threads run between two chunks: 20 MB take 100 ms."""
    if 0 <= text.find("=") < len(text) - 2:
        raise ValueError("padding before the end")
    chunks = (text[at : at + BASE64_CHUNK_CHARS] for at in range(0, len(text), BASE64_CHUNK_CHARS))
    return b"".join([base64.b64decode(chunk, validate=True) for chunk in chunks])


def is_data_url(url: str) -> bool:
    """Whether *url* holds its data itself."""
    return url[:5].lower() == "data:"


def data_of_url(url: str) -> bytes:
    """The bytes in a data URL: none where it is malformed or has no base64."""
    head, _, text = url.partition(",")
    try:
        return _from_base64(text.strip()) if head.lower().endswith(";base64") else b""
    except ValueError:
        return b""


def _data_of(value: Mapping[str, Any], loader: ImageLoader) -> bytes | None:
    """The bytes of the image that the checked reference *value* names. Empty where its data URL is
    malformed; None where a placeholder is to replace the image. Raises APIError."""
    if value.get("file_id") is not None:
        data = loader.read_file(value["file_id"])
        if data is None:
            raise errors.no_such_file(file_id=value["file_id"])
        return data
    url: str = value["image_url"]
    return data_of_url(url) if is_data_url(url) else loader.fetch(url)


class ImageReferences(InputImages, kw_only=True):
    """`images`: an array of references."""

    def check_at_gateway(self, name: str, value: Any) -> None:
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise errors.wrong_type(name=name, expected="an array of objects", got=json_type(value))
        if not value:
            raise errors.empty_array(name=name)
        for where, reference in self.named_items(name, value):
            check_reference(where, reference)

    def load_one(self, name: str, index: int, item: Any, loader: ImageLoader) -> CallImage:
        where = f"{name}[{index}]"
        check_reference(where, item)
        data = _data_of(item, loader)
        if data is None:
            return loader.placeholder(item["image_url"])
        if len(data) >= IMAGE_BYTES_LIMIT:
            raise errors.file_too_large(name=where, limit=IMAGE_BYTES_LIMIT, size=len(data))
        image = loader.decode(data)
        if not image:
            key = next(key for key in item if item[key] is not None)
            raise errors.image_data_invalid(name=f"{where}.{key}")
        return image

    def schema(self) -> dict[str, Any]:
        return {
            "type": "array",
            "items": REFERENCE_SCHEMA,
            "minItems": 1,
            "maxItems": self.max_items,
        }


class ReferencedOverlay(OverlayRule, kw_only=True):
    """`mask` or `markup`: a reference."""

    def check_at_gateway(self, name: str, value: Any) -> None:
        check_reference(name, value)

    def decode(
        self, name: str, value: Any, first: CallImage, loader: ImageLoader
    ) -> CallImage | None:
        data = _data_of(value, loader)
        if data is None:
            return loader.placeholder_overlay(value["image_url"], first.width, first.height)
        self.check_size(name, len(data))
        return loader.decode(data)

    def schema(self) -> dict[str, Any]:
        return {**REFERENCE_SCHEMA}
