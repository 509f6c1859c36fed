"""The store of several processes: the containers of `state/store.py` in Redis, or in another server
that has its commands.

Each operation is one Lua script, and one round trip, except an update that another process comes
before. Values are JSON, with their bytes beside them. All keys begin with `images-emulator`, the
number of their layout and the namespace.
"""

from __future__ import annotations

import asyncio
import errno
import json
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Lock
from time import monotonic
from typing import Any, Final, Generic, NamedTuple, TypeVar
from urllib.parse import quote

from images_emulator.contract.refusal import APIError
from images_emulator.state import redis_scripts as scripts
from images_emulator.state.identity import random_digits
from images_emulator.state.memory_store import MAX_BUCKETS, MAX_COUNTS
from images_emulator.state.redis_client import RETRY_SECONDS, RedisClient
from images_emulator.state.store import (
    Buckets,
    Claim,
    Codec,
    Count,
    Counters,
    Log,
    LogChange,
    LogCodec,
    LogWatcher,
    OperationObserver,
    Packed,
    Q,
    Records,
    Register,
    RegisterObserver,
    Size,
    Take,
)

T = TypeVar("T")

LAYOUT: Final = 2
"""Number of the form in which containers are kept. Emulators of another layout are others."""

LIFE_SECONDS: Final = 48 * 3600
"""Seconds after which Redis forgets an emulator that nobody calls."""

TOUCHES: Final = 48
"""Renewals of the time to live of all containers within it, while there are calls."""

MAX_LATE_WRITES: Final = 2000
"""Writes to a log that wait for Redis to come back; two are a call. Beyond it the oldest are lost.
"""

MAX_LATE_BYTES: Final = 16 * 2**20
"""Bytes of these writes."""

MAX_CLAIMS: Final = 10_000
"""The last claims that can be taken back."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The moment from which times in Redis count."""


def _unpacked(codec: Codec[T], text: bytes, data: bytes | None) -> T:
    return codec.unpack(Packed(json.loads(text), data or b""))


def _entry(codec: LogCodec[T], text: bytes, data: bytes | None) -> T:
    """An entry of a log. Its JSON has a line, and once it is amended two."""
    document: dict[str, Any] = {}
    for line in text.split(b"\n"):
        document.update(json.loads(line))
    return codec.unpack(Packed(document, data or b""))


