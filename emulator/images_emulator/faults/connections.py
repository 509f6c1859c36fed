"""Faults of the connection: reset, or closed too early."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from images_emulator.exchange.served_exchange import ServedExchange
from images_emulator.exchange.waits import hang_up
from images_emulator.faults.base import RESPONSE_BODY, RESPONSE_START, BaseFault


async def _cut(
    app: ASGIApp,
    exchange: ServedExchange,
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    after: int | None,
    reset: bool,
) -> None:
    """Close the connection in the middle of the answer of *app*: after *after* bytes of the body,
    or with None after half of its first message. A shorter body arrives whole, and so does the
    answer to a HEAD, which has none."""
    if exchange.method == "HEAD":
        await app(scope, receive, send)
        return
    left, ended = after, False

    async def wrapped_send(message: Message) -> None:
        nonlocal left, ended
        if ended:
            return
        if message["type"] == RESPONSE_START:
            left = after  # also of the answer in place of one that could not be stored
        body = message.get("body", b"")
        if message["type"] == RESPONSE_BODY and body:
            left = len(body) // 2 if left is None else left
            if len(body) > left:
                # Raises where the answer could not be stored: another one follows.
                await send({**message, "body": body[:left], "more_body": True})
                ended = True
                await hang_up(exchange, receive, reset=reset)
                return
            left -= len(body)
        await send(message)

    await app(scope, receive, wrapped_send)


class ConnectionReset(BaseFault):
    """Resets the TCP connection: before the answer, or after *after_bytes* bytes of its body."""

    kind: Literal["connection_reset"] = "connection_reset"
    after_bytes: int | None = Field(
        default=None,
        ge=0,
        description="Bytes of the body that are sent before the reset; unset: not even the status "
        "is sent.",
    )

    async def __call__(
        self, app: ASGIApp, exchange: ServedExchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if self.after_bytes is None:
            await hang_up(exchange, receive, reset=True)
        else:
            await _cut(app, exchange, scope, receive, send, after=self.after_bytes, reset=True)


class Truncated(BaseFault):
    """Closes the connection cleanly in the middle of the body, or after *after_bytes* bytes."""

    kind: Literal["truncated"] = "truncated"
    after_bytes: int | None = Field(
        default=None,
        ge=0,
        description="Bytes of the body that are sent before the connection closes; unset: half of "
        "the body, or of a stream half of the first event.",
    )

    async def __call__(
        self, app: ASGIApp, exchange: ServedExchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        await _cut(app, exchange, scope, receive, send, after=self.after_bytes, reset=False)
