"""`images-emulator exchange from-journal`: saves the calls of a running server as files."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from images_emulator.admin_client import AdminClient
from images_emulator.cli.command_line import ArgumentParser, CommandError
from images_emulator.cli.requests_command import MAX_LIMIT, add_filters, take_filters
from images_emulator.cli.server_address import add_address, server_address
from images_emulator.cli.terminal import printable
from images_emulator.client_errors import ServerError, UnreachableError

NOT_FOUND: Final = 404
"""The status of an answer that does not know the call `before`."""

NOT_FILTERS = ("kind",)
"""Filters that the command does not offer: only calls are exchanges, and they include their
downloads."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.description = """\
Save the server's calls and their answers, without keys, as files in a folder,
oldest first. The filters are those of 'requests'. A call that is in the folder
already is not added again."""
    parser.add_argument(
        "--to", metavar="DIR", type=Path, required=True, help="Folder that the files are added to"
    )
    add_filters(parser, excluded=NOT_FILTERS)
    add_address(parser)


def run(*, to: Path, **options: Any) -> int:
    from images_emulator.recordings.document import from_document  # noqa: PLC0415
    from images_emulator.recordings.folder import RecordingFolder, read_folder  # noqa: PLC0415
    from images_emulator.recordings.recorded_files import MemoryFiles  # noqa: PLC0415

    filters = take_filters(options, excluded=NOT_FILTERS)
    client = AdminClient(server_address(**options))
    folder, written, there, left_out = RecordingFolder(to), 0, 0, 0
    try:
        # The source of each recording names its call.
        present = {each.source for each in read_folder(to)} if to.is_dir() else set()
    except (OSError, ValueError) as error:
        raise CommandError(str(error)) from error
    for call_id in reversed([*_call_ids(client, {**filters, "kind": ["call"]})]):
        try:
            document = client.get(f"requests/{call_id}/exchange")
            recording = from_document(document, MemoryFiles())
            if recording.source in present:
                there += 1
            else:
                folder.add(recording)
                written += 1
        except UnreachableError:
            raise
        except (ServerError, ValueError) as error:
            print(printable(str(error)), file=sys.stderr)
            left_out += 1
        except OSError as error:
            raise CommandError(f"{to}: {error}") from error
    unchanged = f", {there} already there" if there else ""
    print(f"{written} {'exchange' if written == 1 else 'exchanges'} added to {to}{unchanged}")
    return 1 if left_out else 0


def _call_ids(client: AdminClient, filters: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The ids of the calls that match, newest first. They end where the journal has dropped the
    first call of a page before the next page is read: the calls before it are dropped, too."""
    query: dict[str, Any] = {**filters, "limit": MAX_LIMIT}
    while True:
        try:
            calls = client.get("requests", query)["requests"]
        except ServerError as error:
            if "before" in query and error.status == NOT_FOUND:
                return
            raise
        if not calls:
            return
        yield from (call["id"] for call in reversed(calls))
        query["before"] = calls[0]["id"]
