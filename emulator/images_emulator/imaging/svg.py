"""Writes SVG files. A generated image is shapes and text; an edited image and an own picture are an
embedded PNG. The files refer to no other file."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from html import escape
from typing import Final

from images_emulator.contract.request import ImageRequest
from images_emulator.imaging import png
from images_emulator.imaging.drawing import (
    ACCENT,
    HILLS,
    SKY,
    DrawFunction,
    Scene,
    line_height,
    prompt_fingerprint,
    prompt_paragraph,
    ridge_line,
    scene_of,
    sun_rings,
)
from images_emulator.imaging.outlines import outline, units_per_em
from images_emulator.imaging.recipe import KEYWORD, recipe_json
from images_emulator.imaging.shaping import is_available
from images_emulator.imaging.text_layout import Line, Run
from images_emulator.imaging.typefaces import FIRST_GLYPH

INK_HEX: Final = "#1d1f2a"
MUTED_HEX: Final = "#73747c"
"""Colours of text on the card: that of `drawing.INK`, and one a little lighter than
`drawing.MUTED`."""


def _xml_text(text: str) -> str:
    """*text* without the characters that XML cannot hold."""
    return re.sub("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", text)


def _colour(scene: Scene, index: int) -> str:
    return f"#{scene.colours[4 * index : 4 * index + 3].hex()}"


def _landscape(request: ImageRequest, scene: Scene) -> Iterator[str]:
    width, height = request.size
    if not request.is_transparent:
        # Ids are unique on a page, which may hold several of these images.
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
    if request.is_transparent:
        return
    for number, ridge in enumerate(scene.ridges):
        line = [*ridge_line(ridge, request.size), (width, height), (0, height)]
        points = " ".join(f"{px:.1f},{py:.1f}" for px, py in line)
        place = HILLS[number + len(HILLS) - len(scene.ridges)]
        yield f'<polygon points="{points}" fill="{_colour(scene, place)}"/>'


def _embed(request: ImageRequest, index: int, draw: DrawFunction) -> str:
    data = base64.b64encode(png.encode(draw(request, index), "RGBA", {})).decode()
    width, height = request.size
    return f'<image width="{width}" height="{height}" href="data:image/png;base64,{data}"/>'


def _text_element(
    text: str, position: tuple[float, float], size: float, colour: str, width: float | None = None
) -> str:
    """A text element at *position* on the baseline. Where *width* is given, the text is scaled to
    it; it is the width of the text in the fonts of the package."""
    x, y = position
    fit = f' textLength="{width:.1f}" lengthAdjust="spacingAndGlyphs"' if width else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-family="DejaVu Sans, sans-serif" '
        f'font-size="{size:.1f}" fill="{colour}"{fit}>{escape(text)}</text>'
    )


def _outline_run(run: Run, position: tuple[float, float], size: int) -> str:
    """*run* as outlines, which look the same in every viewer."""
    x, y = position
    scale = run.font_size(size) / units_per_em(run.font)
    paths = [
        f'<path transform="translate({x + glyph.x:.1f} {y - glyph.up:.1f}) '
        f'scale({scale:.4g} {-scale:.4g})" d="{path}"/>'
        for glyph in run.glyphs(size)[0]
        if (path := outline(run.font, ord(glyph.char) - FIRST_GLYPH))
    ]
    return f'<g fill="{INK_HEX}" aria-label="{escape(run.text)}">{"".join(paths)}</g>'


def _line_elements(line: Line, x: float, y: float) -> Iterator[str]:
    """*line* as text where any viewer has a font for it, otherwise as paths."""
    for right, run in line.placed():
        if run.font != line.face and is_available():
            yield _outline_run(run, (x + right, y), line.size)
        elif text := run.text.strip():
            # Viewers drop leading spaces.
            before = run._replace(text=run.text[: run.text.index(text)]).width(line.size)
            text_width = run._replace(text=text).width(line.size)
            yield _text_element(
                text, (x + right + before, y), run.font_size(line.size), INK_HEX, text_width
            )


def _card(request: ImageRequest, index: int, scene: Scene) -> Iterator[str]:
    """The card. Its lines are broken by the widths of the text in the fonts of the package."""
    width, height = request.size
    short = min(width, height)
    margin, size = short // 20, max(12, short // 24)
    small, gap = size * 0.62, size * 0.9
    card_width = min(width - 2 * margin, max(short - 2 * margin, width // 2))
    text = prompt_paragraph(_xml_text(request.prompt), size, card_width - 2 * gap, height // 3)
    leading = line_height(text.lines[0].size) if text.lines else 0
    card_height = 2 * gap + 2.7 * small + leading * len(text.lines)
    top = height - margin - card_height
    details = ["{} × {}".format(*request.size), request.quality, request.output_format]
    if not text.is_whole:
        details.insert(0, prompt_fingerprint(request.prompt))
    yield (
        f'<rect x="{margin}" y="{top:.1f}" width="{card_width}" height="{card_height:.1f}" '
        f'rx="{short / 48:.1f}" fill="#fcfbf8"/>'
    )
    x, y = margin + gap, top + gap + small
    yield _text_element(f"{request.model} #{index + 1}", (x, y), small, _colour(scene, ACCENT))
    for line in text.lines:
        y += leading
        yield from _line_elements(line, x, y)
    y += small * 1.7
    yield _text_element(" · ".join(each for each in details if each), (x, y), small, MUTED_HEX)


def render(request: ImageRequest, index: int, draw: DrawFunction) -> bytes:
    """Image *index* of *request* as an SVG file. Its title is the prompt."""
    width, height = request.size
    scene = scene_of(request, index)
    recipe = recipe_json(request, index).decode()
    if _xml_text(recipe) != recipe:
        # It has characters that XML cannot have. JSON escapes them.
        recipe = json.dumps(json.loads(recipe))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(str(request.model))}">',
        f"<title>{escape(_xml_text(request.prompt))}</title>",
        f'<metadata id="{KEYWORD}">{escape(recipe)}</metadata>',
    ]
    if request.images or request.own_pictures:
        parts.append(_embed(request, index, draw))
    else:
        parts += [*_landscape(request, scene), *_card(request, index, scene)]
    return "\n".join([*parts, "</svg>", ""]).encode("utf-8", "replace")
