"""The plugin as its users have it. `pytest --count 1000 -n 2` runs this file a thousand times."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import httpx2
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from images_emulator import Server


def drawn(prompt: str = "a lighthouse", **options: int) -> str:
    """The URL of a picture, by a client that knows nothing but its environment."""
    with OpenAI(**options) as client:  # type: ignore[arg-type]
        answer = client.images.generate(model="dall-e-3", prompt=prompt)
    assert answer.data
    return answer.data[0].url or ""


@pytest.mark.parametrize("prompt", ["a", "b"])
def test_client_reaches_the_server_and_requests_lists_its_calls(
    images_emulator: Server, prompt: str
) -> None:
    assert images_emulator.requests == []
    url = drawn(prompt)
    (call,) = images_emulator.requests
    assert (call.status, call.model, call.prompt) == (200, "dall-e-3", prompt)
    assert url.startswith(images_emulator.url)


def test_sdk_retries_an_injected_rate_limit(images_emulator: Server) -> None:
    limited = {"kind": "error", "name": "rate_limit_exceeded", "retry_after_ms": 1}
    images_emulator.inject(limited, times=2)
    drawn(max_retries=2)
    assert [call.status for call in images_emulator.requests] == [429, 429, 200]
    assert [call.retries for call in images_emulator.requests] == [0, 1, 2]
    assert [call.fault for call in images_emulator.requests] == ["rate_limit_exceeded"] * 2 + [None]


def test_faults_do_not_outlive_their_test(images_emulator: Server) -> None:
    images_emulator.inject("server_error", times=None)
    with pytest.raises(openai.InternalServerError):
        drawn(max_retries=0)
    images_emulator.reset()
    drawn(max_retries=0)
    (call,) = images_emulator.requests
    assert call.fault is None


def test_advancing_the_clock_expires_a_url(images_emulator: Server) -> None:
    url = drawn()
    images_emulator.clock.advance(minutes=61)
    assert httpx2.get(url).status_code == 403


def test_clock_does_not_outlive_its_test(images_emulator: Server) -> None:
    assert abs(images_emulator.clock.now() - datetime.now(UTC)) < timedelta(minutes=1)
    images_emulator.clock.freeze(datetime(2030, 1, 1, tzinfo=UTC))
    drawn()
    assert images_emulator.requests[0].time == datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.images_emulator(as_of="2026-06-01")
def test_marker_sets_as_of() -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        drawn()
    assert refused.value.param == "model"


@pytest.mark.images_emulator(validation="lenient")
def test_marker_sets_lenient_validation(images_emulator: Server) -> None:
    with OpenAI() as client:
        client.images.generate(model="dall-e-3", prompt="x", extra_body={"colour": "red"})
    assert images_emulator.requests[0].violations == ("colour: unknown_parameter",)


def test_validation_is_strict_without_marker(images_emulator: Server) -> None:
    with OpenAI() as client, pytest.raises(openai.BadRequestError):
        client.images.generate(model="dall-e-3", prompt="x", extra_body={"colour": "red"})
    assert images_emulator.requests[0].error_code == "unknown_parameter"


STEPS = {"steps": [{"fault": "server_is_overloaded", "match": {"prompt": "ship"}}]}


@pytest.mark.images_emulator(scenario=STEPS)
def test_marker_sets_a_scenario(images_emulator: Server) -> None:
    drawn("a lighthouse")
    with pytest.raises(openai.InternalServerError):
        drawn("a ship", max_retries=0)
    spared, met = images_emulator.requests
    assert (spared.fault, met.fault) == (None, "server_is_overloaded")
    (miss,) = spared.near_misses
    assert str(miss) == "step 1 (server_is_overloaded): the prompt does not have 'ship'"
    assert met.near_misses == ()


@pytest.mark.images_emulator(scenario="rate-limit-then-ok")
def test_marker_takes_a_scenario_file(images_emulator: Server) -> None:
    with pytest.raises(openai.RateLimitError):
        drawn(max_retries=0)
    assert images_emulator.requests[0].status == 429


LIGHTHOUSE = "fixtures/images/lighthouse.png"


@pytest.mark.images_emulator(scenario={"steps": [{"answer": {"image": LIGHTHOUSE}}]})
def test_marker_takes_pictures_from_the_root_directory(images_emulator: Server) -> None:
    drawn()
    assert images_emulator.requests[0].own_answer == LIGHTHOUSE
    images_emulator.verify_steps()


async def test_async_tests_can_use_the_fixture(images_emulator: Server) -> None:
    async with AsyncOpenAI() as client:
        await client.images.generate(model="dall-e-3", prompt="x")
    assert len(images_emulator.requests) == 1


def test_environment_is_restored() -> None:
    assert "127.0.0.1" not in os.environ.get("OPENAI_BASE_URL", "")
