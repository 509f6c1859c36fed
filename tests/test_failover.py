"""What servers restore in a Redis that has lost what it had: all of it, or its last writes."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

import httpx2
import pytest

from images_emulator import Server
from images_emulator.cli.store_line import store_line
from images_emulator.contract.refusal import APIError
from images_emulator.state.redis import redis_registers_scripts
from images_emulator.state.redis.redis_client import RedisClient
from images_emulator.state.store import StoreAway, StoreBack, StoreEvent, StoreRestored
from reliability.ports import free_ports
from tests.conftest import KEY
from tests.documents import BLOCKS
from tests.programs import running_command
from tests.redis_server import RedisServer, Sentinel, missing_part
from tests.waiting import until

T = TypeVar("T")

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


@pytest.mark.slow
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
    assert error["message"].startswith(f"The store {redis.url} cannot be used: ")
    assert "No such file" in error["message"]


# --- what is told


@pytest.fixture
def retries_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("images_emulator.state.redis.redis_client.RETRY_SECONDS", 0.01)


@pytest.mark.usefixtures("retries_at_once")
def test_an_outage_is_told_once_with_its_late_and_dropped_calls(
    redis: RedisServer, http: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images_emulator.state.redis.redis_log.MAX_LATE_WRITES", 4)
    events: list[StoreEvent] = []
    with Server(store=redis.url) as server:
        server.emulator.store.observe_events(events.append)
        assert list_models(http, server) == 200
        assert http.get(f"{server.url}/ns/two/v1/models").status_code == 200
        redis.kill()
        assert [list_models(http, server) for _ in range(5)] == [200] * 5
        assert len(events) == 1
        redis.start()
        until(lambda: len(events) == 3)
    away, back, restored = events
    assert isinstance(away, StoreAway)
    assert away.url == redis.url
    assert "No such file" in away.reason
    assert isinstance(back, StoreBack)
    assert back == StoreBack(redis.url, back.seconds, late_entries=2, dropped_entries=3)
    assert restored == StoreRestored(redis.url)


@pytest.mark.usefixtures("retries_at_once")
def test_a_loss_without_an_outage_is_told_once_for_all_namespaces(
    redis: RedisServer, http: httpx2.Client
) -> None:
    events: list[StoreEvent] = []
    with Server(store=redis.url) as server:
        server.emulator.store.observe_events(events.append)
        urls = [f"{server.url}{path}/v1/models" for path in ("", "/ns/two", "/ns/three")]
        assert {http.get(url).status_code for url in urls} == {200}
        redis.command("FLUSHALL")
        assert http.get(urls[0]).status_code == 200
        until(lambda: bool(events))
        assert {http.get(url).status_code for url in urls} == {200}
        assert events == [StoreRestored(redis.url)]


def test_no_credentials_are_told() -> None:
    events: list[StoreEvent] = []
    client = RedisClient("redis://user:secret-1@127.0.0.1:9/0?password=secret-2")
    client.event_observers = (events.append,)
    for _ in range(2):
        with pytest.raises(APIError):
            client.run(client.call(redis_registers_scripts.REFRESH, ("registers",), ""))
    client.close()
    (event,) = events
    assert event.url == "redis://127.0.0.1:9/0"
    assert "secret" not in str(event)


@pytest.mark.slow
def test_log_as_json_tells_of_the_store(redis: RedisServer, http: httpx2.Client) -> None:
    flags = ("--port", "0", "--store", redis.url, "--log-format", "json")
    with running_command("serve", *flags) as command:
        url = json.loads(command.stdout.readline())["url"]
        redis.kill()
        http.get(f"{url}/v1/models")
        redis.start()
        away, back, restored = islice(
            (line for line in map(json.loads, command.stdout) if line["event"] == "store"), 3
        )
    for line, state in ((away, "away"), (back, "back"), (restored, "restored")):
        assert (line["state"], line["level"], line["url"]) == (state, "warning", redis.url)
    assert away["reason"] == "No such file or directory"
    assert (back["late_calls"], back["dropped_calls"]) == (1, 0)
    assert back["message"].endswith(" s; 1 call reached the journal late")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "states"),
    [((), ["is away: ", "is back after ", "had lost data: "]), (("--quiet",), [])],
)
def test_log_as_text_tells_of_the_store_unless_it_is_quiet(
    flags: Sequence[str], states: Sequence[str], redis: RedisServer, http: httpx2.Client
) -> None:
    with running_command("serve", "--port", "0", "--store", redis.url, *flags) as command:
        url = command.stdout.readline().removeprefix("Listening on ").strip()
        redis.kill()
        http.get(f"{url}/v1/models")
        redis.start()
        until(lambda: http.get(f"{url}/_emulator/ready").status_code == 200)
        if states:
            until(lambda: bool(line := command.stderr.readline()) and states[-1] in line)
        command.send_signal(signal.SIGTERM)
        assert command.wait(timeout=30) == 0
        command.stderr.seek(0)
        lines = command.stderr.readlines()
    assert len(lines) == len(states)
    for line, state in zip(lines, states, strict=True):
        assert line.startswith(f"The store {redis.url} {state}")


@pytest.mark.parametrize(
    ("late", "dropped", "clause"),
    [
        (0, 0, "no call missed the journal"),
        (1, 0, "1 call reached the journal late"),
        (12, 3, "12 calls reached the journal late, 3 never"),
        (0, 3, "3 calls never reached the journal"),
    ],
)
def test_line_of_a_store_that_is_back_counts_the_calls(
    late: int, dropped: int, clause: str
) -> None:
    event = StoreBack("redis://x", 12.34, late, dropped)
    line = store_line(event, 0, is_json=False, colours=False)
    assert line == f"The store redis://x is back after 12.3 s; {clause}\n"


def test_lines_about_the_store_in_the_docs_are_those_of_the_log() -> None:
    url = "redis://127.0.0.1:6379"
    reason = "Connection refused"
    back = StoreBack(url, 12.3, late_entries=17, dropped_entries=0)
    events = (StoreAway(url, reason), back, StoreRestored(url))
    texts = {block.title: block.text for block in BLOCKS}
    lines = [store_line(event, 0, is_json=False, colours=False) for event in events]
    assert texts["lines about the store"] == "".join(lines)
    line = json.loads(store_line(back, 0, is_json=True, colours=False))
    assert json.loads(texts["line about the store"]) == {**line, "time": "…"}


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
    reply = redis.command("INFO", "replication")
    return reply.partition(b"master_repl_offset:")[2].partition(b"\r\n")[0]


def when_back(ask: Callable[[], T]) -> T:
    """What *ask* gives, once the store is back: sentinels may not know the master for a while."""
    answers: list[T] = []

    def asked() -> bool:
        with suppress(APIError):
            answers.append(ask())
        return bool(answers)

    until(asked)
    return answers[0]


@pytest.mark.slow
@pytest.mark.parametrize("lags", [False, True])
def test_calls_go_on_with_the_replica_that_sentinels_promote(
    pair: tuple[RedisServer, RedisServer, int], http: httpx2.Client, tmp_path: Path, lags: bool
) -> None:
    master, replica, port = pair
    (sentinel_port,) = free_ports(1)
    sentinel = Sentinel(tmp_path, sentinel_port, "images", port)
    url = f"redis+sentinel://127.0.0.1:{sentinel_port}/images?socket_timeout=10"
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
            assert not when_back(other.unmet_steps)
            until(lambda: http.get(picture.replace(other.url, one.url)).status_code == 200)
            calls = when_back(lambda: other.requests)
            prompts = [call.prompt for call in calls if call.kind == "call"]
            assert (prompts[0], "last" in prompts) == ("before", not lags)
    finally:
        sentinel.close()
