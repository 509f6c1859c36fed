"""The log of a store in Redis: entries that Redis gets late or refuses, late replies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import pytest

from images_emulator.contract import emulator_errors
from images_emulator.contract.refusal import APIError
from images_emulator.state.store import ClaimCount, Codec, LogCodec, Packed, StoreBack, StoreEvent
from tests.redis_server import (
    RedisServer,
    missing_part,
    new_store_name,
    shared_redis,
    stoppable_redis,
)
from tests.stores import NUMBERS, log_of, lone_redis_store
from tests.waiting import until

if TYPE_CHECKING:
    from images_emulator.state.redis.redis_store import RedisStore

pytestmark = [
    pytest.mark.skipif(bool(missing_part()), reason=missing_part()),
    pytest.mark.not_on_redis("its servers have a store of their own"),
]

redis_server = pytest.fixture(stoppable_redis)
lone_store = pytest.fixture(lone_redis_store)


# --- entries that are late or dropped


async def test_entry_that_redis_gets_late_is_not_amended_before_it_is_there(
    lone_store: RedisStore, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from images_emulator.state.redis import redis_log_scripts as scripts  # noqa: PLC0415 - an extra

    log, counters = log_of(lone_store), lone_store.counters("x")
    redis_server.kill()
    await log.append("a", 1, 10)
    redis_server.start()
    assert await counters.counts(["a"]) == [ClaimCount()]

    call, began, may_have_fault = lone_store.client.call, asyncio.Event(), asyncio.Event()

    async def fail_to_append(script: Any, keys: Any, *arguments: Any) -> Any:
        if script is not scripts.APPEND or may_have_fault.is_set():
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
    from images_emulator.state.redis.redis_store import RedisStore  # noqa: PLC0415 - an extra

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


@pytest.mark.slow
@pytest.mark.parametrize("is_late", [False, True])
async def test_a_write_that_redis_refuses_even_without_bytes_is_dropped_and_counted(
    small_store: RedisStore, monkeypatch: pytest.MonkeyPatch, is_late: bool
) -> None:
    monkeypatch.setattr("images_emulator.state.redis.redis_client.RETRY_SECONDS", 0.01)
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
    from images_emulator.state.redis import redis_log_scripts as scripts  # noqa: PLC0415 - an extra
    from images_emulator.state.redis.redis_client import RefusedOperationError  # noqa: PLC0415 - an extra

    log, call, loses_replies = log_of(lone_store), lone_store.client.call, True
    refused = RefusedOperationError(AWAY.newest, AWAY.refusal, AWAY.values)

    async def unreliable(script: Any, keys: Any, *arguments: Any) -> Any:
        if script is not scripts.APPEND:
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
    from images_emulator.state.redis import redis_log_scripts as scripts  # noqa: PLC0415 - an extra
    from images_emulator.state.redis.redis_client import RefusedOperationError  # noqa: PLC0415 - an extra

    refused = RefusedOperationError(AWAY.newest, AWAY.refusal, AWAY.values)
    log, call = log_of(lone_store), lone_store.client.call
    failures: dict[str, list[APIError]] = {
        "a": [refused],
        "b": [AWAY, refused if last == "is refused" else AWAY],
        "c": [],
    }
    monkeypatch.setattr("images_emulator.state.redis.redis_log.MAX_LATE_WRITES", 1)

    async def unreliable(script: Any, keys: Any, *arguments: Any) -> Any:
        if script is scripts.APPEND and failures[arguments[3]]:
            raise failures[arguments[3]].pop(0)
        return await call(script, keys, *arguments)

    monkeypatch.setattr(lone_store.client, "call", unreliable)
    for number, key in enumerate("abc"):
        await log.append(key, number, 1)
    assert await log.all() == [2]
    assert not any(failures.values())
    assert await log.added_count() == 3
    assert await call(scripts.COUNT_ENTRIES, log.keys) == b"3"  # type: ignore[attr-defined]


async def test_a_write_past_the_budget_of_an_outage_is_kept_without_its_bytes(
    lone_store: RedisStore, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images_emulator.state.redis.redis_log.MAX_LATE_BYTES", 1000)
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
    from images_emulator.state.redis import redis_log_scripts as scripts  # noqa: PLC0415 - an extra

    monkeypatch.setattr("images_emulator.state.redis.redis_log.MAX_LATE_WRITES", 1)
    log, call = log_of(lone_store), lone_store.client.call
    is_away, on_its_way, may_go = True, asyncio.Event(), asyncio.Event()

    async def slow(script: Any, keys: Any, *arguments: Any) -> Any:
        if script is scripts.APPEND and is_away:
            raise AWAY
        if script is scripts.APPEND and arguments[3] == "a":
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
    from images_emulator.state.redis import redis_log_scripts as scripts  # noqa: PLC0415 - an extra
    from images_emulator.state.redis.redis_client import RefusedOperationError  # noqa: PLC0415 - an extra

    log, call, is_sent = log_of(lone_store), lone_store.client.call, asyncio.Event()

    async def hanging(script: Any, keys: Any, *arguments: Any) -> Any:
        if script is scripts.APPEND and arguments[3] == "a":
            raise RefusedOperationError(AWAY.newest, AWAY.refusal, AWAY.values)
        if script is scripts.APPEND and arguments[3] == "b" and not is_sent.is_set():
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


@pytest.mark.slow
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


# --- what a process has read

LOST: Final = ("entries", "order", "detachable")
"""The keys of a log without its amendments."""


async def test_amendments_that_expire_last_are_in_the_way_of_no_reader() -> None:
    from images_emulator.state.redis.redis_store import RedisStore  # noqa: PLC0415 - an extra

    redis, name = shared_redis(), new_store_name()
    store = RedisStore(redis.url, name)
    log = log_of(store)
    await log.append("a", 1, 1)
    await log.amend("a", 2, 1, detachable=False)
    redis.command("DEL", *(f"images-emulator:5:{{{name}}}:log:n:{end}" for end in LOST))
    await log.append("b", 3, 1)
    for _ in range(2):
        assert await log.summaries() == [3]
    await store.disconnect()


class DelayedReply:
    """Holds the first reply to `HEADS` back, when it *has come*, until the delay *is over*."""

    def __init__(self, store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.has_come, self.is_over = asyncio.Event(), asyncio.Event()
        self._call = store.client.call
        monkeypatch.setattr(store.client, "call", self.call)

    async def call(self, script: Any, keys: Any, *arguments: Any) -> Any:
        from images_emulator.state.redis import redis_log_scripts as scripts  # noqa: PLC0415 - an extra

        reply = await self._call(script, keys, *arguments)
        if script is scripts.HEADS and not self.has_come.is_set():
            self.has_come.set()
            await self.is_over.wait()
        return reply


@pytest.mark.parametrize("cleared", [False, True])
async def test_an_early_reply_that_comes_late_hides_no_entry(
    monkeypatch: pytest.MonkeyPatch, cleared: bool
) -> None:
    from images_emulator.state.redis.redis_store import RedisStore  # noqa: PLC0415 - an extra

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
    from images_emulator.state.redis.redis_store import RedisStore  # noqa: PLC0415 - an extra

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
    from images_emulator.state.redis.redis_store import RedisStore  # noqa: PLC0415 - an extra

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
