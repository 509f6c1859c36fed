"""`images-emulator exchange import`: makes exchange files from the cassettes of other tools."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from images_emulator.cli.command_line import ArgumentParser, CommandError
from images_emulator.cli.terminal import printable
from images_emulator.recordings.cassettes import KINDS_IN_WORDS

if TYPE_CHECKING:
    from images_emulator.recordings.cassettes.cassette_import import CassetteImport
    from images_emulator.recordings.recording import Recording


def add_arguments(parser: ArgumentParser) -> None:
    parser.description = f"""\
Add the exchanges of cassettes to a folder, without keys and names of accounts.
Files of these are read:
{KINDS_IN_WORDS}."""
    parser.add_argument(
        "files", metavar="FILE", type=Path, nargs="+", help="Cassettes, or folders of them"
    )
    parser.add_argument(
        "--to", metavar="DIR", type=Path, required=True, help="Folder that the files are added to"
    )


def run(*, files: Sequence[Path], to: Path) -> int:
    from images_emulator.recordings.cassettes.cassette_import import cassette_files  # noqa: PLC0415
    from images_emulator.recordings.cassettes.yaml_text import MissingLibraryError  # noqa: PLC0415

    importer = _Importer(to)
    try:
        for path, is_named in cassette_files(files):
            importer.add(path, is_named=is_named)
    except MissingLibraryError as error:
        raise CommandError(str(error)) from error
    return importer.end()


class _Importer:
    """Adds the exchanges of cassettes to a folder, and counts them. An exchange that an earlier
    import added is not added again: of *n* equal ones in a cassette, *m* of which the folder has
    from that cassette, *n* - *m* are added."""

    def __init__(self, folder: Path) -> None:
        """Raises CommandError where *folder* has files that are no recordings."""
        from images_emulator.recordings.cassettes.cassette_import import cassette_of  # noqa: PLC0415
        from images_emulator.recordings.folder import RecordingFolder, read_folder  # noqa: PLC0415

        self.folder = RecordingFolder(folder)
        self.present: dict[str, list[Recording]] = {}
        """The recordings that the folder had, by their cassettes. `_contents_of` takes them out."""
        self.contents: dict[str, list[object]] = {}
        """See `_contents_of`."""
        self.added = 0
        self.unchanged = 0
        self.others = 0
        self.has_failed = False
        try:
            for recording in read_folder(folder) if folder.is_dir() else ():
                self.present.setdefault(cassette_of(recording), []).append(recording)
        except (OSError, ValueError) as error:
            raise CommandError(str(error)) from error

    def add(self, path: Path, *, is_named: bool) -> None:
        """Add the exchanges of the file *path*. Unless the user named it (*is_named*), it may be no
        cassette. Raises MissingLibraryError, and CommandError where the folder cannot be written.
        """
        from images_emulator.recordings.cassettes.cassette import UnknownKindError  # noqa: PLC0415
        from images_emulator.recordings.cassettes.cassette_import import (  # noqa: PLC0415
            import_cassette,
        )

        try:
            imported = import_cassette(path)
        except (OSError, ValueError) as error:
            if isinstance(error, UnknownKindError) and not is_named:
                self.others += 1
            elif isinstance(error, OSError):
                self._complain(f"{error.filename or path}: {error.strerror or error}")
            else:
                self._complain(str(error))
            return
        added, problems = self._add_recordings(imported)
        print(printable(f"{path}: {', '.join(_words(imported, added))}"))
        for problem in problems:
            self._complain(f"{path}: {problem}")

    def _add_recordings(self, imported: CassetteImport) -> tuple[int, list[str]]:
        """The number of added recordings, and sentences about those that cannot be added."""
        from images_emulator.recordings.cassettes.cassette_import import (  # noqa: PLC0415
            cassette_of,
            content_of,
        )
        from images_emulator.recordings.redaction import Redactor  # noqa: PLC0415

        redactor, added, problems = Redactor(), 0, [*imported.problems]
        # There is nearly always one cassette. Its name may be redacted differently in each
        # recording, by what that recording has in it.
        present: dict[str, Counter[object]] = {}
        for recording in imported.recordings:
            try:
                redacted = redactor.redact(recording)
                cassette, content = cassette_of(redacted), content_of(redacted)
                if cassette not in present:
                    present[cassette] = Counter(self._contents_of(cassette))
                if present[cassette][content]:
                    present[cassette][content] -= 1
                    self.unchanged += 1
                else:
                    self.folder.add(redacted)
                    self._contents_of(cassette).append(content)
                    added += 1
            except ValueError as error:
                problems.append(f"{recording.source.rpartition(', ')[2]}: {error}")
            except OSError as error:
                raise CommandError(f"{self.folder.folder}: {error}") from error
        self.added += added
        return added, problems

    def _contents_of(self, cassette: str) -> list[object]:
        """What `content_of` gives for the recordings of *cassette* that the folder has. Raises
        OSError and ValueError where one of them cannot be read."""
        from images_emulator.recordings.cassettes.cassette_import import content_of  # noqa: PLC0415

        if cassette not in self.contents:
            self.contents[cassette] = [*map(content_of, self.present.pop(cassette, ()))]
        return self.contents[cassette]

    def _complain(self, sentence: str) -> None:
        self.has_failed = True
        print(printable(sentence), file=sys.stderr)

    def end(self) -> int:
        """Print a line with all counts, and return the exit status."""
        if self.others:
            print(f"{self.others} other {'file' if self.others == 1 else 'files'}")
        there = f", {self.unchanged} already there" if self.unchanged else ""
        print(printable(f"{_exchanges(self.added)} added to {self.folder.folder}{there}"))
        return 0 if (self.added or self.unchanged) and not self.has_failed else 1


def _exchanges(count: int) -> str:
    return f"{count} {'exchange' if count == 1 else 'exchanges'}"


def _words(imported: CassetteImport, added: int) -> Iterator[str]:
    """The parts of the line about the import of a cassette."""
    yield f"{imported.kind}, {_exchanges(added)}"
    if downloads := imported.downloads:
        yield f"{downloads} downloaded {'picture' if downloads == 1 else 'pictures'}"
    if imported.left_out:
        hosts = (f"{count} of {host}" for host, count in imported.left_out.items())
        yield f"left out: {', '.join(hosts)}"
