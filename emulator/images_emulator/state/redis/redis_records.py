"""Records in Redis."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from images_emulator.state.redis import redis_records_scripts as scripts
from images_emulator.state.redis.redis_client import RedisClient
from images_emulator.state.redis.redis_container import (
    EPOCH,
    RedisContainer,
    TimeToLive,
    ValueReader,
    present,
    size_of,
    time_text,
)
from images_emulator.state.redis.redis_scripts import CLEAR
from images_emulator.state.store import Codec, ContainerSize

T = TypeVar("T")


class RedisRecords(RedisContainer, Generic[T]):
    """`Records` in Redis."""

    KIND = "records"
    KEYS = scripts.RECORDS_KEYS

    def __init__(
        self,
        client: RedisClient,
        keys: tuple[str, ...],
        ttl: TimeToLive,
        budget: int,
        codec: Codec[T],
    ) -> None:
        super().__init__(client, keys, ttl)
        self._budget = budget
        self._codec = codec
        self._reader = ValueReader(codec.unpack, keys[0])

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
        times = time_text(now), time_text(expiry)
        limits = weight, self._budget
        call = self._client.call_soon if soon else self._client.call
        await call(scripts.PUT_RECORDS, self.keys, self._ttl.seconds, *times, *limits, *arguments)

    async def get(self, key: str) -> T | None:
        text, data = await self._client.call(scripts.GET_VALUE, self.keys, key)
        return None if text is None else self._reader.read(text, data)

    async def delete(self, key: str) -> bool:
        count = await self._client.call(scripts.DELETE_RECORD, self.keys, self._ttl.seconds, key)
        return bool(count)

    async def all(self) -> list[T]:
        return self._reader.read_all(await self._client.call(scripts.ALL_VALUES, self.keys))

    async def summary(self, key: str) -> T | None:
        text = await self._client.call(scripts.GET_JSON, self.keys, key)
        return None if text is None else self._reader.read(text, None)

    async def summaries(self) -> list[T]:
        texts = await self._client.call(scripts.ALL_JSON, self.keys)
        return present(self._reader.read(text, None) for text in texts)

    async def expiries(self, now: datetime) -> list[datetime]:
        texts = await self._client.call(scripts.RECORD_TIMES, self.keys)
        digits = [text.decode().partition(" ")[2] for text in texts]
        times = [EPOCH + timedelta(microseconds=int(each)) for each in digits if each]
        return [time for time in times if time >= now]

    async def size(self) -> ContainerSize:
        return size_of(await self._client.call(scripts.SIZE, self.keys))

    async def clear(self) -> None:
        await self._client.call(CLEAR, self.keys)
