"""The store's protocol: what each store does, and that the emulator works on any.

Another store joins by one line in `STORES` of `tests/stores.py`.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx2
import pytest
from openai import OpenAI, RateLimitError

from images_emulator import Emulator, Server, Settings, create_app
from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import OPERATIONS
from images_emulator.contract.request import ImageRequest
from images_emulator.exchange.call_answer import CallAnswer
from images_emulator.exchange.exchange_packing import CompletionPacker, unpack_exchange
from images_emulator.exchange.request_head import RequestHead
from images_emulator.exchange.sent_answer import SentAnswer
from images_emulator.exchange.sent_file import FileKey, SentFile
from images_emulator.exchange.sent_images import SentImage
from images_emulator.exchange.served_exchange import ServedExchange
from images_emulator.imaging.decoder import decode
from images_emulator.state import account, clock, files, hosted_picture, steps
from images_emulator.state.clock import ClockSetting
from images_emulator.state.files import StoredFile
from images_emulator.state.hosted_picture import HostedPicture
from images_emulator.state.memory_store import MemoryStore
from images_emulator.state.scenario_step import ScenarioStep
from images_emulator.state.steps import Steps
from images_emulator.state.store import (
    ClaimCount,
    ClaimOutcome,
    Codec,
    ContainerSize,
    Log,
    LogCodec,
    Packed,
    PendingTake,
    StaleRegistersError,
    Store,
    TakeOutcome,
)
from images_emulator.step_documents.scenario_document import parse_step
from tests.conftest import KEY
from tests.pictures import half_clear, opened, png
from tests.stores import NUMBER, JSONStore, packed_exchange

pytestmark = pytest.mark.not_on_redis("its tests have each store as it is")

NOW: Final = datetime(2026, 11, 26, 12, tzinfo=UTC)
BYTES: Final[Codec[bytes]] = Codec(lambda data: Packed({}, data), lambda packed: packed.data)


@dataclass(frozen=True)
class Limits:
    """A quota."""

    key: str = "a"
    after: int = 0
    times: int | None = None
    probability: float = 1
    seed: str = ""


# --- registers


async def test_a_register_is_updated_by_a_function_of_its_value(store: Store) -> None:
    register = store.register("n", 1, NUMBER)
    assert await register.update(lambda number: number + 1) == 2
    assert register.value == 2


async def test_the_initial_value_of_a_register_is_that_of_whoever_came_first(store: Store) -> None:
    first, second = (store.register("n", number, NUMBER) for number in (1, 2))
    assert (first.value, second.value) == (1, 1)
    await second.update(lambda _: 3)
    assert first.value == 3


async def test_an_update_that_fails_changes_nothing(store: Store) -> None:
    register = store.register("n", 0, NUMBER)
    with pytest.raises(ZeroDivisionError):
        await register.update(lambda number: 1 // number)
    assert register.value == 0


def test_no_update_of_a_register_is_lost_among_threads(store: Store) -> None:
    register = store.register("n", 0, NUMBER)

    def add(_: int) -> None:
        store.run(register.update(lambda number: number + 1))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(200)))
    assert register.value == 200


# --- records


async def test_a_record_is_had_by_its_key_until_it_is_deleted(store: Store) -> None:
    records = store.records("files", 100, BYTES)
    await records.put({"a": b"\0\xff"}, 2)
    assert await records.get("a") == b"\0\xff"
    assert await records.get("b") is None
    assert await records.delete("a")
    assert not await records.delete("a")
    assert await records.get("a") is None


async def test_records_are_listed_oldest_first_and_cleared(store: Store) -> None:
    records = store.records("n", 100, NUMBER)
    for number in (3, 1, 2):
        await records.put({str(number): number}, 10)
    assert await records.all() == [3, 1, 2]
    await records.clear()
    assert await records.all() == []


async def test_past_the_budget_the_oldest_records_go(store: Store) -> None:
    records = store.records("n", 100, NUMBER)
    for number in range(5):
        await records.put({str(number): number}, 30)
    assert await records.all() == [2, 3, 4]
    await records.delete("3")
    await records.put({"5": 5}, 40)
    assert await records.all() == [2, 4, 5]


async def test_many_records_are_put_at_once(store: Store) -> None:
    records = store.records("n", 100, NUMBER)
    await records.put({str(number): number for number in range(5)}, 30)
    assert await records.all() == [2, 3, 4]


async def test_a_record_that_is_put_again_counts_once_and_is_the_newest(store: Store) -> None:
    records = store.records("n", 100, NUMBER)
    for key, number in (("a", 1), ("b", 2), ("a", 3)):
        await records.put({key: number}, 50)
    assert await records.all() == [2, 3]


async def test_a_record_heavier_than_the_budget_is_not_stored_and_drops_none(store: Store) -> None:
    records = store.records("n", 100, NUMBER)
    await records.put({"a": 1}, 100)
    await records.put({"b": 2}, 101)
    assert await records.all() == [1]
    assert await records.size() == ContainerSize(1, 100)


async def test_expired_records_go_by_the_time_that_is_given(store: Store) -> None:
    records = store.records("n", 100, NUMBER)
    hour = timedelta(hours=1)
    await records.put({"a": 1}, 1, now=NOW, expiry=NOW + hour)
    await records.put({"b": 2}, 1, now=NOW + hour, expiry=NOW + 2 * hour)
    assert await records.all() == [1, 2]
    await records.put({"c": 3}, 1, now=NOW + 1.5 * hour, expiry=NOW + 2 * hour)
    assert await records.all() == [2, 3]


async def test_records_of_other_names_are_others(store: Store) -> None:
    await store.records("a", 100, NUMBER).put({"key": 1}, 1)
    assert await store.records("b", 100, NUMBER).get("key") is None
    assert await store.records("a", 100, NUMBER).get("key") == 1


# --- counters


async def test_a_quota_grants_so_many_claims_after_the_first_ones(store: Store) -> None:
    counters = store.counters("steps")
    quota = Limits(after=1, times=2)
    granted = [(await counters.claim([quota])).granted for _ in range(5)]
    assert granted == [None, (quota, ClaimCount(2, 1)), (quota, ClaimCount(3, 2)), None, None]
    assert await counters.counts(["a", "b"]) == [ClaimCount(3, 2), ClaimCount()]
    await counters.clear()
    assert await counters.counts(["a"]) == [ClaimCount()]


async def test_the_first_quota_that_grants_a_claim_ends_it(store: Store) -> None:
    counters = store.counters("steps")
    quotas = [Limits("a", after=1), Limits("b"), Limits("c")]
    claims = [(await counters.claim(quotas)).granted for _ in range(2)]
    assert [claim and claim[0].key for claim in claims] == ["b", "a"]
    assert await counters.counts(["a", "b", "c"]) == [
        ClaimCount(2, 1),
        ClaimCount(1, 1),
        ClaimCount(),
    ]


@pytest.mark.slow
async def test_chance_follows_from_the_seed_and_the_number_of_the_claim(store: Store) -> None:
    def draws(name: str, seed: str, after: int = 0) -> list[bool]:
        counters, quota = store.counters(name), Limits(after=after, probability=0.3, seed=seed)
        return [store.run(counters.claim([quota])).granted is not None for _ in range(200)]

    first, again, other, later = (
        *(draws("1", "x"), draws("2", "x")),
        *(draws("3", "y"), draws("4", "x", after=5)),
    )
    assert first == again != other
    assert later == [False] * 5 + first[:-5]
    assert 40 < sum(first) < 80


def test_a_quota_grants_no_more_claims_than_its_times_among_threads(store: Store) -> None:
    counters, quota = store.counters("steps"), Limits(times=20)
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda _: store.run(counters.claim([quota])), range(100)))
    assert sum(claim.granted is not None for claim in claims) == 20


async def test_a_claim_that_nothing_grants_has_the_counts_that_are_asked_for(store: Store) -> None:
    counters = store.counters("steps")
    quotas = [Limits("a", after=1), Limits("b", times=1)]
    assert await counters.claim(quotas, ["b", "c"]) == ClaimOutcome((quotas[1], ClaimCount(1, 1)))
    assert await counters.claim(quotas[1:], ["b", "c"]) == ClaimOutcome(
        None, [ClaimCount(1, 1), ClaimCount()]
    )
    assert await counters.claim([], ["a"]) == ClaimOutcome(None, [ClaimCount(1)])
    assert await counters.claim([]) == ClaimOutcome(None, [])


async def test_a_claim_is_made_only_where_the_bucket_grants_its_tokens(store: Store) -> None:
    counters, buckets = store.counters("steps"), store.buckets("limits", 9)
    quota, pending_take = Limits("a", times=5), PendingTake(buckets, "key", 2, 3, 60, NOW)
    granted = TakeOutcome(granted=True, used=2)
    assert await counters.take_and_claim(pending_take, [quota]) == (
        granted,
        ClaimOutcome((quota, ClaimCount(1, 1))),
    )
    assert await counters.take_and_claim(pending_take, [quota], ["a"]) == (
        TakeOutcome(granted=False, used=2, wait_ms=20_000),
        ClaimOutcome(None),
    )
    assert await counters.counts(["a"]) == [ClaimCount(1, 1)]
    one: PendingTake = pending_take._replace(amount=1)
    alone: tuple[TakeOutcome, ClaimOutcome[Limits]] = await counters.take_and_claim(one, [])
    assert alone == (TakeOutcome(granted=True, used=3), ClaimOutcome(None, []))
    assert await buckets.take("key", 1, limit=3, seconds=60, now=NOW) == TakeOutcome(
        granted=False, used=3, wait_ms=20_000
    )


async def test_a_claim_is_not_made_where_the_values_it_follows_have_changed(store: Store) -> None:
    counters, quota = store.counters("steps"), Limits("a")
    with pytest.raises(StaleRegistersError):
        await counters.claim_if_fresh(lambda: False, [quota])
    assert await counters.counts(["a"]) == [ClaimCount()]


async def test_counts_in_memory_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("images_emulator.state.memory_store.MAX_COUNTS", 2)
    counters = MemoryStore().counters("steps")
    for key in "abac":
        await counters.claim([Limits(key)])
    assert await counters.counts("abc") == [ClaimCount(2, 2), ClaimCount(), ClaimCount(1, 1)]


# --- token buckets


async def test_a_bucket_refuses_what_it_has_not_and_says_when_it_will(store: Store) -> None:
    buckets = store.buckets("limits", 9)

    async def take(amount: int, seconds: float, key: str = "k") -> TakeOutcome:
        now = NOW + timedelta(seconds=seconds)
        return await buckets.take(key, amount, limit=5, seconds=60, now=now)

    assert await take(5, 0) == TakeOutcome(granted=True, used=5)
    assert await take(1, 0) == TakeOutcome(granted=False, used=5, wait_ms=12_000)
    assert await take(1, 1.5) == TakeOutcome(granted=False, used=5, wait_ms=10_500)
    assert await take(1, 12) == TakeOutcome(granted=True, used=5)
    assert await take(6, 600) == TakeOutcome(granted=False, used=0)
    assert await take(5, 600) == TakeOutcome(granted=True, used=5)
    # The clock is moved back.
    assert await take(5, 0) == TakeOutcome(granted=True, used=5)
    assert await take(4, 0, key="other") == TakeOutcome(granted=True, used=4)
    await buckets.clear()
    assert (await take(5, 0)).granted


async def test_a_bucket_is_not_filled_by_a_clock_that_goes_back_a_little(store: Store) -> None:
    buckets = store.buckets("limits", 9)

    async def take(amount: int, milliseconds: int) -> TakeOutcome:
        now = NOW + timedelta(milliseconds=milliseconds)
        return await buckets.take("k", amount, limit=5, seconds=60, now=now)

    assert await take(4, 0) == TakeOutcome(granted=True, used=4)
    assert await take(1, -1) == TakeOutcome(granted=True, used=5)
    assert await take(1, -1) == TakeOutcome(granted=False, used=5, wait_ms=12_001)
    assert await take(1, -60_000) == TakeOutcome(granted=False, used=5, wait_ms=72_000)
    assert await take(1, 11_999) == TakeOutcome(granted=False, used=5, wait_ms=1)
    assert await take(1, 12_000) == TakeOutcome(granted=True, used=5)
    assert await take(5, 12_000 - 60_001) == TakeOutcome(granted=True, used=5)


async def test_a_bucket_of_a_server_with_a_higher_limit_is_empty(store: Store) -> None:
    buckets = store.buckets("limits", 9)
    assert (await buckets.take("k", 10, limit=10, seconds=10, now=NOW)).granted
    take = await buckets.take("k", 1, limit=5, seconds=5, now=NOW)
    assert take == TakeOutcome(granted=False, used=5, wait_ms=1000)


async def test_a_bucket_whose_tokens_are_no_whole_microseconds_gives_all_of_them(
    store: Store,
) -> None:
    buckets = store.buckets("limits", 9)
    takes = [await buckets.take("k", 1, limit=7, seconds=1, now=NOW) for _ in range(8)]
    assert [take.granted for take in takes] == [True] * 7 + [False]
    assert takes[-1].wait_ms == 143


async def test_buckets_are_bounded(store: Store) -> None:
    buckets = store.buckets("limits", 2)
    takes = [
        await buckets.take(key, 1, limit=2, seconds=60, now=NOW) for key in ("a", "b", "a", "c")
    ]
    assert all(take.granted for take in takes)
    refilled = [(await buckets.take(key, 2, limit=2, seconds=60, now=NOW)).granted for key in "ab"]
    assert refilled == [False, True]


# --- logs


@dataclass
class Call:
    """An entry of a log; *body* is detachable."""

    name: str
    body: bytes = b""

    def detach(self) -> int:
        self.body = b""
        return 10


CALL: Final[LogCodec[Call]] = LogCodec(
    lambda call: Packed({"name": call.name}, call.body),
    lambda call: Packed({"name": call.name}, call.body),
    lambda packed: Call(packed.document["name"], packed.data),
)


BODY: Final = b"x" * 30


def log_of(store: Store, max_entries: int = 100, max_bytes: int = 1000) -> Log[Call]:
    return store.log(
        "calls", CALL, max_entries=max_entries, max_bytes=max_bytes, detach=Call.detach
    )


async def test_entries_of_a_log_are_listed_oldest_first_and_had_by_their_keys(store: Store) -> None:
    log = log_of(store)
    for name in "bac":
        await log.append(name, Call(name), 10)
    assert [call.name for call in await log.all()] == ["b", "a", "c"]
    assert await log.get("a") == Call("a")
    assert await log.get("d") is None
    assert await log.clear() == 3
    assert await log.clear() == 0
    assert await log.get("a") is None


async def test_the_newest_entries_of_a_log_are_had_alone(store: Store) -> None:
    log = log_of(store)
    for name in "bac":
        await log.append(name, Call(name, BODY), 10)
    assert await log.newest(2) == [Call("a", BODY), Call("c", BODY)]
    assert await log.newest(9) == await log.all()


async def test_an_entry_is_amended_in_its_place_unless_it_is_gone(store: Store) -> None:
    log = log_of(store)
    for name in "ab":
        await log.append(name, Call(name), 10)
    await log.amend("a", Call("A", b"body"), 20, detachable=True)
    assert await log.all() == [Call("A", b"body"), Call("b")]
    await log.clear()
    await log.amend("a", Call("A"), 10, detachable=False)
    assert await log.all() == []
    # What was cleared has no body to go.
    await log.append("c", Call("c"), 1001)
    assert await log.all() == []


async def test_the_heads_of_a_log_follow_its_changes(store: Store) -> None:
    log, log_again = log_of(store, max_entries=3), log_of(store, max_entries=3)

    async def heads() -> str:
        return "".join(call.name for call in await log_again.summaries())

    assert await heads() == ""
    for name in "ba":
        await log.append(name, Call(name, BODY), 10)
    assert await heads() == "ba"
    await log.amend("a", Call("A", BODY), 10, detachable=True)
    assert await heads() == "bA"
    for name in "cd":
        await log.append(name, Call(name), 10)
    await log.amend("a", Call("Å"), 10, detachable=False)
    assert await heads() == "Åcd"
    for name in "efg":
        await log.append(name, Call(name), 10)
        await log.amend(name, Call(name.upper()), 10, detachable=False)
    assert await heads() == "EFG"
    await log.clear()
    assert await heads() == ""
    for name in "hij":
        await log.append(name, Call(name), 10)
    assert await heads() == "hij"
    await log.clear()
    for name in "klm":
        await log.append(name, Call(name), 10)
    assert await heads() == "klm"


async def test_past_their_number_the_oldest_entries_of_a_log_go(store: Store) -> None:
    log = log_of(store, max_entries=2)
    for name in "abc":
        await log.append(name, Call(name), 10)
        await log.amend(name, Call(name, b"x" * 10), 20, detachable=True)
    assert await log.all() == [Call(name, b"x" * 10) for name in "bc"]
    # Those that went have no body to go.
    await log.amend("c", Call("c"), 985, detachable=False)
    assert await log.all() == [Call("b"), Call("c")]


async def test_past_the_bytes_of_a_log_bodies_go_before_entries(store: Store) -> None:
    log = log_of(store, max_bytes=100)
    for name in "abcd":
        await log.append(name, Call(name), 10)
        await log.amend(name, Call(name, BODY), 40, detachable=name != "b")
    # a: 10, b: 40, c: 10, d: 40
    bodies = [call.body for call in await log.all()]
    assert bodies == [b"", BODY, b"", BODY]
    await log.append("e", Call("e"), 31)
    # Without the body of d there are 101 bytes, and without a 91.
    assert await log.all() == [Call("b", BODY), Call("c"), Call("d"), Call("e")]


async def test_records_and_logs_tell_their_size(store: Store) -> None:
    records, log = store.records("n", 100, NUMBER), log_of(store, max_entries=2)
    assert (await records.size(), await log.size()) == (ContainerSize(0, 0), ContainerSize(0, 0))
    for number in range(5):
        await records.put({str(number): number}, 30)
        await log.append(str(number), Call("c"), 10)
    assert await records.size() == ContainerSize(3, 90)
    assert await log.size() == ContainerSize(2, 20)
    await records.delete("3")
    await log.amend("4", Call("c"), 25, detachable=False)
    assert await records.size() == ContainerSize(2, 60)
    assert await log.size() == ContainerSize(2, 35)
    await records.clear()
    await log.clear()
    assert (await records.size(), await log.size()) == (ContainerSize(0, 0), ContainerSize(0, 0))


async def test_a_log_may_be_of_no_size(store: Store) -> None:
    log = log_of(store, max_entries=0)
    await log.append("a", Call("a"), 10)
    await log.amend("a", Call("a"), 10, detachable=True)
    assert await log.all() == []


# --- what the emulator stores is JSON and bytes


def _request(**fields: Any) -> ImageRequest:
    return ImageRequest(
        operation=OPERATIONS["edits"],
        model=MODELS["gpt-image-2"],
        prompt="a ⛵",
        size=(64, 64),
        quality="low",
        **fields,
    )


IMAGES: Final = [decode(png((size, size))) for size in (8, 9)]
MASK: Final = decode(half_clear((8, 8)))
STEP: Final = parse_step(
    {"fault": "timeout", "match": {"api_key": "sk-x", "prompt": "x"}, "times": 2}
)
PLANNED: Final = tuple(ScenarioStep(STEP, "document", f"step {n}", f"{n}") for n in (1, 2))
STORED: Final[dict[str, tuple[Codec[Any], Any]]] = {
    "account": (account.CODEC, account.random_account()),
    "clock that runs": (clock.CODEC, ClockSetting(timedelta(days=-3, microseconds=1))),
    "clock that is frozen": (clock.CODEC, ClockSetting(moment=NOW)),
    "file": (files.CODEC, StoredFile("file-1", "ä.png", "vision", b"\0\xff", NOW, "", 2)),
    "hosted picture": (hosted_picture.CODEC, HostedPicture(_request(), 1)),
    "hosted picture of uploads": (
        hosted_picture.CODEC,
        HostedPicture(_request(images=tuple(IMAGES), mask=MASK, user="u"), 0),
    ),
}


@pytest.mark.parametrize("name", STORED)
def test_a_stored_value_is_the_same_after_its_way_through_json(name: str) -> None:
    codec, value = STORED[name]
    packed = codec.pack(value)
    assert codec.unpack(Packed(json.loads(json.dumps(packed.document)), packed.data)) == value


def test_steps_are_the_same_after_their_way_through_json() -> None:
    injected = ScenarioStep(STEP, "injected", "injected", "i")
    spent = ScenarioStep(STEP, "injected", "injected", "s")
    value = Steps((injected,), PLANNED, PLANNED[1:], (spent,))
    packed = steps.CODEC.pack(value)
    again = steps.CODEC.unpack(Packed(json.loads(json.dumps(packed.document)), packed.data))
    for before, after in (
        (value.injected, again.injected),
        (value.planned, again.planned),
        (value.live_planned, again.live_planned),
        (value.spent_injected, again.spent_injected),
    ):
        assert [(each.document, each.origin, each.title, each.id) for each in after] == [
            (each.document, each.origin, each.title, each.id) for each in before
        ]


def test_settings_outside_the_process_have_no_keys_and_tokens() -> None:
    seen: list[Packed] = []

    class Watched(MemoryStore):
        def register(self, name: str, initial: Any, codec: Codec[Any]) -> Any:
            seen.append(codec.pack(initial))
            return super().register(name, initial, codec)

    settings = Settings(api_key="sk-secret", admin_token="secret")
    Emulator(settings, Watched()).close()
    written = {"as_of": "any", "validation": "strict"}
    assert [each.document for each in seen if "as_of" in each.document] == [written]


def test_a_packed_exchange_without_its_bytes_is_one_without_body_and_uploads() -> None:
    head = RequestHead("POST", "/v1/images/edits", b"a=%20b", [(b"x-a", b"\xff"), (b"x-a", b"2")])
    exchange = ServedExchange(
        head, "req_1", NOW, image_operation=OPERATIONS["edits"], fault_label="latency"
    )
    exchange.keep_request_body((b"--b", b"--"))
    exchange.request = _request(images=tuple(IMAGES), mask=MASK)
    exchange.number, exchange.answer.files = 7, {FileKey(0): SentFile(1648, b"iVBORw0K", 1234)}
    exchange.note_start(200)
    exchange.answer.sent.end()
    exchange.note_end()
    document, data = packed_exchange(exchange)
    whole, rest = unpack_exchange(document, data), unpack_exchange(document, b"")
    assert (whole.request, whole.body) == (exchange.request, b"--b--")
    assert (rest.request, rest.body, rest.body_bytes) == (None, None, 0)
    for entry in (whole, rest):
        assert entry.head.pairs == head.pairs
        assert (entry.query, entry.headers) == (exchange.query, exchange.headers)
        assert (entry.model, entry.uploads) == ("gpt-image-2", exchange.uploads)
        assert (entry.status, entry.image_indexes, entry.fault) == (200, (0,), "latency")
        assert entry.duration_ms == exchange.duration_ms
        assert (entry.number, entry.outcome) == (7, "answered")
        assert entry.pictures == (SentImage(0, 64, 64, "png", 1234),)
        assert (entry.usage, entry.price_usd) == (exchange.usage, exchange.price_usd)
        assert entry.usage
    assert ([*whole.dropped], [*rest.dropped]) == ([], ["body", "pictures"])


@pytest.mark.parametrize("fields", [{"model": "dall-e-3"}, {"model": "gpt-image-2", "n": 2}])
async def test_equal_calls_share_one_text_in_a_store(
    fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pack, texts = CompletionPacker.pack, list[str]()

    def noted(packer: CompletionPacker, exchange: ServedExchange) -> Any:
        packed = pack(packer, exchange)
        texts.append(packed[2])
        return packed

    monkeypatch.setattr(CompletionPacker, "pack", noted)
    emulator = Emulator(store=JSONStore(MemoryStore()))
    transport = httpx2.ASGITransport(create_app(emulator))
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://x", headers=headers
    ) as http:
        body = {"prompt": "x", "size": "1024x1024", **fields}
        for _ in range(4):
            answer = await http.post("/v1/images/generations", json=body)
            assert answer.status_code == 200
    # The first call brings the request that the others share.
    assert len(texts) == 4
    assert texts[0] == texts[3]
    assert texts[1] is texts[2] is texts[3]
    assert ("usage" in texts[0]) == (fields["model"] == "gpt-image-2")


def test_a_text_that_exchanges_share_weighs_the_body_that_it_is_compared_by() -> None:
    head = RequestHead("POST", "/v1/images/generations", b"", [])
    exchange = ServedExchange(head, "req_1", NOW, request=_request())
    exchange.keep_request_body((b"{}" + b" " * 100_000,))
    exchange.note_start(200)
    exchange.note_end()
    packer = CompletionPacker()
    packer.pack(exchange)
    assert packer._texts.weight > 100_000


def test_a_packed_stream_has_its_events_and_was_cut_where_it_was() -> None:
    head = RequestHead("POST", "/v1/images/generations", b"", [])
    answer = CallAnswer(is_hung_up=True, is_reset=True)
    exchange = ServedExchange(head, "req_1", NOW, fault_label="stream_cut", answer=answer)
    exchange.fault_changes_body = True
    exchange.request = replace(_request(), stream=True, partial_images=2)
    exchange.note_start(200)
    for number in range(2):
        exchange.answer.sent.add(b"event: image_edit.partial_image\ndata: {}\n\n", number)
    exchange.note_end()
    document, data = packed_exchange(exchange)
    entry = unpack_exchange(document, data)
    assert [*entry.stream_events] == [*exchange.stream_events]
    assert (entry.partial_count, entry.event_count, entry.outcome) == (2, 2, "cut")
    assert (entry.usage, entry.price_usd, entry.pictures) == (None, None, ())


def test_a_packed_exchange_was_stopped_where_it_was() -> None:
    head = RequestHead("GET", "/v1/models", b"", [])
    exchange = ServedExchange(head, "req_1", NOW, answer=CallAnswer(is_stopped=True))
    exchange.note_end()
    entry = unpack_exchange(*packed_exchange(exchange))
    assert (entry.outcome, entry.answer.is_stopped) == ("cut", True)


def test_a_packed_exchange_has_the_error_that_ended_its_stream() -> None:
    event = b'event: error\ndata: {"error": {"code": "image_generation_failed"}}\n\n'
    head = RequestHead("POST", "/v1/images/generations", b"", [])
    sent = SentAnswer(200, event_count=2, error_body=event, is_stream=True, is_whole=True)
    document, data = packed_exchange(
        ServedExchange(head, "req_1", NOW, answer=CallAnswer(sent=sent))
    )
    exchange = unpack_exchange(document, data)
    assert (exchange.event_count, exchange.error_code) == (2, "image_generation_failed")


# --- the emulator on any store


@pytest.fixture
def server(store: Store) -> Iterator[Server]:
    emulator = Emulator(Settings(port=0, rate_limit="5/min"), store)
    emulator.clock.freeze(NOW)
    with Server(emulator=emulator) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as client:
        yield client


def test_hosted_pictures_and_files_work_on_any_store(server: Server, client: OpenAI) -> None:
    file = client.files.create(file=("a.png", png((64, 64))), purpose="vision")
    body = {"model": "gpt-image-2", "prompt": "x", "images": [{"file_id": file.id}]}
    answer = httpx2.post(
        f"{server.base_url}/images/edits", json=body, headers={"Authorization": f"Bearer {KEY}"}
    )
    assert answer.status_code == 200
    image = ("a.png", half_clear(), "image/png")
    url = (client.images.edit(model="dall-e-2", image=image, prompt="x").data or [])[0].url
    assert opened(httpx2.get(str(url)).content).size == (1024, 1024)
    server.clock.advance(minutes=61)
    assert httpx2.get(str(url)).status_code == 403


def test_scenarios_work_on_any_store(server: Server, client: OpenAI) -> None:
    server.emulator.scenario.begin_document(
        {"steps": [{"fault": "slow_down", "after": 1, "times": 1}]}
    )
    server.inject({"kind": "error", "status": 418})
    paths = [f"{server.base_url}/models"] * 4
    headers = {"Authorization": f"Bearer {KEY}"}
    statuses = [httpx2.get(path, headers=headers).status_code for path in paths]
    assert statuses == [418, 200, 429, 200]
    shown = server.emulator.scenario.as_json()["steps"]
    assert [(step["name"], step["met"], step["spent"]) for step in shown] == [
        ("step 1", 1, True),
        ("injected", 1, True),
    ]
    server.emulator.scenario.remove(shown[1]["id"])
    assert [step["name"] for step in server.emulator.scenario.as_json()["steps"]] == ["step 1"]


def test_rate_limits_settings_and_resets_work_on_any_store(server: Server, client: OpenAI) -> None:
    def generate() -> None:
        client.images.generate(model="dall-e-2", prompt="x", n=5)

    generate()
    with pytest.raises(RateLimitError, match="Limit: 5/1min"):
        generate()
    server.emulator.configure(as_of="2026-01-01", validation="lenient")
    changed = server.emulator.settings
    assert changed == replace(server.settings, as_of="2026-01-01", validation="lenient")
    server.inject("timeout", times=None)
    server.reset()
    assert server.emulator.settings == server.settings
    assert not server.clock.frozen
    assert not server.emulator.scenario
    generate()


def test_a_store_in_memory_runs_nothing_that_waits() -> None:
    sentence = r"^a coroutine over a store in memory is never suspended$"
    with pytest.raises(RuntimeError, match=sentence):
        MemoryStore().run(asyncio.sleep(0))


def test_other_releases_find_what_is_in_a_store_by_the_same_names() -> None:
    store = JSONStore()
    Emulator(Settings(rate_limit="5/min", max_namespaces=2), store)
    assert {*store._memory._containers} == {
        *(("register", name) for name in ("account", "clock", "resets", "scenario", "settings")),
        *(("records", name) for name in ("files", "hosted")),
        *(("log", "journal"), ("counters", "scenario"), ("buckets", "rate-limits")),
    }


VARYING: Final = (
    *("openai-processing-ms", "openai-organization", "openai-project"),
    "content-length",  # of an answer with a signature
    "etag",  # of a picture, by its path
)
"""Headers of answers that differ each time."""


def journal_of(server: Server) -> tuple[Any, list[bytes]]:
    """What the admin API tells of calls of every kind, but for what differs each time; and their
    bodies, files and pictures."""
    server.reset()
    server.clock.freeze(NOW)
    server.inject("server_error", match={"prompt": "no such prompt"})
    headers = {"authorization": f"Bearer {KEY}"}
    with httpx2.Client(base_url=server.url, headers=headers, timeout=60) as http:
        for body in (
            {"model": "gpt-image-2", "prompt": "a ⛵", "size": "1024x1024"},
            {"model": "gpt-image-2", "prompt": "x", "stream": True, "partial_images": 1},
            {"model": "gpt-image-2", "prompt": "x" * 40_000},
            {"model": "gpt-image-2", "prompt": 7},
            {"model": "dall-e-2", "prompt": "x", "response_format": "url"},
        ):
            answer = http.post("/v1/images/generations", json=body)
        http.get(answer.json()["data"][0]["url"])
        form = {
            "image": ("a.png", png(), "image/png"),
            "mask": ("m.png", half_clear(), "image/png"),
        }
        http.post("/v1/images/edits", data={"model": "gpt-image-2", "prompt": "x"}, files=form)
        http.get("/v1/models?api-key=secret", headers={"x-emulator-fault": "slow_down"})
        calls = http.get("/_emulator/requests").json()["requests"]
        details = [http.get(f"/_emulator/requests/{each['id']}").json() for each in calls]
        places = [
            place
            for each in details
            for place in (
                each["body_url"],
                *(upload["url"] for upload in each["uploads"]),
                *(picture["url"] for picture in each["pictures"]),
            )
            if place
        ]
        parts = [http.get(place) for place in places]
    assert {part.status_code for part in parts} == {200}
    text = json.dumps(details)
    for call in calls:
        text = text.replace(call["id"], "ID")
    text = re.sub(r"generation_id[^,]*", "", text)
    shown = json.loads(re.sub(r"/private/[^\"\\]*|localhost:\d+|127[.]0[.]0[.]1:\d+", "URL", text))
    for each in shown:
        del each["duration_ms"]
        for event in each["stream_events"]:
            del event["ms"]
        for name in VARYING:
            each["answer"]["headers"].pop(name, None)
        for miss in each["near_misses"]:
            del miss["step"]  # an injected step has an id of its own
        if each["kind"] == "download":
            del each["query"]  # has the account's signature
        each["headers"].pop("content-type", None)  # has a random boundary
    return shown, [part.content for part in parts if not part.content.startswith(b"--")]


@pytest.mark.slow
def test_the_admin_api_tells_the_same_of_calls_whatever_store_has_them(store: Store) -> None:
    shown = []
    for each in (MemoryStore(), store):
        with Server(emulator=Emulator(Settings(port=0), each)) as server:
            shown.append(journal_of(server))
    (calls, parts), other = shown
    assert len(calls) == 8
    assert calls[0]["near_misses"]
    assert len(parts) > 8
    assert other == (calls, parts)


def test_calls_past_the_bytes_of_the_journal_have_no_body(store: Store) -> None:
    settings = Settings(port=0, journal_bytes=100_000)
    with Server(emulator=Emulator(settings, store)) as server:
        for prompt in ("first " + "x" * 30_000, "second " + "x" * 30_000):
            httpx2.post(
                f"{server.base_url}/images/generations",
                json={"model": "gpt-image-2", "prompt": prompt, "n": 99},
                headers={"Authorization": f"Bearer {KEY}"},
            )
        first, second = server.requests
    assert first.body is None
    assert (first.prompt or "").startswith("first xxx")
    assert second.body


async def test_an_emulator_is_reset_by_a_thread_that_runs_a_loop(store: Store) -> None:
    emulator = Emulator(store=store)
    emulator.clock.freeze(NOW)
    await asyncio.sleep(0)
    emulator.reset()
    assert not emulator.clock.frozen
    emulator.close()


# --- a store that is shared


def test_change_from_outside_is_seen_by_the_next_call() -> None:
    memory = MemoryStore()
    emulator, other = (Emulator(Settings(port=0), JSONStore(memory)) for _ in range(2))
    with Server(emulator=emulator) as server, httpx2.Client(base_url=server.base_url) as http:
        http.headers["Authorization"] = f"Bearer {KEY}"
        body = {"model": "gpt-image-2", "prompt": "x", "n": 99, "size": "1024x1024"}
        assert http.post("/images/generations", json=body).status_code == 400
        other.configure(validation="lenient")
        other.clock.freeze(NOW)
        assert emulator.settings.validation == "strict"
        answer = http.post("/images/generations", json=body)
        assert answer.status_code == 200
        assert answer.headers["x-emulator-violations"]
        assert answer.json()["created"] == NOW.timestamp()
        other.scenario.inject("server_error")
        assert http.post("/images/generations", json=body).status_code == 500
        assert len(server.requests) == 3
    other.close()


def test_only_a_shared_store_is_refreshed_before_a_call_of_the_admin_api(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[None] = []
    refresh = type(store).refresh

    async def count(itself: Any) -> None:
        calls.append(None)
        await refresh(itself)

    monkeypatch.setattr(type(store), "refresh", count)
    with Server(emulator=Emulator(Settings(port=0), store)) as server:
        httpx2.get(f"{server.url}/_emulator/requests")
    assert len(calls) == (1 if store.is_shared else 0)


def test_store_is_closed_with_its_emulator() -> None:
    store = JSONStore()
    with Server(emulator=Emulator(Settings(port=0), store)):
        assert not store.is_closed
    assert store.is_closed
