"""The live feed: server-sent events of what happens at the emulator, for any number of readers."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from itertools import count
from typing import Any

import httpx2
import pytest
from openai import OpenAI

from images_emulator import Emulator, Server, Settings
from images_emulator.contract.operations import GENERATIONS
from images_emulator.exchange.exchange import Exchange
from images_emulator.exchange.request_head import RequestHead
from images_emulator.exchange.sent_answer import SentEvent
from images_emulator.exchange.served_exchange import ServedExchange
from images_emulator.state.memory_store import MemoryStore
from images_emulator.state.store import Codec, LogChange, LogWatcher, Packed, Store
from images_emulator.web.admin import live_feed
from images_emulator.web.admin.admin_handlers import AdminContext
from images_emulator.web.admin.journal_json import summary
from images_emulator.web.admin.live_feed import EventLog, LiveFeed, Reader
from tests.answers import error_of
from tests.event_loops import run_on_own_loop
from tests.feed_listener import Event, Listener, listening, parsed
from tests.stores import JSONStore

MODELS = "/v1/models"


@pytest.fixture(autouse=True)
def short_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each event that a test waits for comes a tenth of a second sooner."""
    monkeypatch.setattr(live_feed, "GATHER_SECONDS", 0.01)
    monkeypatch.setattr(live_feed, "SECONDS_PER_CALL", 0.001)


