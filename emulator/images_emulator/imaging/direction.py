"""Which way text runs: Unicode's bidirectional algorithm (https://unicode.org/reports/tr9/) for a
line of text without embedding controls.

The rules are named as there. A character's kind is one letter: strong L, R or A (Arabic), e and a
(European and Arabic digits), s, t and c (what joins or ends numbers), m (a mark without a width),
n (neutral).
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from functools import partial
from typing import Final
from unicodedata import bidirectional

_KINDS: Final = {
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
_NUMBERS: Final = (  # W4 to W6
    (re.compile("(?<=e)[sc](?=e)"), "e"),
    (re.compile("(?<=a)c(?=a)"), "a"),
    (re.compile("t+(?=e)|(?<=e)t+"), "e"),
    (re.compile("[stc]"), "n"),
)
_STRONG: Final = {"L": "L", "R": "R", "e": "R", "a": "R"}
_CANONICAL: Final = {"\u2329": "\u3008", "\u232a": "\u3009"}
BRACKET_PAIRS: Final = (
    "()[]{}༺༻༼༽᚛᚜⁅⁆⁽⁾₍₎⌈⌉⌊⌋\u2329\u232a❨❩❪❫❬❭❮❯❰❱❲❳❴❵⟅⟆⟦⟧⟨⟩⟪⟫⟬⟭⟮⟯⦃⦄⦅⦆⦇⦈⦉⦊⦋⦌⦍⦐⦏⦎⦑⦒⦓⦔⦕⦖⦗⦘⧘⧙⧚⧛⧼⧽"
    "⸢⸣⸤⸥⸦⸧⸨⸩⹕⹖⹗⹘⹙⹚⹛⹜\u3008\u3009《》「」『』【】〔〕〖〗〘〙〚〛﹙﹚﹛﹜﹝﹞（）［］｛｝｟｠｢｣"
)
"""https://www.unicode.org/Public/UCD/latest/ucd/BidiBrackets.txt"""
_OPENING, _CLOSING = BRACKET_PAIRS[::2], BRACKET_PAIRS[1::2]
_BRACKETS: Final = {
    opening: _CANONICAL.get(closing, closing)
    for opening, closing in zip(_OPENING, _CLOSING, strict=True)
}
"""The closing bracket of each opening one."""
_MAX_OPEN_BRACKETS: Final = 63
"""At the next one the search for pairs ends (BD16)."""
_MIRRORED: Final = str.maketrans(
    "".join((*_OPENING, *_CLOSING, *"<>«»‹›")), "".join((*_CLOSING, *_OPENING, *"><»«›‹"))
)
_LEFTWARD: Final = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)


def leftward(text: str) -> bool:
    """Whether *text* is read from the right, as its first letter that has a direction says (P2)."""
    kinds = (bidirectional(char) for char in text) if _LEFTWARD.search(text) else ()
    return next((kind for kind in kinds if kind in ("L", "R", "AL")), "L") != "L"


def mirrored(text: str) -> str:
    """*text* with its brackets turned, as they stand where it is read from the right."""
    return text.translate(_MIRRORED)


def _each(kind: str, match: re.Match[str]) -> str:
    return kind * len(match[0])


def _after_bases(kinds: str, base: str) -> str:
    """Marks take after what they stand on (W1)."""
    return re.sub("(.)(m+)", lambda found: found[1] * len(found[0]), f"{base}{kinds}")[1:]


def _after_letters(kinds: str, base: str, letter: str, digit: str) -> str:
    """European digits become *digit* where the last strong kind before them is *letter*."""
    found, strong = "", base
    for kind in kinds:
        strong = kind if kind in "LRA" else strong
        found += digit if kind == "e" and strong == letter else kind
    return found


def _pairs(text: str) -> list[tuple[int, int]]:
    """Where brackets open and close, in the order of their opening (BD16).

    A closing bracket takes the nearest open one that it fits, and with it those in between, which
    stay alone. One that fits none is passed over and leaves all open ones open.
    """
    pairs, stack = [], list[tuple[str, int]]()
    for place, char in enumerate(text):
        if char in _BRACKETS:
            if len(stack) == _MAX_OPEN_BRACKETS:
                break
            stack.append((_BRACKETS[char], place))
        elif char in _CLOSING:
            closing = _CANONICAL.get(char, char)
            for depth in range(len(stack) - 1, -1, -1):
                if stack[depth][0] == closing:
                    pairs.append((stack[depth][1], place))
                    del stack[depth:]
                    break
    return sorted(pairs)


def _after_contents(kinds: str, text: str, base: str, marks: Container[int]) -> str:
    """Brackets take after what they hold, and a pair is never torn apart; the *marks* on a bracket
    go with it (N0)."""
    done = list(kinds)
    for start, end in _pairs(text):
        held = {_STRONG.get(kind) for kind in done[start:end]} - {None}
        if not held:
            continue
        before = (_STRONG[kind] for kind in reversed(done[:start]) if kind in _STRONG)
        kind = base if base in held else next(before, base)
        for place in (start, end):
            done[place] = kind
            while (place := place + 1) in marks:
                done[place] = kind
    return "".join(done)


def _after_neighbours(match: re.Match[str], base: str) -> str:
    """Neutrals take after what stands on both sides of them, or the line (N1, N2)."""
    around = f"{base}{match.string}{base}"[match.start()], f"{match.string}{base}"[match.end()]
    left, right = (_STRONG[kind] for kind in around)
    return (left if left == right else base) * len(match[0])


def levels(text: str, *, from_right: bool) -> list[int]:
    """The embedding level of each character of a line; the odd ones are read from the right."""
    if not from_right and not _LEFTWARD.search(text):
        return [0] * len(text)
    base = "R" if from_right else "L"
    kinds = "".join(_KINDS.get(bidirectional(char), "n") for char in text)
    marks = {place for place, kind in enumerate(kinds) if kind == "m"}
    kinds = _after_bases(kinds, base)
    kinds = _after_letters(kinds, base, "A", "a").replace("A", "R")  # W2, W3
    for pattern, kind in _NUMBERS:
        kinds = pattern.sub(partial(_each, kind), kinds)
    kinds = _after_letters(kinds, base, "L", "L")  # W7
    kinds = _after_contents(kinds, text, base, marks)
    kinds = re.sub("n+", partial(_after_neighbours, base=base), kinds)
    depth = {"L": 2, "R": 1, "e": 2, "a": 2} if from_right else {"L": 0, "R": 1, "e": 2, "a": 2}
    return [depth[kind] for kind in kinds]


def seen(levels: Sequence[int]) -> list[int]:
    """The places of *levels* in the order in which they are seen from the left (L2)."""
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
