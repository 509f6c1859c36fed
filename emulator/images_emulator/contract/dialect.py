"""Dialects. Two providers, OpenAI and Azure, serve the same API. A dialect has the differences of
one provider on the wire: headers, error bodies, error messages and URLs.

Both have the same tables of models, validation and rendering. A dialect may adapt the rule for a
parameter; the paths of a provider are in `operations.py`. OpenAI's dialect is here, Azure's in
`azure.py`. A new response header on every answer of OpenAI is a row of
`OPENAI_HEADERS`; `_openai_headers` makes those whose value differs, such as `x-request-id`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple

from images_emulator.contract import errors
from images_emulator.contract.calendar import ALWAYS, Day, Period, StackDays
from images_emulator.contract.cors import ALLOW_ORIGIN, ALLOW_ORIGIN_DAYS
from images_emulator.contract.model import Model
from images_emulator.contract.operational_errors import ERRORS_BY_NAME
from images_emulator.contract.operations import Operation
from images_emulator.contract.refusal import ErrorAnswer, Refusal
from images_emulator.contract.request import ImageRequest
from images_emulator.contract.rules import Rule
from images_emulator.immutable import Immutable

Header = tuple[bytes, bytes]
"""The name in lower case, and the value."""


class AnswerFacts(NamedTuple):
    """The values that decide the headers of one answer. Only the headers of Azure need the last
    three."""

    request_id: str
    status: int
    """The HTTP status."""
    elapsed_ms: int
    """Milliseconds since the call arrived."""
    organization: bytes
    """The account's organization; empty for none."""
    project: bytes
    """The account's project."""
    day: Day = None
    """`Policy.day` of the call."""
    has_older_stack_headers: bool = False
    """`ServedExchange.has_older_stack_headers` of the call."""
    client_request_id: bytes | None = None
    """The value of `x-ms-client-request-id`, if the call has one."""
    passed_api_management: bool = False
    """Whether Azure API Management let the call pass."""
    deployment: str | None = None
    """The deployment that the call reached."""


class MessageFacts(NamedTuple):
    """The values of a call that only one provider's error messages name."""

    operation: Operation | None
    """The image operation; None at other paths."""
    deployment: str
    """The name of the deployment that the call reached; empty for none."""
    model: str
    """The name of the model behind the deployment."""
    api_version: str
    """The value of `api-version` in the query; empty for none."""


class HostedURLs(Immutable, kw_only=True):
    """The URLs of hosted pictures. *path* and the values of *query* are formats with these fields:
    `account` (two ids), `request_id`, `random` (24 letters and digits), `index` (from 0), `start`,
    `expiry`, `key_start`, `key_expiry` (UTC times in ISO 8601), `signer` (a UUID),
    `service_version`, `signature`."""

    life: timedelta
    """Time for which a URL works, from the creation of the image."""
    path: str
    """The path behind `/private/`, with which the paths of all hosted pictures begin."""
    query: Mapping[str, str]
    """The parameters of the query, in their order."""
    service_version: str
    """The version of the storage service that signs the URL."""
    earlier_versions: tuple[tuple[date, str], ...] = ()
    """The versions until some day; see `version_on`."""
    key_start: timedelta
    """The start of the signing key's life, counted from the creation of the image."""
    key_expiry: timedelta
    """The end of the signing key's life, counted from the creation of the image."""


