"""Streams of partial images, by the official SDK and as bytes."""

from __future__ import annotations

import base64
import json
from io import BytesIO
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI, OpenAI
from PIL import Image, ImageChops, ImageStat

from images_emulator import Server
from images_emulator.contract.models import MODELS
from tests.answers import model_that_writes
from tests.pictures import STREAMABLE_FORMATS, opened, png

GPT = [name for name, model in MODELS.items() if model.token_rates]
BODY = {"model": "gpt-image-2", "prompt": "a lighthouse", "quality": "low", "size": "1024x1024"}

PARTIAL_KEYS = [
    *("created_at", "type", "b64_json", "background", "output_format", "partial_image_index"),
    *("quality", "sequence_number", "size"),
]
COMPLETED_KEYS = [
    *("created_at", "type", "b64_json", "background", "output_format", "quality"),
    *("sequence_number", "size", "usage"),
]


def read_events(text: str) -> list[tuple[str, dict[str, Any]]]:
    """The events of a stream, which has nothing else in it."""
    assert text.endswith("\n\n")
    assert "\r" not in text
    events = []
    for event_text in text.removesuffix("\n\n").split("\n\n"):
        name, data = event_text.split("\n")
        assert name.startswith("event: ")
        assert data.startswith("data: {")
        events.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return events


@pytest.mark.parametrize("partials", [0, 1, 2, 3])
def test_a_stream_is_its_partials_then_the_picture_itself(
    http: httpx2.Client, partials: int
) -> None:
    plain = http.post("/v1/images/generations", json=BODY).json()
    fields = BODY | {"stream": True, "partial_images": partials}
    answer = http.post("/v1/images/generations", json=fields)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    *before, (name, last) = read_events(answer.text)
    assert [name for name, _ in before] == ["image_generation.partial_image"] * partials
    assert name == "image_generation.completed"
    for number, (name, event) in enumerate(before):
        assert list(event) == PARTIAL_KEYS
        assert event["type"] == name
        assert event["partial_image_index"] == event["sequence_number"] == number
    assert list(last) == COMPLETED_KEYS
    assert last["type"] == "image_generation.completed"
    assert last["sequence_number"] == partials
    assert last["b64_json"] == plain["data"][0]["b64_json"]
    spent, usual = last["usage"]["output_tokens"], plain["usage"]["output_tokens"]
    assert spent == usual + 100 * partials
    assert last["usage"]["total_tokens"] == spent + last["usage"]["input_tokens"]


@pytest.mark.parametrize(
    ("headers", "buffering"),
    [
        ({}, None),
        ({"X-Forwarded-For": "10.0.0.1"}, "no"),
        ({"Forwarded": "for=10.0.0.1"}, "no"),
        ({"Via": "1.1 proxy"}, "no"),
    ],
)
def test_a_stream_asks_a_proxy_not_to_buffer_and_says_nothing_of_it_to_a_client(
    http: httpx2.Client, headers: dict[str, str], buffering: str | None
) -> None:
    fields = BODY | {"stream": True}
    answer = http.post("/v1/images/generations", json=fields, headers=headers)
    assert answer.headers.get("x-accel-buffering") == buffering


@pytest.mark.slow
@pytest.mark.parametrize("output_format", STREAMABLE_FORMATS)
@pytest.mark.parametrize("size", ["1024x1024", "1440x480", "480x1440"])
def test_partials_come_nearer_and_nearer(
    http: httpx2.Client, output_format: str, size: str
) -> None:
    fields = {"stream": True, "partial_images": 3, "output_format": output_format, "size": size}
    fields["model"] = model_that_writes(output_format)
    events = read_events(http.post("/v1/images/generations", json=BODY | fields).text)
    pictures = [
        Image.open(BytesIO(base64.b64decode(event["b64_json"]))).convert("RGB")
        for _, event in events
    ]
    assert {"{}x{}".format(*picture.size) for picture in pictures} == {size}
    distances = [
        sum(ImageStat.Stat(ImageChops.difference(picture, pictures[-1])).mean)
        for picture in pictures
    ]
    assert distances == sorted(distances, reverse=True)
    assert len(set(distances)) == 4


@pytest.mark.parametrize(
    ("as_of", "numbers"),
    [("2025-10-15", [None] * 3), ("2026-09-20", [0, 1, 2]), ("any", [0, 1, 2])],
)
def test_events_have_been_numbered_since_2026(
    http: httpx2.Client, as_of: str, numbers: list[int | None]
) -> None:
    fields = {"model": "gpt-image-1", "prompt": "x", "stream": True, "partial_images": 2}
    answer = http.post("/v1/images/generations", json=fields, headers={"x-emulator-as-of": as_of})
    assert [event.get("sequence_number") for _, event in read_events(answer.text)] == numbers


