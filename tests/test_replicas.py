"""Servers that share a store in Redis are one emulator, also while Redis comes and goes."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import logging
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from time import monotonic
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import AsyncMock

import httpx2
import pytest
from openai import OpenAI
from PIL import Image

from images_emulator import Emulator, Server, Settings, create_app
from images_emulator.cli.start_text import StartState, start_state, start_text
from images_emulator.contract import emulator_errors
from images_emulator.contract.refusal import APIError
from images_emulator.exchange.exchange import Exchange
from images_emulator.settings import LogSettings
from images_emulator.state.hosting import Hosting
from images_emulator.state.scenario import Scenario
from images_emulator.state.steps import MatchInput, ScenarioStep
from images_emulator.state.store import (
    NUMBER_CODEC,
    ClaimCount,
    ClaimOutcome,
    Codec,
    Log,
    LogCodec,
    Packed,
    Register,
    StaleRegistersError,
    Store,
    StoreBack,
    StoreEvent,
)
from images_emulator.step_documents.scenario_document import parse_step
from images_emulator.web.fault_search import FaultSearch
from images_emulator.workers.worker_messages import Report
from reliability.ports import free_ports
from tests.conftest import KEY
from tests.documents import BLOCKS
from tests.pictures import encoded, opened, png
from tests.programs import run_python
from tests.redis_server import (
    RedisServer,
    Sentinel,
    missing_part,
    new_store_name,
    shared_redis,
)
from tests.waiting import until

if TYPE_CHECKING:
    from images_emulator.state.redis_store import RedisStore

pytestmark = [
    pytest.mark.skipif(bool(missing_part()), reason=missing_part()),
    pytest.mark.not_on_redis("its servers have a store of their own"),
]

NOW: Final = datetime(2026, 11, 26, 12, tzinfo=UTC)
BODY: Final = {"model": "dall-e-2", "prompt": "x", "size": "256x256"}
CALL: Final = MatchInput("/v1/models")
NUMBER: Final[Codec[int]] = Codec(
    lambda number: Packed({"number": number}), lambda packed: int(packed.document["number"])
)
NUMBERS: Final = LogCodec(NUMBER.pack, NUMBER.pack, NUMBER.unpack)
RECOVERY_SECONDS: Final = 10
"""Seconds in which a test expects what takes a quarter of one on a machine that is not busy."""

Replicas = tuple[Server, Server]


def replicas_of(url: str, **settings: Any) -> Iterator[Replicas]:
    settings = {"store": url, "store_name": new_store_name(), **settings}
    with Server(**settings) as one, Server(**settings) as other:
        yield one, other


@pytest.fixture
def replicas() -> Iterator[Replicas]:
    """Two servers on one Redis."""
    yield from replicas_of(shared_redis().url)


@pytest.fixture
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(headers={"Authorization": f"Bearer {KEY}"}, timeout=30) as http:
        yield http


@pytest.fixture(scope="module")
def trips_redis() -> Iterator[RedisServer]:
    """A Redis that nothing else asks."""
    server = RedisServer()
    yield server
    server.close()


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A Redis that a test may stop."""
    server = RedisServer()
    yield server
    server.resume()
    server.close()


