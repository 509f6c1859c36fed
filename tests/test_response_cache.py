"""A call that comes again within a second is answered from what is known, and nobody can tell."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx2
import pytest
from starlette.types import Message, Receive, Scope, Send

from images_emulator import Emulator, Server, Settings, create_app
from tests.answers import error_of
from tests.test_streams import frames

GENERATIONS = "/v1/images/generations"
SMALL = {"model": "dall-e-2", "prompt": "a fox", "size": "256x256", "response_format": "b64_json"}
UNIQUE = {"model": "gpt-image-2.6-sunburst", "prompt": "a fox", "size": "1024x1024"}
OWN = {"x-request-id", "openai-processing-ms", "date"}
"""The headers that no two answers share."""

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


Headers = Sequence[Sequence[bytes]]
HEADERS: Headers = (
    (b"host", b"emulator"),
    (b"authorization", b"Bearer x"),
    (b"content-type", b"application/json"),
)


class Asked:
    """The application of an emulator, and how often what is behind the echo was asked."""

    def __init__(self) -> None:
        self.emulator = Emulator()
        self.emulator.clock.freeze(NOON)
        cors: Any = create_app(self.emulator)
        self.app, self.echo = cors, cors.app.app
        self.behind, self.echo.app = self.echo.app, self
        self.times = 0
        self.meanwhile: list[Coroutine[Any, Any, int]] = []
        """What comes while the next call is answered."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.times += 1
        await self.behind(scope, receive, send)
        while self.meanwhile:
            await self.meanwhile.pop()

    async def call(
        self,
        headers: Headers = HEADERS,
        before_the_body: Callable[[], None] = lambda: None,
        prompt: str = "a fox",
    ) -> int:
        """The status of a call whose body comes after its head."""
        statuses = []
        arrived = asyncio.Event()

        async def receive() -> Message:
            if arrived.is_set():
                # The client stays.
                await asyncio.Future()
            arrived.set()
            before_the_body()
            body = json.dumps(SMALL | {"prompt": prompt}).encode()
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        scope = {"type": "http", "method": "POST", "path": GENERATIONS, "query_string": b""}
        await self.app({**scope, "headers": headers}, receive, send)
        (status,) = statuses
        return int(status)


@pytest.fixture
def asked() -> Iterator[Asked]:
    asked = Asked()
    yield asked
    asked.emulator.close()


@pytest.mark.parametrize("pair", [tuple, list])
async def test_what_is_known_is_not_asked_for(asked: Asked, pair: Callable[..., Any]) -> None:
    headers = [pair(each) for each in HEADERS]
    assert [await asked.call(headers) for _ in range(5)] == [200] * 5
    assert asked.times == 2
    asked.emulator.clock.advance(seconds=1)
    assert await asked.call(headers) == 200
    assert asked.times == 3


async def test_what_changes_before_the_body_has_come_counts(asked: Asked) -> None:
    emulator = asked.emulator
    for _ in range(3):
        await asked.call()
    then = partial(emulator.configure, as_of="2020-01-01")
    assert await asked.call(before_the_body=then) == 400
    emulator.configure(as_of="any")
    for _ in range(3):
        await asked.call()
    inject = partial(emulator.scenario.inject, "server_error")
    assert await asked.call(before_the_body=inject) == 500
    assert await asked.call() == 200


async def test_what_took_until_the_next_second_is_not_known_in_it(asked: Asked) -> None:
    async def later() -> int:
        asked.emulator.clock.advance(seconds=1)
        return await asked.call(prompt="a hare")

    await asked.call()
    asked.meanwhile.append(later())
    await asked.call()
    before = asked.times
    await asked.call()
    assert asked.times == before + 1


async def test_after_a_reset_nothing_is_known(asked: Asked) -> None:
    for _ in range(3):
        await asked.call()
    asked.emulator.reset()
    asked.emulator.clock.freeze(NOON)
    assert asked.emulator.noticed == {}
    await asked.call()
    assert list(asked.emulator.noticed) == [SMALL["model"]]


@pytest.mark.parametrize(("method", "status"), [("GET", 409), ("HEAD", 409), ("POST", 405)])
def test_the_storage_answers_by_itself(http: httpx2.Client, method: str, status: int) -> None:
    assert http.request(method, "/private/images/generations").status_code == status


@pytest.fixture
def again(emulator: Emulator, http: httpx2.Client) -> Callable[..., httpx2.Response]:
    """Sends a call in one and the same second."""
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


def test_events_of_a_repeated_stream_have_the_time_of_their_second(
    emulator: Emulator, again: Callable[..., httpx2.Response]
) -> None:
    stream = {"model": "gpt-image-2", "prompt": "a fox", "stream": True, "partial_images": 2}

    def created() -> list[int]:
        return [int(event["created_at"]) for _, event in frames(again(stream).text)]

    now = int(NOON.timestamp())
    assert [created() for _ in range(3)] == [[now] * 3] * 3
    emulator.clock.advance(seconds=1)
    assert [created() for _ in range(3)] == [[now + 1] * 3] * 3


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
    assert again(body).status_code == 400
    server.emulator.configure(as_of="any")
    repeated()
    assert again(body, x_emulator_as_of="2020-01-01").status_code == 400
    error_of(again(body, authorization="Basic x"), 401)
    error_of(again(body, content_type="text/plain"))
    error_of(again(body | {"n": 11}))
    assert again(body, x_emulator_fault="server_error").status_code == 500
    assert again(body | {"prompt": "a fox [[emulator: server_error]]"}).status_code == 500
    repeated()
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


def test_a_limit_counts_each_call() -> None:
    with (
        Server(Settings(port=0, rate_limit="3/min")) as server,
        httpx2.Client(base_url=server.url, headers={"Authorization": "Bearer x"}) as http,
    ):
        statuses = [http.post(GENERATIONS, json=SMALL).status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]


@pytest.mark.parametrize("body", [SMALL, UNIQUE], ids=["the same", "with ids of its own"])
def test_an_answer_that_is_kept_weighs_its_pictures(
    emulator: Emulator, again: Callable[..., httpx2.Response], body: dict[str, Any]
) -> None:
    for _ in range(3):
        (item,) = again(body).json()["data"]
    assert emulator.answers.weight > len(item["b64_json"])


def test_without_a_cache_nothing_is_known() -> None:
    with (
        Server(Settings(port=0, cache=0)) as server,
        httpx2.Client(base_url=server.url, headers={"Authorization": "Bearer x"}) as http,
    ):
        bodies = [http.post(GENERATIONS, json=SMALL).json()["data"] for _ in range(3)]
    assert bodies[0] == bodies[1] == bodies[2]
