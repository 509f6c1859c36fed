"""`images-emulator serve --workers N`: the supervisor of the workers, and its output."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from time import time
from typing import Any, Final

from images_emulator.cli.command_line import CommandError
from images_emulator.cli.configuration import SettingsFile
from images_emulator.cli.file_lock import FileLock
from images_emulator.cli.line_writer import LineWriter
from images_emulator.cli.notice_line import notice_line
from images_emulator.cli.standard_streams import print_if_read
from images_emulator.cli.start_error import start_error
from images_emulator.cli.start_text import StartState, start_text
from images_emulator.cli.stop_signals import ignore_until_the_end
from images_emulator.cli.terminal import has_colours
from images_emulator.listening_socket import http_url, listening_socket
from images_emulator.rendering.cores import spare_cores
from images_emulator.settings import LogSettings, Settings
from images_emulator.workers.own_redis import OwnRedisError
from images_emulator.workers.supervisor import Supervisor, WorkerError, worker_command
from images_emulator.workers.worker_messages import Report

WORKER_MODULE: Final = "images_emulator.cli.worker_process"
"""The module whose `main` a worker runs."""

REDIS_BYTES: Final = 128 * 2**20
"""The bytes that the workers' own Redis takes, in addition to twice the budgets of its contents."""


def serve_workers(
    count: int,
    settings: Settings,
    log: LogSettings,
    file: SettingsFile | None,
    warnings: Sequence[str],
) -> None:
    """Run *count* workers until a signal. Their start-up text has the settings *file* and the
    *warnings*. Raises CommandError where the port, a store or a worker is not available, and
    ValueError for a setting's value."""
    processes = min(settings.render_processes, spare_cores(processes=count))
    try:
        listener = listening_socket(settings.host, settings.port)
        supervisor = Supervisor(
            count,
            worker_command(WORKER_MODULE),
            listener,
            settings=_setting_values(settings) | {"render_processes": processes},
            log_settings=_setting_values(log),
            store_bytes=REDIS_BYTES
            + 2 * (settings.journal_bytes + settings.files_bytes + settings.hosted_bytes),
        )
    except OwnRedisError as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise start_error(error) from None
    port = int(listener.getsockname()[1])
    notices = _Notices(log, supervisor.log_lock)

    def print_start(report: Report) -> None:
        state = StartState(
            report.recordings, report.pictures, report.changed, report.steps, report.clock
        )
        url = http_url(settings.host, port)
        with FileLock(supervisor.log_lock):
            text = start_text(
                url, port, settings, log, state, workers=count, file=file, warnings=warnings
            )
            print_if_read(text)

    try:
        supervisor.run(print_start, notices.put)
    except WorkerError as error:
        raise (ValueError if error.is_usage_error else CommandError)(str(error)) from None
    except OwnRedisError as error:
        raise CommandError(str(error)) from None
    finally:
        ignore_until_the_end()
        notices.close()


def _setting_values(settings: Settings | LogSettings) -> dict[str, Any]:
    """The values of *settings*, by their names, in the form of JSON."""
    return {each.name: getattr(settings, each.name) for each in fields(settings)}


class _Notices:
    """Writes the supervisor's notices between the lines of the workers, which share *lock*. JSON
    goes to standard output, text to standard error."""

    def __init__(self, log: LogSettings, lock: Path) -> None:
        self._is_shown = log.log_level != "error"
        is_json = log.log_format == "json"
        fd, stream = (1, sys.stdout) if is_json else (2, sys.stderr)
        self._line = partial(
            notice_line, level=logging.WARNING, is_json=is_json, colours=has_colours(fd, os.environ)
        )
        self._writer = LineWriter[str](fd, str, encoding=stream.encoding, lock=FileLock(lock))

    def put(self, text: str) -> None:
        """Queue *text* for writing."""
        if self._is_shown:
            self._writer.put(self._line(text, created=time()))

    def close(self) -> None:
        """Write the last notices."""
        self._writer.close()
