"""The waits of an answer, by the emulator's clock or for the client to leave, and the end of its
connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from time import perf_counter
from typing import Any

from images_emulator.exchange.served_exchange import ServedExchange

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
"""The function of ASGI by which an application receives the messages of a call. It is Starlette's
type of this name, written anew because this layer knows no web framework."""


class Waits:
    """The waits of a call's answer for a time, one after the other, by the emulator's clock. Faults
    and recordings wait for a time only in this way, and only while the client stays. They wait
    without an end by `wait_for_disconnect`.

    The first wait begins when the object is made. An advance of the clock after the call's arrival
    shortens the sum of the waits, whether it comes before or during them. So a test that finds a
    call in the journal and advances the clock need not know whether the answer waits yet.
    """

    def __init__(self, exchange: ServedExchange) -> None:
        assert exchange.clock
        self._clock = exchange.clock
        self._end = perf_counter() + exchange.advanced_seconds_at_arrival

    async def wait(self, seconds: float) -> None:
        """Wait until *seconds* have passed since the end of the wait before."""
        self._end += seconds
        await self._clock.wait_until(self._end)

    async def wait_while_client_stays(self, seconds: float, receive: Receive) -> bool:
        """Wait as `wait` does, or until the client leaves. Return whether it has stayed."""
        return await client_stays_during(self.wait(seconds), receive)


async def client_stays_during(wait: Coroutine[Any, Any, object], receive: Receive) -> bool:
    """Await *wait*, or cancel it where the client leaves. Return whether the client has stayed.
    Raises what *wait* raises, and what *receive* raises where nothing tells whether the client has
    left."""
    waiting = asyncio.ensure_future(wait)
    leaving = asyncio.ensure_future(wait_for_disconnect(receive))
    try:
        await asyncio.wait((waiting, leaving), return_when=asyncio.FIRST_COMPLETED)
        if leaving.done():
            await leaving
            return False
        await waiting
        return True
    finally:
        waiting.cancel()
        leaving.cancel()


async def wait_for_disconnect(receive: Receive) -> None:
    """Wait until the client has left."""
    while (await receive())["type"] != "http.disconnect":  # noqa: ASYNC110 - no event
        # Where no server runs, `receive` may return messages without end and without waiting.
        await asyncio.sleep(0.01)


async def hang_up(exchange: ServedExchange, receive: Receive, *, reset: bool) -> None:
    """Close the connection once all sent bytes have left, with a TCP RST where *reset*. Then wait
    until the client has left. The journal has the complete call before the client can see the end.

    A call in process has no connection: `JournalMiddleware` raises ConnectionResetError in place of
    closing one, once the application has returned.
    """
    exchange.answer.is_hung_up = True
    exchange.answer.is_reset = reset
    connection = exchange.connection
    if exchange.end_call:
        await exchange.end_call()
    if connection is not None:
        await connection.hang_up(reset=reset)
        await wait_for_disconnect(receive)
