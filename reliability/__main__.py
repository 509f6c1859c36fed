"""The command line. Exits with 1 where a promise is broken."""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import traceback
from pathlib import Path
from time import perf_counter
from typing import Final

from reliability import report
from reliability.promise import Effort, Figure, Outcome, Promise
from reliability.promises import PROMISES

QUICK: Final = Effort(seconds=2, scale=0.01)
"""The effort of `--quick`, which takes the first loop alone."""

TESTS: Final = Path(__file__).parent.parent / "tests"


def _names(text: str) -> set[str]:
    """The promises in *text*, names with commas. Raises ValueError for others."""
    names = set(text.split(","))
    if unknown := names - {promise.name for promise in PROMISES}:
        raise ValueError(f"no such promise: {unknown}")
    return names


def _scenario_outcome(promise: Promise, effort: Effort, loop: str) -> Outcome:
    assert promise.scenario
    try:
        return asyncio.run(promise.scenario(effort, loop))
    except Exception:  # noqa: BLE001 - whatever ends a scenario is told, and the others still run
        return Outcome(mistakes=[traceback.format_exc()])


def _tests_outcome(promise: Promise) -> Outcome:
    """Runs the tests that hold a promise, by pytest."""
    command = [sys.executable, "-m", "pytest", "-q", *promise.tests]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, check=False)
    words = done.stdout.replace(",", " ").split()
    passed = int(words[words.index("passed") - 1]) if "passed" in words else 0
    mistakes = [done.stdout[-2000:]] if done.returncode else []
    return Outcome([Figure(passed, "tests passed", least=1)], mistakes)


def main() -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(
        "python -m reliability", description="Try to break the promises of reliability/promises.py."
    )
    parser.add_argument("--only", type=_names, metavar="NAME,NAME", help="only these promises")
    parser.add_argument(
        "--minutes", type=float, default=3, help="for a promise that lasts a time, on each loop"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="factor of all numbers")
    parser.add_argument("--calls", type=int, default=200_000, help="hostile calls")
    parser.add_argument(
        "--page", action="store_true", help="write the rows of --only into the page, too"
    )
    parser.add_argument(
        "--quick", action="store_true", help="small numbers, and what the tests hold is left out"
    )
    arguments = parser.parse_args()
    effort = (
        QUICK
        if arguments.quick
        else Effort(60 * arguments.minutes, arguments.scale, arguments.calls)
    )
    chosen = [
        promise
        for promise in PROMISES
        if (not arguments.only or promise.name in arguments.only)
        and (promise.scenario or not arguments.quick)
    ]

    results: list[tuple[Promise, dict[str, Outcome]]] = []
    for promise in chosen:
        if reason := promise.missing_part:
            print(f"left out: {promise.name}: {reason}", flush=True)
            continue
        outcomes = {}
        for loop in promise.loops[:1] if arguments.quick else promise.loops:
            begun = perf_counter()
            if promise.scenario:
                outcome = _scenario_outcome(promise, effort, loop)
            else:
                outcome = _tests_outcome(promise)
            outcomes[loop] = outcome
            text = report.as_text(promise, loop, outcome)
            print(f"{text} [{perf_counter() - begun:.0f} s]", flush=True)
        results.append((promise, outcomes))
    if arguments.page or not (arguments.only or arguments.quick):
        report.write_page(results, effort.arguments)
    return int(not all(each.held for _, outcomes in results for each in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
