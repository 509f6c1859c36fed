"""Lines of TOML documents: that of a mistake in the syntax, and that of a key."""

from __future__ import annotations

import re
from tomllib import TOMLDecodeError


def line_of_mistake(text: str, error: TOMLDecodeError) -> tuple[int, str]:
    """The line of a mistake in the document *text*, from 1, and the sentence about it without its
    place. A mistake without one is at the end of the document."""
    sentence, _, place = str(error).partition(" (at ")
    if place.startswith("line "):
        return int(place.removeprefix("line ").partition(",")[0]), sentence
    return len(text.splitlines()) or 1, f"{sentence} at the end of the file"


def line_of_key(text: str, key: str) -> int:
    """The line, from 1, on which the *key* or the table of that name begins in the document *text*;
    1 where it is not found."""
    match = re.search(
        rf"""^[ \t]*\[*[ \t]*["']?{re.escape(key)}["']?[ \t]*[=.\]]""", text, re.MULTILINE
    )
    return text.count("\n", 0, match.start()) + 1 if match else 1
