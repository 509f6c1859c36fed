"""Rate limits: buckets per key and model, filled by the emulator's clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import openai
import pytest
from openai import DefaultHttpxClient, OpenAI

from images_emulator import Server, Settings
from images_emulator.cli.journal_line import line_of_exchange
from images_emulator.contract.operational_errors import rate_limit_values
from images_emulator.setting_values import parse_rate

SMALL = {"quality": "low", "size": "1024x1024"}


@pytest.fixture(scope="module")
def limited() -> Iterator[Server]:
    with Server(Settings(port=0, rate_limit="5/min")) as server:
        yield server


@pytest.fixture
def fresh(limited: Server) -> Server:
    """As after a start, and at one moment: no bucket fills but by a test that moves the clock."""
    limited.reset()
    limited.clock.freeze(limited.clock.now().replace(microsecond=0))
    return limited


def draw(server: Server, n: int = 1, model: str = "gpt-image-2", key: str = "sk-a") -> None:
    with OpenAI(base_url=server.base_url, api_key=key, max_retries=0) as client:
        client.images.generate(model=model, prompt="x", n=n)


def test_a_rate_limit_refuses_with_its_figures(fresh: Server) -> None:
    for _ in range(5):
        draw(fresh)
    with pytest.raises(openai.RateLimitError) as refused:
        draw(fresh)
    assert refused.value.code == "rate_limit_exceeded"
    assert refused.value.type == "input-images"
    assert "Limit 5, Used 5, Requested 1. Please try again in 12s." in refused.value.message
    assert refused.value.response.headers["retry-after-ms"] == "12000"
    assert refused.value.response.headers["retry-after"] == "12"


def test_retry_after_is_in_milliseconds_and_in_whole_seconds_rounded_up(fresh: Server) -> None:
    draw(fresh, n=5)
    fresh.clock.advance(seconds=1.5)
    with pytest.raises(openai.RateLimitError, match=r"Please try again in 10\.5s\.") as refused:
        draw(fresh)
    assert refused.value.response.headers["retry-after-ms"] == "10500"
    assert refused.value.response.headers["retry-after"] == "11"


@pytest.mark.parametrize(
    ("wait_ms", "wait", "whole_seconds"),
    [(1, "1ms", 1), (999, "999ms", 1), (1000, "1s", 1), (1001, "1.001s", 2), (7500, "7.5s", 8)],
)
def test_a_wait_is_told_in_milliseconds_below_a_second(
    wait_ms: int, wait: str, whole_seconds: int
) -> None:
    values = rate_limit_values(limit=5, used=5, requested=1, unit="min", wait_ms=wait_ms)
    assert (values["wait"], values["whole_seconds"]) == (wait, whole_seconds)


def test_the_clock_refills_a_rate_limit(fresh: Server) -> None:
    draw(fresh, n=5)
    fresh.emulator.clock.advance(seconds=11.5)
    with pytest.raises(openai.RateLimitError):
        draw(fresh)
    fresh.emulator.clock.advance(seconds=0.5)
    draw(fresh)
    with pytest.raises(openai.RateLimitError):
        draw(fresh)
    fresh.emulator.clock.advance(minutes=10)
    draw(fresh, n=5)
    with pytest.raises(openai.RateLimitError):
        draw(fresh)


def test_a_clock_that_is_moved_back_by_more_than_its_period_refills_a_rate_limit(
    fresh: Server,
) -> None:
    fresh.emulator.clock.advance(hours=1)
    draw(fresh, n=5)
    fresh.emulator.clock.advance(seconds=-59)
    with pytest.raises(openai.RateLimitError, match=r"Used 5, Requested 1"):
        draw(fresh)
    fresh.emulator.clock.advance(hours=-1)
    draw(fresh, n=5)


def test_a_rate_limit_counts_per_key_and_model(fresh: Server) -> None:
    draw(fresh, n=5)
    draw(fresh, n=5, model="gpt-image-1")
    draw(fresh, n=5, key="sk-b")
    with pytest.raises(openai.RateLimitError):
        draw(fresh)


def test_a_call_for_more_images_than_the_rate_limit_is_refused(fresh: Server) -> None:
    with pytest.raises(openai.RateLimitError, match=r"Limit 5, Requested 6\. Visit") as refused:
        draw(fresh, n=6)
    headers = refused.value.response.headers
    assert "retry-after" not in headers
    assert "retry-after-ms" not in headers
    draw(fresh, n=5)


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1/images/generations", "gpt-image-2"),
        ("/v1/images/generations", "dall-e-2"),
        ("/openai/v1/images/generations", "gpt-image-2"),
    ],
)
def test_a_call_that_can_never_pass_says_so_in_a_notice(
    fresh: Server, path: str, model: str
) -> None:
    def post(n: int) -> httpx2.Response:
        headers = {"authorization": "Bearer k", "api-key": "k"}
        body = {"model": model, "prompt": "x", "n": n}
        return httpx2.post(f"{fresh.url}{path}", json=body, headers=headers)

    refused = post(6)
    assert refused.status_code == 429
    notice = (
        "No wait helps: the call asks for 6 images, and --rate-limit 5/min never grants so many "
        "at once."
    )
    assert refused.headers["x-emulator-notice"] == notice
    (call,) = fresh.calls()
    assert call.notices == [notice]
    assert line_of_exchange(call, datetime.now(UTC)).notice == notice
    # One that has to wait has none.
    assert [post(n).status_code for n in (5, 1)] == [200, 429]
    last = fresh.calls()[-1]
    assert (last.notices, line_of_exchange(last, datetime.now(UTC)).notice) == ([], None)


def test_refused_calls_do_not_count_against_a_rate_limit(fresh: Server) -> None:
    for _ in range(6):
        with pytest.raises(openai.BadRequestError):
            draw(fresh, n=11)
    draw(fresh, n=5)


def test_dall_e_has_its_own_rate_limit_sentence(fresh: Server) -> None:
    draw(fresh, n=5, model="dall-e-2")
    with pytest.raises(openai.RateLimitError, match=r"Limit: 5/1min\. Current: 6/1") as refused:
        draw(fresh, model="dall-e-2")
    assert refused.value.type == "requests"


def test_azure_has_its_own_rate_limit_error(fresh: Server) -> None:
    body = {"model": "gpt-image-2", "prompt": "x", "n": 5}
    answers = [
        httpx2.post(
            f"{fresh.url}/openai/v1/images/generations", json=body, headers={"api-key": "k"}
        )
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [200, 429]
    error = answers[1].json()["error"]
    assert error["code"] == "RateLimitReached"
    assert "Your requests to gpt-image-2 for gpt-image-2 in" in error["message"]
    assert f"retry after {answers[1].headers['retry-after']} seconds" in error["message"]
    assert answers[1].headers["retry-after-ms"]


def test_azure_asks_a_call_for_too_many_images_to_wait_for_a_whole_period(fresh: Server) -> None:
    body = {"model": "gpt-image-2", "prompt": "x", "n": 6}
    path = "/openai/v1/images/generations"
    answer = httpx2.post(f"{fresh.url}{path}", json=body, headers={"api-key": "k"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")


@pytest.mark.slow
def test_the_sdk_retries_after_a_rate_limit() -> None:
    statuses = []

    def note(response: Any) -> None:
        statuses.append(response.status_code)
        if response.status_code == 429:
            server.clock.resume()

    hooks = {"response": [note]}
    with (
        Server(Settings(port=0, rate_limit="20/s")) as server,
        OpenAI(
            base_url=server.base_url, api_key="x", http_client=DefaultHttpxClient(event_hooks=hooks)
        ) as client,
    ):
        server.clock.freeze()
        for _ in range(3):
            assert client.images.generate(model="dall-e-2", prompt="x", n=10).data
    assert statuses == [200, 200, 429, 200]


@pytest.mark.parametrize(
    "text", ["", "5", "0/min", "-1/min", "5/day", "5/", "/min", "five/min", "٥/s"]
)
def test_an_invalid_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="5/min, 1/s or 100/hour"):
        parse_rate(text)
    if text:
        with pytest.raises(ValueError, match="rate_limit: expected"):
            Settings(rate_limit=text)
