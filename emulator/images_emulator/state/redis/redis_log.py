"""The log in Redis, and the writes to it that wait while Redis is away."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from threading import Lock
from typing import Any, Final, Generic, NamedTuple, TypeVar, cast

from images_emulator.contract.refusal import APIError
from images_emulator.state.random_ids import random_digits
from images_emulator.state.redis import redis_log_scripts as scripts
from images_emulator.state.redis.redis_client import RedisClient, RefusedOperationError
from images_emulator.state.redis.redis_container import (
    RedisContainer,
    TimeToLive,
    ValueReader,
    present,
    size_of,
)
from images_emulator.state.redis.redis_registers import RedisRegisters
from images_emulator.state.redis.redis_scripts import Script
from images_emulator.state.store import ContainerSize, LogChange, LogCodec, LogWatcher, Packed

T = TypeVar("T")

MAX_LATE_WRITES: Final = 2000
"""The most writes to a log that wait for Redis to come back. A call has two, and a watched
stream one more for each event. Beyond it the oldest writes are dropped."""

MAX_LATE_BYTES: Final = 16 * 2**20
"""The most bytes of these writes."""


def _texts(packed: Packed) -> tuple[str, bytes]:
    return packed.json(), packed.data


class _Write(NamedTuple):
    """A write to a log that Redis has not got yet: its *script*, key, JSON, bytes and weight of the
    entry, whether the bytes are detachable, and the change for the watchers.

    *dropped_before* is the number of entries that were dropped before this one, and that no earlier
    entry has taken along; None until the entry is first sent. The number stays the same when the
    entry is sent again: Redis counts both together, once.
    """

    script: Script
    key: str
    text: str
    data: bytes
    weight: int
    detachable: bool
    change: str
    dropped_before: int | None = None

    @property
    def uncounted_if_dropped(self) -> int:
        """The number of entries that would go uncounted without this write: its own, if it adds
        one, and those of `dropped_before`."""
        return (self.script is scripts.APPEND) + (self.dropped_before or 0)

    @property
    def size(self) -> int:
        """The bytes that the write takes, about."""
        return len(self.text) + len(self.data)

    def without_data(self) -> _Write:
        """The write without its bytes."""
        weight = max(self.weight - len(self.data), 0)
        return self._replace(data=b"", weight=weight, detachable=False)


class _CrossLoopLock:
    """A lock that tasks of any event loop hold while they await something."""

    def __init__(self) -> None:
        self._released: Future[None] | None = None
        """Done when the task that holds this has released it; None where no task does."""
        self._lock = Lock()
        """Held while `_released` is changed."""

    async def __aenter__(self) -> None:
        ours: Future[None] = Future()
        # A task that is cancelled while it waits must not cancel this future.
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


class _LogPosition(NamedTuple):
    """How far a copy of a log goes: the key of its *first* entry since the last clear, the number
    of its *last* entry, and the number of *amendments*."""

    first: bytes = b""
    last: int = 0
    amendments: int = 0


class _Summaries(Generic[T]):
    """A copy of the entries of a log without their bytes, which each reply of `HEADS` brings up to
    date.

    Two replies on different connections may come in the other order. Say the log drops entry 1 of
    three after the first reply, which has all of them, and before the second. The second comes
    first, and the copy has 2 and 3. The first has no fewer amendments, but must not bring entry 1
    back: its number is less than the greatest `oldest` of any reply.
    """

    def __init__(self, reader: ValueReader[T]) -> None:
        self.position = _LogPosition()
        self._reader = reader
        self._entries: dict[bytes, tuple[int, T | None]] = {}
        """Entries by their keys, with their numbers, oldest first; None in place of one that cannot
        be unpacked."""
        self._oldest = 0.0
        """The greatest number of an oldest entry that any reply had since the last clear."""
        self._lock = Lock()

    def update(self, request: _LogPosition, reply: Sequence[Any]) -> list[T]:
        """Apply the *reply* to `HEADS`, which was sent with the position *request*. Return
        the entries."""
        first, amendments, oldest, flat = reply
        changes = [
            (key, int(number), self._reader.read(text, None))
            for key, number, text in zip(flat[::3], flat[1::3], flat[2::3], strict=True)
        ]
        with self._lock:
            position = self.position
            was_cleared = first not in {position.first, request.first}
            if was_cleared:
                self._entries, self._oldest, position = {}, 0.0, _LogPosition(first)
            # A reply that a later one has overtaken has nothing new.
            is_overtaken = first != position.first or amendments < position.amendments
            if not is_overtaken:
                # Where no entry is left, those up to the last one of the request were dropped.
                # Nothing is known of later ones.
                last_dropped = request.last if request.first == first else 0
                left_from = last_dropped + 1 if oldest == b"+inf" else float(oldest)
                self._oldest = max(self._oldest, left_from)
                self._entries.update(
                    (key, (number, entry))
                    for key, number, entry in changes
                    if number >= self._oldest
                )
                last = max((number for _, number, _ in changes), default=0)
                position = _LogPosition(first, max(position.last, last), amendments)
                while self._entries:
                    key, (number, _) = next(iter(self._entries.items()))
                    if number >= self._oldest:
                        break
                    del self._entries[key]
            self.position = position
            return present(entry for _, entry in self._entries.values())


class RedisLog(RedisContainer, Generic[T]):
    """A `Log` in Redis. While Redis is away, writing raises nothing. The way of a write:

    1. `append` or `amend` makes it. `catch_up` sends the late writes before it, then `_send` sends
       it.
    2. Redis is away, or the task is cancelled: `_keep` puts it behind the late writes, without its
       bytes where they would be more than `MAX_LATE_BYTES`. They are sent when Redis is back, or
       before the next operation of this process on the log.
    3. There are more than `MAX_LATE_WRITES`, or of more than `MAX_LATE_BYTES`: `_keep` drops the
       oldest ones.
    4. Redis refuses it: it is sent without its bytes. Refused again, it is dropped.
    5. This process forgets the namespace of the log meanwhile: its late writes are lost, uncounted.

    A dropped entry counts as dropped. Where an amendment is dropped, its entry stays as it was.

    Each dropped entry is counted in one of three places until Redis counts it: in `_uncounted`, in
    `_Write.dropped_before` of a late write, or in that of a write on its way. An entry that Redis
    has got without a reply, and that is dropped before it is sent again, counts twice.
    """

    KIND = "log"
    KEYS = scripts.LOG_KEYS

    def __init__(
        self,
        client: RedisClient,
        keys: tuple[str, ...],
        ttl: TimeToLive,
        codec: LogCodec[T],
        *,
        max_entries: int,
        max_bytes: int,
        registers: RedisRegisters,
    ) -> None:
        super().__init__(client, keys, ttl)
        self._codec = codec
        self._reader = ValueReader(codec.unpack, keys[0])
        self._summaries = _Summaries(self._reader)
        self._ttl_and_limits = ttl.seconds, max_entries, max_bytes
        self._registers = registers
        self._keys_to_append = *keys, registers.key
        self._late: deque[_Write] = deque()
        """The writes that Redis has not confirmed, in their order."""
        self._late_bytes = 0
        self._sends_late = False
        """Whether the first of them is on its way. It must not be dropped meanwhile."""
        self._uncounted = 0
        """The number of entries that were dropped before Redis got them, and that no write takes
        along yet."""
        self._process = random_digits()
        """The name of this process in the messages about changes."""
        self._own_watchers = 0
        self._is_watched = False
        self._lock = Lock()
        """Held while the writes that are late are changed."""
        self._write_lock = _CrossLoopLock()
        """Held while the writes that are late are sent, or the log is cleared."""

    async def append(self, key: str, entry: T, weight: int) -> int:
        text, data = _texts(self._codec.pack_new(entry))
        change = self._change_message("added", key)
        write = _Write(scripts.APPEND, key, text, data, weight, False, change)
        return await self._write(write) or 0

    async def amend(
        self, key: str, entry: T, weight: int, *, detachable: bool, event_index: int | None = None
    ) -> None:
        text, data = _texts(self._codec.pack_amended(entry))
        change = self._change_message("amended", key, event_index)
        await self._write(_Write(scripts.AMEND, key, text, data, weight, detachable, change))

    async def get(self, key: str) -> T | None:
        await self.catch_up()
        text, data = await self._client.call(scripts.GET_ENTRY, self.keys, key)
        return None if text is None else self._reader.read(text, data)

    async def newest(self, max_count: int) -> list[T]:
        await self.catch_up()
        flat = await self._client.call(scripts.NEWEST_ENTRIES, self.keys, max_count)
        return self._reader.read_all(flat)

    async def all(self) -> list[T]:
        await self.catch_up()
        flat = await self._client.call(scripts.ALL_ENTRIES, self.keys)
        return self._reader.read_all(flat)

    async def summaries(self) -> list[T]:
        await self.catch_up()
        position = self._summaries.position
        reply = await self._client.call(scripts.HEADS, self.keys, *position)
        return self._summaries.update(position, reply)

    async def added_count(self) -> int:
        await self.catch_up()
        count = await self._client.call(scripts.COUNT_ENTRIES, self.keys)
        return int(count or 0) + self._uncounted

    async def size(self) -> ContainerSize:
        await self.catch_up()
        return size_of(await self._client.call(scripts.SIZE_OF_LOG, self.keys))

    async def clear(self) -> int:
        change = self._change_message("cleared")
        async with self._write_lock:
            with self._lock:
                before, uncounted = [*self._late], self._uncounted
            count = await self._client.call(scripts.CLEAR_LOG, self.keys, change)
            cleared = {id(write) for write in before}
            with self._lock:
                while self._late and id(self._late[0]) in cleared:
                    self._late_bytes -= self._late.popleft().size
                self._uncounted = max(0, self._uncounted - uncounted)
            return int(count)

    async def watch(self, watcher: LogWatcher) -> None:
        self._own_watchers += 1
        try:
            async for message in self._client.messages(self.keys[0]):
                if message is None:
                    watcher(LogChange("gap"))
                    continue
                try:
                    process, kind, index, key = message.decode().split(" ", 3)
                    change = LogChange(cast("Any", kind), key, int(index) if index else None)
                except ValueError:
                    # Another release has sent it.
                    process, change = "", LogChange("gap")
                if process != self._process:
                    watcher(change)
        finally:
            self._own_watchers -= 1

    @property
    def is_watched(self) -> bool:
        return self._is_watched

    def _change_message(self, kind: str, key: str = "", event_index: int | None = None) -> str:
        """The message that tells other processes of a `LogChange` by this one."""
        return f"{self._process} {kind} {'' if event_index is None else event_index} {key}"

    async def _write(self, write: _Write) -> int | None:
        """Send a write after the writes that are late. Return the reply of its script; None where
        this write is late, too, or dropped. Bytes that Redis refuses, such as more than it takes
        for one value, are left out. A write that it refuses even so is dropped."""
        while True:
            try:
                if self._late:
                    await self.catch_up()
                with self._lock:
                    write = self._with_dropped_before(write)
                return await self._send(write)
            except RefusedOperationError:  # of this write: `catch_up` raises none
                if not write.data:
                    with self._lock:
                        self._uncounted += write.uncounted_if_dropped
                    return None
                write = write.without_data()
            except APIError:
                self._keep(write)
                return None
            except BaseException:
                # The task is cancelled, or the reply is not of the expected form. Redis may have
                # got the write, or not: it is sent again.
                self._keep(write)
                raise

    def _with_dropped_before(self, write: _Write) -> _Write:
        """The *write* with the number that it takes along, while the lock is held."""
        if write.script is not scripts.APPEND or write.dropped_before is not None:
            return write
        number, self._uncounted = self._uncounted, 0
        return write._replace(dropped_before=number)

    async def _send(self, write: _Write) -> int:
        script, key, text, data, weight, detachable, change, dropped_before = write
        entry = *self._ttl_and_limits, key, text, data, weight
        if script is not scripts.APPEND:
            arguments = *entry, int(detachable), change
            return int(await self._client.call(script, self.keys, *arguments))
        last = dropped_before or 0, change, self._registers.version
        number, watchers, refresh = await self._client.call(
            script, self._keys_to_append, *entry, *last
        )
        # A node of a cluster counts only those that watch by that node.
        self._is_watched = watchers > self._own_watchers or self._client.is_cluster
        # The entry is written, even if the registers or the time to live cannot be.
        with suppress(APIError):
            if refresh != 1:
                await self._registers.apply_refresh(refresh)
            if self._ttl.is_due:
                await self._ttl.renew()
        return int(number)

    def _keep(self, write: _Write) -> None:
        """Add a write to those that are late."""
        dropped = 0
        with self._lock:
            if self._late_bytes + write.size > MAX_LATE_BYTES:
                write = write.without_data()
            self._late.append(write)
            self._late_bytes += write.size
            while len(self._late) > MAX_LATE_WRITES or self._late_bytes > MAX_LATE_BYTES:
                index = int(self._sends_late)
                if index == len(self._late):
                    break
                oldest = self._late[index]
                del self._late[index]
                self._late_bytes -= oldest.size
                dropped += oldest.script is scripts.APPEND
                self._uncounted += oldest.uncounted_if_dropped
        self._client.note_late_entries(write.script is scripts.APPEND, dropped)

    async def catch_up(self) -> None:
        """Send the writes that are late, one after the other, so that none comes before the entry
        that it amends. Those that Redis refuses are sent without their bytes, or dropped. Raises
        APIError where Redis is still away, and never RefusedOperationError."""
        if not self._late:
            return
        # Where Redis is away, fail at once: a task that holds the lock may wait for Redis.
        self._client.raise_if_away()
        async with self._write_lock:
            while True:
                with self._lock:
                    if not self._late:
                        return
                    write = self._late[0] = self._with_dropped_before(self._late[0])
                    self._sends_late = True
                try:
                    await self._send(write)
                except RefusedOperationError:
                    self._replace_oldest()
                else:
                    with self._lock:
                        self._late_bytes -= self._late.popleft().size
                finally:
                    self._sends_late = False

    def _replace_oldest(self) -> None:
        """Leave the bytes of the oldest of the late writes out, which Redis has refused. Drop it
        where it has none."""
        dropped = 0
        with self._lock:
            write = self._late.popleft()
            self._late_bytes -= write.size
            if write.data:
                rest = write.without_data()
                self._late.appendleft(rest)
                self._late_bytes += rest.size
            else:
                dropped = int(write.script is scripts.APPEND)
                self._uncounted += write.uncounted_if_dropped
        self._client.note_late_entries(0, dropped)
