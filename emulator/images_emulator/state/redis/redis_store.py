"""The store of several processes: the containers of `state/store.py` in Redis, or in another server
that has its commands.

Each operation is one Lua script, and one round trip. More round trips are needed where another
process comes before an update, and to revoke claims, renew the time to live of keys, and restore
data after Redis was away. An operation that need not happen at once is sent with the next one.
Values are JSON, with their bytes beside them. All keys begin with `images-emulator`, the number of
their layout and the name of the state; the keys of a container are described beside its scripts,
such as those of a log in `redis_log_scripts`.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Coroutine
from contextlib import suppress
from threading import Lock
from typing import Any, Final, TypeVar
from urllib.parse import quote

from images_emulator.contract.refusal import APIError
from images_emulator.observers import add_observer
from images_emulator.state.redis.redis_buckets import RedisBuckets
from images_emulator.state.redis.redis_client import RedisClient, RefusedOperationError
from images_emulator.state.redis.redis_container import RedisContainer, TimeToLive
from images_emulator.state.redis.redis_counters import RedisCounters
from images_emulator.state.redis.redis_log import RedisLog
from images_emulator.state.redis.redis_records import RedisRecords
from images_emulator.state.redis.redis_registers import RedisRegisters
from images_emulator.state.store import (
    Buckets,
    Codec,
    Counters,
    Log,
    LogCodec,
    Records,
    Register,
    RegisterObserver,
    StoreEventObserver,
    StoreOperationObserver,
)

T = TypeVar("T")

LAYOUT: Final = 5
"""The number of the form in which containers are kept. Emulators with another layout do not share
them."""

TTL_SECONDS: Final = 48 * 3600
"""Seconds after which Redis forgets an emulator that nobody calls. It may do so after half of
them: see `redis_scripts.TOUCH`."""


class RedisStore:
    """A `Store` in Redis. All processes with the same *name* share its containers. Redis forgets
    the containers when nobody has called for *ttl_seconds*, and not before half of that.

    *redis* is a URL, or the client of other stores. This store uses the client's connections, and
    does not close them.

    Registers and counts are restored from the copies of the processes where Redis has lost them.
    While Redis is away, registers are read from their copies.
    """

    is_shared: Final = True

    def __init__(
        self,
        redis: str | RedisClient,
        name: str = "default",
        *,
        ttl_seconds: int = TTL_SECONDS,
    ) -> None:
        self.observers: tuple[RegisterObserver, ...] = ()
        self._owns_client = isinstance(redis, str)
        self.client = RedisClient(redis) if isinstance(redis, str) else redis
        """The connections, which other stores may use, too."""
        self._name = name
        # The braces put all keys of an emulator into one slot of a cluster.
        self._prefix = f"images-emulator:{LAYOUT}:{{{name}}}"
        registers_key = f"{self._prefix}:registers"
        self._ttl = TimeToLive(self.client, ttl_seconds)
        self._ttl.keys.append(registers_key)
        self._counters: list[RedisCounters] = []
        self._registers = RedisRegisters(
            self.client, registers_key, self._ttl, self._on_register_change, self._counters
        )
        self._logs: dict[str, RedisLog[Any]] = {}
        self._lock = Lock()
        """Held while containers are made."""
        self.client.recover_later(self)

    @property
    def failure(self) -> APIError | None:
        """The error of the last operation, if Redis has not replied to it."""
        return self.client.failure

    def register(self, name: str, initial: T, codec: Codec[T]) -> Register[T]:
        """The register, as the protocol says. Raises OSError where Redis does not reply."""
        register = self._registers.register(name, initial, codec)
        if not register.version:
            try:
                self.run(self._registers.share())
            except APIError as error:
                self.close()
                raise OSError(errno.ECONNREFUSED, f"store: {error}") from None
        return register

    def records(self, name: str, budget: int, codec: Codec[T]) -> Records[T]:
        keys = self._keys_of(RedisRecords, name)
        return RedisRecords(self.client, keys, self._ttl, budget, codec)

    def counters(
        self, name: str, on_revocation: Callable[[str], Coroutine[Any, Any, None]] | None = None
    ) -> Counters:
        keys = self._keys_of(RedisCounters, name)
        counters = RedisCounters(
            self.client,
            keys,
            self._ttl,
            on_revocation=on_revocation,
            registers_key=self._registers.key,
            registers_version=lambda: self._registers.version,
        )
        with self._lock:
            self._counters.append(counters)
        return counters

    def buckets(self, name: str, max_buckets: int) -> Buckets:
        keys = self._keys_of(RedisBuckets, name)
        return RedisBuckets(self.client, keys, self._ttl, max_buckets)

    def log(
        self,
        name: str,
        codec: LogCodec[T],
        *,
        max_entries: int,
        max_bytes: int,
        detach: Callable[[T], int],
    ) -> Log[T]:
        keys = self._keys_of(RedisLog, name)
        with self._lock:
            if name not in self._logs:
                self._logs[name] = RedisLog(
                    self.client,
                    keys,
                    self._ttl,
                    codec,
                    max_entries=max_entries,
                    max_bytes=max_bytes,
                    registers=self._registers,
                )
            return self._logs[name]

    def observe_operations(self, observer: StoreOperationObserver) -> None:
        add_observer(self.client, observer)

    def observe_events(self, observer: StoreEventObserver) -> None:
        self.client.observe_events(observer)

    def for_namespace(self, name: str, ttl_seconds: int) -> RedisStore:
        """A store with the connections of this one."""
        # No name of the settings has a slash.
        name = f"{self._name}/{quote(name, safe='')}"
        return RedisStore(self.client, name, ttl_seconds=ttl_seconds)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.client.run(work)

    async def refresh(self) -> None:
        try:
            await self._registers.refresh()
            if self._ttl.is_due:
                await self._ttl.renew()
        except APIError:
            return

    async def recover(self) -> None:
        """Restore registers that Redis lost while it was away, and write the late entries of
        logs."""
        with suppress(RefusedOperationError):  # logs are written all the same
            await self._registers.refresh()
        for log in [*self._logs.values()]:
            await log.catch_up()

    async def disconnect(self) -> None:
        if self._owns_client:
            await self.client.disconnect()

    def close(self) -> None:
        if self._owns_client:
            self.client.close()

    def _on_register_change(self, name: str) -> None:
        for observer in self.observers:
            observer(name)

    def _keys_of(self, container: type[RedisContainer], name: str) -> tuple[str, ...]:
        """The keys of the *container* of this *name*."""
        keys = tuple(f"{self._prefix}:{container.KIND}:{name}:{end}" for end in container.KEYS)
        with self._lock:
            self._ttl.keys += [key for key in keys if key not in self._ttl.keys]
        return keys
