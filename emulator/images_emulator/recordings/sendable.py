"""The sendable part of a recorded answer: the statuses and headers that HTTP can carry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from images_emulator.contract.http_headers import HOP_BY_HOP, STATUSES, HeaderPairs, check_header
from images_emulator.recordings.document_check import Mistake, Place


def check_status(status: int) -> None:
    """Raise ValueError for a *status* that no answer of a server has."""
    if status not in STATUSES:
        raise ValueError(f"no server answers with the status {status}")


def sendable_headers(headers: HeaderPairs) -> Iterator[tuple[str, str]]:
    """Yield *headers* without those of the connection, with names in lower case. Raises ValueError
    for a header that cannot be sent."""
    for name, value in headers:
        if not _is_of_connection(name):
            check_header(name, value)
            yield name.lower(), value


def _is_of_connection(name: str) -> bool:
    # HTTP/2 has the status among the headers, under a name that begins with a colon.
    return name.startswith(":") or name.lower() in HOP_BY_HOP


def mistakes_in_answers(document: Mapping[str, Any]) -> Iterator[Mistake]:
    """The statuses and headers in the *document* of a recording that no server can send. The
    *document* is of the right form. A recording with such a mistake answers no call."""
    for side in ("response", "expected"):
        if side in document:
            yield from _mistakes(document[side], (side,))
    for index, download in enumerate(document.get("downloads", ())):
        yield from _mistakes(download, ("downloads", index))


def _mistakes(answer: Mapping[str, Any], place: Place) -> Iterator[Mistake]:
    try:
        check_status(answer["status"])
    except ValueError as error:
        yield Mistake((*place, "status"), str(error))
    headers = answer.get("headers", {})
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    for index, (name, value) in enumerate(pairs):
        if _is_of_connection(name):
            continue
        try:
            check_header(name, value)
        except ValueError as error:
            key = name if isinstance(headers, Mapping) else index
            yield Mistake((*place, "headers", key), str(error))
