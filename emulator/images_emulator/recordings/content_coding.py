"""Content codings of recorded bodies, as far as the standard library reads them.

https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

WINDOW_BITS: Final[Mapping[str, Sequence[int]]] = {
    "gzip": (zlib.MAX_WBITS | 16,),
    "x-gzip": (zlib.MAX_WBITS | 16,),
    "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS),
}
"""The window bits with which zlib reads each coding, by the coding's name. `deflate` has two: some
servers send it without the header that it should have."""


def decoded_content(coding: str, read: Callable[[zlib._Decompress], T]) -> T | None:
    """Return what *read* makes of a decompressor of *coding*, a key of `WINDOW_BITS`. Where *read*
    raises zlib.error, it is called with the coding's next decompressor. None where all of them
    fail."""
    for bits in WINDOW_BITS[coding]:
        try:
            return read(zlib.decompressobj(bits))
        except zlib.error:
            continue
    return None
