"""The files beside recordings: pictures, uploads and other bodies that are no text. Each file is
stored once, under a name made from its content."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Final, Protocol
from uuid import uuid4

from images_emulator.file_types import file_type_of

FILES: Final = "files"
"""The subfolder, within a folder of recordings, that holds the files."""

NAME_DIGITS: Final = 16
"""The number of hexadecimal digits of the content's SHA-256 in a file's name."""

_NAME: Final = re.compile(r"files/([0-9a-f]{16,64})(\.\w+)?")

Data = bytes | memoryview
"""The bytes of a file."""


class FileWriter(Protocol):
    """Keeps files."""

    def add(self, chunks: Iterable[Data], suffix: str) -> str:
        """Keep the file that *chunks* make together, and return its name as documents have it.
        *suffix* begins with a point. An error raised by *chunks* is passed on, and no file is kept.
        """


class FileReader(Protocol):
    """Gives files by their names."""

    def read(self, name: str) -> bytes:
        """The content of the file that documents call *name*. Raises OSError, or ValueError for a
        name that leads out of the folder."""


def suffix_of(beginning: bytes) -> str:
    """The suffix for a file with that *beginning*; empty where no signature is known."""
    file_type = file_type_of(beginning)
    return file_type.suffixes[0] if file_type else ""


def named_digest(name: str) -> str:
    """The beginning of the content's SHA-256 in the *name* of a file; empty for a name of another
    form."""
    match = _NAME.fullmatch(name)
    return match[1] if match else ""


def is_inside(name: str) -> bool:
    """Whether *name* leads to a file in the folder of its document."""
    path = PurePosixPath(name)
    return bool(path.parts) and not (
        path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name
    )


class MemoryFiles:
    """Files in memory, by their names."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def add(self, chunks: Iterable[Data], suffix: str) -> str:
        data = b"".join(chunks)
        name = f"{FILES}/{sha256(data).hexdigest()}{suffix}"
        self.files[name] = data
        return name

    def read(self, name: str) -> bytes:
        try:
            return self.files[name]
        except KeyError:
            raise FileNotFoundError(f"{name} is missing") from None


class FolderFiles:
    """The files of the recordings in *folder*. Several processes may add to them at the same
    time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, chunks: Iterable[Data], suffix: str) -> str:
        """Keep a file under the first digits of its digest. Where a file with other content has
        that name, the whole digest is the name. Raises OSError."""
        files = self.folder / FILES
        files.mkdir(parents=True, exist_ok=True)
        unfinished = files / f".{uuid4().hex}.part"
        digest = sha256()
        try:
            with unfinished.open("wb") as file:
                for chunk in chunks:
                    digest.update(chunk)
                    file.write(chunk)
            for digits in (NAME_DIGITS, None):
                name = f"{digest.hexdigest()[:digits]}{suffix}"
                if not (files / name).exists():
                    os.replace(unfinished, files / name)
                    return f"{FILES}/{name}"
                if digits is None or _digest(files / name) == digest.digest():
                    break
            return f"{FILES}/{name}"
        finally:
            with suppress(FileNotFoundError):
                unfinished.unlink()

    def read(self, name: str) -> bytes:
        if not is_inside(name):
            raise ValueError(f"{name} leads out of the folder")
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            raise FileNotFoundError(f"{name} is missing") from None


def _digest(path: Path) -> bytes:
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.digest()
