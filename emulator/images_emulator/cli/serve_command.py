"""`images-emulator serve`: the server, until a signal ends it."""

from __future__ import annotations

import argparse
import gc
import logging
import signal
import sys
import warnings
from collections.abc import Iterator
from typing import Any, Final, NoReturn

from images_emulator.cli.command_line import ArgumentParser, CommandError
from images_emulator.cli.configuration import (
    SETTINGS_FILE,
    add_config,
    add_setting,
    read_settings,
    setting_help,
)
from images_emulator.settings import (
    CONFIG_VARIABLE,
    Settings,
    all_settings,
    command_settings,
    parse_lenient,
)

USAGE: Final = "[OPTIONS]"

DESCRIPTION: Final = f"""\
Start the server. It serves until Ctrl-C or SIGTERM.

A flag goes before a variable (IMAGES_EMULATOR_PORT), this before the settings
file ({SETTINGS_FILE} in the working directory: port = 9000)."""

EXAMPLES: Final = """\
  images-emulator                        at http://127.0.0.1:8080
  images-emulator -p 0 --as-of today     on a free port, as the API is now
  images-emulator --scenario outage      with a ready scenario of faults
  images-emulator serve --help-all       every setting, with its variable"""

SHORT_FLAGS: Final = {"port": "-p"}

USUAL: Final = {
    "where": ("port", "host", "api_key", "admin_token"),
    "how it answers": ("as_of", "validation", "scenario", "rate_limit", "deployment"),
}
"""The settings that the short help shows, by its headings. `--help-all` shows all."""


def add_arguments(parser: ArgumentParser) -> None:
    by_name = {each.name: each for each in command_settings()}
    for title, names in USUAL.items():
        group = parser.add_argument_group(title)
        for name in names:
            add_setting(group, by_name.pop(name), help=setting_help(name), short=SHORT_FLAGS)
    for each in by_name.values():
        add_setting(parser, each, help=argparse.SUPPRESS)
    group = parser.add_argument_group("settings")
    add_config(group)
    group.add_argument("--help-all", action=HelpAll, nargs=0, help="Show all settings, in full")


class HelpAll(argparse.Action):
    """Prints the help with every setting: all its sentences, its default and its variable."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        full = ArgumentParser(parser.prog, usage=f"{parser.prog} [OPTIONS]", add_help=False)
        group = full.add_argument_group("settings, each with its variable")
        for each in command_settings():
            add_setting(group, each, help=setting_help(each.name, full=True), short=SHORT_FLAGS)
        add_config(group, f"Settings file in place of {SETTINGS_FILE}. [{CONFIG_VARIABLE}]")
        full.print_help()
        full.exit()


def run(**flags: Any) -> int:
    """Run the server until a signal. Raises CommandError where the port cannot be had, ValueError
    for a setting's value."""
    flags = {name: tuple(v) if isinstance(v, list) else v for name, v in flags.items()}
    values = read_settings(**flags)
    settings = Settings(**{each.name: values[each.name] for each in all_settings()})
    # Imported modules are never garbage; to collect while they are imported takes a tenth of the
    # time to the first answer.
    gc.disable()
    # The web framework takes most of the import time; --help and a wrong flag need none.
    from images_emulator.server import Server  # noqa: PLC0415 - it loads uvicorn

    try:
        server = Server(settings)
    except OSError as error:
        raise CommandError(error.strerror) from None
    # The emulator's notices and its errors; not its libraries' remarks on odd requests and images.
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    for name in ("python_multipart", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="PIL")
    gc.freeze()
    gc.enable()
    start = "".join(f"{line}\n" for line in [f"Listening on {server.url}", *_mode_lines(settings)])

    def print_start() -> None:
        # One write, which print() does not promise: a reader may close the pipe after one line.
        sys.stdout.write(start)
        sys.stdout.flush()

    server.run(print_start)
    # There is nothing left that a second Ctrl-C could stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return 0


def _mode_lines(settings: Settings) -> Iterator[str]:
    """Start-up lines that say which day's API answers, and whether it forgives."""
    if settings.as_of == "any":
        yield (
            "as_of=any: retired models answer, and a call may leave out its model; "
            "--as-of today answers as the API does now"
        )
    elif settings.as_of == "today":
        yield "as_of=today: answers as the API does now"
    else:
        yield f"as_of={settings.as_of}: answers as the API did on that day"
    if parse_lenient(settings.validation):
        yield "validation=lenient: forgives mistakes that the API refuses"
