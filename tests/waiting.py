"""Waits for what another thread does."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from time import monotonic
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], what: str = "it") -> T:
    """Wait until the value of *condition* is true, and return it. After 50 seconds, before pytest
    ends the test, this is an error about *what*."""
    end, pause = monotonic() + 50, Event()
    while not (value := condition()):
        assert monotonic() < end, f"{what} never came true"
        pause.wait(0.01)
    return value
