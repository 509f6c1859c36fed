"""The request journal: calls from their arrival on, within a number and a budget of bytes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Sequence
from typing import Any, Final, NamedTuple, Protocol

from images_emulator.contract.dialect import OPENAI
from images_emulator.exchange.exchange import EXCHANGE_OVERHEAD_BYTES, Exchange
from images_emulator.exchange.exchange_packing import (
    CompletionPacker,
    pack_arrival,
    unpack_exchange,
)
from images_emulator.exchange.retention import (
    body_and_picture_bytes,
    drop_body_and_pictures,
    drop_unkept,
    weigh_draft,
)
from images_emulator.exchange.served_exchange import ServedExchange
from images_emulator.state.query import ALL_ENTRIES, Query
from images_emulator.state.retry_chain import possible_attempts, retry_chain
from images_emulator.state.store import LogCodec, LogWatcher, Packed, Store

_DIGITS: Final = re.compile("[0-9a-f]{32}")
"""OpenAI's request ids without their prefix."""

MIN_DROPPED_BYTES: Final = 16_384
"""A call that holds fewer bytes (head, body, pictures, and what is kept of its answer) is dropped
whole. Of a larger one body and pictures are dropped first."""

MAX_COPIED_BYTES: Final = 128 * 2**20
"""The weight past which a call goes to a shared store without its body and pictures. Any shared
store is asked by several processes, which wait while it reads a large value. The number is chosen
for Redis, which takes no value of more than 512 MB."""

MAX_DRAFT_BYTES: Final = 2 * 2**20
"""The most bytes of body and pictures of a call that is written for other processes while its
stream goes on. They are written with each event."""


def _pack_arrival(exchange: Exchange) -> Packed:
    return Packed(*pack_arrival(exchange))


def _unpack(packed: Packed) -> Exchange:
    return unpack_exchange(packed.document, packed.data)


def _drop_body_and_pictures(exchange: Exchange) -> int:
    drop_body_and_pictures(exchange)
    return exchange.weight


def journal_codec() -> LogCodec[Exchange]:
    """A codec for the store's log, with a cache of its own."""
    packer = CompletionPacker()
    return LogCodec(_pack_arrival, lambda exchange: Packed(*packer.pack(exchange)), _unpack)


async def _await_after(first: asyncio.Task[None], then: Coroutine[Any, Any, None]) -> None:
    """Await *then* when *first* has ended: done, failed or cancelled."""
    try:
        await asyncio.wait([first])
    finally:
        await then


class JournalSize(NamedTuple):
    """The *calls* that the journal has, about the *bytes* that they take, and the calls that it has
    *dropped* since the last reset."""

    calls: int
    bytes: int
    dropped: int


class UnknownCallError(LookupError):
    """The journal has no call with that *id*."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id


class JournalObserver(Protocol):
    """Observes the progress of each call. Its methods are called on the event loop of the server,
    so they must return at once and raise nothing. The exchange is the server's own: see
    `Exchange` for what other threads may read of it."""

    def on_arrival(self, exchange: ServedExchange) -> None:
        """The call has arrived, and the journal has it unless the store is away. Its body may not
        be read yet."""
        ...

    def on_event(self, exchange: ServedExchange, index: int) -> None:
        """The event *index* (from 0) of the call's stream is about to be sent."""
        ...

    def on_completion(self, exchange: ServedExchange) -> None:
        """The call is over, and the journal has it whole unless the store is away. The last bytes
        of its answer, if it has one, are sent after this."""
        ...

    def on_clear(self) -> None:
        """The journal was reset by this process. Unlike the others, this method is called in the
        thread that reset it."""
        ...


