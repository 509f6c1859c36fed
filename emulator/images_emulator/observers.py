"""Observers of an object, in a tuple that is replaced as a whole: who tells them needs no lock."""

from __future__ import annotations

from threading import Lock
from typing import Protocol, TypeVar

T = TypeVar("T")


class Observed(Protocol[T]):
    """An object that has observers."""

    observers: tuple[T, ...]


_CHANGE = Lock()
"""Held while a tuple is replaced: of two threads that read the same one, the observer of one would
be lost."""


def add_observer(observed: Observed[T], observer: T) -> None:
    """Let *observer* be told by *observed*, once, from now on. Any thread may call this."""
    with _CHANGE:
        if observer not in observed.observers:
            observed.observers = (*observed.observers, observer)


def remove_observer(observed: Observed[T], observer: T) -> None:
    """Let *observer* be told no more. Any thread may call this."""
    with _CHANGE:
        observed.observers = tuple(each for each in observed.observers if each != observer)
