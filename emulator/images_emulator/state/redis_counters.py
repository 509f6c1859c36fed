"""Counters in Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from threading import Lock
from typing import Any, Final

from images_emulator.contract.refusal import APIError
from images_emulator.state import redis_scripts as scripts
from images_emulator.state.identity import random_digits
from images_emulator.state.memory_store import MAX_COUNTS
from images_emulator.state.redis_client import RETRY_SECONDS, RedisClient
from images_emulator.state.redis_container import RedisContainer
from images_emulator.state.store import Claim, Count, Q

MAX_CLAIMS: Final = 10_000
"""The last claims that can be revoked."""


class RedisCounters(RedisContainer):
    """`Counters` in Redis. Each claim has an id, by which it is revoked where its answer did not
    reach the caller: it may have been made all the same, or still be on its way.

    The counts that Redis has answered are kept, to restore them where it loses them. A key whose
    counter begins anew is another key.
    """

    KIND = "counters"
    KEYS = scripts.COUNTERS_KEYS

    def __init__(
        self,
        client: RedisClient,
        keys: tuple[str, ...],
        life_seconds: int,
        revoked: Callable[[str], Coroutine[Any, Any, None]] | None,
    ) -> None:
        super().__init__(client, keys, life_seconds)
        self._revoked = revoked
        self._unanswered: list[str] = []
        """The ids of the claims that are to be revoked."""
        self._known: dict[str, Count] = {}
        """The last counts that Redis has answered, by their keys."""
        self._lock = Lock()
        """Held while `_known` is changed."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys in Redis, as `COUNTERS_KEYS` has their ends."""
        return self._keys

    def known(self) -> list[tuple[str, Count]]:
        """The counts that this process knows, by the keys of their quotas."""
        with self._lock:
            return [*self._known.items()]

    async def claim(self, quotas: Iterable[Q], counted: Iterable[str] = ()) -> Claim[Q]:
        candidates, asked = [*quotas], [*counted]
        if not candidates and not asked:
            return Claim(None, [])
        self._client.check()
        if self._unanswered:
            await self._revoke()
        claim_id = random_digits()
        try:
            place, *texts = await self._claim(claim_id, candidates, asked)
        except BaseException:
            if candidates:
                self._unanswered.append(claim_id)
                self._client.spawn(self._revoke_later())
            raise
        found, others = map(_counts, texts)
        self._note([each.key for each in candidates], found)
        if place >= 0:
            return Claim((candidates[place], found[place]))
        self._note(asked, others)
        return Claim(None, others)

    async def _claim(self, claim_id: str, candidates: Sequence[Q], asked: Sequence[str]) -> Any:
        arguments: list[str | int | bytes] = [claim_id, MAX_CLAIMS, len(asked), *asked]
        for quota in candidates:
            times = -1 if quota.times is None else quota.times
            arguments += quota.key, quota.after, times, repr(float(quota.probability))
            arguments.append(quota.seed.encode())
        return await self._call(
            scripts.CLAIM, self._keys, self._life_seconds, MAX_COUNTS, *arguments
        )

    async def _revoke(self) -> None:
        """Revoke the claims that had no answer. Raises APIError where Redis does not answer."""
        ids = self._unanswered[:MAX_CLAIMS]
        keys = await self._call(scripts.REVOKE, self._keys, self._life_seconds, MAX_CLAIMS, *ids)
        self._unanswered = [claim_id for claim_id in self._unanswered if claim_id not in ids]
        with self._lock:
            for key in keys:
                self._known.pop(key.decode(), None)
        if self._revoked:
            for key in keys:
                await self._revoked(key.decode())

    async def _revoke_later(self) -> None:
        """Revoke the claims that had no answer, when Redis answers again."""
        while self._unanswered:
            with suppress(APIError):
                await self._revoke()
                return
            await asyncio.sleep(RETRY_SECONDS)

    async def counts(self, keys: Sequence[str]) -> list[Count]:
        if not keys:
            return []
        counts = _counts(await self._call(scripts.COUNTS, self._keys, *keys))
        self._note(keys, counts)
        return counts

    async def clear(self) -> None:
        await self._call(scripts.CLEAR, self._keys)
        with self._lock:
            self._known.clear()

    def _note(self, keys: Sequence[str], counts: Sequence[Count]) -> None:
        """Keep the *counts* of the first *keys*, unless a later answer came first."""
        with self._lock:
            known = self._known
            for key, count in zip(keys, counts, strict=False):
                if count > known.get(key, _NONE):
                    known[key] = count
            while len(known) > MAX_COUNTS:
                del known[next(iter(known))]


_NONE: Final = Count()


def _counts(texts: Sequence[bytes | None]) -> list[Count]:
    return [Count(*map(int, text.split())) if text else Count() for text in texts]
