"""The log line about a change of the store: it is away, back, or restored."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from typing import Any

from images_emulator.cli.notice_line import notice_line
from images_emulator.state.store import StoreAway, StoreBack, StoreEvent


def store_line(event: StoreEvent, created: float, *, is_json: bool, colours: bool) -> str:
    """The line of *event*, at the level of a warning. *created* is the time of the event, in
    seconds since the epoch."""
    state, message, values = _words(event)
    if not is_json:
        return notice_line(message, logging.WARNING, created, is_json=False, colours=colours)
    head = {
        "time": datetime.fromtimestamp(created).astimezone().isoformat(timespec="milliseconds"),
        "level": "warning",
        "event": "store",
        "state": state,
        "message": message,
    }
    return f"{json.dumps(head | values)}\n"


def _words(event: StoreEvent) -> tuple[str, str, dict[str, Any]]:
    """The word for the state of the store, the sentence about *event*, and its values by JSON
    key."""
    store = f"The store {event.url}"
    if isinstance(event, StoreAway):
        message = f"{store} is away: {event.reason}"
        return "away", message, {"url": event.url, "reason": event.reason}
    if isinstance(event, StoreBack):
        late, dropped = event.late_entries, event.dropped_entries
        message = (
            f"{store} is back after {event.seconds:.1f} s; {_missed_calls_clause(late, dropped)}"
        )
        values = {"seconds": round(event.seconds, 3), "late_calls": late, "dropped_calls": dropped}
        return "back", message, {"url": event.url, **values}
    message = (
        f"{store} had lost data: clock, account, settings and scenario are restored; pictures, "
        "files, calls and rate limits are gone as far as they were lost"
    )
    return "restored", message, {"url": event.url}


def _missed_calls_clause(late: int, dropped: int) -> str:
    """The clause about the calls that reached the journal *late*, and those that were *dropped*."""
    if late and dropped:
        return f"{_calls(late)} reached the journal late, {dropped} never"
    if dropped:
        return f"{_calls(dropped)} never reached the journal"
    return f"{_calls(late)} reached the journal late" if late else "no call missed the journal"


def _calls(number: int) -> str:
    return "1 call" if number == 1 else f"{number} calls"
