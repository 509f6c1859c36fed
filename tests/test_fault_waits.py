"""Faults in emulated time: `clock.advance()` ends what a fault waits for, and nothing else does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from inspect import CORO_SUSPENDED, getcoroutinestate
from time import perf_counter
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from images_emulator import Emulator, Server, create_app
from images_emulator.exchange.request_head import RequestHead
from images_emulator.exchange.served_exchange import ServedExchange
from images_emulator.exchange.waits import Waits
from images_emulator.state import clock as clock_module
from images_emulator.state.clock import Clock
from images_emulator.state.memory_store import MemoryStore
from tests.conftest import KEY
from tests.stores import JSONStore
from tests.waiting import until

HOUR = 3600


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def draw(client: OpenAI, **fields: Any) -> Any:
    return client.images.generate(model="gpt-image-2", prompt="A lighthouse", **fields)


def events_of(client: OpenAI) -> list[str]:
    return [event.type for event in draw(client, stream=True, partial_images=1)]


def test_advance_ends_a_latency_of_an_hour(
    server: Server, client: OpenAI, pool: ThreadPoolExecutor
) -> None:
    server.inject({"kind": "latency", "seconds": HOUR})
    answer = pool.submit(draw, client)
    call = server.wait_for_call()
    waits = server.emulator.clock._waits
    until(lambda: bool(waits))
    server.clock.advance(seconds=HOUR - 60)
    # It is answered on the event loop on which the wait has been looked at meanwhile.
    client.models.list()
    until(lambda: bool(waits), "the wait")
    assert not answer.done()
    server.clock.advance(seconds=60)
    assert answer.result(timeout=30).data
    assert (call.status, call.fault) == (200, "latency")


def test_an_advance_counts_for_a_call_that_is_just_entered_in_the_journal(
    server: Server, client: OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = server.emulator.journal
    append = journal.append

    async def entered(exchange: ServedExchange) -> int | None:
        number = await append(exchange)
        # As another thread does that has found the entry in a shared store.
        await asyncio.to_thread(server.clock.advance, seconds=HOUR)
        return number

    monkeypatch.setattr(journal, "append", entered)
    server.inject({"kind": "latency", "seconds": HOUR})
    assert draw(client.with_options(timeout=20, max_retries=0)).data


def test_advance_over_http_ends_a_latency(
    server: Server, client: OpenAI, http: httpx2.Client, pool: ThreadPoolExecutor
) -> None:
    server.inject({"kind": "latency", "seconds": HOUR})
    answer = pool.submit(draw, client)
    server.wait_for_call()
    assert http.post("/_emulator/clock", json={"advance": HOUR}).is_success
    assert answer.result(timeout=30).data


def test_advance_ends_all_shares_of_a_realistic_latency(
    server: Server, client: OpenAI, pool: ThreadPoolExecutor
) -> None:
    server.inject({"kind": "latency", "realistic": True, "scale": 100})
    events = pool.submit(events_of, client)
    server.wait_for_call()
    server.clock.advance(hours=24)
    assert len(events.result(timeout=30)) == 2


def test_advance_ends_a_stall(server: Server, client: OpenAI, pool: ThreadPoolExecutor) -> None:
    server.inject({"kind": "stall", "after": 1, "seconds": HOUR})
    stream = draw(client, stream=True, partial_images=1)
    assert next(stream).type == "image_generation.partial_image"
    rest: Future[Any] = pool.submit(next, stream)
    server.clock.advance(hours=1)
    assert rest.result(timeout=30).type == "image_generation.completed"


def test_advance_ends_a_slow_body(server: Server, client: OpenAI, pool: ThreadPoolExecutor) -> None:
    server.inject({"kind": "slow_body", "bytes_per_second": 1000})
    answer = pool.submit(draw, client)
    server.wait_for_call(status=200)
    server.clock.advance(hours=24)
    assert answer.result(timeout=30).data


def test_advance_ends_a_timeout_that_has_seconds(
    server: Server, client: OpenAI, pool: ThreadPoolExecutor
) -> None:
    server.inject({"kind": "timeout", "seconds": HOUR})
    answer = pool.submit(draw, client)
    server.wait_for_call()
    server.clock.advance(hours=1)
    with pytest.raises(openai.APIConnectionError):
        answer.result(timeout=30)


class Advance:
    """An observer of the journal that moves the clock on as soon as a call is there."""

    def __init__(self, clock: Clock) -> None:
        self.on_arrival = lambda _: clock.advance(seconds=HOUR)
        self.on_completion = self.on_event = lambda *_: None


@pytest.mark.parametrize("kind", ["latency", "stall"])
def test_an_advance_counts_from_the_arrival_of_the_call(
    server: Server, client: OpenAI, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    server.inject({"kind": kind, "seconds": HOUR})
    monkeypatch.setattr(server.emulator.journal, "observers", (Advance(server.clock),))
    assert len(events_of(client.with_options(timeout=30))) == 2


def test_an_advance_counts_once_for_a_call(emulator: Emulator) -> None:
    exchange = ServedExchange(RequestHead("GET", "/", b"", []), "req_1", datetime.now(UTC))
    exchange.clock = emulator.clock
    exchange.advanced_seconds_at_arrival = emulator.clock.advanced_seconds
    emulator.clock.advance(hours=1)
    waits = Waits(exchange)

    async def wait(seconds: float) -> bool:
        task = asyncio.ensure_future(waits.wait(seconds))
        await asyncio.sleep(0.01)
        return task.cancel()

    async def wait_twice() -> list[bool]:
        return [await wait(HOUR - 1), await wait(HOUR)]

    assert asyncio.run(wait_twice()) == [False, True]


class BrokenClock:
    async def wait_until(self, moment: float) -> None:
        raise ConnectionError("the store is gone")


async def test_a_wait_whose_clock_fails_raises_its_error(emulator: Emulator) -> None:
    exchange = ServedExchange(RequestHead("GET", "/", b"", []), "req_1", datetime.now(UTC))
    exchange.clock = BrokenClock()

    async def receive() -> dict[str, str]:
        await asyncio.sleep(HOUR)
        return {"type": "http.disconnect"}

    with pytest.raises(ConnectionError, match="the store is gone"):
        await Waits(exchange).wait_while_client_stays(HOUR, receive)


@pytest.mark.not_on_redis("the test reads the journal on the application's own event loop")
async def test_advance_ends_the_waits_of_calls_in_process() -> None:
    emulator = Emulator()
    emulator.scenario.inject({"kind": "latency", "seconds": HOUR}, times=None)
    transport = httpx2.ASGITransport(create_app(emulator))
    async with httpx2.AsyncClient(transport=transport, base_url="http://test/v1") as http:
        client = AsyncOpenAI(base_url=http.base_url, api_key=KEY, http_client=http, max_retries=0)
        calls = [
            asyncio.ensure_future(client.images.generate(model="gpt-image-2", prompt="x"))
            for _ in range(3)
        ]
        while len(emulator.journal.find()) < 3:  # noqa: ASYNC110 - the journal has no event
            await asyncio.sleep(0)
        emulator.clock.advance(hours=1)
        for answer in await asyncio.gather(*calls):
            assert answer.data
    emulator.close()


def test_a_frozen_clock_holds_no_wait(server: Server, client: OpenAI) -> None:
    server.clock.freeze(datetime(2026, 11, 21, tzinfo=UTC))
    server.inject({"kind": "latency", "seconds": 0.05})
    start = perf_counter()
    draw(client)
    assert perf_counter() - start >= 0.05
    assert server.calls()[0].time == datetime(2026, 11, 21, tzinfo=UTC)


def test_a_frozen_clock_can_be_advanced_past_a_wait(
    server: Server, client: OpenAI, pool: ThreadPoolExecutor
) -> None:
    server.clock.freeze()
    server.inject({"kind": "latency", "seconds": HOUR})
    answer = pool.submit(draw, client)
    server.wait_for_call()
    server.clock.advance(hours=1)
    assert answer.result(timeout=30).data


@pytest.mark.slow
def test_a_client_that_leaves_ends_the_wait_of_its_call(server: Server, client: OpenAI) -> None:
    server.inject({"kind": "latency", "seconds": HOUR})
    with pytest.raises(openai.APITimeoutError):
        draw(client.with_options(timeout=0.5))
    server.wait_for_call()
    # The server's thread ends it; a store outside the process gives a copy each time.
    while not (call := server.calls()[0]).has_ended:
        threading.Event().wait(0.001)
    assert call.status is None


def test_waiting_for_a_call_that_does_not_come_raises_timeout_error(
    server: Server, client: OpenAI
) -> None:
    client.models.list()
    with pytest.raises(TimeoutError, match=r"no such call within 0 s; there are: GET /v1/models"):
        server.wait_for_call(timeout=0, prompt="ship")


# --- the clock


async def waiting(clock: Clock, seconds: float) -> asyncio.Task[None]:
    """A task that waits for *seconds*."""
    task = asyncio.ensure_future(
        clock.wait_until(perf_counter() + clock.advanced_seconds + seconds)
    )
    await asyncio.sleep(0)
    return task


async def test_a_step_back_and_a_reset_leave_a_wait_as_it_is() -> None:
    clock = Clock(MemoryStore())
    task = await waiting(clock, HOUR)
    clock.advance(minutes=30)
    clock.advance(hours=-5)
    clock.reset()
    clock.freeze(datetime(2030, 1, 1, tzinfo=UTC))
    clock.resume()
    await asyncio.sleep(0.01)
    assert not task.done()
    clock.advance(minutes=30)
    await asyncio.wait_for(task, 30)


async def test_many_threads_can_advance_at_once() -> None:
    clock = Clock(MemoryStore())
    tasks = [await waiting(clock, HOUR) for _ in range(10)]
    threads = [
        threading.Thread(target=clock.advance, kwargs={"seconds": HOUR / 20}) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    await asyncio.wait_for(asyncio.gather(*tasks), 30)
    for thread in threads:
        thread.join()
    assert clock.advanced_seconds == pytest.approx(HOUR)


async def test_an_advance_by_another_process_ends_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock_module, "POLL_SECONDS", 0.001)
    memory = MemoryStore()
    task = await waiting(Clock(JSONStore(memory)), HOUR)
    Clock(JSONStore(memory)).advance(hours=1)
    await asyncio.wait_for(task, 30)


class CountingStore(JSONStore):
    """A shared store that counts how often it was asked for the writes of other processes."""

    refreshes = 0

    async def refresh(self) -> None:
        self.refreshes += 1
        await super().refresh()


@pytest.mark.slow
async def test_many_waits_ask_the_store_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock_module, "POLL_SECONDS", 0.05)
    memory = MemoryStore()
    store = CountingStore(memory)
    clock = Clock(store)
    tasks = [await waiting(clock, HOUR) for _ in range(100)]
    Clock(JSONStore(memory)).advance(hours=1)
    await asyncio.wait_for(asyncio.gather(*tasks), 30)
    assert 0 < store.refreshes < 50


def test_an_advance_is_not_held_up_by_a_loop_that_is_closed() -> None:
    clock = Clock(MemoryStore())
    loop = asyncio.new_event_loop()
    # No task, which would be logged as one that never ended.
    wait = clock.wait_until(perf_counter() + HOUR)

    async def begin() -> None:
        wait.send(None)

    loop.run_until_complete(begin())
    loop.close()
    clock.advance(hours=1)
    assert getcoroutinestate(wait) == CORO_SUSPENDED
    wait.close()