@pytest.mark.parametrize("operation", ["generations", "edits"])
def test_events_of_2025_have_an_order_of_their_own(
    http: httpx2.Client, server: Server, operation: str
) -> None:
    """As captured in 2025-10 (sdcb/chats)."""
    body: dict[str, Any] = {"model": "gpt-image-1", "prompt": "x", "partial_images": 1}
    headers = {"x-emulator-as-of": "2025-10-15"}
    if operation == "edits":
        fields = {name: str(value) for name, value in body.items()} | {"stream": "true"}
        files = {"image": ("a.png", png(), "image/png")}
        answer = http.post("/v1/images/edits", data=fields, files=files, headers=headers)
    else:
        fields = body | {"stream": True}
        answer = http.post("/v1/images/generations", json=fields, headers=headers)
    (_, partial), (_, last) = read_events(answer.text)
    behind = ["size", "quality", "background", "output_format"]
    assert [*partial] == ["type", "partial_image_index", "b64_json", "created_at", *behind]
    assert [*last] == ["type", "b64_json", "created_at", "usage", *behind]
    counts = ["input_tokens", "output_tokens", "total_tokens", "input_tokens_details"]
    assert [*last["usage"]] == counts
    assert [*last["usage"]["input_tokens_details"]] == ["text_tokens", "image_tokens"]
    # The journal makes the events again.
    detail = server.requests[-1].answer_body or ""
    shown = read_events(detail)
    assert [[*event] for _, event in shown] == [[*partial], [*last]]
    assert [event["created_at"] for _, event in shown] == [
        partial["created_at"],
        last["created_at"],
    ]


@pytest.mark.parametrize(
    ("name", "as_of", "keys"),
    [
        ("moderation_blocked", "any", ["type", "error", "sequence_number"]),
        ("moderation_blocked", "2025-10-15", ["type", "error"]),
        ("image_generation_failed", "any", ["type", "error"]),
    ],
)
def test_error_of_the_user_is_numbered_in_a_stream(
    http: httpx2.Client, name: str, as_of: str, keys: list[str]
) -> None:
    fields = {"model": "gpt-image-1", "prompt": "x", "stream": True, "partial_images": 2}
    headers = {"x-emulator-as-of": as_of, "x-emulator-fault": f"stream_error;name={name};after=2"}
    answer = http.post("/v1/images/generations", json=fields, headers=headers)
    *_, (_, error) = read_events(answer.text)
    assert [*error] == keys
    assert error.get("sequence_number", 2) == 2


def test_stream_says_once_what_becomes_of_its_connection(server: Server) -> None:
    def connections(*headers: tuple[str, str]) -> list[str]:
        answer = httpx2.post(
            f"{server.url}/v1/images/generations",
            json=BODY | {"stream": True},
            headers=[("authorization", "Bearer x"), *headers],
        )
        return answer.headers.get_list("connection")

    assert connections(("connection", "close")) == ["close"]
    assert connections() in ([], ["keep-alive"])


def test_partial_images_are_means_of_the_image(http: httpx2.Client) -> None:
    """A square of the first one is never as dark as the letters in it."""
    fields = {"stream": True, "partial_images": 3, "prompt": "m" * 60, "quality": "low"}
    events = read_events(http.post("/v1/images/generations", json=BODY | fields).text)
    darkest = []
    for _, event in events:
        picture = Image.open(BytesIO(base64.b64decode(event["b64_json"]))).convert("L")
        width, height = picture.size
        # Within the card, and away from its edges.
        card = picture.crop((width // 8, height * 17 // 20, width * 5 // 8, height * 9 // 10))
        darkest.append(next(level for level, count in enumerate(card.histogram()) if count))
    assert darkest[0] > 90 > darkest[-1]


@pytest.mark.parametrize("model", GPT)
def test_every_gpt_image_model_streams_to_the_sdk(client: OpenAI, model: str) -> None:
    stream = client.images.generate(
        model=model, prompt="a lighthouse", stream=True, partial_images=1
    )
    partial, completed = list(stream)
    assert partial.type == "image_generation.partial_image"
    assert completed.type == "image_generation.completed"
    assert opened(partial.b64_json).size == opened(completed.b64_json).size
    assert completed.usage.output_tokens_details  # type: ignore[attr-defined]


def test_an_edit_streams_by_the_name_of_edits_and_a_form_says_true(client: OpenAI) -> None:
    image = ("a.png", png(), "image/png")
    fields: dict[str, Any] = {"model": "gpt-image-1", "image": image, "prompt": "x"}
    *partials, completed = client.images.edit(**fields, stream=True, partial_images=2)
    assert [event.type for event in partials] == ["image_edit.partial_image"] * 2
    assert completed.type == "image_edit.completed"
    plain = client.images.edit(**fields)
    assert plain.data
    assert completed.b64_json == plain.data[0].b64_json


def test_false_is_no_stream_and_accept_makes_none(http: httpx2.Client) -> None:
    headers = {"Accept": "text/event-stream"}
    answer = http.post("/v1/images/generations", json=BODY | {"stream": False}, headers=headers)
    assert answer.headers["content-type"] == "application/json"


def test_stream_with_a_mistake_is_refused_before_its_first_event(http: httpx2.Client) -> None:
    answer = http.post("/v1/images/generations", json=BODY | {"stream": True, "n": 2})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "unsupported_parameter"


def test_a_stream_can_be_left_early(client: OpenAI) -> None:
    stream = client.images.generate(
        model="gpt-image-2", prompt="x", size="3840x2160", stream=True, partial_images=3
    )
    assert next(iter(stream)).type == "image_generation.partial_image"
    stream.close()
    assert client.models.list().data


async def test_the_async_client_streams(async_client: AsyncOpenAI) -> None:
    stream = await async_client.images.generate(
        model="gpt-image-2", prompt="x", stream=True, partial_images=3
    )
    assert [event.type async for event in stream] == [
        *["image_generation.partial_image"] * 3,
        "image_generation.completed",
    ]
