"""Waits for what another thread does."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], what: str = "it") -> T:
    """Wait until the value of *condition* is true, for a minute at most, and return it. *what* it
    is about, in the error."""
    deadline = Event()
    for _ in range(6000):
        if value := condition():
            return value
        deadline.wait(0.01)
    raise AssertionError(f"{what} never came true")
