"""What servers restore in a Redis that has lost what it had: all of it, or its last writes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import httpx2
import pytest

from images_emulator import Server
from tests.conftest import KEY
from tests.redis_server import RedisServer, Sentinel, free_ports, missing_part
from tests.waiting import until

pytestmark = [
    pytest.mark.skipif(bool(missing_part()), reason=missing_part()),
    pytest.mark.not_on_redis("its servers have a store of their own"),
]

NOW: Final = datetime(2026, 11, 26, 12, tzinfo=UTC)
BODY: Final = {"model": "dall-e-2", "prompt": "x", "size": "256x256"}
B64: Final = {**BODY, "response_format": "b64_json"}

Replicas = tuple[Server, Server]


@pytest.fixture
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(headers={"Authorization": f"Bearer {KEY}"}, timeout=30) as http:
        yield http


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis that a test may stop."""
    redis = RedisServer()
    yield redis
    redis.close()


@pytest.fixture
def replicas(redis: RedisServer) -> Iterator[Replicas]:
    """Two servers on that Redis."""
    with Server(store=redis.url) as one, Server(store=redis.url) as other:
        yield one, other


def generate(http: httpx2.Client, server: Server, **fields: object) -> httpx2.Response:
    return http.post(f"{server.base_url}/images/generations", json={**BODY, **fields})


def list_models(http: httpx2.Client, server: Server) -> int:
    """The status of a call that steps of a scenario may meet."""
    return http.get(f"{server.base_url}/models").status_code


def is_back(server: Server, http: httpx2.Client) -> bool:
    """Whether *server* has asked a store that is there again."""
    http.get(f"{server.url}/_emulator/clock")
    return server.emulator.store.failure is None


def lose_all(redis: RedisServer) -> None:
    """Let Redis end, and start without what it had."""
    redis.kill()
    redis.start()


# --- all is lost


@pytest.mark.parametrize("first", [0, 1])
def test_the_newest_settings_are_restored_whichever_replica_comes_first(
    redis: RedisServer, replicas: Replicas, http: httpx2.Client, first: int
) -> None:
    one, other = replicas
    one.clock.freeze(NOW)
    assert list_models(http, other) == 200
    # The other one never sees these two.
    one.clock.freeze(NOW + timedelta(days=1))
    one.emulator.configure(validation="lenient")
    lose_all(redis)
    for server in (replicas[first], replicas[1 - first]):
        until(partial(is_back, server, http))
    for server in replicas:
        answer = generate(http, server, n=99)
        assert (answer.status_code, answer.json()["created"]) == (
            200,
            (NOW + timedelta(days=1)).timestamp(),
        )


def test_a_change_after_the_loss_is_not_undone_by_what_is_restored_later(
    redis: RedisServer, replicas: Replicas, http: httpx2.Client
) -> None:
    one, other = replicas
    for day in range(5):
        one.clock.freeze(NOW + timedelta(days=day))
    lose_all(redis)
    until(partial(is_back, other, http))
    other.clock.freeze(NOW - timedelta(days=1))
    until(partial(is_back, one, http))
    for server in replicas:
        assert generate(http, server).json()["created"] == (NOW - timedelta(days=1)).timestamp()


def test_counts_of_steps_are_restored_as_the_replicas_know_them(
    redis: RedisServer, replicas: Replicas, http: httpx2.Client
) -> None:
    one, other = replicas
    one.inject({"kind": "error", "status": 418}, times=1)
    one.inject({"kind": "error", "status": 500}, times=3)
    assert [list_models(http, server) for server in (one, other, one)] == [418, 500, 500]
    lose_all(redis)
    for server in (other, one):
        until(partial(is_back, server, http))
    # One claim of each replica was known to it alone.
    (unmet,) = other.unmet_steps()
    assert (unmet.met, unmet.times) == (2, 3)
    assert [list_models(http, server) for server in (other, one, other)] == [500, 200, 200]
    assert [step["met"] for step in one.emulator.scenario.as_json()["steps"]] == [1, 3]


def test_recordings_go_on_where_they_were(
    redis: RedisServer, http: httpx2.Client, tmp_path: Path
) -> None:
    for number in range(3):
        (tmp_path / f"{number}.json").write_text(
            '{"version": 1, "request": {"method": "GET", "target": "/v1/models"},'
            f' "response": {{"status": {201 + number}}}}}'
        )
    with Server(store=redis.url, replay=str(tmp_path)) as server:
        assert [list_models(http, server) for _ in range(2)] == [201, 202]
        server.reset()
        assert list_models(http, server) == 201
        lose_all(redis)
        until(partial(is_back, server, http))
        assert [list_models(http, server) for _ in range(3)] == [202, 203, 203]


