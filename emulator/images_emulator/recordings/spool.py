"""Bytes that arrive in chunks, wait in bounded memory, and are read back whole at the end."""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import shake_128
from io import BytesIO
from tempfile import TemporaryFile
from typing import IO, Final

BLOCK_BYTES: Final = 64 * 1024
"""The number of bytes that are encrypted and written at once."""

MAX_MEMORY_BYTES: Final = 1024 * 1024
"""The most bytes of a spool that are kept in memory. Most bodies are shorter."""


class Spool:
    """A buffer of bytes. Past `MAX_MEMORY_BYTES` it keeps them in a file that has no name, so that
    only this process can open it.

    The bytes may hold credentials, which must not reach the disk. The file is therefore encrypted
    with a key that is only in memory and belongs to this spool alone. One thread at a time uses a
    spool.

    A failed write, to a full disk for instance, does not stop the caller, who passes the bytes on:
    `add` drops all bytes, and `read` raises the OSError.
    """

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._waiting = bytearray()
        """The bytes that are not yet in the file: all bytes, or less than a block."""
        self._file: IO[bytes] | None = None
        self._blocks = 0
        """The number of blocks in the file."""
        self._length = 0
        self._failure: OSError | None = None
        """The error of the file; None where it has met none."""

    def __len__(self) -> int:
        """The number of bytes that were added."""
        return self._length

    def add(self, data: bytes) -> None:
        """Add *data* at the end."""
        self._length += len(data)
        if self._failure is None:
            try:
                self._add(data)
            except OSError as error:
                self._failure = error
                self.close()

    def _add(self, data: bytes) -> None:
        self._waiting += data
        if self._file is None and len(self._waiting) <= MAX_MEMORY_BYTES:
            return
        if self._file is None:
            self._file = TemporaryFile("w+b", buffering=0)  # noqa: SIM115 - `close` closes it
        whole = len(self._waiting) // BLOCK_BYTES * BLOCK_BYTES
        for start in range(0, whole, BLOCK_BYTES):
            block = bytes(self._waiting[start : start + BLOCK_BYTES])
            # A nearly full disk takes only a part of the block, without an error.
            left = memoryview(self._crypt(block, self._blocks))
            while left:
                left = left[self._file.write(left) :]
            self._blocks += 1
        del self._waiting[:whole]

    def read(self) -> bytes:
        """Return all bytes. Raises OSError where they could not be kept."""
        if self._failure:
            raise self._failure
        if self._file is None:
            return bytes(self._waiting)
        # BytesIO returns its bytes without a copy.
        data = BytesIO()
        self._file.seek(0)
        for number in range(self._blocks):
            data.write(self._crypt(self._file.read(BLOCK_BYTES), number))
        data.write(self._waiting)
        self._file.seek(0, os.SEEK_END)
        return data.getvalue()

    def close(self) -> None:
        """Drop the bytes."""
        self._waiting.clear()
        if self._file is not None:
            with suppress(OSError):
                self._file.close()

    def _crypt(self, block: bytes, number: int) -> bytes:
        """The *block* with that *number*, combined with its part of the key stream. The first call
        encrypts it, a second one decrypts it."""
        stream = shake_128(self._key + number.to_bytes(8, "big")).digest(len(block))
        mixed = int.from_bytes(block, "little") ^ int.from_bytes(stream, "little")
        return mixed.to_bytes(len(block), "little")
