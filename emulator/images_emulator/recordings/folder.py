"""Folders of recordings: one JSON file for each recording, and a folder `files/` for what is no
text."""

from __future__ import annotations

import gc
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any, Final
from unicodedata import normalize

from images_emulator.contract.http_headers import STATUSES
from images_emulator.recordings.content_document import Document
from images_emulator.recordings.document import (
    file_places,
    from_document,
    mistakes_in_bodies,
    plain_fields_of_body,
    to_document,
)
from images_emulator.recordings.document_check import DocumentError, Mistake, line_number_of
from images_emulator.recordings.json_layout import parse
from images_emulator.recordings.recorded_files import (
    FILES,
    FolderFiles,
    is_inside,
    named_digest,
)
from images_emulator.recordings.recording import Recording
from images_emulator.recordings.sendable import mistakes_in_answers

SUFFIX: Final = ".json"
"""The suffix of the documents of recordings."""

NUMBER_DIGITS: Final = 4
"""The least number of digits in the number at the beginning of a file's name."""

MAX_NAME_CHARS: Final = 48
"""The most characters in a file's name that come from words such as the prompt."""

MAX_LINE_CHARS: Final = 88
"""The most characters of a line that holds a whole object or array."""

_NUMBER: Final = re.compile(r"\.?(\d+)-")
_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9]+")
_FILE: Final = re.compile(r'"file"\s*:\s*"([^"\\]*)"')


_KEYS_BESIDE_REQUEST: Final = frozenset(
    {"response", "expected", "error", "note", "source", "extra"}
)
"""Keys of a document that do not decide which calls it answers."""


class RecordingError(ValueError):
    """Some files are no recordings. Each of *sentences* begins with `FILE:LINE: `."""

    def __init__(self, sentences: Sequence[str]) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = tuple(sentences)


# --- to files


def document_text(document: Any) -> str:
    """*document* as the text of a file: indented, with short objects and arrays on one line."""
    text = _format(document, 0, MAX_LINE_CHARS) + "\n"
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which only an escape can spell
        return json.dumps(document, indent=2) + "\n"
    return text


def _format(value: Any, indent: int, room: int) -> str:
    """The text of *value*: on one line where it fits into *room* characters, else on several lines
    that are indented by *indent* blanks."""
    if not value or not isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    inner, opening, closing = indent + 2, "[", "]"
    if isinstance(value, dict):
        opening, closing, parts = "{", "}", []
        for name, each in value.items():
            key = f"{json.dumps(name, ensure_ascii=False)}: "
            parts.append(key + _format(each, inner, MAX_LINE_CHARS - inner - len(key)))
    else:
        parts = [_format(each, inner, MAX_LINE_CHARS - inner) for each in value]
    line = f"{opening}{', '.join(parts)}{closing}"
    if len(line) <= room and "\n" not in line:
        return line
    margin = "\n" + " " * inner
    return f"{opening}{margin}{f',{margin}'.join(parts)}{margin[:-2]}{closing}"


def readable_name(document: Document) -> str:
    """Words for the file name of a *document*: the end of the path, the status of an error, the
    prompt."""
    request = document["request"]
    path = request["target"].partition("?")[0]
    answer = document.get("response") or document.get("expected")
    prompt = plain_fields_of_body(request.get("body", {})).get("prompt")
    words = [
        path.rstrip("/").rpartition("/")[2],
        str(answer["status"]) if answer and answer["status"] >= 400 else "",
        "" if answer else "failed",
        prompt[: 2 * MAX_NAME_CHARS] if isinstance(prompt, str) else "",
    ]
    plain = normalize("NFKD", " ".join(words)).encode("ascii", "ignore").decode().lower()
    name = _NOT_IN_NAMES.sub("-", plain).strip("-")
    if len(name) > MAX_NAME_CHARS:
        name = name[: MAX_NAME_CHARS + 1].rpartition("-")[0] or name[:MAX_NAME_CHARS]
    return name or "call"


