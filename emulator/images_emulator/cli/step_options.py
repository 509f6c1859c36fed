"""The options of commands that give a running server a step. They choose the calls and their
number."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from images_emulator.cli.command_line import ArgumentParser
from images_emulator.cli.configuration import argument_type

MATCH_HELP: Final = "Only calls of this path, model, prompt, size … (what a scenario's match has)"
"""Help text of `--match`."""

NOT_TEXTS: Final = frozenset({"n", "images", "has_mask", "retry_count"})
"""The keys of `match` whose values are numbers or booleans."""

FIELDS_PREFIX: Final = "fields."
"""The prefix of a path into the body, as a key of `--match`."""

EVERY_CALL: Final = "always"
"""The value of `--times` for every call."""


def add_step_options(parser: ArgumentParser, times: int | None) -> None:
    """Add the options of `CallChoice`. *times* is the default of `--times`."""
    parser.add_argument(
        "--times",
        metavar="COUNT",
        type=argument_type(_times),
        default=times,
        help=f"How many calls meet it, or '{EVERY_CALL}' [{times or EVERY_CALL}]",
    )
    parser.add_argument(
        "--match",
        metavar="NAME=VALUE",
        type=argument_type(_pair),
        action="append",
        default=[],
        help=MATCH_HELP,
    )
    parser.add_argument(
        "--after",
        metavar="COUNT",
        type=int,
        default=0,
        help="How many matching calls pass before it is met [0]",
    )
    parser.add_argument(
        "--probability",
        metavar="CHANCE",
        type=float,
        default=1,
        help="The chance of each call to meet it, from 0 to 1 [1]",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="Decides the chance, the same every time [0]"
    )


class CallChoice(NamedTuple):
    """The calls that a step is for, as a command's options choose them. Its text is for people."""

    times: int | None
    match: Sequence[tuple[str, str]]
    after: int
    probability: float
    seed: int

    def to_step(self) -> dict[str, Any]:
        """The keys of a step."""
        return {**self._asdict(), "match": match_of(self.match)}

    def __str__(self) -> str:
        calls = {None: "every call", 1: "the next call"}.get(
            self.times, f"the next {self.times} calls"
        )
        if self.after:
            calls += f" after {self.after}"
        if self.match:
            calls += f" with {', '.join(f'{name}={value}' for name, value in self.match)}"
        return calls + (f", each by a chance of {self.probability}" * (self.probability < 1))


def call_choice(options: dict[str, Any]) -> CallChoice:
    """Remove the options of `add_step_options` from *options*, and return the calls that they
    choose."""
    return CallChoice(*(options.pop(name) for name in CallChoice._fields))


def _times(text: str) -> int | None:
    if text == EVERY_CALL:
        return None
    if not (text.isascii() and text.isdigit() and int(text)):
        raise ValueError(f"must be a number of calls, or '{EVERY_CALL}', not {text!r}")
    return int(text)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ValueError(f"must be NAME=VALUE, not {text!r}")
    return name, value


def match_of(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The `match` of a step, from each `--match NAME=VALUE`. A field of the body is
    `fields.PATH=VALUE`, where the value is a text unless it is JSON."""
    match: dict[str, Any] = {}
    for name, text in pairs:
        if name.startswith(FIELDS_PREFIX):
            fields = match.setdefault("fields", {})
            if not isinstance(fields, dict):
                raise ValueError("match: fields: expected PATH: fields.PATH=VALUE")
            fields[name.removeprefix(FIELDS_PREFIX)] = _json(text)
        else:
            match[name] = _json(text) if name in NOT_TEXTS else text
    return match


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
