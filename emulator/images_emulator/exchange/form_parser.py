"""Reads a multipart body (RFC 7578) into fields and uploads, and notices when it is not whole."""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, Final

from python_multipart.multipart import parse_options_header

from images_emulator.contract import errors
from images_emulator.contract.image_rules import IMAGE_BYTES_LIMIT
from images_emulator.contract.models import FILE_PARAMETERS
from images_emulator.contract.notices import limit_notice
from images_emulator.contract.refusal import APIError
from images_emulator.contract.request import Upload
from images_emulator.settings import Settings

MAX_ITEMS: Final = 256
"""The most items of an array that are kept: many more than any parameter takes."""

MAX_NAMES: Final = 256
"""The most distinct names that are kept. Among so many some are unknown, so later names do not
change whether the call is refused."""

MAX_LISTED_PARTS: Final = 256
"""Parts of a form that are listed in their order."""

MAX_DEPTH: Final = 8
"""Brackets in one name; `svg[reasoning][effort]`, the deepest that there is, has two."""

MAX_BOUNDARY_BYTES: Final = 70
"""RFC 2046 §5.1.1: "no longer than 70 characters"."""

PIECE_BYTES: Final = 2**20
"""Bytes of a text that are decoded at once. No other thread runs meanwhile, for up to 7 ms."""

MAX_PADDING_BYTES: Final = 256
"""Blanks after a boundary, which RFC 2046 allows. A line with more of them is no boundary."""

_BOUNDARY_END: Final = re.compile(rb"--|[ \t]{0,%d}\r\n" % MAX_PADDING_BYTES)
_INCOMPLETE_BOUNDARY_END: Final = re.compile(rb"-?|[ \t]{0,%d}\r?" % MAX_PADDING_BYTES)
_NAME: Final = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")


DEFAULT_SETTINGS: Final = Settings()
"""The settings whose limits hold where no server reads the form: in recordings, and in what the
journal shows."""


class _Part:
    """One part while it arrives. *size* counts all its bytes; only the needed ones are kept."""

    def __init__(self, head: bytes) -> None:
        self.headers: dict[str, str] = {}
        for line in head.decode("latin-1").split("\r\n"):
            name, colon, value = line.partition(":")
            if line and not colon:
                raise errors.malformed_form()
            self.headers[name.strip().lower()] = value.strip()
        self.pieces: list[bytes] = []
        self.size = 0

    def write(self, data: memoryview) -> None:
        if self.size < IMAGE_BYTES_LIMIT:
            self.pieces.append(bytes(data[: IMAGE_BYTES_LIMIT - self.size]))
        self.size += len(data)

    @property
    def data(self) -> bytes:
        """The kept bytes. Other threads run while the pieces of a large part are joined."""
        return b"".join(self.pieces)

    def content(self) -> tuple[str, str | Upload]:
        """The name of the part, and its value."""
        _, options = parse_options_header(self.headers.get("content-disposition"))
        name = options.get(b"name", b"").decode(errors="replace")
        content_type = self.headers.get("content-type")
        if b"filename" in options or _is_unnamed_file(name, content_type):
            filename = options.get(b"filename", b"").decode(errors="replace")
            return name, Upload(filename, content_type, self.data, self.size)
        return name, _from_utf8(self.data)


def _from_utf8(data: bytes) -> str:
    """*data* as UTF-8, with replacements."""
    decoder = getincrementaldecoder("utf-8")("replace")
    starts = range(0, len(data), PIECE_BYTES)
    pieces = [decoder.decode(data[start : start + PIECE_BYTES]) for start in starts]
    return "".join([*pieces, decoder.decode(b"", final=True)])


def _is_unnamed_file(name: str, content_type: str | None) -> bool:
    """Whether a part without a file name is a file all the same, by its parameter and its type."""
    is_text = not content_type or content_type.lower().startswith("text/")
    return not is_text and name.partition("[")[0] in FILE_PARAMETERS