@pytest.fixture
def long_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader may come back for longer than any test lasts."""
    monkeypatch.setattr(live_feed, "RESUME_SECONDS", 3600)


def call(http: httpx2.Client, prompt: str) -> str:
    """Make a call and return its id."""
    body = {"model": "dall-e-3", "prompt": prompt, "n": 9}
    return str(http.post(GENERATIONS.path, json=body).headers["x-request-id"])


def test_a_call_that_is_over_is_told_as_the_list_of_calls_shows_it(
    server: Server, http: httpx2.Client
) -> None:
    with listening(server.url) as listener:
        assert listener.first.name == ""
        identity = call(http, "a cat")
        event = listener.until("completed")
    (shown,) = http.get("/_emulator/requests").json()["requests"]
    assert event.data == shown
    assert event.data["id"] == identity
    run, number = listener.first.id.rsplit("-", 1)
    assert event.id.rsplit("-", 1)[0] == run
    assert int(event.id.rsplit("-", 1)[1]) > int(number)


def test_a_stream_is_told_as_it_goes_on(server: Server, http: httpx2.Client) -> None:
    body = {"model": "gpt-image-2", "prompt": "x", "stream": True, "partial_images": 2}
    fault = {"x-emulator-fault": "stall;after=1"}
    with listening(server.url) as listener:
        with http.stream("POST", GENERATIONS.path, json=body, headers=fault) as answer:
            identity = answer.headers["x-request-id"]
            arrived = listener.until("arrived")
            assert (arrived.data["id"], arrived.data["duration_ms"]) == (identity, None)
            event = listener.until("event").data
            assert (event["id"], event["index"]) == (identity, 0)
            assert event["type"] == "image_generation.partial_image"
            assert event["ms"] >= 0
            partial = httpx2.get(server.url + event["partial"])
            assert len(partial.content) * 4 // 3 < event["bytes"]
            assert httpx2.get(server.url + event["thumbnail"]).status_code == 200
        completed = listener.until("completed").data
    assert (completed["id"], completed["outcome"], completed["event_count"]) == (
        identity,
        "gone",
        1,
    )


@pytest.mark.usefixtures("long_resume")
@pytest.mark.parametrize("by_query", [False, True])
def test_a_reader_who_comes_back_misses_nothing(
    server: Server, http: httpx2.Client, by_query: bool
) -> None:
    with listening(server.url) as listener:
        read = call(http, "read")
        last = listener.until("completed").id
    identities = [call(http, f"missed {number}") for number in range(3)]
    query, headers = (f"?last_event_id={last}", {}) if by_query else ("", {"last_event_id": last})
    with listening(server.url, query, **headers) as again:
        assert again.first.id == last
        ids: list[str] = []
        while ids[-1:] != identities[-1:]:
            ids.append(again.until("completed").data["id"])
    # A call that ended while a reset was told is told twice.
    assert [each for each in ids if each != read] == identities


@pytest.mark.parametrize(
    "identity", ["x", "x-1", "{run}-99999", "{run}-", "{run}-²", "{run}-" + "9" * 99]
)
def test_a_reader_with_an_unknown_id_starts_again(server: Server, identity: str) -> None:
    with listening(server.url) as listener:
        run = listener.first.id.rsplit("-", 1)[0]
        headers = [(b"last-event-id", identity.format(run=run).encode())]
        path = f"{server.url}/_emulator/events"
        with httpx2.stream("GET", path, headers=headers) as answer:
            first = Listener(answer).first
    assert (first.name, first.data) == ("restart", {})


def test_clearing_the_journal_and_a_reset_are_told(server: Server, http: httpx2.Client) -> None:
    with listening(server.url) as listener:
        call(http, "x")
        listener.until("completed")
        http.delete("/_emulator/requests")
        assert listener.until("cleared").data == {"what": "requests"}
        server.reset()
        # A batch may end within a reset, which clears the journal first.
        while listener.until("cleared").data != {"what": "all"}:
            pass


@pytest.mark.usefixtures("long_resume")
def test_a_new_reader_is_not_told_of_a_reset_before_it(server: Server, http: httpx2.Client) -> None:
    with listening(server.url):
        pass
    server.reset()
    with listening(server.url) as listener:
        identity = call(http, "x")
        event = listener.next()
        while event.name not in ("completed", "cleared"):
            event = listener.next()
    assert (event.name, event.data["id"]) == ("completed", identity)


@pytest.mark.slow
def test_changes_of_state_are_told_by_whomever_they_are_made(
    server: Server, http: httpx2.Client
) -> None:
    def state_of(name: str) -> Any:
        # Before it, the state of a while ago may be told: that after the reset of this test.
        state = http.get(f"/_emulator/{name}").json()
        while listener.until(name).data != state:
            pass
        return state

    with listening(server.url) as listener:
        server.clock.freeze(datetime(2026, 11, 21, tzinfo=UTC))
        listener.until("clock", now="2026-11-21T00:00:00Z", frozen=True)
        http.post("/_emulator/clock", json={"advance": 60})
        listener.until("clock", now="2026-11-21T00:01:00Z")
        server.emulator.configure(validation="lenient")
        assert state_of("settings")["changed"] == ["validation"]
        http.patch("/_emulator/settings", json={"as_of": "today"})
        assert state_of("settings")["changed"] == ["as_of", "validation"]
        server.inject("server_error", times=2)
        (step,) = state_of("scenario")["steps"]
        assert (step["met"], step["spent"]) == (0, False)
        for met in (1, 2):
            http.get(MODELS)
            (step,) = state_of("scenario")["steps"]
            assert (step["met"], step["spent"]) == (met, met == 2)
        http.delete(f"/_emulator/scenario/steps/{step['id']}")
        assert state_of("scenario")["steps"] == []
        server.answer(raw={"status": 503})
        assert state_of("scenario")["steps"][0]["met"] == 0
        http.post("/v1/images/generations", json={"model": "gpt-image-2", "prompt": "x"})
        assert state_of("scenario")["steps"][0]["met"] == 1


def test_a_reader_who_leaves_is_noticed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    left, leave = threading.Event(), LiveFeed._leave

    def noted(feed: LiveFeed, reader: Reader) -> None:
        leave(feed, reader)
        left.set()

    monkeypatch.setattr(LiveFeed, "_leave", noted)
    with listening(server.url):
        pass
    assert left.wait(30)


def test_readers_read_the_same_events(server: Server, http: httpx2.Client) -> None:
    with listening(server.url) as first, listening(server.url) as second:
        call(http, "x")
        assert first.until("completed") == second.until("completed")


def test_the_feed_ends_when_the_server_stops(http: httpx2.Client) -> None:
    with Server() as server, listening(server.url) as listener:
        server.close()
        # A connection that is closed before the end of a stream raises.
        assert listener.ends()


@pytest.mark.slow
def test_a_reader_who_does_not_read_keeps_nobody_waiting() -> None:
    with (
        Server() as server,
        httpx2.Client(base_url=server.url) as http,
        listening(server.url) as other,
        socket.socket() as idle,
    ):
        call(http, "first")
        connections: Any = server._http.server_state.connections
        before = {*connections}
        # Both ends of the connection that comes now hold little.
        server._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        idle.connect(("127.0.0.1", server.port))
        idle.sendall(b"GET /_emulator/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        idle.recv(1)
        (protocol,) = {*connections} - before
        numbers = count()
        while not protocol.flow.write_paused:
            call(http, f"{next(numbers)} " + "long " * 10_000)
            other.until("completed")
        last = call(http, "last")
        other.until("completed", id=last)
        assert protocol.flow.write_paused


# --- who may read


@pytest.fixture(scope="module")
def closed() -> Iterator[Server]:
    with Server(admin_token="secret") as server:
        yield server


def test_the_feed_wants_the_admin_token_or_its_cookie(closed: Server) -> None:
    path = f"{closed.url}/_emulator/events"
    assert error_of(httpx2.get(path), 401)["code"] == "admin_token_required"
    with listening(closed.url, authorization="Bearer secret"):
        pass
    begun = httpx2.post(f"{closed.url}/_emulator/session", json={"token": "secret"})
    cookie = begun.headers["set-cookie"].partition(";")[0]
    with listening(closed.url, cookie=cookie, origin=closed.url):
        pass
    foreign = httpx2.get(path, headers={"cookie": cookie, "origin": "http://127.0.0.1:1"})
    assert error_of(foreign, 403)["code"] == "foreign_origin"


def test_pages_of_other_sites_cannot_read_the_feed(server: Server) -> None:
    path = f"{server.url}/_emulator/events"
    for headers in ({"host": "evil.example.com"}, {"origin": "http://evil.example.com"}):
        error_of(httpx2.get(path, headers=headers), 403)


# --- batches

ONE_BATCH = pytest.mark.not_on_redis("the calls of a batch arrive without a wait between them")


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    emulator = Emulator(Settings())
    yield emulator
    emulator.close()


def exchange(number: int, path: str = MODELS) -> ServedExchange:
    return ServedExchange(RequestHead("GET", path, b"", []), f"req_{number}", datetime.now(UTC))


async def arrive(emulator: Emulator, number: int) -> ServedExchange:
    entry = exchange(number)
    entry.number = await emulator.journal.append(entry)
    emulator.journal.notify_arrival(entry)
    return entry


async def complete(emulator: Emulator, entry: ServedExchange) -> None:
    entry.note_start(200)
    entry.answer.sent.end()
    entry.note_end()
    await emulator.journal.complete(entry)


async def events_of(chunks: AsyncIterator[bytes], count: int) -> list[Event]:
    """The next *count* events."""
    events: list[Event] = []
    while len(events) < count:
        chunk = await anext(chunks)
        events += [parsed(event_text) for event_text in chunk.decode().split("\n\n") if event_text]
    return events


def names_of(events: list[Event]) -> list[tuple[str, str | None]]:
    return [(event.name, event.data.get("id")) for event in events]


@ONE_BATCH
async def test_a_batch_tells_the_newest_calls_and_counts_the_others(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_feed, "MAX_BATCH_CALLS", 2)
    read: list[str] = []
    get_all = emulator.journal.get_all

    def noted(identities: Sequence[str]) -> list[Exchange | None]:
        read.extend(identities)
        return get_all(identities)

    monkeypatch.setattr(emulator.journal, "get_all", noted)
    async with aclosing(LiveFeed(emulator).read(Reader(), None)) as chunks:
        await anext(chunks)
        entries = [await arrive(emulator, number) for number in range(5)]
        for entry in entries[:4]:
            await complete(emulator, entry)
        events = await events_of(chunks, 3)
        assert names_of(events[:2]) == [("completed", "req_3"), ("arrived", "req_4")]
        assert (events[2].name, events[2].data) == ("skipped", {"count": 3})
        assert read == ["req_3", "req_4"]
        await complete(emulator, entries[4])
        assert names_of(await events_of(chunks, 1)) == [("completed", "req_4")]


@ONE_BATCH
async def test_after_a_batch_of_many_calls_the_next_one_is_gathered_for_longer(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_feed, "SECONDS_PER_CALL", 1000)
    feed = LiveFeed(emulator)
    async with aclosing(feed.read(Reader(), None)) as chunks:
        await anext(chunks)
        for number in range(3):
            await arrive(emulator, number)
        await events_of(chunks, 3)
        told_at = asyncio.get_running_loop().time()
        while feed._telling:
            await feed._telling
        await arrive(emulator, 3)
        assert feed._timer
        assert feed._timer.when() - told_at == pytest.approx(3000, abs=500)


@ONE_BATCH
async def test_notes_of_a_rush_are_not_kept_until_its_batch_is_told(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_feed, "MAX_BATCH_CALLS", 2)
    monkeypatch.setattr(live_feed, "MAX_GATHERED_CALLS", 3)
    feed = LiveFeed(emulator)
    async with aclosing(feed.read(Reader(), None)) as chunks:
        await anext(chunks)
        for number in range(6):
            await complete(emulator, await arrive(emulator, number))
            assert len(feed._batch.calls) <= 3
        events = await events_of(chunks, 3)
        assert names_of(events[:2]) == [("completed", "req_4"), ("completed", "req_5")]
        assert events[2].data == {"count": 4}


async def test_a_cleared_journal_is_told_with_the_calls_since(emulator: Emulator) -> None:
    async with aclosing(LiveFeed(emulator).read(Reader(), None)) as chunks:
        await anext(chunks)
        forgotten = await arrive(emulator, 1)
        emulator.journal.clear()
        entry = await arrive(emulator, 2)
        await complete(emulator, forgotten)
        await complete(emulator, entry)
        events = await events_of(chunks, 2)
        assert names_of(events) == [("cleared", None), ("completed", "req_2")]


@ONE_BATCH
async def test_a_call_that_was_cleared_is_not_told_when_it_is_over(emulator: Emulator) -> None:
    async with aclosing(LiveFeed(emulator).read(Reader(), None)) as chunks:
        await anext(chunks)
        forgotten = await arrive(emulator, 1)
        emulator.journal.clear()
        assert names_of(await events_of(chunks, 1)) == [("cleared", None)]
        await complete(emulator, forgotten)
        await complete(emulator, await arrive(emulator, 2))
        assert names_of(await events_of(chunks, 1)) == [("completed", "req_2")]


@ONE_BATCH
async def test_a_cleared_journal_takes_no_event_of_a_later_stream_away(emulator: Emulator) -> None:
    async with aclosing(LiveFeed(emulator).read(Reader(), None)) as chunks:
        await anext(chunks)
        emulator.reset()
        entry = await arrive(emulator, 1)
        sent = entry.answer.sent
        sent.event_count = 1
        sent.kept_events = [SentEvent(b"event: image_generation.partial_image\n", 1.5, 9)]
        emulator.journal.notify_events(entry, 0)
        events = await events_of(chunks, 6)
        assert names_of(events[:3]) == [("cleared", None), ("arrived", "req_1"), ("event", "req_1")]
        assert [event.name for event in events[3:]] == ["settings", "clock", "scenario"]


@ONE_BATCH
async def test_call_is_told_anew_with_its_first_event_as_its_body_is_read_by_then(
    emulator: Emulator,
) -> None:
    async with aclosing(LiveFeed(emulator).read(Reader(), None)) as chunks:
        await anext(chunks)
        entry = await arrive(emulator, 1)
        assert names_of(await events_of(chunks, 1)) == [("arrived", "req_1")]
        for index in (0, 1):
            entry.answer.sent.event_count = index + 1
            entry.answer.sent.kept_events = [SentEvent(b"event: x\n", 1.5, 9)] * (index + 1)
            emulator.journal.notify_events(entry, index)
            again = [("arrived", "req_1")] * (index == 0)
            assert names_of(await events_of(chunks, 2 - index)) == [*again, ("event", "req_1")]


@ONE_BATCH
async def test_a_call_that_cannot_be_told_keeps_no_other_from_being_told(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(entry: ServedExchange) -> Any:
        if entry.id == "req_1":
            raise ZeroDivisionError
        return summary(entry)

    monkeypatch.setattr("images_emulator.web.admin.live_feed.summary", failing)
    async with aclosing(LiveFeed(emulator).read(Reader(), None)) as chunks:
        await anext(chunks)
        for number in (1, 2):
            await complete(emulator, await arrive(emulator, number))
        assert names_of(await events_of(chunks, 1)) == [("completed", "req_2")]
    assert "cannot tell of req_1" in caplog.text


@ONE_BATCH
async def test_readers_begin_anew_where_a_batch_fails(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(live_feed, "RETRY_SECONDS", 0.01)
    get_all, failures = emulator.journal.get_all, [OSError("the store is away")]

    def failing_once(identities: Sequence[str]) -> list[Exchange | None]:
        if failures:
            raise failures.pop()
        return get_all(identities)

    monkeypatch.setattr(emulator.journal, "get_all", failing_once)
    async with aclosing(LiveFeed(emulator).read(Reader(), None)) as chunks:
        await anext(chunks)
        await arrive(emulator, 1)
        (event,) = await events_of(chunks, 1)
        assert event.name == "restart"
        await arrive(emulator, 2)
        assert names_of(await events_of(chunks, 1)) == [("arrived", "req_2")]
    assert "the live feed failed" in caplog.text


async def test_nothing_is_observed_without_readers(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_feed, "RESUME_SECONDS", 0)
    feed, reader = LiveFeed(emulator), Reader()
    before = emulator.store.observers
    assert not [*emulator.journal.observers]
    async with aclosing(feed.read(reader, None)) as chunks:
        await anext(chunks)
        assert emulator.journal.observers == (feed,)
        assert len(emulator.store.observers) == len(before) + 1
    for _ in range(3):
        await asyncio.sleep(0)
    observers = [emulator.journal.observers, emulator.store.observers]
    assert observers == [(), before]


async def test_each_watch_of_a_shared_store_waits_until_it_has_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The `gap` that begins a subscription is none to tell of, also in the second one."""
    monkeypatch.setattr(live_feed, "RESUME_SECONDS", 0)
    emulator = Emulator(store=JSONStore())
    watchers = asyncio.Queue[LogWatcher]()

    async def watch(watcher: LogWatcher) -> None:
        watchers.put_nowait(watcher)
        await asyncio.Event().wait()

    monkeypatch.setattr(emulator.journal, "watch", watch)
    feed = LiveFeed(emulator)
    for number in (1, 2):
        async with aclosing(feed.read(Reader(), None)) as chunks:
            first = asyncio.ensure_future(anext(chunks))
            watcher = await watchers.get()
            for _ in range(3):
                await asyncio.sleep(0)
            assert not first.done()
            watcher(LogChange("gap"))
            await first
            await complete(emulator, await arrive(emulator, number))
            assert names_of(await events_of(chunks, 1)) == [("completed", f"req_{number}")]
        for _ in range(5):
            await asyncio.sleep(0)
    emulator.close()


