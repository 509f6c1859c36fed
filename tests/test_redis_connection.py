"""How long a connection to Redis is waited for, by a clock of the tests' own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, Final

import pytest

from tests.redis_server import missing_part

if not missing_part():
    from images_emulator.state.redis.redis_connection import RedisCommand, RedisConnection
    from images_emulator.state.redis.redis_scripts import CLEAR

pytestmark = pytest.mark.skipif(bool(missing_part()), reason=missing_part())

MEGABYTE: Final = 2**20


class Network:
    """The transport of a connection, which lets go what a test says, and the time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.unsent = 0
        self.is_aborted = False
        self.closes = 0
        self._timers: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, moment: float, callback: Callable[[], None]) -> Any:
        timer = (moment, callback)
        self._timers.append(timer)
        return SimpleNamespace(cancel=lambda: self._timers.remove(timer))

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for timer in [each for each in self._timers if each[0] <= self.now]:
            self._timers.remove(timer)
            timer[1]()

    def write(self, data: bytes) -> None:
        """Small commands leave at once."""

    def writelines(self, pieces: Sequence[bytes]) -> None:
        self.unsent += sum(map(len, pieces))

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def set_protocol(self, protocol: Any) -> None:
        """The test calls the protocol itself."""

    def abort(self) -> None:
        self.is_aborted = True

    def close(self) -> None:
        self.closes += 1


@pytest.fixture
async def network() -> Network:
    return Network()


def connection_over(network: Network) -> RedisConnection:
    """A connection that waits a second."""
    opened: Any = SimpleNamespace(_reader=None, _writer=SimpleNamespace(transport=network))
    connection = RedisConnection(opened, 1)
    connection._loop = network  # type: ignore[assignment] # it has the time alone
    return connection


def send(connection: RedisConnection, size: int) -> asyncio.Future[Any]:
    reply = asyncio.get_running_loop().create_future()
    connection.send([RedisCommand([b"x" * size], CLEAR, ("key",), (), reply)])
    return reply


async def test_a_command_without_a_reply_fails_after_its_second(network: Network) -> None:
    reply = send(connection_over(network), 10)
    network.pass_time(0.9)
    assert not reply.done()
    network.pass_time(0.2)
    assert "no reply in 1 s" in str(reply.exception())
    assert network.is_aborted


async def test_an_upload_may_take_as_long_as_redis_takes_bytes_of_it(network: Network) -> None:
    connection = connection_over(network)
    reply = send(connection, 50 * MEGABYTE)
    network.unsent -= MEGABYTE
    network.pass_time(6.1)  # what 50 MB may take anyway
    while network.unsent:
        network.unsent -= MEGABYTE
        network.pass_time(0.9)
        assert not reply.done()
    connection.data_received(b":1\r\n")
    assert await reply == 1


async def test_an_upload_of_which_redis_takes_no_more_fails(network: Network) -> None:
    reply = send(connection_over(network), 50 * MEGABYTE)
    network.unsent -= MEGABYTE
    network.pass_time(6.1)
    assert not reply.done()
    network.pass_time(1.1)
    assert reply.exception()


async def test_a_reply_may_take_as_long_as_bytes_of_it_come(network: Network) -> None:
    connection = connection_over(network)
    reply = send(connection, 10)
    connection.data_received(b"$20\r\n")
    for _ in range(20):
        network.pass_time(0.9)
        connection.data_received(b"x")
        assert not reply.done()
    connection.data_received(b"\r\n")
    assert await reply == b"x" * 20


async def test_a_connection_is_closed_after_the_reply_that_nobody_waits_for(
    network: Network,
) -> None:
    connection = connection_over(network)
    send(connection, 10).cancel()
    closing = asyncio.ensure_future(connection.close())
    await asyncio.sleep(0)
    assert network.closes == 0
    connection.data_received(b":1\r\n")
    await asyncio.sleep(0)
    assert network.closes == 1
    connection.connection_lost(None)
    await closing
