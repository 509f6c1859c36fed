"""Waits for what another thread does."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event


def until(condition: Callable[[], bool], what: str = "it") -> None:
    """Wait until *condition* holds, for a minute at most; *what* it is about, in the error."""
    deadline = Event()
    for _ in range(6000):
        if condition():
            return
        deadline.wait(0.01)
    raise AssertionError(f"{what} never came true")
