"""Counts the segments, chunks and scans of an image file before it is decoded: each takes time to
decode, and a small file may have a million of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from struct import unpack_from
from typing import Final

MAX_SCANS: Final = 100
"""Scans of a JPEG. Each is a pass over all pixels; usual progressive files have ten."""

MAX_PARTS: Final = 10_000
"""Segments of a JPEG, chunks of a PNG or a WebP. Encoders write chunks of 8 KB or more."""

_WINDOW_BYTES: Final = 2**20
"""Bytes that are searched at once; the search holds the interpreter lock."""

# Not a stuffed byte in a scan, a restart marker or a fill byte.
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
    """For each part of the file, whether it is a scan."""
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
            # Pillow reads fill bytes between segments one by one, like segments.
            yield from (False for _ in range(marker - position))
        kind, position = data[marker + 1 : marker + 2], marker + 2
        if kind in (b"", _END):
            return  # bytes behind the image are not decoded: a phone appends a film
        scanned |= kind == _SCAN
        yield kind == _SCAN
        if kind not in (_START, _TEMPORARY):
            position += max(2, int.from_bytes(data[position : position + 2], "big"))


def _next_marker(data: bytes, position: int) -> int:
    """The offset of the first marker from *position* on, or the length of *data*."""
    while position < len(data) - 1:
        match = _MARKER.search(data, position, position + _WINDOW_BYTES)
        if match:
            return match.start()
        # A marker may begin with the last byte.
        position += _WINDOW_BYTES - 1
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
