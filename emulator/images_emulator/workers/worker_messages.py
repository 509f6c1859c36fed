"""The messages between the supervisor and a worker: JSON, a line each, on a socket that is the
worker's standard input. The end of the socket tells each side that the other is gone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, field
from typing import Any

from images_emulator.immutable import Immutable


class _Message(Immutable, kw_only=True):
    def to_line(self) -> bytes:
        """The message as a line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"


class WorkerConfig(_Message):
    """The message to a worker when it starts: what it serves, and where."""

    settings: Mapping[str, Any]
    """The settings of the emulator, by their names."""
    log_settings: Mapping[str, Any]
    """The settings of its log, by their names."""
    listener: int
    """The file descriptor of the listening socket."""
    counts: str
    """The path of the file of `ConnectionCounts`."""
    workers: int
    """The number of workers."""
    worker_index: int
    """The index of this worker among them, from 0."""
    log_lock: str
    """The path of a file that is locked while lines are written to the terminal."""

    @classmethod
    def from_line(cls, line: bytes) -> WorkerConfig:
        return cls(**json.loads(line))


class Report(_Message):
    """The message of a worker: that it serves, or why it does not."""

    recordings: int = 0
    """The number of recordings in the folder of `replay`."""
    pictures: str | None = None
    """The number of pictures in the folder of `pictures`, in words; None without a folder."""
    changed: Mapping[str, Any] = field(default_factory=dict)
    """The settings whose values in the store are not those of the `WorkerConfig`, by their
    names."""
    steps: int | None = None
    """The number of steps in the store, where they differ from those of the settings; else
    None."""
    clock: str | None = None
    """How the clock of the store was moved, in words; None where it shows the system's time."""
    error: str | None = None
    """Why the worker does not start; None where it serves."""
    is_usage_error: bool = False
    """Whether the error is a wrong value of a setting."""

    @classmethod
    def from_line(cls, line: bytes) -> Report:
        return cls(**json.loads(line))
