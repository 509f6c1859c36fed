"""The command in a process that tells what it holds:

    python -m reliability.probed_server FD OPTIONS serve --port 0

*FD* is a socket. Each line that comes on it is a JSON array, a question; its answer is a line of
JSON. *OPTIONS* is a JSON object: `loop`, the event loop, and `limits`, the resource limits of the
process. Everything else is the command `images-emulator` itself.
"""

from __future__ import annotations

import asyncio
import builtins
import gc
import importlib
import json
import os
import resource
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

from images_emulator.cli import main
from images_emulator.http_server import HTTPServer
from reliability.promise import ASYNCIO


class Probe:
    """Answers the questions, in a thread of its own."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._loop: asyncio.AbstractEventLoop | None = None
        self._uses = 0
        self._mend: Callable[[], None] = lambda: None

    def watch(self) -> None:
        """Learn the event loop of the server when it starts, and answer from then on. Before that,
        a thread would have an arena of memory of its own: see `share_arena`."""
        startup = HTTPServer.startup

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
                raise getattr(builtins, error)("injected")
            return function(*arguments, **options)

        setattr(owner, name, failing)
        self._mend = lambda: setattr(owner, name, function)

    def mend(self) -> int:
        """Undo `fail`. Returns how often the function was used."""
        self._mend()
        return self._uses

    def _serve(self) -> None:
        """Answer until the other side closes the connection."""
        with self._connection, self._connection.makefile("rw") as file:
            for line in file:
                name, *arguments = json.loads(line)
                answer: Any = getattr(self, name)(*arguments)
                file.write(f"{json.dumps(answer)}\n")
                file.flush()


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
