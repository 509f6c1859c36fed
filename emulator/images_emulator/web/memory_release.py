"""Frees the memory of a large call, piece by piece.

While Python frees an object, together with everything that only this object references, no other
code runs. An edit of 16 pictures of 50 MB has 1.6 GB; the system takes half a second to free them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from images_emulator import imaging
from images_emulator.contract.request import Upload
from images_emulator.exchange.exchange import Exchange

LARGE_BYTES: Final = 2**18
"""Bytes from which an object is released in another thread."""


def large_parts_of(exchange: Exchange) -> list[Any]:
    """The chunks, long strings and files that a call holds. In this list they outlive the call."""
    parts = [*(exchange.chunks or ())]
    if exchange.cached_call:
        parts += _large_fields(exchange.cached_call.fields)
    if exchange.request and exchange.request.images:
        parts += imaging.decoder.upload_files_of(exchange.request)
    return parts


def release_memory(parts: list[Any]) -> None:
    """Empty *parts*, in a thread: other threads have their turn after each part."""
    while parts:
        parts.pop()


def _large_fields(value: object) -> Iterator[Any]:
    """The long strings and the files in the fields of a call."""
    if isinstance(value, Upload):
        yield value.data
    elif isinstance(value, str):
        if len(value) > LARGE_BYTES:
            yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _large_fields(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _large_fields(inner)
