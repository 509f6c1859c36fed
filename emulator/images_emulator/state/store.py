"""The store: holds the state that outlives a call. Several processes can share a store that
implements its protocol.

A store hands out five kinds of containers, each under a name:

- `Register`: one small value that every call reads: the clock's setting, the changed settings, the
  account, the steps of the scenario.
- `Records`: values by key within a budget of bytes: hosted pictures, uploaded files.
- `Counters`: the number of calls that each step of the scenario has matched, and has given its
  fault.
- `Buckets`: token buckets of the rate limit.
- `Log`: entries in their order, within a number and a budget of bytes: the journal.

Operations are coroutines, because the client of a shared store waits on the event loop. Those of
`MemoryStore` never suspend, so awaiting one costs as much as a function call. Registers are read
without waiting, because each call reads several. A shared store keeps copies of its registers, and
`Store.refresh` brings the copies up to date when a call arrives. A thread without an event loop (a
test's, the image decoder's) calls `Store.run`.

Values are Python objects. `MemoryStore` keeps the objects. A store outside the process uses a
`Codec`, which turns them into JSON and bytes, never into a pickle.

A store has no clock. A method that depends on the time takes it as *now*, from the emulator's
clock, which a test may move.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha1
from threading import Lock
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

T = TypeVar("T")

MAX_BUCKETS: Final = 100_000
"""The most token buckets in memory. Beyond it the least recently used are dropped."""

MAX_COUNTS: Final = 100_000
"""The most counts in memory. Beyond it the least recently claimed are dropped."""


class Packed(NamedTuple):
    """A value in the form that it has outside the process: a JSON object, and bytes beside it."""

    document: Mapping[str, Any]
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Codec(Generic[T]):
    """Turns the values of one container into JSON and bytes, and back."""

    pack: Callable[[T], Packed]
    unpack: Callable[[Packed], T]


class Register(Protocol[T]):
    """One small, immutable value."""

    @property
    def value(self) -> T: ...

    async def update(self, change: Callable[[T], T]) -> T:
        """Replace the value with what *change* makes of it, and return the new value. The update is
        atomic, so a store may call *change* more than once. If *change* raises, the value stays."""
        ...


class Records(Protocol[T]):
    """Values by key, oldest first, within a budget of bytes. Beyond the budget the oldest values
    are dropped."""

    async def put(
        self,
        values: Mapping[str, T],
        weight: int,
        *,
        now: datetime | None = None,
        expiry: datetime | None = None,
    ) -> None:
        """Store *values* by their keys, each of about *weight* bytes. Records that have expired
        before *now* are dropped, beginning with the oldest, up to the first that has not. A value
        heavier than the budget is not stored."""
        ...

    async def get(self, key: str) -> T | None: ...

    async def delete(self, key: str) -> bool:
        """Delete the record. Return whether there was one."""
        ...

    async def all(self) -> list[T]:
        """The values, oldest first."""
        ...

    async def clear(self) -> None: ...


class Quota(Protocol):
    """Decides which claims on a counter are granted. The first *after* claims are not. Each later
    claim is granted with *probability*, at most *times* of them (None: any number). The *seed*
    decides the chance."""

    @property
    def key(self) -> str: ...
    @property
    def after(self) -> int: ...
    @property
    def times(self) -> int | None: ...
    @property
    def probability(self) -> float: ...
    @property
    def seed(self) -> str: ...


Q = TypeVar("Q", bound=Quota)


class Count(NamedTuple):
    """The claims on one counter, and how many of them were granted."""

    claims: int = 0
    grants: int = 0

    def claim(self, quota: Quota) -> Count:
        """The count after one more claim. A claim on an exhausted quota does not count."""
        if is_exhausted(quota, self):
            return self
        number = self.claims + 1 - quota.after
        granted = number > 0 and is_lucky(quota, number)
        return Count(self.claims + 1, self.grants + granted)


def is_exhausted(quota: Quota, count: Count) -> bool:
    """Whether no further claim is granted."""
    return quota.times is not None and count.grants >= quota.times


def is_lucky(quota: Quota, number: int) -> bool:
    """Whether chance grants claim *number* (from 1). Seed and number alone decide it, so processes
    that share a counter agree. A Redis script can compute it, too, with `sha1hex`."""
    if quota.probability >= 1:
        return True
    digest = sha1(f"{quota.seed} {number}".encode(), usedforsecurity=False).hexdigest()
    # 52 bits, because a float and a number of Lua hold so many exactly.
    return int(digest[:13], 16) / 16**13 < quota.probability


class Counters(Protocol):
    """The number of claims on each of some quotas, and the number of granted ones."""

    async def claim(self, quotas: Iterable[Q]) -> tuple[Q, Count] | None:
        """Make a claim on one quota after the other until one grants it. Return that quota and its
        count, or None. The whole method is atomic: a quota of *n* times grants exactly *n* claims
        to any number of threads."""
        ...

    async def counts(self, keys: Sequence[str]) -> list[Count]:
        """The counts of these quotas."""
        ...

    async def clear(self) -> None: ...


class Take(NamedTuple):
    """The answer of a token bucket. *used* tokens are missing from the bucket. If it has not
    *granted* the request, it can do so in *wait_ms* milliseconds; None where the request is larger
    than the bucket."""

    granted: bool
    used: int
    wait_ms: int | None = None


class Buckets(Protocol):
    """Token buckets by key. A bucket is full until it is first used."""

    async def take(self, key: str, amount: int, *, limit: int, seconds: int, now: datetime) -> Take:
        """Take *amount* tokens from a bucket of *limit* tokens, which fills evenly in *seconds*. A
        refusal takes no tokens. If the clock was moved back, the bucket is full again."""
        ...

    async def clear(self) -> None: ...


class Log(Protocol[T]):
    """Entries by key, oldest first, within a number and a budget of bytes.

    An entry may have a detachable part, such as a body. Beyond the budget the log drops the oldest
    detachable parts first, then the oldest entries.
    """

    def append(self, key: str, entry: T, weight: int) -> Coroutine[Any, Any, None]:
        """Add *entry*, of about *weight* bytes, as the newest."""
        ...

    def amend(
        self, key: str, entry: T, weight: int, *, detachable: bool
    ) -> Coroutine[Any, Any, None]:
        """Replace an entry in its place. An entry that was dropped meanwhile stays dropped."""
        ...

    async def get(self, key: str) -> T | None: ...

    async def all(self) -> list[T]:
        """The entries, oldest first."""
        ...

    async def clear(self) -> int:
        """Remove all entries. Return their number."""
        ...


class Store(Protocol):
    """Hands out containers by kind and name. One name stands for one container in all processes
    that share the store."""

    def register(self, name: str, initial: T, codec: Codec[T]) -> Register[T]:
        """A register; its value is *initial* where the store has none yet."""
        ...

    def records(self, name: str, budget: int, codec: Codec[T]) -> Records[T]:
        """Records that take at most *budget* bytes together."""
        ...

    def counters(self, name: str) -> Counters: ...

    def buckets(self, name: str) -> Buckets: ...

    def log(
        self,
        name: str,
        codec: Codec[T],
        *,
        max_entries: int,
        max_bytes: int,
        detach: Callable[[T], int],
    ) -> Log[T]:
        """A log. *detach* removes the detachable part of an entry and returns the bytes that are
        left. In a packed entry the detachable part is `Packed.data`."""
        ...

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run *work*, a coroutine that awaits only this store, and return its result. It blocks, so
        the thread of the event loop must not call it on a shared store."""
        ...

    @property
    def is_shared(self) -> bool:
        """Whether other processes change the store. The recorder asks once, when it is made."""
        ...

    async def refresh(self) -> None:
        """Bring the registers up to date with the writes of other processes. The recorder awaits it
        at the start of each call, if the store is shared."""
        ...

    def close(self) -> None:
        """Release connections and threads, when the emulator is closed. A test may still read the
        journal: a later use opens them again. It may block, and may be called twice."""
        ...


