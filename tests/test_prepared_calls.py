"""Prepared calls: a call that comes again is not validated again, and nobody can tell."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx2
import pytest
from openai import OpenAI
from starlette.types import Message

from images_emulator import Emulator, Server, Settings, create_app
from images_emulator.contract.azure import AZURE
from images_emulator.contract.dialect import OPENAI
from images_emulator.contract.http_headers import header_value
from images_emulator.contract.validation import validate
from images_emulator.web import journal_middleware
from images_emulator.web.prepared_call import PreparedCall
from tests.answers import error_of
from tests.pictures import png
from tests.test_streams import read_events

GENERATIONS = "/v1/images/generations"
SMALL = {"model": "dall-e-2", "prompt": "a fox", "size": "256x256", "response_format": "b64_json"}
UNIQUE = {"model": "gpt-image-2.6-sunburst", "prompt": "a fox", "size": "1024x1024"}
OWN = {"x-request-id", "openai-processing-ms", "date"}
"""The headers that no two answers share."""

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def validations(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The calls that were validated."""
    calls = []

    def count(call: Any, *arguments: Any) -> Any:
        calls.append(call)
        return validate(call, *arguments)

    monkeypatch.setattr("images_emulator.web.images_api.validate", count)
    return calls


def test_a_call_is_validated_once_a_day(
    emulator: Emulator, again: Callable[..., httpx2.Response], validations: list[Any]
) -> None:
    for _ in range(3):
        assert again().status_code == 200
        emulator.clock.advance(seconds=1)
    assert len(validations) == 1
    emulator.clock.advance(hours=24)
    assert again().status_code == 200
    assert len(validations) == 2


def test_a_reset_forgets_prepared_calls(
    emulator: Emulator, again: Callable[..., httpx2.Response], validations: list[Any]
) -> None:
    again()
    emulator.reset()
    again()
    assert len(validations) == 2


@pytest.mark.parametrize(
    "change", [{"x_emulator_as_of": "2026-01-01"}, {"x_emulator_validation": "lenient"}]
)
def test_policy_is_a_part_of_the_cache_key(
    again: Callable[..., httpx2.Response], validations: list[Any], change: dict[str, str]
) -> None:
    for headers in ({}, change, {}, change):
        again(**headers)
    assert len(validations) == 2


