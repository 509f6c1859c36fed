"""Text for terminals: colours, clients' texts without control characters, and lines cut to the
width."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

MAX_TEXT_CHARS: Final = 1000
"""The most characters that are shown of a client's text."""

CODES: Final[Mapping[str, str]] = {
    "dim": "2",
    "bold": "1",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "magenta": "35",
    "cyan": "36",
}
"""The styles, each with its number in an escape sequence (SGR)."""


class Part(NamedTuple):
    """A part of a line in one style, a key of `CODES`, or without a style."""

    text: str
    style: str = ""


def has_colours(fd: int | None, environment: Mapping[str, str]) -> bool:
    """Whether text for the file descriptor *fd* (None: no descriptor) is coloured. `NO_COLOR` turns
    colours off. Otherwise `FORCE_COLOR` turns them on, or off with `0`. Without both, a terminal's
    text is coloured, unless the terminal is dumb."""
    if environment.get("NO_COLOR"):
        return False
    force = environment.get("FORCE_COLOR", "")
    if force:
        return force != "0"
    # Windows has terminals that follow escape sequences, and a console that prints them.
    if os.name == "nt" and not (environment.get("WT_SESSION") or environment.get("TERM")):
        return False
    return fd is not None and os.isatty(fd) and environment.get("TERM") != "dumb"


def columns_of(fd: int) -> int | None:
    """The width of the terminal that *fd* leads to; None where it leads to no terminal."""
    try:
        return os.get_terminal_size(fd).columns or None
    except OSError:
        return None


def printable(text: str, max_chars: int = MAX_TEXT_CHARS) -> str:
    r"""*text* with a `\x1b` or `\u202e` for each character that would move the cursor, begin
    another line or turn the direction of the text; cut where it is long."""
    if len(text) > max_chars:
        text = f"{text[: max_chars - 1]}…"
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def render(parts: Sequence[Part], *, colours: bool, columns: int | None) -> str:
    """The line of *parts*, cut to the *columns* of a terminal."""
    if columns is not None:
        parts = [*_cut(parts, columns)]
    if not colours:
        return "".join(part.text for part in parts)
    return "".join(
        f"\x1b[{CODES[part.style]}m{part.text}\x1b[0m" if part.style else part.text
        for part in parts
    )


def _cut(parts: Sequence[Part], columns: int) -> Iterator[Part]:
    """*parts*, cut to *columns*, with an ellipsis where they are cut."""
    left = columns
    for number, part in enumerate(parts):
        width = width_of(part.text)
        # The ellipsis needs a column where something follows.
        if width < left or (width == left and number == len(parts) - 1):
            left -= width
            yield part
            continue
        yield Part(f"{_fit(part.text, left - 1)}…", part.style)
        return


def _fit(text: str, columns: int) -> str:
    """The beginning of *text* that fits into *columns*."""
    for end, char in enumerate(text):
        columns -= width_of(char)
        if columns < 0:
            return text[:end]
    return text


def width_of(text: str) -> int:
    """The number of columns that *text* takes on a terminal."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width  # noqa: PLC0415 - few texts need them

    return sum(
        0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text
    )
