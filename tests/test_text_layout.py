"""Text layout: shaping, direction, line breaks and fonts of every script."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from random import Random
from unicodedata import category, ucd_3_2_0

import pytest
from bidi import get_display
from openai import OpenAI
from PIL import Image, ImageChops, ImageDraw

from images_emulator.contract.models import NEWEST_MODEL
from images_emulator.contract.operations import GENERATIONS
from images_emulator.contract.request import ImageRequest
from images_emulator.imaging.antialiasing import Palette
from images_emulator.imaging.bidi import (
    BRACKET_PAIRS,
    embedding_levels,
    is_from_right,
    mirror,
    visual_order,
)
from images_emulator.imaging.drawing import card_of
from images_emulator.imaging.graphemes import MAX_CHARS, graphemes
from images_emulator.imaging.outlines import outline, units_per_em
from images_emulator.imaging.shaping import shape
from images_emulator.imaging.text_layout import Line, lines, paragraph
from images_emulator.imaging.typefaces import (
    EMOJI,
    FIRST_GLYPH,
    NEEDS_SHAPING,
    REGULAR,
    font,
    font_of,
)
from tests.pictures import opened
from tests.scripts import FAMILY, SCRIPTS, SIZE, draw

pytestmark = pytest.mark.not_on_redis("is about drawing")

ROOM = 20 * SIZE
SVG = "{http://www.w3.org/2000/svg}"

HOSTILE = {
    "combining marks": "Z" + "\u0301\u0302\u0303" * 300 + "algo",
    "marks alone": "\u0301\u0302 \u0301",
    "lone surrogates": "\ud800\udc00\udfff a \udbff",
    "control characters": "".join(map(chr, range(32))) + "\x7f\x85\x9f a",
    "direction overrides": "\u202eevil\u202c \u2067x\u2069 \u200f\u061c",
    "variation selectors": "\ufe0f\ufe0e a\ufe0f\ufe0f 葛\U000e0100",
    "joiners": "\u200d\u200c" + "a\u200d" * 300,
    "half an emoji": "👩\u200d \u200d👩 🇩 🇽🇽🇽 🏽 🏴\U000e0067",
    "private use": "\ue000\uf8ff\U000f0001\U0010ffff",
    "noncharacters": "\ufffe\uffff\U0001ffff",
    "brackets against the grain": "א(]b[)1" * 50,
    "one word": "w" * 32_000,
    "Han without end": "黄昏时的灯塔" * 90,
    "emoji without end": "🐱🚀" * 16_000,
    "one word of Arabic": "منارة" * 200,
    "one of everything": "".join(map(chr, range(0, 0x110000, 1999))),
}


def ink(image: Image.Image) -> int:
    return sum(value * count for value, count in enumerate(image.histogram()))


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_shipped_font_has_every_grapheme(script: str) -> None:
    for grapheme in graphemes(SCRIPTS[script]):
        assert grapheme.font in NEEDS_SHAPING, grapheme.text
        face = font(grapheme.font, SIZE)
        if grapheme.needs_shaping:
            glyphs, _ = shape(grapheme.font_text, grapheme.font, SIZE, from_right=False)
            masks = [bytes(face.getmask(glyph.char)) for glyph in glyphs]
        else:
            masks = [bytes(face.getmask(grapheme.font_text))] if grapheme.text != " " else [b"\1"]
        assert any(map(any, masks)), grapheme.text
        assert bytes(face.getmask("\U0010ffff")) not in masks, grapheme.text


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("size", [12, SIZE, 90])
def test_lines_of_every_script_fit_their_width(script: str, size: int) -> None:
    laid_out, canvas = draw(f"{SCRIPTS[script]} " * 60, size)
    left, _, right, _ = canvas.getbbox() or (0, 0, 0, 0)
    assert len(laid_out) == 5
    assert laid_out[-1].text.endswith("…")
    assert size // 2 < left < right < 21.5 * size
    assert all(line.width <= 20 * size for line in laid_out)


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_text_is_drawn_or_left_out(kind: str) -> None:
    laid_out, _ = draw(HOSTILE[kind])
    assert len(laid_out) <= 5
    assert all(line.width <= ROOM for line in laid_out)
    assert sum(len(line.text) for line in laid_out) <= MAX_CHARS + 1


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_text_gets_an_image(client: OpenAI, kind: str) -> None:
    prompt = HOSTILE[kind].encode("utf-8", "ignore").decode()[:1000]
    response = client.images.generate(
        model="dall-e-2", prompt=prompt, size="256x256", response_format="b64_json"
    )
    assert response.data
    assert opened(response.data[0].b64_json).size == (256, 256)


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_text_gets_an_svg(client: OpenAI, kind: str) -> None:
    prompt = HOSTILE[kind].encode("utf-8", "ignore").decode()
    response = client.images.generate(
        model="gpt-image-2.6-sunburst", prompt=prompt, output_format="svg"
    )
    assert response.data
    drawing = ET.fromstring(base64.b64decode(response.data[0].b64_json or ""))  # noqa: S314 - our own server's
    assert len(drawing)


@cache
def codes_by_font() -> Mapping[str | None, Sequence[int]]:
    """The code points that each font draws."""
    codes = defaultdict(list)
    for code in range(0x20000):
        codes[font_of(chr(code))].append(code)
    return codes


@pytest.mark.parametrize("name", NEEDS_SHAPING)
def test_the_coverage_table_matches_the_fonts(name: str) -> None:
    face = font(name, 12)
    missing = bytes(face.getmask("\U0010ffff"))
    inkless = ("Cf", "Mn", "Zs", "Zl", "Zp")
    codes = codes_by_font()[name]
    unlike = [
        hex(code)
        for code in codes[:: max(1, len(codes) // 1500)]
        if category(chr(code)) not in inkless and bytes(face.getmask(chr(code))) == missing
    ]
    assert codes
    assert unlike in ([], ["0x3164"])  # the filler of Hangul is blank


@pytest.mark.parametrize("name", [name for name in NEEDS_SHAPING if name != REGULAR])
def test_a_missing_glyph_is_blank(name: str) -> None:
    assert not any(bytes(font(name, SIZE).getmask("\U0010ffff")))


@pytest.mark.parametrize(("few", "many"), [("י", "ש"), ("ر", "ظ")])
def test_the_first_letters_stand_at_the_right(few: str, many: str) -> None:
    (line,), canvas = draw(f"{few * 6} {many * 6}")
    assert line.start + line.width == pytest.approx(ROOM)
    left, top, right, bottom = canvas.getbbox() or (0, 0, 0, 0)
    middle = (left + right) // 2
    halves = canvas.crop((left, top, middle, bottom)), canvas.crop((middle, top, right, bottom))
    assert ink(halves[0]) > ink(halves[1])
    assert right > ROOM


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abc אבג def", "abc גבא def"),
        ("אבג abc דהו", "והד abc גבא"),
        ("אבג 123, 45.6 דהו", "והד 45.6 ,123 גבא"),
        ("אבג (abc) 12!", "!12 (abc) גבא"),
        ("(אבג) abc", "abc (גבא)"),
        ("abc 12 (אבג)", "abc 12 (גבא)"),
        ("مرح 12 سلا", "الس 12 حرم"),
        ("ا $5 ب", "ب 5$ ا"),
        ("a אב 12 b", "a 12 בא b"),
        ("א 1%% ב", "ב 1%% א"),
        ("א (ב a) c", "c (a ב) א"),
        ("س 2% ا", "ا %2 س"),
        ("12 אב", "בא 12"),
        ("“אב”", "”בא“"),
        ("א (ב] a) c", "c (a [ב) א"),
        ("א 「b」 ג", "ג 「b」 א"),
        ("no letters: 12", "no letters: 12"),
    ],
)
def test_mixed_directions_are_ordered_by_the_unicode_bidi_algorithm(
    text: str, expected: str
) -> None:
    levels = embedding_levels(text, from_right=is_from_right(text))
    shown = (
        mirror(text[place]) if levels[place] % 2 else text[place] for place in visual_order(levels)
    )
    assert "".join(shown) == expected


ALPHABETS = {
    "brackets": "abאבגسلا12٣()[]{}.,:$%+- !«»",
    "marks": "ab1אבس\u05b4\u064e\u0301(])[ .%",
    "every bracket": f"{BRACKET_PAIRS} ab12אس",
    "nested brackets": "([" * 20 + ")]aא",
    "the world": "".join(
        char
        for block in ((0x20, 0x250), (0x370, 0x700), (0x900, 0xE00), (0x2010, 0x2300))
        for char in map(chr, range(*block))
        # what is younger, not every Python knows
        if ucd_3_2_0.category(char)[0] not in "CZ" and category(char) != "Cf"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_bidi_order_of_random_lines_is_that_of_python_bidi(alphabet: str) -> None:
    """2,000 lines of each alphabet. Only the order is compared: the library mirrors no brackets."""
    chance = Random(alphabet)
    unlike = []
    for _ in range(2_000):
        chars = chance.choices(
            ALPHABETS[alphabet], k=chance.randint(1, 160) // chance.randint(1, 8) + 1
        )
        text = "".join(chars).strip()
        from_right = is_from_right(text)
        levels = embedding_levels(text, from_right=from_right)
        shown = "".join(text[place] for place in visual_order(levels))
        if shown != get_display(text, base_dir="R" if from_right else "L"):
            unlike.append(text)
    assert not unlike


SHAPES = [(SIZE, 3), (SIZE * 3 // 4, 5), (SIZE // 2, 8)]
WORDS = " ".join(f"word{number}" for number in range(9_000))


def shown(text: str) -> str:
    return " ".join(line.text for line in paragraph(text, SHAPES, ROOM).lines)


@pytest.mark.parametrize(("count", "size"), [(6, SIZE), (16, SIZE * 3 // 4), (40, SIZE // 2)])
def test_longer_text_takes_more_lines_in_smaller_type(count: int, size: int) -> None:
    text = " ".join(WORDS.split()[:count])
    laid_out = paragraph(text, SHAPES, ROOM)
    assert laid_out.is_whole
    assert {line.size for line in laid_out.lines} == {size}
    assert shown(text) == text


@pytest.mark.parametrize("length", [900, 1001, 5_000, 32_000])
def test_text_that_is_too_long_shows_its_beginning_and_its_end(length: int) -> None:
    text = WORDS[:length]
    laid_out = paragraph(text, SHAPES, ROOM)
    assert not laid_out.is_whole
    assert len(laid_out.lines) == 8
    assert {line.size for line in laid_out.lines} == {SIZE // 2}
    beginning, _, end = shown(text).partition("…")
    assert len(beginning) > 60 < len(end)
    assert text.startswith(beginning)
    assert text.endswith(end)


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_paragraph_of_hostile_text_fits_its_width(kind: str) -> None:
    laid_out = paragraph(HOSTILE[kind], SHAPES, ROOM).lines
    assert len(laid_out) <= 8
    assert all(line.width <= ROOM for line in laid_out)


@pytest.mark.parametrize("place", [300, 2_000, 3_999])
def test_long_prompts_that_differ_anywhere_have_different_cards(place: int) -> None:
    prompt = "abcdefghi " * 400
    other = f"{prompt[:place]}X{prompt[place + 1 :]}"
    fields = {"operation": GENERATIONS, "model": NEWEST_MODEL, "size": (1024, 1024)}
    cards = []
    for text in (prompt, other):
        canvas = Image.new("L", (1024, 1024))
        card = card_of(ImageRequest(prompt=text, **fields), 0)  # type: ignore[arg-type]
        assert card
        card.draw(canvas, Palette(bytes(4 * 256), end=0, gradient=0, clear=0))
        cards.append(canvas)
    assert ImageChops.difference(*cards).getbbox()


def test_arabic_letters_join() -> None:
    joined, apart = (lines(text, SIZE, ROOM)[0].width for text in ("ببب", "ب\u200cب\u200cب"))
    assert joined < apart * 0.8


def test_a_vowel_that_is_written_before_its_consonant_is_drawn_before_it() -> None:
    name = "NotoSansDevanagari.ttf"
    consonant, both = (shape(text, name, SIZE, from_right=False)[0] for text in ("क", "कि"))
    assert both[-1].char == consonant[0].char


def test_a_conjunct_is_narrower_than_its_letters() -> None:
    conjunct, letters = (lines(text, SIZE, ROOM)[0].width for text in ("क्ष", "क ष"))
    assert conjunct < letters


@pytest.mark.parametrize("text", [FAMILY, "👍🏽", "🇩🇪", "1️⃣", "🏳️‍🌈", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "❤️‍🔥", "❤️"])
@pytest.mark.parametrize("before", ["", "א "])
def test_an_emoji_sequence_is_one_grapheme(text: str, before: str) -> None:
    (single,), (sequence,) = (lines(f"{before}{emoji}", SIZE, ROOM) for emoji in ("🐱", text))
    assert sequence.width == pytest.approx(single.width, abs=1)
    assert {run.font for run in sequence.runs} >= {EMOJI}


def test_chinese_breaks_anywhere_but_before_its_full_stop() -> None:
    text = "黄昏时的灯塔油画风格海面上有三艘小船。" * 3
    laid_out = lines(text, SIZE, ROOM, 5)
    assert "".join(line.text for line in laid_out) == text
    assert len(laid_out) > 2
    assert not any(line.text.startswith("。") for line in laid_out)
    assert all(line.width > ROOM - 2.5 * SIZE for line in laid_out[:-1])


def test_korean_breaks_at_its_spaces() -> None:
    text = "해질녘의 등대 유화 스타일 바다 위에 작은 배 세 척이 있고 갈매기가 날고 있다"
    assert " ".join(line.text for line in lines(text, SIZE, ROOM, 5)) == text


def test_decomposed_letters_are_drawn_as_the_composed_ones() -> None:
    assert draw("cafe\u0301")[1].tobytes() == draw("caf\u00e9")[1].tobytes()
    assert draw("\u1112\u1161\u11ab")[1].tobytes() == draw("\ud55c")[1].tobytes()


def test_characters_of_no_font_become_one_ellipsis() -> None:
    assert [line.text for line in lines("a \ue000\ue001 \ue002 b", SIZE, ROOM)] == ["a … b"]


def test_text_without_any_font_has_no_lines() -> None:
    assert lines("\ue000 \ue001", SIZE, ROOM, 5) == ()


def svg_of(client: OpenAI, prompt: str) -> ET.Element:
    response = client.images.generate(
        model="gpt-image-2.6-sunburst", prompt=prompt, output_format="svg"
    )
    assert response.data
    root: ET.Element = ET.fromstring(base64.b64decode(response.data[0].b64_json or ""))  # noqa: S314 - our own server's
    return root


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_svg_has_outlines_of_text_that_viewers_may_have_no_font_for(
    client: OpenAI, script: str
) -> None:
    root = svg_of(client, SCRIPTS[script])
    written = " ".join(text.text or "" for text in root.iter(f"{SVG}text"))
    outlined = " ".join(group.get("aria-label", "") for group in root.iter(f"{SVG}g"))
    assert {*"".join(SCRIPTS[script].split())} <= {*written, *outlined, *"\ufe0f🏽"}
    assert {font_of(char) for char in "".join(written.split())} == {REGULAR}
    assert all(path.get("d") for path in root.iter(f"{SVG}path"))


def ink_of(line: Line) -> tuple[float, float, float, float]:
    """The box around the outlines of *line*, from where its letters stand, y down."""
    xs, ys = [0.0], [0.0]
    for right, run in line.placed():
        scale = run.font_size(line.size) / units_per_em(run.font)
        for glyph in run.glyphs(line.size)[0]:
            path = outline(run.font, ord(glyph.char) - FIRST_GLYPH)
            numbers = [float(each) for each in re.findall(r"-?[\d.]+", path)]
            xs += [right + glyph.x + scale * x for x in numbers[::2]]
            ys += [-glyph.up - scale * y for y in numbers[1::2]]
    return min(xs[1:]), min(ys[1:]), max(xs[1:]), max(ys[1:])


@pytest.mark.parametrize("script", SCRIPTS)
def test_outlines_and_pixels_have_the_same_place(script: str) -> None:
    line = lines(SCRIPTS[script], SIZE, 60 * SIZE)[0]
    canvas = Image.new("L", (62 * SIZE, 4 * SIZE), 0)
    line.draw(ImageDraw.Draw(canvas), SIZE, SIZE, 255)
    base = SIZE + font(line.face, SIZE).getmetrics()[0]
    left, top, right, bottom = canvas.getbbox() or (0, 0, 0, 0)
    boxes = zip(ink_of(line), (left - SIZE, top - base, right - SIZE, bottom - base), strict=True)
    # A curve's handles may stand out of it, and a line of hinted letters is some pixels off.
    assert all(abs(outline_edge - pixel_edge) < SIZE / 4 for outline_edge, pixel_edge in boxes)


def printed(code: str, **environment: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", code],
        cwd=Path(__file__).parent.parent,
        env=os.environ | environment,
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    return done.stdout.strip()


@pytest.mark.slow
def test_pixels_are_the_same_in_every_process() -> None:
    code = """if True:
        import hashlib
        from tests.scripts import SCRIPTS, draw
        drawings = b"".join(draw(text)[1].tobytes() for text in SCRIPTS.values())
        print(hashlib.sha256(drawings).hexdigest())
    """
    drawings = b"".join(draw(text)[1].tobytes() for text in SCRIPTS.values())
    elsewhere = {printed(code, PYTHONHASHSEED=seed, LC_ALL="ur_PK.UTF-8") for seed in "12"}
    assert elsewhere == {hashlib.sha256(drawings).hexdigest()}


def test_the_shaper_is_loaded_for_scripts_that_need_it_only() -> None:
    code = """if True:
        import sys
        from images_emulator.imaging.text_layout import lines
        for text in ("a lighthouse", "Маяк", "黄昏时的灯塔", "🐱 🚀"):
            assert lines(text, 42, 850)
        print("uharfbuzz" in sys.modules)
    """
    assert printed(code) == "False"


def test_without_the_shaper_scripts_that_need_it_become_an_ellipsis() -> None:
    code = """if True:
        import sys
        sys.modules["uharfbuzz"] = None
        from images_emulator.imaging.text_layout import lines
        for text in ("a नमस्ते مرحبا b", "नमस्ते", "黄昏 1️⃣"):
            print([(line.text, [run.text for run in line.runs]) for line in lines(text, 42, 850)])
    """
    assert printed(code).splitlines() == [
        "[('a … b', ['a … b'])]",
        "[]",
        "[('黄昏 1️⃣', ['黄昏', ' ', '1'])]",
    ]


@pytest.mark.parametrize("text", ["\U00010330\U00010331", "\ue000", "a \U00013000 b"])
def test_a_character_of_no_shipped_font_is_an_ellipsis_on_every_machine(text: str) -> None:
    assert {each.font for each in graphemes(text) if not each.text.isascii()} == {None}
    code = f"""if True:
        from images_emulator.imaging.text_layout import lines
        print([line.text for line in lines({text!r}, 42, 850)])
    """
    assert printed(code, PATH="") == str(["a … b"] if "a" in text else [])
