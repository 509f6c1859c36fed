"""Server-sent events, in the API's framing: two lines, `event` and `data`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def event(name: str, payload: Mapping[str, Any]) -> str:
    """The event *name* with *payload* as one line of compact JSON."""
    data = json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
    return f"event: {name}\ndata: {data}\n\n"


def read_event(frame: bytes) -> tuple[str, dict[str, Any]]:
    """The name and the payload of the event in *frame*. Raises ValueError where that is not an
    event as `event` writes it."""
    head, _, data = frame.partition(b"\ndata: ")
    payload = json.loads(data)
    if not isinstance(payload, dict):
        raise ValueError("the data of an event is no object")
    return head.removeprefix(b"event: ").decode(), payload
