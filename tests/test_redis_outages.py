"""Redis goes and comes, is full or refuses: which calls go on meanwhile, and what follows later."""

from __future__ import annotations

import asyncio
import base64
import logging
import re
import socket
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock

import httpx2
import pytest
from PIL import Image

from images_emulator import Emulator, Server, create_app
from images_emulator.contract import emulator_errors
from images_emulator.contract.refusal import APIError
from images_emulator.exchange.exchange import Exchange
from images_emulator.state.hosting import Hosting
from images_emulator.state.store import ClaimCount, StoreEvent
from images_emulator.web.fault_search import FaultSearch
from tests.pictures import encoded, opened, png
from tests.redis_server import (
    RedisServer,
    missing_part,
    new_store_name,
    shared_redis,
    stoppable_redis,
)
from tests.replicas import BODY, NOW, RECOVERY_SECONDS, client_with_key, generate, replicas_of
from tests.stores import NUMBER, log_of, lone_redis_store
from tests.waiting import until

if TYPE_CHECKING:
    from images_emulator.state.redis.redis_store import RedisStore

pytestmark = [
    pytest.mark.skipif(bool(missing_part()), reason=missing_part()),
    pytest.mark.not_on_redis("its servers have a store of their own"),
]

http = pytest.fixture(client_with_key)
redis_server = pytest.fixture(stoppable_redis)
lone_store = pytest.fixture(lone_redis_store)


# --- Redis is full


@pytest.mark.slow
def test_answer_whose_pictures_are_not_stored_is_a_503_with_one_entry(
    redis_server: RedisServer, http: httpx2.Client
) -> None:
    with Server(store=redis_server.url) as server:
        assert generate(http, server).status_code == 200
        redis_server.command("CONFIG SET maxmemory 1")
        for headers in ({}, {"x-emulator-fault": "slow_body;bytes_per_second=100000"}):
            refused = http.post(f"{server.base_url}/images/generations", json=BODY, headers=headers)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert refused.json()["error"]["code"] == "store_unavailable"
        redis_server.command("CONFIG SET maxmemory 0")
        until(lambda: generate(http, server).status_code == 200)
        calls = server.requests
        assert calls[-1].status == 200
        assert [call.outcome for call in calls[:3]] == ["answered", "refused", "refused"]
        assert {call.error_code for call in calls[1:3]} == {"store_unavailable"}


def test_the_503_in_place_of_an_own_answer_has_no_value_of_it(
    redis_server: RedisServer, http: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = Hosting.publish

    def publish_in_vain(*arguments: Any, **options: Any) -> Any:
        targets, write = publish(*arguments, **options)
        write.close()

        async def fail() -> None:
            raise emulator_errors.store_unavailable(url="redis:", reason="it has no memory")

        return targets, fail()

    monkeypatch.setattr(Hosting, "publish", publish_in_vain)
    with Server(store=redis_server.url) as server:
        server.answer(headers={"x-request-id": "req_mine"}, created=7)
        refused = generate(http, server)
        (call,) = server.calls()
        assert (refused.status_code, call.own_answer) == (503, None)
        assert refused.headers["x-request-id"] == call.id


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault", ["truncated", "truncated;after_bytes=0", "connection_reset;after_bytes=3"]
)
def test_a_cut_answer_whose_pictures_are_not_stored_is_a_503_that_is_cut(
    redis_server: RedisServer, http: httpx2.Client, fault: str
) -> None:
    with Server(store=redis_server.url) as server:
        assert generate(http, server).status_code == 200
        redis_server.command("CONFIG SET maxmemory 1")
        headers = {"x-emulator-fault": fault}
        with pytest.raises(httpx2.TransportError):
            http.post(f"{server.base_url}/images/generations", json=BODY, headers=headers)
        redis_server.command("CONFIG SET maxmemory 0")
        until(lambda: generate(http, server).status_code == 200)
        call = server.requests[1]
        assert (call.status, call.outcome) == (503, "cut")


