"""Faults of the body: a good answer that is rewritten before it leaves."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Literal

from pydantic import Field
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from images_emulator.contract.events import EVENT_LAST_BYTES, event, read_event
from images_emulator.exchange.served_exchange import ServedExchange
from images_emulator.faults.base import (
    RESPONSE_START,
    BaseFault,
    is_compressed,
    is_event_stream,
    without_length,
)

JSONObject = dict[str, Any]
"""A JSON object, which may be changed."""


class BodyFault(BaseFault):
    """Rewrites a good answer before it leaves, by `rewrite` or, where it is a stream, by
    `rewrite_event`. Recorded JSON that breaks off is sent as it is."""

    def rewrite(self, body: bytes) -> bytes:
        """The body to send in place of *body*, which is JSON."""
        return body

    def rewrite_event(self, event_bytes: bytes, index: int) -> bytes:
        """The event to send in place of the one in *event_bytes*, which has that *index* from 0;
        empty to send none. Raises ValueError where the event is to be sent as it is."""
        return event_bytes

    def _rewrite_part(self, part: bytes, indexes: Iterator[int]) -> bytes:
        if part.startswith(b":") or not part.endswith(EVENT_LAST_BYTES):
            return part  # a comment, or the part of an event before its stream broke off
        try:
            return self.rewrite_event(part, next(indexes))
        except (ValueError, RecursionError):
            # The events of a recording may be anything.
            return part

    async def __call__(
        self, app: ASGIApp, exchange: ServedExchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        start: Message = {}
        rewrites_json = False
        body = bytearray()
        """The JSON so far."""
        indexes = count()

        async def wrapped_send(message: Message) -> None:
            nonlocal start, rewrites_json
            if message["type"] == RESPONSE_START:
                start = message
                # The last part of an answer that breaks off does not come.
                rewrites_json = _holds_json(start) and not exchange.breaks_off
                if not rewrites_json:
                    await send(without_length(start) if is_event_stream(start) else start)
                return
            has_more = message.get("more_body", False)
            if rewrites_json:
                body.extend(message.get("body", b""))
                if has_more:
                    return
                rewritten = self.rewrite(bytes(body))
                start = without_length(start)
                start["headers"].append((b"content-length", str(len(rewritten)).encode()))
                await send(start)
                message = {**message, "body": rewritten}
            elif is_event_stream(start):
                part = message.get("body", b"")
                message = {**message, "body": part and self._rewrite_part(part, indexes)}
            await send(message)

        await app(scope, receive, wrapped_send)


def _holds_json(start: Message) -> bool:
    """Whether the answer that *start* begins is a good one in JSON that is not compressed."""
    content_type: bytes = dict(start["headers"]).get(b"content-type", b"")
    is_json = content_type.startswith(b"application/json") and not is_compressed(start)
    return bool(start["status"] == 200 and is_json)


def _rewrite_images(body: bytes, change: Callable[[JSONObject], None]) -> bytes:
    """*body* after a *change* of the object in it, where the object is an answer with images. The
    body of a recording may be anything."""
    try:
        answer = json.loads(body)
        if not (isinstance(answer, dict) and "created" in answer and _has_images(answer)):
            return body
        change(answer)
        return json.dumps(answer, indent=2, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return body


def _has_images(answer: JSONObject) -> bool:
    """Whether *answer* has a list of objects as its `data`, with at least one."""
    data = answer.get("data")
    return isinstance(data, list) and bool(data) and all(isinstance(each, dict) for each in data)


class Malformed(BodyFault):
    """Answers with JSON that ends too early, with base64 that does not decode, or with bytes that
    are no picture; for the last two, pictures by URL stay."""

    kind: Literal["malformed"] = "malformed"
    what: Literal["json", "base64", "picture"] = Field(
        default="json", description="What is spoilt: the JSON, the base64 or the file in it."
    )

    def rewrite(self, body: bytes) -> bytes:
        if self.what == "json":
            return body[: len(body) // 2]

        def spoil_all(answer: JSONObject) -> None:
            for item in answer["data"]:
                self.spoil(item)

        return _rewrite_images(body, spoil_all)

    def rewrite_event(self, event_bytes: bytes, index: int) -> bytes:
        if self.what == "json":
            return event_bytes[: len(event_bytes) // 2] + b"\n\n"
        name, payload = read_event(event_bytes)
        self.spoil(payload)
        return event(name, payload).encode()

    def spoil(self, item: JSONObject) -> None:
        """Replace the image in *item*."""
        encoded = item.get("b64_json")
        if isinstance(encoded, str) and encoded:
            # One character more than whole groups of four: no padding makes it valid base64.
            odd = encoded[: len(encoded) // 8 * 4 + 1]
            text = base64.b64encode(b"This is no picture.").decode()
            item["b64_json"] = odd if self.what == "base64" else text


class EmptyData(BodyFault):
    """Answers without any picture. Streams pass as they are."""

    kind: Literal["empty_data"] = "empty_data"

    def rewrite(self, body: bytes) -> bytes:
        return _rewrite_images(body, lambda answer: answer["data"].clear())


class FewerImages(BodyFault):
    """Answers with fewer pictures than the call asks for, *by* fewer but at least one, and bills
    only these. The API was seen to send and bill one picture of two."""

    kind: Literal["fewer_images"] = "fewer_images"
    by: int = Field(default=1, ge=1, le=10, description="Pictures that are missing.")

    def rewrite(self, body: bytes) -> bytes:
        def drop(answer: JSONObject) -> None:
            count = len(answer["data"])
            rest = max(1, count - self.by)
            del answer["data"][rest:]
            if "usage" in answer:
                answer["usage"] = _share(answer["usage"], rest, count)

        return _rewrite_images(body, drop)


def _share(counts: Any, part: int, whole: int) -> Any:
    """The share of *counts* for *part* of *whole* images. Values that are no numbers stay."""
    if isinstance(counts, dict):
        return {name: _share(value, part, whole) for name, value in counts.items()}
    return counts * part // whole if isinstance(counts, int) else counts
