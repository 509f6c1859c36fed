"""Suggests the name that a misspelt name probably means."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The word among *words* that *word* probably misspells; None where none is similar."""
    from difflib import get_close_matches  # noqa: PLC0415 - it delays the start

    close = get_close_matches(word, [*words], n=1)
    return close[0] if close else None


def suggestion(word: str, words: Iterable[str], quote: str = "", prefix: str = "") -> str:
    """The end of a sentence that refuses *word*: the word that is probably meant, between two
    *quote*. Empty where none is similar. A *prefix* that all *words* share does not make them
    similar."""
    name = nearest(word.removeprefix(prefix), (each.removeprefix(prefix) for each in words))
    return f"; {quote}{prefix}{name}{quote} is probably meant" if name else ""
