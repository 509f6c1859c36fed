"""Uploaded files by id, for edits that refer to one."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Final

from images_emulator.state.clock import Clock
from images_emulator.state.identity import random_id

BUDGET: Final = 512 * 2**20
"""Bytes that all files together may hold; past them the oldest go."""

FILE_OVERHEAD_BYTES: Final = 1024
"""Memory of a stored file beside its data and its name, about."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file as it came."""

    id: str
    filename: str
    purpose: str
    data: bytes
    created: datetime

    @property
    def weight(self) -> int:
        """Bytes of memory that it holds, about; a character of its name may take four."""
        return FILE_OVERHEAD_BYTES + 4 * len(self.filename) + len(self.data)


class Files:
    """What has been uploaded and not deleted, oldest first. Any thread may reset it."""

    def __init__(self, clock: Clock, budget: int = BUDGET) -> None:
        self._clock = clock
        self._budget = budget
        self._files: OrderedDict[str, StoredFile] = OrderedDict()
        self._weight = 0
        self._lock = Lock()

    def add(self, filename: str, purpose: str, data: bytes) -> StoredFile:
        file = StoredFile(f"file-{random_id()}", filename, purpose, data, self._clock.now())
        with self._lock:
            self._files[file.id] = file
            self._weight += file.weight
            while self._weight > self._budget and len(self._files) > 1:
                _, oldest = self._files.popitem(last=False)
                self._weight -= oldest.weight
        return file

    def get(self, identity: str) -> StoredFile | None:
        return self._files.get(identity)

    def data(self, identity: str) -> bytes | None:
        """The content of a file, or None where there is none of that id."""
        file = self._files.get(identity)
        return file.data if file else None

    def delete(self, identity: str) -> bool:
        """Whether there was one to delete."""
        with self._lock:
            file = self._files.pop(identity, None)
            self._weight -= file.weight if file else 0
        return file is not None

    def all(self) -> list[StoredFile]:
        with self._lock:
            return list(self._files.values())

    def reset(self) -> None:
        with self._lock:
            self._files.clear()
            self._weight = 0