def test_a_server_that_starts_after_the_loss_takes_what_the_others_restore(
    redis: RedisServer, replicas: Replicas, http: httpx2.Client
) -> None:
    one, _ = replicas
    one.clock.freeze(NOW)
    one.inject({"kind": "error", "status": 418}, times=None)
    lose_all(redis)
    with Server(store=redis.url) as late:
        assert list_models(http, late) == 200
        until(partial(is_back, one, http))
        assert list_models(http, late) == 418
        one.emulator.scenario.clear()
        picture = generate(http, late)
        assert picture.json()["created"] == NOW.timestamp()
        # It is of the same account by now, whose key signs the URLs.
        url = picture.json()["data"][0]["url"]
        assert http.get(url.replace(late.url, one.url)).status_code == 200
        header = "openai-organization"
        assert picture.headers[header] == generate(http, one).headers[header]


def test_a_replica_without_calls_writes_its_journal_when_redis_is_back(
    redis: RedisServer, replicas: Replicas, http: httpx2.Client
) -> None:
    one, other = replicas
    redis.kill()
    assert generate(http, one, response_format="b64_json", prompt="meanwhile").status_code == 200
    redis.start()
    until(partial(is_back, other, http))
    until(lambda: [call.prompt for call in other.requests] == ["meanwhile"])


def test_ready_says_that_the_store_is_away_and_why(
    redis: RedisServer, replicas: Replicas, http: httpx2.Client
) -> None:
    redis.kill()
    # Also before everything is loaded.
    answer = http.get(f"{replicas[0].url}/_emulator/ready")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    error = answer.json()["error"]
    assert error["code"] == "store_unavailable"
    assert error["message"].startswith(f"The store {redis.url} cannot be reached: ")
    assert "No such file" in error["message"]


# --- the last writes are lost


@pytest.fixture
def pair() -> Iterator[tuple[RedisServer, RedisServer, int]]:
    """A master, its replica, and the port of the master."""
    port, replica_port = free_ports(2)
    bound = ("--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0")
    master = RedisServer("--port", str(port), *bound)
    replica = RedisServer(
        "--port", str(replica_port), *bound, "--replicaof", "127.0.0.1", str(port)
    )
    until(lambda: b"master_link_status:up" in replica.command("INFO", "replication"))
    yield master, replica, port
    for each in (master, replica):
        each.resume()
        each.close()


def offset(redis: RedisServer) -> bytes:
    """How much *redis* has replicated, or given to be replicated."""
    answer = redis.command("INFO", "replication")
    return answer.partition(b"master_repl_offset:")[2].partition(b"\r\n")[0]


@pytest.mark.slow
@pytest.mark.parametrize("lags", [False, True])
def test_calls_go_on_with_the_replica_that_sentinels_promote(
    pair: tuple[RedisServer, RedisServer, int], http: httpx2.Client, tmp_path: Path, lags: bool
) -> None:
    master, replica, port = pair
    (sentinel_port,) = free_ports(1)
    sentinel = Sentinel(tmp_path, sentinel_port, "images", port)
    url = f"redis+sentinel://127.0.0.1:{sentinel_port}/images"
    try:
        until(lambda: b"slave" in sentinel.command("SENTINEL", "REPLICAS", "images"))
        with Server(store=url) as one, Server(store=url) as other:
            one.clock.freeze(NOW)
            one.inject({"kind": "error", "status": 418}, times=1, match={"path": "/v1/models"})
            picture = generate(http, other, prompt="before").json()["data"][0]["url"]
            until(lambda: offset(master) == offset(replica))
            if lags:
                replica.pause()
                master.command("CLIENT", "KILL", "TYPE", "replica")
            one.clock.advance(minutes=1)
            assert list_models(http, one) == 418
            assert generate(http, one, prompt="last").status_code == 200
            if not lags:
                until(lambda: offset(master) == offset(replica))
            master.kill()
            replica.resume()
            assert generate(http, other, response_format="b64_json").status_code == 200
            for server in (other, one):
                until(lambda: generate(http, server).status_code == 200)  # noqa: B023
            # Settings, steps and counts are as the servers had them, whatever the replica had. A
            # server that called Redis too early asks it again in a quarter of a second.
            until(
                lambda: (
                    list_models(http, other) == 200
                    and other.clock.now() == NOW + timedelta(minutes=1)
                )
            )
            assert not other.unmet_steps()
            assert http.get(picture.replace(other.url, one.url)).status_code == 200
            prompts = [call.prompt for call in other.requests if call.kind == "call"]
            assert (prompts[0], "last" in prompts) == ("before", not lags)
    finally:
        sentinel.close()
