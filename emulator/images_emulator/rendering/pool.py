"""Who draws: one thread of the server's own, and processes that join it under load."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import Lock
from typing import Any, Final, TypeVar

from images_emulator.contract.request import ImageRequest
from images_emulator.imaging.memory import keep_memory
from images_emulator.rendering.process import Draw, Drawn, ProcessGoneError, RenderProcess, draw
from images_emulator.threads import DaemonThreadPool

T = TypeVar("T")

BUSY_JOBS: Final = 32
"""Jobs in a row that find others waiting, before a process is worth its start: it takes as long as
to draw so many pictures of 1024²."""


class RenderPool:
    """Does jobs in the order in which they come, each once.

    Drawing holds the interpreter lock: a second thread would make it slower, and on the event loop
    it would hold up every other call. Where jobs queue, at most *helpers* processes join, each
    behind a thread that waits for it.
    """

    def __init__(self, helpers: int, name: str = "renderer") -> None:
        self._jobs: OrderedDict[Future[Any], Callable[[Draw], Any]] = OrderedDict()
        self._name = name
        self._lock = Lock()
        self._at_work = False
        self._pressed = 0
        self._closed = False
        self._own: ThreadPoolExecutor | None = None
        self._threads: ThreadPoolExecutor | None = None
        self.processes = [RenderProcess() for _ in range(helpers)]
        self._idle = [*self.processes]

    @property
    def executor(self) -> ThreadPoolExecutor:
        """The server's own thread. Raises RuntimeError after `close`."""
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

    def submit(self, job: Callable[[Draw], T]) -> Future[T]:
        """Have *job* done by the next who is free, with the means to draw that this one has. Raises
        RuntimeError where the server's own thread has been shut down, or after `close`."""
        future: Future[T] = Future()
        with self._lock:
            self._check_open()
            waiting, begin = len(self._jobs), not self._at_work
            self._jobs[future] = job
            self._at_work = True
        if begin:
            self._turn(self.executor)
        if self._pressed < BUSY_JOBS:
            self._pressed = self._pressed + 1 if waiting else 0
        elif waiting and self._idle:
            # A thread may be one more than the system allows.
            with suppress(RuntimeError):
                self._join(self._idle.pop())
        return future

    def withdraw(self, future: Future[Any]) -> None:
        """Cancel the job behind *future* and remove it from the queue, unless it has begun."""
        if future.cancel():
            with self._lock:
                self._jobs.pop(future, None)

    def _turn(self, executor: ThreadPoolExecutor) -> None:
        try:
            executor.submit(self._work, executor)
        except RuntimeError:
            self.cancel_all()
            raise

    def _work(self, executor: ThreadPoolExecutor) -> None:
        """One job at a time, so that what else is asked of the thread has its turn."""
        self._next(draw)
        with self._lock:
            self._at_work = bool(self._jobs)
        if self._at_work:
            self._turn(executor)

    def _next(self, means: Draw) -> None:
        with self._lock:
            if not self._jobs:
                return  # another thread was faster, or the job was withdrawn
            future, job = self._jobs.popitem(last=False)
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(job(means))
        except BaseException as error:  # noqa: BLE001 - it is raised for who waits
            future.set_exception(error)

    def _join(self, process: RenderProcess) -> None:
        with self._lock:
            self._check_open()
            if self._threads is None:
                self._threads = DaemonThreadPool(len(self.processes), thread_name_prefix="helper")
            threads = self._threads
        threads.submit(self._run_process, process)

    def _run_process(self, process: RenderProcess) -> None:
        """Do jobs as long as there are any, if the process can be had at all."""
        if process.ready():
            while self._jobs:
                self._next(_render_or_fall_back(process))
            self._idle.append(process)

    def close(self) -> None:
        """Let the threads go, and the processes, and all jobs that have not begun."""
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
        with self._lock:
            self._at_work = False
            jobs = [*self._jobs]
            self._jobs.clear()
        for future in jobs:
            future.cancel()


def _render_or_fall_back(process: RenderProcess) -> Draw:
    """Drawing by *process*, or by this thread where it has gone."""

    def drawn(request: ImageRequest, index: int, partial: int | None) -> Drawn:
        try:
            return process.draw(request, index, partial)
        except ProcessGoneError:
            return draw(request, index, partial)

    return drawn
