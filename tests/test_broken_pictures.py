"""Pictures that no encoder should write, as uploads: each gets the same answer each time, which is
the API's refusal of a file that is no image, or a picture."""

from __future__ import annotations

import base64
from collections import Counter
from typing import Any

import httpx2
import pytest

from images_emulator.imaging.decoder import decode
from reliability.broken_pictures import BrokenPicture, corpus, drawn, file_of
from tests.answers import error_of
from tests.pictures import opened

GOOD = file_of(drawn("RGBA"), "PNG")
EDITS = "/v1/images/edits"
SMALL = {"model": "dall-e-2", "size": "256x256", "response_format": "b64_json"}
LARGE = {"model": "gpt-image-1", "prompt": "x", "quality": "low", "size": "1024x1024"}


def answers_of(http: httpx2.Client, data: bytes, form: str | None) -> dict[str, httpx2.Response]:
    """The answers to calls with the file as each of the images that a call can have, of which those
    that take long to draw are made only where no other one takes a file of this *form*; it is None
    where the file is no image."""
    file = ("a.png", data, "image/png")
    files = {"image": ("a.png", GOOD, "image/png"), "mask": file}
    answers = {
        "PNG": http.post(EDITS, data={**SMALL, "prompt": "x"}, files={"image": file}),
        "mask": http.post(EDITS, data={**SMALL, "prompt": "x"}, files=files),
        "variation": http.post("/v1/images/variations", data=SMALL, files={"image": file}),
    }
    if form != "PNG":
        answers["image"] = http.post(EDITS, data=LARGE, files={"image": file})
    if form is None:
        url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
        answers["reference"] = http.post(EDITS, json={**LARGE, "images": [{"image_url": url}]})
    return answers


def verdict(answer: httpx2.Response) -> Any:
    """What has to be the same each time."""
    if answer.status_code == 200:
        (picture,) = answer.json()["data"]
        return picture["b64_json"]
    return error_of(answer)["message"]


@pytest.mark.slow
@pytest.mark.parametrize("picture", corpus(), ids=lambda picture: picture.name)
def test_a_broken_picture_gets_the_same_answer_each_time(
    http: httpx2.Client, picture: BrokenPicture
) -> None:
    image = decode(picture.data)
    form = image.format if image else None
    answers = answers_of(http, picture.data, form)
    again = answers_of(http, picture.data, form)
    assert {use: verdict(each) for use, each in answers.items()} == {
        use: verdict(each) for use, each in again.items()
    }
    if not image:
        assert {answer.status_code for answer in answers.values()} == {400}
    elif form != "PNG":
        assert opened(verdict(answers["image"])).size == (1024, 1024)
    elif image.width != image.height:
        assert "equal width and height" in verdict(answers["variation"])
    elif image.mode in ("RGB", "RGBA"):
        assert opened(verdict(answers["variation"])).size == (256, 256)
    else:
        assert f"got {image.mode}." in verdict(answers["variation"])


def test_names_of_broken_pictures_are_distinct_and_some_are_images() -> None:
    images = Counter(decode(each.data) is not None for each in corpus())
    assert len({each.name for each in corpus()}) == len(corpus())
    assert min(images.values()) > 50
