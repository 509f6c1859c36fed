"""The registers of a store in Redis. All of them are in one key, and each process has copies."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from threading import Lock
from typing import Any, Generic, TypeVar

from images_emulator.contract.refusal import APIError
from images_emulator.state.random_ids import random_digits
from images_emulator.state.redis import redis_registers_scripts as scripts
from images_emulator.state.redis.redis_client import RedisClient
from images_emulator.state.redis.redis_container import TimeToLive, pairs, reason_of, unpack_value
from images_emulator.state.redis.redis_counters import RedisCounters
from images_emulator.state.store import Codec

T = TypeVar("T")

logger = logging.getLogger("images_emulator")


class RedisRegister(Generic[T]):
    """A copy of a register, which changes in `RedisRegisters.refresh` and in `update`.

    Where Redis has a value that the codec cannot unpack, the copy keeps the value that it had. From
    the unreadable value it takes the version, so that `update` replaces that value, and JSON and
    bytes, so that it can be restored as it was.
    """

    def __init__(self, registers: RedisRegisters, name: str, initial: T, codec: Codec[T]) -> None:
        self.value = initial
        self.version = ""
        """The version of the value; empty until Redis has the register."""
        self._registers = registers
        self._name = name
        self._codec = codec
        self._unreadable: tuple[str, bytes] | None = None
        """JSON and bytes of the value of `version`, where the codec cannot unpack it."""
        self._lock = Lock()
        """Held while value, version and `_unreadable` are changed."""

    def pack(self) -> tuple[str, str, str, bytes]:
        """Name, version, JSON and bytes of the register, as far as this process knows it."""
        with self._lock:
            value, version, unreadable = self.value, self.version, self._unreadable
        if unreadable:
            return self._name, version, *unreadable
        packed = self._codec.pack(value)
        return self._name, version, packed.json(), packed.data

    def adopt(self, version: str, text: bytes, data: bytes) -> bool:
        """Adopt the value of *version*, given as JSON and bytes, unless the copy is as new, or the
        value cannot be unpacked. Return whether the value was adopted."""
        with self._lock:
            if version <= self.version:
                return False
            self.version = version
            try:
                self.value, self._unreadable = unpack_value(self._codec, text, data), None
            except Exception as error:  # noqa: BLE001 - a newer release may have written anything
                self._unreadable, reason = (text.decode(errors="replace"), data), reason_of(error)
            else:
                return True
        # This is logged once for each such value: its version is known from now on.
        logger.warning(
            "The store has a value of the register %s (in %s) that this server cannot read, such "
            "as one of a newer release: %s. The server keeps the value that it had; its next "
            "change of the register, such as a reset, replaces the other",
            self._name,
            self._registers.key,
            reason,
        )
        return False

    async def update_soon(self, change: Callable[[T], T]) -> None:
        async def update_quietly() -> None:
            # A change that fails is given up: the next call that needs it asks for it again.
            with suppress(APIError):
                await self.update(change, soon=True)

        self._registers.client.spawn(update_quietly())

    async def update(self, change: Callable[[T], T], *, soon: bool = False) -> T:
        # It ends: a round fails only where another process has written, or where Redis has
        # lost the register, which `replace` restores. Where Redis is away, `replace` raises.
        while True:
            with self._lock:
                before, version = self.value, self.version
                if soon and self._unreadable:
                    return before  # nobody has asked to replace what a newer server has written
            value = change(before)
            packed = self._codec.pack(value)
            text, data = packed.json(), packed.data
            newest = await self._registers.replace(self._name, version, text, data, soon=soon)
            if newest is None:
                continue
            with self._lock:
                if newest > self.version:
                    self.value, self.version, self._unreadable = value, newest, None
            self._registers.note_replacement(newest)
            self._registers.changed(self._name)
            return value


class RedisRegisters:
    """The copies of all registers of a store, which Redis keeps under *key*. *changed* is called
    with the name of each register whose copy has changed.

    A value that cannot be unpacked keeps no other register from being adopted.

    Where Redis has lost all registers or the last writes, they are restored from the copies of the
    processes: each register from its newest copy. The counts of *counters* are restored, too, as
    far as this process knows them.
    """

    def __init__(
        self,
        client: RedisClient,
        key: str,
        ttl: TimeToLive,
        changed: Callable[[str], None],
        counters: Sequence[RedisCounters],
    ) -> None:
        self.client = client
        self.changed = changed
        self.key = key
        self._keys = (key,)
        self._ttl = ttl
        self._counters = counters
        self._copies: dict[str, RedisRegister[Any]] = {}
        self.version = ""
        """The version of all registers that the copies have. It changes after the copies."""
        self._lock = Lock()
        """Held while copies are made."""

    def register(self, name: str, initial: T, codec: Codec[T]) -> RedisRegister[T]:
        """The copy of a register, which has no version until `share` gives it one."""
        with self._lock:
            if name not in self._copies:
                self._copies[name] = RedisRegister(self, name, initial, codec)
            return self._copies[name]

    async def refresh(self) -> None:
        """Adopt the writes of other processes, and restore values that Redis has lost. Raises
        APIError."""
        await self.apply_refresh(await self.client.call(scripts.REFRESH, self._keys, self.version))

    async def apply_refresh(self, reply: Any) -> None:
        """Do what the *reply* of `redis_registers_scripts.REFRESH` says. Raises APIError."""
        if reply != 1:
            await self._adopt_or_restore(reply)

    async def replace(
        self, name: str, version: str, text: str, data: bytes, *, soon: bool
    ) -> str | None:
        """Give the register *name* a new value, at once or *soon*, if Redis has this *version* of
        it. Return the new version. Return None where another process came first: its values are
        adopted. Return None, too, where Redis has lost this *version*: it is restored. Raises
        APIError."""
        value = name, version, text, data
        call = self.client.call_soon if soon else self.client.call
        reply = await call(scripts.REPLACE, self._keys, self._ttl.seconds, _stamp(), *value)
        if not isinstance(reply, bytes):
            await self._adopt_or_restore(reply)
            return None
        return reply.decode()

    def note_replacement(self, newest: str) -> None:
        """Note that a copy has the value of version *newest*."""
        if _number(newest) == _number(self.version or newest) + 1:
            # Nobody else came between.
            self.version = newest

    async def share(self) -> None:
        """Give Redis the registers that it does not have, or has lost, and adopt newer ones of
        other processes. Raises APIError."""
        values = [part for each in [*self._copies.values()] for part in each.pack()]
        keys: tuple[str, ...] = self._keys
        counts: list[str | int] = []
        for counters in self._counters:
            keys += counters.keys
            known = counters.known_counts()
            counts.append(len(known))
            counts.extend(part for key, count in known for part in (key, *count))
        flat = await self.client.call(
            scripts.SHARE,
            keys,
            self._ttl.seconds,
            _stamp(),
            len(values) // 4,
            *values,
            *counts,
        )
        self._adopt(flat, {})

    async def _adopt_or_restore(self, flat: Sequence[bytes]) -> None:
        before = self.version
        is_behind = not self._adopt(flat, self._copy_versions())
        if is_behind:
            # Perhaps only the reply is behind: another event loop has written after it.
            versions = self._copy_versions()
            flat = await self.client.call(scripts.REFRESH, self._keys, "")
            is_behind = not self._adopt(flat, versions)
        # In a new era another process has restored registers, but may not know all counts.
        if is_behind or _era(before) not in {"", _era(self.version)}:
            await self.share()
            self.client.note_restored()

    def _copy_versions(self) -> dict[str, str]:
        """The versions of the copies by their names."""
        return {name: copy.version for name, copy in [*self._copies.items()]}

    def _adopt(self, flat: Sequence[bytes], versions: Mapping[str, str]) -> bool:
        """Adopt the registers that are newer than their copies. Return False where a register is
        missing, or is older than *versions* says; else True."""
        fields = dict(pairs(flat))
        adopted, is_behind = [], False
        for name, copy in [*self._copies.items()]:
            key = name.encode()
            version = fields.get(b"v:" + key, b"").decode()
            is_behind = is_behind or version < versions.get(name, "") or not version
            if version and copy.adopt(version, fields[b"j:" + key], fields[b"d:" + key]):
                adopted.append(name)
        if not is_behind:
            self.version = fields.get(b"version", b"").decode()
        for name in adopted:
            self.changed(name)
        return not is_behind


def _stamp() -> str:
    """20 digits that no other write has."""
    return f"{int(random_digits()[:16], 16):020d}"


def _era(version: str) -> str:
    """The number of losses that were restored before this *version*, as 6 digits."""
    return version[:6]


def _number(version: str) -> int:
    """The era and the number of a *version*, as one number."""
    return int(version[:20])
