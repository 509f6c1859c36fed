"""The processes of the system, as `ps` tells of them."""

from __future__ import annotations

import os
import subprocess


def children(parent: int) -> dict[int, str]:
    """The processes that *parent* has started, by their ids: their command lines."""
    done = subprocess.run(
        ["/bin/ps", "-Aww", "-o", "pid=,ppid=,command="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in done.stdout.splitlines()]
    return {int(pid): command for pid, ppid, command in rows if int(ppid) == parent}


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