class _Parser:
    """Takes a body in chunks of any size. Bytes before the first boundary and after the last one
    are ignored.

    | read next | `_part` | `_in_head` | ends with |
    |---|---|---|---|
    | before the first boundary | None | False | a boundary |
    | the headers of a part | None | True | an empty line |
    | the data of a part | the part | False | a boundary; the last one sets `is_complete` |
    """

    def __init__(self, boundary: bytes, settings: Settings) -> None:
        self._settings = settings
        self.fields: dict[str, Any] = {}
        self.listed: list[tuple[str, str | Upload]] | None = None
        """The first parts in the order of the form; None where the caller does not need them."""
        self.part_names: dict[str, None] = {}
        """The first names of parts, with their brackets, each once."""
        self.is_complete = False
        self.part_count = 0
        self.name_count = 0
        self._delimiter = b"\r\n--" + boundary
        self._max_boundary_line_bytes = len(self._delimiter) + MAX_PADDING_BYTES + 1
        # The first boundary may open the body, as if a line had ended before it.
        self._buffer = b"\r\n"
        self._at = 0
        self._part: _Part | None = None
        self._in_head = False

    @cached_property
    def _boundary(self) -> re.Pattern[bytes]:
        """A pattern that passes over lines that only begin like a boundary. It is compiled where
        there are such lines, because that takes as long as a small form."""
        return re.compile(re.escape(self._delimiter) + b"(?:" + _BOUNDARY_END.pattern + b")")

    @property
    def is_done(self) -> bool:
        """Whether later bytes cannot change the result."""
        return (
            self.is_complete
            or self.name_count > MAX_NAMES
            or self.part_count > self._settings.max_parts
        )

    @property
    def has_too_many_parts(self) -> bool:
        """Whether the form has more parts than the limit, and this is the error to report. Where an
        array has `MAX_ITEMS` items, the call is refused for the array instead."""
        return self.part_count > self._settings.max_parts and not any(
            isinstance(value, list) and len(value) >= MAX_ITEMS for value in self.fields.values()
        )

    def limit_error(self, setting: str) -> APIError:
        """The error of a form that is past the limit that the *setting* sets."""
        error = errors.malformed_form()
        error.add_notice(limit_notice("a form", self._settings, setting))
        return error

    def write(self, chunk: bytes) -> None:
        """Read on. Raises APIError where the form is malformed, or past a limit."""
        self._buffer, self._at = self._buffer[self._at :] + chunk, 0
        while not self.is_done and (self._read_head() if self._in_head else self._read_data()):
            pass

    def _read_head(self) -> bool:
        """Begin a part; False where more of its headers are to come."""
        # Without headers, the empty line comes at once.
        has_no_headers = self._buffer.startswith(b"\r\n", self._at)
        end = self._at if has_no_headers else self._buffer.find(b"\r\n\r\n", self._at)
        if (end if end >= 0 else len(self._buffer)) - self._at > self._settings.max_part_head:
            raise self.limit_error("max_part_head")
        if end < 0:
            return False
        self._part = _Part(self._buffer[self._at : end])
        self._at = end + (2 if has_no_headers else 4)
        self._in_head = False
        return True

    def _read_data(self) -> bool:
        """Read up to the next boundary; False where none has come yet, or it was the last one."""
        start = self._buffer.find(self._delimiter, self._at)
        end = (
            _BOUNDARY_END.match(self._buffer, start + len(self._delimiter)) if start >= 0 else None
        )
        if start >= 0 and not end and (boundary := self._boundary.search(self._buffer, start)):
            start = boundary.start()
            end = _BOUNDARY_END.match(self._buffer, start + len(self._delimiter))
        if end:
            self._give_to_part(start)
            self._add_part_to_fields()
            self._at = end.end()
            self.is_complete = end[0] == b"--"
            self.part_count += not self.is_complete
            self._in_head = True
            return not self.is_complete
        self._give_to_part(self._incomplete_boundary_start())
        return False

    def _incomplete_boundary_start(self) -> int:
        """The index at which an incomplete boundary begins, or else the end of the buffer."""
        end = len(self._buffer)
        start = self._buffer.rfind(
            self._delimiter, max(self._at, end - self._max_boundary_line_bytes)
        )
        after = start + len(self._delimiter)
        if start >= 0 and _INCOMPLETE_BOUNDARY_END.fullmatch(self._buffer, after):
            return start
        # A boundary has one carriage return, at its beginning.
        start = self._buffer.rfind(b"\r", max(self._at, end - len(self._delimiter)))
        return start if start >= 0 and self._delimiter.startswith(self._buffer[start:]) else end

    def _give_to_part(self, end: int) -> None:
        """Give the bytes up to *end* to the part, if there is one."""
        if self._part:
            self._part.write(memoryview(self._buffer)[self._at : end])
        self._at = end

    def _add_part_to_fields(self) -> None:
        """Add the part that has ended to the fields, if there is one."""
        if self._part:
            name, value = self._part.content()
            if self.listed is not None and len(self.listed) < MAX_LISTED_PARTS:
                self.listed.append((name, value))
            self.name_count += put_value(self.fields, name, value)
            if len(self.part_names) < MAX_NAMES:
                self.part_names[name] = None
        self._part = None


