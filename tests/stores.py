"""Another store than the one in memory, to show what its users may rely on, and numbers to keep in
any."""

from __future__ import annotations

import asyncio
import json
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar
from weakref import WeakKeyDictionary

import pytest

from images_emulator.exchange.exchange import Exchange
from images_emulator.exchange.exchange_packing import CompletionPacker, pack_arrival
from images_emulator.state.memory_store import MemoryStore
from images_emulator.state.store import (
    Buckets,
    ClaimCount,
    ClaimOutcome,
    Codec,
    ContainerSize,
    Counters,
    Log,
    LogCodec,
    LogWatcher,
    Packed,
    PendingTake,
    Q,
    Records,
    Register,
    RegisterObserver,
    StaleRegistersError,
    Store,
    StoreEventObserver,
    StoreOperationObserver,
    TakeOutcome,
)
from tests.redis_server import RedisServer, new_store_name, shared_redis

if TYPE_CHECKING:
    from images_emulator.state.redis.redis_store import RedisStore

T = TypeVar("T")

NUMBER: Final[Codec[int]] = Codec(
    lambda number: Packed({"number": number}), lambda packed: int(packed.document["number"])
)
NUMBERS: Final = LogCodec(NUMBER.pack, NUMBER.pack, NUMBER.unpack)


def log_of(store: Store) -> Log[int]:
    """A log of numbers."""
    return store.log("n", NUMBERS, max_entries=100, max_bytes=1000, detach=int)


@dataclass
class _Text:
    """A value as a shared store keeps it: JSON text, and the bytes beside it."""

    json: str
    data: bytes
    weight: int = 0

    def detach(self) -> int:
        self.weight -= len(self.data)
        self.data = b""
        return self.weight


TEXT: Codec[_Text] = Codec(lambda _: Packed({}), lambda _: _Text("", b""))
"""For values that are packed already; the store in memory asks no codec."""


def _written(codec: Codec[T], value: T) -> _Text:
    packed = codec.pack(value)
    return _Text(packed.json(), packed.data)


def _read(codec: Codec[T], text: _Text) -> T:
    return codec.unpack(Packed(json.loads(text.json), text.data))


async def _journey() -> None:
    """Suspends the operation, as a network does."""
    await asyncio.sleep(0)


_CHILDREN: Final[WeakKeyDictionary[MemoryStore, dict[str, MemoryStore]]] = WeakKeyDictionary()
"""The memory of the namespaces of a memory, by their names."""


class JSONStore:
    """A store that keeps nothing but JSON and bytes, and whose every operation suspends: what a
    shared one is for the emulator. Those over the same *memory* share all that they keep, as
    processes would."""

    is_shared: Final = True
    failure: Final = None

    def __init__(self, memory: MemoryStore | None = None) -> None:
        self._memory = memory or MemoryStore()
        self.observers: tuple[RegisterObserver, ...] = ()
        self._registers: dict[str, _JSONRegister[Any]] = {}
        self.is_closed = False

    def register(self, name: str, initial: T, codec: Codec[T]) -> Register[T]:
        if name not in self._registers:
            register = self._memory.register(name, _written(codec, initial), TEXT)
            self._registers[name] = _JSONRegister(register, codec, partial(self._changed, name))
        return self._registers[name]

    def _changed(self, name: str) -> None:
        for observer in self.observers:
            observer(name)

    def records(self, name: str, budget: int, codec: Codec[T]) -> Records[T]:
        return _JSONRecords(self._memory.records(name, budget, TEXT), codec)

    def counters(
        self, name: str, on_revocation: Callable[[str], Coroutine[Any, Any, None]] | None = None
    ) -> Counters:
        return _SlowCounters(self._memory.counters(name))

    def buckets(self, name: str, most: int) -> Buckets:
        return _SlowBuckets(self._memory.buckets(name, most))

    def log(
        self,
        name: str,
        codec: LogCodec[T],
        *,
        max_entries: int,
        max_bytes: int,
        detach: Callable[[T], int],
    ) -> Log[T]:
        log = self._memory.log(
            name,
            LogCodec(TEXT.pack, TEXT.pack, TEXT.unpack),
            max_entries=max_entries,
            max_bytes=max_bytes,
            detach=_Text.detach,
        )
        return _JSONLog(log, codec, self.refresh)

    def observe_events(self, observer: StoreEventObserver) -> None:
        """Do nothing."""

    def observe_operations(self, observer: StoreOperationObserver) -> None:
        """Do nothing: the journeys are none of the observer's."""

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        # In a thread of its own: that of the caller may run a loop.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, work).result()

    def for_namespace(self, name: str, ttl_seconds: int) -> JSONStore:
        children = _CHILDREN.setdefault(self._memory, {})
        return JSONStore(children.setdefault(name, MemoryStore()))

    async def refresh(self) -> None:
        await _journey()
        for register in self._registers.values():
            register.refresh()

    async def disconnect(self) -> None:
        await _journey()

    def close(self) -> None:
        self.is_closed = True


