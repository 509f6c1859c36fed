"""`images-emulator serve`: runs the server until a signal ends it."""

from __future__ import annotations

import argparse
import gc
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final, NoReturn

from images_emulator.cli.command_line import ArgumentParser, CommandError
from images_emulator.cli.configuration import (
    CONFIG_VARIABLE,
    SETTINGS_FILE,
    Configuration,
    add_config,
    add_log_level,
    add_setting,
    setting_help,
    upstream_key,
)
from images_emulator.cli.start_error import start_error
from images_emulator.cli.start_text import start_state, start_text
from images_emulator.rendering.cores import available_cores
from images_emulator.setting_values import OnMiss
from images_emulator.settings import LogSettings, ProcessSettings, Settings, command_settings

if TYPE_CHECKING:
    from images_emulator.cli.call_log import CallLog
    from images_emulator.server import Server
    from images_emulator.shared_listener import SharedListener

USAGE: Final = "[OPTIONS]"

DESCRIPTION: Final = """\
Run the server until Ctrl-C or SIGTERM. A flag overrides its variable
(IMAGES_EMULATOR_PORT), which overrides the settings file (port = 9000)."""

EXAMPLES: Final = """\
  images-emulator                        at http://127.0.0.1:8080
  images-emulator -p 0 --as-of today     on a free port, as the API is now
  images-emulator --scenario outage      with a ready scenario of faults
  images-emulator serve --help-all       every setting, with its variable"""

SHORT_FLAGS: Final = {"port": "-p"}
"""The flags of one letter, by setting."""

USUAL: Final = {
    "where": ("port", "host", "api_key", "admin_token", "workers", "store"),
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


SWITCHES: Final = {
    ("-v", "--verbose"): "The same as --log-level debug",
    ("-q", "--quiet"): "The same as --log-level error",
}
"""Flags that stand for a setting, with their help."""


def add_arguments(parser: ArgumentParser) -> None:
    by_name = {each.name: each for each in command_settings()}
    for title, names in USUAL.items():
        group: Any = parser.add_argument_group(title)
        for name in names:
            setting, help = by_name.pop(name), setting_help(name)
            if name == "log_level":
                add_log_level(group, setting, help, SWITCHES)
            else:
                add_setting(group, setting, help=help, short=SHORT_FLAGS)
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
    """Run the server until a signal. Raises CommandError where the server cannot start, and
    ValueError for a setting's value."""
    flags = {name: tuple(v) if isinstance(v, list) else v for name, v in flags.items()}
    if quiet or verbose:
        flags["log_level"] = "error" if quiet else "debug"
    configuration = Configuration.read(flags, for_server=True)
    values, ineffective_settings = configuration.values(), configuration.ineffective_settings()
    log_settings = LogSettings(
        log_level=values.pop("log_level"), log_format=values.pop("log_format")
    )
    workers = values.pop("workers")
    if values["on_miss"] == OnMiss.RECORD:
        values["upstream_api_key"] = upstream_key(values)
    settings = Settings(**values)
    count = ProcessSettings(workers=workers).workers or available_cores()
    if count > 1:
        if os.name == "nt":
            raise CommandError("--workers: processes cannot share a port on Windows; leave it at 1")
        from images_emulator.cli.serve_workers import serve_workers  # noqa: PLC0415 - for few

        serve_workers(count, settings, log_settings, configuration.file, ineffective_settings)
        return 0
    server = open_server(settings)
    log = set_up_call_log(server, log_settings)
    state = start_state(server)
    log.log_while_running(
        server,
        lambda: start_text(
            server.url,
            server.port,
            settings,
            log_settings,
            state,
            file=configuration.file,
            warnings=ineffective_settings,
        ),
    )
    return 0


def open_server(settings: Settings, listener: SharedListener | None = None) -> Server:
    """Make the server, which does not serve yet, on the port of the settings or on *listener*.
    Raises CommandError where the port or the store is not available, and ValueError for a setting's
    value. The garbage collector is off afterwards, until `set_up_call_log` turns it on."""
    # Imported modules are never garbage. Collecting garbage during the imports takes a tenth of the
    # time to the first answer.
    gc.disable()
    try:
        # The web framework takes most of the import time; --help and a wrong flag need none.
        from images_emulator.imaging.memory import share_arena  # noqa: PLC0415
        from images_emulator.server import Server  # noqa: PLC0415 - it loads uvicorn

        share_arena()
        if listener is None:
            return Server(settings)
        from images_emulator.workers.worker_server import WorkerServer  # noqa: PLC0415

        return WorkerServer(settings, listener)
    except OSError as error:
        gc.enable()
        raise start_error(error) from None
    except BaseException:
        gc.enable()
        raise


def set_up_call_log(
    server: Server,
    settings: LogSettings,
    lock: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> CallLog:
    """The log of *server* and of its namespaces. Where several processes write the log, *lock*
    makes a lock that they share. It becomes the observer of the namespaces, in place of any other.
    The garbage collector, which `open_server` has turned off, is on again, and leaves out the
    modules that are loaded by now."""
    from images_emulator.cli.call_log import CallLog  # noqa: PLC0415 - it loads the journal

    log = CallLog(settings, server.emulator.journal, lock=lock, store=server.emulator.store)
    server.namespaces.observers = (lambda emulator: log.observe(emulator.journal),)
    gc.freeze()
    gc.enable()
    return log
