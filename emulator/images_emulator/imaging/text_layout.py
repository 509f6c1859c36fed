"""Text that fits: lines no wider than asked, of any script that a font is at hand for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from math import inf
from typing import Final, NamedTuple

from PIL.ImageDraw import ImageDraw

from images_emulator.imaging.clusters import LONGEST, SPACE, Cluster, clusters
from images_emulator.imaging.direction import leftward, levels, mirrored, seen
from images_emulator.imaging.shaping import Glyph, shaped
from images_emulator.imaging.text_masks import length, put
from images_emulator.imaging.typefaces import CJK, EMOJI, REGULAR, font

_ELLIPSIS: Final = Cluster("…", REGULAR, "…")
_UNSPACED: Final = {
    *(CJK, EMOJI, "NotoSansThai.ttf", "NotoSansLao.ttf"),
    *("NotoSansKhmer.ttf", "NotoSansMyanmar.ttf"),
}
"""The fonts of scripts whose lines break without a space."""
_LONGEST_UNIT: Final = 100
"""Signs; what is longer is broken without being measured whole."""
_HANGUL: Final = range(0xAC00, 0xD7A4)
_NEVER_FIRST: Final = frozenset(
    "、。，．：；？！‥…・ー々〻ゝゞヽヾ）］｝〕〉》」』】〗〙〛’”"
    "ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶะาำๆฯະາຳໆ၊။។៕,.!?:;%)]}»"
)
_NEVER_LAST: Final = frozenset("（［｛〔〈《「『【〖〘〚‘“เแโใไເແໂໃໄ([{«$")


class Run(NamedTuple):
    """Neighbours that are drawn together: in one font, and one way."""

    text: str
    font: str
    shaped: bool
    from_right: bool

    def size(self, size: int) -> int:
        """Emoji are drawn a size smaller, for they fill more of it than letters do."""
        return size * 5 // 6 if self.font == EMOJI else size

    def shape(self, size: int) -> tuple[Sequence[Glyph], float]:
        turned = self.shaped and self.from_right  # what is not shaped was turned before
        return shaped(self.text, self.font, self.size(size), from_right=turned)

    def width(self, size: int) -> float:
        if self.shaped:
            return self.shape(size)[1]
        return length(self.text, self.font, self.size(size))

    def draw(self, pen: ImageDraw, x: float, base: float, size: int, fill: int) -> None:
        if not self.shaped:
            put(pen, (x, base), self.text, self.font, self.size(size), fill=fill)
            return
        for char, right, up in self.shape(size)[0]:
            put(pen, (x + right, base - up), char, self.font, self.size(size), fill=fill)


@dataclass(frozen=True, slots=True)
class Line:
    """A line that fits; its sizes are pixels."""

    text: str
    size: int
    start: float
    """How far it is from the left edge: a line that is read from the right ends at the right."""
    width: float
    face: str
    runs: tuple[Run, ...]

    def placed(self) -> Iterator[tuple[float, Run]]:
        """Its runs from left to right, each with its distance from the left edge."""
        x = self.start
        for run in self.runs:
            yield x, run
            x += run.width(self.size)

    def draw(self, pen: ImageDraw, x: float, y: float, fill: int) -> None:
        """Draw it from *y* down, where *x* is the left edge of what it was to fit into."""
        base = y + font(self.face, self.size).getmetrics()[0]
        for right, run in self.placed():
            run.draw(pen, x + right, base, self.size, fill)


def _runs(line: Sequence[Cluster], face: str, *, from_right: bool = False) -> list[Run]:
    """The runs of a line, in the order in which they are seen."""
    text = "".join(sign.text for sign in line)
    if text.isascii() and not from_right:
        return [Run(text, face, False, False)]
    depths = levels("".join(sign.text[0] for sign in line), from_right=from_right)
    runs, ranks = [], []
    ways = [(sign.font, sign.shaped, depth) for sign, depth in zip(line, depths, strict=True)]
    signs = iter(line)
    for (name, alters, depth), group in groupby(ways):
        shown = [next(signs).shown or "…" for _ in group]
        turned = depth % 2 == 1
        if turned and not alters:
            shown = [mirrored(text) for text in reversed(shown)]
        own = name if name and name != REGULAR else face
        runs.append(Run("".join(shown), own, alters, turned))
        ranks.append(depth)
    return [runs[place] for place in seen(ranks)]


def _width(line: Sequence[Cluster], face: str, size: int) -> float:
    return sum(run.width(size) for run in _runs(line, face))


@lru_cache(maxsize=4096)
def _own_width(sign: Cluster, face: str, size: int) -> float:
    return _width([sign], face, size)


def _unspaced(sign: Cluster) -> bool:
    return sign.font in _UNSPACED and ord(sign.text[0]) not in _HANGUL


def _may_break(before: Cluster, after: Cluster) -> bool:
    if after.text in _NEVER_FIRST or before.text in _NEVER_LAST:
        return False
    return _unspaced(before) or _unspaced(after)


def _units(signs: Iterable[Cluster]) -> Iterator[tuple[bool, list[Cluster]]]:
    """What no line break may fall into, and whether a space stands before it."""
    spaced, unit = False, list[Cluster]()
    for sign in signs:
        if sign is SPACE:
            if unit:
                yield spaced, unit
            spaced, unit = True, []
            continue
        scripts = sign.font, unit[-1].font if unit else None
        if scripts != (REGULAR, REGULAR) and unit and _may_break(unit[-1], sign):
            yield spaced, unit
            spaced, unit = False, []
        unit.append(sign)
    if unit:
        yield spaced, unit


def _pieces(unit: Iterable[Cluster], face: str, size: int, most: float) -> list[list[Cluster]]:
    """A unit in pieces that are each no wider than *most*, but at least one sign."""
    pieces, used = [list[Cluster]()], 0.0
    for sign in unit:
        wide = _own_width(sign, face, size)
        if pieces[-1] and used + wide > most:
            pieces.append([])
            used = 0.0
        pieces[-1].append(sign)
        used += wide
    return pieces


def _broken(
    signs: Iterable[Cluster], face: str, size: int, width: float, most: float = inf
) -> list[list[Cluster]]:
    """The lines of *signs*: all of them, or where they are more than *most* some more than that."""
    done, line, used = list[list[Cluster]](), list[Cluster](), 0.0
    blank = length(" ", face, size)
    for spaced, unit in _units(signs):
        wide = _width(unit, face, size) if len(unit) <= _LONGEST_UNIT else inf
        gap = blank if spaced and line else 0
        if used + gap + wide <= width:
            line += [SPACE, *unit] if gap else unit
            used += gap + wide
            continue
        done += [line] if line else []
        *full, line = _pieces(unit, face, size, width)
        done += full
        used = _width(line, face, size)
        if len(done) > most:
            break
    done += [line] if line else []
    return done


def _cut(
    broken: Sequence[list[Cluster]], face: str, size: int, width: float, most: int
) -> list[list[Cluster]]:
    """The first *most* lines, the last of which ends in an ellipsis."""
    *last, end = [*broken[most - 1], _ELLIPSIS]
    while last and (last[-1] in (SPACE, end) or _width([*last, end], face, size) > width):
        last.pop()
    return [*broken[: most - 1], [*last, end]]


def _readable(signs: Sequence[Cluster]) -> list[Cluster]:
    """*signs* with one ellipsis for neighbours that no font draws; none if that is all of them."""
    kept: list[Cluster] = []
    for sign in signs:
        if sign.font:
            kept.append(sign)
        elif next((last for last in reversed(kept) if last is not SPACE), None) != _ELLIPSIS:
            kept.append(_ELLIPSIS)
    return kept if any(sign.font for sign in signs if sign is not SPACE) else []


def _drawable(
    broken: Iterable[Sequence[Cluster]], face: str, size: int, width: float, *, from_right: bool
) -> Iterator[Line]:
    for line in broken:
        runs = tuple(_runs(line, face, from_right=from_right))
        wide = sum(run.width(size) for run in runs)
        start = max(0.0, width - wide) if from_right else 0.0
        yield Line("".join(sign.text for sign in line), size, start, wide, face, runs)


@lru_cache(maxsize=64)
def _lines(text: str, size: int, width: float, most: int, face: str) -> tuple[Line, ...]:
    broken = _broken(_readable(clusters(text)), face, size, width, most)
    if len(broken) > most:
        broken = _cut(broken, face, size, width, most)
    return tuple(_drawable(broken, face, size, width, from_right=leftward(text)))


def lines(
    text: str, size: int, width: float, most: int = 1, face: str = REGULAR
) -> tuple[Line, ...]:
    """*text* in at most *most* lines; none if there is no font for any of it.

    An ellipsis marks a cut, and what no font has. *face* draws what no script asks another for.
    """
    return _lines(text[:LONGEST], size, width, most, face)


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Text in lines of one size; *whole* is false where its middle was left out."""

    lines: tuple[Line, ...]
    whole: bool


