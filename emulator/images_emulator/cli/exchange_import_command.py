"""`images-emulator exchange import`: exchanges of other tools' cassettes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from images_emulator.cli.command_line import ArgumentParser, CommandError
from images_emulator.cli.terminal import printable
from images_emulator.recordings.cassettes import KINDS
from images_emulator.settings import FILE

if TYPE_CHECKING:
    from images_emulator.recordings.cassettes.cassette_import import CassetteImport
    from images_emulator.recordings.folder import RecordingFolder


def add_arguments(parser: ArgumentParser) -> None:
    parser.description = f"""\
Add the exchanges of cassettes to a folder, without keys and names of accounts.
Files of these are read:
{KINDS}."""
    parser.add_argument(
        "files", metavar=FILE, type=Path, nargs="+", help="Cassettes, or folders of them"
    )
    parser.add_argument(
        "--to", metavar="DIR", type=Path, required=True, help="Folder that the files are added to"
    )


def run(*, files: Sequence[Path], to: Path) -> int:
    from images_emulator.recordings.cassettes.cassette_import import cassette_files  # noqa: PLC0415
    from images_emulator.recordings.cassettes.yaml_text import MissingLibraryError  # noqa: PLC0415
    from images_emulator.recordings.folder import RecordingFolder  # noqa: PLC0415

    folder = RecordingFolder(to)
    written, failed, others = 0, False, 0
    try:
        for path, is_named in cassette_files(files):
            count, is_good = _import(path, folder, is_named=is_named)
            written += count or 0
            others += count is None
            failed |= not is_good
    except MissingLibraryError as error:
        raise CommandError(str(error)) from error
    if others:
        print(f"{others} other {'file' if others == 1 else 'files'}")
    print(f"{written} {'exchange' if written == 1 else 'exchanges'} added to {to}")
    return 0 if written and not failed else 1


def _import(path: Path, folder: RecordingFolder, *, is_named: bool) -> tuple[int | None, bool]:
    """The number of exchanges in the file *path*, which are added to *folder*, or None where it is
    no cassette; and whether all is well. A file in a folder that is searched may be another one."""
    from images_emulator.recordings.cassettes.cassette import UnknownKindError  # noqa: PLC0415
    from images_emulator.recordings.cassettes.cassette_import import import_cassette  # noqa: PLC0415
    from images_emulator.recordings.redaction import Redactor  # noqa: PLC0415

    try:
        imported = import_cassette(path)
    except UnknownKindError as error:
        if not is_named:
            return None, True
        _complain(str(error))
        return 0, False
    except (OSError, ValueError) as error:
        _complain(str(error))
        return 0, False
    problems = [*imported.problems]
    redactor, written = Redactor(), 0
    for recording in imported.recordings:
        try:
            folder.add(redactor.redacted(recording))
            written += 1
        except ValueError as error:
            problems.append(f"{recording.source.rpartition(', ')[2]}: {error}")
        except OSError as error:
            raise CommandError(f"{folder.folder}: {error}") from error
    print(f"{path}: {', '.join(_words(imported, written))}")
    for problem in problems:
        _complain(f"{path}: {problem}")
    return written, not problems


def _words(imported: CassetteImport, written: int) -> Iterator[str]:
    """What was done with a cassette."""
    yield f"{imported.kind}, {written} {'exchange' if written == 1 else 'exchanges'}"
    if downloads := imported.downloads:
        yield f"{downloads} downloaded {'picture' if downloads == 1 else 'pictures'}"
    if imported.left_out:
        hosts = (f"{count} of {host}" for host, count in imported.left_out.items())
        yield f"left out: {', '.join(hosts)}"


def _complain(sentence: str) -> None:
    print(printable(sentence), file=sys.stderr)
