"""`images-emulator env`: prints the variables that lead an SDK to a server."""

from __future__ import annotations

import os
from typing import Any, Final

from images_emulator.cli.command_line import ArgumentParser
from images_emulator.cli.server_address import add_address, server_address
from images_emulator.cli.shells import LINE_WRITERS, shell_of
from images_emulator.environment import sdk_variables

USAGE: Final = "[--for FORM] [OPTIONS]"

DESCRIPTION: Final = """\
Print the lines that set OPENAI_BASE_URL and OPENAI_API_KEY, by which OpenAI's
SDKs find the server. The key is the first one that the settings accept."""

EXAMPLES: Final = """\
  eval "$(images-emulator env)"                            sh, bash, zsh
  images-emulator env | source                             fish
  images-emulator env --for powershell | Invoke-Expression
  images-emulator env --for dotenv >> .env
  images-emulator env --for github >> "$GITHUB_ENV"        GitHub Actions"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--for",
        dest="reader",
        choices=LINE_WRITERS,
        help=f"What reads them: {', '.join(LINE_WRITERS)} [the shell of this machine]",
        metavar="FORM",
    )
    parser.add_argument(
        "--azure", action="store_true", help="The variables of the SDKs' Azure clients, too"
    )
    add_address(parser)


def run(*, reader: str | None, azure: bool, **options: Any) -> int:
    write = LINE_WRITERS[reader or shell_of(os.environ)]
    address = server_address(**options)
    for name, value in sdk_variables(address.namespace_url, address.key).items():
        if azure or name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
            print(write(name, value))
    return 0
