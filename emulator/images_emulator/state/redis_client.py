"""The connections of the store in Redis: a client for each event loop, and a thread with a loop for
callers that have none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Mapping, MutableMapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from threading import Lock, Thread
from time import monotonic
from typing import Any, Final, Protocol, TypeVar
from weakref import WeakSet, finalize

from redis.asyncio import RedisCluster
from redis.asyncio.client import PubSub
from redis.exceptions import (
    ClusterError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    ResponseError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from images_emulator.contract import emulator_errors
from images_emulator.contract.refusal import APIError
from images_emulator.setting_values import without_credentials
from images_emulator.state import redis_scripts
from images_emulator.state.redis_address import RedisAddress, close_sentinels
from images_emulator.state.redis_connection import (
    FAILURE_CODES,
    CommandPacker,
    RedisCommand,
    RedisConnection,
    seconds_for,
)
from images_emulator.state.redis_scripts import FREEING, Script
from images_emulator.state.store import (
    OperationObserver,
    StoreAway,
    StoreBack,
    StoreEvent,
    StoreEventObserver,
    StoreRestored,
)

T = TypeVar("T")

TIMEOUT_SECONDS: Final = 1.0
"""Seconds that Redis may take to accept a connection and a command, and to answer; then to send the
next answer. A URL may have others, as `?socket_timeout=10`."""

RETRY_SECONDS: Final = 0.25
"""Seconds after a failure in which nobody asks Redis. Then one operation asks, and the others fail
until it has an answer."""

MAX_CONNECTIONS: Final = 16
"""The most connections of one event loop. All operations share one, unless it is congested."""

SOON_SECONDS: Final = 0.01
"""Seconds that an operation waits for another one to be sent with it."""

QUIET_SECONDS: Final = 5.0
"""Seconds without a message after which a subscriber asks whether Redis is there, and once more
after which it connects anew."""

_NAMES: Final[Mapping[str, str]] = {
    script.digest: name.lower()
    for name, script in vars(redis_scripts).items()
    if isinstance(script, Script)
}
"""The names of scripts in lower case, by their digests."""

NO_MEMORY: Final = "OOM"
"""The first word of the error of a Redis that has no more memory."""

_FAILURES: Final = (
    RedisConnectionError,
    RedisTimeoutError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    ClusterError,
    OSError,
)
"""The exceptions that say that Redis cannot do what it is asked to, whatever that is."""


def _refusal(error: ResponseError) -> Exception:
    """*error*, or one of `_FAILURES` in its place where it says the same."""
    code, _, _ = str(error).partition(" ")
    return RedisConnectionError(str(error)) if code in FAILURE_CODES else error


async def _received(subscription: PubSub) -> AsyncGenerator[bytes, None]:
    """The messages that come. Raises RedisTimeoutError where Redis does not answer."""
    is_quiet = False
    while True:
        answer = await subscription.get_message(timeout=QUIET_SECONDS)
        if answer is None:
            if is_quiet:
                raise RedisTimeoutError
            await subscription.ping()
        elif answer["type"] == "message":
            yield answer["data"]
        is_quiet = answer is None


async def _close_clients(
    clients: MutableMapping[asyncio.AbstractEventLoop, _LoopClient],
) -> None:
    """Close the client that the running event loop has among *clients*, and what takes its place
    meanwhile."""
    while client := clients.pop(asyncio.get_running_loop(), None):
        await client.close()


class _LoopThread:
    """A thread that runs an event loop, whose client of *clients* it closes in the end."""

    def __init__(self, clients: MutableMapping[asyncio.AbstractEventLoop, _LoopClient]) -> None:
        self.loop = asyncio.new_event_loop()
        self._clients = clients
        self._thread = Thread(target=self._serve, name="images-emulator store", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        self.loop.run_forever()
        self.loop.run_until_complete(self._end())
        self.loop.close()

    async def _end(self) -> None:
        await _close_clients(self._clients)
        # What another thread began meanwhile may open connections anew.
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await _close_clients(self._clients)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run *work* on the loop and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def begin_to_stop(self) -> None:
        """End the loop soon, and the thread with it."""
        self.loop.call_soon_threadsafe(self.loop.stop)

    def stop(self) -> None:
        """End the loop and the thread."""
        self.begin_to_stop()
        self._thread.join()


class _LoopClient:
    """The connections of the running event loop. What is called within one step of the loop is sent
    together: that is one round trip."""

    def __init__(self, url: str) -> None:
        self.loop = asyncio.get_running_loop()
        address = RedisAddress(url)
        self._cluster = address.cluster() if address.is_cluster else None
        self._pool = address.pool()
        options = self._pool.connection_kwargs
        self.timeout: float = options.get("socket_timeout") or TIMEOUT_SECONDS
        """Seconds as `TIMEOUT_SECONDS`, or those of the URL."""
        # These two would make a task of each command.
        options |= {"socket_timeout": None, "socket_connect_timeout": None}
        self._packer = CommandPacker()
        self._connections: list[RedisConnection] = []
        """The open connections. The first one that is not congested is used."""
        self._waiting: list[RedisCommand] = []
        self._is_starting = False
        self._timer: asyncio.TimerHandle | None = None
        """Starts what is to be sent soon, where nothing else comes."""
        self._opening: asyncio.Task[None] | None = None
        """Opens a connection for what waits."""
        self._tasks: set[asyncio.Task[None]] = set()
        """Send commands to a cluster."""
        self._spawned: set[asyncio.Task[None]] = set()

    def call(
        self,
        script: Script,
        keys: tuple[str, ...],
        arguments: Sequence[str | bytes | int],
        *,
        soon: bool = False,
    ) -> asyncio.Future[Any]:
        """The future of the answer to *script*, which is sent at once, or *soon*: with the next one
        that is."""
        answer = self.loop.create_future()
        parts = self._packer.packed(script, keys, arguments)
        self._waiting.append(RedisCommand(parts, script, keys, arguments, answer))
        if soon:
            self._timer = self._timer or self.loop.call_later(SOON_SECONDS, self._start)
        elif not self._is_starting:
            self._is_starting = True
            self.loop.call_soon(self._start)
        return answer

    def _start(self) -> None:
        """Send what waits, as soon as a connection is open."""
        self._is_starting = False
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if not self._waiting or self._opening:
            return
        if self._cluster:
            commands, self._waiting = self._waiting, []
            for each in commands:
                task = self.loop.create_task(self._ask_cluster(self._cluster, each))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        elif connection := self._connection():
            commands, self._waiting = self._waiting, []
            connection.send(commands)
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
        """Open a connection, and send what waits."""
        try:
            connection = await RedisConnection.open(self._pool, self.timeout)
        except Exception as error:  # noqa: BLE001 - it is raised where the answers are awaited
            commands, self._waiting = self._waiting, []
            for command in commands:
                command.settle(error)
        else:
            self._connections.append(connection)
        finally:
            self._opening = None
        self._start()

    async def _ask_cluster(self, cluster: RedisCluster, command: RedisCommand) -> None:
        """Ask the node that has the keys. Which that is may change at any time, so it is redis-py's
        to send the command again."""
        script, arguments = command.script, (*command.keys, *command.arguments)
        answer: Any
        try:
            size = sum(map(len, command.parts))
            async with asyncio.timeout(seconds_for(size, self.timeout)):
                try:
                    answer = await cluster.evalsha(script.digest, len(command.keys), *arguments)
                except NoScriptError:
                    answer = await cluster.eval(script.text, len(command.keys), *arguments)
        except TimeoutError:
            answer = RedisTimeoutError("no answer of the cluster")
        except ResponseError as error:
            answer = _refusal(error)
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is awaited
            answer = error
        command.settle(answer)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run *work* until it ends or this is closed."""
        task = self.loop.create_task(work)
        self._spawned.add(task)
        task.add_done_callback(self._spawned.discard)

    async def close(self) -> None:
        """Complete what is under way, and close the connections."""
        await asyncio.sleep(0)  # what was spawned just now has its say
        self._start()
        # Before the connections: a recovery would open others.
        spawned = [*self._spawned]
        for task in spawned:
            task.cancel()
        await asyncio.gather(*spawned, return_exceptions=True)
        while self._opening or self._tasks or self._connections:
            if busy := {*self._tasks, *filter(None, (self._opening,))}:
                await asyncio.wait(busy)
            connections, self._connections = self._connections, []
            for connection in connections:
                await connection.close()
        with suppress(*_FAILURES):
            await close_sentinels(self._pool)
        if self._cluster:
            await self._cluster.aclose()


