"""The command line. Exits with 1 where a target is broken."""

from __future__ import annotations

import argparse
import sys

from reliability.fuzzing.fuzzer import FAILURES, fuzz, missing_part
from reliability.fuzzing.targets import TARGETS


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
    broken = 0
    for name in arguments.targets or TARGETS:
        fuzzed = fuzz(name, round(60 * arguments.minutes))
        if fuzzed.output:
            broken += 1
            print(f"BROKEN: {name}; the input is in {FAILURES}/\n{fuzzed.output}")
        else:
            print(f"held: {name}: {fuzzed.inputs:,} inputs", flush=True)
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
