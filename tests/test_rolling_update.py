"""A server goes on where a newer release has written what it cannot read to the store that both
have."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import httpx2
import pytest

from images_emulator import Server
from images_emulator.state.store import NUMBER_CODEC, Codec, Log, LogCodec, Packed, Register
from tests.conftest import KEY
from tests.pictures import png
from tests.redis_server import RedisServer, missing_part, new_store_name, shared_redis

if TYPE_CHECKING:
    from images_emulator.state.redis.redis_store import RedisStore

pytestmark = [
    pytest.mark.skipif(bool(missing_part()), reason=missing_part()),
    pytest.mark.not_on_redis("its servers have a store of their own"),
]

Document = Mapping[str, Any]

DOCUMENTS: Final[Codec[Document]] = Codec(Packed, lambda packed: packed.document)
"""Of a newer server: it can write and read anything."""

NEWER: Final[Mapping[str, Document]] = {
    "scenario": {
        "steps": [
            {"name": "injected", "key": "a", "live": True, "step": {"fault": {"kind": "meteor"}}}
        ],
        "files": [],
    },
    "settings": {"as_of": "2025-12-01", "validation": "strict", "gravity": "moon"},
}
"""Values of registers with a fault and with a setting that this release does not know."""


@pytest.fixture
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(headers={"Authorization": f"Bearer {KEY}"}, timeout=30) as http:
        yield http


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on Redis, whose scenario is one step for calls of `/v1/models`."""
    with Server(store=shared_redis().url, store_name=new_store_name()) as server:
        server.configure(validation="lenient")
        server.inject("error", status=418, times=None, match={"path": "/v1/models"})
        yield server


@pytest.fixture
def newer(server: Server) -> Iterator[RedisStore]:
    """The store of a newer server."""
    from images_emulator.state.redis.redis_store import RedisStore  # noqa: PLC0415 - an extra

    settings = server.emulator.initial_settings
    assert settings.store
    store = RedisStore(settings.store, settings.store_name)
    yield store
    store.close()


@pytest.fixture
async def stores() -> AsyncIterator[tuple[RedisStore, RedisStore, RedisServer]]:
    """An older and a newer store on one Redis."""
    from images_emulator.state.redis.redis_store import RedisStore  # noqa: PLC0415 - an extra

    redis = RedisServer()
    pair = RedisStore(redis.url), RedisStore(redis.url)
    yield *pair, redis
    for store in pair:
        await store.disconnect()
        await asyncio.to_thread(store.close)
    redis.close()


def write(store: RedisStore, name: str) -> Register[Document]:
    """Let the newer *store* write its value of the register *name*."""
    register = store.register(name, {}, DOCUMENTS)
    store.run(register.update(lambda _: NEWER[name]))
    return register


