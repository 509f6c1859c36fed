"""Unicode's bidirectional algorithm (https://unicode.org/reports/tr9/) for one line of text without
embedding controls. It finds the characters that run from right to left, and the order on the line.

Rules (P2, W1 …) have the names that they have there. The bidi class of a character is one letter
here: strong L, R or A (Arabic letter), e and a (European and Arabic digits), s, t and c (separators
and terminators of numbers), m (nonspacing mark), n (neutral).
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from functools import partial
from typing import Final
from unicodedata import bidirectional

_CLASSES: Final = {
    "L": "L",
    "R": "R",
    "AL": "A",
    "EN": "e",
    "AN": "a",
    "ES": "s",
    "ET": "t",
    "CS": "c",
    "NSM": "m",
}
_NUMBER_RULES: Final = (  # W4 to W6
    (re.compile("(?<=e)[sc](?=e)"), "e"),
    (re.compile("(?<=a)c(?=a)"), "a"),
    (re.compile("t+(?=e)|(?<=e)t+"), "e"),
    (re.compile("[stc]"), "n"),
)
_STRONG: Final = {"L": "L", "R": "R", "e": "R", "a": "R"}
"""The direction of each class next to neutrals and brackets; numbers count as R."""

_CANONICAL: Final = {"\u2329": "\u3008", "\u232a": "\u3009"}
"""Brackets that are canonically equivalent to others."""

BRACKET_PAIRS: Final = (
    "()[]{}༺༻༼༽᚛᚜⁅⁆⁽⁾₍₎⌈⌉⌊⌋\u2329\u232a❨❩❪❫❬❭❮❯❰❱❲❳❴❵⟅⟆⟦⟧⟨⟩⟪⟫⟬⟭⟮⟯⦃⦄⦅⦆⦇⦈⦉⦊⦋⦌⦍⦐⦏⦎⦑⦒⦓⦔⦕⦖⦗⦘⧘⧙⧚⧛⧼⧽"
    "⸢⸣⸤⸥⸦⸧⸨⸩⹕⹖⹗⹘⹙⹚⹛⹜\u3008\u3009《》「」『』【】〔〕〖〗〘〙〚〛﹙﹚﹛﹜﹝﹞（）［］｛｝｟｠｢｣"
)
"""https://www.unicode.org/Public/UCD/latest/ucd/BidiBrackets.txt"""

_OPENING, _CLOSING = BRACKET_PAIRS[::2], BRACKET_PAIRS[1::2]
_CLOSING_OF: Final = {
    opening: _CANONICAL.get(closing, closing)
    for opening, closing in zip(_OPENING, _CLOSING, strict=True)
}
_MAX_OPEN_BRACKETS: Final = 63
"""The most brackets that may be open. At the next opening bracket the search for pairs ends
(BD16)."""

_MIRRORED: Final = str.maketrans(
    "".join((*_OPENING, *_CLOSING, *"<>«»‹›")), "".join((*_CLOSING, *_OPENING, *"><»«›‹"))
)
_RIGHT_TO_LEFT: Final = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
"""The blocks of scripts that are read from the right."""


def is_from_right(text: str) -> bool:
    """Whether *text* is read from the right. Its first letter with a direction decides (P2)."""
    classes = (bidirectional(char) for char in text) if _RIGHT_TO_LEFT.search(text) else ()
    return next((each for each in classes if each in ("L", "R", "AL")), "L") != "L"


def mirror(text: str) -> str:
    """*text* with mirrored brackets, as in text that is read from the right."""
    return text.translate(_MIRRORED)


def _repeat(replacement: str, match: re.Match[str]) -> str:
    return replacement * len(match[0])


def _resolve_marks(classes: str, base: str) -> str:
    """Give nonspacing marks the class of the character before them (W1)."""
    return re.sub("(.)(m+)", lambda match: match[1] * len(match[0]), f"{base}{classes}")[1:]


def _resolve_digits(classes: str, base: str, letter: str, digit: str) -> str:
    """Give European digits the class *digit* where the last strong class before them is
    *letter*."""
    resolved, strong = "", base
    for bidi_class in classes:
        strong = bidi_class if bidi_class in "LRA" else strong
        resolved += digit if bidi_class == "e" and strong == letter else bidi_class
    return resolved


def _bracket_pairs(text: str) -> list[tuple[int, int]]:
    """The indices of paired brackets, in the order of the opening brackets (BD16).

    A closing bracket pairs with the nearest open bracket that it fits. Brackets opened after that
    one stay without a pair. A closing bracket that fits none is ignored.
    """
    pairs, stack = [], list[tuple[str, int]]()
    for index, char in enumerate(text):
        if char in _CLOSING_OF:
            if len(stack) == _MAX_OPEN_BRACKETS:
                break
            stack.append((_CLOSING_OF[char], index))
        elif char in _CLOSING:
            closing = _CANONICAL.get(char, char)
            for depth in range(len(stack) - 1, -1, -1):
                if stack[depth][0] == closing:
                    pairs.append((stack[depth][1], index))
                    del stack[depth:]
                    break
    return sorted(pairs)


def _resolve_brackets(classes: str, text: str, base: str, marks: Container[int]) -> str:
    """Give both brackets of a pair the direction of the enclosed text, or else of the text before
    them (N0). The *marks* on a bracket get it, too."""
    resolved = list(classes)
    for start, end in _bracket_pairs(text):
        enclosed = {_STRONG.get(each) for each in resolved[start:end]} - {None}
        if not enclosed:
            continue
        before = (_STRONG[each] for each in reversed(resolved[:start]) if each in _STRONG)
        direction = base if base in enclosed else next(before, base)
        for index in (start, end):
            resolved[index] = direction
            while (index := index + 1) in marks:
                resolved[index] = direction
    return "".join(resolved)


def _resolve_neutrals(match: re.Match[str], base: str) -> str:
    """Give neutrals the direction of the text on both sides where these agree, otherwise *base*
    (N1, N2)."""
    sides = f"{base}{match.string}{base}"[match.start()], f"{match.string}{base}"[match.end()]
    left, right = (_STRONG[side] for side in sides)
    return (left if left == right else base) * len(match[0])


def embedding_levels(text: str, *, from_right: bool) -> list[int]:
    """The embedding level of each character of a line; odd levels are read from the right."""
    if not from_right and not _RIGHT_TO_LEFT.search(text):
        return [0] * len(text)
    base = "R" if from_right else "L"
    classes = "".join(_CLASSES.get(bidirectional(char), "n") for char in text)
    marks = {index for index, each in enumerate(classes) if each == "m"}
    classes = _resolve_marks(classes, base)
    classes = _resolve_digits(classes, base, "A", "a").replace("A", "R")  # W2, W3
    for pattern, replacement in _NUMBER_RULES:
        classes = pattern.sub(partial(_repeat, replacement), classes)
    classes = _resolve_digits(classes, base, "L", "L")  # W7
    classes = _resolve_brackets(classes, text, base, marks)
    classes = re.sub("n+", partial(_resolve_neutrals, base=base), classes)
    levels = {"L": 2, "R": 1, "e": 2, "a": 2} if from_right else {"L": 0, "R": 1, "e": 2, "a": 2}
    return [levels[each] for each in classes]


def visual_order(levels: Sequence[int]) -> list[int]:
    """The indices of *levels* in their order on the line, from the left (L2)."""
    order = list(range(len(levels)))
    for level in range(max(levels, default=0), 0, -1):
        start = 0
        while start < len(order):
            end = start
            while end < len(order) and levels[order[end]] >= level:
                end += 1
            order[start:end] = reversed(order[start:end])
            start = end + 1
    return order
