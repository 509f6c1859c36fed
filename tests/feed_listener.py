"""Reads the live feed of a server as a client does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx2


class Event(NamedTuple):
    name: str
    data: Any
    id: str


def parsed(event_text: str) -> Event:
    """The event in *event_text*; that of an id alone has no name."""
    fields = dict(line.partition(": ")[::2] for line in event_text.splitlines())
    return Event(fields.get("event", ""), json.loads(fields.get("data", "null")), fields["id"])


class Listener:
    """Reads the feed over HTTP."""

    def __init__(self, answer: httpx2.Response) -> None:
        self.answer = answer
        self._lines = answer.iter_lines()
        self.first = self.next()

    def next(self) -> Event:
        lines: list[str] = []
        for line in self._lines:
            if not line and any(each.startswith("id: ") for each in lines):
                return parsed("\n".join(lines))
            lines.append(line)
        raise EOFError

    def until(self, name: str, **values: object) -> Event:
        """The next event of that *name*, whose data has these *values*."""
        while True:
            event = self.next()
            if event.name == name and values.items() <= event.data.items():
                return event

    def ends(self) -> bool:
        """Whether the stream ends as it should when what has come is read."""
        return all(True for _ in self._lines)


@contextmanager
def listening(url: str, query: str = "", **headers: str) -> Iterator[Listener]:
    raw_headers = {name.replace("_", "-"): value for name, value in headers.items()}
    path = f"{url}/_emulator/events{query}"
    with (
        httpx2.Client(timeout=30) as client,
        client.stream("GET", path, headers=raw_headers) as answer,
    ):
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        yield Listener(answer)