# --- in memory


class MemoryRegister(Generic[T]):
    """A `Register` of one process."""

    __slots__ = ("_lock", "value")

    def __init__(self, initial: T) -> None:
        self.value = initial
        self._lock = Lock()

    async def update(self, change: Callable[[T], T]) -> T:
        with self._lock:
            self.value = change(self.value)
            return self.value


class _Record(NamedTuple, Generic[T]):
    value: T
    weight: int
    expiry: datetime | None

    def is_expired(self, now: datetime | None) -> bool:
        return now is not None and self.expiry is not None and self.expiry < now


class MemoryRecords(Generic[T]):
    """`Records` of one process. Reading takes no lock."""

    def __init__(self, budget: int) -> None:
        self.weight = 0
        """Bytes that the values hold, about."""
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
    ) -> None:
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
        self._counts: OrderedDict[str, Count] = OrderedDict()
        self._lock = Lock()

    async def claim(self, quotas: Iterable[Q]) -> tuple[Q, Count] | None:
        with self._lock:
            for quota in quotas:
                before = self._counts.get(quota.key, Count())
                count = self._counts[quota.key] = before.claim(quota)
                self._counts.move_to_end(quota.key)
                if len(self._counts) > MAX_COUNTS:
                    self._counts.popitem(last=False)
                if count.grants > before.grants:
                    return quota, count
        return None

    async def counts(self, keys: Sequence[str]) -> list[Count]:
        with self._lock:
            return [self._counts.get(key, Count()) for key in keys]

    async def clear(self) -> None:
        with self._lock:
            self._counts.clear()


