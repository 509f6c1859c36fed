"""Samples for the contact sheet: calls that together draw everything that can be drawn."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final

from PIL import Image, ImageDraw

from benchmarks import subject
from images_emulator.contract.operations import EDITS, GENERATIONS, VARIATIONS, Operation
from images_emulator.contract.request import Upload

Picture = Image.Image | bytes
"""An image, or its file."""

Tile = tuple[str, Picture | Callable[[], Picture]]
"""A caption, and an image or the function that renders it: rows can be listed, and their calls
validated, without rendering."""

PROMPT: Final = "A lighthouse at the end of the pier"
USUAL: Final = {"model": "gpt-image-2", "prompt": PROMPT}
NEWEST: Final = {"model": "gpt-image-2.6-flare", "prompt": PROMPT}
SQUARE: Final = {"model": "dall-e-2", "prompt": PROMPT, "response_format": "b64_json"}
STYLED: Final = {"model": "dall-e-3", "prompt": PROMPT, "response_format": "b64_json"}

SIZES: Final = (
    (SQUARE, "256x256"),
    (SQUARE, "512x512"),
    (USUAL, "1024x1024"),
    (USUAL, "1536x1024"),
    (USUAL, "1024x1536"),
    (STYLED, "1792x1024"),
    (USUAL, "1440x480"),
    (USUAL, "480x1440"),
    (USUAL, "3072x1024"),
    (USUAL, "1024x3072"),
    (USUAL, "2160x3840"),
    (USUAL, "3840x2160"),
)

SOURCE_EDGE: Final = 1024
"""Pixels of an edge of a source and of its mask. The areas of masks are given for this one."""

SCRIPTS: Final = {
    "Latin": "Ein Leuchtturm auf der Mole, früh am Morgen – déjà vu, żółw, naïve",
    "Cyrillic": "Маяк на краю пирса зимним утром",
    "Greek": "Ένας φάρος στην άκρη της προβλήτας",
    "Arabic": "منارة في نهاية الرصيف عند الغروب، 1024 بكسل",
    "Hebrew": "מגדלור בקצה המזח בשעת שקיעה (1024)",
    "Chinese": "码头尽头的灯塔,清晨的海面上飘着薄雾",
    "Japanese": "桟橋の先にある灯台、朝もやの海",
    "Korean": "부두 끝에 있는 등대, 이른 아침의 바다",
    "Devanagari": "घाट के अंत में एक प्रकाशस्तंभ, सुबह की धुंध",
    "Thai": "ประภาคารที่ปลายท่าเรือในยามเช้า",
    "emoji": "🌊 ⛵ 🦀 👩‍🚀 🏳️‍🌈 👍🏽",
    "mixed": "A lighthouse, маяк, منارة, 灯塔, 🌊 – on one card",
}

LONG: Final = " ".join(
    f"Page {page}: the sea was calm, and the keeper of the light wrote it down."
    for page in range(60)
)

ODD: Final = {
    "one letter": "A",
    "300 characters": LONG[:300],
    "600 characters": LONG[:600],
    "1,000 characters": LONG[:1000],
    "a long one": LONG,
    "a long word": "Lighthouse" * 300,
    "lines": "first line\nsecond line\n\n\tfourth line",
}


@dataclass(frozen=True, slots=True)
class Row:
    """Samples of one kind, under a heading."""

    heading: str
    tiles: Sequence[Tile]


def _call(
    fields: Mapping[str, Any], operation: Operation = GENERATIONS, index: int = 0
) -> Callable[[], bytes]:
    return partial(subject.render, subject.request_of(fields, operation), index)


def _each(fields: Mapping[str, Any], name: str, words: Sequence[Any]) -> list[Tile]:
    return [(f"{name} {word}", _call({**fields, name: word})) for word in words]


def _sizes() -> list[Tile]:
    tiles: list[Tile] = [
        (f"{fields['model']}, {size}", _call({**fields, "size": size})) for fields, size in SIZES
    ]
    request = subject.request_of({**USUAL, "size": "3840x2160"})
    wide, high = request.size

    def corner() -> Image.Image:
        return subject.draw(request).convert("RGB").crop((0, high - 1080, wide // 2, high))

    return [*tiles, ("the last one's corner, larger", corner)]


def _formats() -> list[Tile]:
    fields = {**USUAL, "quality": "high"}
    return [
        *_each(fields, "output_format", ("png", "jpeg", "webp")),
        *(
            (
                f"{name}, output_compression {part}",
                _call({**fields, "output_format": name, "output_compression": part}),
            )
            for name in ("jpeg", "webp")
            for part in (0, 50)
        ),
        ("gif, its first frame", _call({**NEWEST, "output_format": "gif", "frame_count": 4})),
    ]


def _transparent() -> list[Tile]:
    fields = {"model": "gpt-image-1", "prompt": PROMPT, "background": "transparent"}
    return [
        *_each(fields, "output_format", ("png", "webp")),
        *_each(fields, "size", ("1536x1024", "1024x1536")),
        *_each(fields, "quality", ("low", "high")),
    ]


@cache
def _stream() -> list[bytes]:
    """Three partial images and the final one."""
    fields = {**USUAL, "stream": True, "partial_images": 3}
    return subject.render_partials(subject.request_of(fields))


def _image_of_stream(place: int) -> bytes:
    return _stream()[place]


def _previews() -> list[Tile]:
    names = ("partial 0", "partial 1", "partial 2", "final")
    return [(name, partial(_image_of_stream, place)) for place, name in enumerate(names)]


def _grain() -> Image.Image:
    """The grain of a photograph."""
    with Image.open(io.BytesIO(subject.photograph(SOURCE_EDGE).data)) as opened:
        return opened.convert("RGB")


@cache
def _photographs() -> list[Upload]:
    """Five scenes with the grain of a photograph."""
    grain = _grain()
    taken = subject.request_of({**USUAL, "prompt": "A photograph", "n": 5})
    scenes = (subject.draw_scene(taken, index).convert("RGB") for index in range(taken.n))
    grainy = (Image.blend(scene.resize(grain.size), grain, 0.35) for scene in scenes)
    return [subject.upload("a.png", picture) for picture in grainy]


@cache
def _product() -> Upload:
    """A jug before a plain ground, with the grain of a photograph."""
    grain = _grain()
    picture = Image.new("RGB", (1024, 1024), "#e9e6df")
    pen = ImageDraw.Draw(picture)
    pen.ellipse((600, 360, 860, 680), outline="#27566b", width=52)
    pen.rounded_rectangle((300, 240, 700, 860), radius=120, fill="#2f6f8a")
    pen.ellipse((300, 200, 700, 330), fill="#1f4a5c")
    pen.rounded_rectangle((350, 420, 400, 760), radius=25, fill="#5f9bb2")
    return subject.upload("product.png", Image.blend(picture.resize(grain.size), grain, 0.08))


def _mask(*areas: tuple[int, int, int, int], round_ones: bool = False) -> Upload:
    """A mask with transparent *areas*, as boxes or ellipses."""
    mask = Image.new("RGBA", (SOURCE_EDGE, SOURCE_EDGE), "black")
    pen = ImageDraw.Draw(mask)
    for area in areas:
        (pen.ellipse if round_ones else pen.rectangle)(area, fill=(0, 0, 0, 0))
    return subject.upload("mask.png", mask)


def _edit(
    fields: Mapping[str, Any], *images: Upload, mask: Upload | None = None
) -> Callable[[], bytes]:
    uploads: dict[str, Any] = {"image": images[0] if len(images) == 1 else list(images)}
    uploads |= {"mask": mask} if mask else {}
    return _call({**fields, **uploads}, EDITS)


def _edits() -> list[Tile]:
    photographs, mask = _photographs(), subject.round_mask(SOURCE_EDGE)
    one, sixteen = photographs[0], [*photographs, _product()] * 2 + photographs[:4]
    quarter = _mask((600, 120, 856, 376))
    return [
        ("the source", one.data),
        ("with a mask", _edit(USUAL, one, mask=mask)),
        ("wide, with a mask", _edit({**USUAL, "size": "1536x1024"}, one, mask=mask)),
        ("a mask of a quarter of the edge", _edit(USUAL, one, mask=quarter)),
        ("its upper half", _edit(USUAL, one, mask=_mask((0, 0, 1024, 512)))),
        ("all of it", _edit(USUAL, one, mask=_mask((0, 0, 1024, 1024)))),
        (
            "a mask of two areas",
            _edit(USUAL, one, mask=_mask((60, 60, 420, 420), (520, 500, 980, 960))),
        ),
        (
            "a mask of small areas",
            _edit(USUAL, one, mask=_mask((300, 300, 340, 340), (500, 320, 510, 330))),
        ),
        ("a long prompt in a mask", _edit({**USUAL, "prompt": LONG}, one, mask=mask)),
        ("without a mask", _edit(USUAL, one)),
        ("tall", _edit({**USUAL, "size": "1024x1536"}, one)),
        ("two sources", _edit(USUAL, *photographs[:2])),
        ("five sources", _edit(USUAL, *photographs)),
        ("five sources, with a mask", _edit(USUAL, *photographs, mask=mask)),
        ("sixteen sources", _edit(USUAL, *sixteen)),
        ("sixteen, wide", _edit({**USUAL, "size": "1536x1024"}, *sixteen)),
        ("sixteen, with a mask", _edit(USUAL, *sixteen, mask=mask)),
    ]


def _transparent_edits() -> list[Tile]:
    fields = {"model": "gpt-image-1", "prompt": PROMPT, "background": "transparent"}
    photographs, product = _photographs(), _product()
    webp = {**fields, "output_format": "webp", "output_compression": 60}
    mask = subject.round_mask(SOURCE_EDGE)
    return [
        ("the source", product.data),
        ("png", _edit(fields, product)),
        ("webp", _edit({**fields, "output_format": "webp"}, product)),
        ("webp, output_compression 60", _edit(webp, product)),
        ("tall", _edit({**fields, "size": "1024x1536"}, product)),
        ("a scene", _edit(fields, photographs[0])),
        ("another", _edit(fields, photographs[2])),
        ("with a mask", _edit(fields, photographs[0], mask=mask)),
        ("three sources", _edit(fields, *photographs[:3])),
        ("three, with a mask", _edit(fields, *photographs[:3], mask=mask)),
    ]


def _variations() -> list[Tile]:
    fields = {"model": "dall-e-2", "image": _photographs()[1], "size": "512x512", "n": "4"}
    request = subject.request_of({**fields, "response_format": "b64_json"}, VARIATIONS)
    return [
        (f"variation {index}", partial(subject.render, request, index))
        for index in range(request.n)
    ]


def gallery() -> Row:
    """24 samples, some of each kind."""
    photographs, product = _photographs(), _product()
    clear = {"model": "gpt-image-1", "prompt": PROMPT, "background": "transparent"}
    partials = _previews()
    sixteen = [*photographs, product] * 2 + photographs[:4]
    tiles: list[Tile] = [
        ("1024x1024", _call({**USUAL, "quality": "high", "size": "1024x1024"})),
        ("1536x1024, medium", _call({**USUAL, "quality": "medium", "size": "1536x1024"})),
        ("1024x1536, low", _call({**USUAL, "quality": "low", "size": "1024x1536"})),
        ("3840x2160", _call({**USUAL, "quality": "high", "size": "3840x2160"})),
        ("3072x1024", _call({**USUAL, "quality": "high", "size": "3072x1024"})),
        ("256x256", _call({**SQUARE, "size": "256x256"})),
        *(
            (name, _call({**USUAL, "quality": "high", "prompt": SCRIPTS[name]}))
            for name in ("Arabic", "Chinese", "Devanagari", "mixed")
        ),
        ("600 characters", _call({**USUAL, "quality": "high", "prompt": LONG[:600]})),
        ("a long prompt", _call({**USUAL, "quality": "high", "prompt": LONG})),
        *partials[:3],
        ("transparent", _call({**clear, "quality": "high"})),
        ("a transparent edit", _edit(clear, product)),
        (
            "a transparent edit of a scene",
            _edit({**clear, "output_format": "webp"}, photographs[3]),
        ),
        ("an edit", _edit({**USUAL, "quality": "high"}, photographs[1])),
        (
            "with a round mask",
            _edit(
                {**USUAL, "quality": "high"}, photographs[2], mask=subject.round_mask(SOURCE_EDGE)
            ),
        ),
        (
            "a mask of a quarter of the edge",
            _edit({**USUAL, "quality": "high"}, product, mask=_mask((700, 80, 956, 336))),
        ),
        (
            "a transparent edit with a mask",
            _edit(clear, photographs[4], mask=_mask((0, 0, 1024, 560))),
        ),
        ("sixteen sources", _edit({**USUAL, "quality": "high"}, *sixteen)),
        ("a variation", _variations()[1][1]),
    ]
    return Row("Gallery", tiles)


def rows() -> Iterator[Row]:
    """All rows of the sheet, in their order."""
    yield gallery()
    yield Row("Sizes", _sizes())
    scenes = subject.request_of({**USUAL, "n": 10})
    tiles: list[Tile] = [
        (f"picture {index + 1}", partial(subject.render, scenes, index))
        for index in range(scenes.n)
    ]
    yield Row("One call's ten pictures", tiles)
    yield Row("Qualities", _each(NEWEST, "quality", ("low", "medium", "high", "xhigh", "max")))
    yield Row(
        "Styles",
        [*_each(STYLED, "style", ("vivid", "natural")), *_each(STYLED, "quality", ("hd",))],
    )
    yield Row("Transparent", _transparent())
    for heading, prompts in (("Scripts", SCRIPTS), ("Odd prompts", ODD)):
        yield Row(
            heading, [(name, _call({**USUAL, "prompt": text})) for name, text in prompts.items()]
        )
    yield Row("Formats", _formats())
    yield Row("A stream", _previews())
    yield Row("Edits", _edits())
    yield Row("Transparent edits", _transparent_edits())
    yield Row("Variations", _variations())