class Journal:
    """The calls, oldest first. They are entered and completed on the event loop of the server, or
    of each server that has this emulator. Any thread may read and reset.

    The coroutines are for the event loop of the server, or for `Store.run`. All other methods that
    read or reset wait for the store by `Store.run`: with a shared store, the thread of the event
    loop must not call them.

    A reader gets an open call of this process as it is now. A call of another process that shares
    the store is as that process wrote it last. While a stream goes on and another process watches,
    a draft of the call, as far as it is, is written with each event: see `notify_events`.

    Past *max_bytes* the journal drops bodies and pictures of the calls that hold
    `MIN_DROPPED_BYTES` or more, those that were completed first, and then the oldest calls. Past
    *max_entries* it drops the oldest calls. A call that alone is past *max_bytes*, or past
    `MAX_COPIED_BYTES` on a shared store, is completed without its body and pictures.
    """

    def __init__(self, store: Store, max_entries: int, max_bytes: int) -> None:
        self._store = store
        self._copies = store.is_shared
        self._max_call_bytes = min(max_bytes, MAX_COPIED_BYTES) if self._copies else max_bytes
        self._log = store.log(
            "journal",
            journal_codec(),
            max_entries=max_entries,
            max_bytes=max_bytes,
            detach=_drop_body_and_pictures,
        )
        self.observers: tuple[JournalObserver, ...] = ()
        """The observers of the calls of this process. `add_observer` adds to them in any thread."""
        self._open_calls: dict[str, ServedExchange] = {}
        """The calls of this process that are not completed, by id, where the store has copies."""
        self._drafts: dict[str, asyncio.Task[None]] = {}
        """The last write to the store for each call whose stream goes on and that other processes
        watch, by the call's id. A write awaits the call's earlier writes."""

    # Every call awaits `append`, and then `complete`. They are plain functions, because they can
    # return the store's own coroutine.

    def append(self, exchange: ServedExchange) -> Coroutine[Any, Any, int]:
        """Enter a call that is not answered yet. Returns its number: see `Exchange.number`. The
        observers are told by `notify_arrival`.

        Whoever calls this must await `complete` in the end, also where entering the call raises or
        is cancelled: a shared store may have the entry all the same, or get it later. Otherwise the
        call waits for its answer for ever."""
        if self._copies:
            self._open_calls[exchange.id] = exchange
        return self._log.append(exchange.id, exchange, exchange.weight)

    def notify_arrival(self, exchange: ServedExchange) -> None:
        """Tell the observers of a call that has arrived."""
        for observer in self.observers:
            observer.on_arrival(exchange)

    def complete(
        self, exchange: ServedExchange, write: asyncio.Future[None] | None = None
    ) -> Coroutine[Any, Any, None]:
        """Store the completed call, and tell the observers, also where this is cancelled. A call
        that a reset has cleared meanwhile, or that was dropped, is not stored again.

        The *write* is awaited, too. Where it fails, its exception is raised, and the
        observers are not told. The caller then completes the call again, with another answer, and
        processes that watch may have seen it complete with the first one."""
        drop_unkept(exchange, copied=self._copies)
        detachable = exchange.weight - EXCHANGE_OVERHEAD_BYTES >= MIN_DROPPED_BYTES
        if detachable and exchange.weight > self._max_call_bytes:
            drop_body_and_pictures(exchange)
            detachable = False
        amend = self._log.amend(exchange.id, exchange, exchange.weight, detachable=detachable)
        if self._drafts and (draft := self._drafts.pop(exchange.id, None)):
            amend = _await_after(draft, amend)
        if self._copies or self.observers or write:
            return self._complete(exchange, amend, write)
        return amend

    @property
    def is_observed(self) -> bool:
        """Whether there are observers in this process, or watchers in another one, to be told of
        the events of streams."""
        return bool(self.observers) or self._log.is_watched

    def notify_events(self, exchange: ServedExchange, first: int) -> None:
        """Tell the observers, and processes that watch, of the events that are sent now: those from
        index *first* on."""
        for observer in self.observers:
            for index in range(first, exchange.event_count):
                observer.on_event(exchange, index)
        if not self._log.is_watched:
            return
        droppable_bytes = body_and_picture_bytes(exchange)
        if droppable_bytes <= MAX_DRAFT_BYTES:
            weigh_draft(exchange)
            for index in range(first, exchange.event_count):
                draft = self._log.amend(
                    exchange.id,
                    exchange,
                    exchange.weight,
                    detachable=droppable_bytes >= MIN_DROPPED_BYTES,
                    event_index=index,
                )
                if before := self._drafts.get(exchange.id):
                    draft = _await_after(before, draft)
                self._drafts[exchange.id] = asyncio.ensure_future(draft)

    async def watch(self, watcher: LogWatcher) -> None:
        """Tell *watcher* of changes of calls by other processes, until this is cancelled. The
        `event_index` of a change is the index (from 0) of an event that a stream has sent."""
        await self._log.watch(watcher)

    async def _complete(
        self,
        exchange: ServedExchange,
        amend: Coroutine[Any, Any, None],
        write: asyncio.Future[None] | None,
    ) -> None:
        try:
            await amend
            if write:
                await write
        except asyncio.CancelledError:
            # Nobody completes a cancelled call again, and the log sends what it has begun to write.
            self._notify_completion(exchange)
            raise
        finally:
            self._open_calls.pop(exchange.id, None)
        self._notify_completion(exchange)

    def _notify_completion(self, exchange: ServedExchange) -> None:
        for observer in self.observers:
            observer.on_completion(exchange)

    async def get(self, call_id: str) -> Exchange | None:
        """The call with the id *call_id*, which may lack the prefix, as `x-request-id` does on some
        days. None where there is no such call."""
        if _DIGITS.fullmatch(call_id):
            call_id = OPENAI.request_id(call_id)
        # Before and after: a call may arrive or be completed while it is read.
        own = self._open_calls.get(call_id)
        entry = await self._log.get(call_id)
        if entry is None:
            return None
        return own or self._open_calls.get(call_id, entry)

    def get_all(self, call_ids: Sequence[str]) -> list[Exchange | None]:
        """The calls with these ids, each as `get` gives it. Blocks."""

        async def get_each() -> list[Exchange | None]:
            return [*await asyncio.gather(*map(self.get, call_ids))]

        if not self._store.is_shared:
            return [self._store.run(self.get(each)) for each in call_ids]
        return self._store.run(get_each())

    async def arrived_count(self) -> int:
        """The number of calls since the last reset, including those that were dropped."""
        return await self._log.added_count()

    def find(self, query: Query = ALL_ENTRIES) -> list[Exchange]:
        """The calls that match *query*, oldest first. Blocks."""
        if not query.has_filters:
            return self._read_with_open_calls(self._log.all())
        return self.read_whole(self.summaries(query))

    def summaries(self, query: Query = ALL_ENTRIES) -> list[Exchange]:
        """The calls that match *query*, oldest first. On a shared store they may be without bodies
        and uploads: `read_whole` reads these. Blocks."""
        return query.matching(self._read_with_open_calls(self._log.summaries()))

    def read_whole(self, exchanges: Sequence[Exchange]) -> list[Exchange]:
        """Read the *exchanges* that are still there, with all that is kept of them. Blocks."""
        if not self._copies:
            return [*exchanges]
        entries = self.get_all([exchange.id for exchange in exchanges])
        return [exchange for exchange in entries if exchange]

    def _read_with_open_calls(self, read: Coroutine[Any, Any, list[Exchange]]) -> list[Exchange]:
        """Run *read*, and return the calls that it gives. Open calls of this process are as they
        are now, not as they arrived. Blocks."""
        # Before and after: a call may arrive or be completed while it is read.
        own = {**self._open_calls}
        exchanges = self._store.run(read)
        own |= self._open_calls
        return [own.get(exchange.id, exchange) for exchange in exchanges] if own else exchanges

    def dropped_count(self) -> int:
        """The number of calls that the journal has dropped since the last reset."""
        return self._store.run(self.size()).dropped

    async def size(self) -> JournalSize:
        """The size of the journal; at most two round trips on a shared store."""
        # In this order: a call that arrives between the two does not count as dropped.
        count, kept = await self._log.added_count(), await self._log.size()
        return JournalSize(kept.number, kept.weight, max(0, count - kept.number))

    def page(
        self, query: Query, limit: int, *, since: str | None = None, before: str | None = None
    ) -> tuple[list[Exchange], int]:
        """At most *limit* (from 1) of the calls that match *query*, oldest first, and the number of
        all that match.

        The calls are the newest ones. With *since* they are the first ones after the call with that
        id, with *before* the last ones before the call with that id. With either, the number counts
        only the matching calls after *since* and before *before*. Raises UnknownCallError for an id
        that is not in the journal.
        """
        if not query.has_filters and since is None and before is None:
            total = len(self)
            newest = self._read_with_open_calls(self._log.newest(limit))
            # Fewer where the store has entries that it leaves out.
            if len(newest) >= min(limit, total):
                return newest, max(total, len(newest))
        exchanges = self.summaries()
        start, end = 0, len(exchanges)
        if since is not None or before is not None:
            indexes = {exchange.id: index for index, exchange in enumerate(exchanges)}
            for call_id in (since, before):
                if call_id is not None and call_id not in indexes:
                    raise UnknownCallError(call_id)
            start = indexes[since] + 1 if since is not None else start
            end = indexes[before] if before is not None else end
        matches = query.matching(exchanges[start:end])
        page = matches[-limit:] if since is None else matches[:limit]
        return self.read_whole(page), len(matches)

    def attempts(self, exchange: Exchange) -> list[Exchange]:
        """The calls of the retry chain of *exchange*; see `retry_chain`."""
        exchanges = possible_attempts(self.summaries(), exchange)
        return retry_chain(self.read_whole(exchanges), exchange) if exchanges else []

    async def clear_log(self) -> int:
        """Remove all calls, without telling the observers. Returns the number of calls."""
        return await self._log.clear()

    def clear(self) -> int:
        """Remove all calls, and tell the observers. Returns the number of calls."""
        count = self._store.run(self.clear_log())
        for observer in self.observers:
            observer.on_clear()
        return count

    def __len__(self) -> int:
        return self._store.run(self._log.size()).number
