"""Interactions: the exchanges of a cassette, which become recordings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from itertools import pairwise
from typing import Any, Final
from urllib.parse import quote, urlsplit

from images_emulator.contract.events import EVENT_END
from images_emulator.contract.http_headers import HeaderPairs
from images_emulator.immutable import Immutable
from images_emulator.recordings.document import EVENT_STREAM, header
from images_emulator.recordings.recording import (
    RecordedPart,
    RecordedRequest,
    RecordedResponse,
    Recording,
)

_WITHOUT_BODY: Final = frozenset({None, 204, 304})
"""Statuses whose answers have no body."""

FILES_LOST: Final = "the files of the request are not in the cassette: its tool kept them as text"
"""The sentence about a form whose files have lost bytes."""

_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}".encode()
"""The character in a text that replaces bytes that were no UTF-8."""

_SAFE_IN_TARGET: Final = "%/:@!$&'()*+,;=?~-._[]<>{}|"
"""Characters that stay as they are in a request's target: those of RFC 3986, and those around
placeholders."""


class Interaction(Immutable):
    """One exchange of a cassette."""

    number: int
    """The number of the interaction in the cassette, from 1."""
    url: str
    """The absolute URL of the request."""
    recording: Recording


class Cassette(Immutable):
    """The content of a cassette file."""

    kind: str
    """The tool that wrote the cassette, or its format, by the name that its users know."""
    interactions: tuple[Interaction, ...]
    problems: tuple[str, ...] = ()
    """Sentences about interactions that cannot become recordings."""


def cassette(
    kind: str, items: Sequence[Any], make: Callable[[int, Mapping[str, Any]], Interaction]
) -> Cassette:
    """The cassette of *items*. *make* makes an interaction of each item, or raises ValueError with
    a sentence about the mistake in it."""
    interactions, problems = [], []
    for number, item in enumerate(items, 1):
        try:
            interactions.append(make(number, mapping(item, "it")))
        except (ValueError, RecursionError) as error:
            problems.append(f"interaction {number}: {error}")
    return Cassette(kind, tuple(interactions), tuple(problems))


def interaction(
    number: int,
    *,
    method: str,
    url: str,
    request_headers: HeaderPairs,
    request_body: bytes,
    status: int | None,
    headers: HeaderPairs = (),
    body: bytes = b"",
    error: str = "",
    seconds: float = 0.0,
    recorded_at: datetime | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Interaction:
    """The interaction with these values. Without a *status* there was no answer, and *error* says
    why. *seconds* is the time until the answer, as far as the cassette has it.

    Raises ValueError where the cassette has lost a body.
    """
    lost = _lost_body_sentence(request_headers, request_body)
    if method != "HEAD" and status not in _WITHOUT_BODY:
        lost = lost or _lost_answer_sentence(headers, body)
    if lost:
        raise ValueError(lost)
    response = None
    if status is not None:
        headers, body = _consistent(headers, body)
        is_compressed = bool(header(headers, "content-encoding"))
        content_type = "" if is_compressed else header(headers, "content-type")
        parts = parts_of(body, content_type, seconds)
        response = RecordedResponse(status=status, headers=headers, parts=parts)
    recording = Recording(
        request=RecordedRequest(
            method=method, target=_target(url), headers=request_headers, body=request_body
        ),
        response=response,
        error="" if response else error or "the cassette has no answer",
        recorded_at=recorded_at or _date(header(headers, "date")),
        extra=extra or {},
    )
    return Interaction(number, url, recording)


def parts_of(body: bytes, content_type: str, seconds: float = 0.0) -> tuple[RecordedPart, ...]:
    """The parts of a *body* that is known as a whole: the events of a stream, or the body itself.
    Each part came after *seconds*."""
    if content_type.partition(";")[0].strip().lower() != EVENT_STREAM:
        return (RecordedPart(seconds, body),) if body else ()
    ends = [0, *(match.end() for match in EVENT_END.finditer(body)), len(body)]
    pieces = (body[start:end] for start, end in pairwise(ends))
    return tuple(RecordedPart(seconds, piece) for piece in pieces if piece)


def _target(url: str) -> str:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return quote(target, safe=_SAFE_IN_TARGET)


def _date(text: str) -> datetime | None:
    """The time in a header `date`."""
    try:
        return aware(parsedate_to_datetime(text))
    except (ValueError, OverflowError):
        return None


def time_of(value: Any) -> datetime | None:
    """The time in *value*, in the form of HTTP or of ISO 8601; None for any other value."""
    if not isinstance(value, str):
        return None
    try:
        return aware(datetime.fromisoformat(value.strip()))
    except ValueError:
        return _date(value)


def aware(time: datetime) -> datetime:
    """*time* with a time zone: UTC where it has none."""
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def extra_reason(status: int | None, reason: Any) -> dict[str, Any]:
    """The reason phrase of an answer, as `Recording.extra`; empty for the usual phrase of the
    status."""
    usual = {each.value: each.phrase for each in HTTPStatus}
    if not isinstance(reason, str) or not reason or reason == usual.get(status or 0):
        return {}
    return {"reason": reason}


def _lost_body_sentence(headers: HeaderPairs, body: bytes) -> str:
    """The sentence about bytes of a request that the cassette lacks; empty where it has all."""
    declared = content_length(headers)
    if declared and not body:
        return f"the body of the request, of {declared} bytes, is not in the cassette"
    if not header(headers, "content-type").lower().startswith("multipart/"):
        return ""
    if declared != len(body) and _was_binary(body):
        return FILES_LOST
    if body and not body.rstrip().endswith(b"--"):
        return "the form of the request is not whole in the cassette"
    return ""


def _lost_answer_sentence(headers: HeaderPairs, body: bytes) -> str:
    """The sentence about bytes of an answer that the cassette lacks; empty where it has all."""
    if (declared := content_length(headers)) and not body:
        return f"the body of the answer, of {declared} bytes, is not in the cassette"
    if header(headers, "content-type").startswith("image/") and _was_binary(body):
        return "the picture is not in the cassette: its tool kept it as text"
    return ""


def content_length(headers: HeaderPairs) -> int:
    """The length in *headers*; 0 where they have none."""
    length = header(headers, "content-length").strip()
    return int(length) if length.isdecimal() and length.isascii() and len(length) < 20 else 0


def _was_binary(body: bytes) -> bool:
    """Whether *body* is the text of binary data, some bytes of which were replaced."""
    if _REPLACEMENT not in body:
        return False
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _consistent(headers: HeaderPairs, body: bytes) -> tuple[HeaderPairs, bytes]:
    """The *headers* and the *body*, without a content coding that the *body* does not have. Many
    tools keep the decoded body with the headers of the compressed one."""
    coding = header(headers, "content-encoding").strip().lower()
    if not coding or not body or _is_encoded(coding, body):
        return headers, body
    pairs = [
        (name, str(len(body)) if name.lower() == "content-length" else value)
        for name, value in headers
        if name.lower() != "content-encoding"
    ]
    return tuple(pairs), body


def _is_encoded(coding: str, body: bytes) -> bool:
    """Whether *body* is encoded as *coding*, as far as its bytes show."""
    match coding:
        case "gzip" | "x-gzip":
            return body.startswith(b"\x1f\x8b")
        case "zstd":
            return body.startswith(b"\x28\xb5\x2f\xfd")
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


# Checks that readers apply to the values of a parsed file.


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """Return *value*, which is a mapping. Raises ValueError for another type, as the functions
    below do; *what* names the value in the sentence."""
    if isinstance(value, Mapping):
        return value
    raise ValueError(f"{what} must be a mapping, not {_type_name(value)}")


def sequence(value: Any, what: str) -> Sequence[Any]:
    """Return *value*, which is a list."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return value
    raise ValueError(f"{what} must be a list, not {_type_name(value)}")


