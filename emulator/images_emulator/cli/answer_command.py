"""`images-emulator answer`: answers calls to a running server with a picture of the user."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, get_args

from images_emulator.admin_client import AdminClient
from images_emulator.cli.command_line import ArgumentParser
from images_emulator.cli.server_address import add_address, server_address
from images_emulator.cli.step_options import add_step_options, call_choice
from images_emulator.contract.own_picture import FORMATS_IN_WORDS, Fit

USAGE: Final = "FILE… [OPTIONS]"

DESCRIPTION: Final = """\
Answer calls with a picture of your own in place of a drawing, fitted to the
size and the format that a call asks for. Of several files the first is the
first picture of an answer, and so on."""

EXAMPLES: Final = """\
  images-emulator answer fox.png --match prompt=fox
  images-emulator answer a.png b.png --match n=2 --times 1
  images-emulator answer poster.webp --match size=1024x1536 --fit contain"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+", help=FORMATS_IN_WORDS)
    add_step_options(parser, times=None)
    parser.add_argument(
        "--fit",
        choices=get_args(Fit),
        metavar="MODE",
        help="'cover' crops, 'contain' adds borders, 'exact' refuses other sizes [cover]",
    )
    parser.add_argument("--verbatim", action="store_true", help="Send the files as they are")
    add_address(parser)


def run(
    *,
    files: Sequence[str],
    fit: str | None,
    verbatim: bool,
    **options: Any,
) -> int:
    from images_emulator.own_answers.picture_files import ReadingContext  # noqa: PLC0415 - it loads Pillow
    from images_emulator.step_documents.scenario_document import parse_step  # noqa: PLC0415 - it loads pydantic

    calls = call_choice(options)
    address = server_address(**options)
    settings: dict[str, Any] = {"fit": fit} if fit else {}
    if verbatim:
        settings["verbatim"] = True
    document = {**calls.to_step(), "answer": {"images": list(files), **settings}}
    parsed = parse_step(document, ReadingContext(Path()))
    AdminClient(address).post("inject", parsed.as_request_json())
    print(f"{', '.join(files)} for {calls}")
    return 0
