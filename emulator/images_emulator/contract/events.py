"""Server-sent events, as the API writes them: two lines, `event` and `data`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

EVENT_END: Final = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
"""The end of an event in any stream: the end of a line, and the empty line behind it. Events of the
API end with two line feeds."""


EVENT_LAST_BYTES: Final = (b"\n\n", b"\n\r\n", b"\r\r")
"""The last bytes that an event can have."""


class EventSplitter:
    """Cuts a stream at the ends of its events, whatever its parts are."""

    def __init__(self) -> None:
        self._rest = bytearray()
        """The beginning of an event."""

    def split(self, part: bytes, *, is_last: bool) -> list[bytes]:
        """The events that are whole with the next *part*. With *is_last* also what is left."""
        rest = self._rest
        # The end of an event may lie in two parts. An event may have megabytes.
        search_start = max(0, len(rest) - 3)
        rest += part
        ends = [0, *(match.end() for match in EVENT_END.finditer(rest, search_start))]
        if not is_last and rest.endswith(b"\r") and ends[-1] == len(rest):
            ends.pop()  # a line feed may follow
        if is_last and ends[-1] < len(rest):
            ends.append(len(rest))
        events = [bytes(rest[start:end]) for start, end in pairwise(ends)]
        del rest[: ends[-1]]
        return events


def event(name: str, payload: Mapping[str, Any]) -> str:
    """The event *name* with *payload* as one line of compact JSON."""
    data = json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
    return f"event: {name}\ndata: {data}\n\n"


def read_event(event_bytes: bytes) -> tuple[str, dict[str, Any]]:
    """The name and the payload of the event in *event_bytes*, which is written as `event` writes
    it. Lines may also end with CRLF. Raises ValueError where the data is not a JSON object."""
    head, _, data = event_bytes.partition(b"\ndata: ")
    payload = json.loads(data)
    if not isinstance(payload, dict):
        raise ValueError("the data of an event is no object")
    return head.removeprefix(b"event: ").rstrip(b"\r").decode(), payload