def _pairs(flat: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """The items of *flat*, two by two."""
    return zip(flat[::2], flat[1::2], strict=True)


def _size(answer: tuple[int, bytes]) -> Size:
    """The size in an answer of `SIZE`."""
    number, weight = answer
    return Size(number, int(float(weight)))


def _microseconds(time: datetime | None) -> str:
    """*time* as 20 digits, which compare as texts; empty for None."""
    return "" if time is None else f"{(time - EPOCH) // timedelta(microseconds=1):020d}"


class _Version(NamedTuple):
    """The version of a register. Numbers grow within an *epoch*; another one begins where Redis has
    lost what it had."""

    epoch: str
    number: int


class RedisRegister(Generic[T]):
    """A copy of a register, which changes in `refresh` and in `update`."""

    def __init__(self, store: RedisStore, name: str, initial: T, codec: Codec[T]) -> None:
        self.value = initial
        self.version = _Version("", 0)
        self._store = store
        self._name = name
        self._codec = codec
        self._lock = Lock()
        """Held while value and version are changed."""

    def packed(self) -> tuple[str, str, bytes]:
        """Name, JSON and bytes of the copy."""
        packed = self._codec.pack(self.value)
        return self._name, packed.json(), packed.data

    def take(self, version: _Version, text: bytes, data: bytes) -> bool:
        """Take the value of *version*, which is JSON and bytes, unless the copy is as new. Return
        whether it was taken."""
        with self._lock:
            if not self._is_newer(version):
                return False
            self.value, self.version = _unpacked(self._codec, text, data), version
            return True

    async def update_soon(self, change: Callable[[T], T]) -> None:
        async def update() -> None:
            # It is made by the next call that finds the value so again.
            with suppress(APIError):
                await self.update(change, soon=True)

        self._store.client.spawn(update())

    async def update(self, change: Callable[[T], T], *, soon: bool = False) -> T:
        while True:
            with self._lock:
                before, version = self.value, self.version
            value = change(before)
            packed = self._codec.pack(value)
            text, data = packed.json(), packed.data
            number = await self._store.replace(self._name, version, text, data, soon=soon)
            if number is None:
                continue
            with self._lock:
                if self._is_newer(newest := _Version(version.epoch, number)):
                    self.value, self.version = value, newest
            self._store.changed(self._name)
            return value

    def _is_newer(self, version: _Version) -> bool:
        return version.epoch != self.version.epoch or version.number > self.version.number


class RedisRecords(Generic[T]):
    """`Records` in Redis."""

    PARTS: Final = ("meta", "order", "info", "json", "data")
    """The keys of the container: the sum of the weights, the order of the records by their
    numbers, and by the key of a record its weight with its expiry, its JSON and its bytes."""

    def __init__(
        self, client: RedisClient, keys: tuple[str, ...], life: int, budget: int, codec: Codec[T]
    ) -> None:
        self._client = client
        self._call = client.call
        self._keys = keys
        self._life = life
        self._budget = budget
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
        if weight > self._budget:
            return
        arguments: list[str | bytes] = []
        for key, value in values.items():
            packed = self._codec.pack(value)
            arguments += key, packed.json(), packed.data
        times = _microseconds(now), _microseconds(expiry)
        limits = weight, self._budget
        call = self._client.call_soon if soon else self._call
        await call(scripts.PUT_RECORDS, self._keys, self._life, *times, *limits, *arguments)

    async def get(self, key: str) -> T | None:
        text, data = await self._call(scripts.GET_VALUE, self._keys, key)
        return None if text is None else _unpacked(self._codec, text, data)

    async def delete(self, key: str) -> bool:
        return bool(await self._call(scripts.DELETE_RECORD, self._keys, key))

    async def all(self) -> list[T]:
        flat = await self._call(scripts.ALL_VALUES, self._keys)
        return [_unpacked(self._codec, *pair) for pair in _pairs(flat)]

    async def expiries(self, now: datetime) -> list[datetime]:
        texts = await self._call(scripts.RECORD_TIMES, self._keys)
        digits = [text.decode().partition(" ")[2] for text in texts]
        times = [EPOCH + timedelta(microseconds=int(each)) for each in digits if each]
        return [time for time in times if time >= now]

    async def size(self) -> Size:
        return _size(await self._call(scripts.SIZE, self._keys))

    async def clear(self) -> None:
        await self._call(scripts.CLEAR, self._keys)


class RedisCounters:
    """`Counters` in Redis."""

    PARTS: Final = ("counts", "order", "claims", "recent")
    """The keys of the container: claims and grants by the key of the quota, the order in which they
    were last claimed, the quotas of the last claims by their names, and the order of these."""

    def __init__(
        self,
        client: RedisClient,
        keys: tuple[str, ...],
        life: int,
        taken_back: Callable[[str], Coroutine[Any, Any, None]] | None,
    ) -> None:
        self._client = client
        self._call = client.call
        self._keys = keys
        self._life = life
        self._taken_back = taken_back
        self._lost: list[str] = []
        """The names of claims that nobody got, and that are to be taken back."""

    async def claim(self, quotas: Iterable[Q], counted: Iterable[str] = ()) -> Claim[Q]:
        candidates, asked = [*quotas], [*counted]
        if not candidates and not asked:
            return Claim(None, [])
        self._client.check()
        if self._lost:
            await self._take_back()
        name = random_digits()
        try:
            place, *rest = await self._claim(name, candidates, asked)
        except BaseException:
            if candidates:
                self._lost.append(name)
                self._client.spawn(self._take_back_later())
            raise
        if place >= 0:
            return Claim((candidates[place], Count(*rest)))
        return Claim(None, _counts(rest))

    async def _claim(self, name: str, candidates: Sequence[Q], asked: Sequence[str]) -> Any:
        arguments: list[str | int | bytes] = [name, MAX_CLAIMS, len(asked), *asked]
        for quota in candidates:
            times = -1 if quota.times is None else quota.times
            arguments += quota.key, quota.after, times, repr(float(quota.probability))
            arguments.append(quota.seed.encode())
        return await self._call(scripts.CLAIM, self._keys, self._life, MAX_COUNTS, *arguments)

    async def _take_back(self) -> None:
        """Take the lost claims back. Raises APIError where Redis does not answer."""
        names = self._lost[:MAX_CLAIMS]
        keys = await self._call(scripts.TAKE_BACK, self._keys, self._life, MAX_CLAIMS, *names)
        self._lost = [name for name in self._lost if name not in names]
        if self._taken_back:
            for key in keys:
                await self._taken_back(key.decode())

    async def _take_back_later(self) -> None:
        """Take the lost claims back when Redis answers again."""
        while self._lost:
            with suppress(APIError):
                await self._take_back()
                return
            await asyncio.sleep(RETRY_SECONDS)

    async def counts(self, keys: Sequence[str]) -> list[Count]:
        if not keys:
            return []
        return _counts(await self._call(scripts.COUNTS, self._keys, *keys))

    async def clear(self) -> None:
        await self._call(scripts.CLEAR, self._keys)


def _counts(texts: Sequence[bytes | None]) -> list[Count]:
    return [Count(*map(int, text.split())) if text else Count() for text in texts]


class RedisBuckets:
    """`Buckets` in Redis, by the algorithm of `MemoryBuckets`."""

    PARTS: Final = ("buckets", "order")
    """The keys of the container: what each bucket lacks, and the order in which they were used."""

    def __init__(self, client: RedisClient, keys: tuple[str, ...], life: int) -> None:
        self._call = client.call
        self._keys = keys
        self._life = life

    async def take(self, key: str, amount: int, *, limit: int, seconds: int, now: datetime) -> Take:
        now_ms = int(now.timestamp() * 1000)
        token_us = -(-seconds * 1_000_000 // limit)
        numbers = amount, limit, token_us, now_ms
        granted, used, wait_ms = await self._call(
            scripts.TAKE, self._keys, self._life, MAX_BUCKETS, key, *numbers
        )
        return Take(bool(granted), used, None if wait_ms < 0 else wait_ms)

    async def clear(self) -> None:
        await self._call(scripts.CLEAR, self._keys)


class _LateWrite(NamedTuple):
    """A write to a log that Redis has not got yet: its *script* and the *arguments*, which hold
    about *size* bytes."""

    script: scripts.Script
    arguments: tuple[str | bytes | int, ...]
    size: int


class _Turn:
    """A lock that tasks of any event loop hold while they await something."""

    def __init__(self) -> None:
        self._released: Future[None] | None = None
        """Done when the task that holds this has released it; None where no task does."""
        self._lock = Lock()
        """Held while `_released` is changed."""

    async def __aenter__(self) -> None:
        ours: Future[None] = Future()
        # A task that is cancelled while it waits must not cancel it.
        ours.set_running_or_notify_cancel()
        while True:
            with self._lock:
                theirs = self._released
                if theirs is None:
                    self._released = ours
                    return
            await asyncio.wrap_future(theirs)

    async def __aexit__(self, *error: object) -> None:
        with self._lock:
            released, self._released = self._released, None
        assert released
        released.set_result(None)


class RedisLog(Generic[T]):
    """A `Log` in Redis. While Redis is away, writing raises nothing: the last writes are kept and
    follow when it is back, and older entries count as dropped."""

    PARTS: Final = ("meta", "order", "info", "json", "data", "detachable")
    """The keys of the container: the sum of the weights and the number of entries, the order of the
    entries by their numbers, by the key of an entry its weight, its JSON and its bytes, and the
    order in which bytes are dropped."""

    def __init__(
        self,
        client: RedisClient,
        keys: tuple[str, ...],
        life: int,
        codec: LogCodec[T],
        *,
        max_entries: int,
        max_bytes: int,
    ) -> None:
        self._client = client
        self._keys = keys
        self._life = life
        self._codec = codec
        self._limits = max_entries, max_bytes
        self._late: deque[_LateWrite] = deque()
        """The writes that Redis has not confirmed, in their order."""
        self._late_bytes = 0
        self._lost = 0
        """Entries that were lost, and that Redis does not know of."""
        self._process = random_digits()
        """The name of this process among those that tell of changes."""
        self._own_watchers = 0
        self._watchers = 0
        """All that there were at the last `append`."""
        self._lock = Lock()
        """Held while the writes that are late are changed."""
        self._turn = _Turn()
        """Held while the writes that are late are sent, or all entries are forgotten."""

    async def append(self, key: str, entry: T, weight: int) -> int:
        change = self._told(LogChange("added", key))
        packed = self._codec.pack_new(entry)
        number = await self._write(scripts.APPEND, key, packed, weight, change)
        # The entries that were lost are counted by the next one.
        return number or 0

    async def amend(
        self, key: str, entry: T, weight: int, *, detachable: bool, part: int | None = None
    ) -> None:
        change = self._told(LogChange("amended", key, part))
        packed = self._codec.pack_amended(entry)
        await self._write(scripts.AMEND, key, packed, weight, int(detachable), change)

    async def get(self, key: str) -> T | None:
        await self._catch_up()
        text, data = await self._client.call(scripts.GET_VALUE, self._keys, key)
        return None if text is None else _entry(self._codec, text, data)

    async def newest(self, number: int) -> list[T]:
        await self._catch_up()
        flat = await self._client.call(scripts.NEWEST_VALUES, self._keys, number)
        return [_entry(self._codec, *pair) for pair in _pairs(flat)]

    async def all(self) -> list[T]:
        await self._catch_up()
        flat = await self._client.call(scripts.ALL_VALUES, self._keys)
        return [_entry(self._codec, *pair) for pair in _pairs(flat)]

    async def count(self) -> int:
        await self._catch_up()
        count = await self._client.call(scripts.COUNT_ENTRIES, self._keys)
        return int(count or 0) + self._lost

    async def size(self) -> Size:
        await self._catch_up()
        return _size(await self._client.call(scripts.SIZE, self._keys))

    async def clear(self) -> int:
        change = self._told(LogChange("cleared"))
        async with self._turn:
            with self._lock:
                before, lost = [*self._late], self._lost
            count = await self._client.call(scripts.CLEAR_LOG, self._keys, change)
            forgotten = {id(write) for write in before}
            with self._lock:
                while self._late and id(self._late[0]) in forgotten:
                    self._late_bytes -= self._late.popleft().size
                self._lost = max(0, self._lost - lost)
            return int(count)

    async def watch(self, watcher: LogWatcher) -> None:
        self._own_watchers += 1
        try:
            async for message in self._client.messages(self._keys[0]):
                if message is None:
                    watcher(LogChange("missed"))
                    continue
                process, *change = json.loads(message)
                if process != self._process:
                    watcher(LogChange(*change))
        finally:
            self._own_watchers -= 1

    @property
    def is_watched(self) -> bool:
        return self._watchers > self._own_watchers

    def _told(self, change: LogChange) -> str:
        """The message that tells other processes of a change by this one."""
        return json.dumps((self._process, *change))

    async def _write(
        self, script: scripts.Script, key: str, packed: Packed, weight: int, *last: int | str
    ) -> int | None:
        """Write an entry after those that are late. Return the answer of *script*; None where the
        write is late, too."""
        text = packed.json()
        write = _LateWrite(
            script, (key, text, packed.data, weight, *last), len(text) + len(packed.data)
        )
        try:
            if self._late:
                await self._catch_up()
            return await self._send(write)
        except APIError:
            self._keep(write)
            return None

    async def _send(self, write: _LateWrite) -> int:
        lost = 0
        arguments: tuple[str | bytes | int, ...] = self._life, *self._limits, *write.arguments
        if write.script is scripts.APPEND:
            with self._lock:
                lost, self._lost = self._lost, 0
            *arguments_before, change = arguments
            arguments = *arguments_before, lost, change
        try:
            answer = await self._client.call(write.script, self._keys, *arguments)
            if write.script is scripts.APPEND:
                answer, self._watchers = answer
            return int(answer)
        except BaseException:
            with self._lock:
                self._lost += lost
            raise

    def _keep(self, write: _LateWrite) -> None:
        with self._lock:
            self._late.append(write)
            self._late_bytes += write.size
            while len(self._late) > MAX_LATE_WRITES or self._late_bytes > MAX_LATE_BYTES:
                oldest = self._late.popleft()
                self._late_bytes -= oldest.size
                self._lost += oldest.script is scripts.APPEND

    async def _catch_up(self) -> None:
        """Send the writes that are late, one after the other, so that none comes before the entry
        that it amends. Raises APIError where Redis is still away."""
        if not self._late:
            return
        # Where another task waits for Redis, this one does not wait for that task.
        self._client.check()
        async with self._turn:
            while True:
                with self._lock:
                    if not self._late:
                        return
                    write = self._late[0]
                await self._send(write)
                with self._lock:
                    if self._late and self._late[0] is write:
                        self._late_bytes -= self._late.popleft().size
                    else:
                        # Meanwhile it was counted as lost.
                        self._lost -= write.script is scripts.APPEND


class RedisStore:
    """A `Store` in Redis. All processes with the same *namespace* share its containers, which Redis
    forgets *life_seconds* after the last call.

    *redis* is a URL, or the client of other stores, whose connections this one uses and does not
    close.

    A register is restored from the copy of a process where Redis has lost it. While Redis is away,
    registers are read from their copies, `refresh` leaves these as they are, and logs are written
    later; everything else raises the APIError `store_unavailable`.
    """

    is_shared: Final = True

    def __init__(
        self,
        redis: str | RedisClient,
        namespace: str = "default",
        *,
        life_seconds: int = LIFE_SECONDS,
    ) -> None:
        self.observers: tuple[RegisterObserver, ...] = ()
        self._owns_client = isinstance(redis, str)
        self.client = RedisClient(redis) if isinstance(redis, str) else redis
        """The connections, which other stores may use, too."""
        self._life_seconds = life_seconds
        self._namespace = namespace
        # The braces put all keys of an emulator into one slot of a cluster.
        self._prefix = f"images-emulator:{LAYOUT}:{{{namespace}}}"
        self._registers_key = f"{self._prefix}:registers"
        self._registers: dict[str, RedisRegister[Any]] = {}
        self._logs: dict[str, RedisLog[Any]] = {}
        self._keys: list[str] = [self._registers_key]
        self._version = _Version("", 0)
        """The epoch and the generation that the copies have."""
        self._touched = monotonic()
        self._lock = Lock()
        """Held while containers are made, and while `_version` is changed."""

    @property
    def is_available(self) -> bool:
        """Whether Redis has answered the last operation."""
        return self.client.is_available

    def register(self, name: str, initial: T, codec: Codec[T]) -> Register[T]:
        """As the protocol says. Raises OSError where Redis does not answer."""
        with self._lock:
            register = self._registers.get(name)
            if register is None:
                register = RedisRegister(self, name, initial, codec)
                self._registers[name] = register
        if not register.version.epoch:
            try:
                self.run(self._share())
            except APIError as error:
                self.close()
                raise OSError(errno.ECONNREFUSED, f"store: {error}") from None
        return register

    def records(self, name: str, budget: int, codec: Codec[T]) -> Records[T]:
        keys = self._parts("records", name, RedisRecords.PARTS)
        return RedisRecords(self.client, keys, self._life_seconds, budget, codec)

    def counters(
        self, name: str, taken_back: Callable[[str], Coroutine[Any, Any, None]] | None = None
    ) -> Counters:
        keys = self._parts("counters", name, RedisCounters.PARTS)
        return RedisCounters(self.client, keys, self._life_seconds, taken_back)

    def buckets(self, name: str) -> Buckets:
        keys = self._parts("buckets", name, RedisBuckets.PARTS)
        return RedisBuckets(self.client, keys, self._life_seconds)

    def log(
        self,
        name: str,
        codec: LogCodec[T],
        *,
        max_entries: int,
        max_bytes: int,
        detach: Callable[[T], int],
    ) -> Log[T]:
        keys = self._parts("log", name, RedisLog.PARTS)
        with self._lock:
            if name not in self._logs:
                self._logs[name] = RedisLog(
                    self.client,
                    keys,
                    self._life_seconds,
                    codec,
                    max_entries=max_entries,
                    max_bytes=max_bytes,
                )
            return self._logs[name]

    def observe_operations(self, observer: OperationObserver) -> None:
        if observer not in self.client.observers:
            self.client.observers = (*self.client.observers, observer)

    def of_namespace(self, name: str, life_seconds: int) -> RedisStore:
        """A store with the connections of this one."""
        # No namespace of the settings has a slash.
        namespace = f"{self._namespace}/{quote(name, safe='')}"
        return RedisStore(self.client, namespace, life_seconds=life_seconds)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.client.run(work)

    async def refresh(self) -> None:
        current = self._version
        try:
            flat = await self.client.call(
                scripts.REFRESH, (self._registers_key,), current.epoch, current.number
            )
            if flat == []:
                await self._share()
            elif flat != 1:
                self._take(flat)
            if monotonic() - self._touched > self._life_seconds / TOUCHES:
                self._touched = monotonic()
                await self.client.call(scripts.TOUCH, (*self._keys,), self._life_seconds)
        except APIError:
            return

    async def disconnect(self) -> None:
        if self._owns_client:
            await self.client.disconnect()

    def close(self) -> None:
        if self._owns_client:
            self.client.close()

    async def replace(
        self, name: str, version: _Version, text: str, data: bytes, *, soon: bool
    ) -> int | None:
        """Give the register *name* a new value where it has this *version*, at once or *soon*.
        Return the number of the new version; None where another process came first, whose values
        are taken."""
        value = name, version.number, text, data
        call = self.client.call_soon if soon else self.client.call
        answer = await call(
            scripts.REPLACE, (self._registers_key,), version.epoch, self._life_seconds, *value
        )
        if isinstance(answer, int):
            with self._lock:
                if (version.epoch, answer) == (self._version.epoch, self._version.number + 1):
                    self._version = _Version(version.epoch, answer)
            return answer
        if answer:
            self._take(answer)
        else:
            await self._share()
        return None

    def changed(self, name: str) -> None:
        """Notify the observers of a register."""
        for observer in self.observers:
            observer(name)

    async def _share(self) -> None:
        """Give the registers that Redis does not have the values of their copies, and take those
        of the others."""
        values = [part for each in [*self._registers.values()] for part in each.packed()]
        flat = await self.client.call(
            scripts.SHARE, (self._registers_key,), random_digits(), self._life_seconds, *values
        )
        self._take(flat)

    def _take(self, flat: Sequence[bytes]) -> None:
        """Take the registers that are newer than their copies."""
        fields = dict(_pairs(flat))
        newest = _Version(fields[b"epoch"].decode(), int(fields[b"generation"]))
        taken = []
        for name, register in [*self._registers.items()]:
            key = name.encode()
            if (number := fields.get(b"v:" + key)) is not None:
                version = _Version(newest.epoch, int(number))
                if register.take(version, fields[b"j:" + key], fields[b"d:" + key]):
                    taken.append(name)
        with self._lock:
            if newest.epoch != self._version.epoch or newest.number > self._version.number:
                self._version = newest
        for name in taken:
            self.changed(name)

    def _parts(self, kind: str, name: str, parts: Sequence[str]) -> tuple[str, ...]:
        """The keys of a container."""
        keys = tuple(f"{self._prefix}:{kind}:{name}:{part}" for part in parts)
        with self._lock:
            self._keys += [key for key in keys if key not in self._keys]
        return keys
