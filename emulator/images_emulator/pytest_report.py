"""The calls of a failed test, in its report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from images_emulator.exchange.exchange import Exchange

TITLE: Final = "Calls to the images emulator"
"""Title of the calls in the report of a failed test."""

MAX_REPORTED_CALLS: Final = 50
"""The most calls that a report shows: the latest ones."""

MAX_REPORTED_PROMPT_CHARS: Final = 200
"""The most characters of a prompt that a report shows."""

MAX_REPORTED_MESSAGE_CHARS: Final = 1000
"""The most characters of an error's message that a report shows. Only messages that quote are
longer."""


def report_of_calls(calls: list[Exchange]) -> str:
    """The text about *calls*: `MAX_REPORTED_CALLS` of them, oldest first, and how many were
    before."""
    left_out = len(calls) - MAX_REPORTED_CALLS
    lines = [f"… and {left_out} before"] if left_out > 0 else []
    return "\n".join([*lines, *map(_call_report, calls[-MAX_REPORTED_CALLS:])])


def calls_since(before: str | None, calls: list[Exchange]) -> list[Exchange]:
    """The *calls* that came after the one with the id *before*, all where a reset has removed that
    one."""
    ids = [call.id for call in calls]
    return calls[ids.index(before) + 1 :] if before in ids else calls


def _call_report(call: Exchange) -> str:
    """A line about a call, followed by indented lines with its prompt, error, fault and near
    misses."""
    error = call.error or {}
    values = {
        "prompt": _report_text(call.prompt, MAX_REPORTED_PROMPT_CHARS),
        "param": error.get("param"),
        "message": _report_text(error.get("message"), MAX_REPORTED_MESSAGE_CHARS),
        "fault": call.fault,
        "near miss": next(iter(call.near_misses), None),
        "retry": call.retries or None,
    }
    lines = [f"    {name}: {value}" for name, value in values.items() if value is not None]
    return "\n".join([str(call), *lines])


def _report_text(text: str | None, max_chars: int) -> str | None:
    """*text* in one line, cut to *max_chars*."""
    if text is None:
        return None
    line = " ".join(text.split())
    return line if len(line) <= max_chars else f"{line[:max_chars]}…"
