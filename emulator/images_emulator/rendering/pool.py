"""The render pool: a queue of jobs for one thread, and render processes that join it under load."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import Lock
from typing import Any, Final, TypeVar

from images_emulator.contract.request import ImageRequest
from images_emulator.imaging.memory import keep_memory
from images_emulator.rendering.process import (
    ProcessGoneError,
    Render,
    Rendered,
    RenderProcess,
    render,
)
from images_emulator.threads import DaemonThreadPool

T = TypeVar("T")

BUSY_JOBS: Final = 32
"""Start a render process after this many consecutive submissions that found a queue: starting one
costs about as much as rendering 32 images of 1024×1024."""


class RenderPool:
    """Runs jobs in the order of their submission, each once.

    A job is a function that is given the means to render: `render` in the pool's own thread, or a
    render process. There is one thread: rendering holds the interpreter lock, so a second one would
    make it slower, and on the event loop it would hold up every other call. While jobs queue, up to
    *max_processes* render processes join, each with a thread that waits for it. The pool's threads
    are named *name*. Threads may share it.
    """

    def __init__(self, max_processes: int, name: str = "render") -> None:
        self._jobs: OrderedDict[Future[Any], Callable[[Render], Any]] = OrderedDict()
        self._name = name
        self._lock = Lock()
        self._at_work = False
        self._busy_submissions = 0
        self._closed = False
        self._own: ThreadPoolExecutor | None = None
        self._threads: ThreadPoolExecutor | None = None
        self.processes = [RenderProcess() for _ in range(max_processes)]
        self._idle = [*self.processes]

    @property
    def executor(self) -> ThreadPoolExecutor:
        """The pool's own thread. Raises RuntimeError after `close`."""
        with self._lock:
            self._check_open()
            if self._own is None:
                self._own = DaemonThreadPool(
                    1, thread_name_prefix=self._name, initializer=keep_memory
                )
            return self._own

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("cannot schedule new futures after shutdown")

    def submit(self, job: Callable[[Render], T]) -> Future[T]:
        """Queue *job* and return the future of its result. Raises RuntimeError after `close`, or
        where the pool's own thread was shut down."""
        future: Future[T] = Future()
        with self._lock:
            self._check_open()
            waiting, begin = len(self._jobs), not self._at_work
            self._jobs[future] = job
            self._at_work = True
        if begin:
            self._schedule(self.executor)
        if self._busy_submissions < BUSY_JOBS:
            self._busy_submissions = self._busy_submissions + 1 if waiting else 0
        elif waiting and self._idle:
            # The system may allow no further thread.
            with suppress(RuntimeError):
                self._add_process(self._idle.pop())
        return future

    def withdraw(self, future: Future[Any]) -> None:
        """Cancel the job of *future* and remove it from the queue, unless it has begun."""
        if future.cancel():
            with self._lock:
                self._jobs.pop(future, None)

    def _schedule(self, executor: ThreadPoolExecutor) -> None:
        try:
            executor.submit(self._run_one, executor)
        except RuntimeError:
            self.cancel_all()
            raise

    def _run_one(self, executor: ThreadPoolExecutor) -> None:
        """Run one job and schedule the next, so that other calls of the executor have their turn
        in between."""
        self._run_next(render)
        with self._lock:
            self._at_work = bool(self._jobs)
        if self._at_work:
            self._schedule(executor)

    def _run_next(self, means: Render) -> None:
        with self._lock:
            if not self._jobs:
                return  # another thread was faster, or the job was withdrawn
            future, job = self._jobs.popitem(last=False)
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(job(means))
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is awaited
            future.set_exception(error)

    def _add_process(self, process: RenderProcess) -> None:
        with self._lock:
            self._check_open()
            if self._threads is None:
                self._threads = DaemonThreadPool(
                    len(self.processes), thread_name_prefix=f"{self._name}-process"
                )
            threads = self._threads
        threads.submit(self._run_jobs_in, process)

    def _run_jobs_in(self, process: RenderProcess) -> None:
        """Run jobs in *process* until the queue is empty, if the process can be started."""
        if process.start():
            means = _render_in(process)
            while self._jobs:
                self._run_next(means)
            self._idle.append(process)

    def close(self) -> None:
        """End the threads and the processes, and cancel all jobs that have not begun."""
        with self._lock:
            self._closed = True
        for executor in (self._own, self._threads):
            if executor:
                executor.shutdown(wait=False, cancel_futures=True)
        self._own = self._threads = None
        self.cancel_all()
        for process in self.processes:
            process.close()

    def cancel_all(self) -> None:
        """Cancel all jobs that have not begun."""
        with self._lock:
            self._at_work = False
            futures = [*self._jobs]
            self._jobs.clear()
        for future in futures:
            future.cancel()


def _render_in(process: RenderProcess) -> Render:
    """Rendering in *process*, or in the calling thread where it has gone."""

    def rendered(request: ImageRequest, index: int, partial: int | None) -> Rendered:
        try:
            return process.render(request, index, partial)
        except ProcessGoneError:
            return render(request, index, partial)

    return rendered
