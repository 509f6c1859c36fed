"""A lock in a file, which several processes share."""

from __future__ import annotations

import fcntl
import os
from contextlib import AbstractContextManager
from pathlib import Path


class FileLock(AbstractContextManager[None]):
    """Locks the file at *path* while its `with` block runs. It waits for other processes, and for
    other locks of this process. A process that ends releases its lock. Raises OSError where there
    is no such file. Windows has no such lock."""

    def __init__(self, path: str | Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def __enter__(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *exception: object) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)