class _JSONRegister(Generic[T]):
    def __init__(
        self, register: Register[_Text], codec: Codec[T], changed: Callable[[], None]
    ) -> None:
        self._register = register
        self._codec = codec
        self._changed = changed
        self._text = register.value
        self._lock = Lock()
        self.value = _read(codec, self._text)
        """The copy, which nobody else's update changes before `refresh`."""

    def refresh(self) -> None:
        with self._lock:
            text = self._register.value
            if self._text is text:
                return
            self._text, self.value = text, _read(self._codec, text)
        self._changed()

    async def update_soon(self, change: Callable[[T], T]) -> None:
        await self.update(change)

    async def update(self, change: Callable[[T], T]) -> T:
        await _journey()
        codec = self._codec
        await self._register.update(lambda text: _written(codec, change(_read(codec, text))))
        self.refresh()
        return self.value


class _JSONRecords(Generic[T]):
    def __init__(self, records: Records[_Text], codec: Codec[T]) -> None:
        self._records = records
        self._codec = codec

    async def put(
        self,
        values: Mapping[str, T],
        weight: int,
        *,
        now: datetime | None = None,
        expiry: datetime | None = None,
        soon: bool = False,
    ) -> None:
        await _journey()
        texts = {key: _written(self._codec, value) for key, value in values.items()}
        await self._records.put(texts, weight, now=now, expiry=expiry)

    async def get(self, key: str) -> T | None:
        await _journey()
        text = await self._records.get(key)
        return None if text is None else _read(self._codec, text)

    async def delete(self, key: str) -> bool:
        await _journey()
        return await self._records.delete(key)

    async def all(self) -> list[T]:
        await _journey()
        return [_read(self._codec, text) for text in await self._records.all()]

    async def summary(self, key: str) -> T | None:
        await _journey()
        text = await self._records.get(key)
        return None if text is None else _read(self._codec, _Text(text.json, b""))

    async def summaries(self) -> list[T]:
        await _journey()
        texts = [_Text(text.json, b"") for text in await self._records.all()]
        return [_read(self._codec, text) for text in texts]

    async def expiries(self, now: datetime) -> list[datetime]:
        await _journey()
        return await self._records.expiries(now)

    async def size(self) -> ContainerSize:
        await _journey()
        return await self._records.size()

    async def clear(self) -> None:
        await _journey()
        await self._records.clear()