def test_dialect_is_a_part_of_the_cache_key(
    again: Callable[..., httpx2.Response],
    validations: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for dialect in (OPENAI, AZURE) * 2:
        monkeypatch.setattr(journal_middleware, "dialect_at", lambda path, dialect=dialect: dialect)
        assert again().status_code == 200
    assert len(validations) == 2


def test_headers_that_decide_nothing_are_no_part_of_the_key(
    again: Callable[..., httpx2.Response], validations: list[Any]
) -> None:
    for number in range(3):
        again(x_stainless_retry_count=str(number), authorization=f"Bearer {number}")
    assert len(validations) == 1


@pytest.mark.parametrize(("method", "status"), [("GET", 409), ("HEAD", 409), ("POST", 405)])
def test_the_storage_answers_by_itself(http: httpx2.Client, method: str, status: int) -> None:
    assert http.request(method, "/private/images/generations").status_code == status


@pytest.fixture
def again(emulator: Emulator, http: httpx2.Client) -> Callable[..., httpx2.Response]:
    """Sends a call in one and the same second."""
    emulator.clock.freeze(NOON)

    def send(body: dict[str, Any] = SMALL, **headers: str) -> httpx2.Response:
        raw_headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return http.post(GENERATIONS, json=body, headers=raw_headers)

    return send


@pytest.mark.parametrize("body", [SMALL, UNIQUE], ids=["the same", "with ids of its own"])
def test_the_same_call_gets_the_same_answer(
    emulator: Emulator, again: Callable[..., httpx2.Response], body: dict[str, Any]
) -> None:
    calls = [again(body) for _ in range(4)]
    payloads = [each.json() for each in calls]
    identities = [item.pop("generation_id", None) for each in payloads for item in each["data"]]
    assert len(set(identities)) == (4 if body is UNIQUE else 1)
    assert all(each == payloads[0] for each in payloads)
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
    seen = [
        (each.details, each.body, each.drawn_request, each.status, each.headers) for each in entries
    ]
    assert len(seen) == 4
    assert all(each == seen[0] for each in seen)
    assert entries[-1].prompt == "a fox"
    assert entries[-1].drawn_request


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
        return [int(event["created_at"]) for _, event in read_events(again(stream).text)]

    now = int(NOON.timestamp())
    assert [created() for _ in range(3)] == [[now] * 3] * 3
    emulator.clock.advance(seconds=1)
    assert [created() for _ in range(3)] == [[now + 1] * 3] * 3


@pytest.mark.parametrize("body", [SMALL, UNIQUE], ids=["the same", "with ids of its own"])
def test_change_of_settings_changes_a_cached_answer_at_once(
    server: Server, again: Callable[..., httpx2.Response], body: dict[str, Any]
) -> None:
    def repeated() -> httpx2.Response:
        calls = [again(body) for _ in range(3)]
        assert {each.status_code for each in calls} == {200}
        return calls[-1]

    repeated()
    server.emulator.configure(as_of="2026-06-01")
    assert again(body).status_code == 400
    server.emulator.configure(as_of="any")
    repeated()
    assert again(body, x_emulator_as_of="2026-06-01").status_code == 400
    error_of(again(body, authorization="Basic x"), 401)
    error_of(again(body, content_type="text/plain"))
    error_of(again(body | {"n": 11}))
    assert again(body, x_emulator_fault="server_error").status_code == 500
    assert again(body | {"prompt": "a fox [[emulator: server_error]]"}).status_code == 500
    repeated()
    server.inject("server_error")
    assert again(body).status_code == 500
    repeated()


@pytest.mark.parametrize("way", ["header", "directive"])
def test_a_fault_is_met_each_time(
    server: Server, again: Callable[..., httpx2.Response], way: str
) -> None:
    fault = "malformed what=picture"
    for _ in range(4):
        if way == "header":
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


def test_streams_of_the_same_request_share_the_bytes_of_an_event_for_a_second(
    emulator: Emulator, again: Callable[..., httpx2.Response]
) -> None:
    stream = {"model": "gpt-image-2", "prompt": "a fox", "stream": True, "partial_images": 1}
    first = again(stream)
    weight = emulator.prepared_calls.weight
    assert weight > len(first.content)
    assert again(stream).content == first.content
    assert emulator.prepared_calls.weight == weight
    emulator.clock.advance(seconds=1)
    assert again(stream).content != first.content


def test_a_stream_that_no_other_call_can_share_is_not_kept(
    emulator: Emulator, http: httpx2.Client
) -> None:
    weight = emulator.prepared_calls.weight
    fields = {"model": "gpt-image-2", "prompt": "a fox", "stream": "true", "partial_images": "1"}
    files = {"image": ("a.png", png(), "image/png")}
    with http.stream("POST", "/v1/images/edits", data=fields, files=files) as answer:
        events = answer.read()
    assert b"image_edit.completed" in events
    assert emulator.prepared_calls.weight == weight


def test_events_in_the_cache_keep_no_request(
    emulator: Emulator, again: Callable[..., httpx2.Response]
) -> None:
    stream = {"model": "gpt-image-2", "prompt": "a fox of its own", "stream": True}
    again(stream)
    keys = [key for key in emulator.prepared_calls._entries if isinstance(key, tuple)]
    assert keys
    assert not any(isinstance(part, PreparedCall) for key in keys for part in key)


def test_a_prepared_request_weighs_its_body(
    emulator: Emulator, again: Callable[..., httpx2.Response]
) -> None:
    again(SMALL | {"prompt": "x" * 1000})
    assert emulator.prepared_calls.weight > 8 * 1000


def test_a_prepared_request_weighs_its_media_type(
    emulator: Emulator, again: Callable[..., httpx2.Response]
) -> None:
    again(SMALL, **{"content-type": f"application/json; x={'y' * 50_000}"})
    assert emulator.prepared_calls.weight > 50_000


def answered_requests(emulator: Emulator) -> int:
    """The number of prepared calls that keep a copy for an own answer."""
    entries = [value for value, _ in emulator.prepared_calls._entries.values()]
    return sum(bool(each._last_copy) for each in entries if isinstance(each, PreparedCall))


@pytest.mark.slow
def test_a_prepared_request_keeps_own_pictures_no_longer_than_their_answer(
    server: Server, emulator: Emulator, again: Callable[..., httpx2.Response]
) -> None:
    server.answer(png())
    again()
    assert answered_requests(emulator) == 1
    emulator.scenario.clear()
    server.answer(png(), match={"prompt": "of another call"})
    again()
    gc.collect()
    assert answered_requests(emulator) == 0


@pytest.mark.not_on_redis("a shared one takes no functions")
def test_a_prepared_request_keeps_no_picture_of_a_function(
    server: Server, emulator: Emulator, again: Callable[..., httpx2.Response]
) -> None:
    server.answer(lambda request, index: png())
    assert again().status_code == 200
    assert answered_requests(emulator) == 0


@pytest.mark.not_on_redis("a shared one takes no functions")
def test_events_with_the_picture_of_a_function_are_not_kept(
    server: Server, emulator: Emulator, client: OpenAI
) -> None:
    """No other call has the same event."""

    def weight() -> int:
        return int(emulator.prepared_calls.weight)

    server.answer(lambda request, index: png((512, 512)))
    stream = client.images.generate(model="gpt-image-2", prompt="x", stream=True)
    events = [len(event.b64_json) for event in stream]
    assert weight() < sum(events)


async def test_settings_that_change_before_the_body_has_come_count() -> None:
    emulator = Emulator()
    app = create_app(emulator)
    statuses = []

    async def call(before_the_body: Callable[[], None]) -> int:
        async def receive() -> Message:
            before_the_body()
            body = json.dumps(SMALL).encode()
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        scope = {"type": "http", "method": "POST", "path": GENERATIONS, "query_string": b""}
        headers = [(b"authorization", b"Bearer x"), (b"content-type", b"application/json")]
        await app({**scope, "headers": headers}, receive, send)
        return int(statuses[-1])

    assert await call(partial(emulator.configure, as_of="2026-06-01")) == 400
    emulator.configure(as_of="any")
    assert await call(partial(emulator.scenario.inject, "server_error")) == 500
    emulator.close()


def test_without_a_cache_nothing_is_known() -> None:
    with (
        Server(Settings(port=0, cache=0)) as server,
        httpx2.Client(base_url=server.url, headers={"Authorization": "Bearer x"}) as http,
    ):
        bodies = [http.post(GENERATIONS, json=SMALL).json()["data"] for _ in range(3)]
    assert bodies[0] == bodies[1] == bodies[2]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('it\'s "so" \\ here', b'it\'s "so" \\ here'),
        ("a\r\nb: 1", rb"a\r\nb: 1"),
        ("Straße \U0001f98a", rb"Stra\xdfe \U0001f98a"),
        ("x" * 5000, b"x" * 4096),
    ],
    ids=repr,
)
def test_a_header_of_the_emulators_own_is_visible_ascii(text: str, value: bytes) -> None:
    assert header_value(text) == value
