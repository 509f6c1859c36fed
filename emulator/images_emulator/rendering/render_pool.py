"""The render pool: the job queue of the render thread, which render processes join under load."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Final

from images_emulator.contract.request import ImageRequest
from images_emulator.rendering.job_queue import JobQueue
from images_emulator.rendering.render_process import (
    ProcessGoneError,
    RenderedFiles,
    RenderFunction,
    RenderProcess,
    render_files,
)
from images_emulator.threads import DaemonThreadPool

BUSY_SUBMISSIONS: Final = 32
"""The number of consecutive submissions that find other jobs waiting, after which each further one
starts a render process. Starting one costs about as much as rendering 32 images of 1024×1024."""


class RenderPool(JobQueue):
    """A job queue that up to *max_processes* render processes join under load.

    One thread renders. On the event loop, rendering would hold up every other call. A second thread
    would make rendering slower, because rendering holds the interpreter lock. While jobs wait,
    processes that were started before join at once, others only after `BUSY_SUBMISSIONS`. Each
    process has a thread that waits for it, and runs jobs with a function that renders in the
    process.
    """

    def __init__(self, max_processes: int) -> None:
        super().__init__("render")
        self._busy_submissions = 0
        self._threads: ThreadPoolExecutor | None = None
        self.processes = [RenderProcess() for _ in range(max_processes)]
        self._idle = [*self.processes]

    def _after_submission(self, waiting: int) -> None:
        self._busy_submissions = self._busy_submissions + 1 if waiting else 0
        is_under_load = self._busy_submissions > BUSY_SUBMISSIONS
        if waiting and any(is_under_load or process.has_process for process in [*self._idle]):
            self._add_process()

    def _add_process(self) -> None:
        """Let an idle process join, if there is one and the system allows its thread."""
        with self._lock:
            # Another thread may have taken the process, or closed the pool.
            if self._closed or not self._idle:
                return
            # Started processes are at the end: `_run_jobs_in` puts them back there. So is one that
            # got no thread (below), which may not have been started.
            process = self._idle.pop()
            if self._threads is None:
                self._threads = DaemonThreadPool(
                    len(self.processes), thread_name_prefix="render-process"
                )
            threads = self._threads
        try:
            threads.submit(self._run_jobs_in, process)
        except (RuntimeError, MemoryError):
            # There may be a thread for it later. The jobs are in the queue, whoever runs them.
            self._idle.append(process)

    def _run_jobs_in(self, process: RenderProcess) -> None:
        """Run jobs in *process* until the queue is empty, if the process can be started. A process
        that cannot be started is not tried again."""
        if process.start():
            render = _render_function_of(process)
            while self._jobs:
                self._run_first(render, may_be_low_priority=False)
            self._idle.append(process)

    def close(self) -> None:
        """End the threads and the processes, and cancel all jobs that have not begun."""
        super().close()
        if self._threads:
            self._threads.shutdown(wait=False, cancel_futures=True)
        self._threads = None
        for process in self.processes:
            process.close()


def _render_function_of(process: RenderProcess) -> RenderFunction:
    """A function that renders in *process*, or in the calling thread where the process has
    ended."""

    def render(request: ImageRequest, index: int, partial: int | None) -> RenderedFiles:
        try:
            return process.render_files(request, index, partial)
        except ProcessGoneError:
            return render_files(request, index, partial)

    return render
