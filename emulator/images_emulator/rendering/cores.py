"""How much of the processor there is for this process."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

GROUP: Final = Path("/sys/fs/cgroup")
"""What Linux tells a container of its control group."""

QUOTAS: Final = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))
"""Files of version 2 and version 1 that hold a quota: microseconds of processor in a period of so
many. Where there is none they say "max" and -1.
https://docs.kernel.org/admin-guide/cgroup-v2.html, https://docs.kernel.org/scheduler/sched-bwc.html
"""


def spare_cores(group: Path = GROUP) -> int:
    """Whole cores that this process may use beside the first: of those that it may run on, as many
    as its container's quota pays for."""
    allowed = getattr(os, "sched_getaffinity", None)
    cores = len(allowed(0)) if allowed else os.cpu_count() or 1
    return min(cores, _paid_for(group) or cores) - 1


def _paid_for(group: Path) -> int | None:
    for files in QUOTAS:
        with suppress(OSError, ValueError):
            told = " ".join((group / file).read_text() for file in files)
            quota, period = map(int, told.split())
            return None if quota < 0 else max(1, quota // period)
    return None
