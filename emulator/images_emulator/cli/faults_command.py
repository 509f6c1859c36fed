"""`images-emulator faults`: lists the faults and the errors by name."""

from __future__ import annotations

from dataclasses import asdict
from json import dumps
from typing import Final

from images_emulator.cli.command_line import ArgumentParser

USAGE: Final = "[--markdown | --json]"

DESCRIPTION: Final = """\
List the faults with their settings, and the errors by name: what 'inject', a
scenario and the header x-emulator-fault take."""

EXAMPLES: Final = """\
  images-emulator faults | less
  images-emulator inject latency seconds=2"""


def add_arguments(parser: ArgumentParser) -> None:
    formats = parser.add_mutually_exclusive_group()
    formats.add_argument("--markdown", action="store_true", help="As Markdown, as the docs have it")
    formats.add_argument(
        "--json", action="store_true", help="As JSON, with the type of each setting"
    )


def run(*, markdown: bool, json: bool) -> int:
    from images_emulator.faults import fault_tables  # noqa: PLC0415 - it loads pydantic

    if json:
        print(dumps(asdict(fault_tables.fault_list()), indent=2))
    else:
        print(fault_tables.faults_markdown() if markdown else fault_tables.faults_text(), end="")
    return 0
