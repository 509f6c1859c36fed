"""Multipart bodies as documents of their parts, and back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from images_emulator.exchange.form_parser import boundary_of
from images_emulator.recordings.content_document import (
    Document,
    content_document,
    content_of_document,
)
from images_emulator.recordings.recorded_files import FileReader, FileWriter

MAX_PARTS: Final = 4096
"""A body with more parts is a file."""

LAST_LINE_END: Final = "\r\n"
"""The line end after the last boundary, unless the document says otherwise."""

_HEAD: Final = re.compile(
    r'Content-Disposition: form-data; name="([^"\r\n]*)"'
    r'(?:; filename="([^"\r\n]*)")?'
    r"(?:\r\nContent-Type: ([^\r\n]*))?"
)
"""The head of a part as nearly all clients write it."""


def form_document(
    body: bytes, content_type: str, files: FileWriter | None
) -> dict[str, Any] | None:
    """The multipart *body* as an object with `form`; None where it is not a whole multipart
    body."""
    boundary = boundary_of(content_type)
    parts = _split(body, boundary) if boundary else None
    if parts is None:
        return None
    try:
        last = body[parts[-1][2] :].decode()
        heads = [body[start:end].decode() for start, end, _ in parts[:-1]]
    except UnicodeDecodeError:
        return None
    view = memoryview(body)
    document: dict[str, Any] = {
        "form": [
            _head_document(head)
            | content_document(view[_data_start(head, end) : data_end], files, as_json=False)
            for head, (_, end, data_end) in zip(heads, parts[:-1], strict=True)
        ]
    }
    return document | ({"epilogue": last} if last != LAST_LINE_END else {})


def _split(body: bytes, boundary: bytes) -> list[tuple[int, int, int]] | None:
    """Split *body* into parts. Each is a triple of indexes: the start and the end of its head, and
    the end of its data. A last triple repeats the index after the last boundary. None for a *body*
    of any other form."""
    opening, delimiter = b"--" + boundary + b"\r\n", b"\r\n--" + boundary
    parts: list[tuple[int, int, int]] = []
    if body.startswith(end := b"--" + boundary + b"--"):
        return [(len(end), len(end), len(end))]
    if not body.startswith(opening):
        return None
    start = len(opening)
    while len(parts) < MAX_PARTS:
        # Without headers, the empty line comes at once.
        head_end = start if body.startswith(b"\r\n", start) else body.find(b"\r\n\r\n", start)
        if head_end < 0:
            return None
        data_end = head_end + (2 if head_end == start else 4)
        while (data_end := body.find(delimiter, data_end)) >= 0:
            after = data_end + len(delimiter)
            if body[after : after + 2] in (b"\r\n", b"--"):
                break
            data_end = after
        if data_end < 0:
            return None
        parts.append((start, head_end, data_end))
        start = after + 2
        if body.startswith(b"--", after):
            return [*parts, (start, start, start)]
    return None


def _data_start(head: str, head_end: int) -> int:
    return head_end + (4 if head else 2)


def _head_document(head: str) -> dict[str, Any]:
    match = _HEAD.fullmatch(head)
    if not match:
        return {"head": head}
    names = ("name", "filename", "content_type")
    return {
        name: value for name, value in zip(names, match.groups(), strict=True) if value is not None
    }


def part_head(part: Document) -> str:
    """The headers of a part."""
    if "head" in part:
        return str(part["head"])
    head = f'Content-Disposition: form-data; name="{part["name"]}"'
    if "filename" in part:
        head += f'; filename="{part["filename"]}"'
    if "content_type" in part:
        head += f"\r\nContent-Type: {part['content_type']}"
    return head


def form_of_document(document: Document, content_type: str, files: FileReader) -> bytes:
    """The body that an object with `form` describes. Raises OSError, and ValueError for a
    description that cannot be followed or a *content_type* without a boundary."""
    boundary = boundary_of(content_type)
    if not boundary:
        raise ValueError("a form needs a header `content-type` with its boundary")
    return b"".join(_pieces(document, boundary, files))


def _pieces(document: Document, boundary: bytes, files: FileReader) -> Iterator[bytes]:
    parts: Sequence[Document] = document["form"]
    for part in parts:
        head = part_head(part)
        yield b"--%s\r\n%s" % (boundary, f"{head}\r\n\r\n".encode() if head else b"\r\n")
        yield content_of_document(part, files)
        yield b"\r\n"
    yield b"--%s--%s" % (boundary, document.get("epilogue", LAST_LINE_END).encode())
