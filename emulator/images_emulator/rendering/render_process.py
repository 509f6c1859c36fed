"""Render processes. Each renders for one thread of the server, which waits for it. The interpreter
lock lets two threads render no faster than one."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from threading import Lock, Thread
from typing import IO, Any, Final

from images_emulator.contract.call_image import CallImage
from images_emulator.contract.models import MODELS, NEWEST_MODEL
from images_emulator.contract.operations import GENERATIONS
from images_emulator.contract.own_picture import own_files_of
from images_emulator.contract.request import ImageRequest
from images_emulator.imaging.memory import keep_memory

RenderedFiles = Sequence[tuple[int | None, bytes]]
"""Image files, each with the index of its partial image. The final image's index is None."""

RenderFunction = Callable[[ImageRequest, int, int | None], RenderedFiles]
"""Renders image files: `render_files`, or a function that does the same in another process."""

WARM_UP: Final = ImageRequest(
    operation=GENERATIONS, model=NEWEST_MODEL, prompt="ready", size=(64, 64), quality="low"
)
"""A small request, which is rendered to load Pillow, fonts and encoders: by `RenderProcess.start`
and by `Renderer.warm_up`. A process that starts anew for a waiting job does not render it."""

NICENESS: Final = 10
"""Niceness of a render process. At equal priority the p99 of requests that need no image was 25 %
higher."""

_LENGTH: Final = struct.Struct("<I")

_PIPE_ERRORS: Final = (EOFError, OSError, ValueError)
"""Raised by a pipe whose other end has gone, between two messages or within one."""

_COMMAND: Final = (
    "import sys; sys.path[:] = {!r}; "
    "from images_emulator.rendering import render_process; render_process.run()"
)

JobMessage = tuple[dict[str, Any], list[bytes]]
"""A job or its result: JSON, and the bytes that go with it."""


def render_files(request: ImageRequest, index: int, partial: int | None) -> RenderedFiles:
    """The file of image *index* (from 0) of *request*. Where *partial* is the index of a partial
    image, the files of that image, of all partial images after it in the stream, and of the final
    image."""
    from images_emulator.imaging.render import render_image, render_stream  # noqa: PLC0415 - it loads Pillow

    if partial is None:
        return [(None, render_image(request, index))]
    return [*render_stream(request, partial)]


class ProcessGoneError(RuntimeError):
    """The render process cannot be started, or has ended twice."""


