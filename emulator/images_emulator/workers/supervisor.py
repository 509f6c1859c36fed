"""The supervisor: the process that opens the port, and starts and keeps the workers that serve it.

It serves nothing itself. A worker that ends is replaced. The end of the supervisor ends all
processes. After a signal, the workers have time for open answers (graceful shutdown). Where the
supervisor was killed, each worker notices that its standard input ends, and the `CleanupProcess`
ends the Redis and removes the folder.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from time import monotonic
from typing import Any, Final

from images_emulator.shared_listener import NOT_SERVING, ConnectionCounts
from images_emulator.web.instruments.metric_table import FOLDER_VARIABLE
from images_emulator.workers.cleanup_process import CleanupProcess
from images_emulator.workers.own_redis import OwnRedis, OwnRedisError
from images_emulator.workers.worker_messages import Report, WorkerConfig

STOP_SECONDS: Final = 5.0
"""Seconds that the workers have to stop, before they are killed. They need about one."""

REPORT_SECONDS: Final = 300.0
"""Seconds that a worker has until it serves, before it is killed. It may have a large folder of
recordings to load."""

MAX_REPORT_BYTES: Final = 64 * 2**20
"""The longest report of a worker. The mistakes of a scenario with 1,500 steps take 0.5 MB."""

NO_REPORT: Final = f"a worker has not served within {REPORT_SECONDS:g} seconds"
"""The error of a worker that sends no report."""

SETTLED_SECONDS: Final = 5.0
"""A process that ends after it has run longer than this is replaced at once."""

MIN_DELAY_SECONDS: Final = 0.1
MAX_DELAY_SECONDS: Final = 5.0
"""The least and the most seconds before a process that ended sooner is replaced. The delay doubles
each time."""

MAX_TEMPORARY_CHARS: Final = 70
"""The most characters of a temporary folder's path; a folder with a longer path is not used. The
path of a Unix socket has 103 bytes at most on macOS."""

WorkerCommand = Sequence[str]
"""The command line of a worker's process."""


class WorkerError(RuntimeError):
    """A worker does not start; the message says why. *is_usage_error* is whether a setting has a
    wrong value."""

    def __init__(self, message: str, *, is_usage_error: bool = False) -> None:
        super().__init__(message)
        self.is_usage_error = is_usage_error


@dataclass(slots=True)
class _Worker:
    """A worker that serves or starts: its *process*, and the *writer* of its standard input, which
    closes with the supervisor. *since* is the time of its start, by `monotonic`."""

    process: Process
    writer: asyncio.StreamWriter
    since: float


