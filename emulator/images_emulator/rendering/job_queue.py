"""The job queue: one thread that runs jobs in order. A job that has not begun can be withdrawn."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any, TypeVar

from images_emulator.imaging.memory import keep_memory
from images_emulator.rendering.render_process import RenderFunction, render_files
from images_emulator.threads import DaemonThreadPool

T = TypeVar("T")

_Jobs = OrderedDict[Future[Any], Callable[[RenderFunction], Any]]
"""Jobs by the futures of their results, in the order of their submission."""


class JobQueue:
    """Runs jobs one by one in a thread named *name*, in the order of their submission. Jobs of low
    priority, such as thumbnails, run while no other job waits.

    A job is a function with one argument, a function that renders; this class passes
    `render_files`. Threads may share the queue.
    """

    def __init__(self, name: str) -> None:
        self._jobs: _Jobs = OrderedDict()
        self._low_priority: _Jobs = OrderedDict()
        """The jobs of low priority."""
        self._name = name
        self._lock = Lock()
        self._at_work = False
        """Whether the thread runs a job, or is scheduled to run the next one."""
        self._closed = False
        self._executor: ThreadPoolExecutor | None = None

    @property
    def executor(self) -> ThreadPoolExecutor:
        """The queue's own thread. Raises RuntimeError after `close`."""
        with self._lock:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            if self._executor is None:
                self._executor = DaemonThreadPool(
                    1, thread_name_prefix=self._name, initializer=keep_memory
                )
            return self._executor

    @property
    def pending_count(self) -> int:
        """The number of jobs that have not begun."""
        return len(self._jobs) + len(self._low_priority)

    def submit(
        self, job: Callable[[RenderFunction], T], *, low_priority: bool = False
    ) -> Future[T]:
        """Queue *job* and return the future of its result. One of *low_priority* waits until no
        other job waits. Raises RuntimeError after `close`, or where the queue's own thread was shut
        down, and RuntimeError or MemoryError where the system gives no thread."""
        future: Future[T] = Future()
        begin = False
        try:
            with self._lock:
                waiting, begin = len(self._jobs), not self._at_work
                (self._low_priority if low_priority else self._jobs)[future] = job
                self._at_work = True
            if begin:
                self._schedule(self.executor)
        except BaseException:
            if begin:
                self.cancel_all()
            raise
        if not low_priority:
            self._after_submission(waiting)
        return future

    def _after_submission(self, waiting: int) -> None:
        """Called after each submission of a job that is not of low priority, with the number of
        such jobs that were *waiting* before it."""

    def withdraw(self, future: Future[Any]) -> None:
        """Cancel the job of *future* and remove it from the queue, unless it has begun."""
        if future.cancel():
            with self._lock:
                self._jobs.pop(future, None)
                self._low_priority.pop(future, None)

    def _schedule(self, executor: ThreadPoolExecutor) -> None:
        executor.submit(self._run_and_schedule, executor).add_done_callback(self._cancel_if_failed)

    def _cancel_if_failed(self, run: Future[None]) -> None:
        """Cancel all jobs where a *run* of the thread failed, for want of memory for instance. The
        waiting jobs would otherwise wait for ever."""
        if run.cancelled() or run.exception():
            self.cancel_all()

    def _run_and_schedule(self, executor: ThreadPoolExecutor) -> None:
        """Run one job and schedule the next, so that other calls of the executor have their turn
        in between."""
        self._run_first(render_files)
        with self._lock:
            self._at_work = goes_on = bool(self._jobs or self._low_priority)
        # Another thread may have submitted a job since, and have scheduled it.
        if goes_on:
            self._schedule(executor)

    def _run_first(self, render: RenderFunction, *, may_be_low_priority: bool = True) -> None:
        """Run the first job. Where only jobs of low priority wait, run the first of them if it
        *may_be_low_priority*."""
        with self._lock:
            jobs = self._jobs or (self._low_priority if may_be_low_priority else None)
            if not jobs:
                return  # another thread was faster, or the job was withdrawn
            future, job = jobs.popitem(last=False)
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(job(render))
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is awaited
            future.set_exception(error)

    def close(self) -> None:
        """End the thread, and cancel all jobs that have not begun."""
        with self._lock:
            self._closed = True
        if self._executor:
            self._executor.shutdown(wait=False, cancel_futures=True)
        self._executor = None
        self.cancel_all()

    def cancel_all(self) -> None:
        """Cancel all jobs that have not begun."""
        with self._lock:
            self._at_work = False
            futures = [*self._jobs, *self._low_priority]
            self._jobs.clear()
            self._low_priority.clear()
        for future in futures:
            future.cancel()
