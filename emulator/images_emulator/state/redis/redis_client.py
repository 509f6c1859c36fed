"""The client of the store in Redis: runs scripts, and notices when Redis goes and is back, as after
a failover."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import Any, Final, Protocol, TypeVar
from weakref import WeakSet, finalize

from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import RedisError

from images_emulator.contract import emulator_errors
from images_emulator.contract.refusal import APIError
from images_emulator.setting_values import without_credentials
from images_emulator.state.redis.event_loop_thread import EventLoopThread
from images_emulator.state.redis.redis_address import RedisAddress
from images_emulator.state.redis.redis_connection import FAILURES
from images_emulator.state.redis.redis_pool import RedisPools
from images_emulator.state.redis.redis_scripts import TOUCH, Script
from images_emulator.state.redis.redis_subscription import messages
from images_emulator.state.store import (
    StoreAway,
    StoreBack,
    StoreEvent,
    StoreEventObserver,
    StoreOperationObserver,
    StoreRestored,
)

T = TypeVar("T")

logger = logging.getLogger("images_emulator")

RETRY_SECONDS: Final = 0.25
"""Seconds after a failure in which no operation asks Redis. Then one operation asks, and the others
fail until it has a reply."""

MAX_REFUSALS: Final = 100
"""The most refusals that the program's log has of one store."""

NO_MEMORY: Final = "OOM"
"""The first word of the error of a Redis that has no more memory."""


def _reason(error: Exception) -> str:
    """The reason for the failure of an operation: in the system's words where the system gave no
    connection, else in the words of Redis or its client."""
    cause = error.__context__
    if isinstance(cause, OSError) and cause.errno and cause.strerror:
        # The system's error numbers begin at 1. asyncio has replaced its words by the address.
        return os.strerror(cause.errno) if cause.errno > 0 else cause.strerror
    if isinstance(error, MasterNotFoundError):
        # The representations of all sentinels and what each said follow.
        return str(error).partition(" : ")[0]
    return str(error).rstrip(".") or type(error).__name__


@dataclass(slots=True)
class _Outage:
    """A time in which Redis does not do what it is asked to do."""

    since: float
    """Its begin, by `monotonic`."""
    late_entries: int = 0
    """Entries of logs that wait for its end."""
    dropped_entries: int = 0
    """Entries that have waited, and were dropped."""


class RefusedOperationError(APIError):
    """The `store_unavailable` of an operation to which Redis has replied with an error. Redis may
    do others."""


class Recovery(Protocol):
    """An object that has to catch up after Redis was away."""

    async def recover(self) -> None:
        """Read what this object has missed, and write what Redis has missed. Raises APIError where
        Redis does not reply. Any other exception is logged, and the object recovers after the
        next outage only."""
        ...


