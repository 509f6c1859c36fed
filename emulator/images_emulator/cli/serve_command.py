"""`images-emulator serve`: the server, until a signal ends it."""

from __future__ import annotations

import argparse
import errno
import gc
import os
import warnings
from collections.abc import Iterator
from datetime import datetime
from json import dumps
from typing import Any, Final, NamedTuple, NoReturn

from images_emulator.cli.command_line import ArgumentParser, CommandError
from images_emulator.cli.configuration import (
    CONFIG_VARIABLE,
    SETTINGS_FILE,
    add_config,
    add_setting,
    read_settings,
    setting_help,
    upstream_key,
)
from images_emulator.cli.server_address import is_loopback, local_url
from images_emulator.cli.shells import FORMS, shell_of
from images_emulator.environment import API_KEY
from images_emulator.settings import (
    LogSettings,
    OnMiss,
    Settings,
    command_settings,
    parse_lenient,
)

USAGE: Final = "[OPTIONS]"

DESCRIPTION: Final = """\
Start the server, until Ctrl-C or SIGTERM. A flag goes before its variable
(IMAGES_EMULATOR_PORT), that before the settings file (port = 9000)."""

EXAMPLES: Final = """\
  images-emulator                        at http://127.0.0.1:8080
  images-emulator -p 0 --as-of today     on a free port, as the API is now
  images-emulator --scenario outage      with a ready scenario of faults
  images-emulator serve --help-all       every setting, with its variable"""

PAGE_PATH: Final = "/_emulator/"
"""Path of the page."""

PORT_HINT: Final = (
    "; -p 0 takes a free one, and 'images-emulator healthcheck' tells whether an emulator has it"
)
"""Ends the sentence about a port that is taken."""

MISSES: Final = {
    OnMiss.EMULATE: "the emulator answers",
    OnMiss.REFUSE: "it refuses",
    OnMiss.RECORD: "the upstream answers",
}
"""What a start-up line says of calls that no recording answers."""

SHORT_FLAGS: Final = {"port": "-p"}
"""Flags of one letter, by setting."""

USUAL: Final = {
    "where": ("port", "host", "api_key", "admin_token"),
    "how it answers": (
        "as_of",
        "validation",
        "scenario",
        "pictures",
        "rate_limit",
        "deployment",
        "replay",
    ),
    "what it shows": ("log_level", "log_format"),
}
"""The settings that the short help shows, by its headings. `--help-all` shows all."""


def add_arguments(parser: ArgumentParser) -> None:
    by_name = {each.name: each for each in command_settings()}
    group: Any = parser
    for title, names in USUAL.items():
        group = parser.add_argument_group(title)
        for name in names:
            add_setting(group, by_name.pop(name), help=setting_help(name), short=SHORT_FLAGS)
    for flags, text in SWITCHES.items():
        group.add_argument(*flags, action="store_true", help=text)
    for each in by_name.values():
        add_setting(parser, each, help=argparse.SUPPRESS)
    group = parser.add_argument_group("settings")
    add_config(group)
    group.add_argument(
        "--help-all",
        action=HelpAll,
        nargs=0,
        default=argparse.SUPPRESS,
        help="Show all settings, in full",
    )


SWITCHES: Final = {
    ("-v", "--verbose"): "The same as --log-level debug",
    ("-q", "--quiet"): "The same as --log-level error",
}
"""Flags that stand for a setting, with their help."""


