"""A call as a line of the terminal shows it. This module makes the line from a call in an answer of
the admin API, `journal_line.py` from a call in the journal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from images_emulator.cli.terminal import Part, printable, render, width_of

INDENT: Final = " " * 9
"""The indentation of a call's further lines: the width of its time."""

DURATION_COLUMNS: Final = 8
"""Columns of a call's duration, with a blank before it. They have room for a day, the longest wait
of a fault."""

GAP: Final = "  "
"""The text before each part that says what went wrong."""

OUTCOMES_IN_WORDS: Final = {
    "gone": "the client left",
    "cut": "the connection was cut",
    "failed": "the stream failed",
    "waiting": "it is not over",
}
"""The words for calls without a whole answer, by their outcomes."""


class CallLine(NamedTuple):
    """One call, with credentials redacted."""

    time: datetime
    """The arrival of the call, in the time zone of the machine. In the log it is by the machine's
    clock, in `requests` by the emulator's. As text it is the time of day."""
    id: str
    is_download: bool
    method: str
    path: str
    status: int | None
    outcome: str
    duration_ms: float
    model: str | None
    size: str | None
    """The size of its pictures, such as `1024x1024`, or the size that the call asks for."""
    pictures: int
    bytes: int | None
    """The bytes of its pictures' files, or for a download those of its picture; None for pictures
    sent by URL."""
    events: int
    error: Mapping[str, Any] | None
    """The `error` object of the answer."""
    fault: str | None
    recording: str | None
    """The name of the recording that answered."""
    notice: str | None
    """The notice of the call: the server stopped before its end, no recording answered it, it was
    refused, or its model has been shut down."""
    namespace: str | None = None
    """The name of the call's namespace; None for the default one, and where all lines are of one
    namespace."""
    trace_id: str | None = None
    key: str | None = None
    sdk: str | None = None
    retries: int = 0
    prompt: str | None = None
    sent: Mapping[str, Any] = MappingProxyType({})
    """The parameters that were sent, other than model and prompt."""
    uploads: Sequence[str] = ()
    near_misses: Sequence[str] = ()
    violations: Sequence[str] = ()
    own_answer: str | None = None
    file: str | None = None
    """The file of the call's recording, if a proxy recorded it."""

    @property
    def is_good(self) -> bool:
        """Whether nothing about the call went wrong."""
        return self.outcome == "answered" and not (self.fault or self.notice)


def line_of_summary(summary: Mapping[str, Any]) -> CallLine:
    """The line of a call in an answer of the admin API."""
    pictures, parameters = summary["pictures"], summary["parameters"]
    size = parameters.get("size")
    if pictures:
        size = f"{pictures[0]['width']}x{pictures[0]['height']}"
    return CallLine(
        time=datetime.fromisoformat(summary["time"]).astimezone(),
        id=summary["id"],
        is_download=summary["kind"] == "download",
        method=summary["method"],
        path=summary["path"],
        status=summary["status"],
        outcome=summary["outcome"],
        duration_ms=summary["duration_ms"] or 0,
        model=summary["model"],
        size=size if isinstance(size, str) else None,
        pictures=len(pictures),
        bytes=total_bytes(each["bytes"] for each in pictures),
        events=summary["event_count"],
        error=summary["error"],
        fault=summary["fault"],
        recording=summary["recording"],
        own_answer=summary["own_answer"],
        notice=None,
        key=summary["key"],
        sdk=summary["sdk"],
        retries=summary["retries"],
        prompt=summary["prompt"],
        sent={name: parameters[name] for name in summary["sent"] if name in parameters},
        uploads=[
            upload_text(upload["field"], upload["name"], upload["bytes"], upload["pixels"])
            for upload in summary["uploads"]
        ],
        violations=summary["violations"],
    )


def total_bytes(sizes: Iterable[int | None]) -> int | None:
    """The sum of the known *sizes*; None where no size is known."""
    counts = [size for size in sizes if size is not None]
    return sum(counts) if counts else None


def upload_text(field: str, name: str, size: int | None, pixels: Sequence[int] | None) -> str:
    """An upload in one line, such as `image mug.png 1024x1024 48.2 kB`."""
    parts = [field, name]
    if pixels:
        parts.append("x".join(map(str, pixels)))
    if size is not None:
        parts.append(bytes_text(size))
    return " ".join(parts)


def bytes_text(size: int) -> str:
    """*size* with about three digits: `512 B`, `48.2 kB`, `1.24 MB`."""
    if size < 1000:
        return f"{size} B"
    if size < 999_950:
        return f"{size / 1000:.1f} kB"
    return f"{size / 1_000_000:.2f} MB"


def duration_text(milliseconds: float) -> str:
    """*milliseconds* as `12 ms`, `11.8 s` from ten seconds on, `3600 s` from a thousand on."""
    if milliseconds < 9999.5:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    return f"{seconds:.{0 if seconds >= 1000 else 1}f} s"


# --- as text


