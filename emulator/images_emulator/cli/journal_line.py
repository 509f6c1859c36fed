"""The lines of calls in the journal, and their text for the terminal."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from images_emulator import imaging
from images_emulator.cli.call_line import (
    CallLine,
    as_json,
    as_text,
    total_bytes,
    upload_text,
)
from images_emulator.cli.terminal import columns_of
from images_emulator.contract.emulator_errors import no_recording
from images_emulator.contract.request import ImageRequest
from images_emulator.exchange.call_details import CallDetails
from images_emulator.exchange.credentials import redacted_text
from images_emulator.exchange.exchange import Exchange
from images_emulator.exchange.sent_images import SentImage


class CallFormatter:
    """Makes the text of calls for the *level* of the log. *terminal* is the file descriptor of the
    terminal that shows the text; None where there is none."""

    def __init__(self, *, level: int, is_json: bool, colours: bool, terminal: int | None) -> None:
        self._level = level
        self._is_json = is_json
        self._is_verbose = level <= logging.DEBUG
        self._is_brief = not (is_json or self._is_verbose)
        self._colours = colours
        self._terminal = terminal

    def line(self, exchange: Exchange, ended: float) -> CallLine:
        """The line of a call that has *ended*, in seconds since the epoch."""
        begun = ended - (exchange.duration_ms or 0) / 1000
        return line_of_exchange(exchange, datetime.fromtimestamp(begun), brief=self._is_brief)

    def text(self, line: CallLine) -> str:
        """The lines of a call; empty for a call below the level."""
        if self._level > logging.INFO and line.is_good:
            return ""
        if self._is_json:
            return as_json(line, verbose=self._is_verbose)
        columns = None if self._terminal is None else columns_of(self._terminal)
        return as_text(line, colours=self._colours, columns=columns, verbose=self._is_verbose)


def line_of_exchange(exchange: Exchange, time: datetime, *, brief: bool = False) -> CallLine:
    """The line of a call of the journal that came at *time*. A *brief* line has only what its text
    shows; a full line takes five times as long."""
    request = exchange.request if brief else None
    details = None if request else exchange.details
    pictures, error = exchange.pictures, exchange.error
    is_plain = brief and exchange.image_operation is not None and error is None
    key = "" if is_plain else exchange.head.api_key
    model = request.model.id if request else details and details.model
    line = CallLine(
        time=time,
        id=exchange.id,
        is_download=exchange.is_download,
        method=exchange.method,
        path=exchange.path if is_plain else redacted_text(exchange.path, key),
        status=exchange.status,
        outcome=exchange.outcome,
        duration_ms=exchange.duration_ms or 0,
        model=redacted_text(model, key) if model else None,
        size=_size(exchange, pictures, request, details),
        pictures=len(pictures),
        bytes=_bytes(exchange, pictures),
        events=exchange.event_count,
        error=error and _redact(error, key),
        fault=exchange.fault,
        recording=exchange.recording,
        own_answer=exchange.own_answer,
        notice=_notice(exchange),
        namespace=exchange.namespace,
    )
    if brief or details is None:
        return line
    return line._replace(
        trace_id=exchange.trace_id,
        key=exchange.key,
        sdk=exchange.sdk,
        retries=exchange.retries,
        prompt=redacted_text(details.prompt, key) if details.prompt else None,
        sent=_redact(
            {
                name: details.parameters[name]
                for name in details.sent_names
                if name in details.parameters
            },
            key,
        ),
        uploads=[
            redacted_text(upload_text(upload.field, upload.name, upload.bytes, upload.pixels), key)
            for upload in details.uploads
        ],
        near_misses=[
            redacted_text(f"{miss.name}: {miss.reason}", key) for miss in exchange.near_misses
        ],
        violations=details.violations,
    )


def _size(
    exchange: Exchange,
    pictures: Sequence[SentImage],
    request: ImageRequest | None,
    details: CallDetails | None,
) -> str | None:
    """The size of a call's pictures, or the size that the call asks for. For a download, the size
    of the picture behind its URL."""
    if (picture_request := exchange.request) and exchange.hosted_index is not None:
        facts = imaging.fitting.verbatim_facts(picture_request, exchange.hosted_index)
        return "{}x{}".format(*((facts and facts.size) or picture_request.size))
    if pictures:
        return f"{pictures[0].width}x{pictures[0].height}"
    if request:
        return "{}x{}".format(*request.size)
    size = details.parameters.get("size") if details else None
    return size if isinstance(size, str) else None


def _bytes(exchange: Exchange, pictures: Sequence[SentImage]) -> int | None:
    """The bytes of a call's pictures, as far as they are known. For a download, the bytes that were
    sent, if the whole picture was."""
    if not exchange.is_download:
        return total_bytes(picture.bytes for picture in pictures)
    if exchange.method == "HEAD" or exchange.outcome != "answered":
        return None
    length = dict(exchange.answer.sent.headers).get(b"content-length", b"")
    return int(length) if length.isdigit() else None


def _notice(exchange: Exchange) -> str | None:
    if exchange.answer.is_stopped:
        return "the server stopped"
    # The error that refuses a call without a recording says the same.
    if exchange.recording_miss and exchange.error_code != no_recording.code:
        return redacted_text(exchange.recording_miss, exchange.head.api_key)
    is_refused = exchange.image_operation and exchange.outcome == "refused"
    if is_refused and not exchange.recording_miss and (notices := exchange.notices):
        return redacted_text(notices[0], exchange.head.api_key)
    request = None if exchange.is_download else exchange.request
    if request and request.model.is_shut_down_by(request.day):
        return f"shut down on {request.model.shutdown}"
    return None


def _redact(value: Any, key: str) -> Any:
    """A *value* of JSON, in which *key* and everything that looks like an API key is redacted."""
    if isinstance(value, str):
        return redacted_text(value, key)
    if isinstance(value, Mapping):
        return {redacted_text(str(name), key): _redact(each, key) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_redact(each, key) for each in value]
    return value