@pytest.fixture
async def lone_store(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[RedisStore]:
    """The only store of a Redis that a test may stop. After a failure it asks again at once."""
    monkeypatch.setattr("images_emulator.state.redis_client.RETRY_SECONDS", 0)
    from images_emulator.state.redis_store import RedisStore  # noqa: PLC0415 - an extra

    store = RedisStore(redis_server.url)
    yield store
    await store.disconnect()
    await asyncio.to_thread(store.close)


def generate(http: httpx2.Client, server: Server, **fields: Any) -> httpx2.Response:
    return http.post(f"{server.base_url}/images/generations", json={**BODY, **fields})


# --- one emulator


def test_url_made_by_one_replica_is_served_by_the_other(
    replicas: Replicas, http: httpx2.Client
) -> None:
    one, other = replicas
    url = generate(http, one).json()["data"][0]["url"]
    answers = [http.get(url), http.get(url.replace(one.url, other.url))]
    assert [each.status_code for each in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    assert opened(answers[0].content).size == (256, 256)
    downloads = other.downloads
    assert [each.prompt for each in downloads] == ["x", "x"]
    assert {each.kind for each in one.downloads} == {"download"}


def test_file_uploaded_to_one_replica_is_edited_by_the_other(
    replicas: Replicas, http: httpx2.Client
) -> None:
    one, other = replicas

    def edited(**image: str) -> Any:
        body = {"model": "gpt-image-2", "prompt": "x", "size": "1024x1024", "images": [image]}
        answer = http.post(f"{other.base_url}/images/edits", json=body).raise_for_status()
        return answer.json()["data"][0]["b64_json"]

    with (
        OpenAI(base_url=one.base_url, api_key=KEY) as client,
        OpenAI(base_url=other.base_url, api_key=KEY) as other_client,
    ):
        file = client.files.create(file=("a.png", png((64, 64))), purpose="vision")
        assert other_client.files.content(file.id).content == png((64, 64))
        data = base64.b64encode(png((64, 64))).decode()
        same = edited(image_url=f"data:image/png;base64,{data}")
        assert edited(file_id=file.id) == same
        other_client.files.delete(file.id)
        assert not client.files.list().data


def test_replicas_have_one_journal_with_one_count(replicas: Replicas, http: httpx2.Client) -> None:
    one, other = replicas
    for server, prompt in ((one, "a"), (other, "b"), (one, "c")):
        generate(http, server, prompt=prompt)
    calls = other.requests
    assert [call.prompt for call in calls] == ["a", "b", "c"]
    assert [call.number for call in calls] == [1, 2, 3]
    shown = http.get(f"{one.url}/_emulator/requests").json()["requests"]
    assert {each["id"] for each in shown} == {call.id for call in calls}


def test_an_assertion_compares_the_key_of_a_call_that_another_fault_has_met(
    replicas: Replicas, http: httpx2.Client
) -> None:
    one, other = replicas
    other.inject("server_error")
    other.inject("slow_down", match={"api_key": KEY})
    generate(http, one)
    with pytest.raises(AssertionError, match="it met 'server_error'"):
        other.verify_steps()


@pytest.mark.slow
def test_a_fault_is_met_as_often_as_it_says_by_64_clients_on_both(replicas: Replicas) -> None:
    one, other = replicas
    one.inject("server_error", times=2)
    models = [f"{server.base_url}/models" for server in replicas] * 64

    def get(url: str) -> int:
        return httpx2.get(url, headers={"Authorization": f"Bearer {KEY}"}).status_code

    with ThreadPoolExecutor(64) as pool:
        assert Counter(pool.map(get, models)) == {200: 126, 500: 2}
    assert not other.unmet_steps()
    assert [len(server.requests) for server in replicas] == [128, 128]


def test_replicas_have_one_rate_limit(http: httpx2.Client) -> None:
    for servers in replicas_of(shared_redis().url, rate_limit="3/min"):
        servers[0].clock.freeze(NOW)
        statuses = [generate(http, servers[turn % 2]).status_code for turn in range(4)]
        assert statuses == [200, 200, 200, 429]


def test_replicas_have_one_clock_and_one_set_of_settings(
    replicas: Replicas, http: httpx2.Client
) -> None:
    one, other = replicas
    one.clock.freeze(NOW)
    one.emulator.configure(validation="lenient")
    answer = generate(http, other, n=99)
    assert (answer.status_code, answer.json()["created"]) == (200, NOW.timestamp())
    assert [call.time for call in one.requests] == [NOW]
    other.clock.advance(hours=2)
    assert generate(http, one).json()["created"] == (NOW + timedelta(hours=2)).timestamp()


def test_reset_of_one_replica_is_seen_by_the_other(replicas: Replicas, http: httpx2.Client) -> None:
    one, other = replicas
    url = generate(http, one).json()["data"][0]["url"]
    one.clock.freeze(NOW)
    one.inject("server_error", times=None)
    assert generate(http, other).status_code == 500
    other.reset()
    assert http.get(url).status_code == 404
    assert generate(http, one).status_code == 200
    assert not one.clock.frozen
    assert [call.status for call in one.requests] == [200]


def test_reset_of_one_replica_empties_the_caches_of_the_other(
    replicas: Replicas, http: httpx2.Client
) -> None:
    one, other = replicas
    generate(http, other, response_format="b64_json")
    caches = other.emulator.prepared_calls, other.emulator.logged_notices
    assert all(len(each) for each in caches)
    one.reset()
    http.get(f"{other.base_url}/models")
    assert [len(each) for each in caches] == [0, 0]


def test_replicas_that_read_a_folder_at_different_times_count_the_same_recordings(
    tmp_path: Path, http: httpx2.Client
) -> None:
    def save(name: str, prompt: str) -> None:
        body = {"json": {"model": "dall-e-2", "prompt": prompt}}
        request = {"method": "POST", "target": "/v1/images/generations", "body": body}
        request["headers"] = {"content-type": "application/json"}
        response = {"status": 200, "body": {"text": name}}
        document = {"version": 1, "request": request, "response": response}
        (tmp_path / f"{name}.json").write_text(json.dumps(document))

    def played(server: Server, prompt: str) -> str:
        body = {"model": "dall-e-2", "prompt": prompt}
        return http.post(f"{server.base_url}/images/generations", json=body).text

    settings: dict[str, Any] = {
        "store": shared_redis().url,
        "store_name": new_store_name(),
        "replay": tmp_path,
    }
    save("0002 fox", "a fox")
    save("0003 fox", "a fox")
    with Server(**settings) as one:
        save("0001 ship", "a ship")
        with Server(**settings) as other:
            assert played(other, "a ship") == "0001 ship"
            assert [played(each, "a fox") for each in (one, other, one)] == [
                "0002 fox",
                "0003 fox",
                "0003 fox",
            ]


def test_replicas_of_another_store_name_are_other_emulators(http: httpx2.Client) -> None:
    url = shared_redis().url
    for one, _ in replicas_of(url):
        for other, _ in replicas_of(url):
            picture = generate(http, one).json()["data"][0]["url"]
            assert http.get(picture.replace(one.url, other.url)).status_code == 403
            assert (len(one.requests), len(other.requests)) == (1, 0)


def test_a_server_that_joins_others_tells_at_its_start_what_holds(
    replicas: Replicas, tmp_path: Path
) -> None:
    one, other = replicas
    scenario = tmp_path / "scenario.toml"
    scenario.write_text('[[steps]]\nfault = "server_error"\n')

    def told(server: Server, **settings: Any) -> list[str]:
        state = start_state(server)
        # Workers tell it to their supervisor.
        report = Report.from_line(Report(**state._asdict()).to_line())
        state = StartState(
            report.recordings, report.pictures, report.changed, report.steps, report.clock
        )
        text = start_text(server.url, server.port, Settings(**settings), LogSettings(), state)
        return [line for line in text.splitlines() if "as_of" in line or "store" in line]

    alone = told(other)
    assert len(alone) == 1
    assert alone[0].startswith("as_of=any: ")
    one.emulator.configure(as_of="2025-12-01", validation="lenient")
    one.inject("server_error")
    settings = other.settings
    with Server(store=settings.store, store_name=settings.store_name, scenario=scenario) as late:
        assert told(late, scenario=str(scenario)) == [
            "as_of=2025-12-01: answers as the API did on that day",
            "The store has a state already: as_of=2025-12-01 in place of any, validation=lenient in"
            f" place of strict, 1 step in place of {scenario}",
        ]
        late.emulator.scenario.clear()
        assert told(late)[-1].endswith(", no steps in place of none")
        late.reset()
        assert told(late) == alone
        late.clock.advance(hours=24)
        assert told(late)[-1] == "The store has a state already: the clock 1 day ahead"
        late.clock.advance(hours=-49)
        assert told(late)[-1].endswith(": the clock 1 day 1:00:00 behind")
        late.clock.freeze(datetime(2026, 6, 1, 12, tzinfo=UTC))
        assert told(late)[-1].endswith(": the clock frozen at 2026-06-01T12:00:00+00:00")


def test_the_start_as_json_has_the_store_and_an_event_for_each_notice() -> None:
    settings = Settings(store="redis://user:secret@localhost:1/0", store_name="team")
    state = StartState(changed={"as_of": "2025-12-01"}, clock="the clock 1 day ahead")

    def events(**log: str) -> list[dict[str, Any]]:
        text = start_text("", 1, settings, LogSettings(log_format="json", **log), state)
        return [json.loads(line) for line in text.splitlines()]

    start, day, joined = events()
    assert (start["event"], start["as_of"]) == ("start", "2025-12-01")
    assert (start["store"], start["store_name"]) == ("redis://localhost:1/0", "team")
    assert day["message"] == "as_of=2025-12-01: answers as the API did on that day"
    assert joined["message"] == (
        "The store has a state already: as_of=2025-12-01 in place of any, the clock 1 day ahead"
    )
    assert {(each["event"], each["level"]) for each in (day, joined)} == {("log", "info")}
    assert [each["event"] for each in events(log_level="warning")] == ["start"]
    alone = start_text("", 1, Settings(), LogSettings(log_format="json"))
    start = json.loads(alone.splitlines()[0])
    assert (start["store"], start["store_name"]) == (None, None)


@pytest.mark.slow
def test_the_code_of_the_guide_prints_what_is_shown(tmp_path: Path) -> None:
    page = [block for block in BLOCKS if block.page == "docs/guides/replicas.md"]
    code, output = (
        next(block.text for block in page if block.title == title)
        for title in ("replicas.py", "output")
    )
    code = code.replace("redis://localhost:6379", shared_redis().url)
    done = run_python(code.replace('"guide"', repr(new_store_name())), tmp_path)
    assert (done.returncode, done.stdout) == (0, output), done.stderr


# --- what Redis holds


def reply_lines(reply: bytes) -> list[str]:
    """The texts in a *reply* of Redis that is a list."""
    return [line for line in reply.decode().split("\r\n") if line and line[0] not in "*$"]


def test_all_that_redis_holds_has_the_prefix_and_a_time_to_live(http: httpx2.Client) -> None:
    redis = shared_redis()
    name = new_store_name()
    with Server(store=redis.url, store_name=name, rate_limit="100/min") as server:
        server.inject("server_error", match={"prompt": "fail"})
        for prompt in ("fail", "x"):
            generate(http, server, prompt=prompt)
        http.post(
            f"{server.base_url}/files",
            files={"file": ("a.png", png(), "image/png")},
            data={"purpose": "vision"},
        )
        prefix = f"images-emulator:3:{{{name}}}:"
        keys = reply_lines(redis.command("KEYS", f"*{name}*"))
        kinds = {key.removeprefix(prefix).split(":")[0] for key in keys}
        assert kinds == {"registers", "records", "counters", "buckets", "log"}
        for key in keys:
            assert key.startswith(prefix)
            assert int(redis.command("TTL", key)[1:]) > 24 * 3600
        server.reset()
        assert [*reply_lines(redis.command("KEYS", f"{prefix}*"))] == [f"{prefix}registers"]


async def test_stores_of_one_client_are_apart_and_end_and_expire_alone() -> None:
    from images_emulator.state.redis_store import RedisStore  # noqa: PLC0415 - an extra

    redis, name = shared_redis(), new_store_name()
    parent = RedisStore(redis.url, name)
    child = RedisStore(parent.client, f"{name}/a%20b", ttl_seconds=60)
    for store, key in ((parent, "parent"), (child, "child")):
        await store.buckets("x", 9).take(key, 1, limit=2, seconds=60, now=NOW)
    await child.disconnect()
    child.close()
    take = await parent.buckets("x", 9).take("child", 1, limit=2, seconds=60, now=NOW)
    assert (take.granted, take.used) == (True, 1)
    prefixes = [f"images-emulator:3:{{{each}}}:" for each in (name, f"{name}/a%20b")]
    lives = [int(redis.command("TTL", f"{prefix}buckets:x:order")[1:]) for prefix in prefixes]
    assert 24 * 3600 < lives[0] <= 48 * 3600
    assert 30 < lives[1] <= 60
    await parent.disconnect()


async def test_a_claim_is_refused_where_another_process_has_changed_a_register() -> None:
    from images_emulator.state.redis_store import RedisStore  # noqa: PLC0415 - an extra

    name = new_store_name()
    one, other = (RedisStore(shared_redis().url, name) for _ in range(2))
    registers = await asyncio.to_thread(
        lambda: [store.register("number", 0, NUMBER) for store in (one, other)]
    )
    step = ScenarioStep(parse_step({"fault": "server_error"}), "step", "key")
    counters = one.counters("steps")
    assert (await counters.claim([step], if_fresh=lambda: True)).granted
    await registers[1].update(lambda number: number + 1)
    with pytest.raises(StaleRegistersError):
        await counters.claim([step], if_fresh=lambda: True)
    assert registers[0].value == 0
    assert await log_of(one).append("key", 1, 1) == 1  # which refreshes, too
    assert registers[0].value == 1
    assert (await counters.claim([step], if_fresh=lambda: True)).granted == (step, ClaimCount(2, 2))
    for store in (one, other):
        await store.disconnect()
        await asyncio.to_thread(store.close)


def test_a_command_is_written_in_resp_with_lengths_in_bytes() -> None:
    from images_emulator.state import redis_scripts  # noqa: PLC0415 - an extra
    from images_emulator.state.redis_connection import CommandPacker  # noqa: PLC0415 - an extra

    script, packer = redis_scripts.COUNTS, CommandPacker()
    arguments = ("", "é\r\n", b"", b"\xff\x00" * 20_000, 5, "x" * 40_000, "\N{ELEPHANT}", b"end")
    encoded = [each if isinstance(each, bytes) else str(each).encode() for each in arguments]
    words = [b"EVALSHA", script.digest.encode(), b"1", b"key", *encoded]
    command = b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
    for _ in range(2):
        pieces = packer.pack(script, ("key",), arguments)
        assert b"".join(pieces) == b"*%d\r\n%b" % (len(words), command)


def lives_of(redis: RedisServer, name: str, seconds: int | None = None) -> dict[str, int]:
    """The milliseconds that the keys of the store *name* live from one moment on, by their ends; -1
    for one that lives for ever. With *seconds*, they live as long from now on."""
    prefix = f"images-emulator:3:{{{name}}}:"
    keys = reply_lines(redis.command("KEYS", f"{prefix}*"))
    change = f"redis.call('EXPIRE', key, {seconds})" if seconds else ""
    loop = f"for at, key in ipairs(KEYS) do {change} lives[at] = redis.call('PTTL', key) end"
    script = f'"local lives = {{}} {loop} return lives"'
    found = redis.command("EVAL", script, str(len(keys)), *keys)
    numbers = [int(line[1:]) for line in reply_lines(found)]
    return dict(zip((key.removeprefix(prefix) for key in keys), numbers, strict=True))


LOST: Final = ("entries", "order", "detachable")
"""The keys of a log without its amendments."""


async def test_the_keys_of_a_container_expire_together_whenever_they_were_made() -> None:
    from images_emulator.state.redis_store import RedisStore  # noqa: PLC0415 - an extra

    redis, name = shared_redis(), new_store_name()
    store = RedisStore(redis.url, name, ttl_seconds=100)
    records, log = store.records("files", 100, NUMBER), log_of(store)
    await records.put({"a": 1}, 1)
    await log.append("a", 1, 1)
    lives_of(redis, name, 60)
    await records.delete("a")
    await records.put({"b": 2}, 1)
    await log.amend("a", 2, 1, detachable=True)
    lives = lives_of(redis, name)
    assert len(lives) == 8
    for container, least in (("records", 61_000), ("log", 1)):
        of_keys = [lives[key] for key in lives if key.startswith(container)]
        assert least <= min(of_keys) <= max(of_keys) <= min(of_keys) + 1000
    await store.disconnect()


async def test_amendments_that_expire_last_are_in_the_way_of_no_reader() -> None:
    from images_emulator.state.redis_store import RedisStore  # noqa: PLC0415 - an extra

    redis, name = shared_redis(), new_store_name()
    store = RedisStore(redis.url, name)
    log = log_of(store)
    await log.append("a", 1, 1)
    await log.amend("a", 2, 1, detachable=False)
    redis.command("DEL", *(f"images-emulator:3:{{{name}}}:log:n:{end}" for end in LOST))
    await log.append("b", 3, 1)
    for _ in range(2):
        assert await log.summaries() == [3]
    await store.disconnect()


async def test_a_container_from_which_a_record_is_deleted_has_a_time_to_live() -> None:
    from images_emulator.state.redis_store import RedisStore  # noqa: PLC0415 - an extra

    redis, name = shared_redis(), new_store_name()
    store = RedisStore(redis.url, name)
    records = store.records("files", 100, NUMBER)
    await records.put({"a": 1, "b": 2}, 1)
    # Its weight has expired before the rest.
    redis.command("DEL", f"images-emulator:3:{{{name}}}:records:files:meta")
    assert await records.delete("a")
    lives = lives_of(redis, name)
    assert "records:files:meta" in lives
    assert min(lives.values()) > 0
    await store.disconnect()


@pytest.mark.parametrize("times", [1, None])
async def test_a_claim_that_a_cluster_sends_again_counts_once_and_has_its_outcome(
    times: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from images_emulator.state.redis_store import RedisStore  # noqa: PLC0415 - an extra

    counters_module = "images_emulator.state.redis_counters"
    monkeypatch.setattr(f"{counters_module}.random_digits", iter("1122").__next__)
    store = RedisStore(shared_redis().url, new_store_name())
    counters = store.counters("steps")
    late, step = (
        ScenarioStep(parse_step({"fault": "timeout", **fields}), "step", key)
        for key, fields in (("a", {"after": 3}), ("b", {"times": times}))
    )
    claims = [await counters.claim([late, step], ["c"]) for _ in range(2)]
    assert claims == 2 * [ClaimOutcome((step, ClaimCount(1, 1)))]
    assert await counters.counts("ab") == [ClaimCount(1), ClaimCount(1, 1)]
    claims = [await counters.claim([late], ["b", "c"]) for _ in range(2)]
    assert claims == 2 * [ClaimOutcome(None, [ClaimCount(1, 1), ClaimCount()])]
    assert await counters.counts("ab") == [ClaimCount(2), ClaimCount(1, 1)]
    await store.disconnect()


async def test_a_write_of_a_register_that_a_cluster_sends_again_is_made_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from images_emulator.state.redis_client import RedisClient  # noqa: PLC0415 - an extra
    from images_emulator.state.redis_scripts import REPLACE  # noqa: PLC0415 - an extra
    from images_emulator.state.redis_store import RedisStore  # noqa: PLC0415 - an extra

    call = RedisClient.call

    async def call_twice(client: RedisClient, script: Any, *arguments: Any) -> Any:
        reply = await call(client, script, *arguments)
        return await call(client, script, *arguments) if script is REPLACE else reply

    monkeypatch.setattr(RedisClient, "call", call_twice)
    store = RedisStore(shared_redis().url, new_store_name())
    number = await asyncio.to_thread(store.register, "number", 1, NUMBER_CODEC)
    assert [await number.update(lambda value: value + 1) for _ in range(2)] == [2, 3]
    await store.disconnect()
    store.close()


async def test_revoking_a_claim_whose_count_was_dropped_lowers_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from images_emulator.state.redis_counters import RedisCounters  # noqa: PLC0415 - an extra
    from images_emulator.state.redis_store import RedisStore  # noqa: PLC0415 - an extra

    counters_module = "images_emulator.state.redis_counters"
    monkeypatch.setattr(f"{counters_module}.MAX_COUNTS", 2)
    monkeypatch.setattr(f"{counters_module}.random_digits", iter("1234567").__next__)
    store = RedisStore(shared_redis().url, new_store_name())
    revoked: list[str] = []

    async def note(key: str) -> None:
        revoked.append(key)

    counters = store.counters("steps", note)
    assert isinstance(counters, RedisCounters)
    first, second, third, late = (
        ScenarioStep(parse_step({"fault": "timeout", "after": after}), "step", key)
        for key, after in (("a", 1), ("b", 0), ("c", 0), ("c", 9))
    )
    assert (await counters.claim([first, second])).granted == (second, ClaimCount(1, 1))
    assert (await counters.claim([first])).granted == (first, ClaimCount(2, 1))
    assert (await counters.claim([third])).granted == (third, ClaimCount(1, 1))
    assert await counters.counts("abc") == [ClaimCount(2, 1), ClaimCount(), ClaimCount(1, 1)]
    counters._to_revoke = ["1"]
    await counters._revoke()
    assert await counters.counts("abc") == [ClaimCount(1, 1), ClaimCount(), ClaimCount(1, 1)]
    assert revoked == ["b"]
    await counters.claim([third])
    # It begins anew.
    await counters.claim([second])
    await counters.claim([first])
    await counters.claim([late])
    assert await counters.counts("c") == [ClaimCount(1, 0)]
    counters._to_revoke = ["3", "4"]
    await counters._revoke()
    assert await counters.counts("c") == [ClaimCount()]
    await store.disconnect()


def test_the_table_of_scripts_has_each_of_them_once() -> None:
    from images_emulator.state import redis_scripts  # noqa: PLC0415 - an extra

    table = re.findall(r"^\|.*\|$", redis_scripts.__doc__ or "", re.MULTILINE)
    listed = [name for row in table for name in re.findall(r"`([A-Z_]+)`", row.split("|")[4])]
    scripts = vars(redis_scripts).items()
    names = [name for name, value in scripts if isinstance(value, redis_scripts.Script)]
    assert sorted(listed) == sorted(names)


async def test_deleting_a_record_that_is_not_there_leaves_no_key_in_redis() -> None:
    from images_emulator.state.redis_store import RedisStore  # noqa: PLC0415 - an extra

    redis, name = shared_redis(), new_store_name()
    store = RedisStore(redis.url, name)
    assert not await store.records("files", 100, NUMBER).delete("a")
    assert reply_lines(redis.command("KEYS", f"*{name}}}*")) == []
    await store.disconnect()


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


def test_call_that_fails_while_its_fault_is_looked_for_is_complete_in_the_journal(
    redis_server: RedisServer, http: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(*_: Any) -> None:
        raise MemoryError

    with Server(store=redis_server.url) as server:
        server.inject("server_error", match={"path": "/v1/models"})
        monkeypatch.setattr(FaultSearch, "_claim_early", failing)
        monkeypatch.setattr(logging.getLogger("uvicorn.error"), "disabled", True)
        assert generate(http, server).status_code == 500
        assert server.requests[0].outcome != "waiting"


def test_a_download_that_fails_in_the_emulator_is_complete_in_the_journal(
    http: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> Any:
        raise KeyError("a mistake of the emulator's own")

    with Server(store=shared_redis().url, store_name=new_store_name()) as server:
        url = generate(http, server).json()["data"][0]["url"]
        monkeypatch.setattr("images_emulator.state.redis_records.RedisRecords.get", fail)
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
    from images_emulator.state.redis_store import RedisStore  # noqa: PLC0415 - an extra

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


def sent_bytes(redis: RedisServer) -> int:
    """The bytes that Redis has ever sent."""
    statistics = redis.command("INFO", "stats")
    return int(statistics.split(b"total_net_output_bytes:")[1].split()[0])


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
    monkeypatch.setattr("images_emulator.state.redis_pool.TIMEOUT_SECONDS", 1)
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
        assert server.emulator.journal.dropped() == 0


@pytest.mark.slow
def test_faults_that_calls_claimed_while_redis_paused_are_met_by_others(
    redis_server: RedisServer, http: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images_emulator.state.redis_pool.TIMEOUT_SECONDS", 1)
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


async def test_a_step_that_was_over_is_met_again_by_the_grant_that_was_revoked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from images_emulator.state.redis_counters import RedisCounters  # noqa: PLC0415 - an extra
    from images_emulator.state.redis_store import RedisStore  # noqa: PLC0415 - an extra

    name = new_store_name()
    stores = [RedisStore(shared_redis().url, name) for _ in range(2)]
    one, other = await asyncio.to_thread(lambda: [Scenario(store) for store in stores])
    await asyncio.to_thread(one.inject, "server_error", times=2)
    await stores[1].refresh()

    revoke, may_revoke = RedisCounters._revoke_all, asyncio.Event()

    async def revoke_then(counters: RedisCounters) -> None:
        await may_revoke.wait()
        await revoke(counters)

    monkeypatch.setattr(RedisCounters, "_revoke_all", revoke_then)
    lost = asyncio.ensure_future(one.claim_fault(CALL))
    await asyncio.sleep(0)  # it waits to be sent
    lost.cancel()
    (step,) = (await asyncio.to_thread(other.as_json))["steps"]
    while await stores[1].counters("scenario").counts([step["id"]]) != [ClaimCount(1, 1)]:
        pass
    assert (await other.claim_fault(CALL))[0]
    await stores[1].counters("x").counts(["any"])  # takes the removal of the step along
    await stores[0].refresh()
    assert not one.has_faults
    revived = asyncio.Event()
    stores[0].observers = (lambda name: revived.set(),)
    may_revoke.set()
    await revived.wait()
    await stores[1].refresh()
    assert (await other.claim_fault(CALL))[0]
    assert (await other.claim_fault(CALL))[0] is None
    for store in stores:
        await store.disconnect()
        store.close()


@pytest.mark.slow
def test_writes_to_the_journal_that_redis_never_gets_are_counted(
    redis_server: RedisServer, http: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images_emulator.state.redis_log.MAX_LATE_WRITES", 4)
    with Server(store=redis_server.url) as server:
        redis_server.kill()
        for number in range(5):
            generate(http, server, prompt=f"{number}", response_format="b64_json")
        redis_server.start()
        until(lambda: generate(http, server, prompt="after").status_code == 200)
        prompts = [call.prompt for call in server.requests]
        assert "0" not in prompts
        assert server.emulator.journal.dropped() >= 3


def log_of(store: Store) -> Log[int]:
    return store.log("n", NUMBERS, max_entries=100, max_bytes=1000, detach=int)


async def test_entry_that_redis_gets_late_is_not_amended_before_it_is_there(
    lone_store: RedisStore, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from images_emulator.state import redis_scripts  # noqa: PLC0415 - an extra

    log, counters = log_of(lone_store), lone_store.counters("x")
    redis_server.kill()
    await log.append("a", 1, 10)
    redis_server.start()
    assert await counters.counts(["a"]) == [ClaimCount()]

    call, began, may_have_fault = lone_store.client.call, asyncio.Event(), asyncio.Event()

    async def fail_to_append(script: Any, keys: Any, *arguments: Any) -> Any:
        if script is not redis_scripts.APPEND or may_have_fault.is_set():
            return await call(script, keys, *arguments)
        began.set()
        await may_have_fault.wait()
        raise emulator_errors.store_unavailable(url="redis:", reason="the connection broke")

    monkeypatch.setattr(lone_store.client, "call", fail_to_append)
    reading = asyncio.ensure_future(log.get("a"))
    await began.wait()
    amending = asyncio.ensure_future(log.amend("a", 2, 10, detachable=False))
    for _ in range(3):
        await counters.counts(["a"])
    may_have_fault.set()
    with pytest.raises(APIError):
        await reading
    await amending
    assert await log.get("a") == 2


@pytest.fixture
async def small_store() -> AsyncIterator[RedisStore]:
    """A store whose Redis takes no value of more than a megabyte."""
    from images_emulator.state.redis_store import RedisStore  # noqa: PLC0415 - an extra

    redis = RedisServer("--proto-max-bulk-len", "1mb")
    store = RedisStore(redis.url)
    yield store
    await store.disconnect()
    await asyncio.to_thread(store.close)
    redis.close()


TEXTS: Final[Codec[str]] = Codec(
    lambda text: Packed({"text": text}), lambda packed: str(packed.document["text"])
)
LONG: Final = "x" * 2**20


async def eventually(read: Callable[[], Any]) -> Any:
    """What *read* gives when Redis replies: it closes the connection on which it has refused a
    long value."""
    while True:
        try:
            return await read()
        except APIError:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("is_late", [False, True])
async def test_a_write_that_redis_refuses_even_without_bytes_is_dropped_and_counted(
    small_store: RedisStore, monkeypatch: pytest.MonkeyPatch, is_late: bool
) -> None:
    monkeypatch.setattr("images_emulator.state.redis_client.RETRY_SECONDS", 0.01)
    codec = LogCodec(TEXTS.pack, TEXTS.pack, TEXTS.unpack)
    log = small_store.log("n", codec, max_entries=100, max_bytes=2**30, detach=len)
    events: list[StoreEvent] = []
    await log.append("a", "a", 1)
    small_store.observe_events(events.append)
    if is_late:
        # Redis is away, as far as this process knows.
        small_store.client._note_failure(OSError("the connection broke"))
        monkeypatch.setattr(small_store.client, "_next_attempt", monotonic() + 0.2)
    assert await log.append("b", LONG, 1) == 0
    await log.amend("a", LONG, 1, detachable=False)
    await log.append("c", "c", 1)
    assert await eventually(log.all) == ["a", "c"]
    assert await eventually(log.added_count) == 3
    assert await log.append("d", "d", 1) == 4
    assert await log.added_count() == 4
    if is_late:
        await asyncio.to_thread(until, lambda: len(events) == 2)
        back = events[-1]
        assert isinstance(back, StoreBack)
        assert (back.late_entries, back.dropped_entries) == (1, 1)


AWAY: Final = emulator_errors.store_unavailable(url="redis:", reason="the connection broke")


async def test_a_dropped_entry_is_counted_once_by_entries_that_are_sent_again(
    lone_store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from images_emulator.state import redis_scripts  # noqa: PLC0415 - an extra
    from images_emulator.state.redis_client import RefusedOperationError  # noqa: PLC0415 - an extra

    log, call, loses_replies = log_of(lone_store), lone_store.client.call, True
    refused = RefusedOperationError(AWAY.newest, AWAY.refusal, AWAY.values)

    async def unreliable(script: Any, keys: Any, *arguments: Any) -> Any:
        if script is not redis_scripts.APPEND:
            return await call(script, keys, *arguments)
        if arguments[3] == "a":
            await asyncio.sleep(0)  # the other one is sent
            raise AWAY if loses_replies else refused
        reply = await call(script, keys, *arguments)
        if loses_replies:
            raise AWAY
        return reply

    monkeypatch.setattr(lone_store.client, "call", unreliable)
    await asyncio.gather(log.append("a", 1, 1), log.append("b", 2, 1))
    loses_replies = False
    # Redis refuses the first one now, and has the second.
    assert await log.all() == [2]
    assert await log.added_count() == 2
    loses_replies = True
    assert await log.append("c", 3, 1) == 0
    loses_replies = False
    assert await log.all() == [2, 3]
    assert await log.added_count() == 3
    assert await log.append("d", 4, 1) == 4


@pytest.mark.parametrize("last", ["is refused", "is pushed out"])
async def test_an_entry_that_would_count_dropped_ones_and_is_dropped_leaves_them_to_the_next(
    lone_store: RedisStore, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    from images_emulator.state import redis_scripts  # noqa: PLC0415 - an extra
    from images_emulator.state.redis_client import RefusedOperationError  # noqa: PLC0415 - an extra

    refused = RefusedOperationError(AWAY.newest, AWAY.refusal, AWAY.values)
    log, call = log_of(lone_store), lone_store.client.call
    failures: dict[str, list[APIError]] = {
        "a": [refused],
        "b": [AWAY, refused if last == "is refused" else AWAY],
        "c": [],
    }
    monkeypatch.setattr("images_emulator.state.redis_log.MAX_LATE_WRITES", 1)

    async def unreliable(script: Any, keys: Any, *arguments: Any) -> Any:
        if script is redis_scripts.APPEND and failures[arguments[3]]:
            raise failures[arguments[3]].pop(0)
        return await call(script, keys, *arguments)

    monkeypatch.setattr(lone_store.client, "call", unreliable)
    for number, key in enumerate("abc"):
        await log.append(key, number, 1)
    assert await log.all() == [2]
    assert not any(failures.values())
    assert await log.added_count() == 3
    assert await call(redis_scripts.COUNT_ENTRIES, log._keys) == b"3"  # type: ignore[attr-defined]


async def test_a_write_past_the_budget_of_an_outage_is_kept_without_its_bytes(
    lone_store: RedisStore, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images_emulator.state.redis_log.MAX_LATE_BYTES", 1000)
    packed = [Packed({"n": 0}, b""), Packed({"n": 1}, b"x" * 900), Packed({"n": 2}, b"x" * 900)]
    codec: LogCodec[Any] = LogCodec(
        lambda entry: packed[entry], lambda entry: packed[entry], lambda entry: entry
    )
    log = lone_store.log("n", codec, max_entries=100, max_bytes=10**6, detach=int)
    redis_server.kill()
    for number, key in enumerate("abc"):
        assert await log.append(key, number, len(packed[number].data) + 1) == 0
    redis_server.start()
    until_back = await eventually(log.all)
    assert [entry.document["n"] for entry in until_back] == [0, 1, 2]
    assert [len(entry.data) for entry in until_back] == [0, 900, 0]
    assert (await log.size()).weight == 903
    assert await log.added_count() == 3


async def test_a_late_write_on_its_way_is_not_dropped(
    lone_store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from images_emulator.state import redis_scripts  # noqa: PLC0415 - an extra

    monkeypatch.setattr("images_emulator.state.redis_log.MAX_LATE_WRITES", 1)
    log, call = log_of(lone_store), lone_store.client.call
    is_away, on_its_way, may_go = True, asyncio.Event(), asyncio.Event()

    async def slow(script: Any, keys: Any, *arguments: Any) -> Any:
        if script is redis_scripts.APPEND and is_away:
            raise AWAY
        if script is redis_scripts.APPEND and arguments[3] == "a":
            on_its_way.set()
            await may_go.wait()
        return await call(script, keys, *arguments)

    monkeypatch.setattr(lone_store.client, "call", slow)
    await log.append("a", 1, 1)
    is_away = False
    reading = asyncio.ensure_future(log.all())
    await on_its_way.wait()
    cancelled = asyncio.ensure_future(log.append("b", 2, 1))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.wait([cancelled])
    may_go.set()
    await reading
    assert await log.append("c", 3, 1) == 3
    assert await log.all() == [1, 3]
    assert await log.added_count() == 3


async def test_a_dropped_entry_is_counted_where_the_next_one_is_cancelled(
    lone_store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from images_emulator.state import redis_scripts  # noqa: PLC0415 - an extra
    from images_emulator.state.redis_client import RefusedOperationError  # noqa: PLC0415 - an extra

    log, call, is_sent = log_of(lone_store), lone_store.client.call, asyncio.Event()

    async def hanging(script: Any, keys: Any, *arguments: Any) -> Any:
        if script is redis_scripts.APPEND and arguments[3] == "a":
            raise RefusedOperationError(AWAY.newest, AWAY.refusal, AWAY.values)
        if script is redis_scripts.APPEND and arguments[3] == "b" and not is_sent.is_set():
            is_sent.set()
            await asyncio.Event().wait()
        return await call(script, keys, *arguments)

    monkeypatch.setattr(lone_store.client, "call", hanging)
    assert await log.append("a", 1, 1) == 0
    cancelled = asyncio.ensure_future(log.append("b", 2, 1))
    await is_sent.wait()
    cancelled.cancel()
    await asyncio.wait([cancelled])
    assert await log.append("c", 3, 1) == 3
    assert await log.all() == [2, 3]
    assert await log.added_count() == 3


async def test_a_reply_that_is_an_error_is_logged_once_and_no_outage(
    lone_store: RedisStore, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[StoreEvent] = []
    lone_store.observe_events(events.append)
    log, records = log_of(lone_store), lone_store.records("r", 100, NUMBER)
    await records.put({"a": 1}, 1)
    redis_server.command("SET", "images-emulator:3:{default}:records:r:json", "x")
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


class DelayedReply:
    """Holds the first reply to `HEADS` back, when it *has come*, until the delay *is over*."""

    def __init__(self, store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.has_come, self.is_over = asyncio.Event(), asyncio.Event()
        self._call = store.client.call
        monkeypatch.setattr(store.client, "call", self.call)

    async def call(self, script: Any, keys: Any, *arguments: Any) -> Any:
        from images_emulator.state import redis_scripts  # noqa: PLC0415 - an extra

        reply = await self._call(script, keys, *arguments)
        if script is redis_scripts.HEADS and not self.has_come.is_set():
            self.has_come.set()
            await self.is_over.wait()
        return reply


@pytest.mark.parametrize("cleared", [False, True])
async def test_an_early_reply_that_comes_late_hides_no_entry(
    monkeypatch: pytest.MonkeyPatch, cleared: bool
) -> None:
    from images_emulator.state.redis_store import RedisStore  # noqa: PLC0415 - an extra

    store = RedisStore(shared_redis().url, new_store_name())
    log = log_of(store)
    for number in range(2):
        await log.append(str(number), number, 1)
    assert await log.summaries() == [0, 1]
    delay = DelayedReply(store, monkeypatch)
    await log.amend("1", 10, 1, detachable=False)
    late = asyncio.ensure_future(log.summaries())
    await delay.has_come.wait()
    if cleared:
        await log.clear()
        await log.append("2", 2, 1)
    await log.amend("1", 100, 1, detachable=False)
    await log.append("3", 3, 1)
    newest = [2, 3] if cleared else [0, 100, 3]
    assert await log.summaries() == newest
    delay.is_over.set()
    assert await late == newest
    assert await log.summaries() == newest
    await store.disconnect()
    store.close()


async def test_an_early_reply_that_comes_late_brings_no_dropped_entry_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from images_emulator.state.redis_store import RedisStore  # noqa: PLC0415 - an extra

    store = RedisStore(shared_redis().url, new_store_name())
    log = store.log("n", NUMBERS, max_entries=3, max_bytes=1000, detach=int)
    delay = DelayedReply(store, monkeypatch)
    for number in range(3):
        await log.append(str(number), number, 1)
    late = asyncio.ensure_future(log.summaries())
    await delay.has_come.wait()
    await log.append("3", 3, 1)
    assert await log.summaries() == [1, 2, 3]
    delay.is_over.set()
    assert await late == [1, 2, 3]
    await log.append("4", 4, 1)
    assert await log.summaries() == [2, 3, 4]
    await store.disconnect()
    store.close()


async def test_a_log_that_has_lost_all_entries_has_the_next_ones() -> None:
    from images_emulator.state.redis_store import RedisStore  # noqa: PLC0415 - an extra

    store = RedisStore(shared_redis().url, new_store_name())
    log = store.log("n", NUMBERS, max_entries=3, max_bytes=10, detach=int)
    await log.append("0", 0, 1)
    assert await log.summaries() == [0]
    await log.append("1", 1, 100)
    assert await log.summaries() == await log.all()
    await log.append("2", 2, 1)
    assert await log.summaries() == await log.all() == [2]
    await store.disconnect()
    store.close()


async def test_a_reply_that_is_older_than_the_last_write_of_a_process_is_no_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from images_emulator.state import redis_scripts  # noqa: PLC0415 - an extra
    from images_emulator.state.redis_store import RedisStore  # noqa: PLC0415 - an extra

    name = new_store_name()
    one, other = (RedisStore(shared_redis().url, name) for _ in range(2))

    def registers() -> list[list[Register[int]]]:
        return [[store.register(each, 0, NUMBER) for each in "ab"] for store in (one, other)]

    (first, second), (written, _) = await asyncio.to_thread(registers)
    has_reply, may_go_on, call = asyncio.Event(), asyncio.Event(), one.client.call
    shares = []

    async def reply_late(script: Any, keys: Any, *arguments: Any) -> Any:
        reply = await call(script, keys, *arguments)
        if script is redis_scripts.REFRESH and not has_reply.is_set():
            has_reply.set()
            await may_go_on.wait()
        shares.append(script is redis_scripts.SHARE)
        return reply

    monkeypatch.setattr(one.client, "call", reply_late)
    await written.update(lambda _: 1)
    refreshing = asyncio.ensure_future(one.refresh())
    await has_reply.wait()
    await second.update(lambda _: 2)
    may_go_on.set()
    await refreshing
    assert (first.value, second.value) == (1, 2)
    assert not any(shares)
    assert one.client._recovery is None
    for store in (one, other):
        await store.disconnect()
        await asyncio.to_thread(store.close)


async def test_entries_that_redis_gets_late_come_in_order_from_several_event_loops(
    lone_store: RedisStore, redis_server: RedisServer
) -> None:
    log = log_of(lone_store)
    redis_server.kill()
    for number in range(50):
        await log.append(str(number), number, 1)
        await log.amend(str(number), -number, 1, detachable=False)
    redis_server.start()
    assert await lone_store.counters("x").counts(["a"]) == [ClaimCount()]
    readers = [asyncio.to_thread(lambda: lone_store.run(log.newest(100))) for _ in range(4)]
    found = await asyncio.gather(*readers, log.all(), log.all())
    assert found == [[-number for number in range(50)]] * 6
    assert await log.added_count() == 50


async def test_late_entries_are_forgotten_when_redis_has_forgotten_all(
    lone_store: RedisStore, redis_server: RedisServer
) -> None:
    log = log_of(lone_store)
    redis_server.kill()
    assert await log.append("a", 1, 10) == 0
    with pytest.raises(APIError):
        await log.clear()
    redis_server.start()
    assert await log.all() == [1]
    redis_server.kill()
    await log.append("b", 2, 10)
    redis_server.start()
    await log.clear()
    assert (await log.all(), await log.added_count()) == ([], 0)


async def test_redis_is_not_asked_again_soon_after_a_failure(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images_emulator.state.redis_client.RETRY_SECONDS", 1000)
    from images_emulator.state.redis_store import RedisStore  # noqa: PLC0415 - an extra

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
        monkeypatch.setattr(f"images_emulator.state.{name}", 0)
    from images_emulator.state.redis_store import RedisStore  # noqa: PLC0415 - an extra

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


def test_server_does_not_start_without_its_store() -> None:
    with pytest.raises(OSError, match="The store unix:///nowhere/at/all cannot") as error:
        Server(store="unix:///nowhere/at/all")
    assert error.value.strerror


def test_a_server_that_ends_closes_what_was_opened_while_it_did(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Without it, because an event loop of uvloop says nothing of what it leaves open.
    monkeypatch.setitem(sys.modules, "uvloop", None)
    tasks: list[asyncio.Task[None]] = []

    async def ask_on() -> None:
        while True:
            await emulator.store.refresh()
            await asyncio.sleep(0)

    async def begin() -> None:
        tasks.append(asyncio.create_task(ask_on()))

    with Server(store=shared_redis().url, store_name=new_store_name()) as server:
        emulator = server.emulator
        emulator.cleanup_callbacks += (begin,)
    assert tasks[0].cancelled()
    gc.collect()


def test_store_that_is_garbage_leaves_no_thread() -> None:
    from images_emulator.state.redis_store import RedisStore  # noqa: PLC0415 - an extra

    before = {*threading.enumerate()}
    store = RedisStore(shared_redis().url, new_store_name())
    assert store.run(store.counters("x").counts(["a"])) == [ClaimCount()]
    (thread,) = {*threading.enumerate()} - before
    del store
    gc.collect()
    thread.join(RECOVERY_SECONDS)
    assert not thread.is_alive()


# --- settings


def test_password_of_the_store_is_not_shown(http: httpx2.Client) -> None:
    path = shared_redis().url.removeprefix("unix://")
    with Server(store=f"unix://default:@{path}?client_name=secret") as server:
        shown = http.get(f"{server.url}/_emulator/settings").json()
    assert shown["store"] == f"unix://{path}"


def test_store_is_reached_by_tcp_and_tls_and_as_a_user(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-days", "2", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    port, tls_port = free_ports(2)
    assert redis_server.command(f"CONFIG SET bind 127.0.0.1 port {port}") == b"+OK\r\n"
    assert (
        redis_server.command(
            f"CONFIG SET tls-cert-file {certificate} tls-key-file {key} tls-auth-clients no"
            f" tls-port {tls_port}"
        )
        == b"+OK\r\n"
    )
    redis_server.command("ACL SETUSER tester on >sesame ~images-emulator:* +@all")
    patience = f"?socket_timeout={RECOVERY_SECONDS}"
    for url in (
        f"redis://tester:sesame@127.0.0.1:{port}/2{patience}",
        f"rediss://tester:sesame@localhost:{tls_port}{patience}&ssl_ca_certs={certificate}",
        redis_server.url.replace("unix://", "unix://tester:sesame@") + patience,
    ):
        with Server(store=url, store_name="a") as server:
            server.clock.freeze(NOW)
    for user in ("tester:wrong", "nobody:sesame"):
        with pytest.raises(OSError, match="invalid username-password pair"):
            Server(store=f"redis://{user}@127.0.0.1:{port}{patience}")
    redis_server.command("ACL SETUSER tester -evalsha")
    with pytest.raises(OSError, match="no permissions"):
        Server(store=f"redis://tester:sesame@127.0.0.1:{port}{patience}")


def test_store_is_the_master_that_sentinels_name(
    redis_server: RedisServer, http: httpx2.Client, tmp_path: Path
) -> None:
    port, sentinel_port, nobody = free_ports(3)
    redis_server.command(f"CONFIG SET bind 127.0.0.1 port {port}")
    sentinel = Sentinel(tmp_path, sentinel_port, "images", port, down_ms=30_000)
    hosts = f"127.0.0.1:{nobody},127.0.0.1:{sentinel_port}"
    try:
        for one, other in replicas_of(f"redis+sentinel://{hosts}/images/0"):
            generate(http, one)
            assert [call.prompt for call in other.requests] == ["x"]
        with pytest.raises(OSError, match=r"No master found for 'others'\.$"):
            Server(store=f"redis+sentinel://127.0.0.1:{sentinel_port}/others")
    finally:
        sentinel.close()
    assert b"images-emulator" in redis_server.command("KEYS *")


async def test_a_subscription_is_made_at_the_node_of_a_cluster_that_is_there(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from images_emulator.state.redis_subscription import messages  # noqa: PLC0415 - an extra

    monkeypatch.setattr("images_emulator.state.redis_subscription.RECONNECT_SECONDS", 0)
    port, nobody = free_ports(2)
    redis_server.command(f"CONFIG SET bind 127.0.0.1 port {port}")
    hosts = f"127.0.0.1:{nobody},127.0.0.1:{port}"
    subscription = messages(f"redis+cluster://{hosts}", "channel")
    assert await anext(subscription) is None
    redis_server.command("PUBLISH channel x")
    assert await anext(subscription) == b"x"
    await subscription.aclose()


@pytest.mark.slow
async def test_a_sentinel_that_does_not_reply_is_not_waited_for(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    from images_emulator.state.redis_store import RedisStore  # noqa: PLC0415 - an extra

    port, sentinel_port = free_ports(2)
    redis_server.command(f"CONFIG SET bind 127.0.0.1 port {port}")
    sentinel = Sentinel(tmp_path, sentinel_port, "images", port, down_ms=30_000)
    try:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            hosts = f"127.0.0.1:{silent.getsockname()[1]},127.0.0.1:{sentinel_port}"
            store = RedisStore(f"redis+sentinel://{hosts}/images/0")
            assert await store.counters("x").counts(["a"]) == [ClaimCount()]
            await store.disconnect()
    finally:
        sentinel.close()


@pytest.mark.slow
def test_store_is_a_cluster(http: httpx2.Client) -> None:
    port, bus_port, nobody = free_ports(3)
    cluster = ("--cluster-enabled", "yes", "--cluster-port", str(bus_port))
    node = RedisServer("--port", str(port), "--bind", "127.0.0.1", *cluster)
    try:
        assert node.command("CLUSTER ADDSLOTSRANGE 0 16383") == b"+OK\r\n"
        until(lambda: b"cluster_state:ok" in node.command("CLUSTER INFO"))
        url = f"redis+cluster://127.0.0.1:{nobody},127.0.0.1:{port}"
        for one, other in replicas_of(url, rate_limit="9/min"):
            one.inject("server_error", times=1)
            assert generate(http, other).status_code == 500
            url = generate(http, one).json()["data"][0]["url"]
            assert http.get(url.replace(one.url, other.url)).status_code == 200
            assert [call.status for call in one.requests] == [500, 200]
            assert [call.status for call in one.downloads] == [200]
            # A node counts only those that watch by that node.
            assert one.emulator.journal._log.is_watched
            node.kill()
            assert generate(http, one, response_format="url").status_code == 503
    finally:
        node.close()


def test_sentinels_need_the_name_of_the_master() -> None:
    with pytest.raises(ValueError, match=r"store: .* the name of the master"):
        Settings(store="redis+sentinel://localhost:26379")


@pytest.mark.parametrize("url", ["redis:", "http://localhost", "localhost:6379", "redis://"])
def test_store_that_is_no_url_of_redis_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="store: expected a URL that begins with redis://"):
        Settings(store=url)


@pytest.mark.parametrize("port", ["a", "0", "65536"])
def test_store_with_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(ValueError, match=r"store: .*[Pp]ort"):
        Settings(store=f"redis://localhost:{port}")


@pytest.mark.parametrize("name", ["", "a b", "a:b", "{a}", "a" * 65])
def test_store_name_that_could_be_two_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="store_name: expected up to 64 letters"):
        Settings(store_name=name)


def test_store_without_its_client_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("images_emulator.setting_values.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'openai-images-emulator\[redis\]'"):
        Settings(store="redis://localhost")


def test_address_in_an_error_has_no_password() -> None:
    with pytest.raises(OSError, match="store: ") as error:
        Server(Settings(store="redis://user:secret@127.0.0.1:1/0"))
    assert "secret" not in str(error.value)
    assert "redis://127.0.0.1:1/0" in str(error.value)
