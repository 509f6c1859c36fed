"""The client of the store in Redis: its commands, threads that ask it, event loops that end."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest

from images_emulator.contract import emulator_errors
from images_emulator.contract.refusal import APIError
from images_emulator.state.redis.event_loop_thread import EventLoopThread
from images_emulator.state.scenario_step import ScenarioStep
from images_emulator.state.store import (
    NUMBER_CODEC,
    ClaimCount,
    LogCodec,
    StoreAway,
    StoreBack,
    StoreEvent,
)
from images_emulator.step_documents.scenario_document import parse_step
from tests.redis_server import RedisServer, missing_part, new_store_name, shared_redis
from tests.replicas import RECOVERY_SECONDS
from tests.waiting import until

if not missing_part():
    from images_emulator.state.redis.redis_client import RedisClient
    from images_emulator.state.redis.redis_connection import CommandPacker
    from images_emulator.state.redis.redis_counters import RedisCounters
    from images_emulator.state.redis.redis_counters_scripts import COUNTS
    from images_emulator.state.redis.redis_scripts import TOUCH
    from images_emulator.state.redis.redis_store import RedisStore

pytestmark = [
    pytest.mark.skipif(bool(missing_part()), reason=missing_part()),
    pytest.mark.not_on_redis("its stores are their own"),
]

LOG_CODEC: Final = LogCodec(NUMBER_CODEC.pack, NUMBER_CODEC.pack, NUMBER_CODEC.unpack)

WINDOW_SECONDS = 0.1
"""Seconds in which a close would end the thread that work is just handed to."""


@pytest.fixture
def redis_store() -> Iterator[RedisStore]:
    store = RedisStore(shared_redis().url, new_store_name())
    yield store
    store.close()


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis that a test may stop."""
    redis = RedisServer()
    yield redis
    redis.resume()
    redis.close()


async def ask(store: RedisStore) -> list[ClaimCount]:
    return await store.counters("x").counts(["a"])


