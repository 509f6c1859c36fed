"""Converts bytes to a readable part of a document, and back. JSON stays JSON and text stays text;
pictures become files, also those in base64 within JSON or text."""

from __future__ import annotations

import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from images_emulator.recordings.json_layout import JsonLayout, read_json
from images_emulator.recordings.recorded_files import FileReader, FileWriter, suffix_of

Document = Mapping[str, Any]
"""A JSON object of a recording's document."""

MAX_TEXT_BYTES: Final = 2**16
"""The most bytes of text in a document. Longer text that is no JSON becomes a file."""

MAX_JSON_BYTES: Final = 2**20
"""The most bytes of JSON in a document, without the files in it. Longer JSON becomes a file."""

MAX_DEPTH: Final = 100
"""The most levels of braces and brackets in JSON that is written as JSON."""

MAX_INLINE_BYTES: Final = 192
"""The most bytes in a document that are no text. More bytes become a file."""

MIN_PICTURE_CHARS: Final = 64
"""The least length of base64 that becomes a file of its own, where it begins like a picture."""

MIN_ENCODED_FILE_CHARS: Final = 4096
"""The least length of base64 that becomes a file of its own, where it does not begin like a
picture."""

PIECE_CHARS: Final = 2**22
"""The number of base64 characters that are decoded at once; a multiple of four."""

MAX_REPEATED_CHARS: Final = 2**28
"""The most characters of a repeated text."""

BASE64: Final = "base64"
"""The value of `as` for a file that is base64 with nothing before it."""

_FILE, _PICTURE, _REPEAT = {"file", "as"}, {"picture", "as"}, {"repeat", "times"}
_DATA_URL: Final = re.compile(rb"(data:[\w.+-]+/[\w.+-]+;base64),")
_CONTENT_SUFFIXES: Final = {
    "application/json": ".json",
    "text/event-stream": ".txt",
    "text/html": ".html",
    "text/plain": ".txt",
}


class _Embedded(NamedTuple):
    """A file in base64 between two quotes."""

    text_start: int
    """The index after the first quote. The text may begin as a data URL."""
    base64_start: int
    end: int
    """The index of the second quote."""
    kind: str
    """The value of `as` in the document."""
    suffix: str


def is_description(value: Document) -> bool:
    """Whether the object *value*, in JSON or text of a document, is a description. A description
    stands for a text: a file or a picture in base64, or a repeated text."""
    return len(value) == 2 and value.keys() in (_FILE, _PICTURE, _REPEAT)


# --- to a document


def content_document(
    data: bytes | memoryview,
    files: FileWriter | None,
    content_type: str = "",
    likely: JsonLayout | None = None,
    *,
    as_json: bool = True,
) -> dict[str, Any]:
    """*data* as an object with `json`, `text`, `base64` or, if there are *files*, `file`. The
    layout *likely* is tried first for JSON. Without *as_json*, JSON is written as text."""
    suffix = suffix_of(bytes(data[:256]))
    if files and suffix:
        return {"file": files.add([data], suffix)}
    data = bytes(data)
    embedded = list(_embedded_files(data)) if files else []
    rest = len(data) - sum(each.end - each.text_start for each in embedded)
    if rest <= MAX_JSON_BYTES or not files:
        texts, descriptions = _cut_out_files(data, embedded, files) if files else ([data], [])
        document = _json_document(texts, descriptions, likely) if as_json else None
        if not document and (rest <= MAX_TEXT_BYTES or not files):
            document = _text_document(texts, descriptions)
        if document:
            return document
    if files and len(data) > MAX_INLINE_BYTES:
        return {"file": files.add([data], _suffix(content_type))}
    return {"base64": b2a_base64(data, newline=False).decode()}


def _suffix(content_type: str) -> str:
    suffix = _CONTENT_SUFFIXES.get(content_type.partition(";")[0].strip().lower())
    return suffix or ".bin"


