"""Observers of an object. Their tuple is replaced as a whole, so that telling them needs no
lock."""

from __future__ import annotations

from threading import Lock
from typing import Protocol, TypeVar

T = TypeVar("T")


class Observed(Protocol[T]):
    """An object that has observers."""

    observers: tuple[T, ...]


_CHANGE = Lock()
"""Held while a tuple is replaced. Otherwise, of two threads that read the same tuple, one would
lose its observer."""


def add_observer(observed: Observed[T], observer: T) -> None:
    """Add *observer* to those that *observed* tells, once. Any thread may call this."""
    with _CHANGE:
        if observer not in observed.observers:
            observed.observers = (*observed.observers, observer)


def remove_observer(observed: Observed[T], observer: T) -> None:
    """Remove *observer* from those that *observed* tells. Any thread may call this."""
    with _CHANGE:
        observed.observers = tuple(each for each in observed.observers if each != observer)
