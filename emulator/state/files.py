"""Uploaded files by id, for edits that refer to one."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from emulator.clock import Clock
from emulator.state.identity import random_id

BUDGET: Final = 512 * 2**20
"""Bytes that all files together may hold; past them the oldest go."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file as it came."""

    id: str
    filename: str
    purpose: str
    data: bytes
    created: datetime


class Files:
    """What has been uploaded and not deleted, oldest first."""

    def __init__(self, clock: Clock, budget: int = BUDGET) -> None:
        self._clock = clock
        self._budget = budget
        self._files: OrderedDict[str, StoredFile] = OrderedDict()

    def add(self, filename: str, purpose: str, data: bytes) -> StoredFile:
        file = StoredFile(f"file-{random_id()}", filename, purpose, data, self._clock.now())
        self._files[file.id] = file
        held = sum(len(each.data) for each in self._files.values())
        while held > self._budget and len(self._files) > 1:
            _, oldest = self._files.popitem(last=False)
            held -= len(oldest.data)
        return file

    def get(self, identity: str) -> StoredFile | None:
        return self._files.get(identity)

    def data(self, identity: str) -> bytes | None:
        """The content of a file, or None where there is none of that id."""
        file = self._files.get(identity)
        return file.data if file else None

    def delete(self, identity: str) -> bool:
        """Whether there was one to delete."""
        return self._files.pop(identity, None) is not None

    def all(self) -> list[StoredFile]:
        return list(self._files.values())

    def reset(self) -> None:
        self._files.clear()
