"""A connection to Redis, and the commands in RESP, its protocol."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, cast

from hiredis import Reader
from redis.asyncio.connection import AbstractConnection, ConnectionPool
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
from redis.exceptions import TimeoutError as RedisTimeoutError

from images_emulator.state.redis.redis_scripts import Script

MIN_BYTES_PER_SECOND: Final = 10 * 2**20
"""The lowest speed of a connection to Redis: large commands may take longer than small ones."""

MAX_JOINED_BYTES: Final = 16_384
"""Bytes from which on a piece of a command is sent without being copied into another one."""

MAX_HEADS: Final = 4096
"""The most beginnings of commands that are kept."""

CONGESTED_BYTES: Final = 2**16
"""Bytes from which on a connection is congested: bytes that wait to be sent, or the received bytes
of an incomplete reply. The next commands go over another connection."""

FAILURE_CODES: Final = frozenset(
    {
        "BUSY",
        "CLUSTERDOWN",
        "LOADING",
        "MASTERDOWN",
        "MISCONF",
        "NOAUTH",
        "NOPERM",
        "NOREPLICAS",
        "OOM",
        "TRYAGAIN",
    }
)
"""The first words of errors that say that Redis cannot run commands at all at the moment."""

FAILURES: Final = (
    RedisConnectionError,
    RedisTimeoutError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    ClusterError,
    OSError,
)
"""The exceptions that say that Redis is away, or cannot run commands."""

_NO_REPLY: Final = object()
"""Takes the place of a reply that is not complete yet."""


class RedisCommand(NamedTuple):
    """A script that is to be sent: the *parts* in RESP; the *script*, *keys* and *arguments* that
    make them; and the future of the *reply*."""

    parts: Sequence[bytes]
    script: Script
    keys: tuple[str, ...]
    arguments: Sequence[str | bytes | int]
    reply: asyncio.Future[Any]

    def settle(self, reply: Any) -> None:
        """Give the future the *reply*, or an exception that takes the place of the reply."""
        # The caller that awaited it may be cancelled.
        if self.reply.done():
            return
        if isinstance(reply, Exception):
            self.reply.set_exception(reply)
        else:
            self.reply.set_result(reply)


class CommandPacker:
    """Writes commands in RESP. The beginning of a command is made once for each script and
    container."""

    def __init__(self) -> None:
        self._heads: dict[tuple[str, tuple[str, ...]], tuple[int, str]] = {}

    def pack(
        self, script: Script, keys: tuple[str, ...], arguments: Sequence[str | bytes | int]
    ) -> Sequence[bytes]:
        """The command that runs *script*, in as few pieces as its long arguments allow."""
        head = self._heads.get((script.digest, keys))
        if head is None:
            words = ("EVALSHA", script.digest, str(len(keys)), *keys)
            if len(self._heads) >= MAX_HEADS:
                self._heads.clear()
            head = self._heads[script.digest, keys] = len(words), _bulk_strings(words)
        count, text = head
        return _pack(count + len(arguments), text, arguments)


def seconds_for(size: int, seconds: float) -> float:
    """Seconds that a command of *size* bytes may take where a small one may take *seconds*."""
    return seconds + size / MIN_BYTES_PER_SECOND


def _pack(count: int, head: str, arguments: Sequence[str | bytes | int]) -> Sequence[bytes]:
    """A command of *count* words, which begins with *head*."""
    pieces: list[bytes] = []
    # Formatting a text takes a third of the time of formatting bytes.
    texts = [f"*{count}\r\n", head]
    for argument in arguments:
        word = argument if isinstance(argument, bytes) else str(argument)
        if isinstance(word, str):
            if word.isascii():
                texts.append(f"${len(word)}\r\n{word}\r\n")
                continue
            word = word.encode()
        if word:
            texts.append(f"${len(word)}\r\n")
            pieces += "".join(texts).encode(), word
            texts = ["\r\n"]
        else:
            texts.append("$0\r\n\r\n")
    return [*pieces, "".join(texts).encode()]


def _bulk_strings(words: Iterable[str]) -> str:
    """*words* as bulk strings of RESP, each with its length in bytes. All characters are ASCII."""
    return "".join(f"${len(word)}\r\n{word}\r\n" for word in words)


def _exception_of(text: str) -> Exception:
    """The exception for an error reply."""
    code, _, words = text.partition(" ")
    if code == "NOSCRIPT":
        return NoScriptError(words)
    if code == "READONLY":
        return ReadOnlyError(words)
    return RedisConnectionError(text) if code in FAILURE_CODES else ResponseError(text)


class RedisConnection(asyncio.Protocol):
    """An open connection. Commands are sent without waiting for earlier replies: Redis replies in
    the order of the commands.

    redis-py opens the connection with all options of the URL. Then this object replaces the streams
    and the parser of redis-py, which took more time than Redis itself.

    Redis may take *seconds* to reply to the first command. After that it has to go on receiving or
    sending bytes, with pauses of at most *seconds*. Otherwise the connection is closed, and all
    commands that wait fail.
    """

    def __init__(self, opened: AbstractConnection, seconds: float) -> None:
        # A writer that is garbage closes its transport.
        self._writer = opened._writer  # redis-py has no public name for it
        assert self._writer
        opened._reader = opened._writer = None  # redis-py would warn that the connection is open
        self._loop = asyncio.get_running_loop()
        self._transport = cast("asyncio.Transport", self._writer.transport)
        self._seconds = seconds
        self._reader = Reader(
            protocolError=RedisConnectionError, replyError=_exception_of, notEnoughData=_NO_REPLY
        )
        self._pending: deque[tuple[RedisCommand, float]] = deque()
        """The commands that have no reply yet, each with the time when it is late."""
        self._timer: asyncio.TimerHandle | None = None
        self._last_heard = 0.0
        """The time of the last bytes that came, or were seen to leave."""
        self._unsent_bytes = 0
        """Bytes that waited to be sent at the last check."""
        self._unread_bytes = 0
        """Bytes that came since the last complete reply."""
        self._replied_all: asyncio.Future[None] | None = None
        """Done when no command waits any more; None until the connection is to be closed."""
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self.is_open = True
        self._transport.set_protocol(self)

    @classmethod
    async def open(cls, pool: ConnectionPool, seconds: float) -> RedisConnection:
        """Open a connection as *pool* does, within *seconds*. Raises the exceptions of redis-py."""
        made: Any = pool.make_connection()  # type: ignore[no-untyped-call] # it has no types
        try:
            async with asyncio.timeout(seconds):
                await made.connect()
        except TimeoutError:
            raise RedisTimeoutError(f"no connection in {seconds:.3g} s") from None
        return cls(made, seconds)

    @property
    def is_congested(self) -> bool:
        """Whether so many bytes are on their way that other commands would wait behind them."""
        return (
            self._unread_bytes >= CONGESTED_BYTES
            or self._transport.get_write_buffer_size() >= CONGESTED_BYTES
        )

    def send(self, commands: Sequence[RedisCommand]) -> None:
        """Send *commands* in one write, and give each its reply."""
        now = self._loop.time()
        pieces = [piece for each in commands for piece in each.parts]
        size = sum(map(len, pieces))
        late = now + seconds_for(size, self._seconds)
        self._pending.extend((each, late) for each in commands)
        if self._timer is None:
            self._timer = self._loop.call_at(late, self._check_time)
        if size < MAX_JOINED_BYTES:
            self._transport.write(b"".join(pieces))
        else:
            self._transport.writelines(_join(pieces))
            self._unsent_bytes = self._transport.get_write_buffer_size()

    def data_received(self, data: bytes) -> None:
        self._last_heard = self._loop.time()
        self._unread_bytes += len(data)
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not _NO_REPLY and self._pending:
                self._unread_bytes = 0
                self._settle(reply)
        except RedisConnectionError as error:
            self._fail(error)
        if not self._pending:
            self._tell_closer()

    def _tell_closer(self) -> None:
        """Go on with `close`, which waits until no command waits."""
        if self._replied_all and not self._replied_all.done():
            self._replied_all.set_result(None)

    def _settle(self, reply: Any) -> None:
        command, _ = self._pending.popleft()
        if isinstance(reply, NoScriptError):
            words = ("EVAL", command.script.text, str(len(command.keys)), *command.keys)
            head = _bulk_strings(words)
            count = len(words) + len(command.arguments)
            self.send([command._replace(parts=_pack(count, head, command.arguments))])
            return
        command.settle(reply)
        if isinstance(reply, ReadOnlyError):
            # This server was the master once. A sentinel knows the new one.
            self._fail(reply)

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(RedisConnectionError(str(error or "Redis has closed the connection")))
        if not self._closed.done():
            self._closed.set_result(None)

    def _check_time(self) -> None:
        """Fail where Redis is late."""
        self._timer = None
        if not self._pending:
            return
        now, unsent_bytes = self._loop.time(), self._transport.get_write_buffer_size()
        if unsent_bytes < self._unsent_bytes:
            self._last_heard = now
        self._unsent_bytes = unsent_bytes
        late = max(self._pending[0][1], self._last_heard + self._seconds)
        if now < late:
            self._timer = self._loop.call_at(late, self._check_time)
        else:
            self._fail(RedisTimeoutError(f"no reply in {self._seconds:.3g} s"))

    def _fail(self, error: Exception) -> None:
        """Close the connection. The commands that wait have *error* for a reply."""
        self.is_open = False
        if self._timer:
            self._timer.cancel()
            self._timer = None
        self._transport.abort()
        pending, self._pending = self._pending, deque()
        for command, _ in pending:
            command.settle(error)
        self._tell_closer()

    def abort(self) -> None:
        """Close the connection at once, unless it is closed."""
        if self.is_open:
            self._fail(RedisConnectionError("the connection was closed"))

    async def close(self) -> None:
        """Close the connection, when all commands have their replies."""
        if self._pending:
            # Not the future of a reply: the caller that awaited it may have cancelled it.
            self._replied_all = asyncio.get_running_loop().create_future()
            await self._replied_all
        self.is_open = False
        if self._timer:
            self._timer.cancel()
            self._timer = None
        self._transport.close()
        await self._closed


def _join(pieces: Sequence[bytes]) -> list[bytes]:
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
