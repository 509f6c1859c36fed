"""Server-sent events, in the API's framing: two lines, `event` and `data`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

EVENT_END: Final = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
"""The end of an event in any stream: the end of a line, and the empty line behind it. Those of the
API end with two line feeds."""


def event(name: str, payload: Mapping[str, Any]) -> str:
    """The event *name* with *payload* as one line of compact JSON."""
    data = json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
    return f"event: {name}\ndata: {data}\n\n"


def read_event(frame: bytes) -> tuple[str, dict[str, Any]]:
    """The name and the payload of the event in *frame*, in the form that `event` writes. Lines may
    also end with CRLF. Raises ValueError where the data is not a JSON object."""
    head, _, data = frame.partition(b"\ndata: ")
    payload = json.loads(data)
    if not isinstance(payload, dict):
        raise ValueError("the data of an event is no object")
    return head.removeprefix(b"event: ").rstrip(b"\r").decode(), payload
