"""Server-sent events, in the API's framing: two lines, `event` and `data`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from images_emulator.contract.refusal import ErrorAnswer


def event(name: str, payload: Mapping[str, Any]) -> str:
    """The event *name* with *payload* as one line of compact JSON."""
    data = json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
    return f"event: {name}\ndata: {data}\n\n"


def read_event(frame: bytes) -> tuple[str, dict[str, Any]]:
    """The name and the payload of the event in *frame*, which `event` wrote."""
    head, _, data = frame.partition(b"\ndata: ")
    payload: dict[str, Any] = json.loads(data)
    return head.removeprefix(b"event: ").decode(), payload


def error_event(error: ErrorAnswer) -> bytes:
    """The last event of a stream that fails after it has begun."""
    inner = {"type": error.type, "code": error.code, "message": error.message, "param": error.param}
    return event("error", {"type": "error", "error": inner}).encode()
