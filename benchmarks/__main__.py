"""The command line of the benchmarks. Exits with 1 where a goal is missed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Final

from benchmarks import machine, report, subject
from benchmarks.bench_memory import LEFT, MEMORY
from benchmarks.bench_page import PAGE
from benchmarks.bench_pictures import PICTURES
from benchmarks.bench_records import JOURNALLED, STEPPED
from benchmarks.bench_replay import REPLAYED
from benchmarks.bench_serving import SERVING
from benchmarks.bench_starting import AIMOCK_STARTING, STARTING
from benchmarks.bench_store import STORED
from benchmarks.bench_streams import STREAMS
from benchmarks.bench_uploads import UPLOADS
from benchmarks.bench_workers import WORKING
from benchmarks.figures import FIGURES
from benchmarks.measure import Bench, Effort, measure

BENCHES: Final[Mapping[str, Bench]] = {
    "pictures": PICTURES,
    "serving": SERVING,
    "starting": STARTING,
    "starting beside aimock": AIMOCK_STARTING,
    "memory": MEMORY,
    "memory after a reset": LEFT,
    "streams": STREAMS,
    "scenario": STEPPED,
    "journal": JOURNALLED,
    "uploads": UPLOADS,
    "page": PAGE,
    "replay": REPLAYED,
    "store": STORED,
    "workers": WORKING,
}
QUICK: Final = Effort(rounds=1, warm_up=0, scale=0.02)


def _numbers(text: str) -> set[int]:
    """The figures in *text*, numbers with commas. Raises ValueError for others."""
    numbers = {int(part) for part in text.split(",")}
    if unknown := numbers - {figure.number for figure in FIGURES}:
        raise ValueError(f"no such figure: {unknown}")
    return numbers


def _rounds(text: str) -> int:
    if int(text) < 1:
        raise ValueError("at least one")
    return int(text)


def main() -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks",
        description="Measure the figures of benchmarks/figures.py on this machine.",
    )
    parser.add_argument("--only", type=_numbers, metavar="1,5,8", help="only these figures")
    parser.add_argument("--rounds", type=_rounds, default=Effort().rounds, help="rounds to measure")
    parser.add_argument(
        "--quick", action="store_true", help="one short round, which judges nothing"
    )
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    arguments = parser.parse_args()
    effort = QUICK if arguments.quick else Effort(rounds=arguments.rounds)
    figures = [each for each in FIGURES if not arguments.only or each.number in arguments.only]

    rounds = measure(BENCHES, figures, effort)
    results = report.results(figures, rounds)

    print("\n".join(machine.description(*subject.parser_and_loop())))
    print(f"{effort.rounds} rounds; {report.noise(rounds)}", end="\n\n")
    print(
        report.as_markdown(results) if arguments.markdown else report.as_text(results), end="\n\n"
    )
    print(report.measurements_as_text(rounds))
    return int(any(result.missed for result in results) and not arguments.quick)


if __name__ == "__main__":
    sys.exit(main())