@pytest.mark.slow
def test_a_reset_makes_room_in_a_redis_that_is_full(
    redis_server: RedisServer, http: httpx2.Client
) -> None:
    picture = ("noise.png", encoded(Image.effect_noise((1000, 1000), 100)), "image/png")
    with Server(store=redis_server.url) as server:
        for _ in range(3):
            form = {"model": "gpt-image-1", "prompt": "x"}
            edit = http.post(f"{server.base_url}/images/edits", data=form, files={"image": picture})
            assert edit.status_code == 200
        # Much less than the uploads in the journal take.
        redis_server.command("CONFIG SET maxmemory 5000000")
        # Entries of the journal have to wait; the second is refused a moment before the reset.
        for _ in range(2):
            assert generate(http, server, response_format="b64_json").status_code == 200
        assert http.post(f"{server.url}/_emulator/reset").status_code == 200
        assert generate(http, server).status_code == 200
        assert len(server.requests) == 1


@pytest.mark.slow
def test_a_body_that_redis_refuses_is_left_out_of_the_journal(http: httpx2.Client) -> None:
    redis = RedisServer("--proto-max-bulk-len", "1mb")
    upload = encoded(Image.frombytes("RGB", (700, 700), Random(1).randbytes(1_470_000)))
    try:
        with Server(store=redis.url) as server:
            form: Any = {
                "data": {"response_format": "b64_json"},
                "files": {"image": ("a.png", upload)},
            }
            for _ in range(2):
                assert http.post(f"{server.base_url}/images/variations", **form).json()["data"]

            def are_there() -> bool:
                # Redis closes the connection on which it has refused something.
                with suppress(APIError):
                    facts = [(call.outcome, [*call.dropped]) for call in server.requests]
                    return facts == [("answered", ["body", "pictures"])] * 2
                return False

            until(are_there)
    finally:
        redis.close()


# --- calls that fail or are cancelled


