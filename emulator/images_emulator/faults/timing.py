"""Faults of time: an answer that is late, never comes, or is sent slowly."""

from __future__ import annotations

import random
from typing import ClassVar, Literal

from pydantic import Field
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from images_emulator.contract.request import ImageRequest
from images_emulator.exchange.served_exchange import ServedExchange
from images_emulator.exchange.waits import Waits, hang_up, wait_for_disconnect
from images_emulator.faults.base import (
    MAX_WAIT_SECONDS,
    RESPONSE_START,
    BaseFault,
    is_event,
    is_event_stream,
)


class Latency(BaseFault):
    """Answers late: after *seconds*, and up to *jitter* more. If *realistic*, the time that the API
    was recorded to take for the model and the quality, times *scale*, takes the place of *seconds*,
    and the events of a stream share the whole."""

    changes_body: ClassVar[bool] = False

    kind: Literal["latency"] = "latency"
    seconds: float = Field(
        default=1, ge=0, le=MAX_WAIT_SECONDS, description="Seconds before the answer."
    )
    jitter: float = Field(
        default=0,
        ge=0,
        le=MAX_WAIT_SECONDS,
        description="The most seconds that are added at random, differently in each run.",
    )
    realistic: bool = Field(
        default=False, description="Whether the recorded time takes the place of `seconds`."
    )
    scale: float = Field(
        default=1, ge=0, le=100, description="Factor of the recorded time, where `realistic`."
    )

    async def __call__(
        self, app: ASGIApp, exchange: ServedExchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        waits = Waits(exchange)
        if not self.realistic:
            seconds = self.seconds + random.uniform(0, self.jitter)
            if await waits.wait_while_client_stays(seconds, receive):
                await app(scope, receive, send)
            return
        is_stream, is_refused, stays = False, False, True

        async def wrapped_send(message: Message) -> None:
            nonlocal is_stream, is_refused, stays
            if message["type"] == RESPONSE_START:
                is_stream, is_refused = is_event_stream(message), message["status"] >= 400
            is_late = is_event(message) if is_stream else message["type"] == RESPONSE_START
            if stays and is_late and not is_refused and (seconds := self.share(exchange)):
                stays = await waits.wait_while_client_stays(seconds, receive)
            if stays:
                await send(message)

        await app(scope, receive, wrapped_send)

    def share(self, exchange: ServedExchange) -> float:
        """Seconds before an answer that is no refusal, or before each event of a stream. Downloads
        are quick: 0 seconds. The API was recorded to draw before it answers."""
        request = exchange.request
        if not request or exchange.is_download:
            return 0
        events = 1 + request.partial_images if request.stream else 1
        return (_seconds(request) * self.scale + random.uniform(0, self.jitter)) / events


def _seconds(request: ImageRequest) -> float:
    """The seconds that the API was recorded to take. A model without qualities has one figure."""
    recorded = request.model.seconds
    seconds = recorded.get(request.quality or "")
    return next(iter(recorded.values())) if seconds is None else seconds


class Timeout(BaseFault):
    """Never answers. The connection stays open until the client leaves, or for *seconds*, and is
    then closed."""

    kind: Literal["timeout"] = "timeout"
    seconds: float | None = Field(
        default=None,
        ge=0,
        le=MAX_WAIT_SECONDS,
        description="Seconds before the connection is closed; unset: until the client has left.",
    )

    async def __call__(
        self, app: ASGIApp, exchange: ServedExchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if self.seconds is None:
            await wait_for_disconnect(receive)
        elif await Waits(exchange).wait_while_client_stays(self.seconds, receive):
            await hang_up(exchange, receive, reset=False)


class SlowBody(BaseFault):
    """Sends the body slowly, at *bytes_per_second*."""

    kind: Literal["slow_body"] = "slow_body"
    bytes_per_second: int = Field(
        default=100_000, ge=1, description="Bytes of the body that are sent in a second."
    )

    async def __call__(
        self, app: ASGIApp, exchange: ServedExchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if exchange.method == "HEAD":
            await app(scope, receive, send)  # its answer has no body
            return
        # Twenty pieces a second are smooth enough for a progress bar.
        step = max(1, self.bytes_per_second // 20)
        waits: Waits | None = None
        stays = True

        async def wrapped_send(message: Message) -> None:
            nonlocal waits, stays
            waits = waits or Waits(exchange)
            body = message.get("body", b"")
            for start in range(0, len(body), step):
                piece = body[start : start + step]
                seconds = len(piece) / self.bytes_per_second
                stays = stays and await waits.wait_while_client_stays(seconds, receive)
                if not stays:
                    return
                is_last = start + step >= len(body)
                more = message.get("more_body", False) or not is_last
                await send({**message, "body": piece, "more_body": more})
            if not body and stays:
                await send(message)

        await app(scope, receive, wrapped_send)