class HelpAll(argparse.Action):
    """Prints the help with every setting: all its sentences, its default and its variable."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        full = ArgumentParser(parser.prog, usage=f"{parser.prog} [OPTIONS]", add_help=False)
        group = full.add_argument_group("settings, each with its variable")
        for each in command_settings():
            add_setting(group, each, help=setting_help(each.name, full=True), short=SHORT_FLAGS)
        for flags, text in SWITCHES.items():
            group.add_argument(*flags, action="store_true", help=f"{text}.")
        add_config(group, f"Settings file in place of {SETTINGS_FILE}. [{CONFIG_VARIABLE}]")
        full.print_help()
        full.exit()


def run(*, quiet: bool, verbose: bool, **flags: Any) -> int:
    """Run the server until a signal. Raises CommandError where the port cannot be had, ValueError
    for a setting's value."""
    flags = {name: tuple(v) if isinstance(v, list) else v for name, v in flags.items()}
    if quiet or verbose:
        flags["log_level"] = "error" if quiet else "debug"
    values = read_settings(**flags)
    log_settings = LogSettings(
        log_level=values.pop("log_level"), log_format=values.pop("log_format")
    )
    if values["on_miss"] == OnMiss.RECORD:
        values["upstream_api_key"] = upstream_key(values)
    settings = Settings(**values)
    # Imported modules are never garbage; to collect while they are imported takes a tenth of the
    # time to the first answer.
    gc.disable()
    # The web framework takes most of the import time; --help and a wrong flag need none.
    from images_emulator.cli.call_log import CallLog  # noqa: PLC0415 - it loads the journal
    from images_emulator.server import Server  # noqa: PLC0415 - it loads uvicorn

    try:
        server = Server(settings)
    except OSError as error:
        hint = PORT_HINT if error.errno == errno.EADDRINUSE else ""
        raise CommandError(f"{error.strerror}{hint}") from None
    log = CallLog(log_settings, server.emulator.journal)
    server.namespaces.observers = (lambda emulator: log.observe(emulator.journal),)
    warnings.filterwarnings("ignore", module="PIL")
    gc.freeze()
    gc.enable()

    replay = server.emulator.replay
    counts = FolderCounts(
        replay.file_count if replay else 0, server.emulator.scenario.pictures_summary
    )

    log.log_while_running(
        server, lambda: start_text(server.url, server.port, settings, log_settings, counts)
    )
    return 0


class FolderCounts(NamedTuple):
    """The number of *recordings* in the folder of `replay`, and in words that of *pictures* in the
    one of `pictures`; None without one."""

    recordings: int = 0
    pictures: str | None = None


NO_FOLDERS: Final = FolderCounts()
"""The counts without folders."""


def start_text(
    url: str, port: int, settings: Settings, log: LogSettings, counts: FolderCounts = NO_FOLDERS
) -> str:
    """The text that is printed when the server of *url* accepts connections; with a *log* of errors
    or warnings alone, where it listens. *counts* says what the folders have."""
    listening = f"Listening on {url}"
    local = local_url(settings.host, port)
    page = f"{local}{PAGE_PATH}" if settings.page else None
    if log.log_format == "json":
        values = {
            "time": datetime.now().astimezone().isoformat(timespec="milliseconds"),
            "level": "info",
            "event": "start",
            "message": listening,
            "url": url,
            "base_url": f"{local}/v1",
            "page": page,
            "as_of": settings.as_of,
            "validation": settings.validation,
        }
        if warning := _open_door(settings):
            values["warning"] = warning
        return f"{dumps(values)}\n"
    notes = [note] if (note := _open_door(settings)) else []
    if log.log_level == "error":
        return f"{listening}\n"
    if log.log_level == "warning":
        return "".join(f"{line}\n" for line in (listening, *notes))
    lines = [listening, *notes, *_mode_lines(settings, counts)]
    if page:
        lines.append(f"The page is at {page}")
    lines.append(_shell_line(local, settings))
    return "".join(f"{line}\n" for line in lines)


def _open_door(settings: Settings) -> str | None:
    """The warning that other machines may use the admin API; None where they may not."""
    if settings.admin_token is not None or is_loopback(settings.host):
        return None
    return (
        f"Whoever reaches {settings.host} sees all calls and pictures at /_emulator, and may "
        "change faults, clock and settings; --admin-token keeps them out"
    )


def _shell_line(url: str, settings: Settings) -> str:
    """The line that leads the SDKs in a shell to the server at *url*. No key of the settings stands
    in it."""
    write = FORMS[shell_of(os.environ)]
    key = "<one of your api_key>" if settings.api_key else API_KEY
    variables = {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": key}
    words = "; ".join(write(*pair) for pair in variables.items()).replace("; export ", " ")
    return f"In your shell: {words}"


def _mode_lines(settings: Settings, counts: FolderCounts) -> Iterator[str]:
    """Start-up lines that say which day's API answers, whether it forgives, and what else
    answers."""
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
    if settings.replay is not None:
        times = "" if settings.delay else ", at once"
        misses = MISSES[OnMiss(settings.on_miss)]
        number = counts.recordings
        answer = "1 recording answers" if number == 1 else f"{number or 'no'} recordings answer"
        yield f"replay={settings.replay}: {answer}{times}; {misses} what none matches"
    if counts.pictures is not None:
        yield f"pictures={settings.pictures}: {counts.pictures}"
