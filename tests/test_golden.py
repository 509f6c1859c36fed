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
    "256x256": "9902ce425f63ac1e",
    "1024x1024": "a090f228f94835a1",
    "1024x1536": "1b15144d24183788",
    "1792x1024": "70ed721728b54743",
    "3840x2160": "70d63faa8443e02e",
    "1440x480": "2f3c129f3ee0298b",
    "480x1440": "bfb13c4e9b93dbc9",
    "script 0": "a090f228f94835a1",
    "script 1": "14f8134db5b93631",
    "script 2": "3c4b0edd44e57cf6",
    "script 3": "9df9bd57a0e30450",
    "script 4": "871e9ca94d700b27",
    "script 5": "6c6b3c03d60865fd",
    "script 6": "cf7c23856d17c27a",
    "script 7": "9c7d8e62b9672c40",
    "script 8": "1cd0b9420ace9989",
    "script 9": "f52ed8555048a7c5",
    "quality low": "7f12afc44c90c48b",
    "quality medium": "6b3dd4740b261fda",
    "style vivid": "63ddfbd64a576f96",
    "style natural": "149ece1a8ab79a34",
    "transparent": "d93cd7cd700e349f",
    "gif": "5f8eee91177a6796",
    "edit with a mask": "551d0d521e9e7775",
    "edit without a mask": "cc2ab988afe7ab4e",
    "edit of three": "ab62a2430cc5034d",
    "variation": "3ece1f04ad268f2b",
    "preview 0": "0d25fee5c27c2475",
    "preview 1": "b66c509aa29a30ae",
    "preview 2": "1e7db9bb4a9a092e",
    "preview None": "a090f228f94835a1",
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
