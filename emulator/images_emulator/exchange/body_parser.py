"""Parses the body of an API call, by its media type, into a `ParsedCall`."""

from __future__ import annotations

from typing import Final

from images_emulator.contract.operations import FORM, Operation
from images_emulator.contract.request import ParsedCall
from images_emulator.exchange.form_parser import DEFAULT_SETTINGS, read_form_with_names
from images_emulator.exchange.json_body import MAX_WHOLE_BYTES, parse_json
from images_emulator.settings import Settings

MAX_BYTES_ON_LOOP: Final = MAX_WHOLE_BYTES
"""A body up to this length is parsed on the event loop; that takes at most 5 ms."""


def parse_body(
    content_type: str,
    body: tuple[bytes, ...],
    operation: Operation,
    settings: Settings = DEFAULT_SETTINGS,
) -> ParsedCall:
    """The call to *operation* with these chunks as *body*. Raises APIError where the operation does
    not read the media type, and where the body cannot be parsed. Raises APIError also for a form
    past a limit of the *settings*."""
    if operation.accepted_media_type(content_type, None) == FORM:
        fields, part_names = read_form_with_names(content_type, body, settings)
        return ParsedCall(operation, is_form=True, fields=fields, part_names=part_names)
    return ParsedCall(operation, is_form=False, fields=parse_json(b"".join(body)))
