"""Writes lines on a thread of its own, so that a slow or missing reader of the output delays no
call."""

from __future__ import annotations

import errno
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Final, Generic, TypeVar

MAX_WAITING_ITEMS: Final = 1000
"""The most items that wait to be written. Further items are dropped, and counted."""

GATHER_SECONDS: Final = 0.02
"""The time for which items are gathered before they are written. Under load the thread then wakes
50 times a second, and not once a call."""

CLOSE_SECONDS: Final = 0.5
"""The time in which the last lines have to be written at the end."""

FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The errors of a file that takes no more for now: a full disk, a quota, a limit of its length."""

Item = TypeVar("Item")


class LineWriter(Generic[Item]):
    """Writes items to the file descriptor *fd*, as the text with line ends that *render* makes of
    them.

    `put` never blocks, and raises nothing. The thread starts at the first item, or at a later one
    if the system allows no thread before. Where *render* raises an exception, a line says so in
    place of the item.

    Where nobody reads any more, the thread calls *on_broken*, and items are then forgotten. Lines
    that a full disk does not take are dropped; their number is written once it takes lines again.
    Several processes that write to one terminal or pipe each have a *lock* on the same file, so
    that their lines do not mix.
    """

    def __init__(
        self,
        fd: int,
        render: Callable[[Item], str],
        on_broken: Callable[[], None] = lambda: None,
        encoding: str = "utf-8",
        lock: AbstractContextManager[object] | None = None,
    ) -> None:
        self._fd = fd
        self._file_lock = lock or nullcontext()
        self._render = render
        self._on_broken = on_broken
        self._encoding = encoding
        self._items: deque[Item] = deque()
        self._dropped = 0
        self._refused = 0
        """The number of lines that the disk has not taken whole since it became full."""
        self._is_in_line = False
        """Whether the disk took only a part of the last line."""
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._is_idle = True
        """Whether the next item has to wake or start the thread."""
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._is_broken = False

    def put(self, item: Item) -> None:
        """Queue *item* for writing; any thread may call this."""
        if len(self._items) >= MAX_WAITING_ITEMS or self._is_broken:
            with self._lock:
                self._dropped += 1
            return
        self._items.append(item)
        if self._is_idle:
            self._is_idle = False
            if self._thread is None:
                self._start()
            if self._thread is None:
                self._is_idle = True
            self._wake.set()

    def close(self) -> None:
        """Write the waiting items within `CLOSE_SECONDS`, and end the thread."""
        self._closing.set()
        self._wake.set()
        if self._thread:
            self._thread.join(CLOSE_SECONDS)

    def _start(self) -> None:
        """Start the thread, if the system allows one more."""
        # Without the thread, the call that the item is about is answered all the same.
        with self._lock, suppress(RuntimeError, MemoryError):
            if self._thread is None:
                # A daemon thread that waits for a reader does not keep the process running.
                thread = threading.Thread(target=self._run, name="log", daemon=True)
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        try:
            while True:
                self._wake.wait()
                self._wake.clear()
                self._closing.wait(GATHER_SECONDS)
                while text := self._take_text():
                    with self._file_lock:
                        self._write_lines(text)
                if self._closing.is_set():
                    return
                self._is_idle = True
                # Items that were put before that line have not woken the thread.
                if self._items:
                    self._wake.set()
        except OSError:
            self._is_broken = True
            self._items.clear()
            self._on_broken()

    def _take_text(self) -> str:
        """Take the waiting items, and return their text."""
        texts = []
        while True:
            try:
                item = self._items.popleft()
            except IndexError:
                break
            try:
                texts.append(self._render(item))
            except Exception as error:  # noqa: BLE001 - the thread goes on with the next item
                texts.append(f"(1 line cannot be written: {error!r})\n")
        with self._lock:
            dropped, self._dropped = self._dropped, 0
        if dropped:
            texts.append(_dropped_lines(dropped, "the output was not read"))
        return "".join(texts)

    def _write_lines(self, text: str) -> None:
        """Write *text*. Raises OSError where nobody reads."""
        notice = "\n" if self._is_in_line else ""
        if self._refused:
            notice += _dropped_lines(self._refused, "the disk was full")
        before, lines = (part.encode(self._encoding, "backslashreplace") for part in (notice, text))
        data = before + lines
        left = len(self._write(data))
        if taken := data[: len(data) - left]:
            self._is_in_line = not taken.endswith(b"\n")
        if len(taken) >= len(before):
            self._refused = 0
        # A line of which the disk took only a part counts as refused.
        self._refused += lines[max(0, len(taken) - len(before)) :].count(b"\n")

    def _write(self, data: bytes) -> memoryview:
        """Write *data*, and wait for the reader as long as it takes. Return what the disk has no
        room for. Raises OSError where nobody reads."""
        view = memoryview(data)
        while view:
            try:
                written = os.write(self._fd, view)
            except BlockingIOError:
                # Another process has made the terminal or pipe non-blocking.
                self._closing.wait(GATHER_SECONDS)
                if self._closing.is_set():
                    raise
                continue
            except OSError as error:
                if error.errno not in FULL:
                    raise
                break
            view = view[written:]
        return view


def _dropped_lines(count: int, reason: str) -> str:
    """The line in place of *count* dropped lines."""
    lines = "line was" if count == 1 else "lines were"
    return f"({count} {lines} dropped here: {reason})\n"
