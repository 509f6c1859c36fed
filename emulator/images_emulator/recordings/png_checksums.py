"""Corrects the checksums of PNG files in which bytes were replaced, both raw files and base64."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, product
from typing import Final
from zlib import crc32

from images_emulator.file_types import PNG_SIGNATURE

_IN_BASE64: Final = re.compile(rb"iVBORw0KGgo(?:[A-Za-z0-9+/]++|\\/)++={0,2}")
"""A PNG file in base64, also with the slashes escaped, as some libraries write JSON."""

_ESCAPE: Final = rb"\/"
_SLASH: Final = ord("/")

_LETTERS: Final = b"xyzabcdefghijklmnopqrstuvw"
"""The letters that replace a credential, where the checksum decides which."""

_MAX_TRIES: Final = 2**16
"""The most checksums that are tried in one body. Where slashes are escaped, one file in ten has an
escape in the base64 of a checksum, which one checksum of 64 fits."""

_MAX_VARIED_BYTES: Final = 4096
"""The longest end of a chunk in which letters are varied. Each checksum takes as long as it is."""

_CHUNK_OVERHEAD_BYTES: Final = 12
"""The bytes of a chunk besides its data: length, kind and checksum."""


def write_checksums(old: bytes, new: bytearray) -> None:
    """Write new checksums into the PNG files in *new*, for the chunks that differ from *old*. *old*
    is as long as *new*, and its checksums were right."""
    _write_in_files(old, new)
    tries = iter(range(_MAX_TRIES))
    for match in _IN_BASE64.finditer(new):
        start, end = match.span()
        if old[start:end] != new[start:end]:
            new[start:end] = _with_checksums(old[start:end], bytes(new[start:end]), tries)


def _with_checksums(old: bytes, new: bytes, tries: Iterator[int]) -> bytes:
    """The base64 *new* of a PNG file with new checksums, and with its escapes at the same offsets;
    *new* as it is where no checksum fits these."""
    plain, old_plain = (text.replace(_ESCAPE, b"/") for text in (new, old))
    # An incomplete group of four characters is no byte.
    end = len(plain) - len(plain) % 4
    decoded, original = bytearray(b64decode(plain[:end])), b64decode(old_plain[:end])
    if len(decoded) != len(original):
        return new
    pieces = new.split(_ESCAPE)
    lengths = [len(piece) for piece in pieces]
    slashes = [end + number for number, end in enumerate(accumulate(lengths[:-1]))]
    for chunk in _write_in_files(original, decoded):
        _fit(original, decoded, chunk, slashes, tries)
    encoded = b64encode(decoded) + plain[end:]
    if any(encoded[offset] != _SLASH for offset in slashes):
        return new
    starts = [0, *(offset + 1 for offset in slashes)]
    return _ESCAPE.join(
        encoded[start : start + length] for start, length in zip(starts, lengths, strict=True)
    )


def _fit(
    old: bytes,
    new: bytearray,
    chunk: tuple[int, int],
    slashes: Sequence[int],
    tries: Iterator[int],
) -> None:
    """Vary the letters that replaced a credential in the *chunk* of *new* (the start and end of
    what its checksum covers), until the base64 of the checksum has a slash at each of *slashes*,
    the offsets of escapes. An escape is two bytes, so no other character has its length. Ends with
    *tries* at the latest."""
    first, last = chunk
    offsets = _offsets_between(slashes, last, last + 4)
    group = last // 3 * 3

    def fits() -> bool:
        encoded = b64encode(new[group : last + 6])
        return all(encoded[offset - group // 3 * 4] == _SLASH for offset in offsets)

    if fits():
        return
    start = max(first + 4, last - _MAX_VARIED_BYTES)
    slashes_before = {*_offsets_between(slashes, start, last)}
    varied = [
        at
        for at in range(start, last)
        if new[at] != old[at] and slashes_before.isdisjoint({at * 8 // 6, (at * 8 + 7) // 6})
    ][-4:]
    if not varied:
        return
    before = crc32(new[first : varied[0]])
    for letters, _ in zip(product(_LETTERS, repeat=len(varied)), tries, strict=False):
        for at, letter in zip(varied, letters, strict=True):
            new[at] = letter
        new[last : last + 4] = crc32(new[varied[0] : last], before).to_bytes(4, "big")
        if fits():
            return


def _offsets_between(offsets: Sequence[int], start: int, end: int) -> Sequence[int]:
    """The *offsets* in base64 that have bits of the bytes from *start* to *end*."""
    return offsets[bisect_left(offsets, start * 8 // 6) : bisect_right(offsets, (end * 8 - 1) // 6)]


def _write_in_files(old: bytes, new: bytearray) -> list[tuple[int, int]]:
    """Write new checksums, and return the start and end of what each of them covers."""
    changed, start = [], -1
    while (start := new.find(PNG_SIGNATURE, start + 1)) >= 0:
        for first, last in _chunks(new, start + len(PNG_SIGNATURE)):
            if old[first:last] != new[first:last]:
                new[last : last + 4] = crc32(new[first:last]).to_bytes(4, "big")
                changed.append((first, last))
    return changed


def _chunks(data: bytearray, start: int) -> Iterator[tuple[int, int]]:
    """Yield the start and end of the bytes that each checksum covers: the kind and the data of a
    chunk. The checksum follows them. The first chunk of the PNG file begins at *start*."""
    while start + _CHUNK_OVERHEAD_BYTES <= len(data):
        length = int.from_bytes(data[start : start + 4], "big")
        end = start + _CHUNK_OVERHEAD_BYTES + length
        if end > len(data):
            return
        yield start + 4, end - 4
        if data[start + 4 : start + 8] == b"IEND":
            return
        start = end
