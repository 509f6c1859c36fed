"""What the contact sheet shows: calls that between them draw all that can be drawn."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from PIL import Image

from benchmarks import subject
from emulator.contract.request import Endpoint, Upload

Tile = tuple[str, Image.Image | bytes]
"""A caption, and a picture or its file."""

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

ODD: Final = {
    "one letter": "A",
    "a long one": "The sea was calm that night, and the keeper of the light wrote it down. " * 60,
    "a long word": "Lighthouse" * 300,
    "lines": "first line\nsecond line\n\n\tfourth line",
}


@dataclass(frozen=True, slots=True)
class Row:
    """Pictures of one kind, under a heading."""

    heading: str
    tiles: Sequence[Tile]


def _call(
    fields: Mapping[str, Any], endpoint: Endpoint = Endpoint.GENERATIONS, index: int = 0
) -> bytes:
    return subject.render(subject.request_of(fields, endpoint), index)


def _each(fields: Mapping[str, Any], name: str, words: Sequence[Any]) -> list[Tile]:
    return [(f"{name} {word}", _call({**fields, name: word})) for word in words]


def _sizes() -> list[Tile]:
    tiles: list[Tile] = [
        (f"{fields['model']}, {size}", _call({**fields, "size": size})) for fields, size in SIZES
    ]
    request = subject.request_of({**USUAL, "size": "3840x2160"})
    wide, high = request.size
    corner = subject.draw(request).convert("RGB").crop((0, high - 1080, wide // 2, high))
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


def _previews() -> list[Tile]:
    request = subject.request_of({**USUAL, "stream": True, "partial_images": 3})
    names = ("partial 0", "partial 1", "partial 2", "final")
    return [*zip(names, subject.render_progress(request), strict=True)]


def _photographs() -> list[Upload]:
    """Five scenes with the grain of a photograph."""
    with Image.open(io.BytesIO(subject.photograph(1024).data)) as opened:
        grain = opened.convert("RGB")
    taken = subject.request_of({**USUAL, "prompt": "A photograph", "n": 5})
    scenes = [subject.draw(taken, index).convert("RGB") for index in range(taken.n)]
    return [subject.upload("a.png", Image.blend(scene, grain, 0.35)) for scene in scenes]


def _edits() -> list[Tile]:
    photographs, hole = _photographs(), subject.hole(1024)
    one = {**USUAL, "image": photographs[0]}
    several = {**USUAL, "image": photographs}
    given: dict[str, Mapping[str, Any]] = {
        "with a mask": {**one, "mask": hole},
        "wide, with a mask": {**one, "mask": hole, "size": "1536x1024"},
        "without a mask": one,
        "tall": {**one, "size": "1024x1536"},
        "five sources": several,
        "five sources, with a mask": {**several, "mask": hole},
    }
    return [
        ("the source", photographs[0].data),
        *((name, _call(fields, Endpoint.EDITS)) for name, fields in given.items()),
    ]


def _variations() -> list[Tile]:
    fields = {"model": "dall-e-2", "image": _photographs()[1], "size": "512x512", "n": "4"}
    request = subject.request_of({**fields, "response_format": "b64_json"}, Endpoint.VARIATIONS)
    return [(f"variation {index}", subject.render(request, index)) for index in range(request.n)]


def rows() -> Iterator[Row]:
    """All that is shown, in its order; drawn one after the other."""
    yield Row("Sizes", _sizes())
    scenes = subject.request_of({**USUAL, "n": 10})
    tiles: list[Tile] = [(f"picture {i + 1}", subject.render(scenes, i)) for i in range(scenes.n)]
    yield Row("One call's ten pictures", tiles)
    yield Row("Qualities", _each(NEWEST, "quality", ("low", "medium", "high", "xhigh", "max")))
    yield Row(
        "Styles",
        [*_each(STYLED, "style", ("vivid", "natural")), *_each(STYLED, "quality", ("hd",))],
    )
    yield Row("Transparent", _transparent())
    for heading, prompts in (("Scripts", SCRIPTS), ("Odd prompts", ODD)):
        drawn = [(name, _call({**USUAL, "prompt": text})) for name, text in prompts.items()]
        yield Row(heading, drawn)
    yield Row("Formats", _formats())
    yield Row("A stream", _previews())
    yield Row("Edits", _edits())
    yield Row("Variations", _variations())
