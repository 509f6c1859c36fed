"""What the admin API tells of a call; the fields are those of its JSON."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from images_emulator.exchange.details import UploadDetails
from images_emulator.exchange.exchange import Exchange, Kind
from images_emulator.exchange.near_miss import NearMiss
from images_emulator.web.recorder import ADMIN_PREFIX

MAX_ARGUMENT_BYTES: Final = 100_000
"""Bytes of a body that a command line takes; Linux has 128 KB for one argument."""


@dataclass(frozen=True, slots=True)
class CallSummary:
    """One call, or one download of a hosted picture, which has that picture's model and prompt. Of
    a refused call, model, prompt and parameters are as they were sent."""

    id: str
    kind: Kind
    time: datetime
    method: str
    path: str
    key: str | None
    sdk: str | None
    retries: int
    model: str | None
    prompt: str | None
    parameters: Mapping[str, Any]
    uploads: Sequence[UploadDetails]
    status: int | None
    error: Mapping[str, Any] | None
    duration_ms: float | None
    events: int
    pictures: Sequence[str]
    fault: str | None
    violations: Sequence[str]


@dataclass(frozen=True, slots=True)
class CallDetail(CallSummary):
    """The same with all that is kept of it; *body* is null where it is no text."""

    query: str
    headers: Mapping[str, str]
    body: str | None
    body_url: str | None
    files: Sequence[str]
    answer: str | None
    near_misses: Sequence[NearMiss]


@dataclass(frozen=True, slots=True)
class Calls:
    """Some of the calls that were asked for, newest last, and how many there are of them."""

    requests: Sequence[CallSummary]
    total: int


@dataclass(frozen=True, slots=True)
class AnsweredImage:
    """A picture that was answered, drawn again by its link."""

    url: str
    request: str
    model: str
    prompt: str
    size: str
    output_format: str


@dataclass(frozen=True, slots=True)
class Gallery:
    """The pictures of some of the calls, newest last, and how many there are of all."""

    images: Sequence[AnsweredImage]
    total: int


def pictures(entry: Exchange) -> Iterator[AnsweredImage]:
    request = entry.drawn
    for index in entry.images if request else ():
        assert request
        yield AnsweredImage(
            f"{ADMIN_PREFIX}/images/{entry.id}/{index}",
            entry.id,
            request.model.id,
            request.prompt,
            "{}x{}".format(*request.size),
            request.output_format,
        )


def _summary_fields(entry: Exchange) -> dict[str, Any]:
    details = entry.details
    return {
        "id": entry.id,
        "kind": entry.kind,
        "time": entry.time,
        "method": entry.method,
        "path": entry.path,
        "key": entry.key,
        "sdk": entry.sdk,
        "retries": entry.retries,
        "model": details.model,
        "prompt": details.prompt,
        "parameters": details.parameters,
        "uploads": details.uploads,
        "status": entry.status,
        "error": entry.error,
        "duration_ms": entry.duration_ms and round(entry.duration_ms, 3),
        "events": entry.events,
        "pictures": [each.url for each in pictures(entry)],
        "fault": entry.fault,
        "violations": details.violations,
    }


def summary(entry: Exchange) -> CallSummary:
    return CallSummary(**_summary_fields(entry))


def detail(entry: Exchange) -> CallDetail:
    body = entry.body
    return CallDetail(
        **_summary_fields(entry),
        query=entry.query,
        headers=entry.headers,
        body=_text(body),
        body_url=f"{ADMIN_PREFIX}/requests/{entry.id}/body" if body is not None else None,
        files=[f"{ADMIN_PREFIX}/requests/{entry.id}/files/{n}" for n in range(entry.file_count)],
        answer=_text(entry.answer or None),
        near_misses=entry.near_misses,
    )


def _text(data: bytes | None) -> str | None:
    try:
        return data.decode() if data is not None else None
    except UnicodeDecodeError:
        return None


def curl(entry: Exchange, base: str, *, token: bool) -> str:
    """A command for a shell that makes the call again; *token* says that `/_emulator` wants one.

    A body that is no short text comes from the journal.
    """
    query = f"?{entry.query}" if entry.query else ""
    method = ["--head"] if entry.method == "HEAD" else ["-X", entry.method]
    words = ["curl", "-g", *method, f"{base}{quote(entry.path)}{query}"]
    # Without a value the header is left out; curl would say that this is a form.
    headers = {"content-type": ""} | dict(entry.headers)
    for name, value in headers.items():
        if name in ("content-type", "accept") or name.startswith("x-emulator-"):
            words += ["-H", f"{name}: {value}".rstrip()]
    line = shlex.join(words)
    for name, scheme in (("api-key", ""), ("authorization", "Bearer ")):
        if name in headers:
            line += f' -H "{name}: {scheme}${{OPENAI_API_KEY:-sk-test}}"'
    if not entry.body:
        return f"{line}\n"
    text = _text(entry.body)
    if text is not None and len(entry.body) <= MAX_ARGUMENT_BYTES and "\0" not in text:
        return f"{line} --data-raw {shlex.quote(text)}\n"
    proof = ' -H "authorization: Bearer $IMAGES_EMULATOR_ADMIN_TOKEN"' if token else ""
    source = shlex.quote(f"{base}{ADMIN_PREFIX}/requests/{entry.id}/body")
    return f"curl -s{proof} {source} | {line} --data-binary @-\n"