class Supervisor:
    """Runs *count* workers on *listener*, with these *settings* and the *log_settings*, both by
    their names. Without the setting `store` they share a Redis of their own, which holds
    *store_bytes* at most.

    *command* starts a worker; see `worker_command`.

    Raises OwnRedisError where there is no Redis to start, OSError for a folder that cannot be
    made.
    """

    def __init__(
        self,
        count: int,
        command: WorkerCommand,
        listener: socket.socket,
        *,
        settings: Mapping[str, Any],
        log_settings: Mapping[str, Any],
        store_bytes: int,
    ) -> None:
        self._command = command
        self._listener = listener
        self._notice: Callable[[str], None] = lambda text: None
        self._workers: list[_Worker | None] = [None] * count
        self._temporary = TemporaryDirectory(
            prefix="images-emulator-", dir=_temporary_folder(), ignore_cleanup_errors=True
        )
        self.folder = Path(self._temporary.name)
        """The temporary folder of all processes. It is gone after `run`."""
        self._redis: OwnRedis | None = None
        try:
            if settings["store"] is None:
                self._redis = OwnRedis(self.folder, store_bytes)
                settings = {**settings, "store": self._redis.url}
            self._counts = ConnectionCounts.create(self.folder / "connections", count)
            self.log_lock.touch()
            (self.folder / "metrics").mkdir()
        except BaseException:
            self._temporary.cleanup()
            raise
        self._settings = settings
        self._log_settings = log_settings
        self._cleanup_process = CleanupProcess(self.folder)

    @property
    def log_lock(self) -> Path:
        """The file that is locked while lines are written to the terminal."""
        return self.folder / "log.lock"

    def run(self, on_ready: Callable[[Report], None], notice: Callable[[str], None]) -> None:
        """Run until SIGINT or SIGTERM. Calls *on_ready* with the report of a worker once all accept
        connections, and *notice* with a sentence when one of the processes ends by itself, or
        cannot be replaced. Raises WorkerError where a worker does not start, OwnRedisError where
        the Redis does not."""
        self._notice = notice
        try:
            asyncio.run(self._run(on_ready))
        finally:
            self._cleanup_process.close()
            self._counts.close()
            self._temporary.cleanup()

    async def _run(self, on_ready: Callable[[Report], None]) -> None:
        loop, signalled = asyncio.get_running_loop(), asyncio.Event()

        def stop_once(*_: object) -> None:
            with suppress(RuntimeError):  # the event loop has ended
                loop.call_soon_threadsafe(signalled.set)

        # They stay: a second signal that comes when the event loop has ended has nothing left to
        # stop. Handlers of the event loop would end with it.
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, stop_once)
        serving = loop.create_task(self._serve(on_ready))
        stop = loop.create_task(signalled.wait())
        try:
            await asyncio.wait([serving, stop], return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                await serving
        finally:
            for task in (serving, stop):
                task.cancel()
            await asyncio.gather(serving, stop, return_exceptions=True)
            self._listener.close()
            await self._stop()

    async def _serve(self, on_ready: Callable[[Report], None]) -> None:
        """Start all processes and keep them."""
        if self._redis:
            await self._redis.start(self._guard)
        indexes = range(len(self._workers))
        starts = [asyncio.ensure_future(self._start(index)) for index in indexes]
        try:
            started = await asyncio.gather(*starts)
        finally:
            for start in starts:
                start.cancel()
            await asyncio.gather(*starts, return_exceptions=True)
        on_ready(started[0][1])
        keepers = [self._keep(index, worker) for index, (worker, _) in enumerate(started)]
        if self._redis:
            keepers.append(self._keep_redis(self._redis))
        await asyncio.gather(*keepers)

    async def _start(self, index: int) -> tuple[_Worker, Report]:
        """Start a worker and wait until it serves. Raises WorkerError where it does not."""
        ours = process = None
        try:
            ours, theirs = socket.socketpair()
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *self._command,
                    stdin=theirs.fileno(),
                    pass_fds=[self._listener.fileno()],
                    # A folder that the user has named goes before the workers' own.
                    env={FOLDER_VARIABLE: str(self.folder / "metrics"), **os.environ},
                )
            reader, writer = await asyncio.open_connection(sock=ours, limit=MAX_REPORT_BYTES)
        except BaseException as error:
            if ours:
                ours.close()
            if process:
                _kill(process)
                await process.wait()
            if isinstance(error, OSError):
                raise WorkerError(f"a worker cannot be started: {error.strerror}") from None
            raise
        worker = self._workers[index] = _Worker(process, writer, monotonic())
        config = WorkerConfig(
            settings=self._settings,
            log_settings=self._log_settings,
            listener=self._listener.fileno(),
            counts=str(self.folder / "connections"),
            workers=len(self._workers),
            worker_index=index,
            log_lock=str(self.log_lock),
        )
        writer.write(config.to_line())
        try:
            report = await asyncio.wait_for(_read_report(reader), REPORT_SECONDS)
        except (TimeoutError, ValueError) as error:
            _kill(process)
            await self._wait_for_end(index, worker)
            raise WorkerError(str(error) or NO_REPORT) from None
        if report is None or report.error is not None:
            # A worker that hangs while it exits must not hold up the others.
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
            _kill(process)
            end = await self._wait_for_end(index, worker)
        if report is None:
            raise WorkerError(f"a worker {end} before it served")
        if report.error is not None:
            raise WorkerError(report.error, is_usage_error=report.is_usage_error)
        return worker, report

    async def _wait_for_end(self, index: int, worker: _Worker) -> str:
        """Wait for the end of a worker, and return it in words."""
        status = await worker.process.wait()
        worker.writer.close()
        self._workers[index] = None
        self._counts.counts[index] = NOT_SERVING
        return end_text(status)

    async def _keep(self, index: int, worker: _Worker) -> None:
        """Replace the worker each time it ends."""
        name, delay = f"worker {index + 1}", 0.0
        while True:
            end = await self._wait_for_end(index, worker)
            delay = _next_delay(delay, worker.since)
            self._notice(
                f"{name} (process {worker.process.pid}) {end}; another one takes its place"
            )
            while self._workers[index] is None:
                await asyncio.sleep(delay)
                try:
                    worker, _ = await self._start(index)
                except WorkerError as error:
                    delay = _next_delay(delay)
                    self._notice(f"{name} does not start: {error}; again in {delay:g} s")

    async def _keep_redis(self, redis: OwnRedis) -> None:
        """Replace the Redis each time it ends."""
        process, since, delay = redis.process, monotonic(), 0.0
        while process:
            end = end_text(await process.wait())
            # The cleanup process kills by number, and another process may get this one.
            self._guard()
            delay = _next_delay(delay, since)
            self._notice(
                f"the Redis of the workers (process {process.pid}) {end}; another one takes its "
                "place, without the calls, pictures and files"
            )
            process = None
            while process is None:
                await asyncio.sleep(delay)
                try:
                    process, since = await redis.start(self._guard), monotonic()
                except OwnRedisError as error:
                    self._guard()
                    delay = _next_delay(delay)
                    self._notice(f"{error}; again in {delay:g} s")

    def _guard(self, process: Process | None = None) -> None:
        """Replace the cleanup process by one that also kills *process*; with None, by one that
        kills no process. The new cleanup process starts before the old one ends."""
        processes = [process.pid] if process else []
        before, self._cleanup_process = (
            self._cleanup_process,
            CleanupProcess(self.folder, processes),
        )
        before.close()

    async def _stop(self) -> None:
        """End all processes: the workers by SIGTERM, or by SIGKILL after `STOP_SECONDS`; then the
        Redis."""
        workers = [each for each in self._workers if each]
        for worker in workers:
            with suppress(ProcessLookupError):
                worker.process.terminate()
        ends = [asyncio.ensure_future(worker.process.wait()) for worker in workers]
        if ends:
            await asyncio.wait(ends, timeout=STOP_SECONDS)
        for worker in workers:
            _kill(worker.process)
            worker.writer.close()
        await asyncio.gather(*ends)
        if self._redis:
            await self._redis.stop()


