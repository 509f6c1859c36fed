"""A thread pool that does not delay the end of an event loop or of the interpreter."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, ParamSpec, TypeVar
from weakref import ref

logger = logging.getLogger("images_emulator")

P = ParamSpec("P")
T = TypeVar("T")

_Queue = SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]
"""Calls with their futures. None ends one thread."""


class DaemonThreadPool(ThreadPoolExecutor):
    """A pool of up to *max_workers* daemon threads, which are started as they are needed.
    *initializer* runs in each thread; its errors are logged. The threads end with `shutdown`, or
    when the pool is garbage.

    The standard pool's threads are joined when an event loop is closed, and again when Python
    exits. One download that hangs then holds up both. It is the base class only because asyncio
    takes no other kind of default executor.
    """

    def __init__(
        self,
        max_workers: int,
        *,
        thread_name_prefix: str,
        initializer: Callable[[], object] | None = None,
    ) -> None:
        super().__init__(max_workers, thread_name_prefix)
        self._limit = max_workers
        self._name = thread_name_prefix
        self._prepare = initializer
        self._queue: _Queue = SimpleQueue()
        self._unfinished = 0
        """The number of submitted calls that had not ended at the last count."""
        self._ended: SimpleQueue[None] = SimpleQueue()
        """One item for each call that has ended since the last count."""
        self._guard = Lock()
        self._started = 0
        self._closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call *fn* in the next free thread. Raises RuntimeError after `shutdown`, and
        RuntimeError or MemoryError where the system allows no thread at all."""
        future: Future[T] = Future()
        with self._guard:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            while not self._ended.empty():
                self._ended.get()
                self._unfinished -= 1
            if self._started <= self._unfinished and self._started < self._limit:
                self._start()
            self._queue.put((future, partial(fn, *args, **kwargs)))
            self._unfinished += 1
        return future

    def _start(self) -> None:
        """Start one more thread. Raises RuntimeError or MemoryError where the system allows none,
        and the pool has no other."""
        name = f"{self._name}_{self._started}"
        arguments = self._queue, self._ended, self._prepare, self._end_with_pool()
        try:
            Thread(target=_run, args=arguments, name=name, daemon=True).start()
        except (RuntimeError, MemoryError):
            if not self._started:
                raise
        else:
            self._started += 1

    def _end_with_pool(self) -> ref[DaemonThreadPool]:
        """A reference to the pool that ends one thread when the pool is garbage."""
        queue = self._queue
        return ref(self, lambda _: queue.put(None))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls, and end each thread when its call returns, without waiting for
        that."""
        with self._guard:
            self._closed = True
            if cancel_futures:
                with suppress(Empty):
                    while job := self._queue.get_nowait():
                        job[0].cancel()
            for _ in range(self._started):
                self._queue.put(None)


def _run(
    queue: _Queue,
    ended: SimpleQueue[None],
    prepare: Callable[[], object] | None,
    pool: ref[DaemonThreadPool],
) -> None:
    """The main function of a thread. Its reference to the *pool* is weak, because a strong one
    would keep the pool from becoming garbage. A weak reference calls back only while it is alive.
    """
    if prepare:
        try:
            prepare()
        except Exception:
            # Without the thread, the calls in the queue would wait for ever.
            logger.exception("a thread of a pool cannot be prepared")
    while job := queue.get():
        future, call = job
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - it is raised for who waits
                future.set_exception(error)
        # Otherwise a waiting thread would keep arguments and results alive.
        del job, future, call
        # No Python function is called here: an error would end the thread, and its queue would
        # wait.
        ended.put(None)
