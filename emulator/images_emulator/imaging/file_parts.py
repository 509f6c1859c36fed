"""Reads the structure of an image file before it is decoded: its size, and its segments, chunks and
scans. Each of these takes time to decode, and a small file may have a million of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from struct import unpack_from
from typing import Final

from images_emulator.contract.rules import Pixels
from images_emulator.file_types import PNG_SIGNATURE

_WINDOW_BYTES: Final = 2**20
"""The number of bytes that are searched at once. A search holds the interpreter lock."""

# A marker is not a stuffed byte in a scan, a restart marker or a fill byte.
_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_START, _END, _SCAN, _TEMPORARY = b"\xd8", b"\xd9", b"\xda", b"\x01"

_PNG_HEAD: Final = re.compile(PNG_SIGNATURE + rb"....IHDR(....)(....)", re.DOTALL)
_WEBP_HEAD: Final = re.compile(
    rb"RIFF....WEBP(?:(VP8L)....\x2f(....)"
    rb"|(VP8 ).......\x9d\x01\x2a(..)(..)"
    rb"|VP8X........(...)(...))",
    re.DOTALL,
)
_WEBP_EDGE: Final = 0x3FFF
"""The bits of an edge's length in a WebP that is not extended."""


def png_size(data: bytes) -> Pixels | None:
    """The size in the head of a PNG; None where *data* is none."""
    head = _PNG_HEAD.match(data)
    return (int.from_bytes(head[1]), int.from_bytes(head[2])) if head else None


def has_second_head(data: bytes) -> bool:
    """Whether *data* is a PNG with more than one IHDR. libpng refuses such a file. Pillow takes the
    last size that it finds, and other readers of the file see another size."""
    return data.startswith(PNG_SIGNATURE) and [*_png_chunks(data)].count(b"IHDR") > 1


def webp_size(data: bytes) -> Pixels | None:
    """The size of the canvas in the head of a WebP; None where *data* is none. Pillow allocates the
    whole canvas when it opens the file."""
    head = _WEBP_HEAD.match(data)
    if not head:
        return None
    if head[1]:
        bits = int.from_bytes(head[2], "little")
        return (bits & _WEBP_EDGE) + 1, (bits >> 14 & _WEBP_EDGE) + 1
    first, second = (int.from_bytes(each, "little") for each in head.groups()[3:] if each)
    return (first & _WEBP_EDGE, second & _WEBP_EDGE) if head[3] else (first + 1, second + 1)


def scans_of(data: bytes, max_parts: int, max_scans: int) -> Sequence[int] | None:
    """The number of components in each scan of a JPEG; empty for other files. None where the file
    has more than *max_parts* segments or chunks, or more than *max_scans* scans."""
    scans = []
    for parts, components in enumerate(_parts(data), start=1):
        if components:
            scans.append(components)
        if parts > max_parts or len(scans) > max_scans:
            return None
    return scans


def _parts(data: bytes) -> Iterator[int]:
    """Yield a number for each part of the file: the number of components of a scan, at least 1, or
    0 for a part that is no scan."""
    if data.startswith(b"\xff\xd8"):
        return _jpeg_parts(data)
    if data.startswith(PNG_SIGNATURE):
        return (0 for _ in _png_chunks(data))
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp_parts(data)
    return iter(())


def _jpeg_parts(data: bytes) -> Iterator[int]:
    position, scanned = 2, False
    while position < len(data):
        marker = _next_marker(data, position)
        if not scanned:
            # Pillow reads the fill bytes between segments one by one, as if they were segments.
            yield from (0 for _ in range(marker - position))
        kind, position = data[marker + 1 : marker + 2], marker + 2
        if kind in (b"", _END):
            return  # bytes behind the image are not decoded: a phone appends a film
        scanned |= kind == _SCAN
        # The number of a scan's components follows the length of its head.
        yield max((1, *data[position + 2 : position + 3])) if kind == _SCAN else 0
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


def _png_chunks(data: bytes) -> Iterator[bytes]:
    """The types of the chunks of a PNG."""
    position, kind = len(PNG_SIGNATURE), b""
    while position + 8 <= len(data) and kind != b"IEND":
        length, kind = unpack_from(">I4s", data, position)
        position += 12 + length
        yield kind


def _webp_parts(data: bytes) -> Iterator[int]:
    position, end = 12, min(len(data), 8 + unpack_from("<I", data, 4)[0])
    while position + 8 <= end:
        (length,) = unpack_from("<I", data, position + 4)
        position += 8 + length + length % 2
        yield 0