class RenderProcess:
    """One render process. It starts by `start` or with its first job, and again after it was
    killed. A process that was stopped (SIGSTOP) is killed, where the system tells of the stop: its
    image would never come.

    Only one thread at a time may call `render_files`. An exception between the sending of a job and
    the end of its answer ends the process: otherwise the next job would read the rest of that
    answer. `multiprocessing` is not used, because it would run the main module of the program that
    started the server.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = Lock()
        self._closed = False

    def render_files(self, request: ImageRequest, index: int, partial: int | None) -> RenderedFiles:
        """The result of the function `render_files` in the process. Raises RuntimeError with the
        traceback of an exception there, RuntimeError after `close`, and ProcessGoneError where the
        process ended twice or cannot be started."""
        job = _job_message(request, index, partial)
        for _ in range(2):
            try:
                result, files = _run_job(self._get_or_start(), job)
            except _PIPE_ERRORS:
                self._end()
                continue
            except BaseException:
                # The next job must not be answered by what is left of this one in the pipes.
                self._end()
                raise
            if failure := result["failure"]:
                raise RuntimeError(failure)
            return [*zip(result["partials"], files, strict=True)]
        raise ProcessGoneError("the process that renders has gone")

    @property
    def has_process(self) -> bool:
        """Whether a process was started, and nobody has noticed yet that it has ended."""
        return self._process is not None

    @property
    def is_running(self) -> bool:
        """Whether the process was started and has not ended."""
        process = self._process
        return process is not None and process.poll() is None

    def start(self) -> bool:
        """Start the process, if there is none, and wait until it has rendered once. Returns
        `has_process`."""
        if self._process is None:
            with suppress(RuntimeError):
                self.render_files(WARM_UP, 0, None)
        return self._process is not None

    def _get_or_start(self) -> subprocess.Popen[bytes]:
        """The process, which is started if there is none."""
        with self._lock:
            if self._closed:
                raise RuntimeError("the process that renders was let go")
            if self._process is None:
                if not sys.executable or getattr(sys, "frozen", False):
                    raise ProcessGoneError("there is no Python to start")
                # The process imports the modules of this one, whatever its working directory.
                command = [sys.executable, "-c", _COMMAND.format([*map(str, sys.path)])]
                pipe = subprocess.PIPE
                # A session of its own would get as much CPU time as the server's: see autogroup
                # in sched(7).
                self._process = subprocess.Popen(  # noqa: S603 - a constant and our own path
                    command, stdin=pipe, stdout=pipe, process_group=0
                )
                if hasattr(os, "waitid"):
                    # The system may allow no further thread.
                    with suppress(RuntimeError):
                        Thread(target=_kill_if_stopped, args=(self._process,), daemon=True).start()
            return self._process

    def _end(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process:
            process.kill()
            # Closing a pipe with unsent bytes fails.
            with suppress(OSError), process:
                pass

    def close(self) -> None:
        """End the process, from any thread; a thread that waits for it gets ProcessGoneError or
        RuntimeError."""
        self._closed = True
        self._end()


def _kill_if_stopped(process: subprocess.Popen[bytes]) -> None:
    """Wait until *process* is stopped or has ended, and kill it if it is stopped."""
    # Where there is no such child, it is reaped already.
    with suppress(ChildProcessError):
        change = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        if change and change.si_code == os.CLD_STOPPED:
            process.kill()


def _job_message(request: ImageRequest, index: int, partial: int | None) -> JobMessage:
    """The message with the request, and each of its distinct uploads and own pictures once."""
    raws: dict[str, Mapping[str, Any] | None] = {}
    blobs = []
    if request.own_pictures:
        # Whatever was uploaded, none of it is drawn.
        own = own_files_of(request.own_pictures)
        raws, blobs = dict.fromkeys(own), [*own.values()]
    elif request.images:
        from images_emulator.imaging.decoder import decoded_images, pack  # noqa: PLC0415 - it loads Pillow

        for image in decoded_images(request):
            if image.digest not in raws:
                raws[image.digest], blob = pack(image)
                blobs.append(blob)
    job = {"request": request.to_json(), "index": index, "partial": partial, "raws": raws}
    return job, blobs


def _run_job(process: subprocess.Popen[bytes], job: JobMessage) -> JobMessage:
    """Send *job* to *process*, and wait for the result."""
    assert process.stdin
    assert process.stdout
    _write(process.stdin, job)
    return _read(process.stdout)


def _write(pipe: IO[bytes], message: JobMessage) -> None:
    """Write a message: its length in four bytes, JSON with the lengths of the blobs, the blobs."""
    values, blobs = message
    text = json.dumps([values, [*map(len, blobs)]]).encode()
    pipe.write(_LENGTH.pack(len(text)) + text)
    for blob in blobs:
        pipe.write(blob)
    pipe.flush()


def _read(pipe: IO[bytes]) -> JobMessage:
    """Read the next message. Raises EOFError where there is none, or not all of it."""

    def read(length: int) -> bytes:
        data = pipe.read(length)
        if len(data) < length:
            raise EOFError
        return data

    values, lengths = json.loads(read(*_LENGTH.unpack(read(_LENGTH.size))))
    return values, [read(length) for length in lengths]


def _result_message(message: JobMessage) -> JobMessage:
    """The message with the result of a job: the files, or the traceback of the failure."""
    job, blobs = message
    try:
        rendered = render_files(_request_of(job, blobs), job["index"], job["partial"])
    except Exception:  # noqa: BLE001 - it is raised in the server
        return {"failure": traceback.format_exc()}, []
    return {"failure": "", "partials": [each for each, _ in rendered]}, [
        data for _, data in rendered
    ]


def _request_of(job: Mapping[str, Any], blobs: Sequence[bytes]) -> ImageRequest:
    uploads = {
        digest: (raw, blob) for (digest, raw), blob in zip(job["raws"].items(), blobs, strict=True)
    }

    def image(description: Mapping[str, Any]) -> CallImage:
        from images_emulator.imaging.decoder import unpack  # noqa: PLC0415 - it loads Pillow

        return unpack(description, *uploads.get(description["digest"], (None, b"")))

    def file(digest: str) -> bytes:
        return uploads[digest][1]

    return ImageRequest.from_json(job["request"], models=MODELS, image=image, file=file)


def run() -> None:
    """Main function of a render process: answer jobs until the pipe is closed."""
    # Ctrl-C is for the server. Where there are process groups, this process never receives it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    keep_memory()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # text that a library prints is no answer
    with suppress(*_PIPE_ERRORS):
        while True:
            _write(answers, _result_message(_read(sys.stdin.buffer)))