class RedisClient:
    """Runs scripts on the Redis at *url*, from any event loop and any thread.

    An operation to which Redis does not reply raises the APIError `store_unavailable`. So do all
    operations within the next `RETRY_SECONDS`, at once, so a call that needs no store is not
    delayed. From then on the client asks Redis until it replies, even if no call arrives.

    An operation that Redis refuses raises RefusedOperationError. The log has a warning, but not
    again for the same reason: a value that Redis does not take may come with each call.
    """

    def __init__(self, url: str) -> None:
        self.observers: tuple[StoreOperationObserver, ...] = ()
        """The observers of each operation, which get the name of its script; see `add_observer`."""
        self.event_observers: tuple[StoreEventObserver, ...] = ()
        """The observers that are told when Redis goes, is back, or is restored; see
        `observe_events`."""
        self._url = url
        self._pools = RedisPools(url)
        self.is_cluster = RedisAddress(url).is_cluster
        """Whether the keys are on several nodes."""
        self._thread: EventLoopThread | None = None
        """Runs the work of synchronous callers; None before the first work, and after `close`."""
        self._abandoned: finalize[..., RedisClient] | None = None
        """Ends that thread where this object is garbage."""
        self._lock = Lock()
        """Held while work is submitted to `_thread` and while `_thread` is replaced, so that no
        work is submitted to a thread that ends. Also held while `event_observers` and `_recoveries`
        are added or read, and while `_outage`, `_recovery` and `_registers_restored` change."""
        self._recoveries: WeakSet[Recovery] = WeakSet()
        """The objects that recover when Redis replies again."""
        self._recovery: asyncio.Task[None] | None = None
        """The task that waits for a reply, on the loop of an operation that failed."""
        self._outage: _Outage | None = None
        """The outage, from the first failure to the end of the recovery."""
        self._registers_restored = False
        """Whether registers were restored, and the observers are not told yet."""
        self._reason = ""
        """Why the last operation failed; empty where it did not. Operations of any loop set it and
        `_next_attempt` without regard to each other: the last one counts."""
        self._next_attempt = 0.0
        """The time of `monotonic` from which on Redis is asked again after a failure."""
        self._refusals: set[tuple[str, str]] = set()
        """The scripts that Redis has refused, by name, each with a reason that was logged."""

    @property
    def failure(self) -> APIError | None:
        """The error of the last operation, if Redis has not replied to it."""
        reason = self._reason
        return self._error(reason) if reason else None

    def raise_if_away(self) -> None:
        """Raises APIError where an operation would not be sent now. `_ask` sends those that make
        room in a full Redis all the same."""
        reason = self._reason
        if reason and monotonic() < self._next_attempt:
            raise self._error(reason)

    async def call(
        self, script: Script, keys: tuple[str, ...], *arguments: str | bytes | int
    ) -> Any:
        """Run *script* and return the reply. Raises APIError where Redis does not reply, and
        RefusedOperationError where the reply is an error."""
        if not self.observers:
            return await self._ask(script, keys, arguments)
        with ExitStack() as observations:
            for observer in self.observers:
                observations.enter_context(observer(script.name))
            return await self._ask(script, keys, arguments)

    async def call_soon(
        self, script: Script, keys: tuple[str, ...], *arguments: str | bytes | int
    ) -> Any:
        """Do what `call` does, but send the script with the next operation, or after
        `redis_pool.SOON_SECONDS`. The observers do not see it."""
        return await self._ask(script, keys, arguments, soon=True)

    async def _ask(
        self,
        script: Script,
        keys: tuple[str, ...],
        arguments: Sequence[str | bytes | int],
        *,
        soon: bool = False,
    ) -> Any:
        pool = self._pools.for_running_loop()
        if self._reason:
            if not (script.frees_memory and self._reason.startswith(NO_MEMORY)):
                self.raise_if_away()
            self._next_attempt = monotonic() + pool.timeout + RETRY_SECONDS
            # The loop of an earlier recovery may have ended, and the recovery with it.
            self._recover_soon()
        try:
            reply = await pool.call(script, keys, arguments, soon=soon)
        except FAILURES as error:
            self._note_failure(error)
            raise self._error(_reason(error)) from None
        except RedisError as error:
            self._reason = ""
            raise self._refusal(script, error) from None
        except BaseException:
            self._next_attempt = 0.0
            raise
        self._reason = ""
        return reply

    def _note_failure(self, error: Exception) -> None:
        """Note that an operation has failed, and begin to wait for the recovery."""
        with self._lock:
            self._reason = _reason(error)
            self._next_attempt = monotonic() + RETRY_SECONDS
            begins = self._outage is None
            if begins:
                self._outage = _Outage(monotonic())
        if begins:
            self._tell(StoreAway(without_credentials(self._url), self._reason))
        self._recover_soon()

    def observe_events(self, observer: StoreEventObserver) -> None:
        """Tell *observer* of each outage from now on. Any thread may call this."""
        with self._lock:
            self.event_observers = (*self.event_observers, observer)

    def recover_later(self, recovery: Recovery) -> None:
        """Let *recovery* recover whenever Redis replies again, until it is garbage."""
        with self._lock:
            self._recoveries.add(recovery)

    def note_late_entries(self, late: int, dropped: int) -> None:
        """Add *late* to the number of late entries. Count *dropped* of the late ones as dropped,
        and no longer as late."""
        with self._lock:
            if outage := self._outage:
                outage.late_entries += late - dropped
                outage.dropped_entries += dropped

    def note_restored(self) -> None:
        """Note that registers which Redis had lost were restored. The observers are told when the
        registers of all stores with these connections are restored."""
        with self._lock:
            self._registers_restored = True
        self._recover_soon()

    def _recover_soon(self) -> None:
        """Recover on the running loop, unless a recovery is under way."""
        with self._lock:
            recovery = self._recovery
            if recovery and not (recovery.done() or recovery.get_loop().is_closed()):
                return
            self._recovery = self._pools.for_running_loop().spawn(self._recover())

    async def _recover(self) -> None:
        """Wait until Redis replies, and let all objects recover that need it. Then tell the
        observers."""
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            await self._recover_all()
            with self._lock:
                if not self._reason:
                    self._recovery = None
                    outage, self._outage = self._outage, None
                    is_restored, self._registers_restored = self._registers_restored, False
                    break
        url = without_credentials(self._url)
        if outage:
            seconds = monotonic() - outage.since
            self._tell(StoreBack(url, seconds, outage.late_entries, outage.dropped_entries))
        if is_restored:
            self._tell(StoreRestored(url))

    async def _recover_all(self) -> None:
        """Ask Redis whether it replies. Then let one object after the other recover, as long as it
        does."""
        if self._reason:
            try:
                await self._ask(TOUCH, (), (1,))
            except APIError:
                return
        with self._lock:
            recoveries = [*self._recoveries]
        for recovery in recoveries:
            try:
                await recovery.recover()
            except APIError:
                if self._reason:
                    return
            except Exception:
                logger.exception("The recovery from an outage of the store has failed")

    def _tell(self, event: StoreEvent) -> None:
        for observer in self.event_observers:
            observer(event)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run *work* on the running event loop, as long as its connections are not closed."""
        return self._pools.for_running_loop().spawn(work)

    def messages(self, channel: str) -> AsyncGenerator[bytes | None, None]:
        """The messages that are published on *channel*; see `redis_subscription.messages`."""
        return messages(self._url, channel)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run *work* on a loop of this object and return its result. Blocks."""
        with self._lock:
            if self._thread is None:
                self._thread = EventLoopThread(
                    "images-emulator store", self._pools.close_of_running_loop
                )
                # A client that is garbage leaves no thread.
                self._abandoned = finalize(self, self._thread.begin_to_stop)
                self._abandoned.atexit = False
            future = self._thread.submit(work)
        return future.result()

    async def disconnect(self) -> None:
        """Close the connections of the running event loop. A later operation opens others."""
        await self._pools.close_of_running_loop()

    def close(self) -> None:
        """Close the connections of all loops that run, and end the thread when it has done its
        work."""
        with self._lock:
            thread, self._thread = self._thread, None
            if self._abandoned:
                self._abandoned.detach()
        if thread:
            thread.stop()
        self._pools.close()

    def _error(self, reason: str) -> APIError:
        return emulator_errors.store_unavailable(url=without_credentials(self._url), reason=reason)

    def _refusal(self, script: Script, error: RedisError) -> RefusedOperationError:
        """The exception for the *error* with which Redis has replied to *script*."""
        name, reason, url = script.name, _reason(error), without_credentials(self._url)
        if (name, reason) not in self._refusals and len(self._refusals) < MAX_REFUSALS:
            self._refusals.add((name, reason))
            logger.warning("The store %s has refused the operation %s: %s", url, name, reason)
        unavailable = emulator_errors.store_unavailable(url=url, reason=reason)
        return RefusedOperationError(unavailable.newest, unavailable.refusal, unavailable.values)
