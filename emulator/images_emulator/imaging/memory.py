"""How the C library deals with the memory of pictures."""

from __future__ import annotations

import ctypes
import sys
from typing import Any, Final

# From glibc's malloc.h.
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3

KEPT: Final = 32 * 2**20
"""Bytes that are kept at hand when a picture is done, for the next one."""

MAPPED: Final = 16 * 2**20
"""Bytes from which on a piece of memory is the system's again as soon as it is free."""


TRIMMED: Final = 16 * 2**20
"""Bytes of free memory from which on it is worth while to give them back."""


class _MallInfo2(ctypes.Structure):
    """glibc's `struct mallinfo2`; `fordblks` are the bytes that are free and not given back."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def _glibc(name: str) -> Any:
    """A function of the C library's, or None where it has none of that *name*: musl has none of
    these, and `mallinfo2` came with glibc 2.33."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform.startswith("linux") else None


def trim_memory() -> None:
    """Give back to the system what is free, where that is much. The pieces of large bodies are too
    small to be given back by themselves."""
    mallinfo2, malloc_trim = _glibc("mallinfo2"), _glibc("malloc_trim")
    if mallinfo2 and malloc_trim:
        mallinfo2.restype = _MallInfo2
        if mallinfo2().fordblks > TRIMMED:
            malloc_trim(0)


def keep_memory() -> None:
    """Keep the memory of one picture for the next. glibc gives it back each time, and the system
    clears it anew page by page: a sixth of the time that a picture of 1024² takes."""
    if mallopt := _glibc("mallopt"):
        mallopt(_TRIM_THRESHOLD, KEPT)
        mallopt(_MMAP_THRESHOLD, MAPPED)
