"""Converts bodies that came in parts, such as event streams, to documents of their parts, and
back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from images_emulator.recordings.content_document import (
    Document,
    content_document,
    content_of_document,
)
from images_emulator.recordings.json_layout import JsonLayout
from images_emulator.recordings.recorded_files import FileReader, FileWriter
from images_emulator.recordings.recording import RecordedPart

_EVENT: Final = re.compile(rb"(?:event: ([^\r\n]*)\n)?data: ([^\r\n]*)\n\n")
"""An event with one line of data, as the API writes it."""


def stream_document(
    parts: Sequence[RecordedPart], content_type: str, files: FileWriter | None
) -> dict[str, Any]:
    """*parts* as an object with `stream`. An event with JSON becomes `event` and `data`; any other
    part becomes the result of `content_document`. The `layout` of the first event with JSON applies
    to all events that have no `layout` of their own."""
    layout: JsonLayout | None = None
    entries = []
    for part in parts:
        entry = _event_document(part, layout, files)
        if entry is None:
            content = content_document(part.data, files, content_type, as_json=False)
            entry = {"seconds": part.seconds} | content
        elif layout is None:
            layout = JsonLayout.from_document(entry.pop("layout", None))
        entries.append(entry)
    described = layout.to_document() if layout else {}
    return {"stream": entries} | ({"layout": described} if described else {})


def _event_document(
    part: RecordedPart, layout: JsonLayout | None, files: FileWriter | None
) -> dict[str, Any] | None:
    """The document of an event; None where *part* is no event with JSON. The document has a
    `layout` where the event's layout is not *layout*."""
    match = _EVENT.fullmatch(part.data)
    if not match:
        return None
    try:
        name = match[1] and match[1].decode()
    except UnicodeDecodeError:
        return None
    content = content_document(
        memoryview(part.data)[match.start(2) : match.end(2)], files, likely=layout
    )
    if "json" not in content:
        return None
    entry: dict[str, Any] = {"seconds": part.seconds}
    if name is not None:
        entry["event"] = name
    entry["data"] = content["json"]
    written = content.get("layout", {})
    if layout is None or written != layout.to_document():
        entry |= {"layout": written}
    return entry


def stream_of_document(document: Document, files: FileReader) -> tuple[RecordedPart, ...]:
    """The parts of an object with `stream`. Raises OSError and ValueError."""
    return tuple(_parts(document, files))


def _parts(document: Document, files: FileReader) -> Iterator[RecordedPart]:
    layout = document.get("layout")
    for entry in document["stream"]:
        if "data" not in entry:
            yield RecordedPart(entry["seconds"], content_of_document(entry, files))
            continue
        json_document = {"json": entry["data"], "layout": entry.get("layout", layout)}
        data = content_of_document(json_document, files)
        name = f"event: {entry['event']}\n".encode() if "event" in entry else b""
        yield RecordedPart(entry["seconds"], b"%sdata: %s\n\n" % (name, data))