def as_text(line: CallLine, *, colours: bool, columns: int | None, verbose: bool) -> str:
    """The line of a call, followed by its further lines where *verbose*. Each ends with a line end.

    No line is longer than the *columns* of a terminal. Where the call does not fit into one line,
    what went wrong has a line of its own.
    """
    parts, reasons = _parts(line), _reasons(line)
    lines = [[*parts, *reasons]]
    if reasons and columns is not None and sum(width_of(part.text) for part in lines[0]) > columns:
        lines = [parts, [Part(INDENT[: -len(GAP)]), *reasons]]
    if verbose:
        lines += [
            [Part(f"{INDENT}{name:<10} ", "dim"), Part(text)] for name, text in _details(line)
        ]
    return "".join(f"{render(each, colours=colours, columns=columns)}\n" for each in lines)


def _style(line: CallLine) -> str:
    """The style of a call's status and error."""
    status = line.status
    if not status or status >= 500 or line.outcome in OUTCOMES_IN_WORDS:
        return "red"
    return "yellow" if status >= 400 else "green"


def _parts(line: CallLine) -> list[Part]:
    """The parts of a call's line before what went wrong."""
    time = line.time
    parts = [
        Part(f"{time.hour:02}:{time.minute:02}:{time.second:02}", "dim"),
        Part(" "),
        Part(str(line.status or "---"), _style(line)),
        Part(f"{duration_text(line.duration_ms):>{DURATION_COLUMNS}} ", "dim"),
    ]
    if line.namespace:
        parts.append(Part(f"[{line.namespace}] ", "dim"))
    parts.append(Part(f"{line.method} {_path(line)}"))
    if line.model:
        parts.append(Part(f" {printable(line.model)}", "cyan"))
    if line.size:
        parts.append(Part(f" {printable(line.size)}"))
    if line.pictures or line.bytes is not None:
        parts.append(Part(_pictures(line)))
    if line.recording:
        parts.append(Part(f"{GAP}recording {printable(line.recording)}", "dim"))
    if line.own_answer:
        parts.append(Part(f" from {printable(line.own_answer)}"))
    return parts


def _reasons(line: CallLine) -> list[Part]:
    """The parts of a call's line that say where it is recorded and what went wrong."""
    reasons = []
    if line.file:
        reasons.append(Part(f"{GAP}→ {printable(line.file)}", "dim"))
    if line.fault:
        reasons.append(Part(f"{GAP}fault {printable(line.fault)}", "magenta"))
    if line.outcome in OUTCOMES_IN_WORDS:
        reasons.append(Part(f"{GAP}{OUTCOMES_IN_WORDS[line.outcome]}", "red"))
    if line.error:
        message = printable(str(line.error.get("message")))
        reasons.append(Part(f"{GAP}{message}", _style(line)))
    if line.notice:
        reasons.append(Part(f"{GAP}{printable(line.notice)}", "yellow"))
    return reasons


def _path(line: CallLine) -> str:
    """The path. For a download, only its end, because the beginning is the same for all."""
    path = printable(line.path)
    return f"…/{path.rpartition('/')[2]}" if line.is_download else path


def _pictures(line: CallLine) -> str:
    """The pictures of a call with their bytes, and the events that brought them."""
    text = f" {line.pictures} pictures" if line.pictures > 1 else ""
    if line.bytes is not None:
        text += f" {bytes_text(line.bytes)}"
    elif not line.is_download:
        text += " by URL"
    if line.events:
        text += f" in {line.events} event{'s' if line.events > 1 else ''}"
    return text


def _details(line: CallLine) -> Iterator[tuple[str, str]]:
    """Further details of a call, each as a word and a text."""
    if line.prompt:
        yield "prompt", printable(line.prompt)
    if line.sent:
        sent = " ".join(f"{name}={value}" for name, value in line.sent.items())
        yield "sent", printable(sent)
    for name, texts in (
        ("upload", line.uploads),
        ("forgiven", line.violations),
        ("near miss", line.near_misses),
    ):
        for text in texts:
            yield name, printable(text)
    retry = f"retry {line.retries}" if line.retries else None
    client = ", ".join(filter(None, [line.sdk, line.key and f"key {line.key}", retry]))
    yield "client", printable(f"{client}, {line.id}" if client else line.id)


# --- as JSON

_ALWAYS: Final = (
    "id",
    "namespace",
    "trace_id",
    "method",
    "path",
    "status",
    "outcome",
    "duration_ms",
    "model",
    "size",
    "pictures",
    "bytes",
    "events",
    "error",
    "fault",
    "recording",
    "own_answer",
    "notice",
    "key",
    "sdk",
    "retries",
)
_VERBOSE: Final = ("prompt", "sent", "uploads", "near_misses", "violations")


def as_json(line: CallLine, *, verbose: bool) -> str:
    """The line as a JSON object, with a line end. Unknown values are null. The object is ASCII, so
    no character can move a cursor."""
    names = (*_ALWAYS, *_VERBOSE) if verbose else _ALWAYS
    values = {name: getattr(line, name) for name in names}
    head = {
        "time": line.time.astimezone().isoformat(timespec="milliseconds"),
        "level": "info" if line.is_good else "warning",
        "event": "download" if line.is_download else "call",
    }
    values["duration_ms"] = round(line.duration_ms, 3)
    if line.file:
        values["file"] = line.file
    return f"{json.dumps(head | values)}\n"
