"""The recipe in a picture: a test reads back what the picture was asked to be."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import httpx2
import pytest
from openai import OpenAI

from images_emulator import read_recipe
from images_emulator.imaging.formats import OUTPUT_FORMATS
from tests.pictures import BLUE, encoded, half_clear, plain, png
from tests.test_streams import frames

MODEL = "gpt-image-2.6-sunburst"
PROMPTS = ["a lighthouse", 'quoted "twice" <b>&amp;', "маяк 灯台 منارة 🗼", "two\nlines\ttabbed"]


def drawn(client: OpenAI, **asked: Any) -> bytes:
    asked = {"model": MODEL, "prompt": "a lighthouse", "size": "768x1024"} | asked
    response = client.images.generate(**asked)
    return base64.b64decode(response.data[-1].b64_json)  # type: ignore[index, arg-type]


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("output_format", OUTPUT_FORMATS)
def test_every_format_carries_its_recipe(client: OpenAI, output_format: str, prompt: str) -> None:
    told = read_recipe(drawn(client, output_format=output_format, prompt=prompt, quality="low"))
    expected = {
        "endpoint": "generations",
        "model": MODEL,
        "prompt": prompt,
        "index": 0,
        "size": "768x1024",
        "quality": "low",
        "background": "opaque",
        "output_format": output_format,
    }
    assert {name: told[name] for name in expected} == expected


def test_each_of_many_pictures_knows_its_number(client: OpenAI) -> None:
    assert read_recipe(drawn(client, n=3))["index"] == 2


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
def test_a_cached_picture_is_answered_for_no_other_value(
    client: OpenAI, name: str, values: tuple[str, str]
) -> None:
    for value in values:
        assert read_recipe(drawn(client, **{name: value}))[name] == value


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("input_fidelity", ("low", "high")),
        ("image", (png((64, 64)), png((64, 65)))),
        ("mask", (half_clear((64, 64)), half_clear((64, 64), BLUE))),
    ],
)
def test_a_cached_edit_is_answered_for_no_other_value(
    client: OpenAI, name: str, values: tuple[str | bytes, ...]
) -> None:
    told = []
    for value in values:
        given = value if isinstance(value, str) else ("a.png", value, "image/png")
        fields: dict[str, Any] = {"image": ("a.png", png((64, 64)), "image/png"), name: given}
        answer = client.images.edit(model="gpt-image-1.5", prompt="a lighthouse", **fields)
        told.append(read_recipe(base64.b64decode(answer.data[0].b64_json)))
    field = {"image": "images"}.get(name, name)
    assert told[0].pop(field) != told[1].pop(field)
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("name", "values"), [("frame_count", (2, 3)), ("output_compression", (10, 90))]
)
def test_a_cached_file_is_answered_for_no_other_encoding(
    client: OpenAI, name: str, values: tuple[int, int]
) -> None:
    output_format = "gif" if name == "frame_count" else "webp"
    few, many = (drawn(client, output_format=output_format, **{name: value}) for value in values)
    assert len(few) < len(many)


@pytest.mark.parametrize("output_format", ["png", "webp"])
def test_the_longest_prompt_is_carried_whole(client: OpenAI, output_format: str) -> None:
    prompt = "🗼" * 32_000
    told = read_recipe(drawn(client, prompt=prompt, output_format=output_format))
    assert told["prompt"] == prompt
    assert "prompt_cut" not in told


def test_a_jpeg_says_where_its_prompt_had_to_be_cut(client: OpenAI) -> None:
    told = read_recipe(drawn(client, prompt="🗼" * 32_000, output_format="jpeg"))
    assert told["prompt_cut"] is True
    assert 10_000 < len(told["prompt"]) < 32_000
    assert set(told["prompt"]) == {"🗼"}


def test_an_edit_names_what_it_was_made_of(client: OpenAI) -> None:
    source, mask = png((64, 64)), half_clear((64, 64))
    response = client.images.edit(
        model=MODEL, prompt="dusk", image=("a.png", source), mask=("b.png", mask)
    )
    told = read_recipe(base64.b64decode(response.data[0].b64_json))  # type: ignore[index, arg-type]
    assert told["endpoint"] == "edits"
    assert told["images"] == [hashlib.sha256(source).hexdigest()]
    assert told["mask"] == hashlib.sha256(mask).hexdigest()


def test_a_preview_can_be_told_from_a_final(http: httpx2.Client) -> None:
    body = {"model": MODEL, "prompt": "x", "stream": True, "partial_images": 3, "size": "768x1024"}
    events = frames(http.post("/v1/images/generations", json=body).text)
    told = [read_recipe(base64.b64decode(event["b64_json"])) for _, event in events]
    assert [each.get("partial_image_index") for each in told] == [0, 1, 2, None]


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
def test_other_files_carry_none(data: bytes) -> None:
    with pytest.raises(ValueError, match="picture"):
        read_recipe(data)
