"""The outcomes of a run: as text, and as the page of the docs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks import machine, subject
from reliability.promise import MAX_MISTAKES, Outcome, Promise

PAGE: Final = Path(__file__).parent.parent / "docs" / "reference" / "reliability.md"

START: Final = "<!-- promises -->\n"
END: Final = "<!-- end of promises -->"

Outcomes = Mapping[str, Outcome]
"""The outcomes of a promise by its loops."""


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


def as_markdown(results: Sequence[tuple[Promise, Outcomes]]) -> str:
    """The table of the page."""
    rows = ["| promise | tried by | figures of the run | held |", "|---|---|---|---|"]
    for promise, outcomes in results:
        tests = ", ".join(f"`{each.partition('::')[2]}`" for each in promise.tests)
        held = "yes" if all(each.held for each in outcomes.values()) else "**no**"
        trial = f"`--only {promise.name}`" if promise.scenario else tests
        rows.append(f"| {promise.text} | {trial} | {_figures(promise, outcomes)} | {held} |")
    return "\n".join(rows) + "\n"


def write_page(results: Sequence[tuple[Promise, Outcomes]], arguments: Sequence[str]) -> None:
    """Write the table, the command with its *arguments* and the machine of the run between the
    markers of the page."""
    text = PAGE.read_text()
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    command = " ".join(("python -m reliability", *arguments))
    run = "; ".join(machine.description(*subject.parser_and_loop())[:2])
    PAGE.write_text(
        f"{before}{START}{as_markdown(results)}\nThe run was `{command}` on {run}.\n{END}{after}"
    )