def text(value: Any, what: str) -> str:
    """Return *value*, which is text and not empty. YAML may have it as bytes."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "surrogateescape")
    if isinstance(value, str) and value:
        return value
    raise ValueError(f"{what} must be text, not {_type_name(value)}")


def status_code(value: Any, what: str) -> int:
    """The status in *value*, a number or its text, from 100 to 999."""
    try:
        number = int(value) if not isinstance(value, bool) else 0
    except (TypeError, ValueError, OverflowError):
        number = 0
    if 100 <= number <= 999:
        return number
    raise ValueError(f"{what} must be a status of HTTP, not {_type_name(value)}")


def http_method(value: Any) -> str:
    """The HTTP method in *value*, in capitals. ruby writes it as a symbol."""
    method = text(value, "the method").removeprefix(":")
    if not (method.isascii() and method.isalpha()):
        raise ValueError(f"the method must be one of HTTP, not {_type_name(value)}")
    return method.upper()


def absolute_url(value: Any, what: str) -> str:
    """Return *value*, which is a URL with scheme and host."""
    url = text(value, what)
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ValueError(f"{what} is no URL: {error}") from error
    if not parts.scheme or not parts.netloc:
        raise ValueError(f"{what} must be an absolute URL, not '{url[:80]}'")
    return url


def header_pairs(pairs: Iterable[tuple[Any, Any]], what: str) -> HeaderPairs:
    """The headers in *pairs*, whose values may be lists, numbers or bytes. HTTP/2's own headers,
    such as `:authority`, are left out."""
    headers = []
    for name, values in pairs:
        for value in values if isinstance(values, list | tuple) else [values]:
            key = text(name, f"a name in {what}")
            if not key.startswith(":"):
                headers.append((_latin1(key), _latin1(_header_text(value, what))))
    return tuple(headers)


def _header_text(value: Any, what: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, str | int | float):
        return str(value)
    raise ValueError(f"a value in {what} must be text, not {_type_name(value)}")


def _latin1(value: str) -> str:
    """*value* in the form of decoded headers. A text that is no Latin-1 becomes the bytes of its
    UTF-8, decoded as Latin-1. A line break, as in a folded value, becomes a blank."""
    unfolded = re.sub(r"\s*[\r\n]+\s*", " ", value)
    try:
        unfolded.encode("latin-1")
    except UnicodeEncodeError:
        return unfolded.encode("utf-8", "surrogateescape").decode("latin-1")
    return unfolded


def _type_name(value: Any) -> str:
    if value is None or value == "":
        return "missing"
    match value:
        case Mapping():
            return "a mapping"
        case list():
            return "a list"
        case bytes():
            return "binary"
    return f"{value!r:.80}"