@pytest.mark.parametrize("name", [*NEWER])
def test_calls_go_on_with_the_last_value_until_a_reset_replaces_one_that_cannot_be_read(
    server: Server,
    newer: RedisStore,
    http: httpx2.Client,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    register = write(newer, name)
    admin = f"{server.url}/_emulator"
    for _ in range(2):
        assert http.get(f"{server.base_url}/models").status_code == 418
        assert http.get(f"{server.base_url}/models/dall-e-2").status_code == 200
        assert http.get(f"{admin}/health").json() == {"status": "ok"}
    (step,) = http.get(f"{admin}/scenario").json()["steps"]
    assert (step["fault"]["kind"], step["met"]) == ("error", 2)
    settings = http.get(f"{admin}/settings").json()
    assert (settings["as_of"], settings["validation"]) == ("any", "lenient")
    (warning,) = [each.getMessage() for each in caplog.records]
    assert f"the register {name} " in warning

    assert register.value == NEWER[name]
    assert http.post(f"{admin}/reset").status_code == 200
    assert http.get(f"{server.base_url}/models").status_code == 200
    newer.run(newer.refresh())
    assert register.value != NEWER[name]
    assert len(caplog.records) == 1


@pytest.mark.parametrize("name", [*NEWER])
def test_a_server_that_joins_a_newer_one_starts_with_its_own_values(
    server: Server, newer: RedisStore, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    write(newer, name)
    settings = server.emulator.initial_settings
    with Server(store=settings.store, store_name=settings.store_name) as late:
        assert late.emulator.settings.as_of == "any"
        assert bool(late.emulator.scenario) == (name == "settings")
        assert f"the register {name} " in caplog.text


def test_a_step_is_injected_in_place_of_a_scenario_that_cannot_be_read(
    server: Server, newer: RedisStore, http: httpx2.Client
) -> None:
    register = write(newer, "scenario")
    server.inject("error", status=409, match={"path": "/v1/files"})
    assert http.get(f"{server.base_url}/files").status_code == 409
    newer.run(newer.refresh())
    assert [each["step"]["fault"]["status"] for each in register.value["steps"]] == [418, 409]


def test_a_step_that_is_over_replaces_no_scenario_that_cannot_be_read(
    server: Server, newer: RedisStore, http: httpx2.Client
) -> None:
    server.inject("error", status=409, match={"path": "/v1/files"})
    register = write(newer, "scenario")
    for status in (409, 200):
        assert http.get(f"{server.base_url}/files").status_code == status
    newer.run(newer.refresh())
    assert register.value == NEWER["scenario"]


async def test_observers_are_told_of_a_register_beside_one_that_cannot_be_read(
    stores: tuple[RedisStore, RedisStore, RedisServer],
) -> None:
    older, newer, _ = stores

    def registers(store: RedisStore, codec: Codec[Any], initial: Any) -> list[Register[Any]]:
        names = [("a", 0, NUMBER_CODEC), ("scenario", initial, codec), ("b", 0, NUMBER_CODEC)]
        return [store.register(*each) for each in names]

    first, unreadable, last = await asyncio.to_thread(registers, older, NUMBER_CODEC, 5)
    written = await asyncio.to_thread(registers, newer, DOCUMENTS, {})
    names: list[str] = []
    older.observers = (names.append,)
    await written[0].update(lambda _: 1)
    await written[1].update(lambda _: NEWER["scenario"])
    await written[2].update(lambda _: 2)
    await older.refresh()
    assert [first.value, unreadable.value, last.value] == [1, 5, 2]
    assert names == ["a", "b"]
    await unreadable.update(lambda number: number + 1)
    assert names == ["a", "b", "scenario"]
    await newer.refresh()
    assert written[1].value == {"number": 6}


@pytest.mark.slow
async def test_late_entries_are_written_beside_a_register_that_cannot_be_read(
    stores: tuple[RedisStore, RedisStore, RedisServer],
) -> None:
    older, newer, _ = stores
    await asyncio.to_thread(older.register, "a", 5, NUMBER_CODEC)
    written = await asyncio.to_thread(newer.register, "a", {}, DOCUMENTS)
    codec: LogCodec[int] = LogCodec(NUMBER_CODEC.pack, NUMBER_CODEC.pack, NUMBER_CODEC.unpack)
    logs = [
        store.log("n", codec, max_entries=10, max_bytes=100, detach=lambda _: 0)
        for store in (older, newer)
    ]
    # Redis is away, as far as the older process knows.
    older.client._note_failure(OSError("the connection broke"))
    assert await logs[0].append("1", 1, 1) == 0
    await written.update(lambda _: {"next": 1})
    async with asyncio.timeout(30):
        while await logs[1].all() != [1]:
            pass


@pytest.mark.parametrize("then", [None, "replaced", "adopted"])
async def test_a_value_that_a_server_cannot_read_is_restored_by_it_as_it_was(
    stores: tuple[RedisStore, RedisStore, RedisServer], then: str | None
) -> None:
    from images_emulator.state.redis.redis_store import RedisStore  # noqa: PLC0415 - an extra

    older, newer, redis = stores
    packed: Codec[Packed] = Codec(lambda packed: packed, lambda packed: packed)
    register = await asyncio.to_thread(older.register, "a", 5, NUMBER_CODEC)
    written = await asyncio.to_thread(newer.register, "a", Packed({}), packed)
    newest = Packed({"next": 1}, b"bytes")
    await written.update(lambda _: newest)
    await older.refresh()
    if then == "replaced":
        await register.update(lambda number: number + 1)
        newest = Packed({"number": 6})
    if then == "adopted":
        newest = Packed({"number": 7})
        await written.update(lambda _: newest)
        await older.refresh()
    redis.command("FLUSHALL")
    await older.refresh()
    third = RedisStore(redis.url)
    restored = await asyncio.to_thread(third.register, "a", Packed({}), packed)
    assert restored.value == newest
    await third.disconnect()
    await asyncio.to_thread(third.close)


def journal_of(newer: RedisStore) -> Log[Document]:
    """The journal as a newer server writes and reads it."""
    codec: LogCodec[Document] = LogCodec(Packed, Packed, lambda packed: packed.document)
    return newer.log("journal", codec, max_entries=1000, max_bytes=2**20, detach=lambda _: 0)


def append(log: Log[Document], newer: RedisStore, identity: str, **members: Any) -> Document:
    """Let a newer server enter a call like the first one, with these *members*."""
    document = {**newer.run(log.all())[0], "id": identity, **members}
    newer.run(log.append(identity, document, 1))
    return document


@pytest.mark.slow
def test_a_journal_leaves_out_the_calls_that_this_release_cannot_read(
    server: Server, newer: RedisStore, http: httpx2.Client, caplog: pytest.LogCaptureFixture
) -> None:
    http.get(f"{server.base_url}/models/dall-e-2")
    log = journal_of(newer)
    for identity in ("req_new1", "req_new2"):
        append(log, newer, identity, operation="upscale")
    http.get(f"{server.base_url}/models/dall-e-3")
    append(log, newer, "req_new3", operation="upscale")
    paths = ["/v1/models/dall-e-2", "/v1/models/dall-e-3"]
    admin = f"{server.url}/_emulator"
    for query in ("", "?kind=call", "?limit=2", "?counts=true"):
        page = http.get(f"{admin}/requests{query}").json()
        assert [each["path"] for each in page["requests"]] == paths
        assert (page["total"], page["dropped"]) == (2, 0)
    first, last = http.get(f"{admin}/requests").json()["requests"]
    assert http.get(f"{admin}/requests?limit=1").json()["requests"] == [last]
    assert http.get(f"{admin}/requests?since={first['id']}").json()["requests"] == [last]
    assert len(http.get(f"{admin}/exchanges").json()["exchanges"]) == 2
    assert [call.path for call in server.requests] == paths
    for path in ("requests/req_new1", "requests/req_new1/body", "requests?since=req_new1"):
        answer = http.get(f"{admin}/{path}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    (warning,) = [each.getMessage() for each in caplog.records]
    assert warning.endswith(": KeyError: 'upscale'. This server leaves them out")
    assert "log:journal:entries" in warning
    assert http.delete(f"{admin}/requests").json() == {"deleted": 5}


def test_a_call_that_can_be_read_no_more_once_it_is_complete_is_left_out(
    server: Server, newer: RedisStore, http: httpx2.Client
) -> None:
    http.get(f"{server.base_url}/models/dall-e-2")
    log = journal_of(newer)
    document = append(log, newer, "req_new")
    journal = server.emulator.journal
    assert len(journal.summaries()) == len(journal.find()) == 2
    newer.run(log.amend("req_new", {**document, "operation": "upscale"}, 1, detachable=False))
    assert len(journal.summaries()) == len(journal.find()) == 1
    newer.run(log.amend("req_new", document, 1, detachable=False))
    assert len(journal.summaries()) == len(journal.find()) == 2


@pytest.mark.slow
def test_the_live_feed_tells_of_the_calls_that_can_be_read(
    server: Server, newer: RedisStore, http: httpx2.Client
) -> None:
    http.get(f"{server.base_url}/models/dall-e-2")
    log = journal_of(newer)
    with http.stream("GET", f"{server.url}/_emulator/events") as events:
        lines = events.iter_lines()
        next(line for line in lines if line.startswith("id: "))
        append(log, newer, "req_new", operation="upscale")
        append(log, newer, "req_old")
        data = next(line for line in lines if line.startswith("data: "))
    assert json.loads(data.removeprefix("data: "))["id"] == "req_old"


@pytest.mark.slow
def test_the_log_of_the_server_names_a_hundred_reasons_at_most(
    server: Server, newer: RedisStore, http: httpx2.Client, caplog: pytest.LogCaptureFixture
) -> None:
    http.get(f"{server.base_url}/models/dall-e-2")
    log = journal_of(newer)
    for number in range(120):
        append(log, newer, f"req_{number}", operation=f"operation-{number}")
    assert len(server.requests) <= 1
    assert len(server.requests) <= 1
    assert len(caplog.records) == 100


def test_a_picture_and_a_file_that_cannot_be_read_are_unknown(
    server: Server, newer: RedisStore, http: httpx2.Client, caplog: pytest.LogCaptureFixture
) -> None:
    server.reset()
    call = {"model": "dall-e-2", "prompt": "x", "size": "256x256"}
    picture = http.post(f"{server.base_url}/images/generations", json=call)
    url = httpx2.URL(picture.json()["data"][0]["url"])
    form = {"purpose": "vision"}
    file = http.post(f"{server.base_url}/files", files={"file": ("a.png", png())}, data=form).json()
    unreadable: Document = {"gravity": "moon"}
    for name, key in (("hosted", url.path), ("files", "file-new")):
        newer.run(newer.records(name, 10**6, DOCUMENTS).put({key: unreadable}, 1))
    for _ in range(2):
        assert http.get(url).status_code == 404
        assert http.get(f"{server.base_url}/files/file-new").status_code == 404
        listed = http.get(f"{server.base_url}/files").json()["data"]
        assert [each["id"] for each in listed] == [file["id"]]
    edit = {"model": "gpt-image-2", "prompt": "x", "images": [{"file_id": "file-new"}]}
    assert http.post(f"{server.base_url}/images/edits", json=edit).status_code in (400, 404)
    assert http.get(f"{server.url}/_emulator/images").status_code == 200
    warnings = [each.getMessage() for each in caplog.records]
    assert [name for each in warnings for name in ("hosted", "files") if name in each] == [
        "hosted",
        "files",
    ]
