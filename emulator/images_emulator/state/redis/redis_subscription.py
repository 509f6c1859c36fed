"""Subscriptions to channels of Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from itertools import count
from typing import Final

from redis.asyncio.client import PubSub
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from images_emulator.state.redis.redis_address import RedisAddress, close_sentinels
from images_emulator.state.redis.redis_connection import FAILURES

CONNECT_SECONDS: Final = 1.0
"""Seconds that Redis may take to accept the connection of a subscription."""

RECONNECT_SECONDS: Final = 0.25
"""Seconds after a failure before a subscription connects anew."""

QUIET_SECONDS: Final = 5.0
"""Seconds without a message after which a subscriber asks whether Redis is there. After as many
more without an answer it connects anew."""


async def messages(url: str, channel: str) -> AsyncGenerator[bytes | None, None]:
    """The messages that are published on *channel* of the Redis at *url* from now on, without end.
    None comes after each new connection, the first one included: messages before it may be
    missed."""
    address = RedisAddress(url)
    for attempt in count():
        # Without retries, so that the client does not reconnect unnoticed and miss messages.
        redis = address.subscriber(attempt, socket_connect_timeout=CONNECT_SECONDS)
        try:
            async with redis, redis.pubsub() as subscription:
                await subscription.subscribe(channel)
                yield None
                async for message in _receive(subscription):
                    yield message
        except (*FAILURES, ResponseError):
            await asyncio.sleep(RECONNECT_SECONDS)
        finally:
            with suppress(*FAILURES):
                await close_sentinels(redis.connection_pool)


async def _receive(subscription: PubSub) -> AsyncGenerator[bytes, None]:
    """The messages that come. Raises RedisTimeoutError where Redis does not reply."""
    is_quiet = False
    while True:
        message = await subscription.get_message(timeout=QUIET_SECONDS)
        if message is None:
            if is_quiet:
                raise RedisTimeoutError
            await subscription.ping()
        elif message["type"] == "message":
            yield message["data"]
        is_quiet = message is None
