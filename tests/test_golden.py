"""The same pixels everywhere: on any system, in any Python, by any deflater.

`python -m tests.test_golden` prints the table anew, for a drawing that is meant to change.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from itertools import combinations
from typing import Any, Final

import pytest
from PIL import Image

from images_emulator.contract.call_image import CallImage
from images_emulator.contract.field_codecs import FieldEffect, codecs_of
from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import EDITS, GENERATIONS, VARIATIONS, ImageKind
from images_emulator.contract.own_picture import OwnPicture
from images_emulator.contract.request import ImageRequest
from images_emulator.imaging import decoder, drawing, render, svg
from images_emulator.imaging.drawing import Scene
from tests.pictures import encoded, half_clear, halves, opened

SCRIPTS: Final = (
    *("A lighthouse, déjà vu", "Маяк на краю пирса", "Ένας φάρος", "منارة في نهاية الرصيف 1024"),
    *(
        "מגדלור בקצה המזח",
        "码头尽头的灯塔",
        "灯台、朝もや",
        "부두 끝의 등대",
        "घाट के अंत में प्रकाशस्तंभ",
        "🌊 ⛵ 👍🏽",
    ),
)
USUAL: Final = ImageRequest(
    operation=GENERATIONS,
    model=MODELS["gpt-image-2"],
    prompt=SCRIPTS[0],
    size=(1024, 1024),
    quality="high",
)


def _upload(image: Image.Image) -> CallImage:
    # An edit hangs on the bytes of its uploads, and these digests on those of this level.
    upload = decoder.decode(encoded(image, compress_level=6))
    assert upload
    return upload


def _edited(**changes: Any) -> ImageRequest:
    source, mask = _upload(halves((300, 200))), _upload(opened(half_clear()))
    fields: dict[str, Any] = {"images": (source,), "mask": mask} | changes
    return replace(USUAL, operation=EDITS, size=(512, 512), **fields)


def requests() -> dict[str, ImageRequest]:
    """The requests whose pixels are compared, by name."""
    sizes = [(256, 256), (1024, 1024), (1024, 1536), (1792, 1024), (3840, 2160)]
    sizes += [(1440, 480), (480, 1440)]
    varied = _edited(mask=None)
    return {
        **{"{}x{}".format(*size): replace(USUAL, size=size) for size in sizes},
        **{f"script {number}": replace(USUAL, prompt=text) for number, text in enumerate(SCRIPTS)},
        **{f"quality {word}": replace(USUAL, quality=word) for word in ("low", "medium")},
        **{f"style {word}": replace(USUAL, style=word) for word in ("vivid", "natural")},
        "another model": replace(USUAL, model=MODELS["gpt-image-1"]),
        "complexity low": replace(USUAL, complexity="low"),
        "transparent": replace(USUAL, background="transparent"),
        "gif": replace(USUAL, size=(512, 512), output_format="gif", frame_count=3),
        "svg": replace(USUAL, output_format="svg"),
        "transparent svg": replace(USUAL, output_format="svg", background="transparent"),
        "edit with a mask": _edited(),
        "edit without a mask": varied,
        "edit of three": _edited(images=varied.images * 3, mask=None),
        "edit with markup": _edited(mask=None, markup=_upload(opened(half_clear((300, 200))))),
        "variation": replace(varied, operation=VARIATIONS),
        "own picture": replace(USUAL, own_pictures=(OwnPicture(encoded(halves((300, 200)))),)),
    }


def digest(image: Image.Image) -> str:
    """Names the size, the mode and the pixels."""
    data = f"{image.mode} {image.size} ".encode() + image.tobytes()
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def digest_of(request: ImageRequest) -> str:
    """The digest of the picture of *request*, or of the shapes of an SVG."""
    file = render.render_image(request, 0)
    if request.output_format != "svg":
        return digest(opened(file))
    # The recipe is no part of the picture.
    shapes = re.sub(rb"<metadata.*?</metadata>", b"", file)
    return hashlib.blake2b(shapes, digest_size=8).hexdigest()


def digests() -> dict[str, str]:
    images = {name: digest_of(each) for name, each in requests().items()}
    stream = render.render_stream(replace(USUAL, partial_images=3))
    return images | {f"preview {number}": digest(opened(image)) for number, image in stream}


GOLDEN: Final = {
    "256x256": "5fb71af29d8188b8",
    "1024x1024": "9d949ece18138285",
    "1024x1536": "6098bdab0b150a12",
    "1792x1024": "c4121c3f0f356b32",
    "3840x2160": "bf45fbcf4997d0b0",
    "1440x480": "b5d04e742bd47a4e",
    "480x1440": "9f38c4e3e634be6f",
    "script 0": "9d949ece18138285",
    "script 1": "ed7f333d03a465d9",
    "script 2": "e3abff2d55a41593",
    "script 3": "11874c81a8438035",
    "script 4": "62448d6aba7faf88",
    "script 5": "a344815914eeb2f8",
    "script 6": "129499fa73ee1667",
    "script 7": "3994f695face96e7",
    "script 8": "c2bd42e226609096",
    "script 9": "187ce7dcb506dfbc",
    "quality low": "c4fa89f71933cff4",
    "quality medium": "c1d1dcfdd6a5fab5",
    "style vivid": "bfc6d7c98abb1b7f",
    "style natural": "7d38e1c17dbc132b",
    "another model": "6cb6251ee9f0f10e",
    "complexity low": "fefab6ebce52eddb",
    "transparent": "685aef959f48104d",
    "gif": "f3741e07d7d90411",
    "svg": "57203f56d87f2490",
    "transparent svg": "f065cb90724660a7",
    "edit with a mask": "66d6a223780f7c6c",
    "edit without a mask": "f2a76e904b7deae6",
    "edit of three": "cafeed181791ea2c",
    "edit with markup": "94d93ead50f192ef",
    "variation": "3ece1f04ad268f2b",
    "own picture": "addfc9567f0a78bd",
    "preview 0": "28189c7a2d20ae8e",
    "preview 1": "c599d34aff067d6e",
    "preview 2": "6ad88c8915ead2ed",
    "preview None": "9d949ece18138285",
}


@pytest.mark.parametrize("name", requests())
def test_an_image_has_the_same_pixels_everywhere(name: str) -> None:
    assert name in GOLDEN, f"GOLDEN needs its line, which `python -m {__name__}` prints"
    assert digest_of(requests()[name]) == GOLDEN[name]


OTHER_SCENES: Final[Mapping[str, Callable[[Scene], Any]]] = {
    "colours": lambda scene: scene.colours[::-1],
    "sun": lambda scene: (scene.sun[0] / 2, scene.sun[1] / 2, scene.sun[2]),
    "ridges": lambda scene: scene.ridges[:1],
}
"""For each part of a scene another value, made from that of the scene."""


@pytest.mark.parametrize("part", [each.name for each in fields(Scene)])
@pytest.mark.parametrize("name", ["1024x1024", "svg"])
def test_each_part_of_a_scene_is_drawn_in_pixels_and_as_shapes(
    monkeypatch: pytest.MonkeyPatch, name: str, part: str
) -> None:
    def changed(request: ImageRequest, index: int, phase: float = 0.0) -> Scene:
        scene = scene_of(request, index, phase)
        return replace(scene, **{part: OTHER_SCENES[part](scene)})

    assert part in OTHER_SCENES, f"OTHER_SCENES of {__file__} needs another value of it"
    scene_of = drawing.scene_of
    for module in (drawing, svg):
        monkeypatch.setattr(module, "scene_of", changed)
    both = "`_landscape` of imaging/drawing.py and that of imaging/svg.py"
    assert digest_of(requests()[name]) != GOLDEN[name], f"{both} must draw {part} of a scene"


SEED_ALONE: Final[Mapping[str, str]] = {
    "complexity": "a value has a scene of its own; what else it would change is not known",
}
"""The fields with the mark `DRAWING` that decide the random numbers of a drawing and nothing else,
each with the reason."""


@pytest.mark.parametrize("name", codecs_of(ImageRequest, FieldEffect.DRAWING))
def test_each_field_marked_as_drawing_is_drawn_in_a_golden_picture(name: str) -> None:
    def differ_in_name_alone(one: ImageRequest, other: ImageRequest) -> bool:
        values, others = one.to_json(), other.to_json()
        keys = values.keys() | others.keys()
        return {key for key in keys if values.get(key) != others.get(key)} == {name}

    pairs = [pair for pair in combinations(requests().values(), 2) if differ_in_name_alone(*pair)]
    assert pairs, f"`requests` of {__file__} needs two pictures that differ in {name} alone"
    one, other = pairs[0]
    # Without the difference of their seeds.
    vars(other)["drawing_key"] = one.drawing_key
    is_drawn = digest_of(one) != digest_of(other)
    assert is_drawn is (name not in SEED_ALONE), (
        f"{name} must be used in imaging/, as in `scene_of` of imaging/drawing.py, or be in "
        "SEED_ALONE, and not both"
    )


def test_partial_images_have_the_same_pixels_everywhere() -> None:
    stream = render.render_stream(replace(USUAL, partial_images=3))
    for number, image in stream:
        assert digest(opened(image)) == GOLDEN[f"preview {number}"]


if __name__ == "__main__":
    for name, value in digests().items():
        print(f'    "{name}": "{value}",')  # noqa: T201 - a command prints


def test_every_image_kind_has_a_draw_function() -> None:
    assert {*render.DRAW_FUNCTIONS} == {*ImageKind}
