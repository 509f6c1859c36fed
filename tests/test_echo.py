"""A call that comes again within a second is answered from what is known, and nobody can tell."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from emulator import Emulator, Server, Settings
from emulator.web.echo import Answer
from tests.answers import error_of

GENERATIONS = "/v1/images/generations"
SMALL = {"model": "dall-e-2", "prompt": "a fox", "size": "256x256", "response_format": "b64_json"}
UNIQUE = {"model": "gpt-image-2.6-sunburst", "prompt": "a fox", "size": "1024x1024"}
OWN = {"x-request-id", "openai-processing-ms", "date"}
"""The headers that no two answers share."""

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def answers(emulator: Emulator) -> int:
    return sum(isinstance(value, Answer) for value, _ in emulator.studio.cache._kept.values())


@pytest.fixture
def again(emulator: Emulator, http: httpx2.Client) -> Callable[..., httpx2.Response]:
    """Sends a call in one and the same second."""
    emulator.studio.cache.clear()
    emulator.clock.freeze(NOON)

    def send(body: dict[str, Any] = SMALL, **headers: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return http.post(GENERATIONS, json=body, headers=named)

    return send


@pytest.mark.parametrize("body", [SMALL, UNIQUE], ids=["the same", "with ids of its own"])
def test_the_same_call_gets_the_same_answer(
    emulator: Emulator, again: Callable[..., httpx2.Response], body: dict[str, Any]
) -> None:
    calls = [again(body) for _ in range(4)]
    assert answers(emulator) == 1
    told = [each.json() for each in calls]
    identities = [item.pop("generation_id", None) for each in told for item in each["data"]]
    assert len(set(identities)) == (4 if body is UNIQUE else 1)
    assert all(each == told[0] for each in told)
    names = [
        [(name, value) for name, value in each.headers.multi_items() if name not in OWN]
        for each in calls
    ]
    assert all(each == names[0] for each in names)
    assert len({each.headers["x-request-id"] for each in calls}) == 4


def test_the_journal_knows_as_much_of_it(
    emulator: Emulator, again: Callable[..., httpx2.Response]
) -> None:
    for _ in range(4):
        again()
    entries = emulator.journal.find()
    facts = [(each.facts, each.body, each.drawn, each.status, each.headers) for each in entries]
    assert len(facts) == 4
    assert all(each == facts[0] for each in facts)
    assert entries[-1].prompt == "a fox"
    assert entries[-1].drawn


def test_a_second_later_it_says_so(
    emulator: Emulator, again: Callable[..., httpx2.Response]
) -> None:
    before = [again().json()["created"] for _ in range(3)]
    emulator.clock.advance(seconds=1)
    assert [again().json()["created"] - moment for moment in before] == [1, 1, 1]


@pytest.mark.parametrize("body", [SMALL, UNIQUE], ids=["the same", "with ids of its own"])
def test_what_changes_an_answer_changes_it_at_once(
    server: Server, again: Callable[..., httpx2.Response], body: dict[str, Any]
) -> None:
    def repeated() -> httpx2.Response:
        calls = [again(body) for _ in range(3)]
        assert {each.status_code for each in calls} == {200}
        return calls[-1]

    repeated()
    server.emulator.configure(as_of="2020-01-01")
    error_of(again(body))
    server.emulator.configure(as_of="any")
    repeated()
    error_of(again(body, x_emulator_as_of="2020-01-01"))
    error_of(again(body, authorization="Basic x"), 401)
    error_of(again(body, content_type="text/plain"))
    error_of(again(body | {"n": 11}))
    assert again(body, x_emulator_fault="server_error").status_code == 500
    assert again(body | {"prompt": "a fox [[emulator: server_error]]"}).status_code == 500
    repeated()
    assert answers(server.emulator) == 1
    server.inject("server_error")
    assert again(body).status_code == 500
    repeated()


@pytest.mark.parametrize("asked", ["header", "directive"])
def test_a_fault_is_met_each_time(
    server: Server, again: Callable[..., httpx2.Response], asked: str
) -> None:
    fault = "malformed what=picture"
    for _ in range(4):
        if asked == "header":
            answer = again(x_emulator_fault=fault.replace(" ", ";"))
        else:
            answer = again(SMALL | {"prompt": f"a fox [[emulator: {fault}]]"})
        assert answer.status_code == 200
    assert len({each.fault for each in server.requests}) == 1
    assert {each.fault for each in server.requests} != {None}
    assert answers(server.emulator) == 0


def test_a_limit_counts_each_call() -> None:
    with (
        Server(Settings(port=0, rate_limit="3/min")) as server,
        httpx2.Client(base_url=server.url, headers={"Authorization": "Bearer x"}) as http,
    ):
        statuses = [http.post(GENERATIONS, json=SMALL).status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]


def test_without_a_cache_nothing_is_known() -> None:
    with (
        Server(Settings(port=0, cache=0)) as server,
        httpx2.Client(base_url=server.url, headers={"Authorization": "Bearer x"}) as http,
    ):
        bodies = [http.post(GENERATIONS, json=SMALL).json()["data"] for _ in range(3)]
    assert bodies[0] == bodies[1] == bodies[2]
    assert answers(server.emulator) == 0
