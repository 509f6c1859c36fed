"""Corrects the checksums of PNG files in which bytes were replaced, both raw files and base64."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Final
from zlib import crc32

from images_emulator.file_types import PNG_SIGNATURE

_IN_BASE64: Final = re.compile(rb"iVBORw0KGgo[A-Za-z0-9+/]+={0,2}")
"""A PNG file in base64."""

_FRAME_BYTES: Final = 12
"""The bytes of a chunk besides its data: length, kind and checksum."""


def write_checksums(old: bytes, new: bytearray) -> None:
    """Write new checksums into the PNG files in *new*, for the chunks that differ from *old*. *old*
    is as long as *new*, and its checksums were right."""
    _write_in_files(old, new)
    for match in _IN_BASE64.finditer(new):
        start, end = match.span()
        # An incomplete group of four characters is no byte.
        end -= (end - start) % 4
        if old[start:end] == new[start:end]:
            continue
        decoded, original = bytearray(b64decode(new[start:end])), b64decode(old[start:end])
        if len(decoded) == len(original):
            _write_in_files(original, decoded)
            new[start:end] = b64encode(decoded)


def _write_in_files(old: bytes, new: bytearray) -> None:
    start = -1
    while (start := new.find(PNG_SIGNATURE, start + 1)) >= 0:
        for first, last in _chunks(new, start + len(PNG_SIGNATURE)):
            if old[first:last] != new[first:last]:
                new[last : last + 4] = crc32(new[first:last]).to_bytes(4, "big")


def _chunks(data: bytearray, start: int) -> Iterator[tuple[int, int]]:
    """Yield the start and end of the bytes that each checksum covers: the kind and the data of a
    chunk. The checksum follows them. The first chunk of the PNG file begins at *start*."""
    while start + _FRAME_BYTES <= len(data):
        length = int.from_bytes(data[start : start + 4], "big")
        end = start + _FRAME_BYTES + length
        if end > len(data):
            return
        yield start + 4, end - 4
        if data[start + 4 : start + 8] == b"IEND":
            return
        start = end