async def test_a_watch_that_failed_begins_anew_and_readers_load_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(live_feed, "RETRY_SECONDS", 0.01)
    emulator = Emulator(store=JSONStore())
    watchers, failures = asyncio.Queue[LogWatcher](), [OSError("no news")]

    async def watch(watcher: LogWatcher) -> None:
        if failures:
            raise failures.pop()
        watchers.put_nowait(watcher)
        await asyncio.Event().wait()

    monkeypatch.setattr(emulator.journal, "watch", watch)
    async with aclosing(LiveFeed(emulator).read(Reader(), None)) as chunks:
        await anext(chunks)
        assert names_of(await events_of(chunks, 1)) == [("restart", None)]
        (await watchers.get())(LogChange("cleared"))
        assert names_of(await events_of(chunks, 1)) == [("cleared", None)]
    assert "the live feed cannot watch the store" in caplog.text
    emulator.close()


async def test_what_another_process_changes_is_told_without_a_call(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(live_feed, "REFRESH_SECONDS", 0.01)
    memory = MemoryStore()
    emulator, other = (Emulator(store=JSONStore(memory)) for _ in range(2))
    refresh, failures = JSONStore.refresh, [OSError("the store is away")]

    async def failing_once(store: JSONStore) -> None:
        if failures:
            raise failures.pop()
        await refresh(store)

    monkeypatch.setattr(JSONStore, "refresh", failing_once)
    async with aclosing(LiveFeed(emulator).read(Reader(), None)) as chunks:
        await anext(chunks)
        await asyncio.to_thread(other.clock.advance, seconds=1)
        (event,) = await events_of(chunks, 1)
        assert (event.name, round(event.data["offset_seconds"])) == ("clock", 1)
    assert "the live feed cannot refresh the store" in caplog.text


@pytest.mark.usefixtures("long_resume")
async def test_events_are_not_built_while_no_reader_is_there(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_feed, "MAX_BATCH_CALLS", 2)
    monkeypatch.setattr(live_feed, "GATHER_SECONDS", 0)
    feed = LiveFeed(emulator)
    async with aclosing(feed.read(Reader(), None)) as chunks:
        first = parsed((await anext(chunks)).decode())
    for number in range(5):
        await complete(emulator, await arrive(emulator, number))
        await asyncio.sleep(0.001)
    assert len(feed._batch.calls) == 2
    async with aclosing(feed.read(Reader(), first.id)) as chunks:
        await anext(chunks)
        events = await events_of(chunks, 3)
    assert names_of(events[:2]) == [("completed", "req_3"), ("completed", "req_4")]
    assert events[2].data == {"count": 3}


async def test_a_reader_who_falls_behind_starts_again(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_feed, "MAX_EVENTS", 2)
    feed = LiveFeed(emulator)
    async with (
        aclosing(feed.read(Reader(), None)) as slow,
        aclosing(feed.read(Reader(), None)) as quick,
    ):
        await anext(slow)
        await anext(quick)
        for number in range(3):
            await arrive(emulator, number)
            await events_of(quick, 1)
        (restart,) = await events_of(slow, 1)
        assert (restart.name, restart.data) == ("restart", {})
        await arrive(emulator, 3)
        assert names_of(await events_of(slow, 1)) == [("arrived", "req_3")]


async def test_the_feed_of_a_loop_that_has_ended_is_no_trouble(emulator: Emulator) -> None:
    def listen() -> None:
        async def begin() -> None:
            async with aclosing(LiveFeed(emulator).read(Reader(), None)) as chunks:
                await anext(chunks)

        run_on_own_loop(begin(), emulator.store)

    await asyncio.to_thread(listen)
    assert emulator.journal.observers
    await complete(emulator, await arrive(emulator, 1))
    assert not emulator.journal.observers
    await asyncio.to_thread(listen)
    assert emulator.journal.observers
    emulator.clock.advance(seconds=1)
    assert not emulator.journal.observers
    emulator.reset()


async def test_an_application_has_readers_on_one_loop_after_another(emulator: Emulator) -> None:
    context = AdminContext(emulator, None)

    async def listen() -> list[Event]:
        async with (
            asyncio.timeout(30),
            aclosing(context.feed.read(Reader(), None)) as chunks,
        ):
            await anext(chunks)
            await arrive(emulator, 1)
            return await events_of(chunks, 1)

    events = [await asyncio.to_thread(run_on_own_loop, listen(), emulator.store) for _ in range(2)]
    events.append(await listen())
    assert [names_of(each) for each in events] == [[("arrived", "req_1")]] * 3


async def test_readers_on_two_event_loops_are_told_of_the_calls_on_one(emulator: Emulator) -> None:
    context, loop, listens = (
        AdminContext(emulator, None),
        asyncio.get_running_loop(),
        asyncio.Event(),
    )

    async def listen() -> list[Event]:
        async with (
            asyncio.timeout(30),
            aclosing(context.feed.read(Reader(), None)) as chunks,
        ):
            await anext(chunks)
            loop.call_soon_threadsafe(listens.set)
            return await events_of(chunks, 1)

    async with asyncio.timeout(30), aclosing(context.feed.read(Reader(), None)) as chunks:
        await anext(chunks)
        elsewhere = asyncio.ensure_future(
            asyncio.to_thread(run_on_own_loop, listen(), emulator.store)
        )
        await listens.wait()
        await arrive(emulator, 1)
        events = [await events_of(chunks, 1), await elsewhere]
    assert [names_of(each) for each in events] == [[("arrived", "req_1")]] * 2


async def test_calls_that_another_event_loop_answers_are_noted_on_that_of_the_readers(
    emulator: Emulator,
) -> None:
    # Then the event loop refuses what another thread must not do.
    asyncio.get_running_loop().set_debug(True)

    async with aclosing(LiveFeed(emulator).read(Reader(), None)) as chunks:
        await anext(chunks)
        await asyncio.to_thread(run_on_own_loop, arrive(emulator, 1), emulator.store)
        assert names_of(await events_of(chunks, 1)) == [("arrived", "req_1")]


def test_servers_of_one_emulator_tell_of_the_calls_to_each_other(emulator: Emulator) -> None:
    with (
        Server(emulator=emulator) as one,
        Server(emulator=emulator) as other,
        httpx2.Client(base_url=other.url) as http,
        listening(one.url) as here,
        listening(other.url) as there,
    ):
        assert here.first.id != there.first.id
        identity = call(http, "a fox")
        assert [each.until("completed").data["id"] for each in (here, there)] == [identity] * 2


# --- the log of events


def test_the_log_keeps_events_within_a_number_and_a_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = EventLog()
    for number in range(live_feed.MAX_EVENTS + 5):
        log.append("arrived", b"%d" % number)
    assert log.position_of(f"{log.run}-4") is None
    assert log.position_of(f"{log.run}-5") == 5
    assert log.position_of(f"{log.run}-{log.last}") == log.last
    events = log.after(5)
    assert events
    assert events[0].count(b"\n\n") == live_feed.MAX_EVENTS
    monkeypatch.setattr(live_feed, "MAX_EVENT_BYTES", 1000)
    log.append("arrived", b"x" * 900)
    log.append("arrived", b"x" * 900)
    assert log.position_of(f"{log.run}-{log.last - 1}") == log.last - 1
    assert log.position_of(f"{log.run}-{log.last - 2}") is None


def test_the_log_gives_its_events_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_feed, "MAX_CHUNK_BYTES", 100)
    log, place, chunks = EventLog(), 0, []
    for number in range(10):
        log.append("arrived", b"%d" % number)
    while (events := log.after(place)) and events[0]:
        chunk, place = events
        chunks.append(chunk)
        assert len(chunk) < 200
    numbers = [
        parsed(event_text).data
        for event_text in b"".join(chunks).decode().split("\n\n")
        if event_text
    ]
    assert numbers == [*range(10)]


