"""`images-emulator exchange`: files of recorded exchanges."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final, Protocol, cast

from images_emulator.cli.command_line import ArgumentParser, Command

SUBCOMMANDS: Final = {
    "check": Command("Say what is wrong with files, line by line", "exchange_check_command"),
    "from-journal": Command("Make files of the server's calls", "exchange_from_journal_command"),
    "import": Command("Make files of the cassettes of other tools", "exchange_import_command"),
}
"""The subcommands of `exchange`."""

USAGE: Final = "check | from-journal | import [OPTIONS]"

DESCRIPTION: Final = """\
Look after files of exchanges: what 'record' writes, and 'serve --replay' plays."""

EXAMPLES: Final = """\
  images-emulator exchange check recordings/
  images-emulator exchange from-journal --status 2xx --to recordings
  images-emulator exchange import tests/cassettes --to recordings"""


class SubcommandModule(Protocol):
    """The module of a subcommand."""

    @staticmethod
    def add_arguments(parser: ArgumentParser) -> None:
        """Add the flags and arguments of the subcommand."""
        ...

    @staticmethod
    def run(**options: Any) -> int:
        """Do what the arguments say, as `CommandModule.run` does."""
        ...


def subcommand_module(name: str) -> SubcommandModule:
    """The module of the subcommand *name*."""
    return cast(SubcommandModule, import_module(f"images_emulator.cli.{SUBCOMMANDS[name].module}"))


def add_arguments(parser: ArgumentParser) -> None:
    subcommands = parser.add_subparsers(
        prog="images-emulator exchange", metavar="COMMAND", dest="subcommand", title="commands"
    )
    for name, row in SUBCOMMANDS.items():
        subcommand_module(name).add_arguments(subcommands.add_parser(name, help=row.summary))


def run(*, subcommand: str | None, **options: Any) -> int:
    if subcommand is None:
        raise ValueError(f"expected one of the commands {', '.join(SUBCOMMANDS)}")
    return subcommand_module(subcommand).run(**options)
