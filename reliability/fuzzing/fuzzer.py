"""Runs a target under atheris, in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from reliability.fuzzing.targets import TARGETS

FAILURES: Final = Path("fuzzing-failures")
"""The folder of the inputs that break a target, below the working directory."""

MAX_INPUT_BYTES: Final = 65_536

INPUT_SECONDS: Final = 25
"""Seconds that one input may take."""

MAX_MEMORY_MB: Final = 2048
"""Resident memory of the process."""

PACKAGE: Final = "atheris"


def missing_part() -> str:
    """Why nothing can be fuzzed here; empty where it can."""
    return "" if find_spec(PACKAGE) else "atheris is not installed: it is in [fuzzing]"


class Fuzzed(NamedTuple):
    """The end of a run: the number of *inputs*, and the end of the *output* where one of them broke
    the target."""

    inputs: int
    output: str = ""


def fuzz(name: str, seconds: int) -> Fuzzed:
    """Give the target *name* mutated inputs for so many *seconds*."""
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
        done = subprocess.run(
            command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    output = done.stdout.decode(errors="replace")
    runs = re.search(r"^Done (\d+) runs", output, re.MULTILINE)
    return Fuzzed(int(runs[1]) if runs else 0, output[-3000:] if done.returncode else "")