def _embedded_files(data: bytes) -> Iterator[_Embedded]:
    """The texts that look like files in base64, between two quotes of *data*."""
    opening = data.find(b'"')
    while opening >= 0 and (closing := data.find(b'"', opening + 1)) >= 0:
        if closing - opening > MIN_PICTURE_CHARS:
            embedded = _find_embedded(data, opening + 1, closing)
            if embedded:
                yield embedded
        opening = closing


def _find_embedded(data: bytes, opening: int, end: int) -> _Embedded | None:
    match = _DATA_URL.match(data, opening, min(end, opening + 128))
    start, kind = (match.end(), match[1].decode()) if match else (opening, BASE64)
    if (end - start) % 4 or end - start < MIN_PICTURE_CHARS:
        return None
    try:
        beginning = a2b_base64(data[start : start + MIN_PICTURE_CHARS], strict_mode=True)
    except ValueError:
        return None
    suffix = suffix_of(beginning)
    if not suffix and end - start < MIN_ENCODED_FILE_CHARS:
        return None
    return _Embedded(opening, start, end, kind, suffix or ".bin")


def _decode(data: bytes, embedded: _Embedded) -> Iterator[bytes]:
    """Yield the decoded file in pieces. Raises ValueError where encoding it again would give other
    base64."""
    view = memoryview(data)
    for start in range(embedded.base64_start, embedded.end, PIECE_CHARS):
        end = min(start + PIECE_CHARS, embedded.end)
        piece = a2b_base64(view[start:end], strict_mode=True)
        is_padded = len(piece) * 4 != (end - start) * 3
        if b2a_base64(piece, newline=False) != view[start:end] or (
            is_padded and end != embedded.end
        ):
            raise ValueError("base64 in another form")
        yield piece


def _cut_out_files(
    data: bytes, embedded: Sequence[_Embedded], files: FileWriter
) -> tuple[list[bytes], list[Document]]:
    """The texts of *data* before, between and after the files in it, and the descriptions that
    stand for these files in a document."""
    texts: list[bytes] = []
    descriptions: list[Document] = []
    position = 0
    for file in embedded:
        try:
            name = files.add(_decode(data, file), file.suffix)
        except ValueError:
            continue
        texts.append(data[position : file.text_start])
        descriptions.append({"file": name, "as": file.kind})
        position = file.end
    return [*texts, data[position:] if position else data], descriptions


def _json_document(
    texts: Sequence[bytes], descriptions: Sequence[Document], likely: JsonLayout | None
) -> dict[str, Any] | None:
    """The document of *texts* that make JSON together; None where the same bytes cannot be written
    again."""
    mark = b"file#"
    while any(mark in text for text in texts):
        mark += b"#"
    data = texts[0] + b"".join(
        b"%s%d%s" % (mark, index, text) for index, text in enumerate(texts[1:])
    )
    read = read_json(data, likely)
    if read is None:
        return None
    value, layout = read
    unplaced = dict(enumerate(descriptions))
    try:
        value = _with_descriptions(value, mark.decode(), unplaced)
    except ValueError:
        return None
    if unplaced:
        return None  # one is the name of a member
    described = layout.to_document()
    return {"json": value} | ({"layout": described} if described else {})


def _with_descriptions(
    value: Any, mark: str, descriptions: dict[int, Document], depth: int = MAX_DEPTH
) -> Any:
    """*value* with *descriptions* in place of their marks. One whose mark is found is removed from
    *descriptions*. Raises ValueError where *value* is too deep, or has an object of its own that
    looks like a description."""
    if isinstance(value, str):
        if descriptions and value.startswith(mark) and value[len(mark) :].isdecimal():
            return descriptions.pop(int(value[len(mark) :]))
        return value
    if isinstance(value, list | dict) and not depth:
        raise ValueError("too deep")
    if isinstance(value, list):
        return [_with_descriptions(each, mark, descriptions, depth - 1) for each in value]
    if isinstance(value, dict):
        if is_description(value):
            raise ValueError("an object that describes a text")
        return {
            key: _with_descriptions(each, mark, descriptions, depth - 1)
            for key, each in value.items()
        }
    return value


