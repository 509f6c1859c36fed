"""The journal: what it tells of a call, what it lets go of, and what it never keeps."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import tracemalloc
from contextlib import suppress
from datetime import UTC, datetime
from select import select
from string import ascii_lowercase
from time import monotonic
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from starlette.types import Receive, Scope, Send

from images_emulator import Emulator, Server, Settings, create_app
from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import EDITS, GENERATIONS
from images_emulator.contract.request import ImageRequest, ParsedCall
from images_emulator.contract.validation import validate
from images_emulator.exchange.body_parser import parse_body
from images_emulator.exchange.exchange import EXCHANGE_OVERHEAD_BYTES, Exchange
from images_emulator.exchange.request_head import RequestHead
from images_emulator.exchange.retention import drop_unkept
from images_emulator.exchange.served_exchange import ServedExchange
from images_emulator.imaging.decoder import decode
from images_emulator.imaging.image_loader import PillowImageLoader
from images_emulator.state.journal import Journal
from images_emulator.state.memory_store import MemoryLog, MemoryStore
from images_emulator.state.query import Query
from images_emulator.state.store import Store
from images_emulator.web.admin.journal_json import summary
from tests.pictures import half_clear, png
from tests.stores import JSONStore

LONG_KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz"
BODY = b'{"prompt": "a lighthouse"}' * 40


RUN = MemoryStore().run


def weight_of(journal: Journal) -> int:
    """Bytes that a journal in memory holds, about."""
    assert isinstance(journal._log, MemoryLog)
    return journal._log.weight


def only(emulator: Emulator) -> Exchange:
    (entry,) = emulator.journal.find()
    return entry


def arrived(journal: Journal, identity: str, **state: Any) -> ServedExchange:
    headers = [(b"authorization", b"Bearer sk-test"), (b"user-agent", b"x" * 100)]
    head = RequestHead("POST", "/v1/images/generations", b"", headers)
    exchange = ServedExchange(head, identity, datetime.now(UTC), image_operation=GENERATIONS)
    exchange.keep_request_body(state.pop("chunks", (BODY,)))
    for name, value in state.items():
        setattr(exchange, name, value)
    journal._store.run(journal.append(exchange))
    return exchange


def answered(journal: Journal, identity: str, **state: Any) -> ServedExchange:
    exchange = arrived(journal, identity, **state)
    exchange.note_start(200)
    exchange.answer.sent.end()
    exchange.note_end()
    journal._store.run(journal.complete(exchange))
    return exchange


# --- what it tells


def test_journal_shows_a_generation_with_its_defaults(client: OpenAI, emulator: Emulator) -> None:
    answer = client.images.with_raw_response.generate(
        model="gpt-image-2", prompt="a lighthouse", moderation="low"
    )
    entry = only(emulator)
    assert (entry.method, entry.path) == ("POST", "/v1/images/generations")
    assert (entry.model, entry.prompt, entry.status) == ("gpt-image-2", "a lighthouse", 200)
    assert entry.id == answer.headers["x-request-id"]
    assert entry.parameters == {
        "n": 1,
        "quality": "low",
        "background": "opaque",
        "output_format": "png",
        "output_compression": 100,
        "moderation": "low",
        "size": "1254x1254",
        "stream": False,
        "partial_images": 0,
    }
    assert entry.sdk == f"openai-python {openai.__version__}"
    assert (entry.key, entry.retries, entry.uploads, entry.error) == ("sk-test", 0, (), None)
    assert entry.duration_ms
    assert entry.body == answer.http_request.content


def test_journal_shows_an_edit_with_its_files(client: OpenAI, emulator: Emulator) -> None:
    images = [("a.png", png((40, 30)), "image/png"), ("b.png", png((20, 20)), "image/png")]
    mask = ("m.png", half_clear((40, 30)), "image/png")
    client.images.edit(model="gpt-image-2", prompt="x", image=images, mask=mask)
    details = [
        (each.field, each.name, each.type, each.bytes, each.pixels)
        for each in only(emulator).uploads
    ]
    assert details == [
        ("image[0]", "a.png", "image/png", len(images[0][1]), (40, 30)),
        ("image[1]", "b.png", "image/png", len(images[1][1]), (20, 20)),
        ("mask", "m.png", "image/png", len(mask[1]), (40, 30)),
    ]


def test_journal_shows_references_without_their_data(
    http: httpx2.Client, emulator: Emulator
) -> None:
    images = [
        {"image_url": "data:image/png;base64,iVBORw0KGgo="},
        {"image_url": "https://example.com/a.png"},
        {"file_id": "file-x"},
    ]
    body = {"model": "gpt-image-2", "prompt": "x", "images": images}
    assert http.post("/v1/images/edits", json=body).status_code >= 400
    details = [(each.name, each.type, each.bytes) for each in only(emulator).uploads]
    assert details == [
        ("data:image/png;base64", "image/png", 8),
        ("https://example.com/a.png", None, None),
        ("file-x", None, None),
    ]


def test_journal_shows_a_refusal_with_its_error(client: OpenAI, emulator: Emulator) -> None:
    with pytest.raises(openai.BadRequestError):
        client.images.generate(model="gpt-image-2", prompt="x", n=99, user="me")
    entry = only(emulator)
    assert (entry.status, entry.error_code) == (400, "integer_above_max_value")
    assert entry.error
    assert entry.error["param"] == "n"
    assert (entry.model, entry.parameters) == ("gpt-image-2", {"n": 99, "user": "me"})


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"svg": {"a": [1e999]}, "n": ' + b"9" * 4000 + b"}", b'{"a": NaN}']
)
def test_journal_shows_any_body(http: httpx2.Client, emulator: Emulator, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    http.post("/v1/images/generations", content=body, headers=headers)
    entry = only(emulator)
    assert entry.body == body
    assert str(entry).startswith("POST /v1/images/generations 400 ")
    assert entry.parameters is not None


def test_azure_errors_are_read_too(http: httpx2.Client, emulator: Emulator) -> None:
    http.post(
        "/openai/deployments/none/images/generations?api-version=2024-02-01", json={"prompt": "x"}
    )
    assert (only(emulator).error_code, only(emulator).query) == (
        "DeploymentNotFound",
        "api-version=2024-02-01",
    )


def test_journal_counts_the_events_of_a_stream(client: OpenAI, emulator: Emulator) -> None:
    stream = client.images.generate(
        model="gpt-image-2", prompt="x", stream=True, partial_images=2, quality="low"
    )
    assert len(list(stream)) == 3
    entry = only(emulator)
    assert (entry.event_count, entry.parameters["stream"]) == (3, True)


def test_journal_shows_forgiven_violations(http: httpx2.Client, emulator: Emulator) -> None:
    headers = {"x-emulator-validation": "lenient"}
    body = {"model": "gpt-image-2", "prompt": "x", "colour": "red"}
    http.post("/v1/images/generations", json=body, headers=headers)
    assert only(emulator).violations == ("colour: unknown_parameter",)


async def test_no_call_is_late(async_client: AsyncOpenAI, emulator: Emulator) -> None:
    await asyncio.gather(
        *(async_client.images.generate(model="dall-e-3", prompt=f"{n}") for n in range(20))
    )
    entries = emulator.journal.find()
    assert {entry.prompt for entry in entries} == {str(n) for n in range(20)}
    assert all(entry.duration_ms for entry in entries)


def test_the_time_is_that_of_the_clock(http: httpx2.Client, emulator: Emulator) -> None:
    emulator.clock.freeze(datetime(2031, 1, 2, tzinfo=UTC))
    http.get("/v1/models")
    assert only(emulator).time == datetime(2031, 1, 2, tzinfo=UTC)


def test_own_paths_are_no_calls_and_downloads_are_of_their_own_kind(
    client: OpenAI, http: httpx2.Client, server: Server
) -> None:
    url = (client.images.generate(model="dall-e-3", prompt="x").data or [])[0].url
    assert httpx2.get(url or "").status_code == 200
    http.get("/_emulator/health")
    assert [entry.kind for entry in server.emulator.journal.find()] == ["call", "download"]
    assert (len(server.requests), len(server.downloads)) == (1, 1)


async def test_an_app_in_process_has_a_journal_too() -> None:
    emulator = Emulator(Settings())
    transport = httpx2.ASGITransport(create_app(emulator))
    async with (
        httpx2.AsyncClient(transport=transport, base_url="http://emulator") as http,
        AsyncOpenAI(base_url="http://emulator/v1", api_key="k", http_client=http) as client,
    ):
        await client.images.generate(model="gpt-image-2", prompt="a lighthouse", quality="low")
    assert str(only(emulator)).startswith("POST /v1/images/generations gpt-image-2 200 ")
    emulator.close()


@pytest.mark.slow
@pytest.mark.parametrize("length", [100, 17_500])
def test_journal_shows_a_repeated_call_with_the_same_details(
    http: httpx2.Client, emulator: Emulator, length: int
) -> None:
    """Also where it is answered without being read again, and is too long to be read for this."""
    emulator.clock.freeze()
    body = {"model": "gpt-image-2", "prompt": "x" * length, "quality": "low", "moderation": "low"}
    for _ in range(4):
        assert http.post("/v1/images/generations", json=body).status_code == 200
    entries = emulator.journal.find()
    assert [entry.parameters["moderation"] for entry in entries] == ["low"] * 4
    assert all(entry.details == entries[0].details for entry in entries)


class EndedMeanwhile(ServedExchange):
    """An exchange whose answer ends just before a reader on another thread takes *before*."""

    before: str | None = None

    def __getattribute__(self, name: str) -> Any:
        if name == object.__getattribute__(self, "before"):
            self.before = None
            drop_unkept(self)
        return object.__getattribute__(self, name)


@pytest.mark.parametrize("before", ["cached_call", "request", "chunks", "cached_details"])
@pytest.mark.parametrize("fault", [None, "latency"])
@pytest.mark.parametrize("length", [10, 20_000])
def test_a_reader_sees_a_call_whole_whose_answer_ends_meanwhile(
    before: str, fault: str | None, length: int
) -> None:
    body = json.dumps({"model": "gpt-image-2", "prompt": "x" * length}).encode()
    headers = [(b"content-type", b"application/json")]
    exchange = EndedMeanwhile(
        RequestHead("POST", GENERATIONS.path, b"", headers),
        "req_1",
        datetime.now(UTC),
        image_operation=GENERATIONS,
        cached_call=ParsedCall(GENERATIONS, is_form=False, fields=json.loads(body)),
        fault_label=fault,
    )
    exchange.keep_request_body((body,))
    exchange.before = before
    details = exchange.details
    assert (details.model, details.prompt) == ("gpt-image-2", "x" * length)
    assert exchange.cached_call is None


@pytest.mark.not_on_redis("a shared one gets the details of a call with it")
@pytest.mark.parametrize("path", ["requests", "requests/ID", "images"])
def test_journal_parses_no_body_on_the_event_loop(
    server: Server, http: httpx2.Client, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    loops = []

    def parse(*arguments: Any) -> ParsedCall:
        loops.append(asyncio._get_running_loop())
        return parse_body(*arguments)

    monkeypatch.setattr("images_emulator.exchange.exchange.parse_body", parse)
    form = {"model": "none", "prompt": "x"}
    http.post("/v1/images/edits", data=form, files={"image": ("a.png", png((64, 64)), "image/png")})
    (entry,) = server.requests
    details = http.get(f"/_emulator/{path.replace('ID', entry.id)}", params=query(path))
    assert details.status_code == 200
    assert set(loops) == {None}


def query(path: str) -> dict[str, str]:
    """A filter that needs what is in the bodies."""
    return {} if path.endswith("ID") else {"model": "none"}


async def test_the_state_of_an_application_around_is_its_own() -> None:
    """Mounted in another application, the emulator neither reads nor empties that one's state."""
    theirs = {"mine": 1, "body": "theirs", "call": 2, "accepted": 3, "headers": {}}
    states: list[Any] = []

    async def host(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = dict(theirs)
        await app(scope, receive, send)
        states.append(scope["state"])

    app = create_app()
    transport = httpx2.ASGITransport(host)
    headers = {"Authorization": "Bearer x", "Origin": "https://app.example"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://emulator") as http:
        answer = await http.get("/v1/models", headers=headers)
    assert answer.status_code == 200
    assert states == [theirs]


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["server_error", "latency", "connection_reset", "malformed"])
def test_journal_shows_the_parameters_of_a_call_with_a_fault(server: Server, fault: str) -> None:
    server.inject(fault)
    body = {"model": "gpt-image-2", "prompt": "a lighthouse", "quality": "low"}
    with suppress(httpx2.TransportError):
        httpx2.post(
            f"{server.base_url}/images/generations",
            json=body,
            headers={"Authorization": "Bearer k"},
        )
    (entry,) = server.requests
    assert entry.fault == fault
    assert (entry.model, entry.prompt) == ("gpt-image-2", "a lighthouse")
    assert entry.parameters["quality"] == "low"


def test_a_stream_that_broke_says_where(client: OpenAI, server: Server) -> None:
    server.inject({"kind": "stream_error", "after": 1})
    stream = client.images.generate(
        model="gpt-image-2", prompt="x", stream=True, partial_images=2, quality="low"
    )
    with pytest.raises(openai.APIError):
        list(stream)
    (entry,) = server.requests
    assert (entry.status, entry.event_count) == (200, 2)
    assert entry.error_code == "image_generation_failed"
    assert entry.drawn_request is None


def test_journal_has_a_call_before_its_answer_and_not_after_a_reset(server: Server) -> None:
    server.inject("timeout")
    body = b'{"model": "gpt-image-2", "prompt": "a lighthouse"}'
    head = (
        "POST /v1/images/generations HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer k\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head.encode() + body)
        end = monotonic() + 60
        while not server.requests or server.requests[0].fault is None:
            assert monotonic() < end
        (entry,) = server.requests
        assert (entry.status, entry.duration_ms, entry.body) == (None, None, body)
        assert str(entry) == "POST /v1/images/generations gpt-image-2 unfinished"
        server.reset()
    assert server.requests == []


# --- observers


class Observer:
    """Notes what it is told, with what the journal has of the call at that time."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.notes: list[tuple[Any, ...]] = []

    def on_arrival(self, exchange: ServedExchange) -> None:
        self.notes.append(("arrived", *self.state(exchange)))

    def on_event(self, exchange: ServedExchange, index: int) -> None:
        self.notes.append((index, *self.state(exchange)))

    def on_completion(self, exchange: ServedExchange) -> None:
        self.notes.append(("completed", *self.state(exchange)))

    def on_clear(self) -> None:
        self.notes.append(("cleared", len(self.journal)))

    def state(self, exchange: ServedExchange) -> tuple[Any, ...]:
        (entry,) = self.journal.find()
        assert entry.id == exchange.id
        summary(exchange)
        return entry.status, entry.event_count, entry.has_ended


async def test_observers_are_told_of_arrival_events_and_completion(store: Store) -> None:
    emulator = Emulator(Settings(), store)
    journal = emulator.journal
    observer = Observer(journal)
    journal.observers = (observer,)
    transport = httpx2.ASGITransport(create_app(emulator))
    body = {"model": "gpt-image-2", "prompt": "x", "stream": True, "partial_images": 1}
    async with httpx2.AsyncClient(transport=transport, base_url="http://emulator") as http:
        headers = {"Authorization": "Bearer k"}
        answer = await http.post("/v1/images/generations", json=body, headers=headers)
        assert answer.status_code == 200
    assert observer.notes == [
        ("arrived", None, 0, False),
        (0, 200, 1, False),
        (1, 200, 2, False),
        ("completed", 200, 2, True),
    ]
    emulator.close()


async def test_parts_of_a_stream_are_written_before_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In order, also where the store takes its time for the first."""
    journal = Journal(MemoryStore(), 10, 2**20)
    slow, written = asyncio.Event(), list[int | None]()

    async def amend(*_: object, event_index: int | None = None, **__: object) -> None:
        if event_index == 0:
            await slow.wait()
        written.append(event_index)

    monkeypatch.setattr(MemoryLog, "is_watched", True)
    monkeypatch.setattr(journal._log, "amend", amend)
    call = ServedExchange(RequestHead("GET", "/v1/models", b"", []), "req_1", datetime.now(UTC))
    await journal.append(call)
    for index in range(2):
        call.answer.sent.event_count = index + 1
        journal.notify_events(call, index)
    end = asyncio.ensure_future(journal.complete(call))
    for _ in range(5):
        await asyncio.sleep(0)
    assert written == []
    slow.set()
    await end
    assert written == [0, 1, None]
    assert not journal._drafts


@pytest.mark.parametrize(("body", "drafts"), [(2_097_152, 1), (2_097_153, 0)])
async def test_parts_of_a_stream_are_written_unless_the_call_is_large(
    body: int, drafts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(MemoryStore(), 10, 4 * 2**20)
    monkeypatch.setattr(MemoryLog, "is_watched", True)
    call = ServedExchange(RequestHead("POST", "/v1/x", b"", []), "req_1", datetime.now(UTC))
    call.keep_request_body((bytes(body),))
    await journal.append(call)
    call.answer.sent.event_count = 1
    journal.notify_events(call, 0)
    assert len(journal._drafts) == drafts
    await asyncio.gather(*journal._drafts.values())
    weight = weight_of(journal)
    await journal.complete(call)
    head = weight_of(journal) - EXCHANGE_OVERHEAD_BYTES - body
    assert 0 < head < 100
    assert weight == EXCHANGE_OVERHEAD_BYTES + body * drafts


@pytest.mark.parametrize("most", [2**20, 1000])
async def test_pictures_of_a_stream_count_while_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """They go to other processes with each part, also where the body only names them."""
    journal = Journal(MemoryStore(), 10, 4 * 2**20)
    monkeypatch.setattr(MemoryLog, "is_watched", True)
    monkeypatch.setattr("images_emulator.state.journal.MAX_DRAFT_BYTES", most)
    upload = png((900, 900))
    assert len(upload) > 1000
    image = decode(upload)
    assert image
    call = ServedExchange(RequestHead("POST", "/v1/x", b"", []), "req_1", datetime.now(UTC))
    call.request = ImageRequest(
        operation=EDITS, model=MODELS["gpt-image-2"], size=(64, 48), images=(image,)
    )
    await journal.append(call)
    call.answer.sent.event_count = 1
    journal.notify_events(call, 0)
    assert bool(journal._drafts) is (most > len(upload))
    await asyncio.gather(*journal._drafts.values())
    assert (weight_of(journal) > EXCHANGE_OVERHEAD_BYTES + len(upload)) is (most > len(upload))
    await journal.complete(call)
    assert weight_of(journal) > EXCHANGE_OVERHEAD_BYTES + len(upload)


# --- the key


def test_a_long_key_is_redacted(client: OpenAI, emulator: Emulator) -> None:
    client.with_options(api_key=LONG_KEY).models.list()
    entry = only(emulator)
    assert entry.key == "sk-proj-" + "*" * 22 + "wxyz"
    assert entry.headers["authorization"] == f"Bearer {entry.key}"
    assert entry.came_with(LONG_KEY)
    assert LONG_KEY not in repr(entry)


# --- filters


@pytest.mark.parametrize(
    ("query", "prompts"),
    [
        (Query(), ["a Cat", "a dog", "a bird"]),
        (Query(method="post"), ["a Cat", "a dog", "a bird"]),
        (Query(method="GET"), []),
        (Query(path="*/images/*"), ["a Cat", "a dog", "a bird"]),
        (Query(path="/v1/images"), []),
        (Query(path=["/v1/images/*", "/v1/models"]), ["a Cat", "a dog", "a bird"]),
        (Query(model="dall-e-3"), ["a dog"]),
        (Query(model="dall-e"), []),
        (Query(model=("dall-e-*", "no-such-*")), ["a dog"]),
        (Query(model="gpt-image-[12]"), ["a Cat", "a bird"]),
        (Query(status=400), ["a bird"]),
        (Query(status="4xx"), ["a bird"]),
        (Query(status=("2XX", "404")), ["a Cat", "a dog"]),
        (Query(status=[200, 400]), ["a Cat", "a dog", "a bird"]),
        (Query(status="5xx"), []),
        (Query(outcome="refused"), ["a bird"]),
        (Query(outcome=["answered", "gone"]), ["a Cat", "a dog"]),
        (Query(prompt="at"), ["a Cat"]),
        (Query(prompt="A cAT"), ["a Cat"]),
        (Query(prompt=["cat", "bird"]), ["a Cat", "a bird"]),
        (Query(text="DOG"), ["a dog"]),
        (Query(text="integer below minimum"), ["a bird"]),
        (Query(text="Dall-E"), ["a dog"]),
        (Query(text="a"), ["a Cat", "a dog", "a bird"]),
        (Query(key="sk-test", status=200), ["a Cat", "a dog"]),
        (Query(key="sk-other"), []),
        (Query(key=["sk-other", "sk-test"], prompt="cat"), ["a Cat"]),
        (Query(fault="latency"), []),
        (Query(has="picture"), ["a Cat", "a dog"]),
        (Query(has=["mask", "inputs", "events", "violations", "retry", "fault"]), []),
        (Query(kind="download"), []),
        (Query(kind=("call", "download")), ["a Cat", "a dog", "a bird"]),
        (Query(status=(), model=None), ["a Cat", "a dog", "a bird"]),
    ],
)
def test_entries_are_found(
    http: httpx2.Client, emulator: Emulator, query: Query, prompts: list[str]
) -> None:
    for body in (
        {"model": "gpt-image-2", "prompt": "a Cat"},
        {"model": "dall-e-3", "prompt": "a dog", "response_format": "url"},
        {"model": "gpt-image-2", "prompt": "a bird", "n": 0},
    ):
        http.post("/v1/images/generations", json=body)
    assert [entry.prompt for entry in emulator.journal.find(query)] == prompts


@pytest.mark.parametrize("name", ["model", "own_answer"])
def test_a_glob_of_any_text_finds_no_entry_without_one(
    http: httpx2.Client, emulator: Emulator, name: str
) -> None:
    http.get("/v1/models")
    assert len(emulator.journal.find(Query.from_filters({name: "*"}))) == 1
    assert emulator.journal.find(Query.from_filters({name: "?*"})) == []


def test_a_call_without_a_prompt_has_no_letter_in_it(
    http: httpx2.Client, emulator: Emulator
) -> None:
    http.get("/v1/models")
    found = [letter for letter in ascii_lowercase if emulator.journal.find(Query(prompt=letter))]
    assert found == []


def test_entries_are_found_by_their_ids(http: httpx2.Client, emulator: Emulator) -> None:
    for _ in range(2):
        http.get("/v1/models")
    first, _ = emulator.journal.find()
    assert emulator.journal.find(Query(text=first.id[4:20].upper())) == [first]


@pytest.mark.parametrize("has", ["mask", "inputs", "events", "violations", "retry", "fault"])
def test_entries_are_found_by_what_they_have(
    http: httpx2.Client, emulator: Emulator, has: str
) -> None:
    plain = {"model": "gpt-image-2", "prompt": "x", "quality": "low"}
    http.post("/v1/images/generations", json=plain)
    form = plain | {"n": "0" if has == "mask" else "1"}
    files = {"image": ("a.png", png(), "image/png")}
    match has:
        case "mask":
            http.post("/v1/images/edits", data=form, files={"mask": files["image"]})
        case "inputs":
            http.post("/v1/images/edits", data=form, files=files)
        case "events":
            http.post("/v1/images/generations", json=plain | {"stream": True})
        case "violations":
            headers = {"x-emulator-validation": "lenient"}
            http.post("/v1/images/generations", json=plain | {"colour": "red"}, headers=headers)
        case "retry":
            headers = {"x-stainless-retry-count": "1"}
            http.post("/v1/images/generations", json=plain, headers=headers)
        case "fault":
            http.post(
                "/v1/images/generations", json=plain, headers={"x-emulator-fault": "slow_down"}
            )
    _, second = emulator.journal.find()
    assert emulator.journal.find(Query(has=has)) == [second]


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"status": "x"}, "status: expected one such as 404 or 4xx, not 'x'"),
        ({"status": 4000}, "status: expected one such as 404 or 4xx, not '4000'"),
        ({"status": ["200", "xx"]}, "status: expected one such as 404 or 4xx, not 'xx'"),
        ({"kind": "calls"}, "kind: expected call or download, not 'calls'"),
        ({"has": "masks"}, "has: expected mask or inputs or .*, not 'masks'"),
        ({"outcome": "ok"}, "outcome: expected answered or .*, not 'ok'"),
        ({"path": 4}, "path: expected a text, not 4"),
        ({"parameters": {"n": float("nan")}}, "n: expected a value of JSON, not nan"),
        ({"parameters": {"n": [1, b"2"]}}, "n: expected a value of JSON, not b'2'"),
    ],
)
def test_a_filter_without_meaning_is_refused(filters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        Query(**filters)


# --- bounds


def test_updates_of_cleared_entries_are_ignored() -> None:
    journal = Journal(MemoryStore(), 10, 10**6)
    entry = arrived(journal, "a")
    journal.clear()
    entry.note_end()
    RUN(journal.complete(entry))
    assert (journal.find(), weight_of(journal)) == ([], 0)


def test_the_oldest_entries_go() -> None:
    journal = Journal(MemoryStore(), 3, 10**6)
    for number in range(5):
        answered(journal, str(number))
    assert [entry.id for entry in journal.find()] == ["2", "3", "4"]


def test_bodies_go_before_entries_do() -> None:
    journal = Journal(MemoryStore(), 1000, 80_000)
    for number in range(10):
        answered(journal, str(number), chunks=(b"x" * 30_000,), fault_label="latency")
    entries = journal.find()
    assert len(entries) == 10
    assert [entry.body is None for entry in entries] == [True] * 9 + [False]
    assert {entry.fault for entry in entries} == {"latency"}


def test_small_bodies_go_with_their_entries() -> None:
    journal = Journal(MemoryStore(), 1000, 30_000)
    for number in range(20):
        answered(journal, str(number))
    entries = journal.find()
    assert 5 < len(entries) < 20
    assert all(entry.body for entry in entries)


def test_one_body_above_the_limit_is_not_kept() -> None:
    journal = Journal(MemoryStore(), 10, 10_000)
    entry = answered(journal, "a", chunks=(b"x" * 10**6,))
    assert journal.find() == [entry]
    assert entry.body is None


def test_a_picture_can_be_drawn_again_without_its_body() -> None:
    journal = Journal(MemoryStore(), 10, 400_000)
    for number in range(3):
        body = json.dumps({"model": "gpt-image-2", "prompt": f"{number}" * 30_000}).encode()
        call = ParsedCall(GENERATIONS, is_form=False, fields=json.loads(body))
        accepted = validate(call, PillowImageLoader(lambda _: None, lambda _: None))
        answered(journal, str(number), chunks=(body,), cached_call=call, request=accepted)
    first, *_ = journal.find()
    assert first.body is None
    assert first.prompt == "0" * 30_000
    assert first.drawn_request
    assert weight_of(journal) == sum(entry.weight for entry in journal.find())


@pytest.mark.parametrize(("entries", "most_bytes"), [(0, 10**6), (10, 0)])
def test_a_journal_may_be_of_no_size(entries: int, most_bytes: int) -> None:
    journal = Journal(MemoryStore(), entries, most_bytes)
    answered(journal, "a")
    assert (len(journal), weight_of(journal)) == (0, 0)


@pytest.mark.slow
def test_a_hundred_thousand_calls_stay_inside_the_limit() -> None:
    journal = Journal(MemoryStore(), 100_000, 10**6)
    model = MODELS["gpt-image-2"]
    accepted = ImageRequest(
        operation=GENERATIONS, model=model, prompt="a lighthouse", size=(1024, 1024)
    )
    waiting: list[ServedExchange] = []
    heaviest = 0
    for number in range(100_000):
        if number % 7:
            answered(journal, str(number), request=accepted)
        else:
            waiting.append(arrived(journal, str(number), request=accepted))
        if len(waiting) == 50:
            # Answers come in another order than calls.
            while waiting:
                entry = waiting.pop()
                entry.note_end()
                RUN(journal.complete(entry))
        heaviest = max(heaviest, weight_of(journal))
    assert 0.9 * 10**6 < heaviest <= 10**6
    assert weight_of(journal) == sum(entry.weight for entry in journal.find())
    journal.clear()
    assert weight_of(journal) == 0


@pytest.mark.slow
def test_weight_of_an_entry_is_at_least_its_memory() -> None:
    journal = Journal(MemoryStore(), 10_000, 10**9)
    gc.collect()
    tracemalloc.start()
    for number in range(500):
        body = json.dumps(
            {"model": "gpt-image-2", "prompt": f"{number} lighthouses " * 50}
        ).encode()
        call = ParsedCall(GENERATIONS, is_form=False, fields=json.loads(body))
        accepted = validate(call, PillowImageLoader(lambda _: None, lambda _: None))
        headers = [(b"x-stainless-%d" % each, b"%d" % number * 8) for each in range(18)]
        entry = ServedExchange(
            RequestHead("POST", "/v1", b"", headers),
            f"{number}",
            datetime.now(UTC),
            cached_call=call,
            request=accepted,
        )
        entry.keep_request_body((body,))
        RUN(journal.append(entry))
        entry.note_end()
        RUN(journal.complete(entry))
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken <= weight_of(journal) <= 3 * taken


# --- on a shared store


def shared_emulator() -> Emulator:
    return Emulator(store=JSONStore())


def test_a_call_that_is_completed_while_it_is_read_is_read_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    emulator = shared_emulator()
    journal = emulator.journal
    exchange = arrived(journal, "a")
    read = journal._log.all

    async def read_too_early() -> list[Exchange]:
        calls = await read()
        exchange.note_start(200)
        exchange.answer.sent.end()
        exchange.note_end()
        await journal.complete(exchange)
        return calls

    monkeypatch.setattr(journal._log, "all", read_too_early)
    assert [call.status for call in journal.find()] == [200]
    emulator.close()


@pytest.mark.parametrize("request_line", ["GET /nothing", "HEAD /v1/models", "GET /v1/models"])
def test_no_byte_of_an_answer_leaves_before_it_is_in_the_journal(
    monkeypatch: pytest.MonkeyPatch, request_line: str
) -> None:
    emulator = shared_emulator()
    amend, sent_early = emulator.journal._log.amend, list[bytes]()

    async def amend_late(*arguments: Any, **options: Any) -> None:
        for _ in range(10):
            await asyncio.sleep(0)  # what is to be sent is sent meanwhile
        if select([connection], [], [], 0)[0]:
            sent_early.append(connection.recv(1, socket.MSG_PEEK))
        await amend(*arguments, **options)

    monkeypatch.setattr(emulator.journal._log, "amend", amend_late)
    with Server(emulator=emulator) as server:
        address = (server.settings.host, server.port)
        with socket.create_connection(address, timeout=30) as connection:
            head = f"{request_line} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer k\r\n\r\n"
            connection.sendall(head.encode())
            answer = connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 ")
            # Head and body leave in one write.
            assert len(answer.partition(b"\r\n\r\n")[2]) > 2000 or "GET /v1" not in request_line
    assert sent_early == []


def test_a_call_of_a_shared_store_knows_its_namespace_and_its_trace() -> None:
    emulator = shared_emulator()
    answered(emulator.journal, "a", namespace="tests", span_trace_id="f" * 32)
    call = only(emulator)
    assert (call.namespace, call.trace_id) == ("tests", "f" * 32)
    emulator.close()
