"""A cache with a budget, mostly of bytes, that evicts the least recently used value."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Any


class LRUCache:
    """A cache of values by key. Past *budget*, the least recently used values are evicted; a budget
    of 0 caches nothing. The budget is in the unit of the weights: bytes, or 1 for each value.
    Threads may share it."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.weight = 0
        """The sum of the weights that `put` got."""
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable) -> Any:
        """The value of *key*; None where there is none."""
        with self._lock:
            return self._look_up(key)

    def _look_up(self, key: Hashable) -> Any:
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: Hashable, value: Any, weight: int) -> None:
        """Cache *value*, unless *weight* exceeds the budget. The older value of *key* is removed in
        either case.

        In bytes, *weight* is about the number that would be free without key and value. Bytes that
        something else keeps alive do not count; what is attached to the value later counts from the
        start."""
        with self._lock:
            _, replaced = self._entries.pop(key, (None, 0))
            self.weight -= replaced
            if weight > self.budget:
                return
            self._entries[key] = value, weight
            self.weight += weight
            while self.weight > self.budget:
                _, (_, evicted) = self._entries.popitem(last=False)
                self.weight -= evicted

    def clear(self) -> None:
        """Remove all entries."""
        with self._lock:
            self._entries.clear()
            self.weight = 0


class CountingLRUCache(LRUCache):
    """An `LRUCache` that counts its look-ups."""

    def __init__(self, budget: int) -> None:
        super().__init__(budget)
        self.hits = 0
        """The number of look-ups that found a value."""
        self.misses = 0
        """The number of look-ups that found none."""

    def _look_up(self, key: Hashable) -> Any:
        value = super()._look_up(key)
        if value is None:
            self.misses += 1
        else:
            self.hits += 1
        return value
