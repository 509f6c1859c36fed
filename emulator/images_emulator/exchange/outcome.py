"""The outcome of a call: what became of it and of its answer."""

from __future__ import annotations

from typing import Literal

from images_emulator.exchange.sent_answer import SentAnswer

Outcome = Literal["answered", "refused", "failed", "cut", "gone", "waiting"]
"""The outcome of a call.

- `answered`: its answer left whole, with a status below 400.
- `refused`: its answer left whole, with another status.
- `failed`: its stream ended with an error event.
- `cut`: the server closed the connection before the end: for a fault or a recording, because its
  upstream did, or because it stopped.
- `gone`: the client left before the end.
- `waiting`: the call is not over.
"""


def outcome_of(sent: SentAnswer, *, has_ended: bool, is_closed: bool) -> Outcome:
    """The outcome of a call. *sent* is the part of its answer that has left. *is_closed*: the
    server closed the connection; see `CallAnswer.is_closed`."""
    if not has_ended:
        return "waiting"
    if sent.is_stream and sent.error_body:
        return "failed"
    if not sent.is_whole:
        return "cut" if is_closed else "gone"
    return "answered" if (sent.status or 0) < 400 else "refused"
