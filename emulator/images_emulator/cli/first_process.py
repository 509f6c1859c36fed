"""The server that is the first process of a container, by its flags. Other commands in the same
container, such as its health check, have its variables only."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

from images_emulator.cli.command_line import PROGRAM, SERVE, command_parser

ARGUMENTS_FILE: Final = Path("/proc/1/cmdline")
"""The arguments of the process with the number 1, each with a zero byte behind it. Outside of
containers this process is the init system."""

PROGRAMS: Final = {PROGRAM, f"openai-{PROGRAM}"}
"""Names of the command's file."""

RECORD: Final = "record"
"""The command of the proxy that records."""

SHARED: Final = ("port", "host", "admin_token", "api_key", "config")
"""Options by which a client finds a server, and is let in."""


class FirstProcess(NamedTuple):
    """A server, by its arguments."""

    command: str
    """`serve` or `record`."""
    options: dict[str, Any]
    """Options of SHARED that were given, by their names."""


def first_process() -> FirstProcess | None:
    """The server that is the container's first process, or that an init process in front of it has
    started; None where there is none."""
    try:
        words = ARGUMENTS_FILE.read_bytes().decode().split("\0")[:-1]
    except (OSError, ValueError):
        return None
    places = (place for place, word in enumerate(words) if Path(word).name in PROGRAMS)
    place = next(places, None)
    if place is None:
        return None
    words = words[place + 1 :]
    command = words.pop(0) if words and not words[0].startswith("-") else SERVE
    if command not in (SERVE, RECORD):
        return None
    try:
        options = vars(command_parser(command).parse_args(words))
    except SystemExit:  # help, or arguments of another version
        return None
    # The option `--api-key` of `record` is a key of its upstream, named `upstream_api_key`.
    return FirstProcess(command, {name: options[name] for name in SHARED if name in options})
