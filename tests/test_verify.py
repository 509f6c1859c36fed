"""`Server.verify`: the calls it gives, and what it says where there are not as many as wanted."""

from __future__ import annotations

import re
import unittest
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI

import images_emulator
from images_emulator import Server
from tests.pictures import png

GENERATIONS = "POST /v1/images/generations"


def draw(client: OpenAI, prompt: str = "A lighthouse", **parameters: Any) -> None:
    client.images.generate(**{"model": "gpt-image-2", "prompt": prompt, **parameters})


def failure(server: Server, times: int | None = None, **filters: Any) -> str:
    """The message of a verification that fails, without times."""
    with pytest.raises(AssertionError) as caught:
        server.verify(times, **filters)
    return re.sub(r"\d+ ms", "* ms", str(caught.value))


# --- calls that match


@pytest.mark.parametrize(
    ("filters", "prompts"),
    [
        ({}, ["A lighthouse", "A ship", "A hare"]),
        ({"size": "1254x1254"}, ["A lighthouse", "A hare"]),
        ({"size": ["1536x1024", "256x256"]}, ["A ship"]),
        ({"n": 1}, ["A lighthouse", "A hare"]),
        ({"n": 1.0}, ["A lighthouse", "A hare"]),
        ({"n": (1, 2)}, ["A lighthouse", "A ship", "A hare"]),
        ({"quality": "low"}, ["A lighthouse", "A hare"]),
        ({"background": "opaque", "output_format": "webp"}, ["A ship"]),
        ({"stream": True}, ["A hare"]),
        ({"stream": False, "output_compression": 100}, ["A lighthouse"]),
        ({"partial_images": 2, "has": "events"}, ["A hare"]),
        ({"user": 300 * "u"}, ["A ship"]),
        ({"model": "gpt-*", "prompt": "ship", "status": "2xx", "size": "1536x1024"}, ["A ship"]),
        ({"size": None, "quality": (), "prompt": "hare"}, ["A hare"]),
    ],
    ids=str,
)
def test_calls_and_verify_filter_by_parameters_in_force(
    server: Server, client: OpenAI, filters: dict[str, Any], prompts: list[str]
) -> None:
    draw(client)
    format = {"output_format": "webp", "output_compression": 50}
    draw(client, "A ship", size="1536x1024", n=2, quality="medium", user=300 * "u", **format)
    with client.images.generate(
        model="gpt-image-2", prompt="A hare", stream=True, partial_images=2
    ) as stream:
        assert len([*stream]) == 3
    for calls in (server.calls(**filters), server.verify(len(prompts), **filters)):
        assert [call.prompt for call in calls] == prompts
    assert server.wait_for_call(**filters).prompt == prompts[0]


@pytest.mark.parametrize(
    "filters", [{"n": True}, {"n": "1"}, {"stream": 0}, {"user": "u"}], ids=str
)
def test_parameters_are_compared_as_json(
    server: Server, client: OpenAI, filters: dict[str, Any]
) -> None:
    draw(client)
    assert server.verify(0, **filters) == []


@pytest.mark.slow
def test_edits_are_verified_by_their_parameters(server: Server, client: OpenAI) -> None:
    client.images.edit(
        model="gpt-image-2", prompt="A hat", image=("a.png", png()), n=2, size="1536x1024"
    )
    (call,) = server.verify(path="*/edits", n=2, size="1536x1024", has="inputs", times=1)
    assert call.prompt == "A hat"


def test_downloads_are_verified_only_where_they_are_asked_for(
    server: Server, client: OpenAI
) -> None:
    answer = client.images.generate(model="dall-e-3", prompt="A lighthouse")
    assert answer.data
    httpx2.get(answer.data[0].url or "")
    server.verify(times=1)
    server.verify(times=1, kind="download", model="dall-e-3")
    server.verify(times=2, kind=["call", "download"])


def test_running_verifies_in_unittest() -> None:
    class ShopTest(unittest.TestCase):
        def test_it(self) -> None:
            with images_emulator.running() as emulator:
                openai.images.generate(model="gpt-image-2", prompt="A ship")
                emulator.verify(size="1536x1024")

    result = unittest.TestResult()
    ShopTest("test_it").run(result)
    assert not result.errors
    ((_, text),) = result.failures
    assert "size is 1254x1254, not 1536x1024" in text


# --- what a failure says


def test_too_few_calls_are_shown_with_the_nearest_and_their_differences(
    server: Server, client: OpenAI
) -> None:
    draw(client)
    draw(client, "A ship", size="1536x1024")
    draw(client, "A hare", size="1536x1024", quality="high")
    with pytest.raises(openai.BadRequestError):
        draw(client, "A fox", size="1000x1000")
    client.models.list()
    filters = {"model": "gpt-image-2", "size": "1254x1254", "quality": ["low", "medium"]}
    assert failure(server, 2, **filters) == (
        "expected 2 calls with model gpt-image-2, size 1254x1254, quality low or medium; "
        "there is 1\n"
        f"    {GENERATIONS} gpt-image-2 200 * ms 'A lighthouse'\n"
        "nearest, and what is different:\n"
        f"    {GENERATIONS} gpt-image-2 200 * ms 'A ship'\n"
        "        size is 1536x1024, not 1254x1254"
    )


