"""How the C library deals with the memory of pictures."""

from __future__ import annotations

import ctypes
import sys
from typing import Final

# From glibc's malloc.h.
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3

KEPT: Final = 32 * 2**20
"""Bytes that are kept at hand when a picture is done, for the next one."""

MAPPED: Final = 16 * 2**20
"""Bytes from which on a piece of memory is the system's again as soon as it is free."""


def keep_memory() -> None:
    """Keep the memory of one picture for the next. glibc gives it back each time, and the system
    clears it anew page by page: a sixth of the time that a picture of 1024² takes."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:  # musl has none
        mallopt(_TRIM_THRESHOLD, KEPT)
        mallopt(_MMAP_THRESHOLD, MAPPED)
