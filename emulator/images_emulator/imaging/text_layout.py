"""Text layout: breaks text of any script into lines of a given width. A line consists of runs, each
in one font and one direction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from math import inf
from typing import Final, NamedTuple

from PIL.ImageDraw import ImageDraw

from images_emulator.imaging.bidi import embedding_levels, is_from_right, mirror, visual_order
from images_emulator.imaging.graphemes import MAX_CHARS, SPACE, Grapheme, graphemes
from images_emulator.imaging.shaping import Glyph, shape
from images_emulator.imaging.text_masks import draw_text, text_width
from images_emulator.imaging.typefaces import CJK, EMOJI, REGULAR, font
from images_emulator.immutable import Immutable

_ELLIPSIS: Final = Grapheme("…", REGULAR, "…")

_BREAKS_ANYWHERE: Final = {
    CJK,
    EMOJI,
    "NotoSansThai.ttf",
    "NotoSansLao.ttf",
    "NotoSansKhmer.ttf",
    "NotoSansMyanmar.ttf",
}
"""The fonts of scripts in which a line may break without a space."""

_HANGUL: Final = range(0xAC00, 0xD7A4)
"""The code points of Hangul syllables, which are in the CJK font but break at spaces only."""

_MAX_MEASURED_GRAPHEMES: Final = 100
"""The most graphemes of a word that is measured whole. A longer word is broken into pieces."""

_NEVER_FIRST: Final = frozenset(
    "、。，．：；？！‥…・ー々〻ゝゞヽヾ）］｝〕〉》」』】〗〙〛’”"
    "ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶะาำๆฯະາຳໆ၊။។៕,.!?:;%)]}»"
)
"""Characters that do not begin a line."""

_NEVER_LAST: Final = frozenset("（［｛〔〈《「『【〖〘〚‘“เแโใไເແໂໃໄ([{«$")
"""Characters that do not end a line."""


class Run(NamedTuple):
    """Neighbouring graphemes that are drawn together, in one font and one direction."""

    text: str
    font: str
    needs_shaping: bool
    from_right: bool

    def font_size(self, size: int) -> int:
        """The size of the font, in pixels, in a line of *size*. An emoji fills more of its size
        than a letter."""
        return size * 5 // 6 if self.font == EMOJI else size

    def glyphs(self, size: int) -> tuple[Sequence[Glyph], float]:
        """The shaped glyphs of the run in a line of *size*, and their width in pixels."""
        # `_runs` has already reversed text that is not shaped.
        from_right = self.needs_shaping and self.from_right
        return shape(self.text, self.font, self.font_size(size), from_right=from_right)

    def width(self, size: int) -> float:
        """The width of the run, in pixels, in a line of *size*."""
        if self.needs_shaping:
            return self.glyphs(size)[1]
        return text_width(self.text, self.font, self.font_size(size))

    def draw(self, pen: ImageDraw, x: float, base: float, size: int, fill: int) -> None:
        """Draw the run from *x* on the baseline *base*, in the palette index *fill*."""
        font_size = self.font_size(size)
        if not self.needs_shaping:
            draw_text(pen, (x, base), self.text, self.font, font_size, fill=fill)
            return
        for char, right, up in self.glyphs(size)[0]:
            draw_text(pen, (x + right, base - up), char, self.font, font_size, fill=fill)


class Line(Immutable):
    """A line of text, laid out; all its sizes are in pixels."""

    text: str
    size: int
    start: float
    """The distance from the left edge. A line that is read from the right ends at the right
    edge."""
    width: float
    face: str
    """The font file in place of `REGULAR`, such as `BOLD`; other fonts are not replaced."""
    runs: tuple[Run, ...]

    def placed(self) -> Iterator[tuple[float, Run]]:
        """Yield the runs from left to right, each with its distance from the left edge."""
        x = self.start
        for run in self.runs:
            yield x, run
            x += run.width(self.size)

    def draw(self, pen: ImageDraw, x: float, y: float, fill: int) -> None:
        """Draw the line from *y* down in the palette index *fill*, with its left edge at *x*."""
        base = y + font(self.face, self.size).getmetrics()[0]
        for right, run in self.placed():
            run.draw(pen, x + right, base, self.size, fill)


def _runs(line: Sequence[Grapheme], face: str, *, from_right: bool = False) -> list[Run]:
    """The runs of a line, from left to right."""
    text = "".join(each.text for each in line)
    if text.isascii() and not from_right:
        return [Run(text, face, False, False)]
    levels = embedding_levels("".join(each.text[0] for each in line), from_right=from_right)
    runs, run_levels = [], []
    keys = [
        (each.font, each.needs_shaping, level) for each, level in zip(line, levels, strict=True)
    ]
    remaining = iter(line)
    for (name, needs_shaping, level), group in groupby(keys):
        texts = [next(remaining).font_text or "…" for _ in group]
        is_reversed = level % 2 == 1
        if is_reversed and not needs_shaping:
            texts = [mirror(each) for each in reversed(texts)]
        run_font = name if name and name != REGULAR else face
        runs.append(Run("".join(texts), run_font, needs_shaping, is_reversed))
        run_levels.append(level)
    return [runs[place] for place in visual_order(run_levels)]


def _width(line: Sequence[Grapheme], face: str, size: int) -> float:
    return sum(run.width(size) for run in _runs(line, face))


@lru_cache(maxsize=4096)
def _grapheme_width(grapheme: Grapheme, face: str, size: int) -> float:
    return _width([grapheme], face, size)


def _breaks_anywhere(grapheme: Grapheme) -> bool:
    return grapheme.font in _BREAKS_ANYWHERE and ord(grapheme.text[0]) not in _HANGUL


def _may_break(before: Grapheme, after: Grapheme) -> bool:
    if after.text in _NEVER_FIRST or before.text in _NEVER_LAST:
        return False
    return _breaks_anywhere(before) or _breaks_anywhere(after)


def _words(text: Iterable[Grapheme]) -> Iterator[tuple[bool, list[Grapheme]]]:
    """The parts of *text* that stay on one line, each with whether a space is before it."""
    after_space, word = False, list[Grapheme]()
    for grapheme in text:
        if grapheme is SPACE:
            if word:
                yield after_space, word
            after_space, word = True, []
            continue
        fonts = grapheme.font, word[-1].font if word else None
        if fonts != (REGULAR, REGULAR) and word and _may_break(word[-1], grapheme):
            yield after_space, word
            after_space, word = False, []
        word.append(grapheme)
    if word:
        yield after_space, word


def _pieces(
    word: Iterable[Grapheme], face: str, size: int, max_width: float
) -> list[list[Grapheme]]:
    """*word* in pieces no wider than *max_width*, of at least one grapheme each."""
    pieces, used = [list[Grapheme]()], 0.0
    for grapheme in word:
        width = _grapheme_width(grapheme, face, size)
        if pieces[-1] and used + width > max_width:
            pieces.append([])
            used = 0.0
        pieces[-1].append(grapheme)
        used += width
    return pieces


def _break_lines(
    text: Iterable[Grapheme], face: str, size: int, width: float, max_lines: float = inf
) -> list[list[Grapheme]]:
    """The lines of *text* in that *width*. Where the text needs more than *max_lines* lines, the
    result has more than *max_lines*, but not necessarily all lines."""
    lines, line, used = list[list[Grapheme]](), list[Grapheme](), 0.0
    space = text_width(" ", face, size)
    for after_space, word in _words(text):
        word_width = _width(word, face, size) if len(word) <= _MAX_MEASURED_GRAPHEMES else inf
        gap = space if after_space and line else 0
        if used + gap + word_width <= width:
            line += [SPACE, *word] if gap else word
            used += gap + word_width
            continue
        lines += [line] if line else []
        *full, line = _pieces(word, face, size, width)
        lines += full
        used = _width(line, face, size)
        if len(lines) > max_lines:
            break
    lines += [line] if line else []
    return lines


def _cut(
    lines: Sequence[list[Grapheme]], face: str, size: int, width: float, max_lines: int
) -> list[list[Grapheme]]:
    """The first *max_lines* lines, with an ellipsis at the end of the last one."""
    *last, end = [*lines[max_lines - 1], _ELLIPSIS]
    while last and (last[-1] in (SPACE, end) or _width([*last, end], face, size) > width):
        last.pop()
    return [*lines[: max_lines - 1], [*last, end]]


def _drawable(text: Sequence[Grapheme]) -> list[Grapheme]:
    """*text* with one ellipsis for neighbouring graphemes that no font has. Empty where no font has
    any grapheme of *text*."""
    drawable: list[Grapheme] = []
    for grapheme in text:
        if grapheme.font:
            drawable.append(grapheme)
        elif next((each for each in reversed(drawable) if each is not SPACE), None) != _ELLIPSIS:
            drawable.append(_ELLIPSIS)
    return drawable if any(each.font for each in text if each is not SPACE) else []


def _lay_out(
    lines: Iterable[Sequence[Grapheme]], face: str, size: int, width: float, *, from_right: bool
) -> Iterator[Line]:
    for line in lines:
        runs = tuple(_runs(line, face, from_right=from_right))
        line_width = sum(run.width(size) for run in runs)
        start = max(0.0, width - line_width) if from_right else 0.0
        yield Line("".join(each.text for each in line), size, start, line_width, face, runs)


@lru_cache(maxsize=64)
def _lines(text: str, face: str, size: int, width: float, max_lines: int) -> tuple[Line, ...]:
    broken = _break_lines(_drawable(graphemes(text)), face, size, width, max_lines)
    if len(broken) > max_lines:
        broken = _cut(broken, face, size, width, max_lines)
    return tuple(_lay_out(broken, face, size, width, from_right=is_from_right(text)))


def lines(
    text: str, size: int, width: float, max_lines: int = 1, face: str = REGULAR
) -> tuple[Line, ...]:
    """*text* in at most *max_lines* lines of *size* pixels, no wider than *width*. Empty where no
    font has any of it.

    An ellipsis marks a cut, and characters that no font has. *face* is the font file in place of
    `REGULAR`, such as `BOLD`; other fonts are not replaced.
    """
    return _lines(text[:MAX_CHARS], face, size, width, max_lines)


class Paragraph(Immutable):
    """Text in lines of one size; *is_whole* is false where a part of the text was left out."""

    lines: tuple[Line, ...]
    is_whole: bool


@lru_cache(maxsize=64)
def _paragraph(
    start: str, end: str, shapes: tuple[tuple[int, int], ...], width: float, *, is_whole: bool
) -> Paragraph:
    text = _drawable(graphemes(start))
    broken = list[list[Grapheme]]()
    for size, max_lines in shapes if is_whole else shapes[-1:]:
        broken = _break_lines(text, REGULAR, size, width, max_lines)
        if len(broken) <= max_lines:
            break
    else:
        is_whole = False
    if not is_whole and broken:
        ending = _break_lines(_drawable(graphemes(end)), REGULAR, size, width)[-(max_lines // 2) :]
        ending = ending if max_lines > 1 else []
        beginning = min(len(broken), max_lines - len(ending))
        broken = [*_cut(broken, REGULAR, size, width, beginning), *ending]
    laid_out = _lay_out(broken, REGULAR, size, width, from_right=is_from_right(start))
    return Paragraph(tuple(laid_out), is_whole)


def paragraph(text: str, shapes: Sequence[tuple[int, int]], width: float) -> Paragraph:
    """*text* in the first of *shapes* that has room for it. A shape is a size of type in pixels,
    and a number of lines.

    A text that is too long for every shape is set in the last one: its beginning, an ellipsis, and
    its end, which starts on a new line.
    """
    if len(text) <= MAX_CHARS:
        return _paragraph(text, text, tuple(shapes), width, is_whole=True)
    half = MAX_CHARS // 2
    end = text[-half:].partition(" ")[2] or text[-half:]
    return _paragraph(text[:half], end, tuple(shapes), width, is_whole=False)
