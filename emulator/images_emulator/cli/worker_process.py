"""The main function of a worker: the server of `serve`, on the port that the supervisor has
opened."""

from __future__ import annotations

import os
import signal
import socket
import sys
from functools import partial
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Final

from images_emulator.cli.command_line import CommandError
from images_emulator.cli.file_lock import FileLock
from images_emulator.cli.serve_command import open_server, set_up_call_log
from images_emulator.cli.start_text import start_state
from images_emulator.settings import LogSettings, Settings
from images_emulator.shared_listener import ConnectionCounts, SharedListener
from images_emulator.workers.worker_messages import Report, WorkerConfig

ORPHAN_SECONDS: Final = 5.0
"""The seconds in which a worker without a supervisor has to stop, before it is ended."""


def main() -> None:
    """Serve until SIGTERM or SIGINT, or until the supervisor is gone. The exit status is 1 where
    the server does not start."""
    # Until the server can handle Ctrl-C, the supervisor alone does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=0) as supervisor:
        line = supervisor.makefile("rb").readline()
        if line:
            _serve(WorkerConfig.from_line(line), supervisor)


def _serve(config: WorkerConfig, supervisor: socket.socket) -> None:
    counts = ConnectionCounts(Path(config.counts), config.workers)
    listener = SharedListener(socket.socket(fileno=config.listener), counts, config.worker_index)
    try:
        server = open_server(Settings(**config.settings), listener)
    except (CommandError, ValueError) as error:
        is_usage_error = isinstance(error, ValueError)
        supervisor.sendall(Report(error=str(error), is_usage_error=is_usage_error).to_line())
        sys.exit(1)
    lock = partial(FileLock, config.log_lock)
    log = set_up_call_log(server, LogSettings(**config.log_settings), lock)
    state = start_state(server)
    Thread(target=_stop_with, args=(supervisor,), name="supervisor", daemon=True).start()

    def report_start() -> str:
        supervisor.sendall(Report(**state._asdict()).to_line())
        # A worker that takes the place of another one gets calls at once.
        server.emulator.renderer.warm_up()
        return ""

    log.log_while_running(server, report_start)


def _stop_with(supervisor: socket.socket) -> None:
    """Wait for the end of the supervisor, then stop as after its signal."""
    try:
        while supervisor.recv(1):
            pass
    except OSError:
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    sleep(ORPHAN_SECONDS)
    os._exit(1)
