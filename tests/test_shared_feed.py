"""The live feed of servers that share a store: each tells of the calls that the others answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

import httpx2
import pytest
from redis.asyncio.client import PubSub

from images_emulator import Server
from images_emulator.contract.operations import GENERATIONS
from images_emulator.exchange.request_head import RequestHead
from images_emulator.exchange.served_exchange import ServedExchange
from images_emulator.state.journal import Journal
from images_emulator.state.redis import redis_client, redis_subscription
from images_emulator.state.redis.redis_address import RedisAddress
from images_emulator.state.store import LogChange
from images_emulator.web.admin import live_feed
from tests.conftest import KEY
from tests.feed_listener import listening
from tests.redis_server import RedisServer, missing_part, new_store_name, shared_redis

pytestmark = [
    pytest.mark.skipif(bool(missing_part()), reason=missing_part()),
    pytest.mark.not_on_redis("its servers have a store of their own"),
]

BODY: Final = {"model": "dall-e-2", "prompt": "x", "size": "256x256"}

Replicas = tuple[Server, Server]


@pytest.fixture(autouse=True)
def short_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_feed, "GATHER_SECONDS", 0.01)
    monkeypatch.setattr(live_feed, "SECONDS_PER_CALL", 0.001)


@pytest.fixture
def replicas() -> Iterator[Replicas]:
    settings: dict[str, Any] = {"store": shared_redis().url, "store_name": new_store_name()}
    with Server(**settings) as one, Server(**settings) as other:
        yield one, other


@pytest.fixture
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(headers={"Authorization": f"Bearer {KEY}"}, timeout=30) as http:
        yield http


def generate(http: httpx2.Client, server: Server, **fields: Any) -> str:
    """Make a call and return its id."""
    answer = http.post(f"{server.url}{GENERATIONS.path}", json={**BODY, **fields})
    return str(answer.headers["x-request-id"])


def test_call_of_another_server_is_told_as_the_list_of_calls_shows_it(
    replicas: Replicas, http: httpx2.Client
) -> None:
    one, other = replicas
    with listening(one.url) as listener:
        identity = generate(http, other)
        event = listener.until("completed")
    (shown,) = http.get(f"{one.url}/_emulator/requests").json()["requests"]
    assert event.data == shown
    assert event.data["id"] == identity


async def test_log_tells_of_what_other_processes_do_to_it() -> None:
    from images_emulator.state.redis.redis_store import RedisStore  # noqa: PLC0415 - an extra

    namespace = new_store_name()
    changes: asyncio.Queue[LogChange] = asyncio.Queue()
    stores = [RedisStore(shared_redis().url, namespace) for _ in range(2)]
    own, foreign = (Journal(store, 10, 2**20) for store in stores)
    watching = asyncio.ensure_future(own.watch(changes.put_nowait))
    assert await changes.get() == LogChange("gap")
    for name, journal in (("own", own), ("foreign", foreign)):
        call = ServedExchange(RequestHead("GET", "/v1/models", b"", []), name, datetime.now(UTC))
        await journal.append(call)
        await journal.complete(call)
        await asyncio.to_thread(journal.clear)
    assert [await changes.get() for _ in range(3)] == [
        LogChange("added", "foreign"),
        LogChange("amended", "foreign"),
        LogChange("cleared"),
    ]
    watching.cancel()
    # Its connection is closed before its event loop.
    await asyncio.wait([watching])
    for store in stores:
        await store.disconnect()
        store.close()


async def test_journal_knows_at_each_arrival_whether_another_process_watches() -> None:
    from images_emulator.state.redis.redis_store import RedisStore  # noqa: PLC0415 - an extra

    namespace = new_store_name()
    stores = [RedisStore(shared_redis().url, namespace) for _ in range(2)]
    own, foreign = (Journal(store, 100, 2**20) for store in stores)

    async def watch(journal: Journal) -> asyncio.Task[None]:
        changes: asyncio.Queue[LogChange] = asyncio.Queue()
        watching = asyncio.ensure_future(journal.watch(changes.put_nowait))
        assert await changes.get() == LogChange("gap")
        return watching

    async def end(watching: asyncio.Task[None]) -> None:
        watching.cancel()
        await asyncio.wait([watching])

    async def arrive(name: str) -> None:
        call = ServedExchange(RequestHead("GET", "/v1/models", b"", []), name, datetime.now(UTC))
        await own.append(call)
        await own.complete(call)

    def is_observed() -> bool:
        return own.is_observed

    foreign_watching = await watch(foreign)
    await arrive("watched")
    own_watching = await watch(own)
    assert is_observed(), "by the other, also now that this process watches, too"
    await end(foreign_watching)
    numbers = count()
    while is_observed():  # Redis has not noticed yet
        await arrive(f"call {next(numbers)}")
    await end(own_watching)
    assert not is_observed(), "its own watcher that has gone is no other one"
    for store in stores:
        await store.disconnect()
        store.close()


@pytest.mark.slow
def test_stream_of_another_server_is_told_as_it_goes_on(
    replicas: Replicas, http: httpx2.Client
) -> None:
    one, other = replicas
    body = {"model": "gpt-image-2", "prompt": "x", "stream": True, "partial_images": 2}
    fault = {"x-emulator-fault": "stall;after=1"}
    with listening(one.url) as listener:
        path = f"{other.url}{GENERATIONS.path}"
        with http.stream("POST", path, json=body, headers=fault) as answer:
            identity = answer.headers["x-request-id"]
            arrived = listener.until("arrived")
            assert (arrived.data["id"], arrived.data["duration_ms"]) == (identity, None)
            event = listener.until("event").data
            assert (event["id"], event["index"]) == (identity, 0)
            assert event["type"] == "image_generation.partial_image"
            partial = httpx2.get(one.url + event["partial"])
            assert len(partial.content) * 4 // 3 < event["bytes"]
            assert httpx2.get(one.url + event["thumbnail"]).status_code == 200
        completed = listener.until("completed").data
    assert (completed["id"], completed["outcome"], completed["event_count"]) == (
        identity,
        "gone",
        1,
    )


def test_stream_is_written_once_more_only_for_others_that_watch(
    replicas: Replicas, http: httpx2.Client
) -> None:
    one = replicas[0]
    body = {"model": "gpt-image-2", "prompt": "x", "stream": True, "partial_images": 2}
    logs = [server.emulator.journal for server in replicas]
    with listening(one.url):
        for server in replicas:
            http.post(f"{server.url}{GENERATIONS.path}", json=body)
        assert [log.is_observed for log in logs] == [True, True]
        assert [bool(log.observers) for log in logs] == [True, False]
        assert [log._log.is_watched for log in logs] == [False, True]
    assert not any(log._drafts for log in logs)
    assert [call.event_count for call in one.requests] == [3, 3]


@pytest.mark.slow
def test_clearing_by_another_server_is_told(replicas: Replicas, http: httpx2.Client) -> None:
    one, other = replicas
    with listening(one.url) as listener:
        generate(http, other)
        listener.until("completed")
        http.delete(f"{other.url}/_emulator/requests")
        assert listener.until("cleared").data == {"what": "requests"}
        other.reset()
        while listener.until("cleared").data != {"what": "all"}:
            pass


def test_calls_by_which_a_step_is_met_elsewhere_are_told(
    replicas: Replicas, http: httpx2.Client
) -> None:
    one, other = replicas
    one.inject("server_error", times=2)
    with listening(one.url) as listener:
        for met in (1, 2):
            generate(http, other)
            (step,) = listener.until("scenario").data["steps"]
            assert step["met"] == met


@pytest.mark.slow
def test_reader_starts_again_when_the_store_is_back(
    http: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_client, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(redis_subscription, "RECONNECT_SECONDS", 0.01)
    redis = RedisServer()
    settings: dict[str, Any] = {"store": redis.url, "store_name": new_store_name()}
    with Server(**settings) as one, Server(**settings) as other, listening(one.url) as listener:
        redis.kill()
        redis.start()
        assert listener.until("restart").data == {}
        # Its connection, which Redis has closed, is still to be noticed by the other server.
        answered = [generate(http, other, response_format="b64_json") for _ in range(3)]
        assert listener.until("completed").data["id"] in answered
    redis.close()


@pytest.mark.slow
def test_first_reader_does_not_wait_for_a_store_that_is_away(
    http: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_feed, "WATCH_SECONDS", 0.05)
    redis = RedisServer()
    with Server(store=redis.url) as server:
        redis.kill()
        with listening(server.url) as listener:
            assert listener.first.name == ""
            redis.start()
            assert listener.until("restart").data == {}
    redis.close()


@pytest.mark.slow
def test_feed_hears_what_comes_after_a_quiet_while(
    replicas: Replicas, http: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    pings, enough = count(1), threading.Event()
    ping = PubSub.ping

    def counted(subscription: PubSub, message: Any = None) -> Any:
        if next(pings) == 3:
            enough.set()
        return ping(subscription, message)

    monkeypatch.setattr(redis_subscription, "QUIET_SECONDS", 0.5)
    monkeypatch.setattr(PubSub, "ping", counted)
    one, other = replicas
    with listening(one.url) as listener:
        assert enough.wait(30)
        identity = generate(http, other)
        event = listener.next()
        while event.name == "arrived":
            event = listener.next()
    # It has not connected anew, which would be a restart.
    assert (event.name, event.data["id"]) == ("completed", identity)


@pytest.mark.slow
def test_store_that_replies_to_nothing_is_noticed_by_the_feed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(redis_subscription, "QUIET_SECONDS", 0.1)
    monkeypatch.setattr(redis_subscription, "RECONNECT_SECONDS", 0.01)
    redis, connects_anew = RedisServer(), threading.Event()
    connect = RedisAddress.subscriber

    def noted(*arguments: Any, **options: Any) -> Any:
        connects_anew.set()
        return connect(*arguments, **options)

    with Server(store=redis.url) as server, listening(server.url) as listener:
        monkeypatch.setattr(RedisAddress, "subscriber", noted)
        redis.pause()
        assert connects_anew.wait(30)
        redis.resume()
        assert listener.until("restart").data == {}
    redis.close()
