"""Reads a JSON body of any size. Python's parser lets no other thread run before it has ended. It
is therefore given a large body without its long strings, and is never given a body with too many
parts."""

from __future__ import annotations

import json
import re
from typing import Any, Final, Never

from images_emulator.contract import errors
from images_emulator.contract.message_format import json_type

MAX_WHOLE_BYTES: Final = 2**18
"""A body up to this length is parsed at once: that takes at most 5 ms."""

MAX_STRUCTURE: Final = 100_000
"""Braces, brackets, colons, commas and strings that a larger body may have. The largest call that
the table allows has about 200, and some clients send a picture as an array of numbers."""

MAX_OUTSIDE_BYTES: Final = 2**22
"""Bytes that a larger body may have outside of its strings, blanks among them: 40 for each part of
`MAX_STRUCTURE`. The parser takes 5 ms for blanks of this length."""

MAX_SHORT_BYTES: Final = 1024
"""Longer strings are removed from the text that Python's parser reads."""

PIECE_BYTES: Final = 2**20
"""Bytes of a long string that are read at once, which takes a millisecond or two."""

_LONGEST_ESCAPE: Final = len(rb"\ud83d\ude00")
_STRING_END: Final = re.compile(rb'(?:[^"\\]|\\.)*+"', re.DOTALL)
_COLON: Final = re.compile(rb"[ \t\r\n]*+:")
_OUTSIDE: Final = tuple(b"{[:,")
_CONSTANT: Final = b"NaN"
"""Replaces a removed string. Python's parser accepts it, though it is not JSON."""


def parse_json(body: bytes, max_structure: int = MAX_STRUCTURE) -> dict[str, Any]:
    """The object in *body*. Raises APIError where there is none. Raises APIError also for a large
    body that has more braces, brackets, colons, commas and strings than *max_structure*, or more
    than `MAX_OUTSIDE_BYTES` bytes outside of its strings."""
    try:
        value = _parse(body) if len(body) <= MAX_WHOLE_BYTES else _parse_large(body, max_structure)
    except (ValueError, RecursionError):
        raise errors.malformed_json() from None
    if not isinstance(value, dict):
        raise errors.not_an_object(got=json_type(value))
    return value


def _raise_not_json(constant: str) -> Never:
    raise ValueError(f"{constant} is not JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_raise_not_json)


def _parse(body: bytes) -> Any:
    """Raises ValueError, RecursionError."""
    text = body.decode()
    value = _DECODER.decode(text)
    if "\\ud" in text or "\\uD" in text:
        # Half a surrogate pair is no character, though JSON can spell it.
        value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    return value


def _parse_large(body: bytes, max_structure: int) -> Any:
    """Raises ValueError, RecursionError, and APIError past *max_structure* or
    `MAX_OUTSIDE_BYTES`."""
    rest: list[bytes] = []
    strings: list[str] = []
    structure = position = outside = 0
    while (quote := body.find(b'"', position)) >= 0:
        structure += 1 + _count_structure(body, position, quote, max_structure)
        outside += quote - position
        if structure > max_structure or outside > MAX_OUTSIDE_BYTES:
            raise errors.body_too_large()
        short = _STRING_END.match(body, quote + 1, quote + 1 + MAX_SHORT_BYTES)
        if short and b"\\ud" not in short[0].lower():
            rest.append(body[position : short.end()])
            position = short.end()
        else:
            text, end = _read_string(body, quote + 1)
            rest.append(body[position:quote])
            position = end
            if _COLON.match(body, end):
                # The parser takes no constant in the place of a name.
                rest.append(json.dumps(text).encode())
            else:
                rest.append(_CONSTANT)
                strings.append(text)
    structure += _count_structure(body, position, len(body), max_structure)
    outside += len(body) - position
    if structure > max_structure or outside > MAX_OUTSIDE_BYTES:
        raise errors.body_too_large()
    rest.append(body[position:])
    removed_strings = iter(strings)
    # The parser meets the constants in the order in which the strings were removed.
    decoder = json.JSONDecoder(parse_constant=lambda _: next(removed_strings))
    return decoder.decode(b"".join(rest).decode())


def _count_structure(body: bytes, start: int, end: int, max_count: int) -> int:
    """The structural characters of *body* between two strings, counted until they are more than
    *max_count*. Raises ValueError for a constant that is not JSON's."""
    count = 0
    for at in range(start, end, PIECE_BYTES):
        until = min(end, at + PIECE_BYTES)
        if body.find(b"N", at, until) >= 0 or body.find(b"I", at, until) >= 0:
            raise ValueError("NaN and Infinity are not JSON")
        count += sum(body.count(each, at, until) for each in _OUTSIDE)
        if count > max_count:
            break
    return count


def _read_piece(body: bytes, start: int, stop: int) -> tuple[str, str, int, int]:
    """A piece of the string in *body*, from *start* to about *stop*. Returns the piece in quotes as
    it was sent, its decoded text, the index in the quoted piece behind the closing quote, and the
    index in *body* at which it was cut. Raises ValueError."""
    piece = None
    # Some cut near *stop* is in the middle of neither a character nor an escape.
    for cut in range(stop, max(start, stop - _LONGEST_ESCAPE), -1):
        try:
            quoted = f'"{body[start:cut].decode()}"'
            text, end = _DECODER.raw_decode(quoted)
        except ValueError:
            continue
        piece = quoted, text, end, cut
        # The second half of a surrogate pair may follow this cut, so a lower one is tried. Where
        # each cut is behind a first half, the lowest is followed by a first half: no pair is cut.
        if end < len(quoted) or not "\ud800" <= text[-1:] <= "\udbff":
            break
    if piece is None:
        raise ValueError("no string")
    return piece


def _read_string(body: bytes, start: int) -> tuple[str, int]:
    """The string whose first character is at *start*, and the index behind its closing quote.
    Raises ValueError."""
    pieces: list[str] = []
    while start < len(body):
        stop = min(len(body), start + PIECE_BYTES)
        quoted, text, end, cut = _read_piece(body, start, stop)
        pieces.append(text.encode("utf-8", "replace").decode())
        if end < len(quoted):
            return "".join(pieces), start + len(quoted[1:end].encode())
        start = cut
    raise ValueError("the string does not end")
