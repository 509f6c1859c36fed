"""`images-emulator healthcheck`: checks whether a server answers."""

from __future__ import annotations

from typing import Any, Final

from images_emulator.admin_client import AdminClient
from images_emulator.cli.command_line import ArgumentParser
from images_emulator.cli.first_process import RECORD, first_process
from images_emulator.cli.server_address import add_address, server_address

USAGE: Final = "[OPTIONS]"

DESCRIPTION: Final = """\
Ask the server for /_emulator/health: exit status 0 where it answers, else 1.
It asks the port of the settings: the flag, the variable or the file. In a
container it asks the port that the server was given, and of the proxy of
'record' only whether it accepts connections."""

EXAMPLES: Final = """\
  images-emulator healthcheck -p 9000
  HEALTHCHECK CMD ["images-emulator", "healthcheck"]    in a Dockerfile"""

TIMEOUT_SECONDS: Final = 5
"""The seconds to wait for the answer."""


def add_arguments(parser: ArgumentParser) -> None:
    add_address(parser)


def run(**options: Any) -> int:
    address = server_address(**options)
    client = AdminClient(address, timeout=TIMEOUT_SECONDS)
    first = first_process()
    if first and first.command == RECORD and address.is_default:
        client.connect()  # any call would be forwarded to the API
    else:
        client.get("health")
    print(f"{address.url} answers")
    return 0
