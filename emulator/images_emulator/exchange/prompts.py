"""Prompts as steps of a scenario look for them: by a regular expression, and by their names."""

from __future__ import annotations

import re
from typing import Final
from unicodedata import normalize

MAX_SEARCH_SECONDS: Final = 0.1
"""Seconds after which the search for a regular expression is given up. Some expressions take years
to fail."""

_OTHER_SIGNS: Final = re.compile(r"[\W_]+")
_OTHER_SIGNS_BUT_WILDCARDS: Final = re.compile(r"[^\w*?]+|_+")


def prompt_name(prompt: str) -> str:
    """The name of *prompt*: its letters and digits in lower case, with a hyphen for everything
    between them. `A red fox!` has the name `a-red-fox`."""
    return _OTHER_SIGNS.sub("-", normalize("NFC", prompt).lower()).strip("-")


def name_pattern(text: str) -> str:
    """The pattern of names that *text* means: *text* in the form of a name, but with its wildcards
    `*` and `?`."""
    return _OTHER_SIGNS_BUT_WILDCARDS.sub("-", normalize("NFC", text).lower()).strip("-")


class PromptPattern:
    """A regular expression, which is searched anywhere in a prompt. Raises ValueError for a *text*
    that is no regular expression.

    The library is `regex`, because Python's `re` cannot end a search that takes too long.
    """

    def __init__(self, text: str) -> None:
        import regex  # noqa: PLC0415 - it delays the start, and few scenarios need it

        try:
            self._pattern = regex.compile(text)
        except regex.error as error:
            raise ValueError(f"this is no regular expression: {error}") from None
        except RecursionError:
            raise ValueError("this regular expression is nested too deeply") from None

    def matches(self, prompt: str) -> bool:
        """Whether *prompt* has a match. Raises TimeoutError where that is not known after
        `MAX_SEARCH_SECONDS`."""
        return self._pattern.search(prompt, timeout=MAX_SEARCH_SECONDS) is not None
