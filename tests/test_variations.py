"""`images.create_variation` by the official SDK, which calls it deprecated."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI, OpenAI
from PIL import Image, ImageChops, ImageStat

from tests.answers import error_of
from tests.pictures import answered, encoded, halves, png

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def vary(client: OpenAI, image: bytes, **parameters: Any) -> list[Image.Image]:
    response = client.images.create_variation(image=image, response_format="b64_json", **parameters)
    return answered(response)


@pytest.mark.slow
@pytest.mark.parametrize("size", ["256x256", "512x512", "1024x1024"])
def test_variations_are_the_source_in_other_tones(client: OpenAI, size: Any) -> None:
    source = halves((128, 128))
    pictures = vary(client, encoded(source), n=4, size=size)
    assert len({picture.tobytes() for picture in pictures}) == 4
    for picture in pictures:
        assert "{}x{}".format(*picture.size) == size
        (above, below) = (picture.getpixel((20, y)) for y in (20, picture.height - 20))
        assert isinstance(above, tuple)
        assert isinstance(below, tuple)
        assert above[0] - above[2] > below[0] - below[2] + 100
        small = picture.resize(source.size, Image.Resampling.NEAREST)
        assert ImageChops.difference(small, source).convert("L").histogram()[0] == 0


def test_every_other_variation_is_mirrored(client: OpenAI) -> None:
    source = halves((256, 256)).rotate(90)
    straight, mirrored = vary(client, encoded(source), n=2, size="256x256")

    leanings = [
        ImageStat.Stat(picture.getchannel("R").crop((0, 0, 128, 256))).mean[0]
        - ImageStat.Stat(picture.getchannel("R").crop((128, 0, 256, 256))).mean[0]
        for picture in (source, straight, mirrored)
    ]
    assert leanings[0] * leanings[1] > 0
    assert leanings[0] * leanings[2] < 0


def test_a_variation_is_a_url_by_default(client: OpenAI) -> None:
    response = client.images.create_variation(image=png())
    assert response.data
    assert response.data[0].url


async def test_the_async_client_varies(async_client: AsyncOpenAI) -> None:
    response = await async_client.images.create_variation(image=png(), response_format="b64_json")
    assert answered(response)[0].size == (1024, 1024)


@pytest.mark.parametrize(("value", "shown"), [((None, "x"), "'x'"), (("a.png", png()), "a file")])
def test_a_value_of_another_type_is_shown(
    http: httpx2.Client, value: tuple[str | None, str | bytes], shown: str
) -> None:
    files: list[tuple[str, Any]] = [("image", ("a.png", png(), "image/png")), ("n", value)]
    error = error_of(http.post("/v1/images/variations", files=files))
    assert error["message"] == f"{shown} is not of type 'integer' - 'n'"


NESTED: dict[str, Any] = {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": "1"}}}}}}}}


@pytest.mark.parametrize(
    ("value", "shown"),
    [(["1"], "['1']"), (NESTED, "{'a': {'a': {'a': {'a': {'a': {'a': {...}}}}}}}")],
)
def test_a_value_of_another_type_in_json_is_shown_with_an_end(
    http: httpx2.Client, value: Any, shown: str
) -> None:
    headers = {"x-emulator-as-of": "2024-06-01"}
    body = {"prompt": "x", "n": value}
    answer = http.post("/v1/images/generations", json=body, headers=headers)
    assert answer.json()["error"]["message"] == f"{shown} is not of type 'integer' - 'n'"


@pytest.mark.parametrize("name", ["n[]", "n" + "[a]" * 8, "model[]"])
def test_a_name_with_brackets_is_unknown_to_the_older_stack(http: httpx2.Client, name: str) -> None:
    files: list[tuple[str, Any]] = [("image", ("a.png", png(), "image/png")), (name, (None, "1"))]
    error = error_of(http.post("/v1/images/variations", files=files))
    assert error["message"] == (f"Additional properties are not allowed ('{name}' was unexpected)")


def test_a_number_is_shown_as_the_older_stack_wrote_it(http: httpx2.Client) -> None:
    headers = {"x-emulator-as-of": "2024-06-01"}
    for value, shown in ((True, "True"), (1.5, "1.5"), ([None, {"a": 1}], "[None, {'a': 1}]")):
        answer = http.post(
            "/v1/images/generations", json={"prompt": "x", "n": value}, headers=headers
        )
        assert answer.json()["error"]["message"] == f"{shown} is not of type 'integer' - 'n'"
