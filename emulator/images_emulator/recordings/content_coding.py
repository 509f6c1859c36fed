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
"""By the name of a coding the window bits with which zlib reads it. Some servers send `deflate`
without the head that it should have."""


def decoded_content(coding: str, read: Callable[[zlib._Decompress], T]) -> T | None:
    """What *read* returns for a decompressor of *coding*, a key of `WINDOW_BITS`. Where it raises
    zlib.error, it is called with the next decompressor of that coding; None without a further
    one."""
    for bits in WINDOW_BITS[coding]:
        try:
            return read(zlib.decompressobj(bits))
        except zlib.error:
            continue
    return None
