"""`images-emulator reset`: resets a running server."""

from __future__ import annotations

from typing import Any, Final

from images_emulator.admin_client import AdminClient
from images_emulator.cli.command_line import ArgumentParser
from images_emulator.cli.server_address import add_address, server_address

USAGE: Final = "[OPTIONS]"

DESCRIPTION: Final = """\
Let the server forget calls, pictures, files and injected faults. Its clock, its
scenario and its settings are as at the start."""

EXAMPLES: Final = """\
  images-emulator reset
  images-emulator reset -p 9000"""


def add_arguments(parser: ArgumentParser) -> None:
    add_address(parser)


def run(**options: Any) -> int:
    address = server_address(**options)
    AdminClient(address).post("reset")
    print(f"{address.namespace_url} is as at its start")
    return 0
