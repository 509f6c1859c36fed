"""`running` and `calls`: a server that SDKs find without pytest, and its journal by keyword."""

from __future__ import annotations

import os
import unittest
from collections.abc import Iterator, Mapping
from typing import Any, get_type_hints

import httpx2
import openai
import pytest
from openai import AsyncOpenAI, AzureOpenAI, OpenAI

import images_emulator
from images_emulator import Server, Settings
from images_emulator.call_list import CallFilters, CallList
from images_emulator.exchange.call_details import PARAMETERS
from images_emulator.state.query import ParameterFilters, Query


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mapping[str, str]]:
    """The variables before and after a test, which has changed none."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://192.0.2.1/v1")
    monkeypatch.setenv("AZURE_OPENAI_AD_TOKEN", "token")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("NO_PROXY", "example.com")
    before = variables()
    yield before
    assert variables() == before


def variables() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


def draw(prompt: str = "A lighthouse", **options: Any) -> None:
    with OpenAI(max_retries=0) as client:
        client.images.generate(model="gpt-image-2", prompt=prompt, **options)


def test_running_serves_sdks_that_know_only_their_environment() -> None:
    with images_emulator.running() as server:
        draw()
        with AzureOpenAI() as azure:
            azure.images.generate(model="gpt-image-2", prompt="A ship")
        openai.images.generate(model="gpt-image-2", prompt="A hare")
    assert [call.prompt for call in server.calls()] == ["A lighthouse", "A ship", "A hare"]
    assert repr(server).endswith("(closed)>")
    assert openai.api_type is None


def test_functions_of_the_module_openai_lead_to_each_server_in_turn() -> None:
    for prompt in ("A ship", "A hare"):
        with images_emulator.running() as server:
            openai.images.generate(model="gpt-image-2", prompt=prompt)
        assert [call.prompt for call in server.calls()] == [prompt]
    assert (openai.api_type, openai.azure_endpoint, openai.api_version) == (None, None, None)


def test_functions_of_the_module_openai_lead_to_the_inner_server_and_back() -> None:
    with images_emulator.running() as outer:
        openai.images.generate(model="gpt-image-2", prompt="A ship")
        with images_emulator.running() as inner:
            openai.images.generate(model="gpt-image-2", prompt="A hare")
        openai.images.generate(model="gpt-image-2", prompt="A fox")
    assert [call.prompt for call in outer.calls()] == ["A ship", "A fox"]
    assert [call.prompt for call in inner.calls()] == ["A hare"]


async def test_running_works_in_async_code() -> None:
    async with images_emulator.running() as server, AsyncOpenAI() as client:
        await client.images.generate(model="gpt-image-2", prompt="A lighthouse")
    assert len(server.calls()) == 1
    assert repr(server).endswith("(closed)>")


def test_running_takes_settings_and_sets_an_accepted_key() -> None:
    with images_emulator.running(Settings(api_key="sk-a"), as_of="2026-06-01") as server:
        assert os.environ["OPENAI_API_KEY"] == "sk-a"
        assert server.settings.as_of == "2026-06-01"
        draw()


def test_running_asks_no_proxy_for_the_server() -> None:
    with images_emulator.running():
        assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == "example.com,127.0.0.1,localhost"


def test_running_restores_the_environment_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), images_emulator.running():
        1 / 0  # noqa: B018


@pytest.mark.parametrize(
    ("changes", "error"), [({"as_of": "soon"}, ValueError), ({"colour": "red"}, TypeError)]
)
async def test_running_refuses_invalid_settings_and_changes_no_variable(
    changes: dict[str, Any], error: type[Exception], environment: Mapping[str, str]
) -> None:
    with pytest.raises(error), images_emulator.running(**changes):
        pass
    assert variables() == environment
    with pytest.raises(error):
        async with images_emulator.running(**changes):
            pass


def test_running_within_running_leads_to_the_inner_server() -> None:
    with images_emulator.running() as outer, images_emulator.running() as inner:
        draw()
    assert (len(outer.calls()), len(inner.calls())) == (0, 1)


def test_one_running_starts_a_new_server_at_each_with() -> None:
    manager = images_emulator.running()
    with manager as one:
        draw()
        with manager as other:
            draw()
        draw("A ship")
    assert [call.prompt for call in one.calls()] == ["A lighthouse", "A ship"]
    assert [call.prompt for call in other.calls()] == ["A lighthouse"]


# --- calls


@pytest.mark.parametrize(
    ("filters", "prompts"),
    [
        ({}, ["A lighthouse", "A ship", "A ship at sea"]),
        ({"prompt": "ship"}, ["A ship", "A ship at sea"]),
        ({"prompt": "ship", "status": 200}, ["A ship"]),
        ({"model": "gpt-image-*"}, ["A lighthouse", "A ship", "A ship at sea"]),
        ({"prompt": ["house", "sea"]}, ["A lighthouse", "A ship at sea"]),
        ({"status": "4xx"}, ["A ship at sea"]),
        ({"outcome": "answered", "has": "picture"}, ["A lighthouse", "A ship"]),
        ({"model": "dall-e-3"}, []),
        ({"path": "*/edits"}, []),
        ({"kind": "download"}, []),
    ],
    ids=str,
)
def test_calls_are_filtered_by_keyword(
    server: Server, client: OpenAI, filters: dict[str, Any], prompts: list[str]
) -> None:
    for prompt in ("A lighthouse", "A ship"):
        client.images.generate(model="gpt-image-2", prompt=prompt)
    with pytest.raises(openai.BadRequestError):
        client.images.generate(model="gpt-image-2", prompt="A ship at sea", n=99)
    assert [call.prompt for call in server.calls(**filters)] == prompts


def test_calls_leave_out_downloads(server: Server, client: OpenAI) -> None:
    answer = client.images.generate(model="dall-e-3", prompt="A lighthouse")
    assert answer.data
    httpx2.get(answer.data[0].url or "")
    assert [call.kind for call in server.calls()] == ["call"]
    assert [call.kind for call in server.calls(kind="download")] == ["download"]
    assert server.downloads == server.calls(kind="download")


def test_calls_refuse_a_filter_that_there_is_not(server: Server) -> None:
    with pytest.raises(TypeError, match="calls have no filter 'colour'; there are method, path"):
        server.calls(colour="red")  # type: ignore[call-arg]


def test_calls_refuse_a_value_that_a_filter_cannot_have(server: Server) -> None:
    with pytest.raises(ValueError, match="status: expected one such as 404 or 4xx, not 'many'"):
        server.calls(status="many")


def test_type_checkers_know_the_filters_of_the_journal() -> None:
    own, parameters = get_type_hints(Query), get_type_hints(ParameterFilters)
    assert own.pop("parameters")
    assert get_type_hints(CallFilters) == own | parameters
    assert {*parameters} == {*PARAMETERS}, "ParameterFilters of state/query.py is another"


LINE = r"POST /v1/images/generations gpt-image-2 200 \d+ ms 'A lighthouse'"


def test_a_failed_unittest_assertion_shows_the_calls(server: Server, client: OpenAI) -> None:
    client.images.generate(model="gpt-image-2", prompt="A lighthouse")
    case = unittest.TestCase()
    with pytest.raises(AssertionError, match=LINE):
        case.assertEqual(server.calls(), [])  # noqa: PT009 - its message is what is tested
    with pytest.raises(AssertionError, match=LINE):
        case.assertFalse(server.calls())  # noqa: PT009 - its message is what is tested


def test_printed_calls_are_a_line_each(server: Server, client: OpenAI) -> None:
    for prompt in ("A lighthouse", 61 * "x"):
        client.images.generate(model="gpt-image-2", prompt=prompt)
    one, other = str(server.calls()).splitlines()
    assert one.endswith(" ms 'A lighthouse'")
    assert other.endswith(f" ms '{60 * 'x'}…'")
    assert str(CallList()) == "no calls"
