"""The client of the store in Redis: threads that ask it, and event loops that end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from images_emulator.contract import emulator_errors
from images_emulator.contract.refusal import APIError
from images_emulator.faults.scenario_document import parse_step
from images_emulator.state.event_loop_thread import EventLoopThread
from images_emulator.state.steps import ScenarioStep
from images_emulator.state.store import Count, StoreAway, StoreBack, StoreEvent
from tests.redis_server import RedisServer, missing_part, new_store_name, shared_redis
from tests.waiting import until

if not missing_part():
    from images_emulator.state.redis_client import RedisClient
    from images_emulator.state.redis_counters import RedisCounters
    from images_emulator.state.redis_store import RedisStore

pytestmark = [
    pytest.mark.skipif(bool(missing_part()), reason=missing_part()),
    pytest.mark.not_on_redis("its stores are their own"),
]

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


async def ask(store: RedisStore) -> list[Count]:
    return await store.counters("x").counts(["a"])


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
    assert redis_store.run(ask(redis_store)) == [Count()]
    closing.join()


def test_a_close_waits_for_the_work_of_other_threads(redis_store: RedisStore) -> None:
    is_asking, may_go_on = threading.Event(), threading.Event()

    async def work() -> list[Count]:
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
        assert asking.result() == [Count()]
        closing.result()


def test_work_after_a_close_is_done_by_another_thread(redis_store: RedisStore) -> None:
    before = {*threading.enumerate()}
    for _ in range(2):
        assert redis_store.run(ask(redis_store)) == [Count()]
        redis_store.close()
    assert {*threading.enumerate()} <= before


def test_an_outage_that_an_event_loop_met_just_before_its_end_ends_all_the_same(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images_emulator.state.redis_client.RETRY_SECONDS", 0)
    events: list[StoreEvent] = []
    client = RedisClient(redis.url)
    store = RedisStore(client)
    client.event_observers = (events.append,)
    redis.kill()
    with pytest.raises(APIError):
        asyncio.run(ask(store))
    redis.start()
    assert store.run(ask(store)) == [Count()]
    until(lambda: len(events) == 2)
    assert [type(event) for event in events] == [StoreAway, StoreBack]
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
    step = ScenarioStep(parse_step({"fault": "timeout", "times": 30}), "step", "a")
    await cancel_and_revoke(counters.claim([step]) for _ in range(20))
    assert await counters.counts(["a"]) == [Count()]
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
    monkeypatch.setattr("images_emulator.state.redis_counters.RETRY_SECONDS", 0)
    calls: list[str] = []

    async def revive(key: str) -> None:
        calls.append(key)
        if len(calls) <= failures:
            raise emulator_errors.store_unavailable(url="redis:", reason="the connection broke")

    counters = redis_store.counters("steps", revive)
    steps = [
        ScenarioStep(parse_step({"fault": "timeout", "times": 1}), "step", key) for key in "ab"
    ]
    await cancel_and_revoke(counters.claim([step]) for step in steps)
    assert calls == [*["a"] * failures, "a", "b"]
    assert await counters.counts(["a", "b"]) == [Count(), Count()]
    await redis_store.disconnect()


async def test_a_claim_does_a_revival_that_its_task_has_left(redis_store: RedisStore) -> None:
    revived: list[str] = []

    async def revive(key: str) -> None:
        revived.append(key)

    counters = redis_store.counters("steps", revive)
    assert isinstance(counters, RedisCounters)
    counters._to_revive = ["a"]
    step = ScenarioStep(parse_step({"fault": "timeout", "times": 1}), "step", "b")
    assert (await counters.claim([step])).granted == (step, Count(1, 1))
    assert revived == ["a"]
    await redis_store.disconnect()