@pytest.mark.slow
def test_work_that_is_handed_over_during_a_close_is_done(
    redis_store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_store.run(ask(redis_store))
    submit = EventLoopThread.submit
    closing = threading.Thread(target=redis_store.close)

    def submit_during_close(thread: EventLoopThread, work: Any) -> Any:
        monkeypatch.undo()
        closing.start()
        closing.join(WINDOW_SECONDS)
        return submit(thread, work)

    monkeypatch.setattr(EventLoopThread, "submit", submit_during_close)
    assert redis_store.run(ask(redis_store)) == [ClaimCount()]
    closing.join()


def test_a_close_waits_for_the_work_of_other_threads(redis_store: RedisStore) -> None:
    is_asking, may_go_on = threading.Event(), threading.Event()

    async def work() -> list[ClaimCount]:
        is_asking.set()
        await asyncio.to_thread(may_go_on.wait)
        await asyncio.sleep(0.01)  # the loop is ending
        return await ask(redis_store)

    with ThreadPoolExecutor(2) as pool:
        asking = pool.submit(redis_store.run, work())
        is_asking.wait()
        closing = pool.submit(redis_store.close)
        until(lambda: redis_store.client._thread is None)
        may_go_on.set()
        assert asking.result() == [ClaimCount()]
        closing.result()


def test_work_after_a_close_is_done_by_another_thread(redis_store: RedisStore) -> None:
    before = {*threading.enumerate()}
    for _ in range(2):
        assert redis_store.run(ask(redis_store)) == [ClaimCount()]
        redis_store.close()
    assert {*threading.enumerate()} <= before


def test_an_outage_that_an_event_loop_met_just_before_its_end_ends_all_the_same(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images_emulator.state.redis.redis_client.RETRY_SECONDS", 0)
    events: list[StoreEvent] = []
    client = RedisClient(redis.url)
    store = RedisStore(client)
    client.event_observers = (events.append,)
    redis.kill()
    with pytest.raises(APIError):
        asyncio.run(ask(store))
    redis.start()
    assert store.run(ask(store)) == [ClaimCount()]
    until(lambda: len(events) == 2)
    assert [type(event) for event in events] == [StoreAway, StoreBack]
    client.close()


class FailingRecovery:
    async def recover(self) -> None:
        raise ValueError("no setting has this name")


def events_of(client: RedisClient) -> list[StoreEvent]:
    """The events that the client tells of from now on."""
    events: list[StoreEvent] = []
    client.observe_events(events.append)
    return events


@pytest.fixture
def retries_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("images_emulator.state.redis.redis_client.RETRY_SECONDS", 0.01)


@pytest.mark.usefixtures("retries_at_once")
def test_each_outage_is_told_where_an_object_cannot_recover(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    client, recovery = RedisClient(redis.url), FailingRecovery()
    events = events_of(client)
    client.recover_later(recovery)
    for number in range(1, 3):
        redis.kill()
        with pytest.raises(APIError):
            client.run(client.call(TOUCH, (), 1))
        redis.start()
        until(lambda count=2 * number: len(events) == count)  # type: ignore[misc]
        assert len(caplog.records) == number
    assert [type(event) for event in events] == [StoreAway, StoreBack] * 2
    assert "no setting has this name" in caplog.text
    client.close()


@pytest.mark.usefixtures("retries_at_once")
def test_an_outage_ends_where_no_object_has_to_recover(redis: RedisServer) -> None:
    client = RedisClient(redis.url)
    events = events_of(client)
    redis.kill()
    with pytest.raises(APIError):
        client.run(client.call(TOUCH, (), 1))
    redis.start()
    until(lambda: len(events) == 2)
    assert client.failure is None
    client.close()


@pytest.mark.usefixtures("retries_at_once")
def test_late_entries_are_written_where_redis_refuses_to_restore_the_registers(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = RedisClient(redis.url)
    recover_all, may_recover = client._recover_all, threading.Event()

    async def recover() -> None:
        if may_recover.is_set():
            await recover_all()

    monkeypatch.setattr(client, "_recover_all", recover)
    store, events = RedisStore(client), events_of(client)
    store.register("n", 1, NUMBER_CODEC)
    log = store.log("n", LOG_CODEC, max_entries=9, max_bytes=9, detach=int)
    redis.kill()
    assert store.run(log.append("a", 1, 1)) == 0
    redis.start()
    redis.command("SET", "images-emulator:5:{default}:registers", "x")
    may_recover.set()
    until(lambda: len(events) == 2)
    assert b"$1\r\n1\r\n" in redis.command(
        "HGET", "images-emulator:5:{default}:log:n:entries", "w:a"
    )
    client.close()


def revocations() -> list[asyncio.Task[Any]]:
    return [each for each in asyncio.all_tasks() if "_revoke_all" in repr(each)]


async def cancel_and_revoke(claims: Iterable[Coroutine[Any, Any, Any]]) -> None:
    """Cancel the *claims* before they are sent, and wait until one task has revoked them."""
    tasks = [asyncio.ensure_future(claim) for claim in claims]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    (revocation,) = revocations()
    await revocation


async def test_claims_without_a_reply_are_all_revoked_by_one_task(redis_store: RedisStore) -> None:
    counters = redis_store.counters("steps")
    step = ScenarioStep(parse_step({"fault": "timeout", "times": 30}), "document", "step", "a")
    await cancel_and_revoke(counters.claim([step]) for _ in range(20))
    assert await counters.counts(["a"]) == [ClaimCount()]
    # The next one has a task again.
    claim = asyncio.ensure_future(counters.claim([step]))
    await asyncio.sleep(0)
    claim.cancel()
    await asyncio.wait([claim])
    assert len(revocations()) == 1
    await redis_store.disconnect()


@pytest.mark.parametrize("failures", [1, 3])
async def test_a_revival_that_fails_is_done_when_redis_replies_again(
    redis_store: RedisStore, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    monkeypatch.setattr("images_emulator.state.redis.redis_counters.RETRY_SECONDS", 0)
    calls: list[str] = []

    async def revive(key: str) -> None:
        calls.append(key)
        if len(calls) <= failures:
            raise emulator_errors.store_unavailable(url="redis:", reason="the connection broke")

    counters = redis_store.counters("steps", revive)
    steps = [
        ScenarioStep(parse_step({"fault": "timeout", "times": 1}), "document", "step", key)
        for key in "ab"
    ]
    await cancel_and_revoke(counters.claim([step]) for step in steps)
    assert calls == [*["a"] * failures, "a", "b"]
    assert await counters.counts(["a", "b"]) == [ClaimCount(), ClaimCount()]
    await redis_store.disconnect()


async def test_a_revival_that_cannot_be_done_is_logged_and_given_up(
    redis_store: RedisStore, caplog: pytest.LogCaptureFixture
) -> None:
    async def revive(key: str) -> None:
        raise ValueError(f"no step has the key {key}")

    counters = redis_store.counters("steps", revive)
    steps = [
        ScenarioStep(parse_step({"fault": "timeout", "times": 1}), "document", "step", key)
        for key in "ab"
    ]
    await cancel_and_revoke(counters.claim([step]) for step in steps)
    assert (await counters.claim(steps[:1])).granted == (steps[0], ClaimCount(1, 1))
    assert len(caplog.records) == 2
    assert "no step has the key b" in caplog.text
    await redis_store.disconnect()


async def test_a_revocation_that_redis_refuses_is_given_up(redis: RedisServer) -> None:
    store = RedisStore(redis.url)
    counters = store.counters("steps")
    assert isinstance(counters, RedisCounters)
    counters._to_revoke = ["1"]
    redis.command("SET", "images-emulator:5:{default}:counters:steps:effects", "x")
    await counters._revoke()
    assert counters._to_revoke == []
    await store.disconnect()


async def test_a_claim_does_a_revival_that_its_task_has_left(redis_store: RedisStore) -> None:
    revived: list[str] = []

    async def revive(key: str) -> None:
        revived.append(key)

    counters = redis_store.counters("steps", revive)
    assert isinstance(counters, RedisCounters)
    counters._to_revive = ["a"]
    step = ScenarioStep(parse_step({"fault": "timeout", "times": 1}), "document", "step", "b")
    assert (await counters.claim([step])).granted == (step, ClaimCount(1, 1))
    assert revived == ["a"]
    await redis_store.disconnect()


def test_a_command_is_written_in_resp_with_lengths_in_bytes() -> None:
    script, packer = COUNTS, CommandPacker()
    arguments = ("", "é\r\n", b"", b"\xff\x00" * 20_000, 5, "x" * 40_000, "\N{ELEPHANT}", b"end")
    encoded = [each if isinstance(each, bytes) else str(each).encode() for each in arguments]
    words = [b"EVALSHA", script.digest.encode(), b"1", b"key", *encoded]
    command = b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
    for _ in range(2):
        pieces = packer.pack(script, ("key",), arguments)
        assert b"".join(pieces) == b"*%d\r\n%b" % (len(words), command)


def test_store_that_is_garbage_leaves_no_thread() -> None:
    before = {*threading.enumerate()}
    store = RedisStore(shared_redis().url, new_store_name())
    assert store.run(store.counters("x").counts(["a"])) == [ClaimCount()]
    (thread,) = {*threading.enumerate()} - before
    del store
    gc.collect()
    thread.join(RECOVERY_SECONDS)
    assert not thread.is_alive()