def test_call_that_fails_while_its_fault_is_looked_for_is_complete_in_the_journal(
    redis_server: RedisServer, http: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(*_: Any) -> None:
        raise MemoryError

    with Server(store=redis_server.url) as server:
        server.inject("server_error", match={"path": "/v1/models"})
        monkeypatch.setattr(FaultSearch, "_search_early", failing)
        monkeypatch.setattr(logging.getLogger("images_emulator"), "disabled", True)
        answered = generate(http, server)
        (call,) = server.requests
        assert (answered.status_code, call.status, call.outcome) == (500, 500, "refused")
        assert answered.headers["x-request-id"] == call.id


def test_a_download_that_fails_in_the_emulator_is_complete_in_the_journal(
    http: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> Any:
        raise KeyError("a mistake of the emulator's own")

    with Server(store=shared_redis().url, store_name=new_store_name()) as server:
        url = generate(http, server).json()["data"][0]["url"]
        monkeypatch.setattr("images_emulator.state.redis.redis_records.RedisRecords.get", fail)
        monkeypatch.setattr(logging.getLogger("images_emulator"), "disabled", True)
        assert [http.get(url).status_code for _ in range(3)] == [500] * 3
        downloads = server.emulator.journal.find()[1:]
        assert [each.outcome for each in downloads] == ["refused"] * 3
        assert not server.emulator.journal._open_calls


class Arrivals:
    """Observes the arrivals and completions of calls."""

    def __init__(self, on_arrival: Callable[[], object] = lambda: None) -> None:
        self.told: list[str] = []
        self._on_arrival = on_arrival

    def on_arrival(self, exchange: Exchange) -> None:
        self.told.append("arrived")
        self._on_arrival()

    def on_event(self, exchange: Exchange, index: int) -> None: ...

    def on_completion(self, exchange: Exchange) -> None:
        self.told.append("completed")

    def on_clear(self) -> None: ...


@pytest.mark.parametrize("path", ["/v1/models", "/private/org-x/a.png"])
@pytest.mark.parametrize("has_arrived", [False, True])
async def test_a_call_that_is_cancelled_while_it_is_written_to_redis_is_completed(
    redis_server: RedisServer, path: str, has_arrived: bool
) -> None:
    from images_emulator.state.redis.redis_store import RedisStore  # noqa: PLC0415 - an extra

    store = RedisStore(redis_server.url)
    emulator = await asyncio.to_thread(lambda: Emulator(store=store))
    observer = Arrivals(redis_server.pause if has_arrived else lambda: None)
    emulator.journal.observers = (observer,)
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
        "state": {},
    }
    await store.refresh()  # a connection is open
    if not has_arrived:
        redis_server.pause()
    call = asyncio.ensure_future(create_app(emulator)(scope, AsyncMock(), AsyncMock()))
    while not (observer.told if has_arrived else emulator.journal._open_calls):  # noqa: ASYNC110 - nothing tells when
        await asyncio.sleep(0)
    await asyncio.sleep(0.05)  # the entry is on its way, or its amendment
    call.cancel()
    await asyncio.sleep(0)
    redis_server.resume()
    await asyncio.wait([call])
    (entry,) = await asyncio.to_thread(emulator.journal.find)
    assert call.cancelled()
    assert entry.outcome != "waiting"
    assert not emulator.journal._open_calls
    assert observer.told == ["arrived", "completed"]
    await store.disconnect()
    await asyncio.to_thread(emulator.close)
    await asyncio.to_thread(store.close)


# --- Redis goes and comes


@pytest.mark.slow
def test_calls_that_need_no_store_go_on_without_redis_and_the_others_are_refused(
    redis_server: RedisServer, http: httpx2.Client
) -> None:
    for one, other in replicas_of(redis_server.url):
        until(lambda: http.get(f"{one.url}/_emulator/ready").status_code == 200)  # noqa: B023
        assert generate(http, one, prompt="before").status_code == 200
        redis_server.kill()
        picture = generate(http, one, prompt="meanwhile", response_format="b64_json")
        assert picture.status_code == 200
        assert opened(base64.b64decode(picture.json()["data"][0]["b64_json"])).size == (256, 256)
        refused = generate(http, one)
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        error = refused.json()["error"]
        assert error["code"] == "store_unavailable"
        assert redis_server.url in error["message"]
        for path in ("ready", "requests"):
            answer = http.get(f"{one.url}/_emulator/{path}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (
                503,
                "store_unavailable",
            )
        redis_server.start()
        until(lambda: generate(http, one, prompt="after").status_code == 200)  # noqa: B023
        # What Redis has lost is gone; what was not written yet follows, and before it is read here.
        until(lambda: [call.prompt for call in one.requests][-1:] == ["after"])  # noqa: B023
        prompts = [call.prompt for call in other.requests]
        assert prompts[0] == "meanwhile"
        assert prompts[-1] == "after"
        until(lambda: http.get(f"{other.url}/_emulator/ready").status_code == 200)  # noqa: B023


def no_replicas(redis: RedisServer) -> socket.socket | None:
    redis.command("CONFIG SET min-replicas-to-write 1")
    return None


def no_master(redis: RedisServer) -> socket.socket | None:
    redis.command("CONFIG SET replica-serve-stale-data no")
    redis.command("REPLICAOF 127.0.0.1 1")
    return None


def a_long_script(redis: RedisServer) -> socket.socket | None:
    redis.command("CONFIG SET busy-reply-threshold 1")
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(redis.url.removeprefix("unix://"))
    connection.sendall(b"EVAL 'while true do end' 0\r\n")
    until(lambda: redis.command("PING").startswith(b"-BUSY"))
    return connection


@pytest.mark.slow
@pytest.mark.parametrize(
    ("refuse", "recovery", "reason"),
    [
        (no_replicas, "CONFIG SET min-replicas-to-write 0", "NOREPLICAS"),
        (no_master, "REPLICAOF NO ONE", "MASTERDOWN|Link with MASTER is down"),
        (a_long_script, "SCRIPT KILL", "BUSY"),
    ],
)
def test_calls_that_need_no_store_go_on_while_redis_refuses_all_writes(
    redis_server: RedisServer,
    http: httpx2.Client,
    refuse: Callable[[RedisServer], socket.socket | None],
    recovery: str,
    reason: str,
) -> None:
    with Server(store=redis_server.url) as server:
        assert generate(http, server).status_code == 200
        connection = refuse(redis_server)
        drawn = generate(http, server, prompt="meanwhile", response_format="b64_json")
        assert drawn.status_code == 200
        refused = generate(http, server)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert re.search(reason, refused.json()["error"]["message"])
        assert redis_server.command(recovery) == b"+OK\r\n"
        until(lambda: generate(http, server, prompt="after").status_code == 200)
        assert "meanwhile" in [call.prompt for call in server.requests]
        if connection:
            connection.close()


def test_each_call_that_needs_the_store_is_refused_while_it_is_away(
    redis_server: RedisServer, http: httpx2.Client
) -> None:
    settings: dict[str, Any] = {"store": redis_server.url, "store_name": new_store_name()}
    with Server(**settings) as server, Server(**settings, rate_limit="9/min") as limited:
        picture = generate(http, server).json()["data"][0]["url"]
        server.inject("server_error", match={"prompt": "fail"})
        http.get(f"{server.url}/_emulator/scenario")
        redis_server.kill()
        b64 = {"response_format": "b64_json"}
        form: Any = {
            "files": {"file": ("a.png", png(), "image/png")},
            "data": {"purpose": "vision"},
        }
        for answer in (
            http.get(picture),
            http.get(f"{server.base_url}/files"),
            http.post(f"{server.base_url}/files", **form),
            generate(http, server, prompt="fail", **b64),
            generate(http, limited, **b64),
            http.get(f"{server.url}/_emulator/scenario"),
            http.post(f"{server.url}/_emulator/clock", json={"advance": 1}),
            http.patch(f"{server.url}/_emulator/settings", json={"validation": "lenient"}),
            http.post(f"{server.url}/_emulator/reset"),
        ):
            assert answer.status_code == 503, answer.url
            assert answer.headers["retry-after"] == "1"
            assert "cannot be used" in answer.text
        assert generate(http, server, **b64).status_code == 200


def test_registers_that_redis_has_lost_are_restored_from_the_replicas(
    redis_server: RedisServer, http: httpx2.Client
) -> None:
    for one, other in replicas_of(redis_server.url):
        one.clock.freeze(NOW)
        one.inject("error", status=418, times=None)
        assert generate(http, other).status_code == 418
        redis_server.command("FLUSHALL")
        for server in (other, one):
            assert generate(http, server).status_code == 418
            assert server.clock.now() == NOW
        other.clock.advance(hours=1)
        other.emulator.scenario.clear()
        answer = generate(http, one)
        assert answer.json()["created"] == (NOW + timedelta(hours=1)).timestamp()
        picture = answer.json()["data"][0]["url"]
        assert http.get(picture.replace(one.url, other.url)).status_code == 200


@pytest.mark.slow
def test_calls_do_not_hang_where_redis_replies_to_nothing(
    redis_server: RedisServer, http: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images_emulator.state.redis.redis_pool.TIMEOUT_SECONDS", 1)
    with Server(store=redis_server.url) as server:
        generate(http, server, prompt="before")
        redis_server.pause()
        answer = generate(http, server, prompt="meanwhile", response_format="b64_json")
        assert answer.status_code == 200
        assert generate(http, server).status_code == 503
        redis_server.resume()
        until(lambda: generate(http, server, prompt="after").status_code == 200)
        prompts = [call.prompt for call in server.requests]
        assert [prompts[0], prompts[1], prompts[-1]] == ["before", "meanwhile", "after"]
        # Redis got the entries that it had not replied to, and got them again.
        assert server.emulator.journal.dropped_count() == 0


@pytest.mark.slow
def test_faults_that_calls_claimed_while_redis_paused_are_met_by_others(
    redis_server: RedisServer, http: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images_emulator.state.redis.redis_pool.TIMEOUT_SECONDS", 1)
    for servers in replicas_of(redis_server.url):
        paths = [f"{server.base_url}/models" for server in servers]
        for path in paths:
            http.get(path)
        servers[0].inject("server_error", times=2)
        for server in servers:
            http.get(f"{server.url}/_emulator/scenario")  # reads the steps
        redis_server.pause()
        with ThreadPoolExecutor(8) as pool:
            statuses = pool.map(lambda path: http.get(path).status_code, paths * 4)
            assert {*statuses} == {503}
        # Redis gets these claims now, though nobody waits for them any more.
        redis_server.resume()
        met: Counter[int] = Counter()

        def both_met() -> bool:
            met.update(http.get(path).status_code for path in paths)  # noqa: B023
            return met[500] == 2  # noqa: B023

        until(both_met)
        later = {http.get(path).status_code for path in paths * 8}
        # One that waits for Redis for too long is refused.
        assert {200} <= later <= {200, 503}
        shown: list[Any] = []

        def is_shown() -> bool:
            answer = http.get(f"{servers[1].url}/_emulator/scenario")  # noqa: B023
            shown.append(answer.json())  # noqa: B023
            return answer.status_code == 200

        until(is_shown)
        (step,) = shown[-1]["steps"]
        assert (step["met"], step["spent"]) == (2, True)


@pytest.mark.slow
def test_writes_to_the_journal_that_redis_never_gets_are_counted(
    redis_server: RedisServer, http: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images_emulator.state.redis.redis_log.MAX_LATE_WRITES", 4)
    with Server(store=redis_server.url) as server:
        redis_server.kill()
        for number in range(5):
            generate(http, server, prompt=f"{number}", response_format="b64_json")
        redis_server.start()
        until(lambda: generate(http, server, prompt="after").status_code == 200)
        prompts = [call.prompt for call in server.requests]
        assert "0" not in prompts
        assert server.emulator.journal.dropped_count() >= 3


# --- one store


async def test_a_reply_that_is_an_error_is_logged_once_and_no_outage(
    lone_store: RedisStore, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[StoreEvent] = []
    lone_store.observe_events(events.append)
    log, records = log_of(lone_store), lone_store.records("r", 100, NUMBER)
    await records.put({"a": 1}, 1)
    redis_server.command("SET", "images-emulator:5:{default}:records:r:json", "x")
    for _ in range(2):
        with pytest.raises(APIError, match="WRONGTYPE") as refused:
            await records.get("a")
        assert refused.value.newest.code == "store_unavailable"
    assert await log.append("a", 1, 1) == 1
    assert lone_store.failure is None
    assert not events
    (warning,) = [each.getMessage() for each in caplog.records]
    start = f"The store {redis_server.url} has refused the operation get_value: WRONGTYPE "
    assert warning.startswith(start)


async def test_redis_is_not_asked_again_soon_after_a_failure(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images_emulator.state.redis.redis_client.RETRY_SECONDS", 1000)
    from images_emulator.state.redis.redis_store import RedisStore  # noqa: PLC0415 - an extra

    store = RedisStore(redis_server.url)
    counters = store.counters("x")
    redis_server.kill()
    with pytest.raises(APIError):
        await counters.counts(["a"])
    redis_server.start()
    with pytest.raises(APIError):
        await counters.counts(["a"])
    assert store.failure
    await store.disconnect()
    store.close()


async def test_one_operation_asks_as_long_as_the_url_lets_it_wait_and_others_fail(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("redis_pool.TIMEOUT_SECONDS", "redis_client.RETRY_SECONDS"):
        monkeypatch.setattr(f"images_emulator.state.redis.{name}", 0)
    from images_emulator.state.redis.redis_store import RedisStore  # noqa: PLC0415 - an extra

    store = RedisStore(f"{redis_server.url}?socket_timeout={RECOVERY_SECONDS}")
    counters = store.counters("x")
    redis_server.kill()
    with pytest.raises(APIError):
        await counters.counts(["a"])
    redis_server.start()
    redis_server.pause()
    asking = asyncio.ensure_future(counters.counts(["a"]))
    await asyncio.sleep(0)
    with pytest.raises(APIError):
        await counters.counts(["a"])
    assert not asking.done()
    redis_server.resume()
    assert await asking == [ClaimCount()]
    await store.disconnect()
    store.close()
