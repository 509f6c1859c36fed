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
"""The free bytes that the process keeps at the top of the heap: the memory of one image."""

MMAP_THRESHOLD_BYTES: Final = 16 * 2**20
"""The size above which blocks are mapped one by one. The system has such a block back once it is
free."""

MIN_TRIM_BYTES: Final = 16 * 2**20
"""The least free memory that is given back to the system."""


class _MallInfo2(ctypes.Structure):
    """glibc's `struct mallinfo2`. `fordblks` is the number of free bytes that glibc holds."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    ]


def _glibc(name: str) -> Any:
    """The function *name* of the C library; None where it has none. musl has none of these
    functions, and `mallinfo2` came with glibc 2.33."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform.startswith("linux") else None


def trim_memory() -> None:
    """Give free memory back to the system, where there is much. The chunks of large bodies are too
    small to be given back on their own."""
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
    """Make threads that start from now on share the main thread's arena, in a process that only
    serves.

    By default glibc gives each thread an arena of its own. Each arena may keep
    `TRIM_THRESHOLD_BYTES`, which `trim_memory` cannot give back: `malloc_trim` shortens the main
    arena alone. Threads seldom wait for each other here, because most hold Python's lock when they
    allocate.
    """
    if mallopt := _glibc("mallopt"):
        mallopt(_M_ARENA_MAX, 1)
