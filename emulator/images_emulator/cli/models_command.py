"""`images-emulator models`: prints the table of models."""

from __future__ import annotations

from json import dumps
from typing import Final

from images_emulator.cli.command_line import ArgumentParser

USAGE: Final = "[--markdown | --json]"

DESCRIPTION: Final = "List the models: their dates, what each accepts, and what each refuses."

EXAMPLES: Final = """\
  images-emulator models | less
  images-emulator models --json > models.json"""


def add_arguments(parser: ArgumentParser) -> None:
    formats = parser.add_mutually_exclusive_group()
    formats.add_argument("--markdown", action="store_true", help="As Markdown, as the docs have it")
    formats.add_argument(
        "--json", action="store_true", help="As JSON, with a JSON Schema for each kind of body"
    )


def run(*, markdown: bool, json: bool) -> int:
    from images_emulator.contract import model_listing  # noqa: PLC0415 - --help does without it

    if json:
        print(dumps(model_listing.models_json(), indent=2))
    else:
        print(model_listing.models_markdown() if markdown else model_listing.models_text(), end="")
    return 0
