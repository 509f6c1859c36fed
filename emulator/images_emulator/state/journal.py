"""The request journal: calls from their arrival on, within a number and a budget of bytes."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final, Protocol

from images_emulator.exchange.exchange import Exchange, Kind
from images_emulator.exchange.packed import pack_exchange, unpack_exchange
from images_emulator.state.store import Codec, Packed, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which entries are asked for; None asks for any.

    *path* is a glob, *prompt* a part of the prompt, *fault* the name of the fault that was met,
    *kind* `call` or `download`.
    """

    method: str | None = None
    path: str | None = None
    model: str | None = None
    status: int | None = None
    key: str | None = None
    prompt: str | None = None
    fault: str | None = None
    kind: Kind | None = None

    def __contains__(self, entry: Exchange) -> bool:
        return (
            (self.kind is None or entry.kind == self.kind)
            and (self.method is None or entry.method == self.method.upper())
            and (self.path is None or fnmatchcase(entry.path, self.path))
            and (self.status is None or entry.status == self.status)
            and (self.fault is None or entry.fault == self.fault)
            and (self.key is None or entry.came_with(self.key))
            and (self.model is None or entry.model == self.model)
            and (self.prompt is None or self.prompt in (entry.prompt or ""))
        )


ANY = Query()
CALLS = Query(kind="call")
DOWNLOADS = Query(kind="download")

MIN_DROPPED_BYTES: Final = 16_384
"""Bytes from which on it is worth while to let go of a body and keep the entry."""


def _pack(exchange: Exchange) -> Packed:
    return Packed(*pack_exchange(exchange))


def _unpack(packed: Packed) -> Exchange:
    return unpack_exchange(packed.document, packed.data)


def _drop_body(exchange: Exchange) -> int:
    exchange.drop_body()
    return exchange.weight


CODEC: Final = Codec(_pack, _unpack)


class JournalObserver(Protocol):
    """Is told of each call as it goes on. Its methods are called on the event loop of the server,
    so they must return at once and raise nothing. The exchange is the server's own, of which any
    thread may read the properties that it names."""

    def arrived(self, exchange: Exchange) -> None:
        """The call is in the journal, and its body is not read yet."""
        ...

    def sent_event(self, exchange: Exchange, index: int) -> None:
        """The event *index* (from 0) of the call's stream leaves."""
        ...

    def completed(self, exchange: Exchange) -> None:
        """The journal has the call whole. The last bytes of its answer leave after this."""
        ...


class Journal:
    """The calls, oldest first. One thread writes, any may read and reset; to read and reset blocks,
    see `Store.run`.

    Past *max_bytes* the bodies and pictures of the oldest calls go, where they weigh something,
    then the calls themselves, as they do past *max_entries*.
    """

    def __init__(self, store: Store, max_entries: int, max_bytes: int) -> None:
        self._store = store
        self._log = store.log(
            "journal", CODEC, max_entries=max_entries, max_bytes=max_bytes, detach=_drop_body
        )
        self.observers: tuple[JournalObserver, ...] = ()
        """Who is told of the calls of this process. Any thread may replace it by another tuple."""

    # Every call awaits these two. Without observers they return the store's coroutine, and are none
    # around it.

    def arrived(self, exchange: Exchange) -> Coroutine[Any, Any, int]:
        """Journal a call that is not answered yet. Gives its number."""
        entered = self._log.append(exchange.id, exchange, exchange.weight)
        return self._arrived(exchange, entered) if self.observers else entered

    def completed(self, exchange: Exchange) -> Coroutine[Any, Any, None]:
        """Journal what became of a call. One that was cleared meanwhile stays forgotten."""
        held_bytes = exchange.compact()
        amended = self._log.amend(
            exchange.id, exchange, exchange.weight, detachable=held_bytes >= MIN_DROPPED_BYTES
        )
        return self._completed(exchange, amended) if self.observers else amended

    def sent_events(self, exchange: Exchange, first: int) -> None:
        """Tell the observers of the events from index *first* on, which leave now."""
        for observer in self.observers:
            for index in range(first, exchange.events):
                observer.sent_event(exchange, index)

    async def _arrived(self, exchange: Exchange, entered: Coroutine[Any, Any, int]) -> int:
        exchange.number = number = await entered
        for observer in self.observers:
            observer.arrived(exchange)
        return number

    async def _completed(self, exchange: Exchange, amended: Coroutine[Any, Any, None]) -> None:
        await amended
        for observer in self.observers:
            observer.completed(exchange)

    async def get(self, identity: str) -> Exchange | None:
        return await self._log.get(identity)

    def find(self, query: Query = ANY) -> list[Exchange]:
        """The calls that *query* asks for, oldest first."""
        calls = self._store.run(self._log.all())
        return calls if query is ANY else [call for call in calls if call in query]

    def dropped(self) -> int:
        """The number of calls that the journal let go of since the last reset."""
        # In this order: a call that arrives meanwhile is none that went.
        count = self._store.run(self._log.count())
        return max(0, count - len(self.find()))

    def page(
        self, query: Query, limit: int, *, since: str | None = None, before: str | None = None
    ) -> tuple[list[Exchange], int]:
        """At most *limit* of the calls that *query* asks for, and how many they are in all.

        They are the newest ones; with *since* the first that came after that call, with *before*
        the last that came before it. Raises KeyError for a call that is not there.
        """
        calls = self.find()
        places = {call.id: place for place, call in enumerate(calls)}
        end = places[before] if before is not None else len(calls)
        start = places[since] + 1 if since is not None else 0
        matching = [call for call in calls[start:end] if call in query]
        return (matching[-limit:] if since is None else matching[:limit]), len(matching)

    def reset(self) -> int:
        """Forget all calls; how many they were."""
        return self._store.run(self._log.clear())

    def __len__(self) -> int:
        return len(self.find())
