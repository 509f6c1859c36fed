"""Counts the parts of a picture file before anything of it is decoded: each costs the decoder time
whatever it holds, and a small file may have a million of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from struct import unpack_from
from typing import Final

MAX_SCANS: Final = 100
"""Scans of a JPEG. Each is a pass over all of its pixels; a usual progressive one has ten."""

MAX_PARTS: Final = 10_000
"""Segments of a JPEG, chunks of a PNG or a WebP. Encoders write 8 KB into a chunk, or more."""

_WINDOW: Final = 2**20
"""Bytes that are searched at once; other threads have to wait meanwhile."""

# Neither stuffing in the data of a scan, nor a restart marker, nor a fill byte.
_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_START, _END, _SCAN, _TEMPORARY = b"\xd8", b"\xd9", b"\xda", b"\x01"


def has_too_many_parts(data: bytes) -> bool:
    """Whether *data* is a JPEG, PNG or WebP file with more scans, segments or chunks than any
    encoder writes."""
    scans = 0
    for parts, is_scan in enumerate(_parts(data), start=1):
        scans += is_scan
        if parts > MAX_PARTS or scans > MAX_SCANS:
            return True
    return False


def _parts(data: bytes) -> Iterator[bool]:
    """For each part of the file whether it is a scan."""
    if data.startswith(b"\xff\xd8"):
        return _jpeg_parts(data)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png_parts(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp_parts(data)
    return iter(())


def _jpeg_parts(data: bytes) -> Iterator[bool]:
    position, scanned = 2, False
    while position < len(data):
        marker = _next_marker(data, position)
        if not scanned:
            # Pillow looks at fill bytes between segments one by one, as at segments.
            yield from (False for _ in range(marker - position))
        kind, position = data[marker + 1 : marker + 2], marker + 2
        if kind in (b"", _END):
            return  # what follows the end is no part of the picture: a film, or its other half
        scanned |= kind == _SCAN
        yield kind == _SCAN
        if kind not in (_START, _TEMPORARY):
            position += max(2, int.from_bytes(data[position : position + 2], "big"))


def _next_marker(data: bytes, position: int) -> int:
    """Where the first marker is from *position* on, or the end of *data* where there is none."""
    while position < len(data) - 1:
        found = _MARKER.search(data, position, position + _WINDOW)
        if found:
            return found.start()
        # A marker may begin with the last byte.
        position += _WINDOW - 1
    return len(data)


def _png_parts(data: bytes) -> Iterator[bool]:
    position, kind = 8, b""
    while position + 8 <= len(data) and kind != b"IEND":
        length, kind = unpack_from(">I4s", data, position)
        position += 12 + length
        yield False


def _webp_parts(data: bytes) -> Iterator[bool]:
    position, end = 12, min(len(data), 8 + unpack_from("<I", data, 4)[0])
    while position + 8 <= end:
        (length,) = unpack_from("<I", data, position + 4)
        position += 8 + length + length % 2
        yield False
