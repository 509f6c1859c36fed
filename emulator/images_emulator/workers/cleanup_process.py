"""Cleans up after a supervisor that was killed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

_SCRIPT: Final = """
folder=$1; shift
while read -r _; do :; done
[ $# = 0 ] || kill -9 "$@"
rm -rf "$folder"
"""
"""Waits for the end of its input, which nobody writes to, and nobody but the supervisor has
open."""


class CleanupProcess:
    """A small process that waits for the end of this process, whatever the cause. Then it kills the
    *processes*, by their ids, and removes *folder*. It has a session of its own, so signals to the
    terminal's processes do not reach it.

    Without a shell there is no such process, and nothing is cleaned up.
    """

    def __init__(self, folder: Path, processes: Iterable[int] = ()) -> None:
        command = ["/bin/sh", "-c", _SCRIPT, "sh", str(folder), *map(str, processes)]
        self._process: subprocess.Popen[bytes] | None = None
        with suppress(OSError):
            self._process = subprocess.Popen(  # noqa: S603 - a constant, our own folder and numbers
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

    def close(self) -> None:
        """End the process, with nothing cleaned up."""
        if self._process:
            self._process.kill()
            with self._process:
                pass
