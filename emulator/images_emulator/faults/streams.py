"""Faults of a stream. Answers that are no streams, or that are compressed, pass untouched.

Each event is one message of its own. `EventStream` sends drawn streams so, `playable_answer` cuts
recorded ones, and `MissRecorder` those that are forwarded. Messages between the events are empty
or comments: see `is_event`.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal

from pydantic import Field
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from images_emulator.contract.events import event, read_event
from images_emulator.contract.usage import PARTIAL_IMAGE_TOKENS
from images_emulator.contract.wire import error_event
from images_emulator.exchange.served_exchange import ServedExchange
from images_emulator.exchange.waits import Waits, hang_up, wait_for_disconnect
from images_emulator.faults.base import (
    MAX_WAIT_SECONDS,
    RESPONSE_BODY,
    RESPONSE_START,
    BaseFault,
    is_event,
    is_event_stream,
    without_length,
)
from images_emulator.faults.bodies import BodyFault
from images_emulator.faults.error_fault import ErrorFault, ErrorName


class StreamFault(BaseFault):
    """Interrupts a stream once, when *after* events have been sent."""

    for_streams: ClassVar[bool] = True
    changes_length: ClassVar[bool] = False
    """Whether a stream that ends has another length."""

    after: int = Field(default=1, ge=0, description="Events that are sent before the fault.")

    @abstractmethod
    async def interrupt(self, exchange: ServedExchange, receive: Receive, send: Send) -> bool:
        """Interrupt the stream, and return whether it ends here."""

    async def __call__(
        self, app: ASGIApp, exchange: ServedExchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        streaming = interrupted = ended = False
        sent = 0

        async def wrapped_send(message: Message) -> None:
            nonlocal streaming, interrupted, ended, sent
            if message["type"] == RESPONSE_START:
                streaming = is_event_stream(message)
                if streaming and self.changes_length:
                    message = without_length(message)
            elif streaming and not interrupted and sent == self.after:
                interrupted = True
                ended = await self.interrupt(exchange, receive, send)
            if not ended:
                sent += is_event(message)
                await send(message)

        await app(scope, receive, wrapped_send)


class StreamError(StreamFault):
    """Ends a stream as the API does when it fails: with `event: error`, and an error by its
    *name*."""

    changes_length: ClassVar[bool] = True

    kind: Literal["stream_error"] = "stream_error"
    name: ErrorName = Field(
        default="image_generation_failed", description="Name of the error in the event."
    )

    async def interrupt(self, exchange: ServedExchange, receive: Receive, send: Send) -> bool:
        answer = ErrorFault(name=self.name).answer(exchange)
        event_bytes = error_event(answer, self.after, exchange.day)
        await send({"type": RESPONSE_BODY, "body": event_bytes, "more_body": False})
        return True


class StreamCut(StreamFault):
    """Closes the connection in the middle of a stream, with a TCP reset where *reset*."""

    kind: Literal["stream_cut"] = "stream_cut"
    reset: bool = Field(
        default=False, description="Whether the connection is reset rather than closed."
    )

    async def interrupt(self, exchange: ServedExchange, receive: Receive, send: Send) -> bool:
        await hang_up(exchange, receive, reset=self.reset)
        return True


class Stall(StreamFault):
    """Falls silent in the middle of a stream, for *seconds* or until the client has left."""

    changes_body: ClassVar[bool] = False

    kind: Literal["stall"] = "stall"
    seconds: float | None = Field(
        default=None,
        ge=0,
        le=MAX_WAIT_SECONDS,
        description="Seconds of silence; unset: until the client has left.",
    )

    async def interrupt(self, exchange: ServedExchange, receive: Receive, send: Send) -> bool:
        if self.seconds is None:
            await wait_for_disconnect(receive)
            return True
        return not await Waits(exchange).wait_while_client_stays(self.seconds, receive)


class UnknownEvent(StreamFault):
    """Puts an event that no client knows into a stream."""

    changes_length: ClassVar[bool] = True

    kind: Literal["unknown_event"] = "unknown_event"
    name: str = Field(
        default="image_generation.keepalive",
        pattern=r"^[\w.-]+$",
        description="Name of the event.",
    )

    async def interrupt(self, exchange: ServedExchange, receive: Receive, send: Send) -> bool:
        event_bytes = event(self.name, {"type": self.name}).encode()
        await send({"type": RESPONSE_BODY, "body": event_bytes, "more_body": True})
        return False


class FewerPartials(BodyFault):
    """Streams only the first partial images, *keep* of them, and counts these alone. The API was
    seen to do so."""

    for_streams: ClassVar[bool] = True

    kind: Literal["fewer_partials"] = "fewer_partials"
    keep: int = Field(default=0, ge=0, le=3, description="Partial images that are sent.")

    def rewrite_event(self, event_bytes: bytes, index: int) -> bytes:
        name, payload = read_event(event_bytes)
        partial_index, usage = payload.get("partial_image_index"), payload.get("usage")
        if isinstance(partial_index, int):
            return event_bytes if partial_index < self.keep else b""
        dropped = index - self.keep
        if dropped <= 0 or not ("sequence_number" in payload or isinstance(usage, dict)):
            return event_bytes
        if "sequence_number" in payload:
            payload["sequence_number"] = self.keep
        details = usage.get("output_tokens_details") if isinstance(usage, dict) else None
        for counts, count in (
            (usage, "output_tokens"),
            (usage, "total_tokens"),
            (details, "image_tokens"),
        ):
            if isinstance(counts, dict) and isinstance(counts.get(count), int):
                counts[count] -= dropped * PARTIAL_IMAGE_TOKENS
        return event(name, payload).encode()
