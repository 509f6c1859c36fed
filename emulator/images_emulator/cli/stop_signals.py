"""SIGINT and SIGTERM for commands that run a server until one of them comes."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
"""The signals that stop a server."""


def ignore_after_stop(is_stopping: Callable[[], bool]) -> None:
    """Ignore the signals once *is_stopping*. Until then they do what they did before.

    A server has handlers of its own while it runs, and puts these back when it stops. A second
    Ctrl-C that comes then has nothing left to stop, and must not end the process with another exit
    status."""
    for number in STOP_SIGNALS:
        before = signal.getsignal(number)
        if before != signal.SIG_IGN:
            signal.signal(number, _handler(number, before, is_stopping))


def ignore_until_the_end() -> None:
    """Ignore the signals from now on. While Python ends, it takes handlers away, and then a signal
    would kill the process. Ignored ones stay so."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _handler(
    number: signal.Signals, before: Any, is_stopping: Callable[[], bool]
) -> Callable[[int, FrameType | None], None]:
    def handle(_: int, frame: FrameType | None) -> None:
        if is_stopping():
            return
        if callable(before):
            before(number, frame)
        else:
            signal.signal(number, before)
            signal.raise_signal(number)

    return handle