def _kill(process: Process) -> None:
    """Kill *process*, which may have ended by itself."""
    with suppress(ProcessLookupError):
        process.kill()


async def _read_report(reader: asyncio.StreamReader) -> Report | None:
    """The report of a worker; None where the worker has ended before it was whole. Raises
    ValueError for a report that cannot be read."""
    try:
        line = await reader.readline()
    except OSError:
        return None
    try:
        return Report.from_line(line) if line.endswith(b"\n") else None
    except (TypeError, ValueError):
        raise ValueError(f"a worker has sent no report, but {line[:80]!r}") from None


def worker_command(module: str) -> WorkerCommand:
    """The command line that runs `main` of *module* in a process that imports the modules of this
    one, whatever its working directory."""
    code = f"import sys; sys.path[:] = {[*map(str, sys.path)]!r}; from {module} import main; main()"
    return sys.executable, "-c", code


def end_text(status: int) -> str:
    """The end of a process in words."""
    if status >= 0:
        return f"has ended with exit status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def _next_delay(delay: float, since: float | None = None) -> float:
    """Seconds before the next start of a process. The process has run *since*; None: it has not
    started. *delay* was the wait before its last start."""
    if since is not None and monotonic() - since > SETTLED_SECONDS:
        return 0.0
    return min(max(2 * delay, MIN_DELAY_SECONDS), MAX_DELAY_SECONDS)


def _temporary_folder() -> str | None:
    """The parent of the temporary folder; None for the system's own."""
    return None if len(gettempdir()) <= MAX_TEMPORARY_CHARS else "/tmp"  # noqa: S108 - what is made there is private
