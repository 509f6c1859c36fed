"""`images-emulator exchange check`: prints the mistakes in files of exchanges."""

from __future__ import annotations

import sys
from pathlib import Path

from images_emulator.cli.command_line import ArgumentParser, CommandError
from images_emulator.cli.terminal import printable


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "paths", metavar="FILE", nargs="+", type=Path, help="A file, or a folder of files"
    )


def run(*, paths: list[Path]) -> int:
    from images_emulator.recordings.folder import (  # noqa: PLC0415
        mistakes_in,
        recording_paths,
        unused_files,
    )

    count, wrong = 0, 0
    for path in paths:
        try:
            for file in recording_paths(path) if path.is_dir() else [path]:
                mistakes = mistakes_in(file)
                count += 1
                wrong += bool(mistakes)
                for sentence in mistakes:
                    print(printable(sentence), file=sys.stderr)
            for file in unused_files(path) if path.is_dir() else ():
                print(printable(f"note: {file}: no exchange names it"), file=sys.stderr)
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from None
    exchanges = "1 exchange" if count == 1 else f"{count} exchanges"
    print(f"{exchanges}, {wrong} with mistakes" if wrong else exchanges)
    return 1 if wrong else 0
