"""The recipe in a file: a test reads back which parameters it was rendered from."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import httpx2
import pytest
from openai import OpenAI

from images_emulator import read_recipe
from images_emulator.imaging.formats import OUTPUT_FORMATS
from tests.answers import model_that_writes
from tests.pictures import BLUE, encoded, half_clear, plain, png
from tests.test_streams import read_events

pytestmark = pytest.mark.not_on_redis("is about drawing")

MODEL = "gpt-image-2.6-sunburst"
PROMPTS = ["a lighthouse", 'quoted "twice" <b>&amp;', "маяк 灯台 منارة 🗼", "two\nlines\ttabbed"]


def generate(client: OpenAI, **fields: Any) -> bytes:
    fields = {"model": MODEL, "prompt": "a lighthouse", "size": "768x1024"} | fields
    response = client.images.generate(**fields)
    return base64.b64decode(response.data[-1].b64_json)  # type: ignore[index, arg-type]


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("output_format", OUTPUT_FORMATS)
def test_every_format_carries_its_recipe(client: OpenAI, output_format: str, prompt: str) -> None:
    model = model_that_writes(output_format)
    recipe = read_recipe(
        generate(client, model=model, output_format=output_format, prompt=prompt, quality="low")
    )
    expected = {
        "endpoint": "generations",
        "model": model,
        "prompt": prompt,
        "index": 0,
        "size": "768x1024",
        "quality": "low",
        "background": "opaque",
        "output_format": output_format,
    }
    assert {name: recipe[name] for name in expected} == expected


def test_the_recipe_has_the_index_of_the_image(client: OpenAI) -> None:
    assert read_recipe(generate(client, n=3))["index"] == 2


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("prompt", ("a lighthouse", "a windmill")),
        ("size", ("1024x1024", "768x1024")),
        ("quality", ("low", "medium")),
        ("background", ("opaque", "transparent")),
        ("complexity", ("low", "high")),
        ("output_format", ("png", "webp")),
    ],
)
def test_a_cached_image_answers_no_other_value(
    client: OpenAI, name: str, values: tuple[str, str]
) -> None:
    for value in values:
        assert read_recipe(generate(client, **{name: value}))[name] == value


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("input_fidelity", ("low", "high")),
        ("image", (png((64, 64)), png((64, 65)))),
        ("mask", (half_clear((64, 64)), half_clear((64, 64), BLUE))),
    ],
)
def test_a_cached_edit_answers_no_other_value(
    client: OpenAI, name: str, values: tuple[str | bytes, ...]
) -> None:
    recipe = []
    for value in values:
        upload = value if isinstance(value, str) else ("a.png", value, "image/png")
        fields: dict[str, Any] = {"image": ("a.png", png((64, 64)), "image/png"), name: upload}
        answer = client.images.edit(model="gpt-image-1.5", prompt="a lighthouse", **fields)
        recipe.append(read_recipe(base64.b64decode(answer.data[0].b64_json)))
    field = {"image": "images"}.get(name, name)
    assert recipe[0].pop(field) != recipe[1].pop(field)
    assert recipe[0] == recipe[1]


@pytest.mark.parametrize(
    ("name", "values"), [("frame_count", (2, 3)), ("output_compression", (10, 90))]
)
def test_a_cached_file_answers_no_other_encoding(
    client: OpenAI, name: str, values: tuple[int, int]
) -> None:
    output_format = "gif" if name == "frame_count" else "webp"
    few, many = (generate(client, output_format=output_format, **{name: value}) for value in values)
    assert len(few) < len(many)


@pytest.mark.parametrize("output_format", [each for each in OUTPUT_FORMATS if each != "jpeg"])
def test_the_longest_prompt_is_carried_whole(client: OpenAI, output_format: str) -> None:
    prompt = "🗼" * 32_000
    model = model_that_writes(output_format)
    recipe = read_recipe(generate(client, model=model, prompt=prompt, output_format=output_format))
    assert recipe["prompt"] == prompt
    assert "prompt_cut" not in recipe


@pytest.mark.slow
def test_a_jpeg_recipe_says_that_its_prompt_is_cut(client: OpenAI) -> None:
    recipe = read_recipe(generate(client, prompt="🗼" * 32_000, output_format="jpeg"))
    assert recipe["prompt_cut"] is True
    assert 10_000 < len(recipe["prompt"]) < 32_000
    assert set(recipe["prompt"]) == {"🗼"}


def test_the_recipe_of_an_edit_has_the_digests_of_its_uploads(client: OpenAI) -> None:
    source, mask = png((64, 64)), half_clear((64, 64))
    response = client.images.edit(
        model=MODEL, prompt="dusk", image=("a.png", source), mask=("b.png", mask)
    )
    recipe = read_recipe(base64.b64decode(response.data[0].b64_json))  # type: ignore[index, arg-type]
    assert recipe["endpoint"] == "edits"
    assert recipe["images"] == [hashlib.sha256(source).hexdigest()]
    assert recipe["mask"] == hashlib.sha256(mask).hexdigest()


def test_the_recipe_of_an_svg_has_characters_that_xml_cannot_have(client: OpenAI) -> None:
    prompt = "a\ufffe\uffff\x01 <fox> & \U0001f98a"
    response = client.images.generate(
        model=MODEL, prompt=prompt, output_format="svg", size="1024x1024"
    )
    assert response.data
    assert read_recipe(base64.b64decode(response.data[0].b64_json or ""))["prompt"] == prompt


def test_the_recipe_of_a_partial_image_has_its_index(http: httpx2.Client) -> None:
    body = {"model": MODEL, "prompt": "x", "stream": True, "partial_images": 3, "size": "768x1024"}
    events = read_events(http.post("/v1/images/generations", json=body).text)
    recipe = [read_recipe(base64.b64decode(event["b64_json"])) for _, event in events]
    assert [each.get("partial_image_index") for each in recipe] == [0, 1, 2, None]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no picture",
        png(),
        encoded(plain(), "JPEG"),
        encoded(plain(), "GIF"),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        encoded(plain(), "WEBP"),
    ],
)
def test_other_files_have_no_recipe(data: bytes) -> None:
    with pytest.raises(ValueError, match="picture"):
        read_recipe(data)