class MemoryBuckets:
    """`Buckets` of one process, by the generic cell rate algorithm. It keeps one number of each
    bucket: the time at which the bucket is full again, in microseconds since 1970."""

    def __init__(self) -> None:
        self._full_at: OrderedDict[str, int] = OrderedDict()
        self._lock = Lock()

    async def take(self, key: str, amount: int, *, limit: int, seconds: int, now: datetime) -> Take:
        # Whole milliseconds, because the answer tells the client whole milliseconds.
        now_us = int(now.timestamp() * 1000) * 1000
        token_us = -(-seconds * 1_000_000 // limit)
        with self._lock:
            owed_us = max(self._full_at.get(key, 0) - now_us, 0)
            if owed_us > limit * token_us:
                # The clock was moved back: a bucket cannot lack more tokens than it holds.
                owed_us = 0
            used = -(-owed_us // token_us)
            if amount > limit:
                return Take(granted=False, used=used)
            late_us = owed_us + (amount - limit) * token_us
            if late_us > 0:
                return Take(granted=False, used=used, wait_ms=-(-late_us // 1000))
            self._full_at[key] = now_us + owed_us + amount * token_us
            self._full_at.move_to_end(key)
            if len(self._full_at) > MAX_BUCKETS:
                self._full_at.popitem(last=False)
        return Take(granted=True, used=used + amount)

    async def clear(self) -> None:
        with self._lock:
            self._full_at.clear()


class MemoryLog(Generic[T]):
    """A `Log` of one process. Reading one entry takes no lock."""

    def __init__(self, max_entries: int, max_bytes: int, detach: Callable[[T], int]) -> None:
        self.weight = 0
        """Bytes that the entries hold, about."""
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._detach = detach
        self._entries: OrderedDict[str, tuple[T, int]] = OrderedDict()
        self._detachable: OrderedDict[str, None] = OrderedDict()
        self._lock = Lock()

    async def append(self, key: str, entry: T, weight: int) -> None:
        with self._lock:
            self._entries[key] = entry, weight
            self.weight += weight
            if self.weight > self._max_bytes or len(self._entries) > self._max_entries:
                self._shrink()

    async def amend(self, key: str, entry: T, weight: int, *, detachable: bool) -> None:
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

    async def all(self) -> list[T]:
        with self._lock:
            return [entry for entry, _ in self._entries.values()]

    async def clear(self) -> int:
        with self._lock:
            count = len(self._entries)
            self._entries.clear()
            self._detachable.clear()
            self.weight = 0
            return count

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

    def __init__(self) -> None:
        self._containers: dict[tuple[str, str], Any] = {}
        self._lock = Lock()

    def register(self, name: str, initial: T, codec: Codec[T]) -> Register[T]:
        return self._container("register", name, lambda: MemoryRegister(initial))

    def records(self, name: str, budget: int, codec: Codec[T]) -> Records[T]:
        return self._container("records", name, lambda: MemoryRecords[T](budget))

    def counters(self, name: str) -> Counters:
        return self._container("counters", name, MemoryCounters)

    def buckets(self, name: str) -> Buckets:
        return self._container("buckets", name, MemoryBuckets)

    def log(
        self,
        name: str,
        codec: Codec[T],
        *,
        max_entries: int,
        max_bytes: int,
        detach: Callable[[T], int],
    ) -> Log[T]:
        return self._container("log", name, lambda: MemoryLog(max_entries, max_bytes, detach))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            work.send(None)
        except StopIteration as end:
            result: T = end.value
            return result
        work.close()
        raise RuntimeError("a coroutine over a store in memory is never suspended")

    async def refresh(self) -> None:
        """Nobody else has written anything."""

    def close(self) -> None:
        """There is nothing to let go of: the journal is read after the end of a server."""

    def _container(self, kind: str, name: str, create: Callable[[], T]) -> T:
        with self._lock:
            if (kind, name) not in self._containers:
                self._containers[kind, name] = create()
            container: T = self._containers[kind, name]
            return container
