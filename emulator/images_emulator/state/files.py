"""Uploaded files by id, for edits that refer to one."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime
from typing import Final

from images_emulator.immutable import Immutable
from images_emulator.state.clock import Clock
from images_emulator.state.random_ids import random_id
from images_emulator.state.store import Codec, Packed, Store

FILE_OVERHEAD_BYTES: Final = 1024
"""Memory of a stored file beside its data and its name, about."""


class StoredFile(Immutable):
    """One uploaded file. On a shared store, `Files.describe` and `Files.all` give it without its
    *data*."""

    id: str
    filename: str
    purpose: str
    data: bytes = field(repr=False, compare=False)
    created: datetime
    owner: str
    """The owner: a digest of an API key; empty where all keys have the same files."""
    size: int
    """The number of bytes of *data*."""

    def is_of(self, owner: str | None) -> bool:
        """Whether it is a file of *owner*; None stands for all owners."""
        return owner in (None, self.owner)

    @property
    def weight(self) -> int:
        """Bytes of memory that it holds, about."""
        return _weight(self.filename, self.data)


def _weight(filename: str, data: bytes) -> int:
    # A character may take four bytes.
    return FILE_OVERHEAD_BYTES + 4 * len(filename) + len(data)


def _pack(file: StoredFile) -> Packed:
    document = {
        "id": file.id,
        "filename": file.filename,
        "purpose": file.purpose,
        "created": file.created.isoformat(),
        "owner": file.owner,
        "size": file.size,
    }
    return Packed(document, file.data)


def _unpack(packed: Packed) -> StoredFile:
    created = datetime.fromisoformat(packed.document["created"])
    return StoredFile(**{**packed.document, "created": created}, data=packed.data)


CODEC: Final = Codec(_pack, _unpack)
"""Packs a file for the records in the store."""


class Files:
    """The uploaded files, oldest first. Any thread may use them. A method that takes an *owner*
    sees no files of other owners; None stands for all owners."""

    def __init__(self, clock: Clock, store: Store, budget: int) -> None:
        self._clock = clock
        self._store = store
        self._budget = budget
        self._files = store.records("files", budget, CODEC)

    def fits_budget(self, filename: str, data: bytes) -> bool:
        """Whether the budget has room for such a file, where there is no other."""
        return _weight(filename, data) <= self._budget

    async def add(
        self,
        filename: str,
        purpose: str,
        data: bytes,
        file_id: str | None = None,
        *,
        owner: str = "",
    ) -> StoredFile:
        """Store a file of *owner* under that *file_id*; None: under a new id. One that the budget
        does not admit is not kept."""
        file_id = file_id or f"file-{random_id()}"
        created = self._clock.now()
        file = StoredFile(file_id, filename, purpose, data, created, owner, len(data))
        await self._files.put({file.id: file}, file.weight)
        return file

    async def get(self, file_id: str, owner: str | None = None) -> StoredFile | None:
        """The file with the id *file_id*; None where there is none."""
        file = await self._files.get(file_id)
        return file if file and file.is_of(owner) else None

    async def describe(self, file_id: str, owner: str | None = None) -> StoredFile | None:
        """`get`, without the data where a shared store has the file."""
        file = await self._files.summary(file_id)
        return file if file and file.is_of(owner) else None

    async def delete(self, file_id: str) -> bool:
        """Delete the file. Return whether there was one."""
        return await self._files.delete(file_id)

    async def all(self, owner: str | None = None) -> list[StoredFile]:
        """All files, oldest first; without their data where a shared store has them."""
        return [file for file in await self._files.summaries() if file.is_of(owner)]

    def data(self, file_id: str, owner: str | None = None) -> bytes | None:
        """The content of the file with that id; None where there is no such file. Blocks; see
        `Store.run`."""
        file = self._store.run(self.get(file_id, owner))
        return file.data if file else None

    async def clear(self) -> None:
        """Remove all files."""
        await self._files.clear()
