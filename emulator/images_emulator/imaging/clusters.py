"""Text as the signs that a reader counts, each with the font that draws it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple
from unicodedata import category, normalize

from images_emulator.imaging import shaping, typefaces
from images_emulator.imaging.typefaces import BOOK, EMOJI, REGULAR

LONGEST: Final = 1000
"""Characters in a row of a prompt that a card can ever show; the rest is not looked at."""

_JOINER: Final = "\u200d"
_JOINERS: Final = "\u200c\u200d"
_UNSEEN: Final = re.compile(
    "[\0-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\U000e0001]"
)
"""Controls, of direction too: a card has one paragraph and its own idea of direction."""
_APPENDED: Final = re.compile("[\u200c\u200d\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")
_STYLE: Final = re.compile("[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]")
"""What a font of one colour has no use for: the choice of text or picture, and skin tones."""
_FLAG: Final = re.compile("[\U0001f1e6-\U0001f1ff]")
_ASKS_FOR_EMOJI: Final = re.compile("[\ufe0f\u200d\u20e3\U0001f3fb-\U0001f3ff]")
_STACKED: Final = "\u1039\u17d2"
"""The signs that put the next letter under this one, in Myanmar and Khmer."""

_MOST_MARKS: Final = 6
"""On one letter: Burmese has words with five."""
_LONGEST_SIGN: Final = 16


class Cluster(NamedTuple):
    """One sign: its characters, the font or None, and the characters that the font is given."""

    text: str
    font: str | None
    shown: str

    @property
    def shaped(self) -> bool:
        """Whether it takes more than its own character to know what it looks like."""
        alone = self.font == EMOJI and len(self.shown) == 1
        return BOOK.get(self.font or "", False) and not alone


SPACE: Final = Cluster(" ", REGULAR, " ")


def _shown(text: str, name: str) -> str:
    if name == EMOJI:
        kept = text[0] + _STYLE.sub("", text[1:])
        return kept if len(kept) == 1 or shaping.possible() else kept[0]
    joins = BOOK.get(name, False)
    return text[0] + "".join(
        char
        for char in text[1:]
        if (joins if char in _JOINERS else typefaces.name_of(char) == name)
    )


@lru_cache(maxsize=4096)
def _cluster(text: str) -> Cluster:
    name = typefaces.name_of(text[0])
    if _ASKS_FOR_EMOJI.search(text, 1) and typefaces.has_emoji(text[0]):
        name = EMOJI
    elif name != EMOJI and BOOK.get(name or "") and not shaping.possible():
        name = None
    return Cluster(text, name, _shown(text, name) if name else "")


def _continues(sign: str, char: str) -> bool:
    """Whether *char* belongs to the *sign* before it (https://unicode.org/reports/tr29/)."""
    if sign == " " or len(sign) == _LONGEST_SIGN:
        return False
    if category(char)[0] == "M" or _APPENDED.match(char) or sign[-1] in _STACKED:
        return True
    flags = len(sign) == 1 and _FLAG.match(sign) and _FLAG.match(char)
    return bool(flags or (sign[-1] == _JOINER and typefaces.has_emoji(char)))


def _signs(text: str) -> Sequence[str]:
    if text.isascii():
        return text
    found: list[str] = []
    marks = 0
    for char in text:
        marks = marks + 1 if category(char)[0] == "M" else 0
        if found and _continues(found[-1], char):
            found[-1] += char if marks <= _MOST_MARKS else ""
        elif not _APPENDED.match(char) or typefaces.has_emoji(char):
            found.append(char)
    return found


def clusters(text: str) -> list[Cluster]:
    """The signs of the first part of *text*, in one line, without what cannot be seen."""
    text = _UNSEEN.sub("", " ".join(text[:LONGEST].split()))
    text = text if text.isascii() else normalize("NFC", text)
    return [SPACE if sign == " " else _cluster(sign) for sign in _signs(text.strip())]