class _JSONLog(Generic[T]):
    is_watched: Final = False

    def __init__(
        self, log: Log[_Text], codec: LogCodec[T], refresh: Callable[[], Awaitable[None]]
    ) -> None:
        self._log = log
        self._codec = codec
        self._refresh = refresh

    def _read(self, text: _Text) -> T:
        document: dict[str, Any] = {}
        for line in text.json.splitlines():
            document.update(json.loads(line))
        return self._codec.unpack(Packed(document, text.data))

    async def append(self, key: str, entry: T, weight: int) -> int:
        packed = self._codec.pack_new(entry)
        text = _Text(packed.json(), packed.data, weight)
        await self._refresh()
        return await self._log.append(key, text, weight)

    async def amend(
        self, key: str, entry: T, weight: int, *, detachable: bool, event_index: int | None = None
    ) -> None:
        packed = self._codec.pack_amended(entry)
        await _journey()
        if not (before := await self._log.get(key)):
            return
        new, _, _ = before.json.partition("\n")
        text = _Text(f"{new}\n{packed.json()}", packed.data, weight)
        await self._log.amend(key, text, weight, detachable=detachable)

    async def get(self, key: str) -> T | None:
        await _journey()
        text = await self._log.get(key)
        return None if text is None else self._read(text)

    async def newest(self, max_count: int) -> list[T]:
        await _journey()
        return [self._read(text) for text in await self._log.newest(max_count)]

    async def all(self) -> list[T]:
        await _journey()
        return [self._read(text) for text in await self._log.all()]

    async def summaries(self) -> list[T]:
        await _journey()
        texts = [_Text(text.json, b"") for text in await self._log.all()]
        return [self._read(text) for text in texts]

    async def added_count(self) -> int:
        await _journey()
        return await self._log.added_count()

    async def size(self) -> ContainerSize:
        await _journey()
        return await self._log.size()

    async def clear(self) -> int:
        await _journey()
        return await self._log.clear()

    async def watch(self, watcher: LogWatcher) -> None:
        """Return at once: the stores over one memory tell each other nothing."""


class _SlowCounters:
    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    async def claim(
        self,
        quotas: Iterable[Q],
        asked_keys: Iterable[str] = (),
    ) -> ClaimOutcome[Q]:
        sent, asked = list(quotas), list(asked_keys)
        await _journey()
        return await self._counters.claim(sent, asked)

    async def claim_if_fresh(
        self,
        is_fresh: Callable[[], bool],
        quotas: Iterable[Q],
        asked_keys: Iterable[str] = (),
    ) -> ClaimOutcome[Q]:
        await _journey()
        raise StaleRegistersError  # for all that this class knows

    async def take_and_claim(
        self,
        pending_take: PendingTake,
        quotas: Iterable[Q],
        asked_keys: Iterable[str] = (),
    ) -> tuple[TakeOutcome, ClaimOutcome[Q]]:
        sent, asked = list(quotas), list(asked_keys)
        await _journey()
        return await self._counters.take_and_claim(pending_take, sent, asked)

    async def counts(self, keys: Sequence[str]) -> list[ClaimCount]:
        await _journey()
        return await self._counters.counts(keys)

    async def clear(self) -> None:
        await _journey()
        await self._counters.clear()


class _SlowBuckets:
    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets

    async def take(
        self, key: str, amount: int, *, limit: int, seconds: int, now: datetime
    ) -> TakeOutcome:
        await _journey()
        return await self._buckets.take(key, amount, limit=limit, seconds=seconds, now=now)

    async def clear(self) -> None:
        await _journey()
        await self._buckets.clear()


def packed_exchange(exchange: Exchange) -> tuple[dict[str, Any], bytes]:
    """A completed *exchange* as a shared store has it."""
    document, data, members = CompletionPacker().pack(exchange)
    completion = Packed(document, data, members)
    both = {**pack_arrival(exchange)[0], **json.loads(completion.json())}
    return json.loads(json.dumps(both)), data


def redis_store() -> Store:
    """A store in the Redis that tests share, with a state of its own."""
    url = shared_redis().url
    from images_emulator.state.redis.redis_store import RedisStore  # noqa: PLC0415 - an extra

    return RedisStore(url, new_store_name())


async def lone_redis_store(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[RedisStore]:
    """The only store of a Redis that a test may stop; for a fixture `lone_store`. After a failure
    it asks again at once."""
    monkeypatch.setattr("images_emulator.state.redis.redis_client.RETRY_SECONDS", 0)
    from images_emulator.state.redis.redis_store import RedisStore  # noqa: PLC0415 - an extra

    store = RedisStore(redis_server.url)
    yield store
    await store.disconnect()
    await asyncio.to_thread(store.close)


STORES: Mapping[str, Callable[[], Store]] = {
    "MemoryStore": MemoryStore,
    "JSONStore": JSONStore,
    "RedisStore": redis_store,
}
"""Each store that there is, by a name for the tests' ids: what makes one that is empty."""
