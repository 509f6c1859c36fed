"""`images-emulator inject`: lets the next calls to a running server meet a fault."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from images_emulator.admin_client import AdminClient
from images_emulator.cli.command_line import ArgumentParser
from images_emulator.cli.server_address import add_address, server_address
from images_emulator.cli.step_options import add_step_options, call_choice

USAGE: Final = "FAULT [SETTING=VALUE…] [OPTIONS]"

DESCRIPTION: Final = """\
Let the next call meet a fault: one of 'images-emulator faults', with its
settings, or an error by its name."""

EXAMPLES: Final = """\
  images-emulator inject rate_limit_exceeded --times 2
  images-emulator inject latency seconds=5 jitter=1 --times always
  images-emulator inject stream_cut after=1 --match prompt=ship
  images-emulator inject server_error --times always --probability 0.1"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("fault", metavar="FAULT", help="Name of a fault or of an error")
    parser.add_argument(
        "settings", metavar="SETTING=VALUE", nargs="*", default=(), help="Settings of the fault"
    )
    add_step_options(parser, times=1)
    add_address(parser)


def run(*, fault: str, settings: Sequence[str], **options: Any) -> int:
    from images_emulator.faults import parse_fault  # noqa: PLC0415 - it loads pydantic
    from images_emulator.step_documents.scenario_document import parse_step  # noqa: PLC0415 - so does it

    calls = call_choice(options)
    address = server_address(**options)
    parsed = parse_fault(";".join([fault, *settings]))
    document = {"kind": parsed.kind} | parsed.model_dump(exclude_defaults=True)
    step = {"fault": document, **calls.to_step()}
    parse_step(step)
    AdminClient(address).post("inject", step)
    print(f"{' '.join([parsed.label, *settings])} for {calls}")
    return 0
