"""`images.generate` by the official SDK: every model's answer, and what its pictures show."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types import ImagesResponse
from PIL import Image, ImageChops

from images_emulator.contract.models import MODELS
from tests.answers import model_that_writes
from tests.pictures import STREAMABLE_FORMATS, answered

GPT = [name for name, model in MODELS.items() if model.token_rates]
DALLE = [name for name, model in MODELS.items() if not model.token_rates]


def generate(client: OpenAI, **parameters: Any) -> ImagesResponse:
    response = client.images.generate(**({"prompt": "a lighthouse"} | parameters))
    assert isinstance(response, ImagesResponse)
    return response


@pytest.mark.parametrize("model", GPT)
def test_gpt_image_models_return_base64_with_its_parameters(client: OpenAI, model: str) -> None:
    response = generate(client, model=model, size="1024x1536", quality="medium")
    (picture,) = answered(response)
    assert (picture.size, picture.mode, picture.format) == ((1024, 1536), "RGB", "PNG")
    assert (response.size, response.quality) == ("1024x1536", "medium")
    assert (response.background, response.output_format) == ("opaque", "png")
    assert response.usage
    assert response.usage.total_tokens == (
        response.usage.input_tokens + response.usage.output_tokens
    )
    assert abs(response.created - datetime.now(UTC).timestamp()) < 5


@pytest.mark.parametrize("model", DALLE)
def test_dalle_models_return_base64_on_request(client: OpenAI, model: str) -> None:
    response = generate(client, model=model, response_format="b64_json")
    (picture,) = answered(response)
    assert (picture.size, picture.mode, picture.format) == ((1024, 1024), "RGB", "PNG")
    assert (response.usage, response.size, response.quality) == (None, None, None)


@pytest.mark.parametrize("model", GPT)
def test_response_never_says_auto(client: OpenAI, model: str) -> None:
    response = generate(client, model=model, size="auto", quality="auto", background="auto")
    (picture,) = answered(response)
    assert response.size == "{}x{}".format(*picture.size)
    assert response.quality in ("low", "medium", "high")
    assert response.background == "opaque"


def test_revised_prompt_comes_from_models_that_revise(client: OpenAI) -> None:
    vivid = "A vivid, hyper-real and dramatic picture of the following: a lighthouse"
    for model in MODELS.values():
        response = generate(client, model=model.id)
        assert response.data
        assert response.data[0].revised_prompt == (vivid if model.revises_prompt else None)


def test_revised_prompt_tells_the_style(client: OpenAI) -> None:
    data = generate(client, model="dall-e-3", style="natural").data
    assert data
    assert data[0].revised_prompt == (
        "A natural, unembellished photograph of the following: a lighthouse"
    )


@pytest.mark.parametrize("output_format", STREAMABLE_FORMATS)
def test_output_format_decides_the_file(client: OpenAI, output_format: str) -> None:
    model = model_that_writes(output_format)
    response = generate(client, model=model, size="1536x864", output_format=output_format)
    (picture,) = answered(response)
    assert (picture.format, picture.size) == (output_format.upper(), (1536, 864))
    assert response.output_format == output_format


@pytest.mark.parametrize("output_format", [each for each in STREAMABLE_FORMATS if each != "png"])
def test_compression_changes_the_file(client: OpenAI, output_format: str) -> None:
    sizes = []
    for compression in (0, 40, 100):
        response = generate(
            client,
            model=model_that_writes(output_format),
            output_format=output_format,
            output_compression=compression,
        )
        assert response.data
        sizes.append(len(response.data[0].b64_json or ""))
    assert len(set(sizes)) == 3
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize("output_format", [each for each in STREAMABLE_FORMATS if each != "jpeg"])
def test_a_transparent_background_is_clear_around_the_subject(
    client: OpenAI, output_format: str
) -> None:
    model = model_that_writes(output_format)
    response = generate(client, model=model, background="transparent", output_format=output_format)
    (picture,) = answered(response)
    assert response.background == "transparent"
    assert picture.mode == "RGBA"
    alpha = picture.getchannel("A")
    corners = [(x, y) for x in (0, picture.width - 1) for y in (0, picture.height - 1)]
    assert [alpha.getpixel(corner) for corner in corners] == [0, 0, 0, 0]
    counts = alpha.histogram()
    assert counts[0] > 0.3 * picture.width * picture.height
    assert counts[255] > 0.1 * picture.width * picture.height


def test_the_same_request_draws_the_same_bytes_and_n_draws_different_ones(client: OpenAI) -> None:
    first = generate(client, model="gpt-image-2", n=3).data
    again = generate(client, model="gpt-image-2", n=3).data
    assert first
    assert again
    pictures = [item.b64_json for item in first]
    assert pictures == [item.b64_json for item in again]
    assert len(set(pictures)) == 3


@pytest.mark.parametrize(
    "changed",
    [
        {"prompt": "a lightship"},
        {"model": "gpt-image-2.5-flare"},
        {"quality": "high"},
        {"size": "1024x1040"},
        {"background": "transparent"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_parameters_change_the_image(client: OpenAI, changed: dict[str, str]) -> None:
    usual = {"model": "gpt-image-2", "quality": "low", "size": "1024x1024"}
    (before,) = answered(generate(client, **usual))
    (after,) = answered(generate(client, **(usual | changed)))
    if before.size == after.size:
        assert ImageChops.difference(before.convert("RGB"), after.convert("RGB")).getbbox()
    else:
        assert after.size == (1024, 1040)


def ink(picture: Image.Image) -> int:
    """Dark pixels on the card, which is in the lower half."""
    lower = picture.convert("L").crop((80, picture.height // 2, 900, picture.height - 60))
    card = lower.point([255 if value > 240 else 0 for value in range(256)]).getbbox()
    assert card
    return sum(lower.crop(card).histogram()[:100])


def test_a_longer_prompt_puts_more_ink_on_the_card(client: OpenAI) -> None:
    (short,) = answered(generate(client, model="dall-e-3", response_format="b64_json", prompt="i"))
    (long,) = answered(
        generate(client, model="dall-e-3", response_format="b64_json", prompt="lighthouse " * 12)
    )
    assert ink(long) > 2 * ink(short)


@pytest.mark.parametrize(
    "prompt",
    ["x" * 32_000, "word " * 6_000, "日本語の灯台", "🦦", "\u202eمنارة", "a\x00b\nc\td"],
    ids=["one word", "many words", "CJK", "emoji", "Arabic", "controls"],
)
def test_any_prompt_gets_an_image(client: OpenAI, prompt: str) -> None:
    (picture,) = answered(generate(client, model="gpt-image-2", prompt=prompt))
    assert picture.size == (1254, 1254)


def test_without_a_model_the_parameters_choose_one(client: OpenAI) -> None:
    assert (generate(client).data or [])[0].url
    assert generate(client, quality="high").quality == "high"
    assert generate(client, size="1536x1024").size == "1536x1024"


def test_safety_identifier_is_echoed_or_else_user(client: OpenAI) -> None:
    def echoed(**parameters: Any) -> str | None:
        return generate(client, model="gpt-image-2", **parameters).safety_identifier

    assert echoed() is None
    assert echoed(user="u") == "u"
    assert echoed(user="u", safety_identifier="") == "u"
    assert echoed(user="u", safety_identifier="s") == "s"


async def test_the_async_client_gets_the_same_answer(
    client: OpenAI, async_client: AsyncOpenAI
) -> None:
    response = await async_client.images.generate(model="gpt-image-2", prompt="a lighthouse")
    assert answered(response)[0].tobytes() == (
        answered(generate(client, model="gpt-image-2"))[0].tobytes()
    )


def test_a_raw_response_has_the_headers_of_the_wire(client: OpenAI) -> None:
    raw = client.images.with_raw_response.generate(model="gpt-image-2", prompt="a lighthouse")
    headers = raw.headers
    assert raw.request_id
    assert raw.request_id.startswith("req_")
    assert len(raw.request_id) == len("req_") + 32
    assert headers["content-type"] == "application/json"
    assert headers["openai-version"] == "2020-10-01"
    assert headers["openai-processing-ms"].isdigit()
    assert headers["openai-organization"]
    assert headers["openai-project"].startswith("proj_")
    assert answered(raw.parse())


def test_a_streaming_response_can_be_read_whole(client: OpenAI) -> None:
    with client.images.with_streaming_response.generate(
        model="gpt-image-2", prompt="a lighthouse"
    ) as response:
        text = response.read().decode()
    assert text.startswith('{\n  "created": ')
    assert text.endswith("}")


def test_dalle_models_return_urls_by_default(client: OpenAI) -> None:
    for model in DALLE:
        data = generate(client, model=model).data
        assert data
        assert data[0].url
        assert data[0].b64_json is None
