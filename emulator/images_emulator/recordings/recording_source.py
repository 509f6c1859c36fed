"""Recordings by position, either in memory or read from a folder when they are played."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from images_emulator.recordings.folder import read_recording, read_summaries
from images_emulator.recordings.recording import Recording


class RecordingSource(Protocol):
    """Recordings by their positions, from 0."""

    def __len__(self) -> int: ...

    def __getitem__(self, position: int, /) -> Recording:
        """The whole recording. Raises OSError and ValueError where it cannot be read."""
        ...

    def summaries(self) -> Iterable[Recording]:
        """Return all recordings, perhaps without their answers. They have what decides which calls
        they answer, and the URLs of their hosted pictures. Raises OSError and ValueError."""
        ...

    def add(self, recording: Recording) -> None:
        """Add a recording after the others."""
        ...


class MemoryRecordings:
    """Recordings in memory."""

    def __init__(self, recordings: Iterable[Recording] = ()) -> None:
        self._recordings = [*recordings]

    def __len__(self) -> int:
        return len(self._recordings)

    def __getitem__(self, position: int, /) -> Recording:
        return self._recordings[position]

    def summaries(self) -> Iterable[Recording]:
        """The recordings."""
        return self._recordings

    def add(self, recording: Recording) -> None:
        """Add a recording after the others."""
        self._recordings.append(recording)


class FolderRecordings:
    """The recordings in the files *paths*. Each is read when it is asked for and not kept, because
    thousands of documents take more than a hundred megabytes."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = [*paths]
        self._added: list[Recording] = []

    def __len__(self) -> int:
        return len(self._paths) + len(self._added)

    def __getitem__(self, position: int, /) -> Recording:
        if position >= len(self._paths):
            return self._added[position - len(self._paths)]
        return read_recording(self._paths[position])

    def summaries(self) -> Iterator[Recording]:
        """The recordings. Those of the files come without their answers, of which only the status
        is read."""
        yield from read_summaries(self._paths)
        yield from self._added

    def add(self, recording: Recording) -> None:
        """Add a recording after those of the files."""
        self._added.append(recording)