# --- the store's observers


async def test_observers_are_told_of_changed_registers(store: Store) -> None:
    number: Codec[int] = Codec(lambda n: Packed({"n": n}), lambda packed: int(packed.document["n"]))
    register = store.register("count", 0, number)
    changes: list[tuple[str, int]] = []
    store.observers = (lambda name: changes.append((name, register.value)),)
    await register.update(lambda n: n + 1)
    assert changes == [("count", 1)]
    await store.refresh()
    assert changes == [("count", 1)]


def test_a_change_by_another_process_is_told_when_the_store_is_refreshed() -> None:
    memory = MemoryStore()
    one, other = Emulator(store=JSONStore(memory)), Emulator(store=JSONStore(memory))
    names: list[str] = []
    one.store.observers = (names.append,)
    other.clock.advance(seconds=1)
    assert names == []
    one.store.run(one.store.refresh())
    assert names == ["clock"]
    one.close()
    other.close()


def test_a_picture_is_told_with_its_thumbnail(
    server: Server, client: OpenAI, http: httpx2.Client
) -> None:
    with listening(server.url) as listener:
        client.images.generate(model="gpt-image-2", prompt="x")
        (picture,) = listener.until("completed").data["pictures"]
    assert http.get(picture["thumbnail"]).headers["content-type"] == "image/jpeg"
