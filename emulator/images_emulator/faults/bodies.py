"""Faults of the body: an answer in time, and not what it should be."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from itertools import count
from typing import Any, Literal

from pydantic import Field
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from images_emulator.contract.events import event, read_event
from images_emulator.exchange.exchange import Exchange
from images_emulator.faults.base import BODY, START, BaseFault, is_event, streams

Answer = dict[str, Any]


class BodyFault(BaseFault):
    """Rewrites a good answer before it leaves; the verbs are `changed` and `changed_event`."""

    def changed(self, body: bytes) -> bytes:
        """Another body in place of this one, which is JSON."""
        return body

    def changed_event(self, frame: bytes, number: int) -> bytes:
        """Another event of a stream in place of this one, the *number* of which counts from 0;
        nothing, to leave it out."""
        return frame

    async def __call__(
        self, app: ASGIApp, exchange: Exchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        start: Message = {}
        body = bytearray()
        events = count()

        async def sending(message: Message) -> None:
            nonlocal start
            if message["type"] == START:
                start = message
            if message["type"] == START and _holds_json(start):
                return
            if is_event(message) and streams(start):
                message = {
                    **message,
                    "body": self.changed_event(bytes(message["body"]), next(events)),
                }
                if not message["body"]:
                    return
            elif message["type"] == BODY and _holds_json(start):
                body.extend(message.get("body", b""))
                if message.get("more_body"):
                    return
                changed = self.changed(bytes(body))
                await send({**start, "headers": _measured(start["headers"], changed)})
                message = {**message, "body": changed}
            await send(message)

        await app(scope, receive, sending)


def _holds_json(start: Message) -> bool:
    """Whether the answer that *start* begins is a good one, in JSON."""
    headers: dict[bytes, bytes] = dict(start["headers"])
    kind = headers.get(b"content-type", b"")
    return bool(start["status"] == 200 and kind.startswith(b"application/json"))


def _measured(headers: list[tuple[bytes, bytes]], body: bytes) -> list[tuple[bytes, bytes]]:
    """*headers* with the length of *body*."""
    others = [(name, value) for name, value in headers if name != b"content-length"]
    return [*others, (b"content-length", str(len(body)).encode())]


def _rewritten(body: bytes, change: Callable[[Answer], None]) -> bytes:
    """The answer in *body* after a *change*; other bodies than answers with pictures stay."""
    answer = json.loads(body)
    if "created" not in answer or "data" not in answer:
        return body
    change(answer)
    return json.dumps(answer, indent=2, ensure_ascii=False).encode()


class Malformed(BodyFault):
    """Answers with JSON that ends too early, base64 that does not decode, or bytes that are no
    picture; pictures by URL stay."""

    kind: Literal["malformed"] = "malformed"
    what: Literal["json", "base64", "picture"] = "json"

    def changed(self, body: bytes) -> bytes:
        if self.what == "json":
            return body[: len(body) // 2]

        def spoil_all(answer: Answer) -> None:
            for item in answer["data"]:
                self.spoil(item)

        return _rewritten(body, spoil_all)

    def changed_event(self, frame: bytes, number: int) -> bytes:
        if self.what == "json":
            return frame[: len(frame) // 2] + b"\n\n"
        name, told = read_event(frame)
        self.spoil(told)
        return event(name, told).encode()

    def spoil(self, holder: Answer) -> None:
        """Put something else in the place of its picture."""
        if picture := holder.get("b64_json"):
            # One character more than whole groups of four: there is no padding that mends that.
            odd = picture[: len(picture) // 8 * 4 + 1]
            text = base64.b64encode(b"This is no picture.").decode()
            holder["b64_json"] = odd if self.what == "base64" else text


class EmptyData(BodyFault):
    """Answers without any picture."""

    kind: Literal["empty_data"] = "empty_data"

    def changed(self, body: bytes) -> bytes:
        return _rewritten(body, lambda answer: answer["data"].clear())


class FewerImages(BodyFault):
    """Answers with *by* pictures fewer than were asked for, at least with one, and with the usage
    of those that are left. The API was seen to do it: two asked for, one answered and billed."""

    kind: Literal["fewer_images"] = "fewer_images"
    by: int = Field(default=1, ge=1, le=10)

    def changed(self, body: bytes) -> bytes:
        def drop(answer: Answer) -> None:
            asked = len(answer["data"])
            kept = max(1, asked - self.by)
            del answer["data"][kept:]
            if "usage" in answer:
                answer["usage"] = _scaled(answer["usage"], kept, asked)

        return _rewritten(body, drop)


def _scaled(counts: Any, kept: int, asked: int) -> Any:
    """*counts*, all of which are sums over *asked* pictures, for *kept* of them."""
    if isinstance(counts, dict):
        return {name: _scaled(value, kept, asked) for name, value in counts.items()}
    return counts * kept // asked
