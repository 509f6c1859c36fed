"""The number of CPU cores for processes, within the quota of a container."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

CGROUP_FOLDER: Final = Path("/sys/fs/cgroup")
"""The folder in which Linux shows a container its control group."""

QUOTA_FILES: Final = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))
"""Files of cgroup version 2 and version 1 that hold the CPU quota: microseconds of CPU time, and
microseconds of the period. Without a quota, version 2 says "max" and version 1 says -1.
https://docs.kernel.org/admin-guide/cgroup-v2.html, https://docs.kernel.org/scheduler/sched-bwc.html
"""


def available_cores(group: Path = CGROUP_FOLDER) -> int:
    """Whole CPU cores that this process may use, at least one: those of its CPU affinity, as far as
    the quota of its container covers them."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(cores, _quota_cores(group) or cores)


def spare_cores(group: Path = CGROUP_FOLDER, *, processes: int = 1) -> int:
    """The available cores that each of a server's *processes* may use beside one for itself."""
    return max(0, available_cores(group) - processes) // processes


def _quota_cores(group: Path) -> int | None:
    """Whole cores that the quota covers, at least one; None without a quota."""
    for files in QUOTA_FILES:
        with suppress(OSError, ValueError):
            text = " ".join((group / file).read_text() for file in files)
            quota, period = map(int, text.split())
            return None if quota < 0 else max(1, quota // period)
    return None