def _text_document(
    texts: Sequence[bytes], descriptions: Sequence[Document]
) -> dict[str, Any] | None:
    """The document of bytes that are text; None for others."""
    try:
        pieces: list[Any] = [text.decode() for text in texts]
    except UnicodeDecodeError:
        return None
    if any("\0" in piece for piece in pieces):
        return None
    for index, description in enumerate(descriptions):
        pieces.insert(2 * index + 1, description)
    return {"text": pieces if descriptions else pieces[0]}


# --- from a document


def content_of_document(document: Document, files: FileReader) -> bytes:
    """The bytes of an object that `content_document` makes, or that describes its content. Raises
    OSError where a file cannot be read, and ValueError for a description that cannot be followed.
    """
    if "json" in document:
        return _json_bytes(
            document["json"], JsonLayout.from_document(document.get("layout")), files
        )
    if "text" in document:
        return b"".join(_text_pieces(document["text"], files))
    if "base64" in document:
        return a2b_base64(document["base64"], strict_mode=True)
    return file_of_document(document, files)


def file_of_document(document: Document, files: FileReader) -> bytes:
    """The file that *document* names, or the picture that it describes. Raises OSError and
    ValueError."""
    if "file" in document:
        return files.read(document["file"])
    from images_emulator.imaging.described_picture import draw_described  # noqa: PLC0415 - Pillow

    return draw_described(document["picture"])


def described_text(document: Document, files: FileReader) -> bytes:
    """The text that a description stands for. Raises OSError and ValueError."""
    if "repeat" in document:
        return repeated(document).encode()
    kind = document["as"]
    prefix = b"" if kind == BASE64 else f"{kind},".encode()
    return prefix + b2a_base64(file_of_document(document, files), newline=False)


def repeated(document: Document) -> str:
    """The text of a description with `repeat`. Raises ValueError where the text is too long."""
    text, times = str(document["repeat"]), int(document["times"])
    if len(text) * times > MAX_REPEATED_CHARS:
        raise ValueError(f"a repeated text has at most {MAX_REPEATED_CHARS} characters")
    return text * times


def plain_text(text: Any) -> str | None:
    """The `text` of a document as one text; None where it needs a file."""
    if isinstance(text, str):
        return text
    pieces = text if isinstance(text, list) else [text]
    if all(isinstance(piece, str) or "repeat" in piece for piece in pieces):
        return "".join(piece if isinstance(piece, str) else repeated(piece) for piece in pieces)
    return None


def _text_pieces(text: Any, files: FileReader) -> Iterator[bytes]:
    for piece in text if isinstance(text, list) else [text]:
        yield piece.encode() if isinstance(piece, str) else described_text(piece, files)


def _json_bytes(value: Any, layout: JsonLayout, files: FileReader) -> bytes:
    descriptions: list[Document] = []
    mark = "file#"
    data = layout.write(_with_marks(value, mark, descriptions))
    while descriptions and data.count(mark.encode()) != len(descriptions):
        mark, descriptions = f"{mark}#", []
        data = layout.write(_with_marks(value, mark, descriptions))
    if not descriptions:
        return data
    pieces = re.split(rb"%s(\d+)" % mark.encode(), data)
    pieces[1::2] = (described_text(descriptions[int(number)], files) for number in pieces[1::2])
    return b"".join(pieces)


def _with_marks(value: Any, mark: str, descriptions: list[Document]) -> Any:
    """*value* with repeated texts written out, and with a mark in place of each file. The
    descriptions of these files are added to *descriptions*."""
    if isinstance(value, list):
        return [_with_marks(each, mark, descriptions) for each in value]
    if isinstance(value, dict):
        if is_description(value):
            if "repeat" in value:
                return repeated(value)
            descriptions.append(value)
            return f"{mark}{len(descriptions) - 1}"
        return {key: _with_marks(each, mark, descriptions) for key, each in value.items()}
    return value
