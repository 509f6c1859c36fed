"""The outcomes of a run: as text, and as the page of the docs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Final

from benchmarks import machine, subject
from reliability.promise import MAX_MISTAKES, Outcome, Promise
from reliability.promises import PROMISES

PAGE: Final = Path(__file__).parent.parent / "docs" / "reference" / "reliability.md"

START: Final = "<!-- promises -->\n"
END: Final = "<!-- end of promises -->"

Outcomes = Mapping[str, Outcome]
"""The outcomes of a promise by its loops."""

Results = Sequence[tuple[Promise, Outcomes]]
"""The outcomes of the promises that a run has tried."""


def as_text(promise: Promise, loop: str, outcome: Outcome) -> str:
    """The outcome of one run: its figures, and its first mistakes."""
    held = "held" if outcome.held else "BROKEN"
    name = f"{promise.name} on {loop}" if len(promise.loops) > 1 else promise.name
    mistakes = [f"    {each}" for each in outcome.mistakes[:MAX_MISTAKES]]
    return "\n".join([f"{held}: {name}: {outcome}", *mistakes])


def _figures(promise: Promise, outcomes: Outcomes) -> str:
    if len(outcomes) == 1:
        return str(*outcomes.values())
    return "<br>".join(f"{loop}: {outcome}" for loop, outcome in outcomes.items())


def _row(promise: Promise, outcomes: Outcomes, arguments: Sequence[str]) -> str:
    tests = ", ".join(f"`{each.partition('::')[2]}`" for each in promise.tests)
    held = "yes" if all(each.held for each in outcomes.values()) else "**no**"
    trial = f"`{' '.join(('--only', promise.name, *arguments))}`" if promise.scenario else tests
    return f"| {promise.text} | {trial} | {_figures(promise, outcomes)} | {held} |"


def as_markdown(results: Results, arguments: Sequence[str], table: str) -> str:
    """The table of the page, with the *arguments* of the run. Where a promise was not tried, its
    row is that in the old *table*."""
    rows = {line.split(" | ")[0].strip("| "): line for line in table.splitlines() if "|" in line}
    rows |= {promise.text: _row(promise, outcomes, arguments) for promise, outcomes in results}
    head = ["| promise | tried by | figures of the run | held |", "|---|---|---|---|"]
    texts = [promise.text for promise in PROMISES if promise.text in rows]
    return "\n".join([*head, *(rows[text] for text in texts)]) + "\n"


def write_page(results: Results, arguments: Sequence[str]) -> None:
    """Write the rows of *results*, with the *arguments* of their run, and the day and the machine
    between the markers of the page."""
    text = PAGE.read_text()
    before, _, rest = text.partition(START)
    table, _, after = rest.partition(END)
    machine_text = "; ".join(machine.description(*subject.parser_and_loop())[:2])
    rows = as_markdown(results, arguments, table)
    origin = f"The runs of {date.today()} were on {machine_text}."
    origins = "\n\n".join([*earlier_origins(results, table), origin])
    PAGE.write_text(f"{before}{START}{rows}\n{origins}\n{END}{after}")


def earlier_origins(results: Results, table: str) -> list[str]:
    """The days and machines of the old *table* that still hold, because *results* leave some of its
    rows."""
    tried = {promise.name for promise, _ in results}
    if tried >= {promise.name for promise in PROMISES}:
        return []
    return [line for line in table.splitlines() if line.startswith("The runs of ")]
