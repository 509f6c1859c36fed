"""`images-emulator namespaces`: lists the namespaces of a running server, or deletes one."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any, Final

from images_emulator.admin_client import AdminClient
from images_emulator.cli.command_line import ArgumentParser
from images_emulator.cli.server_address import add_address, server_address
from images_emulator.cli.terminal import printable

USAGE: Final = "[--delete NAME] [OPTIONS]"

DESCRIPTION: Final = """\
List the namespaces of the server beside the default one: name, number of calls,
and time of the last."""

EXAMPLES: Final = """\
  images-emulator namespaces
  images-emulator namespaces --delete worker-1"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--delete", metavar="NAME", help="Forget this one with all that it has")
    add_address(parser)


def run(*, delete: str | None, **options: Any) -> int:
    client = AdminClient(server_address(**options))
    if delete is not None:
        client.delete(f"namespaces/{delete}")
        print(f"the namespace {printable(delete)} is forgotten")
        return 0
    rows = [
        (
            printable(each["name"]),
            f"{each['calls']} call{'' if each['calls'] == 1 else 's'}",
            datetime.fromisoformat(each["last_used"]).astimezone().strftime("%Y-%m-%d %H:%M:%S"),
        )
        for each in client.get("namespaces")["namespaces"]
    ]
    if not rows:
        print("(no namespaces beside the default one)", file=sys.stderr)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, calls, time in rows:
        print(f"{name:{widths[0]}}  {calls:>{widths[1]}}  {time}")
    return 0
