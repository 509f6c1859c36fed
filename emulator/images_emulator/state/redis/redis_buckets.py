"""Token buckets in Redis."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from images_emulator.state.redis import redis_buckets_scripts as scripts
from images_emulator.state.redis.redis_client import RedisClient
from images_emulator.state.redis.redis_container import RedisContainer, TimeToLive
from images_emulator.state.redis.redis_scripts import CLEAR
from images_emulator.state.store import PendingTake, TakeOutcome


class RedisBuckets(RedisContainer):
    """`Buckets` in Redis, by the algorithm of `MemoryBuckets`."""

    KIND = "buckets"
    KEYS = scripts.BUCKETS_KEYS

    def __init__(
        self, client: RedisClient, keys: tuple[str, ...], ttl: TimeToLive, max_buckets: int
    ) -> None:
        super().__init__(client, keys, ttl)
        self._max_buckets = max_buckets

    async def take(
        self, key: str, amount: int, *, limit: int, seconds: int, now: datetime
    ) -> TakeOutcome:
        arguments = self.arguments_of(PendingTake(self, key, amount, limit, seconds, now))
        return take_of(await self._client.call(scripts.TAKE, self.keys, *arguments))

    def arguments_of(self, pending_take: PendingTake) -> tuple[int | str, ...]:
        """The arguments of `redis_buckets_scripts.TAKE`."""
        now_ms = int(pending_take.now.timestamp() * 1000)
        token_us = -(-pending_take.seconds * 1_000_000 // pending_take.limit)
        numbers = pending_take.amount, pending_take.limit, token_us, now_ms
        return self._ttl.seconds, self._max_buckets, pending_take.key, *numbers

    async def clear(self) -> None:
        await self._client.call(CLEAR, self.keys)


def take_of(reply: Sequence[int]) -> TakeOutcome:
    """The reply of `redis_buckets_scripts.TAKE`."""
    granted, used, wait_ms = reply
    return TakeOutcome(bool(granted), used, None if wait_ms < 0 else wait_ms)
