"""The command line. Exits with 1 where a target is broken."""

from __future__ import annotations

import argparse
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from reliability.fuzzing.targets import TARGETS

FAILURES: Final = Path("fuzzing-failures")
"""The folder of the inputs that break a target, below the working directory."""

MAX_INPUT_BYTES: Final = 65_536

INPUT_SECONDS: Final = 25
"""Seconds that one input may take."""

MAX_MEMORY_MB: Final = 2048
"""Resident memory of the process."""


def missing_part() -> str:
    """Why nothing can be fuzzed here; empty where it can."""
    return "" if find_spec("atheris") else "atheris is not installed: it is in [fuzzing]"


def _fuzz(name: str, seconds: int) -> bool:
    """Whether the target *name* holds for so many *seconds*."""
    FAILURES.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        for number, seed in enumerate(TARGETS[name].seeds()):
            (Path(folder) / f"{number}").write_bytes(seed)
        options = {
            "max_total_time": seconds,
            "max_len": MAX_INPUT_BYTES,
            "timeout": INPUT_SECONDS,
            "rss_limit_mb": MAX_MEMORY_MB,
            "artifact_prefix": f"{FAILURES}/{name}-",
        }
        flags = [f"-{option}={value}" for option, value in options.items()]
        command = [sys.executable, "-m", "reliability.fuzzing.run_target", name, *flags, folder]
        return subprocess.run(command, check=False).returncode == 0


def main() -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser("python -m reliability.fuzzing", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--minutes", type=float, default=1, help="for each target")
    arguments = parser.parse_args()
    if unknown := {*arguments.targets} - {*TARGETS}:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    if reason := missing_part():
        print(f"Nothing was fuzzed: {reason}.")
        return 0
    held = {
        name: _fuzz(name, round(60 * arguments.minutes)) for name in arguments.targets or TARGETS
    }
    for name, is_held in held.items():
        print(f"{'held' if is_held else 'BROKEN'}: {name}")
    return int(not all(held.values()))


if __name__ == "__main__":
    sys.exit(main())
