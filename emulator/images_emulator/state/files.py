"""Uploaded files by id, for edits that refer to one."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from images_emulator.immutable import Immutable
from images_emulator.state.clock import Clock
from images_emulator.state.identity import random_id
from images_emulator.state.store import Codec, Packed, Store

FILES_BUDGET_BYTES: Final = 512 * 2**20
"""Bytes of all files together. Beyond it the oldest files are dropped."""

FILE_OVERHEAD_BYTES: Final = 1024
"""Memory of a stored file beside its data and its name, about."""


class StoredFile(Immutable):
    """One uploaded file."""

    id: str
    filename: str
    purpose: str
    data: bytes
    created: datetime

    @property
    def weight(self) -> int:
        """Bytes of memory that it holds, about; a character of its name may take four."""
        return FILE_OVERHEAD_BYTES + 4 * len(self.filename) + len(self.data)


def _pack(file: StoredFile) -> Packed:
    document = {
        "id": file.id,
        "filename": file.filename,
        "purpose": file.purpose,
        "created": file.created.isoformat(),
    }
    return Packed(document, file.data)


def _unpack(packed: Packed) -> StoredFile:
    created = datetime.fromisoformat(packed.document["created"])
    return StoredFile(**{**packed.document, "created": created}, data=packed.data)


CODEC: Final = Codec(_pack, _unpack)
"""For the store's records."""


class Files:
    """The uploaded files, oldest first. Any thread may use them."""

    def __init__(self, clock: Clock, store: Store, budget: int = FILES_BUDGET_BYTES) -> None:
        self._clock = clock
        self._store = store
        self._files = store.records("files", budget, CODEC)

    async def add(
        self, filename: str, purpose: str, data: bytes, identity: str | None = None
    ) -> StoredFile:
        """Store a file under that *identity*; None: under a new id."""
        identity = identity or f"file-{random_id()}"
        file = StoredFile(identity, filename, purpose, data, self._clock.now())
        await self._files.put({file.id: file}, file.weight)
        return file

    async def get(self, identity: str) -> StoredFile | None:
        """The file with the id *identity*; None where there is none."""
        return await self._files.get(identity)

    async def delete(self, identity: str) -> bool:
        """Whether there was one to delete."""
        return await self._files.delete(identity)

    async def all(self) -> list[StoredFile]:
        """All files, oldest first."""
        return await self._files.all()

    def data(self, identity: str) -> bytes | None:
        """The content of the file with that id; None where there is no such file. Blocks; see
        `Store.run`."""
        file = self._store.run(self._files.get(identity))
        return file.data if file else None

    async def reset(self) -> None:
        """Forget all files."""
        await self._files.clear()
