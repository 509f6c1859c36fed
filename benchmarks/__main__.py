"""The command: which figures, how thoroughly, in what form. Exits with 1 where one is missed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Final

from benchmarks import machine, report, subject
from benchmarks.figures import FIGURES
from benchmarks.of_memory import LEFT, MEMORY
from benchmarks.of_pictures import PICTURES
from benchmarks.of_records import JOURNALLED, STEPPED
from benchmarks.of_serving import SERVING
from benchmarks.of_starting import STARTING
from benchmarks.of_streams import STREAMS
from benchmarks.of_uploads import UPLOADS
from benchmarks.readings import Bench, Effort, read

BENCHES: Final[Mapping[str, Bench]] = {
    "pictures": PICTURES,
    "serving": SERVING,
    "starting": STARTING,
    "memory": MEMORY,
    "memory after a reset": LEFT,
    "streams": STREAMS,
    "scenario": STEPPED,
    "journal": JOURNALLED,
    "uploads": UPLOADS,
}
QUICK: Final = Effort(rounds=1, idle=0, part=0.02)


def _numbers(text: str) -> set[int]:
    """Raises ValueError for what is no list of figures."""
    numbers = {int(part) for part in text.split(",")}
    if unknown := numbers - {figure.number for figure in FIGURES}:
        raise ValueError(f"no such figure: {unknown}")
    return numbers


def _rounds(text: str) -> int:
    if int(text) < 1:
        raise ValueError("at least one")
    return int(text)


def main() -> int:
    """Run the command; its exit status."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description="The figures to reach, measured here and now."
    )
    parser.add_argument("--only", type=_numbers, metavar="1,5,8", help="these figures")
    parser.add_argument("--rounds", type=_rounds, default=Effort().rounds, help="rounds that count")
    parser.add_argument(
        "--quick", action="store_true", help="one short round, to see that it runs; judges nothing"
    )
    parser.add_argument("--markdown", action="store_true", help="the table as Markdown")
    given = parser.parse_args()
    effort = QUICK if given.quick else Effort(rounds=given.rounds)
    figures = [each for each in FIGURES if not given.only or each.number in given.only]

    rounds = read(BENCHES, figures, effort)
    found = report.results(figures, rounds)

    print("\n".join(machine.described(*subject.parser_and_loop())))
    print(f"{effort.rounds} rounds; {report.noise(rounds)}", end="\n\n")
    print(report.as_markdown(found) if given.markdown else report.as_text(found), end="\n\n")
    print(report.readings_as_text(rounds))
    return int(any(result.missed for result in found) and not given.quick)


if __name__ == "__main__":
    sys.exit(main())
