"""The name that a misspelt one probably means."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The one of *words* that *word* is probably a misspelling of; None where none is like it."""
    from difflib import get_close_matches  # noqa: PLC0415 - it delays the start

    close = get_close_matches(word, [*words], n=1)
    return close[0] if close else None


def suggestion(word: str, words: Iterable[str], quote: str = "", prefix: str = "") -> str:
    """The end of a sentence that refuses *word*: which of *words* is probably meant, between two
    *quote*; nothing where none is like it. A *prefix* that all of them have makes none alike."""
    name = nearest(word.removeprefix(prefix), (each.removeprefix(prefix) for each in words))
    return f"; {quote}{prefix}{name}{quote} is probably meant" if name else ""
