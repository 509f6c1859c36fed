"""Settings of glibc's memory allocator for images."""

from __future__ import annotations

import ctypes
import sys
from typing import Any, Final

# Parameters of `mallopt`, from glibc's malloc.h.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8

TRIM_THRESHOLD_BYTES: Final = 32 * 2**20
"""Free bytes at the top of the heap that the process keeps: the memory of one image."""

MMAP_THRESHOLD_BYTES: Final = 16 * 2**20
"""Larger blocks are mapped one by one, so that the system has them back once they are free."""

MIN_TRIM_BYTES: Final = 16 * 2**20
"""Free memory that is worth giving back to the system."""


class _MallInfo2(ctypes.Structure):
    """glibc's `struct mallinfo2`; `fordblks` is the free memory that it holds, in bytes."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def _glibc(name: str) -> Any:
    """The function *name* of the C library, or None where it has none: musl has none of these, and
    `mallinfo2` came with glibc 2.33."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform.startswith("linux") else None


def trim_memory() -> None:
    """Give free memory back to the system, where that is much. Chunks of large bodies are too small
    to be given back by themselves."""
    mallinfo2, malloc_trim = _glibc("mallinfo2"), _glibc("malloc_trim")
    if mallinfo2 and malloc_trim:
        mallinfo2.restype = _MallInfo2
        if mallinfo2().fordblks > MIN_TRIM_BYTES:
            malloc_trim(0)


def keep_memory() -> None:
    """Make glibc keep the memory of one image for the next one. By default glibc returns it to the
    system, which clears it again page by page. That takes a sixth of the time of a 1024² image."""
    if mallopt := _glibc("mallopt"):
        mallopt(_M_TRIM_THRESHOLD, TRIM_THRESHOLD_BYTES)
        mallopt(_M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)


def share_arena() -> None:
    """Make threads that start from now on share the memory of the main one, in a process that does
    nothing but serve.

    By default glibc gives each thread an arena of its own. Each may keep `TRIM_THRESHOLD_BYTES`,
    and `trim_memory` cannot give those back: `malloc_trim` shortens the main arena alone. Threads
    seldom wait for each other here: most hold Python's lock when they allocate.
    """
    if mallopt := _glibc("mallopt"):
        mallopt(_M_ARENA_MAX, 1)
