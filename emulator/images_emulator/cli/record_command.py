"""`images-emulator record`: a proxy in front of the API, which keeps each call in a file."""

from __future__ import annotations

import errno
import os
from datetime import datetime
from json import dumps
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, Final

from images_emulator.cli.command_line import ArgumentParser, CommandError
from images_emulator.cli.configuration import (
    add_config,
    add_log_level,
    add_setting,
    add_upstream_key,
    argument_type,
    read_settings,
    setting_help,
    upstream_key,
)
from images_emulator.cli.server_address import is_loopback, local_url
from images_emulator.cli.shells import LINE_WRITERS, shell_of
from images_emulator.settings import LogSettings, Settings, command_settings

if TYPE_CHECKING:
    from images_emulator.record_server import RecordServer

USAGE: Final = "--upstream URL --to DIR [OPTIONS]"

DESCRIPTION: Final = """\
Forward each call to the API at the upstream, and keep it with its answer in a
file. Keys, cookies and the names of accounts are in no file. Ctrl-C ends it; a
call that is open then is kept as far as it came."""

EXAMPLES: Final = """\
  images-emulator record --upstream https://api.openai.com/v1 --to recordings
  images-emulator record --upstream https://NAME.openai.azure.com --to azure
  images-emulator serve --replay recordings      answers as the API did"""

SWITCHES: Final = {("-q", "--quiet"): "The same as --log-level error"}
"""Flags that stand for a setting, with their help."""

PORT_HINT: Final = "; -p 0 takes a free one"
"""The end of the sentence about a port that is taken."""


def add_arguments(parser: ArgumentParser) -> None:
    settings = {each.name: each for each in command_settings()}
    add_setting(parser, settings["upstream"], help="The API, such as https://api.openai.com/v1")
    parser.add_argument(
        "--to", metavar="DIR", type=Path, required=True, help="Folder for the files; made if needed"
    )
    add_upstream_key(parser)
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=argument_type(_seconds),
        default=600,
        help="How long the upstream may send nothing [600]",
    )
    group = parser.add_argument_group("where")
    add_setting(group, settings["port"], help=setting_help("port"), short={"port": "-p"})
    add_setting(group, settings["host"], help=setting_help("host"))
    add_config(group)
    group = parser.add_argument_group("what it shows")
    add_log_level(group, settings["log_level"], setting_help("log_level"), SWITCHES)
    add_setting(group, settings["log_format"], help=setting_help("log_format"))


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds < float("inf"):
        raise ValueError(f"must be a number of seconds above 0, not {text!r}")
    return seconds


def run(
    *,
    to: Path,
    timeout: float,
    quiet: bool,
    **flags: Any,
) -> int:
    """Record until a signal. Raises CommandError where the folder or the port is not available, and
    ValueError for a value of a flag or a setting."""
    if quiet:
        flags["log_level"] = "error"
    values = read_settings(**flags)
    upstream = values["upstream"]
    if not upstream:
        raise ValueError("an upstream is missing: --upstream https://api.openai.com/v1")
    log_settings = LogSettings(log_level=values["log_level"], log_format=values["log_format"])
    where = Settings(host=values["host"], port=values["port"])
    # These modules are imported late: --help and a wrong flag need none of them.
    from images_emulator.cli.recording_log import RecordingLog  # noqa: PLC0415
    from images_emulator.record_server import RecordServer  # noqa: PLC0415
    from images_emulator.recordings.folder import RecordingFolder  # noqa: PLC0415

    log, key = RecordingLog(log_settings), upstream_key(values)
    try:
        to.mkdir(parents=True, exist_ok=True)
        # Without this check, every call would be reported as not recorded.
        NamedTemporaryFile(dir=to, prefix=".").close()
    except OSError as error:
        raise CommandError(f"{to}: {error.strerror}") from None
    try:
        server = RecordServer(
            upstream,
            RecordingFolder(to).add,
            api_key=key,
            host=where.host,
            port=where.port,
            timeout=timeout,
            on_result=log.log_result,
        )
    except OSError as error:
        hint = PORT_HINT if error.errno == errno.EADDRINUSE else ""
        raise CommandError(f"{error.strerror}{hint}") from None

    log.log_while_running(
        server,
        lambda: start_text(server, where.host, upstream, to, log_settings, has_key=bool(key)),
    )
    return 0


def start_text(
    server: RecordServer, host: str, upstream: str, to: Path, log: LogSettings, *, has_key: bool
) -> str:
    """The text that is printed when the proxy accepts connections. *has_key* says whether it adds a
    key of the upstream to calls."""
    warning = ""
    if has_key and not is_loopback(host):
        warning = f"Whoever reaches {host} may use the key of the upstream"
    message = f"Listening on {server.url}, recording {upstream} to {to}"
    base_url = f"{local_url(host, server.port)}/v1"
    if log.log_format == "json":
        values = {
            "time": datetime.now().astimezone().isoformat(timespec="milliseconds"),
            "level": "info",
            "event": "start",
            "message": message,
            "url": server.url,
            "base_url": base_url,
            "upstream": upstream,
            "folder": str(to),
            **({"warning": warning} if warning else {}),
        }
        return f"{dumps(values)}\n"
    if log.log_level in ("warning", "error"):
        return "\n".join([*filter(None, [message, warning]), ""])
    line = LINE_WRITERS[shell_of(os.environ)]("OPENAI_BASE_URL", base_url)
    return "\n".join([*filter(None, [message, warning]), f"In your shell: {line}", ""])
