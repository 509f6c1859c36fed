"""How often a call asks Redis, and how many bytes it sends there and gets from there."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final

import httpx2
import pytest
from PIL import Image

from images_emulator import Server
from tests.conftest import KEY
from tests.pictures import encoded
from tests.redis_server import RedisServer, missing_part, new_store_name, stoppable_redis
from tests.replicas import BODY, Replicas, client_with_key, generate, two_replicas
from tests.waiting import until

pytestmark = [
    pytest.mark.skipif(bool(missing_part()), reason=missing_part()),
    pytest.mark.not_on_redis("its servers have a store of their own"),
]

replicas = pytest.fixture(two_replicas)
http = pytest.fixture(client_with_key)
redis_server = pytest.fixture(stoppable_redis)


@pytest.fixture(scope="module")
def trips_redis() -> Iterator[RedisServer]:
    """A Redis that nothing else asks."""
    server = RedisServer()
    yield server
    server.close()


# --- round trips


def reads(redis: RedisServer) -> int:
    return int(redis.command("INFO", "stats").split(b"total_reads_processed:")[1].split()[0])


def round_trips(
    redis: RedisServer, call: Callable[[], httpx2.Response], calls: int = 5, rounds: int = 3
) -> float:
    """The number of times that a call asks Redis: in the best of the *rounds*, as a connection that
    was slow is made anew."""
    found = []
    for _ in range(rounds):
        before = reads(redis)
        for _ in range(calls):
            assert call().status_code < 500
        # Asking is a read, and so is the end of the connection that asked.
        found.append((reads(redis) - before - 2) / calls)
    return min(found)


B64: Final = {"response_format": "b64_json"}
BY_URL: Final = {"response_format": "url"}
MISSED: Final = {"fault": "server_error", "match": {"prompt": "another"}}
PASSED: Final = {"fault": "server_error", "match": {"prompt": "x"}, "after": 1000}
MET: Final = {"fault": {"kind": "error", "status": 418}, "match": {"prompt": "x"}, "times": None}
SLOW: Final = {"fault": {"kind": "latency", "seconds": 0}, "match": {"prompt": "x"}, "times": 100}
ANSWER: Final = {"answer": {"created": 1}, "match": {"prompt": "x"}, "times": None}
LATER: Final = {**ANSWER, "after": 1000}


@pytest.mark.parametrize("rate_limit", [None, "1000/min", "1/min"])
@pytest.mark.parametrize("answer", [None, ANSWER, LATER])
@pytest.mark.parametrize("fault", [None, MISSED, PASSED, SLOW, MET])
@pytest.mark.parametrize("fields", [B64, BY_URL])
def test_a_call_asks_redis_three_times_at_most(
    *,
    http: httpx2.Client,
    trips_redis: RedisServer,
    fields: dict[str, Any],
    fault: dict[str, Any] | None,
    answer: dict[str, Any] | None,
    rate_limit: str | None,
) -> None:
    # At its arrival, with the fault; for rate limit and answer; at its end.
    most = 2 if fault is MET else 2 + bool(rate_limit or answer)
    trips_redis.command("FLUSHALL")
    with Server(store=trips_redis.url, rate_limit=rate_limit) as server:
        if steps := [*filter(None, (fault, answer))]:
            server.emulator.scenario.begin_document({"steps": steps})
        generate(http, server, **fields)  # loads the scripts
        assert round_trips(trips_redis, lambda: generate(http, server, **fields)) == most


@pytest.mark.parametrize("fields", [{**BY_URL, "n": 3}, {"n": 99}])
def test_a_call_for_several_pictures_or_none_asks_redis_twice(
    http: httpx2.Client, trips_redis: RedisServer, fields: dict[str, Any]
) -> None:
    with Server(store=trips_redis.url, store_name=new_store_name()) as server:
        generate(http, server, **fields)
        assert round_trips(trips_redis, lambda: generate(http, server, **fields)) == 2


def test_a_call_that_ends_a_step_asks_redis_twice(
    redis_server: RedisServer, http: httpx2.Client
) -> None:
    with Server(store=redis_server.url) as server:
        for _ in range(6):
            server.inject({"kind": "error", "status": 418}, times=1)
        generate(http, server)
        assert round_trips(redis_server, lambda: generate(http, server), rounds=1) == 2
        assert generate(http, server).status_code == 200


@pytest.mark.slow
def test_a_call_whose_body_is_late_is_in_the_journal_before_it(replicas: Replicas) -> None:
    one, other = replicas
    one.inject({"kind": "error", "status": 418})
    head = f"POST /v1/images/generations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
    body = json.dumps(BODY)
    with socket.create_connection(("127.0.0.1", one.port)) as connection:
        connection.sendall(f"{head}Content-Type: application/json\r\n".encode())
        connection.sendall(f"Content-Length: {len(body)}\r\n\r\n".encode())
        until(lambda: len(other.requests) == 1)
        connection.sendall(body.encode())
        assert connection.recv(64).startswith(b"HTTP/1.1 418 ")


@pytest.mark.parametrize(("step", "most"), [(None, 2), ({"path": "/private/*"}, 3)])
def test_a_download_asks_redis_three_times_at_most(
    redis_server: RedisServer, http: httpx2.Client, step: dict[str, Any] | None, most: int
) -> None:
    with Server(store=redis_server.url) as server:
        url = generate(http, server).json()["data"][0]["url"]
        if step:
            server.inject({"kind": "latency", "seconds": 0}, times=None, match=step)
        http.get(url)
        assert round_trips(redis_server, lambda: http.get(url)) == most
        assert http.get(url).status_code == 200


# --- bytes


def sent_bytes(redis: RedisServer) -> int:
    """The bytes that Redis has ever sent."""
    statistics = redis.command("INFO", "stats")
    return int(statistics.split(b"total_net_output_bytes:")[1].split()[0])


def received_bytes(redis: RedisServer) -> int:
    """The bytes that Redis has ever got."""
    statistics = redis.command("INFO", "stats")
    return int(statistics.split(b"total_net_input_bytes:")[1].split()[0])


def test_a_page_of_the_journal_takes_no_more_calls_from_redis_than_it_shows(
    redis_server: RedisServer, http: httpx2.Client
) -> None:
    with Server(store=redis_server.url) as server:
        for number in range(10):
            generate(http, server, prompt=f"{number}{'x' * 20_000}")
        before = sent_bytes(redis_server)
        page = http.get(f"{server.url}/_emulator/requests?limit=1").json()
        assert (page["total"], len(page["requests"])) == (10, 1)
        assert page["requests"][0]["prompt"].startswith("9")
        assert sent_bytes(redis_server) - before < 100_000


@pytest.mark.slow
@pytest.mark.parametrize(
    "query",
    [
        "requests?limit=1&model=dall-e-2",
        "requests?limit=1&model=dall-e-2&counts=true",
        "requests?limit=1&since={id}",
        "requests?limit=1&before={id}&has=events",
        "requests/{id}",
    ],
)
def test_a_reader_of_the_journal_gets_from_redis_what_is_new_and_what_it_shows(
    redis_server: RedisServer, http: httpx2.Client, query: str
) -> None:
    upload = encoded(Image.frombytes("RGB", (300, 300), Random(1).randbytes(270_000)))
    with Server(store=redis_server.url) as server, Server(store=redis_server.url) as other:
        for _ in range(10):
            form: Any = {"data": {"size": "256x256"}, "files": {"image": ("a.png", upload)}}
            varied = http.post(f"{other.base_url}/images/variations", **form)
            assert varied.status_code == 200
        identity = generate(http, other).headers["x-request-id"]
        path = query.format(id=identity)

        def read() -> int:
            before = sent_bytes(redis_server)
            assert http.get(f"{server.url}/_emulator/{path}").status_code == 200
            return sent_bytes(redis_server) - before

        # All uploads together are 2.7 MB.
        assert read() < 100_000
        generate(http, other)
        assert read() < 20_000


@pytest.mark.slow
def test_a_call_too_large_for_the_store_goes_there_without_its_body(
    redis_server: RedisServer, http: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images_emulator.state.journal.MAX_COPIED_BYTES", 1_000_000)
    upload = encoded(Image.frombytes("RGB", (500, 500), Random(1).randbytes(750_000)))
    with Server(store=redis_server.url) as server, Server(store=redis_server.url) as other:
        before = received_bytes(redis_server)
        form: Any = {"data": {"response_format": "b64_json"}, "files": {"image": ("a.png", upload)}}
        assert http.post(f"{server.base_url}/images/variations", **form).status_code == 200
        assert received_bytes(redis_server) - before < 20_000
        (call,) = other.requests
        assert (call.outcome, [*call.dropped]) == ("answered", ["body", "pictures"])
        assert call.uploads[0].bytes == len(upload)
