"""The same pixels everywhere: on any system, in any Python, by any deflater.

`python -m tests.test_golden` prints the table anew, for a drawing that is meant to change.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any, Final

import pytest
from PIL import Image

from emulator.contract.models import MODELS
from emulator.contract.request import Endpoint, ImageRequest
from emulator.imaging import synthesis, uploads
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
    endpoint=Endpoint.GENERATIONS,
    model=MODELS["gpt-image-2"],
    prompt=SCRIPTS[0],
    size=(1024, 1024),
    quality="high",
)


def _edited(**asked: Any) -> ImageRequest:
    source, mask = uploads.develop(encoded(halves((300, 200)))), uploads.develop(half_clear())
    assert source
    assert mask
    given: dict[str, Any] = {"images": (source,), "mask": mask} | asked
    return replace(USUAL, endpoint=Endpoint.EDITS, size=(512, 512), **given)


def requests() -> dict[str, ImageRequest]:
    """What is drawn, by a name."""
    sizes = [(256, 256), (1024, 1024), (1024, 1536), (1792, 1024), (3840, 2160)]
    sizes += [(1440, 480), (480, 1440)]
    varied = _edited(mask=None)
    return {
        **{"{}x{}".format(*size): replace(USUAL, size=size) for size in sizes},
        **{f"script {number}": replace(USUAL, prompt=text) for number, text in enumerate(SCRIPTS)},
        **{f"quality {word}": replace(USUAL, quality=word) for word in ("low", "medium")},
        **{f"style {word}": replace(USUAL, style=word) for word in ("vivid", "natural")},
        "transparent": replace(USUAL, background="transparent"),
        "gif": replace(USUAL, size=(512, 512), output_format="gif", frame_count=3),
        "edit with a mask": _edited(),
        "edit without a mask": varied,
        "edit of three": _edited(images=varied.images * 3, mask=None),
        "variation": replace(varied, endpoint=Endpoint.VARIATIONS),
    }


def digest(image: Image.Image) -> str:
    """Names the size, the mode and the pixels."""
    told = f"{image.mode} {image.size} ".encode() + image.tobytes()
    return hashlib.blake2b(told, digest_size=8).hexdigest()


def digests() -> dict[str, str]:
    drawn = {name: digest(opened(synthesis.render(each, 0))) for name, each in requests().items()}
    stream = synthesis.render_progress(replace(USUAL, partial_images=3))
    return drawn | {f"preview {number}": digest(opened(image)) for number, image in stream}


GOLDEN: Final = {
    "256x256": "7001782693a274e4",
    "1024x1024": "922fba71ae1e75af",
    "1024x1536": "b3b1ceddfcaebc2f",
    "1792x1024": "0a84aa3a486b3a4e",
    "3840x2160": "091f5ade20f97a02",
    "1440x480": "d85abbba13edebcc",
    "480x1440": "b6191ce0ce03c216",
    "script 0": "922fba71ae1e75af",
    "script 1": "4c204bf1c090602e",
    "script 2": "b38f3230aac932a8",
    "script 3": "62730927afaf7380",
    "script 4": "b041fd0a852912b8",
    "script 5": "5963600d594bc567",
    "script 6": "c8a2f5dd6d98bd61",
    "script 7": "daf5ece3f6b77272",
    "script 8": "9bd3b1c3600eac4b",
    "script 9": "9455b9372903424c",
    "quality low": "520d1211cc7290b3",
    "quality medium": "007e591e2bbf4a98",
    "style vivid": "883cab62acb8178a",
    "style natural": "a2f36efae3f72093",
    "transparent": "c06d821662a4a3ab",
    "gif": "5f8eee91177a6796",
    "edit with a mask": "e33538c2da14ce33",
    "edit without a mask": "b3492101b6c876db",
    "edit of three": "fc34cf3e1d6b0d3a",
    "variation": "3ece1f04ad268f2b",
    "preview 0": "706a903d1c4635a9",
    "preview 1": "496bdd9eea916e98",
    "preview 2": "d4757ed6eeac9302",
    "preview None": "922fba71ae1e75af",
}


@pytest.mark.parametrize("name", requests())
def test_a_picture_has_the_pixels_that_it_has_everywhere(name: str) -> None:
    assert digest(opened(synthesis.render(requests()[name], 0))) == GOLDEN[name]


def test_previews_have_the_pixels_that_they_have_everywhere() -> None:
    stream = synthesis.render_progress(replace(USUAL, partial_images=3))
    for number, image in stream:
        assert digest(opened(image)) == GOLDEN[f"preview {number}"]


if __name__ == "__main__":
    for name, value in digests().items():
        print(f'    "{name}": "{value}",')  # noqa: T201 - a command prints