def put_value(fields: dict[str, Any], name: str, value: str | Upload) -> bool:
    """Put the *value* of one part under its *name*: `image`, `image[]`, `image[0]`, `svg[model]`.
    Return whether the name counts as one more: items of a list count once, keys of a mapping each.

    Raises APIError where a name has too many brackets, where a name that does not stand for a list
    item comes twice, and where a parameter comes both with and without brackets, with different
    values.
    """
    match = _NAME.fullmatch(name)
    root = match[1] if match else name
    keys = re.findall(r"\[([^\[\]]*)\]", match[2]) if match else []
    new = root not in fields
    if len(keys) > MAX_DEPTH:
        raise errors.malformed_form()
    if not keys:
        if root not in fields:
            fields[root] = value
        elif not isinstance(fields[root], list | dict):
            raise errors.duplicate_parameter(name=root)
        elif fields[root] != [value]:
            raise errors.different_value(name=root)
        return new
    if len(keys) == 1 and (not keys[0] or keys[0].isdigit()):
        present = fields.setdefault(root, [])
        if not isinstance(present, list):
            # The parameter came without brackets before. Now it is a list of that one value.
            if present != value:
                raise errors.different_value(name=root)
            present = fields[root] = []
        if len(present) < MAX_ITEMS:
            present.append(value)
        return new
    inner = fields
    for key in [root, *keys[:-1]]:
        inner = inner.setdefault(key, {})
        if not isinstance(inner, dict):
            raise errors.different_value(name=root)
    if keys[-1] in inner:
        raise errors.duplicate_parameter(name=name)
    inner[keys[-1]] = value
    return True


def boundary_of(content_type: str) -> bytes:
    """The boundary in a *content_type*, or nothing."""
    _, options = parse_options_header(content_type)
    return options.get(b"boundary", b"")


def _parser_for(content_type: str, settings: Settings) -> _Parser:
    """The parser of a form. Raises APIError without a boundary, and for one that is too long."""
    boundary = boundary_of(content_type)
    if not boundary or len(boundary) > MAX_BOUNDARY_BYTES:
        raise errors.malformed_form()
    return _Parser(boundary, settings)


def _read(parser: _Parser, body: Iterable[bytes]) -> None:
    """Raises APIError where *body* is malformed, or past a limit."""
    for chunk in body:
        if parser.is_done:
            break
        parser.write(chunk)
    if not parser.is_done:
        raise errors.malformed_form()
    if parser.has_too_many_parts:
        raise parser.limit_error("max_parts")


def read_form(
    content_type: str, body: Iterable[bytes], settings: Settings = DEFAULT_SETTINGS
) -> dict[str, Any]:
    """The fields of a multipart *body*, in its order. Raises APIError where *body* is malformed, or
    past a limit of the *settings*."""
    return read_form_with_names(content_type, body, settings)[0]


def read_form_with_names(
    content_type: str, body: Iterable[bytes], settings: Settings = DEFAULT_SETTINGS
) -> tuple[dict[str, Any], Sequence[str]]:
    """`read_form`, and the first `MAX_NAMES` names of its parts, with their brackets, each once."""
    parser = _parser_for(content_type, settings)
    _read(parser, body)
    return parser.fields, tuple(parser.part_names)


def list_parts(
    content_type: str, body: Iterable[bytes]
) -> tuple[list[tuple[str, str | Upload]], dict[str, Any]]:
    """The first `MAX_LISTED_PARTS` parts of a multipart *body* with their names, and the same
    values as fields. A malformed body has the parts before the mistake. Raises APIError where
    *content_type* has no valid boundary."""
    parser = _parser_for(content_type, DEFAULT_SETTINGS)
    parser.listed = []
    with suppress(APIError):
        _read(parser, body)
    return parser.listed, parser.fields
