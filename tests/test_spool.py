"""Spools: bytes that are kept in memory or, encrypted, in a file without a name."""

from __future__ import annotations

import os
from io import FileIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest

from images_emulator.recordings import spool
from images_emulator.recordings.spool import BLOCK_BYTES, Spool

SECRET = b"sk-proj-abcdefghijklmnopqrstuvwx"
"""It fits into a block a whole number of times, so that blocks of it are equal before they are
encrypted."""


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """The file descriptors of spools that are longer than three blocks, in a folder of their
    own."""
    descriptors: list[int] = []

    def opened(*arguments: object, **options: object) -> object:
        file = TemporaryFile(*arguments, **options, dir=tmp_path)  # type: ignore[call-overload]  # noqa: SIM115
        descriptors.append(file.fileno())
        return file

    monkeypatch.setattr(spool, "TemporaryFile", opened)
    monkeypatch.setattr(spool, "MAX_MEMORY_BYTES", 3 * BLOCK_BYTES)
    return descriptors


@pytest.mark.parametrize("size", [0, 1, 3 * BLOCK_BYTES, 3 * BLOCK_BYTES + 1, 10 * BLOCK_BYTES + 7])
@pytest.mark.parametrize("chunk", [BLOCK_BYTES // 3, BLOCK_BYTES, 4 * BLOCK_BYTES + 5])
def test_a_spool_gives_back_what_was_added(files: list[int], size: int, chunk: int) -> None:
    data = (SECRET * (size // len(SECRET) + 1))[:size]
    kept = Spool()
    for start in range(0, size, chunk):
        kept.add(data[start : start + chunk])
        assert len(kept) == min(start + chunk, size)
    assert kept.read() == data
    assert len(files) == (size > 3 * BLOCK_BYTES)
    kept.add(b"more")
    assert kept.read() == data + b"more"
    kept.close()


def test_the_file_of_a_spool_has_no_name_and_nothing_that_can_be_read(
    files: list[int], tmp_path: Path
) -> None:
    first, second = Spool(), Spool()
    for each in (first, second):
        each.add(SECRET * BLOCK_BYTES)
    assert [*tmp_path.iterdir()] == []
    written = [os.pread(each, 8 * BLOCK_BYTES, 0) for each in files]
    assert len(written[0]) == 8 * BLOCK_BYTES
    assert written[0] != written[1], "each spool has a key of its own"
    blocks = {data[start : start + 64] for data in written for start in range(0, 99_999, 64)}
    assert len(blocks) == 2 * len(range(0, 99_999, 64)), "no part of the key stream comes twice"
    assert not any(SECRET[:8] in data for data in written)
    assert all(os.fstat(each).st_mode & 0o077 == 0 for each in files)
    first.close()
    second.close()
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(files[0])


def spool_in(kind: type[FileIO], monkeypatch: pytest.MonkeyPatch) -> Spool:
    """A spool that keeps its bytes in a file of that *kind*."""

    def opened(*_: object, **__: object) -> FileIO:
        with TemporaryFile() as file:
            return kind(os.dup(file.fileno()), "w+")

    monkeypatch.setattr(spool, "TemporaryFile", opened)
    monkeypatch.setattr(spool, "MAX_MEMORY_BYTES", 0)
    return Spool()


def test_a_spool_whose_disk_is_full_takes_all_and_says_so_when_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Full(FileIO):
        room = 2 * BLOCK_BYTES

        def write(self, data: Any, /) -> int:
            self.room -= len(data)
            if self.room < 0:
                raise OSError(28, "No space left on device")
            return super().write(data)

    body = spool_in(Full, monkeypatch)
    for _ in range(5):
        body.add(bytes(BLOCK_BYTES))
    assert len(body) == 5 * BLOCK_BYTES
    with pytest.raises(OSError, match="No space left"):
        body.read()
    body.close()


def test_a_block_of_which_the_disk_takes_a_part_at_a_time_is_written_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class NearlyFull(FileIO):
        def write(self, data: Any, /) -> int:
            return super().write(bytes(data)[:1000])

    body = spool_in(NearlyFull, monkeypatch)
    body.add(SECRET * BLOCK_BYTES)
    assert body.read() == SECRET * BLOCK_BYTES
    body.close()
