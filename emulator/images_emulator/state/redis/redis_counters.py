"""Counters in Redis."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from threading import Lock
from typing import Any, Final, Generic, NamedTuple

from images_emulator.contract.refusal import APIError
from images_emulator.state.random_ids import random_digits
from images_emulator.state.redis import redis_counters_scripts as scripts
from images_emulator.state.redis.redis_buckets import RedisBuckets, take_of
from images_emulator.state.redis.redis_client import (
    RETRY_SECONDS,
    RedisClient,
    RefusedOperationError,
)
from images_emulator.state.redis.redis_container import RedisContainer, TimeToLive
from images_emulator.state.redis.redis_scripts import CLEAR, Script
from images_emulator.state.store import (
    MAX_COUNTS,
    ClaimCount,
    ClaimOutcome,
    PendingTake,
    Q,
    StaleRegistersError,
    TakeOutcome,
)

logger = logging.getLogger("images_emulator")

MAX_CLAIMS: Final = 10_000
"""The number of claims whose ids Redis keeps: the last ones. Only these claims can be revoked."""


class _Claim(NamedTuple, Generic[Q]):
    """A claim on the *quotas*, one after the other. Where none grants it, the counts of the quotas
    with *asked_keys* are asked for."""

    quotas: Sequence[Q]
    asked_keys: Sequence[str]

    @property
    def is_empty(self) -> bool:
        """Whether Redis has nothing to do for it."""
        return not self.quotas and not self.asked_keys

    def arguments(self, claim_id: str) -> Sequence[str | bytes | int]:
        """Its arguments, as `redis_counters_scripts.CLAIM` has them."""
        asked_keys = self.asked_keys
        arguments: list[str | bytes | int] = [MAX_COUNTS, claim_id, MAX_CLAIMS]
        arguments += len(asked_keys), *asked_keys
        for quota in self.quotas:
            times = -1 if quota.times is None else quota.times
            arguments += quota.key, quota.after, times, repr(float(quota.probability))
            arguments.append(quota.seed.encode())
        return arguments


class RedisCounters(RedisContainer):
    """`Counters` in Redis. Each claim has an id. A claim whose reply did not reach the caller is
    revoked by its id: Redis may have made the claim, or may still receive it.

    The counts in the replies are kept, and are restored where Redis loses them. So a counter that
    begins anew needs another key.
    """

    KIND = "counters"
    KEYS = scripts.COUNTERS_KEYS

    def __init__(
        self,
        client: RedisClient,
        keys: tuple[str, ...],
        ttl: TimeToLive,
        *,
        on_revocation: Callable[[str], Coroutine[Any, Any, None]] | None,
        registers_key: str,
        registers_version: Callable[[], str],
    ) -> None:
        super().__init__(client, keys, ttl)
        self._registers_key = registers_key
        self._registers_version = registers_version
        """Gives the version of the copies of all registers."""
        self._on_revocation = on_revocation
        self._to_revoke: list[str] = []
        """The ids of the claims that are to be revoked."""
        self._to_revive: list[str] = []
        """The keys of the quotas whose grants are revoked, and for which `on_revocation` is still
        to be done."""
        self._revocation: asyncio.Task[None] | None = None
        """The task that revokes these claims and revives these quotas when Redis replies again."""
        self._known: dict[str, ClaimCount] = {}
        """The last counts in replies, by their keys."""
        self._lock = Lock()
        """Held while the known counts, the claims to be revoked and the quotas to be revived are
        changed."""

    def known_counts(self) -> list[tuple[str, ClaimCount]]:
        """The counts that this process knows, by the keys of their quotas."""
        with self._lock:
            return [*self._known.items()]

    async def claim(self, quotas: Iterable[Q], asked_keys: Iterable[str] = ()) -> ClaimOutcome[Q]:
        claim = _Claim([*quotas], [*asked_keys])
        if claim.is_empty:
            return ClaimOutcome(None, [])
        arguments = (self._ttl.seconds,)
        reply = await self._call(scripts.CLAIM, self.keys, arguments, claim)
        return self._outcome(reply, claim)

    async def claim_if_fresh(
        self,
        is_fresh: Callable[[], bool],
        quotas: Iterable[Q],
        asked_keys: Iterable[str] = (),
    ) -> ClaimOutcome[Q]:
        # The version is read before `is_fresh` reads the copies, because a copy changes first.
        version = self._registers_version()
        if not is_fresh():
            raise StaleRegistersError
        claim = _Claim([*quotas], [*asked_keys])
        if claim.is_empty:
            return ClaimOutcome(None, [])
        keys = (self._registers_key, *self.keys)
        arguments = (self._ttl.seconds, version)
        reply = await self._call(scripts.CLAIM_IF_FRESH, keys, arguments, claim)
        if reply[0] == scripts.STALE:
            raise StaleRegistersError
        return self._outcome(reply, claim)

    async def take_and_claim(
        self,
        pending_take: PendingTake,
        quotas: Iterable[Q],
        asked_keys: Iterable[str] = (),
    ) -> tuple[TakeOutcome, ClaimOutcome[Q]]:
        claim = _Claim([*quotas], [*asked_keys])
        if claim.is_empty:
            return await pending_take.take(), ClaimOutcome(None, [])
        buckets = pending_take.buckets
        assert isinstance(buckets, RedisBuckets), "of the same store"
        keys = (*buckets.keys, *self.keys)
        arguments = buckets.arguments_of(pending_take)
        take_reply, *claim_replies = await self._call(
            scripts.TAKE_AND_CLAIM, keys, arguments, claim
        )
        take = take_of(take_reply)
        if not claim_replies:
            return take, ClaimOutcome(None)
        return take, self._outcome(claim_replies[0], claim)

    async def _call(
        self,
        script: Script,
        keys: tuple[str, ...],
        arguments: Sequence[str | int],
        claim: _Claim[Q],
    ) -> Any:
        """The reply of a *script* that makes the *claim*, whose arguments come after *arguments*.
        Where no reply comes, the claim is revoked."""
        self._client.raise_if_away()
        if self._to_revoke or self._to_revive:
            await self._revoke()
        claim_id = random_digits()
        claim_arguments = claim.arguments(claim_id)
        try:
            return await self._client.call(script, keys, *arguments, *claim_arguments)
        except BaseException:
            if claim.quotas:
                self._revoke_soon(claim_id)
            raise

    def _outcome(self, reply: Sequence[Any], claim: _Claim[Q]) -> ClaimOutcome[Q]:
        """The outcome of *claim* by the *reply* of `CLAIM`. Its counts are kept."""
        index, quota_texts, asked_texts = reply
        counts = _counts(quota_texts)
        self._keep_counts([each.key for each in claim.quotas], counts)
        if index >= 0:
            return ClaimOutcome((claim.quotas[index], counts[index]))
        asked_counts = _counts(asked_texts)
        self._keep_counts(claim.asked_keys, asked_counts)
        return ClaimOutcome(None, asked_counts)

    async def _revoke(self) -> None:
        """Revoke the claims that had no reply, and do `on_revocation` for the quotas whose grants
        are revoked. Raises APIError where Redis does not reply; the next call does the rest. A
        revocation that Redis refuses, or that fails otherwise, is logged and given up, because it
        would make every later claim fail."""
        if ids := self._to_revoke[:MAX_CLAIMS]:
            reply: Sequence[bytes] = ()
            with suppress(RefusedOperationError):
                reply = await self._client.call(
                    scripts.REVOKE, self.keys, self._ttl.seconds, MAX_CLAIMS, *ids
                )
            keys, revoked = [key.decode() for key in reply], {*ids}
            with self._lock:
                self._to_revoke = [each for each in self._to_revoke if each not in revoked]
                for key in keys:
                    self._known.pop(key, None)
                if self._on_revocation:
                    self._to_revive += keys
        for key in [*self._to_revive]:
            assert self._on_revocation, "only then are there keys"
            try:
                await self._on_revocation(key)
            except APIError as error:
                if not isinstance(error, RefusedOperationError):
                    raise
            except Exception:
                logger.exception("A step whose fault was revoked cannot be met again")
            with self._lock, suppress(ValueError):  # another task may have done it, too
                self._to_revive.remove(key)

    def _revoke_soon(self, claim_id: str) -> None:
        """Revoke a claim that had no reply, when Redis replies again."""
        with self._lock:
            self._to_revoke.append(claim_id)
            revocation = self._revocation
            # The loop of an earlier revocation may have ended, and the revocation with it.
            if revocation is None or revocation.done() or revocation.get_loop().is_closed():
                self._revocation = self._client.spawn(self._revoke_all())

    async def _revoke_all(self) -> None:
        """Do all that `_revoke` does, as soon as Redis replies."""
        while True:
            with self._lock:
                if not self._to_revoke and not self._to_revive:
                    self._revocation = None
                    return
            try:
                await self._revoke()
            except APIError:
                await asyncio.sleep(RETRY_SECONDS)

    async def counts(self, keys: Sequence[str]) -> list[ClaimCount]:
        if not keys:
            return []
        counts = _counts(await self._client.call(scripts.COUNTS, self.keys, *keys))
        self._keep_counts(keys, counts)
        return counts

    async def clear(self) -> None:
        await self._client.call(CLEAR, self.keys)
        with self._lock:
            self._known.clear()

    def _keep_counts(self, keys: Sequence[str], counts: Sequence[ClaimCount]) -> None:
        """Keep the *counts* of the first *keys*, unless a later reply came first."""
        with self._lock:
            known = self._known
            for key, count in zip(keys, counts, strict=False):
                if count > known.get(key, _NONE):
                    known.pop(key, None)  # it becomes the latest
                    known[key] = count
            while len(known) > MAX_COUNTS:
                del known[next(iter(known))]


_NONE: Final = ClaimCount()
"""The count of a quota without claims."""


def _counts(texts: Sequence[bytes | None]) -> list[ClaimCount]:
    return [ClaimCount(*map(int, text.split())) if text else ClaimCount() for text in texts]
