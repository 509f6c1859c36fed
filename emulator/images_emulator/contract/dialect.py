"""What a service that serves the Images API says and does in its own way, and OpenAI's own way.

Routes, validation and drawing are the same for all; whatever differs on the wire is a field here.
`emulator/images_emulator/contract/azure.py` is the other dialect.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from images_emulator.contract import errors
from images_emulator.contract.calendar import ALWAYS, AsOf, Period
from images_emulator.contract.cors import ALLOW_ORIGIN, SENT_TO_ALL
from images_emulator.contract.errors import APIError, Refusal
from images_emulator.contract.service_errors import ERRORS_BY_NAME

if TYPE_CHECKING:
    from images_emulator.contract.operations import Operation
    from images_emulator.contract.request import ImageRequest, Model
    from images_emulator.contract.rules import Rule

Header = tuple[bytes, bytes]


class Answer(NamedTuple):
    """What the standard headers of one answer tell. *day* is the one that the call is judged by;
    *deployment* and *admitted*, whether the call came past the gateway, are Azure's."""

    request_id: str
    status: int
    elapsed_ms: int
    organization: bytes
    project: bytes
    day: AsOf = None
    client_request_id: bytes | None = None
    admitted: bool = False
    deployment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedURLs:
    """The URLs of hosted pictures. *path* and *query*, in its order, have these braces: `account`
    (two ids), `request_id`, `random` (24 letters and digits), `index` (from 0); `start`, `expiry`,
    `key_start` and `key_expiry` (of the key that signs, counted from the picture's creation),
    `signer` (a UUID) and `signature`."""

    life: timedelta
    path: str
    query: Mapping[str, str]
    key_start: timedelta
    key_expiry: timedelta


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Dialect:
    """One service's way to say what all of them have to say."""

    request_id: Callable[[str], str]
    """A call's id, from 32 hexadecimal digits."""
    headers: Callable[[Answer], Sequence[Header]]
    error_body: Callable[[APIError], bytes]
    hosted: HostedURLs
    own_errors: Mapping[str, Refusal] = field(default_factory=dict)
    """Its own words for some errors, by the names that faults give them."""
    unknown_path: Refusal | None = None
    """None: an empty 404."""
    wrong_method: Refusal = errors.method_not_allowed
    rule: Callable[[str, Rule], Rule] = lambda name, rule: rule
    """What it makes of a model's rule for the parameter of that name."""
    annotations: Callable[[ImageRequest], Mapping[str, Any]] = lambda request: {}
    """What it adds to each picture of an answer."""
    facts: Callable[[Operation | None, str, str, str], Mapping[str, str]] = lambda *call: {}
    """What its sentences name of a call beside what OpenAI's do, from its operation, deployment,
    model and API version."""

    def refusal(self, name: str) -> Refusal:
        """The error of that *name*. Raises KeyError where there is none."""
        return self.own_errors.get(name) or ERRORS_BY_NAME[name]

    def rate_limit(self, model: Model) -> Refusal:
        """What it says past a rate limit of *model*."""
        return self.own_errors.get("rate_limit_exceeded") or model.limited


_EXPOSED: Final = b"access-control-expose-headers"
_EXPOSED_SINCE: Final = Period(since=date(2026, 6, 1))
"""Recorded from 2026-06 on, absent in 2025-09."""

_STANDARD: Final[Sequence[tuple[Period, Header]]] = (
    (ALWAYS, (b"openai-version", b"2020-10-01")),
    (ALWAYS, (b"x-content-type-options", b"nosniff")),
    (_EXPOSED_SINCE, (_EXPOSED, b"X-Request-ID")),
    (_EXPOSED_SINCE, (_EXPOSED, b"CF-Ray")),
    (SENT_TO_ALL, ALLOW_ORIGIN),
)
"""On every answer of these days, beside its id and what it took."""

_PROJECT_SINCE: Final = Period(since=date(2025, 8, 1))
"""When `openai-project` came to the account's headers, as recorded."""


@lru_cache
def _constant_headers(day: AsOf, organization: bytes, project: bytes) -> tuple[Header, ...]:
    """What all answers of a *day* have, with the account's headers where it is known."""
    headers = [header for period, header in _STANDARD if day in period]
    if organization:
        headers.append((b"openai-organization", organization))
        if day in _PROJECT_SINCE:
            headers.append((b"openai-project", project))
    return tuple(headers)


def _headers(answer: Answer) -> Sequence[Header]:
    # A refused key has no account.
    account = (answer.organization, answer.project) if answer.status != 401 else (b"", b"")
    return (
        (b"x-request-id", answer.request_id.encode()),
        (b"openai-processing-ms", b"%d" % answer.elapsed_ms),
        *_constant_headers(answer.day, *account),
    )


def _error_body(error: APIError) -> bytes:
    body = json.dumps(error.body(), indent=2, ensure_ascii=False)
    return f"{body}{error.envelope.end}".encode()


_DAY: Final = timedelta(days=1)
_SERVICE_VERSION: Final = "2026-02-06"

OPENAI: Final = Dialect(
    request_id=lambda digits: f"req_{digits}",
    headers=_headers,
    error_body=_error_body,
    hosted=HostedURLs(
        life=timedelta(hours=1),
        path="{account}/img-{random}.png",
        # The tenant and the service versions are the same in every recorded URL of 2026.
        query={
            "st": "{start}",
            "se": "{expiry}",
            "sp": "r",
            "sv": _SERVICE_VERSION,
            "sr": "b",
            "rscd": "inline",
            "rsct": "image/png",
            "skoid": "{signer}",
            "sktid": "a48cca56-e6da-484e-a814-9c849652bcb3",
            "skt": "{key_start}",
            "ske": "{key_expiry}",
            "sks": "b",
            "skv": _SERVICE_VERSION,
            "sig": "{signature}",
        },
        key_start=-_DAY / 2,
        key_expiry=_DAY / 2,
    ),
)