@lru_cache(maxsize=64)
def _paragraph(
    start: str, end: str, shapes: tuple[tuple[int, int], ...], width: float, *, whole: bool
) -> Paragraph:
    signs = _readable(clusters(start))
    broken = list[list[Cluster]]()
    for size, most in shapes if whole else shapes[-1:]:
        broken = _broken(signs, REGULAR, size, width, most)
        if len(broken) <= most:
            break
    else:
        whole = False
    if not whole and broken:
        ending = _broken(_readable(clusters(end)), REGULAR, size, width)[-(most // 2) :]
        ending = ending if most > 1 else []
        beginning = min(len(broken), most - len(ending))
        broken = [*_cut(broken, REGULAR, size, width, beginning), *ending]
    drawable = _drawable(broken, REGULAR, size, width, from_right=leftward(start))
    return Paragraph(tuple(drawable), whole)


def paragraph(text: str, shapes: Sequence[tuple[int, int]], width: float) -> Paragraph:
    """*text* in the first of *shapes* that has room for it. A shape is a size of type in pixels and
    the most lines of it. What is too long for all of them is set in the last one: its beginning,
    an ellipsis, and its end, which starts with a new line."""
    if len(text) <= LONGEST:
        return _paragraph(text, text, tuple(shapes), width, whole=True)
    half = LONGEST // 2
    end = text[-half:].partition(" ")[2] or text[-half:]
    return _paragraph(text[:half], end, tuple(shapes), width, whole=False)
