"""A listening socket from which several processes accept connections.

The kernel has one queue of connections for all of them, so none is lost with a process that ends.
The kernel wakes all processes for a new connection; the one with the fewest open connections takes
it.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from mmap import mmap
from pathlib import Path
from typing import Any, Final

DEFER_SECONDS: Final = 0.002
"""The seconds for which a process leaves a new connection to processes with fewer connections. If
those do not run, the client waits no longer than that."""

EXHAUSTED_SECONDS: Final = 0.1
"""The seconds for which a process at its limit of open files accepts no connections."""

NOT_SERVING: Final = 2**62
"""The count that stands for a process that accepts no connections."""

_COUNT_BYTES: Final = 8


class ConnectionCounts:
    """The numbers of open connections of *count* processes, in a file that all of them map into
    memory. Each process writes its own number, and their supervisor that of one that has ended."""

    def __init__(self, path: Path, count: int) -> None:
        """Map the file at *path*. Raises OSError."""
        with path.open("r+b") as file:
            self._map = mmap(file.fileno(), count * _COUNT_BYTES)
        self.counts = memoryview(self._map).cast("q")

    @classmethod
    def create(cls, path: Path, count: int) -> ConnectionCounts:
        """Create the file, for processes that do not serve yet. Raises OSError."""
        path.write_bytes(NOT_SERVING.to_bytes(_COUNT_BYTES, sys.byteorder) * count)
        return cls(path, count)

    def close(self) -> None:
        """Release the memory."""
        self.counts.release()
        self._map.close()


class _Connections(set[Any]):
    """The open connections of a process. It calls *changed* when their number changes."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__()
        self._changed = changed

    def add(self, connection: Any) -> None:
        super().add(connection)
        self._changed()

    def discard(self, connection: Any) -> None:
        super().discard(connection)
        self._changed()


class SharedListener:
    """One process's part in accepting connections from *listener*. *index* is the number of the
    process in *counts*."""

    def __init__(self, listener: socket.socket, counts: ConnectionCounts, index: int) -> None:
        self.socket = listener
        self.connections: set[Any] = _Connections(self._publish)
        """The open connections. Their protocols add and discard themselves."""
        self._counts = counts.counts
        self._index = index
        self._protocol: Callable[[], asyncio.Protocol] = asyncio.Protocol
        self._accepted: set[asyncio.Task[Any]] = set()
        """Connections that have no protocol yet."""
        self._pausing: asyncio.TimerHandle | None = None
        self._is_open = False

    def start(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        """Accept connections on the running event loop. Each gets a protocol from *protocol*."""
        self._protocol = protocol
        self.socket.setblocking(False)
        self._is_open = True
        self._publish()
        self._listen()

    async def wait_for_protocols(self, seconds: float) -> None:
        """Wait until each connection that was accepted has its protocol, for *seconds* at
        most."""
        if self._accepted:
            await asyncio.wait([*self._accepted], timeout=seconds)

    def stop(self) -> None:
        """Accept no more connections."""
        if self._is_open:
            self._is_open = False
            self._publish()
            asyncio.get_running_loop().remove_reader(self.socket.fileno())
            if self._pausing:
                self._pausing.cancel()

    def _publish(self) -> None:
        number = len(self.connections) + len(self._accepted)
        self._counts[self._index] = number if self._is_open else NOT_SERVING

    def _listen(self) -> None:
        asyncio.get_running_loop().add_reader(self.socket.fileno(), self._on_connection)

    def _pause(self, seconds: float, then: Callable[[], None]) -> None:
        """Ignore new connections for *seconds*. Then notice them again, and call *then*, which may
        accept one."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self.socket.fileno())

        def end() -> None:
            self._listen()
            then()

        self._pausing = loop.call_later(seconds, end)

    def _on_connection(self) -> None:
        """Handle a waiting connection, unless another process was faster."""
        if self._counts[self._index] > min(self._counts):
            self._pause(DEFER_SECONDS, self._accept)
        else:
            self._accept()

    def _accept(self) -> None:
        """Accept one connection. More may wait, for other processes or for this one."""
        try:
            connection, _ = self.socket.accept()
        except (BlockingIOError, ConnectionAbortedError):  # another process took it, or it is over
            return
        except OSError:  # there are too many open files
            self._pause(EXHAUSTED_SECONDS, lambda: None)
            return
        loop = asyncio.get_running_loop()
        task = loop.create_task(loop.connect_accepted_socket(self._protocol, connection))
        self._accepted.add(task)
        self._publish()
        task.add_done_callback(self._on_connected)

    def _on_connected(self, task: asyncio.Task[Any]) -> None:
        self._accepted.discard(task)
        self._publish()
        if not task.cancelled():
            task.exception()  # the client has left already; without this it would be logged
