"""The command in a process that tells what it holds:

    python -m reliability.probed_server FD OPTIONS serve --port 0

*FD* is a socket. Each line that comes on it is a JSON array, a question; its answer is a line of
JSON. *OPTIONS* is a JSON object: `loop`, the event loop, and `limits`, the resource limits of the
process. Everything else is the command `images-emulator` itself.
"""

from __future__ import annotations

import asyncio
import builtins
import errno
import gc
import importlib
import inspect
import json
import os
import resource
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final

import images_emulator
from images_emulator.cli import main
from images_emulator.http_server import HTTPServer
from images_emulator.rendering.renderer import Renderer
from reliability.promise import ASYNCIO

PACKAGE: Final = f"{Path(images_emulator.__file__).parent}{os.sep}"

STANDARD_LIBRARY: Final = str(Path(os.__file__).parent)

MESSAGE: Final = "this failure is on purpose"

STEP: Final = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR | inspect.CO_GENERATOR
"""Flags of functions that run in steps; what one raises reaches who waits for it."""

TICKS: Final = {each.__qualname__ for each in (HTTPServer.main_loop, HTTPServer.on_tick)}
"""Coroutines that step ten times a second, for the server and for no call. The server ends where
one raises."""

THREAD_SECONDS: Final = 30
"""Seconds in which a thread of the renderer has to run what it is given; else it has ended."""


class Entries:
    """Counts the entries into functions of the emulator in one thread, also each step of a
    coroutine, and lets the one *at* that number raise an exception.

    A callback of the event loop or of a future is not counted: nobody hears of what it raises
    before its first line.
    """

    def __init__(self, at: int, error: BaseException) -> None:
        self.count = 0
        self.place: str | None = None
        """The function that failed, as `module.py:name`."""
        self._at = at
        self._error = error

    def profile(self, frame: FrameType, event: str, _: object) -> None:
        """The function for `sys.setprofile`, which Python takes off once it has raised."""
        code, caller = frame.f_code, frame.f_back
        if event != "call" or not code.co_filename.startswith(PACKAGE):
            return
        if code.co_qualname in TICKS:
            return
        by_library = caller is None or (
            caller.f_code.co_filename.startswith(STANDARD_LIBRARY)
            and "site-packages" not in caller.f_code.co_filename
        )
        if by_library and not code.co_flags & STEP:
            return
        self.count += 1
        if self.count == self._at:
            self.place = f"{code.co_filename.removeprefix(PACKAGE)}:{code.co_qualname}"
            raise self._error


class Probe:
    """Answers the questions, in a thread of its own."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._loop: asyncio.AbstractEventLoop | None = None
        self._renderer: Renderer | None = None
        self._uses = 0
        self._mend: Callable[[], None] = lambda: None
        self._entries: Entries | None = None
        self._thread = "loop"

    def watch(self) -> None:
        """Learn the event loop and the renderer of the server when it starts, and answer from then
        on. Before that, a thread would have an arena of memory of its own: see `share_arena`."""
        startup, init = HTTPServer.startup, Renderer.__init__

        def initialised(renderer: Renderer, *arguments: Any, **options: Any) -> None:
            self._renderer = renderer
            init(renderer, *arguments, **options)

        Renderer.__init__ = initialised  # type: ignore[method-assign, assignment]

        async def watched(server: HTTPServer, sockets: list[socket.socket] | None = None) -> None:
            self._loop = asyncio.get_running_loop()
            threading.Thread(target=self._serve, name="probe", daemon=True).start()
            await startup(server, sockets)

        HTTPServer.startup = watched  # type: ignore[method-assign, assignment]

    def count(self) -> dict[str, int | str]:
        """What the process holds: descriptors, tasks of its event loop, threads, and blocks of
        memory in which Python has objects of up to 512 bytes."""
        assert self._loop
        gc.collect()
        return {
            "descriptors": len(os.listdir("/proc/self/fd")),
            "tasks": len(asyncio.all_tasks(self._loop)),
            "threads": threading.active_count(),
            "blocks": sys.getallocatedblocks(),
            "loop": type(self._loop).__module__,
        }

    def show_time(self, offset: int) -> None:
        """Let the system's clock go *offset* seconds ahead, where `clock.c` is loaded."""
        os.environ["CLOCK_OFFSET"] = str(offset)

    def fail(self, target: str, at: int, error: str) -> None:
        """Let the use number *at* of a function raise an *error*, a built-in exception by name.
        *target* names the function as `module:Class.method`."""
        module, _, path = target.partition(":")
        *classes, name = path.split(".")
        owner: Any = importlib.import_module(module)
        for each in classes:
            owner = getattr(owner, each)
        function = getattr(owner, name)
        self._uses = 0

        def failing(*arguments: Any, **options: Any) -> Any:
            self._uses += 1
            if self._uses == at:
                raise _injected(error)
            return function(*arguments, **options)

        setattr(owner, name, failing)
        self._mend = lambda: setattr(owner, name, function)

    def mend(self) -> int:
        """Undo `fail`. Returns how often the function was used."""
        self._mend()
        return self._uses

    def enter(self, thread: str, at: int, error: str) -> None:
        """Count the entries into functions in the *thread*: `loop`, or that of a queue of the
        renderer by its name. The one number *at* raises an *error*, as in `fail`; 0 for none."""
        self._thread = thread
        self._entries = Entries(at, _injected(error))
        self._profile(self._entries.profile)

    def leave(self) -> tuple[int, str | None]:
        """Undo `enter`. Returns how many entries there were, and the function that failed."""
        assert self._entries
        self._profile(None)
        return self._entries.count, self._entries.place

    def _profile(self, function: Callable[..., None] | None) -> None:
        assert self._loop
        assert self._renderer
        if self._thread == "loop":
            done = threading.Event()
            self._loop.call_soon_threadsafe(sys.setprofile, function)
            self._loop.call_soon_threadsafe(done.set)
            done.wait()
        else:
            executor = getattr(self._renderer, self._thread).executor
            executor.submit(sys.setprofile, function).result(THREAD_SECONDS)

    def _serve(self) -> None:
        """Answer until the other side closes the connection."""
        with self._connection, self._connection.makefile("rw") as file:
            for line in file:
                name, *arguments = json.loads(line)
                answer: Any = getattr(self, name)(*arguments)
                file.write(f"{json.dumps(answer)}\n")
                file.flush()


def _injected(error: str) -> BaseException:
    """An exception by its name, a built-in one; an OSError is that of a full disk."""
    kind = getattr(builtins, error)
    exception: BaseException = kind(errno.ENOSPC, MESSAGE) if kind is OSError else kind(MESSAGE)
    return exception


def run() -> int:
    """Run the command and return its exit status."""
    descriptor, text, *arguments = sys.argv[1:]
    options = json.loads(text)
    for name, value in options["limits"].items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))
    if options["loop"] == ASYNCIO:
        # uvicorn takes uvloop where it can be imported.
        sys.modules["uvloop"] = None  # type: ignore[assignment]
    Probe(socket.socket(fileno=int(descriptor))).watch()
    return main(arguments)


if __name__ == "__main__":
    sys.exit(run())
