"""`images-emulator inject`: lets the next calls to a running server meet a fault."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from images_emulator.cli.admin_client import AdminClient
from images_emulator.cli.command_line import ArgumentParser
from images_emulator.cli.configuration import argument_type
from images_emulator.cli.server_address import add_address, server_address

USAGE: Final = "FAULT [SETTING=VALUE…] [OPTIONS]"

DESCRIPTION: Final = """\
Let the next call meet a fault: one of 'images-emulator faults', with its
settings, or an error by its name."""

EXAMPLES: Final = """\
  images-emulator inject rate_limit_exceeded --times 2
  images-emulator inject latency seconds=5 jitter=1 --times always
  images-emulator inject stream_cut after=1 --match prompt=ship"""

MATCH_HELP: Final = "Only calls of this path, model, prompt, size … (what a scenario's match has)"
"""Help text of `--match`."""

NOT_TEXTS: Final = frozenset({"n", "images", "has_mask", "retry_count"})
"""The keys of `match` whose values are numbers, or true and false."""

FIELDS_PREFIX: Final = "fields."
"""Prefix of a path into the body, as a key of `--match`."""

ALWAYS: Final = "always"
"""The value of `--times` for every call."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("fault", metavar="FAULT", help="Name of a fault or of an error")
    parser.add_argument(
        "settings", metavar="SETTING=VALUE", nargs="*", help="Settings of the fault"
    )
    parser.add_argument(
        "--times",
        metavar="COUNT",
        type=argument_type(_times),
        default=1,
        help=f"How many calls meet it, or '{ALWAYS}' [1]",
    )
    parser.add_argument(
        "--match",
        metavar="NAME=VALUE",
        type=argument_type(_pair),
        action="append",
        default=[],
        help=MATCH_HELP,
    )
    add_address(parser)


def _times(text: str) -> int | None:
    if text == ALWAYS:
        return None
    if not (text.isascii() and text.isdigit() and int(text)):
        raise ValueError(f"must be a number of calls, or '{ALWAYS}', not {text!r}")
    return int(text)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ValueError(f"must be NAME=VALUE, not {text!r}")
    return name, value


def match_of(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The `match` of a step, from each `--match NAME=VALUE`. A field of the body is
    `fields.PATH=VALUE`; what is not JSON there is a text."""
    match: dict[str, Any] = {}
    for name, text in pairs:
        if name.startswith(FIELDS_PREFIX):
            fields = match.setdefault("fields", {})
            fields[name.removeprefix(FIELDS_PREFIX)] = _json(text)
        else:
            match[name] = _json(text) if name in NOT_TEXTS else text
    return match


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def run(
    *,
    fault: str,
    settings: Sequence[str],
    times: int | None,
    match: Sequence[tuple[str, str]],
    **options: Any,
) -> int:
    from images_emulator.faults import parse_fault  # noqa: PLC0415 - it loads pydantic
    from images_emulator.faults.scenario_document import parse_step  # noqa: PLC0415 - so does it

    address = server_address(**options)
    parsed = parse_fault(";".join([fault, *settings]))
    document = {"kind": parsed.kind} | parsed.model_dump(exclude_defaults=True)
    step = {"fault": document, "times": times, "match": match_of(match)}
    parse_step(step)
    AdminClient(address).post("inject", step)
    calls = {None: "every call", 1: "the next call"}.get(times, f"the next {times} calls")
    such = f" with {', '.join(f'{name}={value}' for name, value in match)}" if match else ""
    print(f"{' '.join([parsed.label, *settings])} for {calls}{such}")
    return 0
