"""The connections of the store in Redis: a client for each event loop, and a thread with a loop for
callers that have none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from contextlib import ExitStack, suppress
from threading import Lock, Thread
from time import monotonic
from typing import Any, Final, NamedTuple, Protocol, TypeVar
from weakref import WeakSet, finalize

from redis.asyncio import RedisCluster
from redis.asyncio.client import PubSub
from redis.asyncio.connection import AbstractConnection
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
from images_emulator.state.redis_scripts import Script
from images_emulator.state.store import OperationObserver

T = TypeVar("T")

TIMEOUT_SECONDS: Final = 1.0
"""Seconds that Redis may take to accept a connection and a command, and to answer; then to send the
next answer. A URL may have others, as `?socket_timeout=10`."""

MIN_BYTES_PER_SECOND: Final = 10 * 2**20
"""The slowest way to Redis: large commands may take longer than `TIMEOUT_SECONDS`."""

RETRY_SECONDS: Final = 0.25
"""Seconds after a failure in which nobody asks Redis. Then one operation asks, and the others fail
until it has an answer."""

MAX_CONNECTIONS: Final = 16
"""The most connections of one event loop. Operations that wait for one are then sent together, so
that where Redis does not answer, none waits much longer than twice `TIMEOUT_SECONDS`."""

SOON_SECONDS: Final = 0.01
"""Seconds that an operation waits for another one to be sent with it."""

QUIET_SECONDS: Final = 5.0
"""Seconds without a message after which a subscriber asks whether Redis is there, and once more
after which it connects anew."""

MAX_HEADS: Final = 4096
"""The most beginnings of commands that are kept."""

MAX_JOINED_BYTES: Final = 16_384
"""Bytes from which on an argument is not copied into the text of its command."""

_NAMES: Final[Mapping[str, str]] = {
    script.digest: name.lower()
    for name, script in vars(redis_scripts).items()
    if isinstance(script, Script)
}
"""The names of scripts in lower case, by their digests."""

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

_FAILURE_CODES: Final = frozenset({"BUSY", "MISCONF", "NOREPLICAS"})
"""The first words of errors that say so, too, and for which redis-py has no exception."""


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


class _LoopThread:
    """A thread that runs an event loop."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._serve, name="images-emulator store", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        self.loop.run_forever()
        self.loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run *work* on the loop and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def stop(self) -> None:
        """End the loop and the thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()


class _Command(NamedTuple):
    """A script that waits to be sent: in the words of the protocol, and as what these were made
    of, with the future of its answer."""

    parts: Sequence[bytes]
    script: Script
    keys: tuple[str, ...]
    arguments: Sequence[str | bytes | int]
    answer: asyncio.Future[Any]


class _LoopClient:
    """The connections of the running event loop. What is called within one step of the loop is sent
    together: that is one round trip.

    redis-py makes and reads the connections. Its pool and its pipelines are not used: they took
    more time than Redis itself.
    """

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
        self._idle: list[AbstractConnection] = []
        self._waiting: list[_Command] = []
        self._is_starting = False
        self._timer: asyncio.TimerHandle | None = None
        """Starts what is to be sent soon, where nothing else comes."""
        self._is_late = False
        """Whether what waits is late, because no connection was free."""
        self._sending: set[asyncio.Task[None]] = set()
        self._spawned: set[asyncio.Task[None]] = set()
        self._heads: dict[tuple[str, tuple[str, ...]], tuple[int, bytes]] = {}

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
        parts = self._packed(script, keys, arguments)
        self._waiting.append(_Command(parts, script, keys, arguments, answer))
        if soon:
            self._timer = self._timer or self.loop.call_later(SOON_SECONDS, self._start)
        elif not self._is_starting:
            self._is_starting = True
            self.loop.call_soon(self._start)
        return answer

    def _packed(
        self, script: Script, keys: tuple[str, ...], arguments: Sequence[str | bytes | int]
    ) -> list[bytes]:
        """The command in the words of the protocol. Long arguments are pieces of their own."""
        head = self._heads.get((script.digest, keys))
        if head is None:
            words = ("EVALSHA", script.digest, str(len(keys)), *keys)
            head = (
                len(words),
                b"".join(b"$%d\r\n%b\r\n" % (len(each), each) for each in map(str.encode, words)),
            )
            if len(self._heads) >= MAX_HEADS:
                self._heads.clear()
            self._heads[script.digest, keys] = head
        count, text = head
        pieces = [b"*%d\r\n%b" % (count + len(arguments), text)]
        for argument in arguments:
            word = argument if isinstance(argument, bytes) else str(argument).encode()
            if len(word) < MAX_JOINED_BYTES:
                pieces.append(_word(word))
            else:
                pieces += b"$%d\r\n" % len(word), word, b"\r\n"
        return pieces

    def _start(self) -> None:
        """Send what waits, as soon as a connection is free."""
        self._is_starting = False
        if self._timer:
            self._timer.cancel()
            self._timer = None
        self._is_late = bool(self._waiting) and len(self._sending) >= MAX_CONNECTIONS
        if not self._waiting or self._is_late:
            return
        commands, self._waiting = self._waiting, []
        task = self.loop.create_task(self._send(commands))
        self._sending.add(task)
        task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if self._is_late:
            self._start()

    async def _send(self, commands: Sequence[_Command]) -> None:
        answers: list[Any]
        try:
            answers = await self._answers(commands)
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is awaited
            answers = [error] * len(commands)
        for each, answer in zip(commands, answers, strict=True):
            # Who awaited it may be cancelled.
            if each.answer.done():
                continue
            if isinstance(answer, Exception):
                each.answer.set_exception(answer)
            else:
                each.answer.set_result(answer)

    async def _answers(self, commands: Sequence[_Command]) -> list[Any]:
        """The answers to *commands*, which are exceptions where Redis refuses one. Raises the
        exceptions of redis-py where the connection fails."""
        pieces = [piece for each in commands for piece in each.parts]
        seconds = self.timeout + sum(map(len, pieces)) / MIN_BYTES_PER_SECOND
        try:
            async with asyncio.timeout(seconds) as limit:
                return await self._answers_in_time(commands, pieces, limit)
        except TimeoutError:
            raise RedisTimeoutError(f"no answer in {seconds:.3g} s") from None

    async def _answers_in_time(
        self, commands: Sequence[_Command], pieces: Sequence[bytes], limit: asyncio.Timeout
    ) -> list[Any]:
        if self._cluster:
            asked = (self._answer_of_cluster(self._cluster, each) for each in commands)
            return [*await asyncio.gather(*asked)]
        connection = await self._connection()
        try:
            await connection.send_packed_command(_joined(pieces), check_health=False)
            answers = []
            for _ in commands:
                answers.append(await _answer_of(connection))
                limit.reschedule(self.loop.time() + self.timeout)
            for place, each in enumerate(commands):
                if isinstance(answers[place], NoScriptError):
                    words = each.script.text, len(each.keys), *each.keys, *each.arguments
                    await connection.send_command("EVAL", *words, check_health=False)
                    answers[place] = await _answer_of(connection)
        except BaseException:
            # A connection that waits for an answer is of no use to others.
            await connection.disconnect(nowait=True)
            raise
        self._idle.append(connection)
        return answers

    async def _answer_of_cluster(self, cluster: RedisCluster, command: _Command) -> Any:
        """The answer of the node that has the keys. Which that is may change at any time, so it is
        redis-py's to send the command again."""
        script, arguments = command.script, (*command.keys, *command.arguments)
        try:
            try:
                return await cluster.evalsha(script.digest, len(command.keys), *arguments)
            except NoScriptError:
                return await cluster.eval(script.text, len(command.keys), *arguments)
        except ResponseError as error:
            return _refusal(error)

    async def _connection(self) -> AbstractConnection:
        """A connection that nobody uses, which is open."""
        while self._idle:
            connection = self._idle.pop()
            # Something to read is the end of the connection.
            with suppress(*_FAILURES):
                if not await connection.can_read():
                    return connection
            await connection.disconnect(nowait=True)
        made: Any = self._pool.make_connection()  # type: ignore[no-untyped-call] # it has no types
        await made.connect()
        opened: AbstractConnection = made
        return opened

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run *work* until it ends or this is closed."""
        task = self.loop.create_task(work)
        self._spawned.add(task)
        task.add_done_callback(self._spawned.discard)

    async def close(self) -> None:
        """Complete what is under way, and close the connections."""
        self._start()
        while self._sending or self._waiting:
            await asyncio.sleep(0)
            if self._sending:
                await asyncio.wait([*self._sending])
        spawned = [*self._spawned]
        for task in spawned:
            task.cancel()
        await asyncio.gather(*spawned, return_exceptions=True)
        idle, self._idle = self._idle, []
        for connection in idle:
            # The end of a connection that is broken is no news.
            with suppress(*_FAILURES):
                await connection.disconnect()
        with suppress(*_FAILURES):
            await close_sentinels(self._pool)
        if self._cluster:
            await self._cluster.aclose()


def _word(word: bytes) -> bytes:
    """*word* in the words of the protocol."""
    return b"$%d\r\n%b\r\n" % (len(word), word)


async def _answer_of(connection: AbstractConnection) -> Any:
    """The next answer; an exception where Redis refuses the command."""
    try:
        return await connection.read_response()
    except ResponseError as error:
        return _refusal(error)


def _refusal(error: ResponseError) -> Exception:
    """*error*, or one of `_FAILURES` in its place where it is none of these but says the same."""
    code, _, _ = str(error).partition(" ")
    return RedisConnectionError(str(error)) if code in _FAILURE_CODES else error


def _joined(pieces: Sequence[bytes]) -> list[bytes]:
    """*pieces* in as few as possible, without a copy of long ones."""
    joined: list[bytes] = []
    short: list[bytes] = []
    for piece in pieces:
        if len(piece) < MAX_JOINED_BYTES:
            short.append(piece)
            continue
        joined += b"".join(short), piece
        short.clear()
    return [*joined, b"".join(short)]


def _abandon(thread: _LoopThread, clients: Mapping[asyncio.AbstractEventLoop, _LoopClient]) -> None:
    """End the *thread* of an object that is garbage, and close its connections."""

    async def end() -> None:
        if client := clients.get(thread.loop):
            await client.close()
        thread.loop.stop()

    asyncio.run_coroutine_threadsafe(end(), thread.loop)


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
        self._url = url
        self._clients: dict[asyncio.AbstractEventLoop, _LoopClient] = {}
        self._thread: _LoopThread | None = None
        self._lock = Lock()
        """Held while `_clients` and `_thread` are changed."""
        self._reason = ""
        """Why the last operation failed; empty where it did not."""
        self.recoveries: WeakSet[Recovery] = WeakSet()
        """What recovers when Redis answers again."""
        self._is_recovering = False
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
            self.check()
            self._asked_again = monotonic() + client.timeout + RETRY_SECONDS
        try:
            answer = await client.call(script, keys, arguments, soon=soon)
        except _FAILURES as error:
            self._reason = str(error).rstrip(".") or type(error).__name__
            self._asked_again = monotonic() + RETRY_SECONDS
            if not self._is_recovering:
                self._is_recovering = True
                client.spawn(self._recover())
            raise self._error() from None
        except BaseException:
            self._asked_again = 0.0
            raise
        self._reason = ""
        return answer

    async def _recover(self) -> None:
        """Wait until Redis answers, and restore and catch up what waited for that."""
        try:
            while self._reason:
                await asyncio.sleep(RETRY_SECONDS)
                for each in [*self.recoveries]:
                    with suppress(APIError):
                        await each.recover()
                    if self._reason:
                        break
        finally:
            self._is_recovering = False

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
                self._thread = _LoopThread()
                self._abandoned = finalize(self, _abandon, self._thread, self._clients)
                self._abandoned.atexit = False
            thread = self._thread
        return thread.run(work)

    async def disconnect(self) -> None:
        """Close the connections of the running event loop. A later operation opens others."""
        with self._lock:
            client = self._clients.pop(asyncio.get_running_loop(), None)
        if client:
            await client.close()

    def close(self) -> None:
        """Close the connections of all loops that run, and end the thread."""
        with self._lock:
            thread, self._thread = self._thread, None
            own = thread.loop if thread else None
            loops = [loop for loop in self._clients if loop is not own]
        if thread:
            self._abandoned.detach()
            thread.run(self.disconnect())
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
                for each in [each for each in self._clients if each.is_closed()]:
                    del self._clients[each]
                self._clients[client.loop] = client
        return client

    def _error(self) -> APIError:
        return emulator_errors.store_unavailable(
            url=without_credentials(self._url), reason=self._reason
        )
