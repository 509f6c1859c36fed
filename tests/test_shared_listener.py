"""A listening socket that several processes accept connections from; here they are listeners of one
event loop."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from images_emulator import shared_listener
from images_emulator.listening_socket import listening_socket
from images_emulator.shared_listener import NOT_SERVING, ConnectionCounts, SharedListener


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with listening_socket("127.0.0.1", 0) as listener:
        yield listener


@pytest.fixture
def counts(tmp_path: Path) -> Iterator[ConnectionCounts]:
    """The counts of two processes."""
    counts = ConnectionCounts.create(tmp_path / "counts", 2)
    yield counts
    counts.close()


class Peer:
    """A process that accepts connections."""

    def __init__(self, listener: socket.socket, counts: ConnectionCounts, place: int) -> None:
        # Processes have file descriptors of their own.
        self.listener = SharedListener(listener.dup(), counts, place)

    def start(self) -> None:
        self.listener.start(lambda: _Protocol(self.listener.connections))

    def stop(self) -> None:
        self.listener.stop()
        self.listener.socket.close()


class _Protocol(asyncio.Protocol):
    def __init__(self, connections: set[Any]) -> None:
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connections.add(self)
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"!")

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)


async def connected(listener: socket.socket) -> asyncio.StreamWriter:
    """A connection that was accepted."""
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    assert await reader.readexactly(1) == b"!"
    return writer


async def until_counts(counts: ConnectionCounts, *expected: int) -> None:
    while [*counts.counts] != [*expected]:  # noqa: ASYNC110 - nothing tells when
        await asyncio.sleep(0)


def test_counts_are_seen_by_all_who_have_the_file(tmp_path: Path) -> None:
    first = ConnectionCounts.create(tmp_path / "counts", 3)
    second = ConnectionCounts(tmp_path / "counts", 3)
    assert [*second.counts] == [NOT_SERVING] * 3
    first.counts[1] = 7
    assert [*second.counts] == [NOT_SERVING, 7, NOT_SERVING]
    first.close()
    second.close()


async def test_connection_goes_to_the_process_with_the_fewest(
    listener: socket.socket, counts: ConnectionCounts
) -> None:
    peers = [Peer(listener, counts, place) for place in range(2)]
    for peer in peers:
        peer.start()
    writers = [await connected(listener) for _ in range(10)]
    await until_counts(counts, 5, 5)
    for writer in writers:
        writer.close()
    await until_counts(counts, 0, 0)
    for peer in peers:
        peer.stop()
    assert [*counts.counts] == [NOT_SERVING, NOT_SERVING]


async def test_process_that_does_not_run_keeps_no_connection_waiting(
    listener: socket.socket, counts: ConnectionCounts
) -> None:
    peer = Peer(listener, counts, 0)
    peer.start()
    counts.counts[1] = 0  # it should take all but the first
    writers = [await connected(listener) for _ in range(3)]
    assert [*counts.counts] == [3, 0]
    for writer in writers:
        writer.close()
    peer.stop()


async def test_process_without_free_files_accepts_connections_later(
    listener: socket.socket, counts: ConnectionCounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_listener, "EXHAUSTED_SECONDS", 0.01)
    peer = Peer(listener, counts, 0)
    refusals = [OSError(errno.EMFILE, "Too many open files"), ConnectionAbortedError()]

    class Refusing:
        """The socket, which refuses at first."""

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def accept(self) -> Any:
            if refusals:
                raise refusals.pop(0)
            return real.accept()

    real, peer.listener.socket = peer.listener.socket, Refusing()  # type: ignore[assignment] # it has what is used
    peer.start()
    writer = await connected(listener)
    assert refusals == []
    writer.close()
    peer.stop()


async def test_connections_that_wait_are_for_a_process_that_comes_later(
    listener: socket.socket, counts: ConnectionCounts
) -> None:
    first = Peer(listener, counts, 0)
    first.start()
    first.stop()
    waiting = asyncio.ensure_future(connected(listener))
    await asyncio.sleep(0)
    second = Peer(listener, counts, 1)
    second.start()
    (await waiting).close()
    second.stop()


async def test_connection_that_was_just_accepted_is_there_after_the_stop(
    listener: socket.socket, counts: ConnectionCounts
) -> None:
    peer = Peer(listener, counts, 0)
    peer.start()
    connections = peer.listener.connections
    with socket.create_connection(listener.getsockname()):
        peer.listener._accept()
        peer.stop()
        assert not connections
        await peer.listener.wait_for_protocols(30)
        assert len(connections) == 1
    while connections:  # noqa: ASYNC110 - nothing tells when
        await asyncio.sleep(0)
