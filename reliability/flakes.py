"""Runs of the tests, one after the other, each in another order: a test that fails in any of them
is a flake, or broken.

    python -m reliability.flakes                        the whole suite 20 times, on two workers
    python -m reliability.flakes --busy                 beside a busy loop on each core
    python -m reliability.flakes --runs 50 -- tests/test_streams.py -m 'not slow'
    python -m reliability.flakes --runs 1 --clock 2031-02-28

What follows `--` is pytest's. Each test that failed is printed with the seed of its run, which
pytest repeats with `--randomly-seed`, and with what pytest said of it. The exit status is 1 where a
test failed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from random import SystemRandom
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final, NamedTuple
from xml.etree import ElementTree

ROOT: Final = Path(__file__).parent.parent

RUNS: Final = 20

SEED_BITS: Final = 32

MAX_FAILURE_CHARS: Final = 4000
"""What is printed of a failure, its end."""

BUSY_LOOP: Final = "while True: pass"

CLOCK: Final = Path(__file__).with_name("clock.c")
"""The source of the library that shows another time."""

PRELOADED: Final = "LD_PRELOAD"
CLOCK_OFFSET: Final = "CLOCK_OFFSET"
CLOCK_VARIABLES: Final = (PRELOADED, CLOCK_OFFSET)
"""The variables with which a program has another clock: the library, and the seconds that its clock
is ahead."""


class Failure(NamedTuple):
    """A test that failed: its id without the folder, and what pytest said of it."""

    test: str
    text: str


class Run(NamedTuple):
    """One run: the exit *status* of pytest, the tests that failed, and the *end* of what pytest
    printed."""

    status: int
    failures: Sequence[Failure]
    end: str


def failures_in(report: str) -> list[Failure]:
    """The failures in a report of pytest, a JUnit XML."""
    return [
        Failure(f"{case.get('classname')}::{case.get('name')}", failure.text or "")
        for case in ElementTree.fromstring(report).iter("testcase")  # noqa: S314 - pytest wrote it
        for failure in (*case.iterfind("failure"), *case.iterfind("error"))
    ]


def run_tests(seed: int, arguments: Sequence[str], clock: Mapping[str, str]) -> Run:
    """Run pytest once, with the variables of the *clock*."""
    with TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [sys.executable, "-m", "pytest", "-q", f"--randomly-seed={seed}"]
        done = subprocess.run(
            [*command, f"--junitxml={report}", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **clock},
        )
        failures = failures_in(report.read_text()) if report.exists() else []
    printed = done.stderr + done.stdout
    return Run(done.returncode, failures, printed[-MAX_FAILURE_CHARS:])


@contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """So many processes that do nothing, and do not rest."""
    loops = [subprocess.Popen([sys.executable, "-c", BUSY_LOOP]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@contextmanager
def other_clock(day: datetime | None) -> Iterator[Mapping[str, str]]:
    """The variables with which a program's clock begins at the *day*, and runs from there. Raises
    SystemExit without a compiler."""
    if day is None:
        yield {}
        return
    compiler = shutil.which("cc")
    if not compiler:
        sys.exit("--clock needs a C compiler, cc")
    with TemporaryDirectory() as folder:
        library = Path(folder, "clock.so")
        subprocess.run([compiler, "-shared", "-fPIC", "-o", library, CLOCK], check=True)
        own_offset = int(os.environ.get(CLOCK_OFFSET, "0"))
        offset = own_offset + round((day - datetime.now()).total_seconds())
        yield {PRELOADED: str(library), CLOCK_OFFSET: str(offset)}


def main() -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(
        "python -m reliability.flakes", description="Run the tests again and again."
    )
    parser.add_argument("--runs", type=int, default=RUNS, help="of all tests")
    parser.add_argument("--busy", action="store_true", help="beside a busy loop on each core")
    parser.add_argument(
        "--clock", type=datetime.fromisoformat, metavar="DAY", help="on another day"
    )
    parser.add_argument("pytest", nargs="*", help="arguments of pytest, behind --")
    arguments = parser.parse_args()

    flakes: Counter[str] = Counter()
    broken = 0
    loops = busy_loops(os.cpu_count() or 1 if arguments.busy else 0)
    with loops, other_clock(arguments.clock) as clock:
        for number in range(1, arguments.runs + 1):
            seed = SystemRandom().getrandbits(SEED_BITS)
            begun = perf_counter()
            run = run_tests(seed, ["-n2", *arguments.pytest], clock)
            broken += run.status != 0
            flakes.update(failure.test for failure in run.failures)
            seconds = perf_counter() - begun
            summary = run.end.strip().splitlines()[-1:]
            print(f"run {number}, --randomly-seed={seed}, {seconds:.0f} s:", *summary, flush=True)
            for failure in run.failures:
                print(f"  {failure.test}\n{failure.text[-MAX_FAILURE_CHARS:]}", flush=True)
            if run.status and not run.failures:
                print(run.end, flush=True)
    for test, count in flakes.most_common():
        print(f"{count} of {arguments.runs} runs: {test}")
    print(f"{arguments.runs - broken} of {arguments.runs} runs passed")
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
