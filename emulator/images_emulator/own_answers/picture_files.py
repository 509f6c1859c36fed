"""The files that an answer names: read from a folder, a data URL or bytes."""

from __future__ import annotations

import glob
import mimetypes
import os
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import field
from functools import cached_property
from hashlib import sha256
from pathlib import Path, PureWindowsPath
from typing import Any, Final
from urllib.parse import quote, unquote

from images_emulator import imaging
from images_emulator.contract.references import data_of_url, is_data_url
from images_emulator.exchange.field_path import WILDCARDS
from images_emulator.file_types import SIGNATURE_BYTES, file_type_of, file_type_of_suffix
from images_emulator.immutable import Immutable

MAX_NAME_CHARS: Final = 80
"""Characters of the name of a file that comes in a `data:` URL."""

DIGEST_KEY: Final = "sha256"
NAME_KEY: Final = "name"
"""The keys of a file in the document that a store keeps. The bytes of the file are beside it."""


class ReadingContext(Immutable):
    """The places where the files of a document are. Paths start from *folder*; None where a
    document may name no path, such as a document that comes over HTTP. *stored* are the files of a
    document that a store has kept, by their digests."""

    folder: Path | None = None
    stored: Mapping[str, bytes] = field(default_factory=dict)


NO_FILES: Final = ReadingContext()
"""A document that names no path."""


class PictureFile(Immutable):
    """A file of an answer. *name* is its name for people: a path as it was written, or a word for
    another source."""

    name: str
    data: bytes = field(repr=False)

    @property
    def base_name(self) -> str:
        """The name without the folders of a path. It is the name that the client of a call is told:
        the server's folders do not concern the client."""
        return base_name(self.name)

    @property
    def media_type(self) -> str:
        """The media type: by the suffix of its name, or else by its first bytes."""
        # A system without a list of types gives Python's own, which lacks WebP before 3.13.
        path = PureWindowsPath(self.name)
        if by_suffix := file_type_of_suffix(path.suffix):
            return by_suffix.media_type
        # `guess_type` parses its argument as a URL. A whole name such as `http://[x/a.css` would
        # raise ValueError. Two suffixes may count: `.html.br`.
        if guess := mimetypes.guess_type(f"file{''.join(path.suffixes)}")[0]:
            return guess
        by_content = file_type_of(self.data[:SIGNATURE_BYTES])
        return by_content.media_type if by_content else "application/octet-stream"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of *data*, in hex."""
        return sha256(self.data).hexdigest()

    @cached_property
    def mistake(self) -> str | None:
        """The reason why it is no picture, as a predicate of its name; None where it is one."""
        return imaging.fitting.facts_of_head(self.data).mistake or None

    def as_url(self) -> str:
        """The file with its name, as a `data:` URL."""
        data = b64encode(self.data).decode()
        return f"data:{self.media_type};name={quote(self.base_name, safe='')};base64,{data}"

    def as_json(self) -> dict[str, Any]:
        """The picture as the admin API shows it."""
        head = imaging.fitting.facts_of_head(self.data)
        size = "{}x{}".format(*head.size) if head.size else None
        shown = {NAME_KEY: self.name, DIGEST_KEY: self.digest, "bytes": len(self.data)}
        return {**shown, "size": size, "format": head.output_format}


def base_name(path: str) -> str:
    """The last part of a *path* of any operating system."""
    return PureWindowsPath(path).name or path


def read_files(value: Any, context: ReadingContext) -> tuple[PictureFile, ...]:
    """The files that *value* stands for: a path, a glob (its files in the order of their names), a
    data URL, bytes, an image of Pillow, or a file in a store's document. Raises ValueError."""
    if isinstance(value, str) and is_data_url(value):
        return (_file_in_url(value),)
    if isinstance(value, str | os.PathLike):
        path = os.fspath(value)
        if not isinstance(path, str):
            raise ValueError(f"{path!r} is no path in text")
        return tuple(_files_at(path, context.folder))
    if isinstance(value, bytes | bytearray | memoryview):
        return (PictureFile("bytes", bytes(value)),)
    digest = value.get(DIGEST_KEY) if isinstance(value, Mapping) else None
    if isinstance(digest, str) and digest in context.stored:
        return (PictureFile(value[NAME_KEY], context.stored[digest]),)
    file = imaging.fitting.file_of(value)
    if file is None:
        raise ValueError("expected a file: its path, a data: URL, bytes or an image of Pillow")
    return (PictureFile("image", file),)


def _file_in_url(url: str) -> PictureFile:
    """The file in a data URL, which may have the file's name:
    `data:image/png;name=fox.png;base64,…`."""
    data = data_of_url(url)
    if not data:
        raise ValueError("this data: URL has no file in base64")
    _, *parameters = url[: url.index(",")].split(";")
    names = [each[5:] for each in parameters if each[:5].lower() == "name="]
    return PictureFile(unquote(names[0] if names else "data: URL")[:MAX_NAME_CHARS], data)


def _files_at(path: str, folder: Path | None) -> Iterator[PictureFile]:
    if folder is None:
        raise ValueError("a path is not read from here; send the file itself, as a data: URL")
    if WILDCARDS.isdisjoint(path) or (folder / path).is_file():
        names = [path]
    else:
        names = sorted(glob.glob(path, root_dir=folder, recursive=True))
        names = [name for name in names if (folder / name).is_file()]
        if not names:
            raise ValueError(f"no file matches '{path}'")
    for name in names:
        try:
            yield PictureFile(name, (folder / name).read_bytes())
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ValueError(f"{name}: {reason}") from None
