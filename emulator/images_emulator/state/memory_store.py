"""The store of one process: the containers of `state/store.py` in memory, with a lock where threads
meet."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from threading import Lock
from typing import Any, Final, Generic, NamedTuple, TypeVar

from images_emulator.state.store import (
    MAX_COUNTS,
    Buckets,
    ClaimCount,
    ClaimOutcome,
    Codec,
    ContainerSize,
    Counters,
    Log,
    LogCodec,
    LogWatcher,
    PendingTake,
    Q,
    Records,
    Register,
    RegisterObserver,
    StaleRegistersError,
    StoreEventObserver,
    StoreOperationObserver,
    TakeOutcome,
)

T = TypeVar("T")


class MemoryRegister(Generic[T]):
    """A `Register` of one process. It calls *on_change* after each update."""

    __slots__ = ("_lock", "_on_change", "value")

    def __init__(self, initial: T, on_change: Callable[[], None] = lambda: None) -> None:
        self.value = initial
        self._on_change = on_change
        self._lock = Lock()

    async def update(self, change: Callable[[T], T]) -> T:
        with self._lock:
            self.value = value = change(self.value)
        self._on_change()
        return value

    async def update_soon(self, change: Callable[[T], T]) -> None:
        await self.update(change)


class _Record(NamedTuple, Generic[T]):
    value: T
    weight: int
    expiry: datetime | None

    def is_expired(self, now: datetime | None) -> bool:
        return now is not None and self.expiry is not None and self.expiry < now


class MemoryRecords(Generic[T]):
    """`Records` of one process. Reading a value takes no lock."""

    def __init__(self, budget: int) -> None:
        self.weight = 0
        """The sum of the weights, in the unit of the budget."""
        self._budget = budget
        self._records: OrderedDict[str, _Record[T]] = OrderedDict()
        self._lock = Lock()

    async def put(
        self,
        values: Mapping[str, T],
        weight: int,
        *,
        now: datetime | None = None,
        expiry: datetime | None = None,
        soon: bool = False,
    ) -> None:
        if weight > self._budget:
            return
        with self._lock:
            for key, value in values.items():
                self._drop(key)
                self._records[key] = _Record(value, weight, expiry)
                self.weight += weight
            while self._records:
                oldest = next(iter(self._records))
                if self.weight <= self._budget and not self._records[oldest].is_expired(now):
                    break
                self._drop(oldest)

    async def get(self, key: str) -> T | None:
        record = self._records.get(key)
        return record.value if record else None

    async def delete(self, key: str) -> bool:
        with self._lock:
            return self._drop(key)

    async def all(self) -> list[T]:
        with self._lock:
            return [record.value for record in self._records.values()]

    async def summary(self, key: str) -> T | None:
        return await self.get(key)

    async def summaries(self) -> list[T]:
        return await self.all()

    async def expiries(self, now: datetime) -> list[datetime]:
        with self._lock:
            records = [*self._records.values()]
        return [each.expiry for each in records if each.expiry and not each.is_expired(now)]

    async def size(self) -> ContainerSize:
        with self._lock:
            return ContainerSize(len(self._records), self.weight)

    async def clear(self) -> None:
        with self._lock:
            self._records.clear()
            self.weight = 0

    def _drop(self, key: str) -> bool:
        record = self._records.pop(key, None)
        self.weight -= record.weight if record else 0
        return record is not None


class MemoryCounters:
    """`Counters` of one process."""

    def __init__(self) -> None:
        self._counts: OrderedDict[str, ClaimCount] = OrderedDict()
        self._lock = Lock()

    async def claim(
        self,
        quotas: Iterable[Q],
        asked_keys: Iterable[str] = (),
    ) -> ClaimOutcome[Q]:
        with self._lock:
            for quota in quotas:
                before = self._counts.get(quota.key, ClaimCount())
                count = before.with_claim(quota)
                if count is before:
                    continue
                self._counts[quota.key] = count
                self._counts.move_to_end(quota.key)
                if len(self._counts) > MAX_COUNTS:
                    self._counts.popitem(last=False)
                if count.grants > before.grants:
                    return ClaimOutcome((quota, count))
            return ClaimOutcome(None, [self._counts.get(key, ClaimCount()) for key in asked_keys])

    async def claim_if_fresh(
        self,
        is_fresh: Callable[[], bool],
        quotas: Iterable[Q],
        asked_keys: Iterable[str] = (),
    ) -> ClaimOutcome[Q]:
        if not is_fresh():
            raise StaleRegistersError
        return await self.claim(quotas, asked_keys)

    async def take_and_claim(
        self,
        pending_take: PendingTake,
        quotas: Iterable[Q],
        asked_keys: Iterable[str] = (),
    ) -> tuple[TakeOutcome, ClaimOutcome[Q]]:
        take = await pending_take.take()
        if not take.granted:
            return take, ClaimOutcome(None)
        return take, await self.claim(quotas, asked_keys)

    async def counts(self, keys: Sequence[str]) -> list[ClaimCount]:
        with self._lock:
            return [self._counts.get(key, ClaimCount()) for key in keys]

    async def clear(self) -> None:
        with self._lock:
            self._counts.clear()


class MemoryBuckets:
    """`Buckets` of one process, by the token bucket algorithm. It keeps two numbers for
    each bucket: the time when the bucket begins to fill, in microseconds since 1970, and the
    microseconds that it then takes to be full."""

    def __init__(self, max_buckets: int) -> None:
        self._max_buckets = max_buckets
        self._buckets: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._lock = Lock()

    async def take(
        self, key: str, amount: int, *, limit: int, seconds: int, now: datetime
    ) -> TakeOutcome:
        # Whole milliseconds, because the answer tells the client whole milliseconds.
        now_us = int(now.timestamp() * 1000) * 1000
        token_us = -(-seconds * 1_000_000 // limit)
        with self._lock:
            fills_from_us, owed_us = self._buckets.get(key, (now_us, 0))
            if fills_from_us - now_us > limit * token_us:
                # The clock was moved back, by more than a bucket takes to fill.
                fills_from_us, owed_us = now_us, 0
            elif fills_from_us < now_us:
                fills_from_us, owed_us = now_us, max(owed_us - (now_us - fills_from_us), 0)
            # A server with a higher limit may have taken more.
            owed_us = min(owed_us, limit * token_us)
            used = -(-owed_us // token_us)
            if amount > limit:
                return TakeOutcome(granted=False, used=used)
            late_us = owed_us + (amount - limit) * token_us
            if late_us > 0:
                wait_us = late_us + fills_from_us - now_us
                return TakeOutcome(granted=False, used=used, wait_ms=-(-wait_us // 1000))
            self._buckets[key] = fills_from_us, owed_us + amount * token_us
            self._buckets.move_to_end(key)
            if len(self._buckets) > self._max_buckets:
                self._buckets.popitem(last=False)
        return TakeOutcome(granted=True, used=used + amount)

    async def clear(self) -> None:
        with self._lock:
            self._buckets.clear()


class MemoryLog(Generic[T]):
    """A `Log` of one process. Reading one entry takes no lock."""

    is_watched: Final = False

    def __init__(self, max_entries: int, max_bytes: int, detach: Callable[[T], int]) -> None:
        self.weight = 0
        """Bytes that the entries hold, about."""
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._detach = detach
        self._entries: OrderedDict[str, tuple[T, int]] = OrderedDict()
        self._detachable: OrderedDict[str, None] = OrderedDict()
        self._count = 0
        self._lock = Lock()

    async def append(self, key: str, entry: T, weight: int) -> int:
        with self._lock:
            self._entries[key] = entry, weight
            self.weight += weight
            self._count = number = self._count + 1
            if self.weight > self._max_bytes or len(self._entries) > self._max_entries:
                self._shrink()
            return number

    async def amend(
        self, key: str, entry: T, weight: int, *, detachable: bool, event_index: int | None = None
    ) -> None:
        with self._lock:
            before = self._entries.get(key)
            if before is None:
                return
            self.weight += weight - before[1]
            self._entries[key] = entry, weight
            if detachable:
                self._detachable[key] = None
            if self.weight > self._max_bytes:
                self._shrink()

    async def get(self, key: str) -> T | None:
        item = self._entries.get(key)
        return item[0] if item else None

    async def newest(self, max_count: int) -> list[T]:
        with self._lock:
            entries = [*islice(reversed(self._entries.values()), max_count)]
        return [entry for entry, _ in reversed(entries)]

    async def all(self) -> list[T]:
        with self._lock:
            return [entry for entry, _ in self._entries.values()]

    async def summaries(self) -> list[T]:
        return await self.all()

    async def added_count(self) -> int:
        return self._count

    async def size(self) -> ContainerSize:
        with self._lock:
            return ContainerSize(len(self._entries), self.weight)

    async def clear(self) -> int:
        with self._lock:
            count = len(self._entries)
            self._entries.clear()
            self._detachable.clear()
            self.weight = self._count = 0
            return count

    async def watch(self, watcher: LogWatcher) -> None:
        """Return at once: no other process writes to this log."""

    def _shrink(self) -> None:
        while self.weight > self._max_bytes and self._detachable:
            key, _ = self._detachable.popitem(last=False)
            entry, before = self._entries[key]
            weight = self._detach(entry)
            self.weight += weight - before
            self._entries[key] = entry, weight
        while self.weight > self._max_bytes or len(self._entries) > self._max_entries:
            key, (_, weight) = self._entries.popitem(last=False)
            self._detachable.pop(key, None)
            self.weight -= weight


class MemoryStore:
    """A `Store` of one process. Threads may share it and all its containers."""

    is_shared: Final = False
    failure: Final = None

    def __init__(self) -> None:
        self.observers: tuple[RegisterObserver, ...] = ()
        self._containers: dict[tuple[str, str], Any] = {}
        self._lock = Lock()

    def register(self, name: str, initial: T, codec: Codec[T]) -> Register[T]:
        def on_change() -> None:
            for observer in self.observers:
                observer(name)

        return self._container("register", name, lambda: MemoryRegister(initial, on_change))

    def records(self, name: str, budget: int, codec: Codec[T]) -> Records[T]:
        return self._container("records", name, lambda: MemoryRecords[T](budget))

    def counters(
        self, name: str, on_revocation: Callable[[str], Coroutine[Any, Any, None]] | None = None
    ) -> Counters:
        return self._container("counters", name, MemoryCounters)

    def buckets(self, name: str, max_buckets: int) -> Buckets:
        return self._container("buckets", name, lambda: MemoryBuckets(max_buckets))

    def log(
        self,
        name: str,
        codec: LogCodec[T],
        *,
        max_entries: int,
        max_bytes: int,
        detach: Callable[[T], int],
    ) -> Log[T]:
        return self._container("log", name, lambda: MemoryLog(max_entries, max_bytes, detach))

    def observe_operations(self, observer: StoreOperationObserver) -> None:
        """Do nothing: no operation leaves the process."""

    def observe_events(self, observer: StoreEventObserver) -> None:
        """Do nothing: this store is never away."""

    def for_namespace(self, name: str, ttl_seconds: int) -> MemoryStore:
        """A new, empty store of this process, even where the name had a store before."""
        return MemoryStore()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            work.send(None)
        except StopIteration as end:
            result: T = end.value
            return result
        work.close()
        raise RuntimeError("a coroutine over a store in memory is never suspended")

    async def refresh(self) -> None:
        """Do nothing: no other process writes to this store."""

    async def disconnect(self) -> None:
        """Do nothing: there are no connections."""

    def close(self) -> None:
        """Do nothing: the journal can be read after the end of a server."""

    def _container(self, kind: str, name: str, create: Callable[[], T]) -> T:
        with self._lock:
            if (kind, name) not in self._containers:
                self._containers[kind, name] = create()
            container: T = self._containers[kind, name]
            return container
