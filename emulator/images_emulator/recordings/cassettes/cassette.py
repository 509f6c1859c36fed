"""Cassettes: files in which other tools keep HTTP exchanges.

Each family of files has a reader, which makes a `Cassette` from the parsed file: `vcr_family.py`,
`http_archive.py`, `azure_test_proxy.py`. `interaction.py` has the code that they share.
"""

from __future__ import annotations

import gzip
import json
import zipfile
import zlib
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, Final

from images_emulator.recordings.cassettes import (
    KINDS_IN_WORDS,
    azure_test_proxy,
    http_archive,
    vcr_family,
)
from images_emulator.recordings.cassettes.interaction import Cassette
from images_emulator.recordings.cassettes.yaml_text import read_yaml

CASSETTE_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json", ".har", ".zz", ".zhar", ".zip"})
"""The suffixes of the files that an import looks for in folders."""


class UnknownKindError(ValueError):
    """A file is no cassette of a known kind. The message begins with the name of the file."""


_READERS: Final[tuple[Callable[[Any, Callable[[str], bytes]], Cassette | None], ...]] = (
    http_archive.read,
    vcr_family.read,
    azure_test_proxy.read,
)

_YAML_SUFFIXES: Final = (".yaml", ".yml")


def read_cassette(path: Path) -> Cassette:
    """The cassette in the file *path*.

    Raises OSError where the file cannot be read. Raises ValueError for a malformed cassette, with a
    sentence that begins with the file's name and maybe a line; UnknownKindError for a file of
    another kind. Raises MissingLibraryError where reading YAML needs a library that is missing.
    """
    data, attachment = _read_uncompressed(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnknownKindError(f"{path}:{line}: it is not UTF-8, so it is no cassette") from error
    document = _parse(text, path)
    try:
        for read in _READERS:
            if cassette := read(document, attachment):
                return cassette
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    raise UnknownKindError(f"{path}: {_unknown(document)}; cassettes of {KINDS_IN_WORDS} are read")


def _unknown(document: Any) -> str:
    """The sentence about a *document* that is no cassette."""
    if not isinstance(document, Mapping):
        return "it is no cassette"
    if isinstance(document.get("request"), Mapping) and "response" in document:
        return "it has one exchange, as the files that this program writes and reads have"
    keys = ", ".join(f"'{key}'" for key in [*document][:5])
    return f"it is no cassette, with the keys {keys}" if keys else "it is an empty object"


def _read_uncompressed(path: Path) -> tuple[bytes, Callable[[str], bytes]]:
    """The uncompressed bytes of the cassette in *path*, and a function that reads a file beside it
    by name."""
    data = path.read_bytes()
    try:
        if data.startswith(b"PK\x03\x04"):
            return _read_archive(data)
        if data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
        elif data[:1] == b"\x78" and not path.name.endswith(_YAML_SUFFIXES):
            data = zlib.decompress(data)
    except (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: it cannot be uncompressed: {error}") from error
    return data, lambda name: _beside(path, name).read_bytes()


def _read_archive(data: bytes) -> tuple[bytes, Callable[[str], bytes]]:
    """The values that `_read_uncompressed` gives, for a ZIP archive with one HAR file and its
    attachments."""
    archive = zipfile.ZipFile(BytesIO(data))
    names = [name for name in archive.namelist() if name.endswith(".har")]
    if len(names) != 1:
        raise ValueError(f"there are {len(names)} HAR files in it, where one is expected")

    def attachment(name: str) -> bytes:
        try:
            return archive.read(str(PurePosixPath(names[0]).parent / name))
        except KeyError as error:
            raise OSError(f"there is no {name} in it") from error

    return archive.read(names[0]), attachment


def _beside(path: Path, name: str) -> Path:
    """The path of the file *name* beside *path*. Raises OSError where *name* leads to another
    folder."""
    if Path(name).name != name:
        raise OSError(f"{name} is no name of a file beside it")
    return path.parent / name


def _parse(text: str, path: Path) -> Any:
    """The value of *text*, JSON or YAML. Raises ValueError where it is neither."""
    if text.lstrip()[:1] in {"{", "["} or path.suffix in {".json", ".har"}:
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            # A flow mapping of YAML begins as an object of JSON does.
            if path.suffix not in _YAML_SUFFIXES:
                raise ValueError(f"{path}:{error.lineno}: it is no JSON: {error.msg}") from error
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}: it is no JSON that can be read: {error}") from error
    return read_yaml(text, str(path))