def test_the_nearest_calls_are_the_latest_five(server: Server, client: OpenAI) -> None:
    for number in range(7):
        draw(client, f"Ship {number}")
    shown = re.findall(r"'(Ship \d)'\n        n is 1, not 2$", failure(server, n=2), re.MULTILINE)
    assert shown == ["Ship 2", "Ship 3", "Ship 4", "Ship 5", "Ship 6"]


@pytest.mark.parametrize(
    ("times", "start"),
    [
        (0, "expected no calls with n 1; there are 7\n"),
        (1, "expected 1 call with n 1; there are 7\n"),
    ],
)
def test_too_many_calls_are_shown_alone(
    server: Server, client: OpenAI, times: int, start: str
) -> None:
    for number in range(7):
        draw(client, f"Ship {number}")
    draw(client, "Ship 8", n=2)
    text = failure(server, times, n=1)
    assert text.startswith(start)
    assert re.findall(r"Ship \d", text) == [f"Ship {number}" for number in range(2, 7)]
    assert "nearest" not in text


def test_no_call_at_all_has_a_message(server: Server) -> None:
    assert failure(server, n=2) == "expected a call or more with n 2; there are none"
    assert failure(server, 1) == "expected 1 call; there are none"


@pytest.mark.parametrize(
    ("filters", "difference"),
    [
        ({"method": "get"}, "method is POST, not get"),
        ({"path": "*/edits"}, "path is /v1/images/generations, not */edits"),
        ({"model": ["gpt-*", "dall-e-3"]}, "model is dall-e-4, not gpt-* or dall-e-3"),
        ({"status": "2xx"}, "status is 400, not 2xx"),
        ({"outcome": "answered"}, "outcome is refused, not answered"),
        ({"fault": "timeout"}, "fault is None, not timeout"),
        ({"key": "another-key-of-mine"}, "key is sk-test, not ***************mine"),
        ({"has": "mask"}, "has nothing, not mask"),
        ({"prompt": "ship"}, "prompt is 'A\\nlighthouse', without 'ship'"),
        ({"text": "ship"}, "text is 'A\\nlighthouse', .*, 'dall-e-4', 'req_.*', without 'ship'"),
        ({"size": "1024x1024"}, "size is None, not 1024x1024"),
        ({"size": "none of mine"}, "size is None, not 'none of mine'"),
        ({"n": 2}, "n is '2', not 2"),
        ({"user": 500 * "w"}, f"user is '{200 * 'v'}…', not '{200 * 'w'}…'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_each_filter_says_what_is_different(
    server: Server, http: httpx2.Client, filters: dict[str, Any], difference: str
) -> None:
    fields = {"model": "dall-e-4", "prompt": "A\nlighthouse", "n": "2", "user": 250 * "v"}
    http.post("/v1/images/generations", json=fields)
    *_, call, line = failure(server, **filters).splitlines()
    assert call == f"    {GENERATIONS} dall-e-4 400 invalid_type * ms 'A\\nlighthouse'"
    assert line.startswith("        ")
    pattern = ".*".join(map(re.escape, difference.split(".*")))
    assert re.fullmatch(pattern, line.strip()), line


def test_messages_have_no_keys_and_no_long_prompts(server: Server) -> None:
    key, other = "sk-own-0123456789abcdef", "sk-other-0123456789abcdef"
    with OpenAI(base_url=server.base_url, api_key=key, max_retries=0) as client:
        draw(client, f"A sign: {key} {other} {300 * 'x'}", user=other)
    wanted: list[dict[str, Any]] = [
        {"n": 2},
        {"prompt": "ship"},
        {"text": "ship"},
        {"user": key},
        {"key": other},
    ]
    for filters in wanted:
        text = failure(server, **filters)
        assert key not in text
        assert other not in text
        assert 201 * "x" not in text
    assert "x…'" in failure(server, 0)
    assert key not in repr(server.calls())


# --- mistakes


def test_a_misspelt_filter_is_refused_with_the_probable_one(server: Server) -> None:
    with pytest.raises(TypeError, match=r"calls have no filter 'sise'; 'size' is probably meant$"):
        server.verify(sise="1024x1024")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"calls have no filter 'colour'; there are method, path, "):
        server.verify(colour="red")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"times": -1}, "times: expected a number from 0 on, not -1"),
        ({"times": "2"}, "times: expected a number from 0 on, not '2'"),
        ({"times": True}, "times: expected a number from 0 on, not True"),
        ({"size": b"1024x1024"}, "size: expected a value of JSON, not b'1024x1024'"),
        ({"n": [1, float("nan")]}, "n: expected a value of JSON, not nan"),
        ({"prompt": 3}, "prompt: expected a text, not 3"),
        ({"key": ["sk-a", b"sk-b"]}, "key: expected a text, not b'sk-b'"),
        ({"status": "many"}, "status: expected one such as 404 or 4xx, not 'many'"),
    ],
    ids=str,
)
def test_a_value_that_cannot_be_is_refused(
    server: Server, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        server.verify(**arguments)
