"""The outcome of a call: what became of it and of its answer."""

from __future__ import annotations

from typing import Literal

from images_emulator.exchange.sent_response import SentResponse

Outcome = Literal["answered", "refused", "failed", "cut", "gone", "waiting"]
"""What became of a call: `answered`, its answer left whole with a status below 400; `refused`, with
another status; `failed`, its stream ended with an error event; `cut`, a fault, a recording or the
stop of the server closed the connection before the end; `gone`, the client left before the end;
`waiting`, it is not over."""


def outcome_of(sent: SentResponse, *, is_over: bool, is_closed: bool) -> Outcome:
    """The outcome of a call to which *sent* has left. *is_closed*: the emulator closed the
    connection, by a fault, a recording or its stop."""
    if not is_over:
        return "waiting"
    if sent.is_stream and sent.error_body:
        return "failed"
    if not sent.is_whole:
        return "cut" if is_closed else "gone"
    return "answered" if (sent.status or 0) < 400 else "refused"
