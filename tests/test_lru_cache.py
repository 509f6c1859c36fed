"""The LRU cache: its budget, and what it evicts."""

from __future__ import annotations

from random import Random

import pytest

from images_emulator.lru_cache import LRUCache


def test_the_least_recently_used_is_evicted_first() -> None:
    cache = LRUCache(30)
    for name in "abc":
        cache.put(name, name.upper(), 10)
    assert cache.get("a") == "A"
    cache.put("d", "D", 10)
    assert [cache.get(name) for name in "abcd"] == ["A", None, "C", "D"]


def test_a_replaced_value_weighs_once() -> None:
    cache = LRUCache(100)
    cache.put("a", 1, 60)
    cache.put("a", 2, 50)
    assert (cache.get("a"), cache.weight, len(cache)) == (2, 50, 1)


@pytest.mark.parametrize("budget", [0, 10])
def test_a_value_above_the_budget_is_not_cached(budget: int) -> None:
    cache = LRUCache(budget)
    cache.put("a", 1, 1)
    cache.put("b", 2, 11)
    assert cache.get("b") is None
    assert cache.get("a") == (1 if budget else None)


def test_a_value_above_the_budget_leaves_no_older_one() -> None:
    cache = LRUCache(10)
    cache.put("a", 1, 4)
    cache.put("a", 2, 11)
    assert (cache.get("a"), cache.weight, len(cache)) == (None, 0, 0)


def test_the_budget_is_never_exceeded() -> None:
    chance, cache = Random(1), LRUCache(1000)
    for _ in range(5000):
        cache.put(chance.randrange(300), None, chance.randrange(1, 200))
        assert 0 <= cache.weight <= 1000
    cache.clear()
    assert (cache.weight, len(cache)) == (0, 0)
