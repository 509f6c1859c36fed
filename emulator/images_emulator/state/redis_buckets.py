"""Token buckets in Redis."""

from __future__ import annotations

from datetime import datetime

from images_emulator.state import redis_scripts as scripts
from images_emulator.state.memory_store import MAX_BUCKETS
from images_emulator.state.redis_container import RedisContainer
from images_emulator.state.store import Take


class RedisBuckets(RedisContainer):
    """`Buckets` in Redis, by the algorithm of `MemoryBuckets`."""

    KIND = "buckets"
    KEYS = scripts.BUCKETS_KEYS

    async def take(self, key: str, amount: int, *, limit: int, seconds: int, now: datetime) -> Take:
        now_ms = int(now.timestamp() * 1000)
        token_us = -(-seconds * 1_000_000 // limit)
        numbers = amount, limit, token_us, now_ms
        granted, used, wait_ms = await self._call(
            scripts.TAKE, self._keys, self._life_seconds, MAX_BUCKETS, key, *numbers
        )
        return Take(bool(granted), used, None if wait_ms < 0 else wait_ms)

    async def clear(self) -> None:
        await self._call(scripts.CLEAR, self._keys)