class RecordingFolder:
    """A folder to which any number of threads and processes add recordings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = FolderFiles(folder)
        self._lock = Lock()
        self._last = 0

    def add(self, recording: Recording) -> Path:
        """Write *recording* under the next number, and its bytes that are no text to `files/`. The
        file appears whole or not at all. Returns its path. Raises OSError, and ValueError for a
        recording that a document cannot hold."""
        document = to_document(recording, self.files)
        text, name = document_text(document).encode(), readable_name(document)
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._lock:
            claim = self._claim_number()
            try:
                claim.write_bytes(text)
                path = self.folder / f"{claim.name[1:].partition('-')[0]}-{name}{SUFFIX}"
                os.replace(claim, path)
            except BaseException:
                claim.unlink(missing_ok=True)
                raise
        return path

    def _claim_number(self) -> Path:
        """Create an empty file `.0007-` with a number that no other file has. A process that finds
        it takes another number."""
        while True:
            number = (self._last or max(self._numbers(), default=0)) + 1
            claim = self.folder / f".{number:0{NUMBER_DIGITS}}-"
            try:
                claim.open("x").close()
            except FileExistsError:
                self._last = 0
                continue
            # Another file of that number may have come, and its claim gone, since the names were
            # read.
            if list(self._numbers()).count(number) == 1:
                self._last = number
                return claim
            claim.unlink()
            self._last = 0

    def _numbers(self) -> Iterator[int]:
        for name in os.listdir(self.folder):
            if match := _NUMBER.match(name):
                yield int(match[1])


# --- from files


def recording_paths(folder: Path) -> list[Path]:
    """The files of the recordings in *folder*, sorted by number and name. Raises OSError."""
    names = [name for name in os.listdir(folder) if name.endswith(SUFFIX) and name[0] != "."]
    return [folder / name for name in sorted(names, key=_order)]


def _order(name: str) -> tuple[int, str]:
    match = _NUMBER.match(name)
    return (int(match[1]) if match else -1), name


def read_recording(path: Path) -> Recording:
    """The recording in the file *path*; its bodies are made when they are first read. Raises
    OSError, and RecordingError with all mistakes of the file, missing files among them."""
    return _read(path, _PresentFiles(path.parent))


def read_folder(folder: Path) -> Sequence[Recording]:
    """The recordings in *folder*, in the order of their numbers. Bodies are made when they are
    first read. Raises OSError, and RecordingError with the mistakes of all files."""
    recordings: list[Recording] = []
    sentences: list[str] = []
    files = _PresentFiles(folder)
    with _without_collector():
        for path in recording_paths(folder):
            try:
                recordings.append(_read(path, files))
            except RecordingError as error:
                sentences += error.sentences
    if sentences:
        raise RecordingError(sentences)
    return recordings


def read_summaries(paths: Iterable[Path]) -> Iterator[Recording]:
    """Yield the recordings in the files *paths* without their answers: requests, conditions, the
    URLs of hosted pictures, and the status alone of the answer. Raises OSError, and at the end
    RecordingError with the mistakes of all files."""
    sentences: list[str] = []
    files: dict[Path, FolderFiles] = {}
    for path in paths:
        folder = files.setdefault(path.parent, FolderFiles(path.parent))
        try:
            text, document = _read_json(path)
            if isinstance(document, dict):
                summary = {
                    name: value
                    for name, value in document.items()
                    if name not in _KEYS_BESIDE_REQUEST
                }
                document = summary | _outcome(document)
            try:
                yield from_document(document, folder, path.stem)
            except DocumentError as error:
                raise RecordingError(_with_lines(path, text, error.mistakes)) from None
        except RecordingError as error:
            sentences += error.sentences
    if sentences:
        raise RecordingError(sentences)


def _outcome(document: Mapping[str, Any]) -> dict[str, Any]:
    """The member of a *document* that says how its call ended, reduced to the status."""
    answer = document.get("response") or document.get("expected")
    status = answer.get("status") if isinstance(answer, dict) else None
    is_status = isinstance(status, int) and status in STATUSES
    return {"response": {"status": status}} if is_status else {"error": ""}


@contextmanager
def _without_collector() -> Iterator[None]:
    """Turn the garbage collector off while many lasting values are made. Its search for garbage
    would take as long as making them."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _PresentFiles(FolderFiles):
    """The files of a folder, whose names are read once, at the start."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        try:
            self._names = frozenset(os.listdir(folder / FILES))
        except OSError:
            self._names = frozenset()

    def has(self, name: str) -> bool:
        """Whether there is a file that documents call *name*."""
        if name.removeprefix(f"{FILES}/") in self._names:
            return True
        return is_inside(name) and (self.folder / name).is_file()


def _read_json(path: Path) -> tuple[str, Any]:
    """The text of the file *path*, and the JSON in it. Raises OSError and RecordingError."""
    data = path.read_bytes()
    line, sentence = 1, ""
    try:
        text = data.decode()
        document = parse(text)
    except UnicodeDecodeError as error:
        line, sentence = data.count(b"\n", 0, error.start) + 1, "is not UTF-8"
    except json.JSONDecodeError as error:
        line, sentence = error.lineno, f"is no JSON: {error.msg}"
    except ValueError as error:
        sentence = f"is no JSON: {error}"
    except RecursionError:
        sentence = "has too many braces and brackets in each other"
    if sentence:
        raise RecordingError([f"{path}:{line}: {sentence}"])
    return text, document


def _read(path: Path, files: _PresentFiles) -> Recording:
    text, document = _read_json(path)
    try:
        recording = from_document(document, files, path.stem)
    except DocumentError as error:
        mistakes: Sequence[Mistake] = error.mistakes
    else:
        if all(map(files.has, _FILE.findall(text))):
            return recording
        mistakes = [
            Mistake(place, f"{name} is missing")
            for place, name in file_places(document)
            if not files.has(name)
        ]
        if not mistakes:
            return recording
    raise RecordingError(_with_lines(path, text, mistakes))


def _with_lines(path: Path, text: str, mistakes: Iterable[Mistake]) -> Sequence[str]:
    """The sentences of *mistakes* in the *text* of the file *path*, in the order of their lines."""
    lines = sorted(
        ((line_number_of(text, each.place), str(each)) for each in mistakes),
        key=lambda pair: pair[0],
    )
    return [f"{path}:{line}: {sentence}" for line, sentence in lines]


def _mistakes_in_target(target: str) -> Iterator[Mistake]:
    """The mistake of a *target* that no call can have."""
    if not target.startswith("/") and target != "*" and "://" not in target:
        yield Mistake(("request", "target"), f"{target!r} does not begin with a slash")


def mistakes_in(path: Path) -> Sequence[str]:
    """All mistakes in the file *path* and in the files that it names, as `FILE:LINE: sentence`.
    Raises OSError where the file cannot be read."""
    files = _PresentFiles(path.parent)
    try:
        recording = _read(path, files)
    except RecordingError as error:
        return error.sentences
    text = path.read_text("utf-8")
    document = parse(text)
    mistakes = [
        *_mistakes_in_target(recording.request.target),
        *mistakes_in_answers(document),
        *_wrong_names(document, files),
        *mistakes_in_bodies(recording),
    ]
    return _with_lines(path, text, mistakes)


def unused_files(folder: Path) -> Sequence[Path]:
    """The files in `files/` of *folder* that none of its recordings names, sorted by name. Empty
    where a recording cannot be read, because it may name any file. Raises OSError."""
    files = {path for path in (folder / FILES).rglob("[!.]*") if path.is_file()}
    for path in recording_paths(folder):
        try:
            _, document = _read_json(path)
        except RecordingError:
            return []
        files -= {folder / name for _, name in file_places(document)}
    return sorted(files)


def _wrong_names(document: Any, files: FolderFiles) -> Iterator[Mistake]:
    """The mistakes of files that cannot be read, or that are named for other content."""
    for place, name in file_places(document):
        digest = named_digest(name)
        try:
            if digest and not sha256(files.read(name)).hexdigest().startswith(digest):
                yield Mistake(place, f"{name} is named for another content")
        except OSError as error:
            yield Mistake(place, str(error))
