"""The connections of an event loop to Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from threading import Lock
from typing import Any, Final

from redis.asyncio import RedisCluster
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from images_emulator.state.redis.redis_address import RedisAddress, close_sentinels
from images_emulator.state.redis.redis_connection import (
    FAILURE_CODES,
    FAILURES,
    CommandPacker,
    RedisCommand,
    RedisConnection,
    seconds_for,
)
from images_emulator.state.redis.redis_scripts import Script

TIMEOUT_SECONDS: Final = 1.0
"""Seconds that Redis may take to accept a connection, to accept and answer a command, and then to
send the next reply. A URL may set others, as `?socket_timeout=10`."""

MAX_CONNECTIONS: Final = 16
"""The most connections of one event loop. All operations share one, unless it is congested."""

SOON_SECONDS: Final = 0.01
"""Seconds that an operation waits for another one to be sent with it."""


def _as_failure(error: ResponseError) -> Exception:
    """The *error*; or one of `FAILURES` instead, where the error has one of `FAILURE_CODES`."""
    code, _, _ = str(error).partition(" ")
    return RedisConnectionError(str(error)) if code in FAILURE_CODES else error


class _ClusterSender:
    """Sends commands to the cluster of *client*, each in a task of its own. Small ones may take
    *timeout* seconds."""

    def __init__(self, client: RedisCluster, timeout: float) -> None:
        self._client = client
        self._timeout = timeout
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, commands: Sequence[RedisCommand]) -> None:
        """Send the *commands*."""
        for command in commands:
            task = asyncio.create_task(self._ask(command))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask(self, command: RedisCommand) -> None:
        """Ask the node that has the keys. The keys may move to another node at any time, so
        redis-py has to send the command again."""
        script, arguments = command.script, (*command.keys, *command.arguments)
        reply: Any
        try:
            size = sum(map(len, command.parts))
            async with asyncio.timeout(seconds_for(size, self._timeout)):
                try:
                    reply = await self._client.evalsha(script.digest, len(command.keys), *arguments)
                except NoScriptError:
                    reply = await self._client.eval(script.text, len(command.keys), *arguments)
        except TimeoutError:
            reply = RedisTimeoutError("no reply of the cluster")
        except ResponseError as error:
            reply = _as_failure(error)
        except Exception as error:  # noqa: BLE001 - it is raised where the reply is awaited
            reply = error
        command.settle(reply)

    async def close(self) -> None:
        """Complete the commands that are under way, and close the connections."""
        while self._tasks:
            await asyncio.wait([*self._tasks])
        await self._client.aclose()


class RedisPool:
    """The connections of the event loop that runs when the pool is made. Scripts that are called
    within one iteration of the loop are sent together, in one round trip: see "What is sent
    together" in `state/store.py`."""

    def __init__(self, url: str) -> None:
        self.loop = asyncio.get_running_loop()
        address = RedisAddress(url)
        self._pool = address.pool()
        options = self._pool.connection_kwargs
        self.timeout: float = options.get("socket_timeout") or TIMEOUT_SECONDS
        """The timeout of the URL, or else `TIMEOUT_SECONDS`."""
        self._cluster: _ClusterSender | None = None
        """Sends all commands where the address is that of a cluster, in place of `_connections`."""
        if address.is_cluster:
            self._cluster = _ClusterSender(address.cluster(), self.timeout)
        # These two would make a task of each command.
        options |= {"socket_timeout": None, "socket_connect_timeout": None}
        self._packer = CommandPacker()
        self._connections: list[RedisConnection] = []
        """The open connections. The first one that is not congested is used."""
        self._waiting: list[RedisCommand] = []
        self._is_starting = False
        self._timer: asyncio.TimerHandle | None = None
        """The timer that sends the commands for soon, where no other command comes."""
        self._opening: asyncio.Task[None] | None = None
        """The task that opens a connection for the waiting commands."""
        self._spawned: set[asyncio.Task[None]] = set()
        """The tasks that run beside the calls, until the pool is closed."""

    def call(
        self,
        script: Script,
        keys: tuple[str, ...],
        arguments: Sequence[str | bytes | int],
        *,
        soon: bool = False,
    ) -> asyncio.Future[Any]:
        """Send *script* at once, or with *soon* together with the next script, or after
        `SOON_SECONDS`. Return the future of the reply."""
        reply = self.loop.create_future()
        parts = self._packer.pack(script, keys, arguments)
        self._waiting.append(RedisCommand(parts, script, keys, arguments, reply))
        if soon:
            self._timer = self._timer or self.loop.call_later(SOON_SECONDS, self._send_waiting)
        elif not self._is_starting:
            self._is_starting = True
            self.loop.call_soon(self._send_waiting)
        return reply

    def _send_waiting(self) -> None:
        """Send the waiting commands, as soon as a connection is open."""
        self._is_starting = False
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if not self._waiting or self._opening:
            return
        if sender := self._cluster or self._connection():
            commands, self._waiting = self._waiting, []
            sender.send(commands)
        else:
            self._opening = self.loop.create_task(self._open())

    def _connection(self) -> RedisConnection | None:
        """A connection for the next commands; None where one is to be opened."""
        for connection in self._connections:
            if not connection.is_open:
                self._connections = [each for each in self._connections if each.is_open]
                return self._connection()
            if not connection.is_congested:
                return connection
        if len(self._connections) < MAX_CONNECTIONS:
            return None
        return self._connections[-1]

    async def _open(self) -> None:
        """Open a connection, and send the waiting commands."""
        try:
            connection = await RedisConnection.open(self._pool, self.timeout)
        except Exception as error:  # noqa: BLE001 - it is raised where the replies are awaited
            commands, self._waiting = self._waiting, []
            for command in commands:
                command.settle(error)
        else:
            self._connections.append(connection)
        finally:
            self._opening = None
        self._send_waiting()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run *work* until it ends or this is closed."""
        task = self.loop.create_task(work)
        self._spawned.add(task)
        task.add_done_callback(self._spawned.discard)
        return task

    async def close(self) -> None:
        """Complete the commands that are under way, and close the connections."""
        await asyncio.sleep(0)  # tasks that were spawned just now begin
        self._send_waiting()
        # Before the connections: a recovery would open others.
        spawned = [*self._spawned]
        for task in spawned:
            task.cancel()
        await asyncio.gather(*spawned, return_exceptions=True)
        while self._opening or self._connections:
            if self._opening:
                await asyncio.wait([self._opening])
            connections, self._connections = self._connections, []
            try:
                for connection in connections:
                    await connection.close()
            finally:
                # Where `close` is cancelled.
                for connection in connections:
                    connection.abort()
        with suppress(*FAILURES):
            await close_sentinels(self._pool)
        if self._cluster:
            await self._cluster.close()


class RedisPools:
    """The pools of the event loops that use the Redis at *url*. Any thread may use them."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._by_loop: dict[asyncio.AbstractEventLoop, RedisPool] = {}
        self._lock = Lock()
        """Held while `_by_loop` is changed."""

    def for_running_loop(self) -> RedisPool:
        """The pool of the running event loop. It is made where there is none."""
        pool = self._by_loop.get(asyncio.get_running_loop())
        if pool is None:
            pool = RedisPool(self._url)
            with self._lock:
                self._by_loop = {
                    loop: each for loop, each in self._by_loop.items() if not loop.is_closed()
                }
                self._by_loop[pool.loop] = pool
        return pool

    async def close_of_running_loop(self) -> None:
        """Close the pool of the running event loop, and any pool that takes its place meanwhile."""
        while pool := self._pop(asyncio.get_running_loop()):
            await pool.close()

    def close(self) -> None:
        """Let all event loops that run close their pools, and drop those of others."""
        with self._lock:
            loops = [*self._by_loop]
        for loop in loops:
            if not loop.is_running():
                self._pop(loop)
                continue
            closing = self.close_of_running_loop()
            try:
                asyncio.run_coroutine_threadsafe(closing, loop)
            except RuntimeError:  # the loop was closed meanwhile
                closing.close()

    def _pop(self, loop: asyncio.AbstractEventLoop) -> RedisPool | None:
        """Remove the pool of *loop*, and return it."""
        with self._lock:
            return self._by_loop.pop(loop, None)
