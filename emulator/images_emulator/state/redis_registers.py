"""The registers of a store in Redis. All of them are in one key, and each process has copies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Lock
from typing import Any, Generic, NamedTuple, TypeVar

from images_emulator.contract.refusal import APIError
from images_emulator.state import redis_scripts as scripts
from images_emulator.state.identity import random_digits
from images_emulator.state.redis_client import RedisClient
from images_emulator.state.redis_container import pairs, unpacked
from images_emulator.state.store import Codec

T = TypeVar("T")


class Version(NamedTuple):
    """The version of a register. Numbers grow within an *epoch*; another one begins where Redis has
    lost what it had."""

    epoch: str
    number: int


class RedisRegister(Generic[T]):
    """A copy of a register, which changes in `RedisRegisters.refresh` and in `update`."""

    def __init__(self, registers: RedisRegisters, name: str, initial: T, codec: Codec[T]) -> None:
        self.value = initial
        self.version = Version("", 0)
        self._registers = registers
        self._name = name
        self._codec = codec
        self._lock = Lock()
        """Held while value and version are changed."""

    def packed(self) -> tuple[str, str, bytes]:
        """Name, JSON and bytes of the copy."""
        packed = self._codec.pack(self.value)
        return self._name, packed.json(), packed.data

    def adopt(self, version: Version, text: bytes, data: bytes) -> bool:
        """Adopt the value of *version*, which is JSON and bytes, unless the copy is as new. Return
        whether it was adopted."""
        with self._lock:
            if not self._is_newer(version):
                return False
            self.value, self.version = unpacked(self._codec, text, data), version
            return True

    async def update_soon(self, change: Callable[[T], T]) -> None:
        async def update() -> None:
            # It is made by the next call that finds the value so again.
            with suppress(APIError):
                await self.update(change, soon=True)

        self._registers.client.spawn(update())

    async def update(self, change: Callable[[T], T], *, soon: bool = False) -> T:
        while True:
            with self._lock:
                before, version = self.value, self.version
            value = change(before)
            packed = self._codec.pack(value)
            text, data = packed.json(), packed.data
            number = await self._registers.replace(self._name, version, text, data, soon=soon)
            if number is None:
                continue
            with self._lock:
                if self._is_newer(newest := Version(version.epoch, number)):
                    self.value, self.version = value, newest
            self._registers.changed(self._name)
            return value

    def _is_newer(self, version: Version) -> bool:
        return version.epoch != self.version.epoch or version.number > self.version.number


class RedisRegisters:
    """The copies of all registers of a store, which are in the *key* of Redis. *changed* is called
    with the name of each register whose copy has changed."""

    def __init__(
        self,
        client: RedisClient,
        key: str,
        life_seconds: int,
        changed: Callable[[str], None],
    ) -> None:
        self.client = client
        self.changed = changed
        self._keys = (key,)
        self._life_seconds = life_seconds
        self._copies: dict[str, RedisRegister[Any]] = {}
        self._version = Version("", 0)
        """The epoch and the generation that the copies have."""
        self._lock = Lock()
        """Held while copies are made, and while `_version` is changed."""

    def register(self, name: str, initial: T, codec: Codec[T]) -> RedisRegister[T]:
        """The copy of a register, which has no epoch until `share` gives it one."""
        with self._lock:
            if name not in self._copies:
                self._copies[name] = RedisRegister(self, name, initial, codec)
            return self._copies[name]

    async def refresh(self) -> None:
        """Adopt what other processes have written, and restore what Redis has lost. Raises
        APIError."""
        current = self._version
        flat = await self.client.call(scripts.REFRESH, self._keys, current.epoch, current.number)
        if flat == []:
            await self.share()
        elif flat != 1:
            self._adopt(flat)

    async def replace(
        self, name: str, version: Version, text: str, data: bytes, *, soon: bool
    ) -> int | None:
        """Give the register *name* a new value where it has this *version*, at once or *soon*.
        Return the number of the new version; None where another process came first, whose values
        are adopted. Raises APIError."""
        value = name, version.number, text, data
        call = self.client.call_soon if soon else self.client.call
        answer = await call(scripts.REPLACE, self._keys, version.epoch, self._life_seconds, *value)
        if isinstance(answer, int):
            with self._lock:
                if (version.epoch, answer) == (self._version.epoch, self._version.number + 1):
                    self._version = Version(version.epoch, answer)
            return answer
        if answer:
            self._adopt(answer)
        else:
            await self.share()
        return None

    async def share(self) -> None:
        """Give the registers that Redis does not have the values of their copies, and adopt those
        of the others. Raises APIError."""
        values = [part for each in [*self._copies.values()] for part in each.packed()]
        flat = await self.client.call(
            scripts.SHARE, self._keys, random_digits(), self._life_seconds, *values
        )
        self._adopt(flat)

    def _adopt(self, flat: Sequence[bytes]) -> None:
        """Adopt the registers that are newer than their copies."""
        fields = dict(pairs(flat))
        newest = Version(fields[b"epoch"].decode(), int(fields[b"generation"]))
        adopted = []
        for name, copy in [*self._copies.items()]:
            key = name.encode()
            if (number := fields.get(b"v:" + key)) is not None:
                version = Version(newest.epoch, int(number))
                if copy.adopt(version, fields[b"j:" + key], fields[b"d:" + key]):
                    adopted.append(name)
        with self._lock:
            if newest.epoch != self._version.epoch or newest.number > self._version.number:
                self._version = newest
        for name in adopted:
            self.changed(name)
