"""Finds the server that is the first process of a container, and reads its flags. Other commands in
the container, such as its health check, have only its variables."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

from images_emulator.cli.command_line import PROGRAM, SERVE, command_parser

ARGUMENTS_FILE: Final = Path("/proc/1/cmdline")
"""The arguments of process 1, each followed by a zero byte. Outside of containers, process 1 is the
init system."""

PROGRAMS: Final = {PROGRAM, f"openai-{PROGRAM}"}
"""The file names of the command."""

MODULE: Final = "images_emulator"
"""The module that is the command in `python -m`."""

RECORD: Final = "record"
"""The command of the proxy that records."""

SHARED: Final = ("port", "host", "admin_token", "api_key", "config")
"""Options that let a client find a server, and be admitted."""


class FirstProcess(NamedTuple):
    """A server, as its arguments describe it."""

    command: str
    """`serve` or `record`."""
    options: dict[str, Any]
    """The given options that are in `SHARED`, by their names."""


def first_process() -> FirstProcess | None:
    """The server that is the container's first process, or that the first process, an init process,
    has started; None where there is none."""
    try:
        words = ARGUMENTS_FILE.read_bytes().decode().split("\0")[:-1]
    except (OSError, ValueError):
        return None
    indexes = (
        index
        for index, (before, word) in enumerate(pairwise(["", *words]))
        if Path(word).name in PROGRAMS or (before, word) == ("-m", MODULE)
    )
    index = next(indexes, None)
    if index is None:
        return None
    words = words[index + 1 :]
    command = words.pop(0) if words and not words[0].startswith("-") else SERVE
    if command not in (SERVE, RECORD):
        return None
    try:
        options = vars(command_parser(command).parse_args(words))
    except SystemExit:  # help, or arguments of another version
        return None
    # The option `--api-key` of `record` is the upstream's key, and is named `upstream_api_key`.
    return FirstProcess(command, {name: options[name] for name in SHARED if name in options})
