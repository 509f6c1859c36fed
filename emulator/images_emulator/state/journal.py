"""The request journal: calls from their arrival on, within a number and a budget of bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from operator import eq, getitem
from typing import Any, Final, Literal, Protocol, get_args

from images_emulator.exchange.exchange import Exchange, Kind, Outcome
from images_emulator.exchange.packed import pack_exchange, unpack_exchange
from images_emulator.state.store import Codec, Packed, Store

Texts = str | Sequence[str] | None
"""A value of a filter, or several of which one has to match; None or an empty sequence for any."""

Has = Literal["mask", "inputs", "events", "violations", "retry", "fault", "picture"]
"""Something that a call may have: a mask; input images; events of a stream that were sent;
forgiven violations; an earlier attempt; a fault that it met; a picture that was sent whole."""

_STATUS: Final = re.compile(r"[1-5](\d\d|xx)", re.ASCII)


class FilterError(ValueError):
    """A filter *name* that has no meaning, for a *reason*."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Filters of journal entries. An entry matches if it matches all filters, and of a filter with
    several values one. Raises FilterError.

    *path* and *model* are globs. *status* is a number, or a class such as `4xx`. *prompt* is a part
    of the prompt, *text* a part of prompt, error message, model or id, both in any case. *key* is
    an API key, whole or redacted, *fault* the name of the fault that was met, *kind* `call` or
    `download`; for *outcome* and *has* see `Outcome` and `Has`.
    """

    method: Texts = None
    path: Texts = None
    model: Texts = None
    status: int | str | Sequence[int | str] | None = None
    outcome: Texts = None
    key: Texts = None
    prompt: Texts = None
    text: Texts = None
    fault: Texts = None
    has: Texts = None
    kind: Texts = None

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            for value in _values(getattr(self, name)):
                if value not in choices:
                    raise FilterError(name, f"expected {' or '.join(choices)}, not '{value}'")
        for value in _values(self.status):
            if not _STATUS.fullmatch(str(value).lower()):
                raise FilterError("status", f"expected one such as 404 or 4xx, not '{value}'")

    def __contains__(self, entry: Exchange) -> bool:
        for name, (read, matches) in _FILTERS.items():
            if values := _values(getattr(self, name)):
                found = read(entry)
                if not any(matches(found, value) for value in values):
                    return False
        return True


def _values(value: Any) -> Sequence[Any]:
    """The values of a filter."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str | int) else tuple(value)


def _is_status(status: int | None, value: int | str) -> bool:
    if status is None:
        return False
    wanted, text = str(value).lower(), str(status)
    return text[0] == wanted[0] if wanted.endswith("xx") else text == wanted


def _texts(entry: Exchange) -> Sequence[str]:
    """The texts that the filter `text` searches, in one case."""
    details = entry.details
    texts = (details.prompt, (entry.error or {}).get("message"), details.model, entry.id)
    return [text.casefold() for text in texts if isinstance(text, str)]


def _features(entry: Exchange) -> Mapping[str, bool]:
    details = entry.details
    fields = [upload.field for upload in details.uploads]
    return {
        "mask": "mask" in fields,
        "inputs": any(name.startswith("image") for name in fields),
        "events": entry.events > 0,
        "violations": bool(details.violations),
        "retry": entry.retries > 0,
        "fault": entry.fault is not None,
        "picture": bool(entry.images),
    }


_FILTERS: Final[Mapping[str, tuple[Callable[[Exchange], Any], Callable[[Any, Any], bool]]]] = {
    "kind": (lambda entry: entry.kind, eq),
    "method": (lambda entry: entry.method, lambda method, value: method == value.upper()),
    "path": (lambda entry: entry.path, fnmatchcase),
    "status": (lambda entry: entry.status, _is_status),
    "outcome": (lambda entry: entry.outcome, eq),
    "fault": (lambda entry: entry.fault, eq),
    "key": (lambda entry: entry, lambda entry, value: entry.came_with(value)),
    "has": (_features, getitem),
    "model": (lambda entry: entry.model or "", fnmatchcase),
    "prompt": (
        lambda entry: (entry.prompt or "").casefold(),
        lambda prompt, value: value.casefold() in prompt,
    ),
    "text": (_texts, lambda texts, value: any(value.casefold() in text for text in texts)),
}
"""Two functions by the name of a filter: one reads a value of an entry, for which it may parse the
body; the other tests whether a value of the filter matches it."""

