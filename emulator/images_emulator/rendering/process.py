"""A process that draws, for a thread that waits for it: what two threads of one interpreter cannot
do at once, two processes can."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from threading import Lock
from typing import Any, Final

from images_emulator.contract.models import NEWEST_MODEL
from images_emulator.contract.operations import GENERATIONS
from images_emulator.contract.request import ImageRequest
from images_emulator.imaging.memory import keep_memory

Drawn = Sequence[tuple[int | None, bytes]]
"""Files by the numbers of the partial images that they are; the final one's is None."""

Draw = Callable[[ImageRequest, int, int | None], Drawn]
"""See `draw`."""

WARM_UP: Final = ImageRequest(
    operation=GENERATIONS, model=NEWEST_MODEL, prompt="ready", size=(64, 64), quality="low"
)
"""What is drawn first: Pillow, fonts and encoders are loaded at their first use."""

_GONE: Final = (EOFError, OSError, ValueError, pickle.UnpicklingError)
"""What a pipe says whose other end has gone, in the middle of a message or not."""

_COMMAND: Final = (
    "import sys; sys.path[:] = {!r}; from images_emulator.rendering import process; process.run()"
)


def draw(request: ImageRequest, index: int, partial: int | None) -> Drawn:
    """The picture number *index* of *request*; or where *partial* is the number of a partial image
    that one, all that follow it in the stream, and the final one."""
    from images_emulator.imaging import render  # noqa: PLC0415 - who leaves it to a worker needs none

    if partial is None:
        return [(None, render.render_image(request, index))]
    return [*render.render_stream(request, partial)]


def _portable(request: ImageRequest) -> ImageRequest:
    """*request* without its model's rules, which are functions: they have done their part."""
    model = replace(request.model, accepts={}, conflicts=(), tokens=None, seconds={})
    return replace(request, model=model, forgiven=())


class ProcessGoneError(RuntimeError):
    """The process that was asked to draw is there no more, nor is its successor."""


class RenderProcess:
    """The process, which starts at its first picture, and anew when it was killed. Ask it from one
    thread at a time; `multiprocessing` would run the main module of whoever started the server."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = Lock()
        self._closed = False

    def draw(self, request: ImageRequest, index: int, partial: int | None) -> Drawn:
        """What `draw` returns. Raises RuntimeError where that raised anything and where the process
        was let go, ProcessGoneError where it went twice or cannot be had."""
        job = pickle.dumps((_portable(request), index, partial))
        for _ in range(2):
            with suppress(*_GONE):
                drawn, failure = _asked(self._started(), job)
                if failure:
                    raise RuntimeError(failure)
                return drawn
            self._end()
        raise ProcessGoneError("the process that draws has gone")

    def ready(self) -> bool:
        """Whether the process is there, when it has had its time to start."""
        if self._process is None:
            with suppress(RuntimeError):
                self.draw(WARM_UP, 0, None)
        return self._process is not None

    def _started(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise RuntimeError("the process that draws was let go")
            if self._process is None:
                if not sys.executable or getattr(sys, "frozen", False):
                    raise ProcessGoneError("there is no Python to start")
                # Its modules are to be these very ones, wherever it starts.
                command = [sys.executable, "-c", _COMMAND.format([*map(str, sys.path)])]
                pipe = subprocess.PIPE
                # No session of its own, which Linux would give as much of the processor as the
                # server's.
                self._process = subprocess.Popen(  # noqa: S603 - our own words
                    command, stdin=pipe, stdout=pipe, process_group=0
                )
            return self._process

    def _end(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process:
            process.kill()
            # A pipe that is closed while it is full says so.
            with suppress(OSError), process:
                pass

    def close(self) -> None:
        """Let the process go, from any thread; who waits for it hears that it has gone."""
        self._closed = True
        self._end()


def _asked(process: subprocess.Popen[bytes], job: bytes) -> tuple[Drawn, str]:
    assert process.stdin
    assert process.stdout
    process.stdin.write(job)
    process.stdin.flush()
    answer: tuple[Drawn, str] = pickle.load(process.stdout)  # noqa: S301 - our own process wrote it
    return answer


def _answer(job: tuple[ImageRequest, int, int | None]) -> tuple[Drawn, str]:
    try:
        return draw(*job), ""
    except Exception:  # noqa: BLE001 - it is raised where it was asked for
        return (), traceback.format_exc()


def run() -> None:
    """Draw what comes in, until nothing more can."""
    # Ctrl-C is the server's to hear. Where there are process groups, only it does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        # Who answers goes first: with equal rights p99 of a call that wants no picture was a
        # quarter longer.
        os.nice(10)
    keep_memory()
    jobs: Any = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library might print is no answer
    with suppress(*_GONE):
        while True:
            job = pickle.load(jobs)  # noqa: S301 - the server wrote it
            pickle.dump(_answer(job), answers)
            answers.flush()
