"""Writes the picture as an SVG that needs nothing else: shapes and text, or an edited picture
embedded under its card."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Final

from images_emulator.contract.request import ImageRequest
from images_emulator.imaging import png
from images_emulator.imaging.drawing import (
    ACCENT,
    HILLS,
    SKY,
    Scene,
    abridgement,
    leading,
    prompt_paragraph,
    ridge_line,
    scene_of,
    sun_rings,
)
from images_emulator.imaging.outlines import outline, units
from images_emulator.imaging.recipe import KEYWORD, recipe_json
from images_emulator.imaging.shaping import possible
from images_emulator.imaging.text_layout import Line, Run
from images_emulator.imaging.typefaces import GLYPHS

if TYPE_CHECKING:
    from images_emulator.imaging.formats import Artist

INK: Final = "#1d1f2a"
MUTED: Final = "#73747c"


def _printable(text: str) -> str:
    """*text* without the characters that XML cannot hold."""
    return re.sub("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", text)


def _colour(scene: Scene, place: int) -> str:
    return f"#{scene.palette[4 * place : 4 * place + 3].hex()}"


def _landscape(request: ImageRequest, scene: Scene) -> Iterator[str]:
    width, height = request.size
    if not request.transparent:
        # A page may hold several of these pictures.
        sky = f"sky-{request.cache_key.hex()}"
        yield (
            f'<linearGradient id="{sky}" x1="0" y1="0" x2="0" y2="1">'
            f'<stop offset="0" stop-color="{_colour(scene, SKY[0])}"/>'
            f'<stop offset="0.62" stop-color="{_colour(scene, SKY[-1])}"/></linearGradient>'
            f'<rect width="{width}" height="{height}" fill="url(#{sky})"/>'
        )
    x, y = scene.sun[0] * width, scene.sun[1] * height
    for reach, place in sun_rings(scene, request.size):
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{reach:.1f}" fill="{_colour(scene, place)}"/>'
    if request.transparent:
        return
    for number, ridge in enumerate(scene.ridges):
        line = [*ridge_line(ridge, request.size), (width, height), (0, height)]
        points = " ".join(f"{px:.1f},{py:.1f}" for px, py in line)
        place = HILLS[number + len(HILLS) - len(scene.ridges)]
        yield f'<polygon points="{points}" fill="{_colour(scene, place)}"/>'


def _embedded(request: ImageRequest, index: int, artist: Artist) -> str:
    data = base64.b64encode(png.write(artist(request, index), "RGBA", {})).decode()
    width, height = request.size
    return f'<image width="{width}" height="{height}" href="data:image/png;base64,{data}"/>'


def _text(
    text: str, place: tuple[float, float], size: float, colour: str, width: float | None = None
) -> str:
    """*text*, as wide as in this package's own fonts where *width* says how wide that is."""
    x, y = place
    fit = f' textLength="{width:.1f}" lengthAdjust="spacingAndGlyphs"' if width else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-family="DejaVu Sans, sans-serif" '
        f'font-size="{size:.1f}" fill="{colour}"{fit}>{escape(text)}</text>'
    )


def _outlined(run: Run, place: tuple[float, float], size: int) -> str:
    """*run* as shapes, which look the same in every viewer."""
    x, y = place
    scale = run.size(size) / units(run.font)
    paths = [
        f'<path transform="translate({x + glyph.x:.1f} {y - glyph.up:.1f}) '
        f'scale({scale:.4g} {-scale:.4g})" d="{drawn}"/>'
        for glyph in run.shape(size)[0]
        if (drawn := outline(run.font, ord(glyph.char) - GLYPHS))
    ]
    return f'<g fill="{INK}" aria-label="{escape(run.text)}">{"".join(paths)}</g>'


def _written(line: Line, x: float, y: float) -> Iterator[str]:
    """*line* as text where any viewer has a font for it, and else as shapes."""
    for right, run in line.placed():
        if run.font != line.face and possible():
            yield _outlined(run, (x + right, y), line.size)
        elif text := run.text.strip():
            # A viewer leaves out the space that text begins with.
            before = run._replace(text=run.text[: run.text.index(text)]).width(line.size)
            wide = run._replace(text=text).width(line.size)
            yield _text(text, (x + right + before, y), run.size(line.size), INK, wide)


def _card(request: ImageRequest, index: int, scene: Scene) -> Iterator[str]:
    """The card, its lines broken by the widths of the font that comes nearest to most."""
    width, height = request.size
    short = min(width, height)
    margin, size = short // 20, max(12, short // 24)
    small, gap = size * 0.62, size * 0.9
    wide = min(width - 2 * margin, max(short - 2 * margin, width // 2))
    text = prompt_paragraph(_printable(request.prompt), size, wide - 2 * gap, height // 3)
    line_height = leading(text.lines[0].size) if text.lines else 0
    tall = 2 * gap + 2.7 * small + line_height * len(text.lines)
    top = height - margin - tall
    facts = ["{} × {}".format(*request.size), request.quality, request.output_format]
    if not text.whole:
        facts.insert(0, abridgement(request.prompt))
    yield (
        f'<rect x="{margin}" y="{top:.1f}" width="{wide}" height="{tall:.1f}" '
        f'rx="{short / 48:.1f}" fill="#fcfbf8"/>'
    )
    x, y = margin + gap, top + gap + small
    yield _text(f"{request.model} #{index + 1}", (x, y), small, _colour(scene, ACCENT))
    for line in text.lines:
        y += line_height
        yield from _written(line, x, y)
    y += small * 1.7
    yield _text(" · ".join(fact for fact in facts if fact), (x, y), small, MUTED)


def write(request: ImageRequest, index: int, artist: Artist) -> bytes:
    """The file; its title is the prompt."""
    width, height = request.size
    scene = scene_of(request, index)
    recipe = escape(_printable(recipe_json(request, index).decode()))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(str(request.model))}">',
        f"<title>{escape(_printable(request.prompt))}</title>",
        f'<metadata id="{KEYWORD}">{recipe}</metadata>',
    ]
    if request.images:
        parts.append(_embedded(request, index, artist))
    else:
        parts += [*_landscape(request, scene), *_card(request, index, scene)]
    return "\n".join([*parts, "</svg>", ""]).encode("utf-8", "replace")