@dataclass(slots=True)
class _Outage:
    """A time in which Redis does not do what it is asked to."""

    since: float
    """Its begin, by `monotonic`."""
    late_entries: int = 0
    """Entries of logs that wait for its end."""
    dropped_entries: int = 0
    """Entries that have waited, and were dropped."""


class Recovery(Protocol):
    """Something that missed what happened while Redis was away."""

    async def recover(self) -> None:
        """Ask Redis for it, or tell Redis. Raises APIError where it does not answer."""
        ...


class RedisClient:
    """Runs scripts on the Redis at *url*, from any event loop and any thread.

    An operation that Redis does not answer raises the APIError `store_unavailable`. So do those
    of the next `RETRY_SECONDS`, at once: a call that needs no store is not late by it. From then on
    Redis is asked until it answers, also where nobody calls.
    """

    def __init__(self, url: str) -> None:
        self.observers: tuple[OperationObserver, ...] = ()
        """Observe each operation by the name of its script. Any thread may replace the tuple."""
        self.event_observers: tuple[StoreEventObserver, ...] = ()
        """Are told that Redis goes, is back, and is restored. Any thread may replace the tuple."""
        self._url = url
        self._clients: dict[asyncio.AbstractEventLoop, _LoopClient] = {}
        self._thread: _LoopThread | None = None
        self._lock = Lock()
        """Held while `_clients`, `_thread` and `_recoveries` are changed."""
        self._reason = ""
        """Why the last operation failed; empty where it did not."""
        self._recoveries: WeakSet[Recovery] = WeakSet()
        """What recovers when Redis answers again."""
        self._is_recovering = False
        self._outage: _Outage | None = None
        """That from the first failure to the end of the recovery."""
        self._is_restored = False
        """Whether registers were restored of which nobody was told."""
        self._asked_again = 0.0
        """The time of `monotonic` from which on Redis is asked again after a failure."""

    @property
    def failure(self) -> APIError | None:
        """The error of the last operation, if Redis has not answered it."""
        return self._error() if self._reason else None

    def check(self) -> None:
        """Raises APIError where an operation would not be sent now."""
        if self._reason and monotonic() < self._asked_again:
            raise self._error()

    async def call(
        self, script: Script, keys: tuple[str, ...], *arguments: str | bytes | int
    ) -> Any:
        """Run *script* and return its answer. Raises APIError where Redis does not answer."""
        if not self.observers:
            return await self._ask(script, keys, arguments)
        with ExitStack() as observations:
            for observer in self.observers:
                observations.enter_context(observer(_NAMES[script.digest]))
            return await self._ask(script, keys, arguments)

    async def call_soon(
        self, script: Script, keys: tuple[str, ...], *arguments: str | bytes | int
    ) -> Any:
        """As `call`, but the script is sent with the next operation, or after `SOON_SECONDS`. The
        observers do not see it."""
        return await self._ask(script, keys, arguments, soon=True)

    async def _ask(
        self,
        script: Script,
        keys: tuple[str, ...],
        arguments: Sequence[str | bytes | int],
        *,
        soon: bool = False,
    ) -> Any:
        client = self._client()
        if self._reason:
            if not (script in FREEING and self._reason.startswith(NO_MEMORY)):
                self.check()
            self._asked_again = monotonic() + client.timeout + RETRY_SECONDS
        try:
            answer = await client.call(script, keys, arguments, soon=soon)
        except _FAILURES as error:
            self._reason = str(error).rstrip(".") or type(error).__name__
            self._asked_again = monotonic() + RETRY_SECONDS
            if self._outage is None:
                self._outage = _Outage(monotonic())
                self._tell(StoreAway(without_credentials(self._url), self._reason))
            self._recover_soon(client)
            raise self._error() from None
        except BaseException:
            self._asked_again = 0.0
            raise
        self._reason = ""
        return answer

    def recover_later(self, recovery: Recovery) -> None:
        """Let *recovery* recover whenever Redis answers again, as long as it is no garbage."""
        with self._lock:
            self._recoveries.add(recovery)

    def note_late_entries(self, late: int, dropped: int) -> None:
        """Note that so many more entries of a log are *late*, of which so many were *dropped*."""
        if outage := self._outage:
            outage.late_entries += late - dropped
            outage.dropped_entries += dropped

    def note_restored(self) -> None:
        """Note that Redis had lost registers, which were restored. The observers are told when
        those of all stores with these connections are."""
        self._is_restored = True
        self._recover_soon(self._client())

    def _recover_soon(self, client: _LoopClient) -> None:
        if not self._is_recovering:
            self._is_recovering = True
            client.spawn(self._recover())

    async def _recover(self) -> None:
        """Wait until Redis answers, and restore and catch up what waited for that. Then tell the
        observers."""
        try:
            while True:
                await asyncio.sleep(RETRY_SECONDS)
                with self._lock:
                    recoveries = [*self._recoveries]
                for each in recoveries:
                    with suppress(APIError):
                        await each.recover()
                    if self._reason:
                        break
                if not self._reason:
                    break
        except BaseException:
            self._outage = None
            raise
        finally:
            self._is_recovering = False
        url = without_credentials(self._url)
        outage, self._outage = self._outage, None
        if outage:
            seconds = monotonic() - outage.since
            self._tell(StoreBack(url, seconds, outage.late_entries, outage.dropped_entries))
        if self._is_restored:
            self._is_restored = False
            self._tell(StoreRestored(url))

    def _tell(self, event: StoreEvent) -> None:
        for observer in self.event_observers:
            observer(event)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run *work* on the running event loop, as long as its connections are not closed."""
        self._client().spawn(work)

    async def messages(self, channel: str) -> AsyncGenerator[bytes | None, None]:
        """What is published on *channel* from now on, without end. None where there was no
        connection, or was none meanwhile, so that messages may be missed."""
        while True:
            # A connection that is made anew in silence would miss messages: it makes none.
            redis = RedisAddress(self._url).subscriber(socket_connect_timeout=TIMEOUT_SECONDS)
            try:
                async with redis, redis.pubsub() as subscription:
                    await subscription.subscribe(channel)
                    yield None
                    async for message in _received(subscription):
                        yield message
            except (*_FAILURES, ResponseError):
                await asyncio.sleep(RETRY_SECONDS)
            finally:
                with suppress(*_FAILURES):
                    await close_sentinels(redis.connection_pool)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run *work* on a loop of this object and return its result. Blocks."""
        with self._lock:
            if self._thread is None:
                self._thread = _LoopThread(self._clients)
                # An object that is garbage leaves no thread.
                self._abandoned = finalize(self, self._thread.begin_to_stop)
                self._abandoned.atexit = False
            thread = self._thread
        return thread.run(work)

    async def disconnect(self) -> None:
        """Close the connections of the running event loop. A later operation opens others."""
        await _close_clients(self._clients)

    def close(self) -> None:
        """Close the connections of all loops that run, and end the thread."""
        with self._lock:
            thread, self._thread = self._thread, None
            own = thread.loop if thread else None
            loops = [loop for loop in [*self._clients] if loop is not own]
        if thread:
            self._abandoned.detach()
            thread.stop()
        for loop in loops:
            if loop.is_running():
                asyncio.run_coroutine_threadsafe(self.disconnect(), loop)
            else:
                self._clients.pop(loop, None)

    def _client(self) -> _LoopClient:
        """The client of the running event loop."""
        client = self._clients.get(asyncio.get_running_loop())
        if client is None:
            client = _LoopClient(self._url)
            with self._lock:
                # A loop that ends takes its own out without the lock.
                for each in [*self._clients]:
                    if each.is_closed():
                        self._clients.pop(each, None)
                self._clients[client.loop] = client
        return client

    def _error(self) -> APIError:
        return emulator_errors.store_unavailable(
            url=without_credentials(self._url), reason=self._reason
        )
