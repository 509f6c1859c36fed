"""The log of the recording proxy: a line for each call, with the file of its recording."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from images_emulator.cli.call_line import CallLine
from images_emulator.cli.call_log import STDERR, STDOUT, LineLog
from images_emulator.exchange.answer_json import json_value
from images_emulator.recordings.recording import RecordedRequest, RecordedResponse
from images_emulator.settings import LogSettings
from images_emulator.web.forwarding.record_proxy import RecordingResult

MAX_PARSED_BYTES: Final = 64 * 1024
"""The longest body of JSON that is parsed for the line of its call."""

_FORM_FIELD: Final = re.compile(rb'name="?(model|size)"?\r\n\r\n([^\r\n]{1,200})')
_PICTURE: Final = re.compile(rb'"(?:b64_json|url)"\s*:\s*"([^"]*)"')


class RecordingLog(LineLog[CallLine]):
    """Logs the result of each recording."""

    def __init__(self, settings: LogSettings, out: int = STDOUT, err: int = STDERR) -> None:
        super().__init__(settings, self._stop, out, err)
        self._is_read = self.shows_calls

    def _stop(self) -> None:
        self._is_read = False

    def log_result(self, result: RecordingResult) -> None:
        """Log *result*."""
        if self._is_read:
            self.put(line_of_recording(result))

    def text_of(self, item: CallLine) -> str:
        return self.formatter.text(item)


def line_of_recording(result: RecordingResult) -> CallLine:
    """The line of a recorded call, from its *result*."""
    recording = result.recording
    request, response = recording.request, recording.response
    fields = _fields(request)
    path = request.target.partition("?")[0]
    pictures = _pictures(response) if response and response.status == 200 else []
    lengths = [length for length in pictures if length is not None]
    parts = response.parts if response and _is_stream(response) else ()
    # The rest of a cut event has no empty line at its end.
    events = [part for part in parts if part.data.endswith((b"\n\n", b"\r\n\r\n"))]
    model, size = fields.get("model"), fields.get("size")
    return CallLine(
        time=(recording.recorded_at or datetime.now(UTC)).astimezone(),
        id=_header(response, "x-request-id") or _header(response, "apim-request-id"),
        is_download=False,
        method=request.method,
        path=path,
        status=result.status,
        outcome=_outcome(result),
        duration_ms=result.duration_ms,
        model=model if isinstance(model, str) else None,
        size=size if isinstance(size, str) else None,
        pictures=len(pictures),
        bytes=sum(lengths) if lengths else None,
        events=len(events),
        error=_error(result),
        fault=None,
        recording=None,
        notice=result.problem or (recording.note or None if result.file else "not recorded"),
        sdk=_sdk(request),
        file=_relative_path(result.file) if result.file else None,
    )


def _outcome(result: RecordingResult) -> str:
    response = result.recording.response
    if result.status is None or (response and response.end != "complete"):
        return "cut"
    if result.status >= 400:
        return "refused"
    is_failed = response and _is_stream(response) and _failed_event(response)
    return "failed" if is_failed else "answered"


def _relative_path(file: Path) -> str:
    """*file* relative to the working directory, if it is inside it."""
    try:
        return str(file.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return os.fspath(file)


def _header(message: RecordedRequest | RecordedResponse | None, name: str) -> str:
    headers = message.headers if message else ()
    return next((value for each, value in headers if each.lower() == name), "")


def _sdk(request: RecordedRequest) -> str | None:
    language = _header(request, "x-stainless-lang")
    if language:
        return f"openai-{language} {_header(request, 'x-stainless-package-version')}".strip()
    return _header(request, "user-agent").partition(" ")[0] or None


def _fields(request: RecordedRequest) -> Mapping[str, Any]:
    """The fields of the *request* that its line shows, as far as they are quick to find."""
    body = request.body
    if body.startswith(b"--"):
        pairs = _FORM_FIELD.findall(body)
        return {name.decode(): value.decode(errors="replace") for name, value in pairs}
    return _object(body)


def _object(body: bytes) -> Mapping[str, Any]:
    """The JSON object in *body*; empty for a long body, or for any other one."""
    value = json_value(body) if len(body) <= MAX_PARSED_BYTES else None
    return value if isinstance(value, dict) else {}


def _is_stream(response: RecordedResponse) -> bool:
    return _header(response, "content-type").startswith("text/event-stream")


def _failed_event(response: RecordedResponse) -> bytes:
    """The last event of a stream, if it is an error event."""
    last = response.parts[-1].data if response.parts else b""
    return last if last.startswith((b"event: error", b'data: {"error"')) else b""


def _pictures(response: RecordedResponse) -> list[int | None]:
    """The number of bytes of each picture in an answer; None for a picture by URL. In a stream,
    only whole pictures count."""
    bodies = [response.body]
    if _is_stream(response):
        bodies = [part.data for part in response.parts if b".completed" in part.data[:80]]
    return [
        None if body[start : start + 4] == b"http" else (end - start) * 3 // 4
        for body in bodies
        for start, end in (match.span(1) for match in _PICTURE.finditer(body))
    ]


def _error(result: RecordingResult) -> Mapping[str, Any] | None:
    """The error of the answer, or the error that stands in for it."""
    recording = result.recording
    response = recording.response
    if response is None:
        return {"message": recording.error} if recording.error else None
    error: object = None
    if response.status >= 400:
        error = _object(response.body).get("error")
    elif _is_stream(response):
        data = _failed_event(response).partition(b"data: ")[2]
        error = _object(data).get("error")
    return error if isinstance(error, dict) else None
