"""The common parts of the containers of the store in Redis."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, ClassVar, Final, Generic, TypeVar

from images_emulator.state.redis.redis_client import RedisClient
from images_emulator.state.redis.redis_scripts import TOUCH
from images_emulator.state.store import Codec, ContainerSize, Packed

T = TypeVar("T")

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The moment from which times in Redis count."""


MAX_REASONS: Final = 100
"""The most reasons that the program's log names for unreadable values of one container."""

logger = logging.getLogger("images_emulator")

RENEWALS: Final = 48
"""How many times the time to live is renewed within one time to live, while there are calls."""


class TimeToLive:
    """The time to live of a store: the *seconds* from its last use until Redis forgets its keys."""

    def __init__(self, client: RedisClient, seconds: int) -> None:
        self.seconds = seconds
        self.keys: list[str] = []
        """The keys of all containers that this process has made."""
        self._client = client
        self._renewed = monotonic()
        """The time of the last renewal by this process."""

    @property
    def is_due(self) -> bool:
        """Whether the time to live has to be renewed."""
        return monotonic() - self._renewed > self.seconds / RENEWALS

    async def renew(self) -> None:
        """Renew the time to live. Raises APIError where Redis does not reply."""
        self._renewed = monotonic()
        await self._client.call(TOUCH, (*self.keys,), self.seconds)


class RedisContainer:
    """A container of `state/store.py` in Redis: each of its *keys* holds one kind of fact about all
    entries. Each operation is one script, such as those of `redis_log_scripts` for `RedisLog`. The
    script gets all keys, and gives them the seconds of *ttl* to live when it writes."""

    KIND: ClassVar[str]
    """The kind of container; the keys have it before the container's name."""

    KEYS: ClassVar[tuple[str, ...]]
    """The ends of the keys, in the order in which the scripts take them."""

    def __init__(self, client: RedisClient, keys: tuple[str, ...], ttl: TimeToLive) -> None:
        self.keys = keys
        """The keys in Redis, in the order of `KEYS`."""
        self._client = client
        self._ttl = ttl


class ValueReader(Generic[T]):
    """Unpacks the values of the container with this *key*. The program's log has a warning for
    those that *unpack* refuses, such as those of a newer release: one for each reason."""

    def __init__(self, unpack: Callable[[Packed], T], key: str) -> None:
        self._unpack = unpack
        self._key = key
        self._reasons: set[str] = set()
        """The reasons that were logged."""

    def read(self, text: bytes, data: bytes | None) -> T | None:
        """A value; None where it cannot be unpacked. Its JSON has one line, and two lines once it
        is an entry that was amended."""
        document: dict[str, Any] = {}
        try:
            for line in text.split(b"\n"):
                document.update(json.loads(line))
            return self._unpack(Packed(document, data or b""))
        except Exception as error:  # noqa: BLE001 - a newer release may have written anything
            self._warn(reason_of(error))
            return None

    def read_all(self, flat: Sequence[Any]) -> list[T]:
        """The values of *flat*, which has JSON and bytes in turn, without those that cannot be
        unpacked."""
        return present(self.read(text, data) for text, data in pairs(flat))

    def _warn(self, reason: str) -> None:
        if reason in self._reasons or len(self._reasons) >= MAX_REASONS:
            return
        self._reasons.add(reason)
        logger.warning(
            "The store has entries in %s that this server cannot read, such as those of a newer "
            "release: %s. This server leaves them out",
            self._key,
            reason,
        )


def present(values: Iterable[T | None]) -> list[T]:
    """The *values* that are there."""
    return [value for value in values if value is not None]


def unpack_value(codec: Codec[T], text: bytes, data: bytes | None) -> T:
    """The value that Redis has as the JSON *text* and the bytes *data*."""
    return codec.unpack(Packed(json.loads(text), data or b""))


def reason_of(error: Exception) -> str:
    """Why a value cannot be unpacked, for the log: the first line of what its codec has raised, and
    the exception's name."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def pairs(flat: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """The items of *flat*, two by two."""
    return zip(flat[::2], flat[1::2], strict=True)


def size_of(reply: tuple[int, bytes]) -> ContainerSize:
    """The size in a reply of `SIZE` or `SIZE_OF_LOG`."""
    number, weight = reply
    return ContainerSize(number, int(float(weight)))


def time_text(time: datetime | None) -> str:
    """*time* as 20 digits, which compare as texts; empty for None."""
    return "" if time is None else f"{(time - EPOCH) // timedelta(microseconds=1):020d}"
