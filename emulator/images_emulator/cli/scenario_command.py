"""`images-emulator scenario`: prints the ready scenarios, and the mistakes in another scenario."""

from __future__ import annotations

import sys
from typing import Final

from images_emulator.cli.command_line import ArgumentParser, CommandError
from images_emulator.scenarios import ready_scenarios
from images_emulator.spelling import suggestion

USAGE: Final = "list | show NAME | check FILE"

DESCRIPTION: Final = """\
Look at scenarios: lists of steps, each a fault or an answer and the calls that
meet it."""

EXAMPLES: Final = """\
  images-emulator scenario list
  images-emulator scenario show outage > day.toml
  images-emulator scenario check day.toml
  images-emulator --scenario day.toml"""


def add_arguments(parser: ArgumentParser) -> None:
    parts = parser.add_subparsers(
        prog="images-emulator scenario", metavar="COMMAND", dest="part", title="commands"
    )
    parts.add_parser("list", help="List the ready scenarios")
    show = parts.add_parser("show", help="Print a ready scenario")
    show.add_argument("name", metavar="NAME", help="Name of a ready scenario")
    check = parts.add_parser("check", help="Say what is wrong with a scenario, line by line")
    check.add_argument(
        "name", metavar="FILE", help="Scenario in TOML or JSON, or a ready one's name"
    )


def run(*, part: str | None, name: str = "") -> int:
    if part is None:
        raise ValueError("expected one of the commands list, show and check")
    if part == "list":
        width = max(map(len, ready_scenarios()))
        for ready_name, file in ready_scenarios().items():
            print(f"{ready_name:{width}}  {_summary(file.read_text(encoding='utf-8'))}")
        return 0
    if part == "show":
        print(_read_ready_scenario(name), end="")
        return 0
    return _check(name)


def _read_ready_scenario(name: str) -> str:
    """The text of the ready scenario *name*. Raises CommandError where there is none of that
    name."""
    ready = ready_scenarios()
    if name not in ready:
        meant = suggestion(name, ready, quote="'")
        listed = "'images-emulator scenario list' lists them"
        raise CommandError(f"there is no ready scenario '{name}'{meant}; {listed}")
    return ready[name].read_text(encoding="utf-8")


def _summary(text: str) -> str:
    """The first sentence of the comment at the head of a scenario."""
    lines = iter(text.splitlines())
    comment = " ".join(line[1:].strip() for line in iter(lambda: next(lines, ""), "[[steps]]"))
    return comment.partition(". ")[0].removesuffix(".")


def _check(name: str) -> int:
    from images_emulator.step_documents.scenario_document import read_scenario  # noqa: PLC0415 - it loads pydantic

    try:
        steps = read_scenario(name).steps
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{name}: {len(steps)} {'step' if len(steps) == 1 else 'steps'}")
    return 0
