"""Reads a multipart body into fields and uploads, and notices when it is not whole."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from emulator.contract import errors
from emulator.contract.pictures import LARGEST
from emulator.contract.request import Upload

MOST_PARTS: Final = 1000
"""Parts that are read. A Buffer that the Node SDK is handed as an image arrives as one text part
for each byte; what comes after these changes no verdict."""

_NAME: Final = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")


class _Reader:
    """The parser's callbacks, and what they have gathered."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.complete = False
        self.parts = 0
        self._headers: dict[str, str] = {}
        self._field = b""
        self._value = b""
        self._data = bytearray()
        self._size = 0

    def on_part_begin(self) -> None:
        self.parts += 1
        self._headers = {}
        self._data = bytearray()
        self._size = 0

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        self._headers[self._field.decode("latin-1").lower()] = self._value.decode("latin-1")
        self._field = self._value = b""

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._size += end - start
        if len(self._data) < LARGEST:
            self._data += memoryview(data)[start:end]

    def on_part_end(self) -> None:
        if self.parts > MOST_PARTS:
            return
        _, options = parse_options_header(self._headers.get("content-disposition"))
        name = options.get(b"name", b"").decode()
        value: str | Upload
        if b"filename" in options:
            filename = options[b"filename"].decode(errors="replace")
            said = self._headers.get("content-type")
            value = Upload(filename, said, bytes(self._data), self._size)
        else:
            value = self._data.decode(errors="replace")
        place(self.fields, name, value)

    def on_end(self) -> None:
        self.complete = True


def place(fields: dict[str, Any], name: str, value: str | Upload) -> None:
    """Put one part under its *name*: `image`, `image[]`, `image[0]`, `svg[model]`.

    Raises APIError where a name without brackets comes twice.
    """
    match = _NAME.fullmatch(name)
    root = match[1] if match else name
    keys = re.findall(r"\[([^\[\]]*)\]", match[2]) if match else []
    if not keys:
        if root in fields:
            raise errors.duplicate_parameter(name=root)
        fields[root] = value
        return
    if len(keys) == 1 and (not keys[0] or keys[0].isdigit()):
        if not isinstance(fields.setdefault(root, []), list):
            raise errors.duplicate_parameter(name=root)
        fields[root].append(value)
        return
    inner = fields
    for key in [root, *keys[:-1]]:
        inner = inner.setdefault(key, {})
        if not isinstance(inner, dict):
            raise errors.duplicate_parameter(name=root)
    if keys[-1] in inner:
        raise errors.duplicate_parameter(name=name)
    inner[keys[-1]] = value


def read_form(content_type: str, body: Iterable[bytes]) -> dict[str, Any]:
    """The fields of a multipart *body*, in its order. Raises APIError where it is malformed."""
    _, options = parse_options_header(content_type)
    reader = _Reader()
    try:
        parser = MultipartParser(
            options.get(b"boundary", b""),
            {
                "on_part_begin": reader.on_part_begin,
                "on_header_field": reader.on_header_field,
                "on_header_value": reader.on_header_value,
                "on_header_end": reader.on_header_end,
                "on_part_data": reader.on_part_data,
                "on_part_end": reader.on_part_end,
                "on_end": reader.on_end,
            },
        )
        for chunk in body:
            # What follows is read all the same: an answer before the end of a request resets it.
            if reader.parts <= MOST_PARTS:
                parser.write(chunk)
    except (FormParserError, UnicodeDecodeError):
        raise errors.malformed_form() from None
    if not options.get(b"boundary") or not (reader.complete or reader.parts > MOST_PARTS):
        raise errors.malformed_form()
    return reader.fields
