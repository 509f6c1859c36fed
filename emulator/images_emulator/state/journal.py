"""The request journal: each call on arrival and on completion, bounded by entries and by bytes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from fnmatch import fnmatchcase
from threading import Lock
from typing import Final

from images_emulator.exchange.exchange import Exchange, Kind


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


class Journal:
    """What has been called, oldest first. One thread writes, any may read and reset.

    Past *max_bytes* the heavy bodies and pictures of the oldest entries go, then the entries
    themselves, as they do past *max_entries*.
    """

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self._lock = Lock()
        self._entries: OrderedDict[str, Exchange] = OrderedDict()
        self._with_body: OrderedDict[str, Exchange] = OrderedDict()
        self._weight = 0

    @property
    def weight(self) -> int:
        """Bytes that it holds, about."""
        return self._weight

    def arrived(self, entry: Exchange) -> None:
        """Keep a call that has come and is not answered yet."""
        with self._lock:
            self._entries[entry.id] = entry
            self._weight += entry.weight
            self._shrink()

    def completed(self, entry: Exchange) -> None:
        """Weigh a call that has been answered. One that was cleared meanwhile stays forgotten."""
        with self._lock:
            if self._entries.get(entry.id) is not entry:
                return
            held = entry.compact()
            self._weight += held
            if held >= MIN_DROPPED_BYTES:
                self._with_body[entry.id] = entry
            self._shrink()

    def find(self, query: Query = ANY) -> list[Exchange]:
        """The entries that *query* asks for, oldest first."""
        with self._lock:
            entries = list(self._entries.values())
        return entries if query is ANY else [entry for entry in entries if entry in query]

    def page(
        self, query: Query, limit: int, *, since: str | None = None, before: str | None = None
    ) -> tuple[list[Exchange], int]:
        """At most *limit* of the entries that *query* asks for, and how many they are in all.

        They are the newest ones; with *since* the first that came after that entry, with *before*
        the last that came before it. Raises KeyError for an entry that is not there.
        """
        entries = self.find()
        places = {entry.id: place for place, entry in enumerate(entries)}
        end = places[before] if before is not None else len(entries)
        start = places[since] + 1 if since is not None else 0
        found = [entry for entry in entries[start:end] if entry in query]
        return (found[-limit:] if since is None else found[:limit]), len(found)

    def get(self, identity: str) -> Exchange | None:
        return self._entries.get(identity)

    def reset(self) -> int:
        """Forget all entries; how many they were."""
        with self._lock:
            count = len(self._entries)
            self._entries.clear()
            self._with_body.clear()
            self._weight = 0
            return count

    def __len__(self) -> int:
        return len(self._entries)

    def _shrink(self) -> None:
        while self._weight > self.max_bytes and self._with_body:
            _, entry = self._with_body.popitem(last=False)
            self._weight -= entry.weight
            entry.drop_body()
            self._weight += entry.weight
        while self._weight > self.max_bytes or len(self._entries) > self.max_entries:
            identity, entry = self._entries.popitem(last=False)
            self._with_body.pop(identity, None)
            self._weight -= entry.weight
