"""Text as grapheme clusters (https://unicode.org/reports/tr29/), each with the font that draws it.

A grapheme is what a reader counts as one character: a letter with its marks, or an emoji sequence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple
from unicodedata import category, normalize

from images_emulator.imaging import shaping, typefaces
from images_emulator.imaging.typefaces import EMOJI, NEEDS_SHAPING, REGULAR

MAX_CHARS: Final = 1000
"""The most characters in a row that a card can show of a prompt; the rest is not looked at."""

_ZERO_WIDTH_JOINER: Final = "\u200d"
_JOINERS: Final = "\u200c\u200d"
"""ZERO WIDTH NON-JOINER and JOINER, which choose between the forms of the letters beside them."""

_INVISIBLE: Final = re.compile(
    "[\0-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\U000e0001]"
)
"""Control characters, including those of direction: a card sets one paragraph in its own
direction."""

_EXTENDING: Final = re.compile("[\u200c\u200d\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")
"""Characters other than marks that extend a grapheme: joiners, skin tones, tags of flags."""

_EMOJI_STYLE: Final = re.compile("[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]")
"""Characters for text style, emoji style and skin tone. A font of one colour does not show them."""

_REGIONAL_INDICATOR: Final = re.compile("[\U0001f1e6-\U0001f1ff]")
"""Two of these are a flag."""

_EMOJI_SEQUENCE: Final = re.compile("[\ufe0f\u200d\u20e3\U0001f3fb-\U0001f3ff]")
"""Characters that make the first character of their grapheme an emoji."""

_STACKERS: Final = "\u1039\u17d2"
"""Signs of Myanmar and Khmer that put the next letter below the one before."""

_MAX_MARKS: Final = 6
"""The most marks on one letter. Burmese has words with five."""

_MAX_GRAPHEME_CHARS: Final = 16


class Grapheme(NamedTuple):
    """A grapheme: its characters, the font file that draws it, or None, and the characters of it
    that this font has."""

    text: str
    font: str | None
    font_text: str

    @property
    def needs_shaping(self) -> bool:
        """Whether the glyphs depend on neighbouring graphemes, or are not the glyphs of the
        characters."""
        is_plain_emoji = self.font == EMOJI and len(self.font_text) == 1
        return NEEDS_SHAPING.get(self.font or "", False) and not is_plain_emoji


SPACE: Final = Grapheme(" ", REGULAR, " ")
"""The grapheme between two words."""


def _font_text(text: str, font: str) -> str:
    """The characters of the grapheme *text* that *font* can draw."""
    if font == EMOJI:
        chars = text[0] + _EMOJI_STYLE.sub("", text[1:])
        return chars if len(chars) == 1 or shaping.is_available() else chars[0]
    takes_joiners = NEEDS_SHAPING.get(font, False)
    return text[0] + "".join(
        char
        for char in text[1:]
        if (takes_joiners if char in _JOINERS else typefaces.font_of(char) == font)
    )


@lru_cache(maxsize=4096)
def _grapheme(text: str) -> Grapheme:
    font = typefaces.font_of(text[0])
    if _EMOJI_SEQUENCE.search(text, 1) and typefaces.has_emoji(text[0]):
        font = EMOJI
    elif font != EMOJI and NEEDS_SHAPING.get(font or "") and not shaping.is_available():
        font = None
    return Grapheme(text, font, _font_text(text, font) if font else "")


def _continues(grapheme: str, char: str) -> bool:
    """Whether *char* belongs to the *grapheme* before it."""
    if grapheme == " " or len(grapheme) == _MAX_GRAPHEME_CHARS:
        return False
    if category(char)[0] == "M" or _EXTENDING.match(char) or grapheme[-1] in _STACKERS:
        return True
    is_flag = (
        len(grapheme) == 1
        and _REGIONAL_INDICATOR.match(grapheme)
        and _REGIONAL_INDICATOR.match(char)
    )
    return bool(is_flag or (grapheme[-1] == _ZERO_WIDTH_JOINER and typefaces.has_emoji(char)))


def _split(text: str) -> Sequence[str]:
    if text.isascii():
        return text
    graphemes: list[str] = []
    marks = 0
    for char in text:
        marks = marks + 1 if category(char)[0] == "M" else 0
        if graphemes and _continues(graphemes[-1], char):
            graphemes[-1] += char if marks <= _MAX_MARKS else ""
        elif not _EXTENDING.match(char) or typefaces.has_emoji(char):
            graphemes.append(char)
    return graphemes


def graphemes(text: str) -> list[Grapheme]:
    """The graphemes of the first `MAX_CHARS` characters of *text*. Words have single spaces between
    them, and invisible characters are left out."""
    text = _INVISIBLE.sub("", " ".join(text[:MAX_CHARS].split()))
    text = text if text.isascii() else normalize("NFC", text)
    return [SPACE if each == " " else _grapheme(each) for each in _split(text.strip())]
