"""How error messages write values: lists in quotes, JSON types, Python's `repr`, masked keys. What
the emulator itself shows of a key is here, too."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import Final

MAX_SHOWN_VALUE: Final = 4096
"""The most characters of a text, or digits of a number, that `python_repr` shows. A message that
repeats a name or a word of its own shows it whole."""


class Words(tuple[str, ...]):
    """Words that a message lists: `{words}` gives `'a', 'b', and 'c'`, `{words:or}` gives
    `'a', 'b', or 'c'`, `{words:,}` gives `'a', 'b', 'c'`, `{words:was}` the same with the verb,
    `'a', 'b', 'c' were`, or `'a' was` of one word."""

    __slots__ = ()

    def __format__(self, last: str) -> str:
        if last == ",":
            return ", ".join(f"'{word}'" for word in self)
        if last == "was":
            return f"{self:,} {'were' if len(self) > 1 else 'was'}"
        return quoted_list(self, last or "and")


def json_type(value: object) -> str:
    """The JSON type of *value* in the API's words: `a string`, `an integer`, `null` …"""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int():
            return "an integer"
        case float():
            return "a decimal number"
        case Sequence():
            return "an array"
        case Mapping():
            return "an object"
        case _:
            return "a file"


class _BoundedRepr(reprlib.Repr):
    """Python's `repr` of a value, cut at `MAX_SHOWN_VALUE`."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxlong = MAX_SHOWN_VALUE

    def repr_instance(self, value: object, level: int) -> str:
        scalar = value is None or isinstance(value, bool | float)
        return repr(value) if scalar else json_type(value)


def python_repr(value: object) -> str:
    """*value*, from JSON or a form, in the words of the older stack's messages: `'x'`, `True`,
    `[1, 2]`, and `a file` for an upload. Long and deep values are cut."""
    return _BOUNDED_REPR.repr(value)


def quoted_list(words: Sequence[str], last: str = "and") -> str:
    """*words* in quotes, as the API lists them: `'a'`, `'a' and 'b'`, `'a', 'b', and 'c'`."""
    quoted = [f"'{word}'" for word in words]
    if len(quoted) < 3:
        return f" {last} ".join(quoted)
    return f"{', '.join(quoted[:-1])}, {last} {quoted[-1]}"


def key_in_message(key: str) -> str:
    """An API key in the form in which error messages repeat it: a key of more than 12
    characters keeps the first eight and the last four, with a star for each one between them.

    Recorded: `bogus-ap*-key` on 2023-07-27, and whole keys of 8 and 10 characters in 2025. Reports
    show `your_api*****here`, a whole key of 12 characters, and `sk-proj-` with a star for each
    hidden character, however many there are.
    """
    return f"{key[:8]}{'*' * (len(key) - 12)}{key[-4:]}" if len(key) > 12 else key


def mask_key(key: str) -> str:
    """An API key in the form in which the emulator shows it: in the journal, in logs, and as the
    name of a namespace. A key of up to 12 characters stays whole. A longer key keeps its prefix and
    its last four characters: `sk-proj-****abcd`. At least four characters are hidden."""
    if len(key) <= 12:
        return key
    prefix = re.match(r"sk-(?:[a-z]+-)?", key)
    start = prefix.end() if prefix and prefix.end() <= len(key) - 8 else 0
    return key[:start] + "*" * (len(key) - 4 - start) + key[-4:]


_BOUNDED_REPR: Final = _BoundedRepr()
