"""Plain text in lines that fit a terminal."""

from __future__ import annotations

from textwrap import fill
from typing import Final

TERMINAL_COLUMNS: Final = 100
"""The most columns of a line."""


def wrapped(text: str, first: str, rest: str) -> str:
    """*text* in lines of `TERMINAL_COLUMNS` at most. The first line begins with *first*, the others
    with *rest*. No word is broken, even at a hyphen."""
    return fill(
        text,
        TERMINAL_COLUMNS,
        initial_indent=first,
        subsequent_indent=rest,
        break_on_hyphens=False,
    )
