"""The calls that a test asks a server for: their filters, their lines, and the text of a failed
assertion."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from images_emulator.exchange.credentials import redacted_text
from images_emulator.exchange.exchange import Exchange
from images_emulator.state.query import ParameterFilters, Query, Texts
from images_emulator.state.scenario import UnmetStep

MAX_SHOWN_PROMPT_CHARS: Final = 60
"""The most characters of a prompt in the line of a call."""

MAX_SHOWN_CALLS: Final = 5
"""The most calls that a failed assertion shows: the latest matching calls, and the latest nearest
ones."""


class CallFilters(ParameterFilters, total=False):
    """The filters of `Server.calls`, for type checkers and editors. They are the filters of
    `Query.from_filters`."""

    method: Texts
    path: Texts
    model: Texts
    status: int | str | Sequence[int | str] | None
    outcome: Texts
    key: Texts
    prompt: Texts
    text: Texts
    fault: Texts
    own_answer: Texts
    has: Texts
    kind: Texts


class CallList(list[Exchange]):
    """Calls, oldest first. In a failed assertion, and printed, the list shows the line and the
    prompt of each call."""

    def __repr__(self) -> str:
        return f"[{', '.join(map(_line, self))}]"

    def __str__(self) -> str:
        return "\n".join(map(_line, self)) or "no calls"


def failure_text(
    times: int | None, wanted: Query, calls: Sequence[Exchange], all_calls: Iterable[Exchange]
) -> str:
    """The reason why the number of *calls* is not *times* (None: one or more). *calls* are the
    calls of *all_calls* that match *wanted*. Where they are too few, the text has the calls that
    fail the fewest filters."""
    count = "a call or more" if times is None else f"{times or 'no'} call{'s'[times == 1 :]}"
    conditions = f" with {wanted}" if str(wanted) else ""
    number = "is 1" if len(calls) == 1 else f"are {len(calls) or 'none'}"
    lines = [f"expected {count}{conditions}; there {number}"]
    lines += [f"    {_line(call)}" for call in calls[-MAX_SHOWN_CALLS:]]
    if times is None or len(calls) < times:
        lines += _lines_of_nearest(wanted, all_calls)
    return "\n".join(lines)


def unmet_text(
    unmet: Sequence[UnmetStep],
    calls: Sequence[Exchange],
    other_reason: Callable[[UnmetStep, Exchange], str | None],
) -> str:
    """The sentence that the *unmet* steps still wait for a call, with the reasons why the latest
    *calls* did not meet them. A reason is a near miss of the call, or else its *other_reason*."""
    lines = ["these wait for a call:"]
    for step in unmet:
        lines.append(f"    {step}")
        for call in calls[-MAX_SHOWN_CALLS:]:
            reasons = [miss.reason for miss in call.near_misses if miss.step == step.id]
            if not reasons and (reason := other_reason(step, call)):
                reasons = [reason]
            lines += [f"        {_line(call)}: {reason}" for reason in reasons]
    return "\n".join(lines)


def _lines_of_nearest(wanted: Query, calls: Iterable[Exchange]) -> list[str]:
    others = [(call, mismatches) for call in calls if (mismatches := wanted.mismatches(call))]
    fewest = min((len(mismatches) for _, mismatches in others), default=0)
    near = [each for each in others if len(each[1]) == fewest][-MAX_SHOWN_CALLS:]
    lines = ["nearest, and what is different:"] if near else []
    for call, mismatches in near:
        lines += [f"    {_line(call)}", *(f"        {each}" for each in mismatches)]
    return lines


def _line(call: Exchange) -> str:
    """The line of a call, with its prompt: `POST /v1/images/edits dall-e-2 200 3 ms 'A ship'`. Keys
    are redacted."""
    key = call.head.api_key
    line = " ".join(redacted_text(str(call), key).split())
    prompt = redacted_text(call.prompt or "", key)
    if len(prompt) > MAX_SHOWN_PROMPT_CHARS:
        prompt = f"{prompt[:MAX_SHOWN_PROMPT_CHARS]}…"
    return f"{line} {prompt!r}" if prompt else line