class Dialect(Immutable, kw_only=True, eq=False):
    """The wire format of one provider, as far as the providers differ."""

    request_id: Callable[[str], str]
    """Makes a request id from 32 hexadecimal digits."""
    headers: Callable[[AnswerFacts], Sequence[Header]]
    """Makes the headers of an answer, beside those of its body."""
    error_body: Callable[[ErrorAnswer], bytes]
    """Makes the body of an answer with an error."""
    hosted_urls: HostedURLs
    """The URLs of images that are answered by URL."""
    error_overrides: Mapping[str, Refusal] = field(default_factory=dict)
    """The provider's own words for errors of `ERRORS_BY_NAME`, by the same names."""
    unknown_path: Refusal | None = None
    """The answer at an unknown path; None for an empty 404."""
    earlier_unknown_path: tuple[tuple[date, Refusal], ...] = ()
    """The answer there until some day; see `version_on`."""
    wrong_method: Refusal = errors.method_not_allowed
    """The error of a method that the path does not have."""
    adapt_rule: Callable[[str, Rule], Rule] = lambda name, rule: rule
    """Makes the provider's rule for a parameter, from its name and the rule of the model."""
    annotations: Callable[[ImageRequest], Mapping[str, Any]] = lambda request: {}
    """Makes the keys of each image of an answer that only this provider has."""
    message_values: Callable[[MessageFacts], Mapping[str, str]] = lambda facts: {}
    """Makes the values that only this provider's error messages name, by their field names in the
    messages."""

    def refusal(self, name: str, model: Model | None = None) -> Refusal:
        """The error of that *name*: the provider's own, or else the model's, or else the one of
        `ERRORS_BY_NAME`. Raises KeyError for an unknown name."""
        model_refusal = model.error_overrides.get(name) if model else None
        return self.error_overrides.get(name) or model_refusal or ERRORS_BY_NAME[name]


_EXPOSE_HEADERS: Final = b"access-control-expose-headers"
_CF_RAY_EXPOSED_SINCE: Final = date(2026, 5, 28)
"""Recorded on that day; on 2026-05-06 answers exposed the request id alone, on 2026-04-17 none."""

_NO_SNIFF_DAYS: Final = Period(since=date(2024, 7, 17))
"""The days on which answers have `x-content-type-options`: recorded since that day, and absent in
the recordings until 2024-06-03. No recording of a call for images is of the days between."""

OPENAI_HEADERS: Final[Sequence[tuple[Period, Header]]] = (
    (ALWAYS, (b"openai-version", b"2020-10-01")),
    (_NO_SNIFF_DAYS, (b"x-content-type-options", b"nosniff")),
    (Period(since=date(2026, 5, 6)), (_EXPOSE_HEADERS, b"X-Request-ID")),
    (Period(since=_CF_RAY_EXPOSED_SINCE), (_EXPOSE_HEADERS, b"CF-Ray")),
    # It was there twice, last in mid-July of 2026, and once on 2026-07-23.
    (Period(_CF_RAY_EXPOSED_SINCE, date(2026, 7, 23)), (_EXPOSE_HEADERS, b"CF-Ray")),
)
"""The constant headers of OpenAI's answers, each with its days. Not here are the headers of request
id, duration and account, and those whose days depend on the stack (`STACK_HEADER_DAYS`).

Azure's answers have their own headers (`azure.py`), downloads have the blob storage's, and played
recordings have the recorded ones. Answers that `on_miss=record` passes on have the upstream's. The
command `drift` tells where an answer lacks a header of `REQUIRED_HEADERS` in
`recordings/answer_comparison.py`. The following answers have no headers of the API:

- answers to preflights
- answers of `/_emulator` and `/metrics`
- answers that refuse a namespace, and redirects to its page
- answers of the HTTP server itself: 400 (invalid HTTP), 408, 431 (too large headers), 500 and 503;
  all but the 400 have `ALLOW_ORIGIN`
"""

_PROJECT: Final = b"openai-project"
_UPSTREAM_TIME: Final = b"x-envoy-upstream-service-time"

STACK_HEADER_DAYS: Final[Mapping[bytes, StackDays]] = {
    ALLOW_ORIGIN[0]: ALLOW_ORIGIN_DAYS,
    # First recorded on these days, and absent on 2025-07-13 and, at variations, on 2025-08-27.
    _PROJECT: StackDays(
        gateway=Period(since=date(2025, 7, 17)), older_stack=Period(since=date(2025, 8, 29))
    ),
    # Absent on 2025-07-30 and, at variations, on 2025-07-23; last recorded at the gateway on
    # 2026-01-25, at variations in their last recording, of 2026-02-23.
    _UPSTREAM_TIME: StackDays(
        gateway=Period(date(2025, 8, 1), date(2026, 2, 6)),
        older_stack=Period(since=date(2025, 7, 30)),
    ),
}
"""The days of the headers that OpenAI's two stacks did not have on the same days. `_openai_headers`
and `_constant_headers` make the headers."""


