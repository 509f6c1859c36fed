"""What was made lately and may be asked for again, within a budget of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Any


class LRUCache:
    """Values by key. Past *budget* bytes those go that were not asked for the longest; a budget
    of 0 keeps nothing. Threads may share it."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.weight = 0
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Hashable) -> Any:
        """The value, or None where there is none."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is None:
                return None
            self._kept.move_to_end(key)
            return kept[0]

    def put(self, key: Hashable, value: Any, weight: int) -> None:
        """Keep *value*, which holds about *weight* bytes, unless that is more than all."""
        if weight > self.budget:
            return
        with self._lock:
            _, before = self._kept.pop(key, (None, 0))
            self._kept[key] = value, weight
            self.weight += weight - before
            while self.weight > self.budget:
                _, (_, oldest) = self._kept.popitem(last=False)
                self.weight -= oldest

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
            self.weight = 0