_CHOICES: Final[Mapping[str, Sequence[str]]] = {
    "kind": get_args(Kind),
    "outcome": get_args(Outcome),
    "has": get_args(Has),
}


ANY = Query()
CALLS = Query(kind="call")
DOWNLOADS = Query(kind="download")

MIN_DROPPED_BYTES: Final = 16_384
"""Of an entry with a body of at least so many bytes, the body is dropped before the entry."""


def _pack(exchange: Exchange) -> Packed:
    return Packed(*pack_exchange(exchange))


def _unpack(packed: Packed) -> Exchange:
    return unpack_exchange(packed.document, packed.data)


def _drop_body(exchange: Exchange) -> int:
    exchange.drop_body()
    return exchange.weight


CODEC: Final = Codec(_pack, _unpack)


class JournalObserver(Protocol):
    """Observes the progress of each call. Its methods are called on the event loop of the server,
    so they must return at once and raise nothing. The exchange is the server's own: see its
    docstring for the properties that any thread may read."""

    def arrived(self, exchange: Exchange) -> None:
        """The call is in the journal, and its body is not read yet."""
        ...

    def sent_event(self, exchange: Exchange, index: int) -> None:
        """The event *index* (from 0) of the call's stream leaves."""
        ...

    def completed(self, exchange: Exchange) -> None:
        """The journal has the call whole. The last bytes of its answer leave after this."""
        ...

    def cleared(self) -> None:
        """The journal has forgotten all calls. Unlike the others, this method is called in the
        thread that cleared it."""
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
        """The observers of the calls of this process. Any thread may replace the tuple."""

    # Every call awaits these two. They are plain functions, because without observers they can
    # return the store's own coroutine.

    def arrived(self, exchange: Exchange) -> Coroutine[Any, Any, int]:
        """Journal a call that is not answered yet. Gives its number."""
        entered = self._log.append(exchange.id, exchange, exchange.weight)
        return self._arrived(exchange, entered) if self.observers else entered

    def completed(self, exchange: Exchange) -> Coroutine[Any, Any, None]:
        """Store the completed call. A call that was cleared meanwhile is not stored again."""
        held_bytes = exchange.compact()
        amended = self._log.amend(
            exchange.id, exchange, exchange.weight, detachable=held_bytes >= MIN_DROPPED_BYTES
        )
        return self._completed(exchange, amended) if self.observers else amended

    def sent_events(self, exchange: Exchange, first: int) -> None:
        """Notify the observers of the events from index *first* on, which are sent now."""
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
        """The calls that match *query*, oldest first."""
        calls = self._store.run(self._log.all())
        return calls if query is ANY else [call for call in calls if call in query]

    def dropped(self) -> int:
        """The number of calls that the journal has dropped since the last reset."""
        # In this order: a call that arrives between the two does not count as dropped.
        count = self._store.run(self._log.count())
        return max(0, count - len(self.find()))

    def page(
        self, query: Query, limit: int, *, since: str | None = None, before: str | None = None
    ) -> tuple[list[Exchange], int]:
        """At most *limit* of the calls that match *query*, and the number of all that match.

        They are the newest ones; with *since* the first that came after that call, with *before*
        the last that came before it. Raises KeyError for a call that is not there.
        """
        calls = self.find()
        places = {call.id: place for place, call in enumerate(calls)}
        end = places[before] if before is not None else len(calls)
        start = places[since] + 1 if since is not None else 0
        matching = [call for call in calls[start:end] if call in query]
        return (matching[-limit:] if since is None else matching[:limit]), len(matching)

    def attempts(self, call: Exchange) -> list[Exchange]:
        """The calls of the retry chain of *call*, which is one of them; none where it is alone. An
        attempt follows the last equal call that the SDK has counted one retry less for."""
        chains: list[list[Exchange]] = []
        own: list[Exchange] = []
        for other in self.find():
            if other.kind != "call" or not (other.id == call.id or other.repeats(call)):
                continue
            retries = other.retries
            earlier = (chain for chain in reversed(chains) if chain[-1].retries == retries - 1)
            chain = next(earlier, None) if retries else None
            if chain is None:
                chain = []
                chains.append(chain)
            chain.append(other)
            if other.id == call.id:
                own = chain
        return own if len(own) > 1 else []

    def reset(self) -> int:
        """Forget all calls; how many they were."""
        count = self._store.run(self._log.clear())
        for observer in self.observers:
            observer.cleared()
        return count

    def __len__(self) -> int:
        return len(self.find())