REQUEST_ID_PREFIX: Final = "req_"
"""The beginning of OpenAI's request ids."""

REQUEST_ID_PREFIX_DAYS: Final = Period(since=date(2024, 2, 22))
"""The days on which `x-request-id` has `REQUEST_ID_PREFIX`: recorded since that day, and absent in
the recordings until 2024-01-19. Before that it is the digits of the id alone."""


@lru_cache
def _constant_headers(
    day: Day, has_older_stack_headers: bool, organization: bytes, project: bytes
) -> tuple[Header, ...]:
    """The headers that all answers of one stack share on a *day*, with the account's where
    *organization* is not empty. Only the arguments decide them, so nothing has to empty the
    cache."""
    headers = [header for period, header in OPENAI_HEADERS if day in period]
    if day in ALLOW_ORIGIN_DAYS.period(has_older_stack_headers):
        headers.append(ALLOW_ORIGIN)
    if organization:
        headers.append((b"openai-organization", organization))
        if day in STACK_HEADER_DAYS[_PROJECT].period(has_older_stack_headers):
            headers.append((_PROJECT, project))
    return tuple(headers)


def _openai_headers(facts: AnswerFacts) -> Sequence[Header]:
    # A key that was refused (401) belongs to no account.
    account = (facts.organization, facts.project) if facts.status != 401 else (b"", b"")
    request_id = facts.request_id
    if facts.day not in REQUEST_ID_PREFIX_DAYS:
        request_id = request_id.removeprefix(REQUEST_ID_PREFIX)
    elapsed = b"%d" % facts.elapsed_ms
    # The proxy's duration was recorded as a few milliseconds more than the service's. Here both
    # are the same.
    proxied = facts.day in STACK_HEADER_DAYS[_UPSTREAM_TIME].period(facts.has_older_stack_headers)
    return (
        (b"x-request-id", request_id.encode()),
        (b"openai-processing-ms", elapsed),
        *(((_UPSTREAM_TIME, elapsed),) if proxied else ()),
        *_constant_headers(facts.day, facts.has_older_stack_headers, *account),
    )


def _openai_error_body(error: ErrorAnswer) -> bytes:
    body = json.dumps(error.body(), indent=2, ensure_ascii=False)
    return f"{body}{error.envelope.end}".encode()


_DAY: Final = timedelta(days=1)

# The URLs of hosted pictures are as recorded in 2026, except the service version of older days.
OPENAI: Final = Dialect(
    request_id=lambda digits: f"{REQUEST_ID_PREFIX}{digits}",
    headers=_openai_headers,
    error_body=_openai_error_body,
    hosted_urls=HostedURLs(
        life=timedelta(hours=1),
        path="{account}/img-{random}.png",
        # The tenant is the same in every recorded URL.
        query={
            "st": "{start}",
            "se": "{expiry}",
            "sp": "r",
            "sv": "{service_version}",
            "sr": "b",
            "rscd": "inline",
            "rsct": "image/png",
            "skoid": "{signer}",
            "sktid": "a48cca56-e6da-484e-a814-9c849652bcb3",
            "skt": "{key_start}",
            "ske": "{key_expiry}",
            "sks": "b",
            "skv": "{service_version}",
            "sig": "{signature}",
        },
        service_version="2026-02-06",
        # Each version ends on the first day on which a published URL has the next version. The last
        # published URLs with these versions are of 2024-03-08, 2024-08-14 and 2026-02-02.
        earlier_versions=(
            (date(2024, 5, 31), "2021-08-06"),
            (date(2024, 8, 24), "2023-11-03"),
            (date(2026, 2, 6), "2024-08-04"),
        ),
        key_start=-_DAY / 2,
        key_expiry=_DAY / 2,
    ),
    # The answer of that day was empty; the message was seen from 2023 to 2024. The day between is
    # not known.
    earlier_unknown_path=((date(2026, 8, 29), errors.unknown_url),),
)
