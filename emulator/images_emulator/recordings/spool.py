"""Bytes that arrive in chunks and are read at the end, in bounded memory."""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import shake_128
from io import BytesIO
from tempfile import TemporaryFile
from typing import IO, Final

BLOCK_BYTES: Final = 64 * 1024
"""Bytes that are encrypted and written at once."""

MAX_MEMORY_BYTES: Final = 1024 * 1024
"""The most bytes of a spool that are kept in memory. Most bodies are shorter."""


class Spool:
    """The bytes that were added to it. From `MAX_MEMORY_BYTES` on they are kept in a file that has
    no name and only this process can open.

    What is in the file may hold credentials, and they must not reach the disk: it is encrypted with
    a key that is only in memory, and that no other spool has. A spool is used by one thread at a
    time. Where the file cannot be written, `add` raises OSError.
    """

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._waiting = bytearray()
        """What is not written yet: all of it, or less than a block."""
        self._file: IO[bytes] | None = None
        self._blocks = 0
        """Blocks that are in the file."""

    def __len__(self) -> int:
        return self._blocks * BLOCK_BYTES + len(self._waiting)

    def add(self, data: bytes) -> None:
        """Add *data* at the end."""
        self._waiting += data
        if self._file is None and len(self._waiting) <= MAX_MEMORY_BYTES:
            return
        if self._file is None:
            self._file = TemporaryFile("w+b", buffering=0)  # noqa: SIM115 - `close` closes it
        whole = len(self._waiting) // BLOCK_BYTES * BLOCK_BYTES
        for start in range(0, whole, BLOCK_BYTES):
            block = bytes(self._waiting[start : start + BLOCK_BYTES])
            # A disk that is nearly full takes a part of it, without an error.
            left = memoryview(self._crypt(block, self._blocks))
            while left:
                left = left[self._file.write(left) :]
            self._blocks += 1
        del self._waiting[:whole]

    def read(self) -> bytes:
        """All bytes."""
        if self._file is None:
            return bytes(self._waiting)
        # It gives its bytes away without a copy.
        data = BytesIO()
        self._file.seek(0)
        for number in range(self._blocks):
            data.write(self._crypt(self._file.read(BLOCK_BYTES), number))
        data.write(self._waiting)
        self._file.seek(0, os.SEEK_END)
        return data.getvalue()

    def close(self) -> None:
        """Forget the bytes."""
        self._waiting.clear()
        if self._file is not None:
            with suppress(OSError):
                self._file.close()

    def _crypt(self, block: bytes, number: int) -> bytes:
        """The *block* of that *number* combined with its part of the key stream, which encrypts it,
        and decrypts it again."""
        stream = shake_128(self._key + number.to_bytes(8, "big")).digest(len(block))
        mixed = int.from_bytes(block, "little") ^ int.from_bytes(stream, "little")
        return mixed.to_bytes(len(block), "little")
