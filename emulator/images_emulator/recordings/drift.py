"""Drift: sends the requests of recordings to a server, and compares its answers with the
recordings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

from images_emulator.contract.http_headers import HOP_BY_HOP, HeaderPairs
from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import AZURE_PREFIX, image_operation_at
from images_emulator.exchange.credentials import (
    is_secret,
    key_header_name,
    key_headers,
    redacted_text,
)
from images_emulator.immutable import Immutable
from images_emulator.recordings.answer_comparison import (
    AnswerDifference,
    answer_differences,
    error_text,
)
from images_emulator.recordings.document import plain_fields
from images_emulator.recordings.recording import (
    TRANSIENT_STATUSES,
    RecordedPart,
    RecordedResponse,
    Recording,
)
from images_emulator.recordings.upstream_address import (
    CONNECTION_HEADERS,
    UpstreamAddress,
    http_client_library,
)

if TYPE_CHECKING:
    import httpx2

COSTS_MONEY: Final = "it costs money"
"""The reason for skipping a recorded success."""

EMULATOR_HEADER_START: Final = "x-emulator-"
"""The beginning of the headers that only an emulator knows."""

OWN_SENTENCE_START: Final = b"This emulator "
"""The beginning of sentences that only an emulator says."""

MAX_ATTEMPTS: Final = 4
"""The most times that a request is sent while the answer is 429 (too many requests)."""

MAX_WAIT_SECONDS: Final = 30.0
"""The longest wait before a request is sent again."""

TIMEOUT_SECONDS: Final = 300.0
"""The default number of seconds to wait for the next byte of an answer."""

CONCURRENCY: Final = 4
"""The default number of requests that run at the same time."""

_NOT_SENT: Final = frozenset(
    {
        *HOP_BY_HOP,
        *CONNECTION_HEADERS,
        "content-length",
        "openai-organization",
        "openai-project",
    }
)
"""Headers of the recorded connection or account, in place of which the client has its own."""

_ACCOUNT_PATHS: Final = ("/v1/files", f"{AZURE_PREFIX}v1/files", f"{AZURE_PREFIX}files")
"""Paths of files. Another account has other files, and some calls would delete one."""


class DriftResult(Immutable):
    """The outcome of one recording. It was skipped, or it failed, or the key was refused, or its
    answer was compared."""

    recording: Recording
    skip_reason: str = ""
    failure: str = ""
    """Why there was no answer."""
    key_refusal: str = ""
    """The sentence with which the server refused the given key (401)."""
    differences: tuple[AnswerDifference, ...] = ()

    @property
    def is_same(self) -> bool:
        """Whether the answer is the same as the recorded one."""
        return not (self.skip_reason or self.failure or self.key_refusal or self.differences)


def drift(
    recordings: Iterable[Recording],
    upstream: UpstreamAddress,
    *,
    costs: bool = False,
    timeout: float = TIMEOUT_SECONDS,
    concurrency: int = CONCURRENCY,
) -> Iterator[DriftResult]:
    """Yield the outcome of each of *recordings* at *upstream*, in their order, as soon as it is
    known.

    With *costs*, calls that cost money are sent, too. *timeout* is the number of seconds to wait
    for the next byte of an answer. *concurrency* is the number of requests that run at the same
    time. Raises ValueError without an HTTP client.
    """
    library = http_client_library()
    today = datetime.now(UTC).date()
    limits = library.Limits(max_connections=concurrency)

    def outcome(recording: Recording) -> DriftResult:
        if reason := reason_to_skip(recording, today, costs=costs):
            return DriftResult(recording, skip_reason=reason)
        actual = answer_of(recording, upstream, client)
        if upstream.key and _is_key_refused(recording, actual):
            sentence = redacted_text(error_text(actual), upstream.key)
            return DriftResult(recording, key_refusal=sentence or "401")
        differences = answer_differences(recording, actual, only_shapes=True)
        return DriftResult(recording, differences=tuple(differences))

    def outcome_or_failure(recording: Recording) -> DriftResult:
        try:
            return outcome(recording)
        except (library.HTTPError, library.InvalidURL, OSError) as error:
            reason = redacted_text(str(error) or type(error).__name__, upstream.key)
            return DriftResult(recording, failure=f"no answer: {reason}")
        except ValueError as error:
            return DriftResult(recording, failure=str(error))

    with (
        library.Client(timeout=timeout, limits=limits) as client,
        ThreadPoolExecutor(concurrency) as pool,
    ):
        yield from pool.map(outcome_or_failure, recordings)


def needs_key(recordings: Iterable[Recording], *, costs: bool) -> bool:
    """Whether any of *recordings* is sent with the upstream's key; *costs* is as in `drift`."""
    today = datetime.now(UTC).date()
    return any(
        _takes_key(each) and not reason_to_skip(each, today, costs=costs) for each in recordings
    )


def _takes_key(recording: Recording) -> bool:
    """Whether *recording* is sent with the upstream's key, not with a wrong key or none."""
    return recording.authorised is not False and recording.refused_key is None


def _is_key_refused(recording: Recording, actual: RecordedResponse) -> bool:
    """Whether the answer *actual* refuses the upstream's key rather than the request."""
    was_refused = recording.response and recording.response.status == 401
    return actual.status == 401 and not was_refused and _takes_key(recording)


def reason_to_skip(recording: Recording, today: date, *, costs: bool) -> str:
    """The reason for not sending *recording* to another server on the day *today*; empty where it
    is sent."""
    request, response = recording.request, recording.response
    if response is None or response.end != "complete":
        return "the connection failed when it was recorded"
    if reason := _only_of_an_emulator(recording):
        return reason
    if recording.as_of:
        return "it is the answer of another day"
    path = request.target.partition("?")[0]
    if not path.startswith(("/v1/", AZURE_PREFIX)):
        return "its path is outside of /v1"
    if response.status in TRANSIENT_STATUSES:
        return f"status {response.status} is that of a moment"
    if response.status == 401 and recording.authorised is None and recording.refused_key is None:
        return "the key that was refused is not recorded"
    if model := _retired_model(recording, path, today):
        return f"{model} was shut down"
    if response.status < 300 and path.startswith(_ACCOUNT_PATHS):
        return "it is about files of the account"
    if request.method == "POST" and response.status < 300 and not costs:
        return COSTS_MONEY
    return ""


def _only_of_an_emulator(recording: Recording) -> str:
    """The reason why only an emulator can give the answer; empty where other servers can, too."""
    if recording.settings:
        return f"only an emulator has the setting {next(iter(recording.settings))}"
    if recording.broken:
        return "only an emulator can be broken"
    for name, _ in recording.request.headers:
        if name.lower().startswith(EMULATOR_HEADER_START):
            return f"only an emulator has the header {name}"
    if recording.response and OWN_SENTENCE_START in recording.response.body:
        return "it is a sentence of the emulator's own"
    return ""


def _retired_model(recording: Recording, path: str, today: date) -> str | None:
    """The model that the request asks for, where the API no longer has it."""
    operation = image_operation_at(path)
    name = (operation and operation.only_model) or _fields(recording).get("model")
    model = MODELS.get(name) if isinstance(name, str) else None
    return model.id if model and not model.exists_on(today) else None


def _fields(recording: Recording) -> Mapping[str, Any]:
    with suppress(ValueError):
        return plain_fields(recording.request)
    return {}


def answer_of(
    recording: Recording,
    upstream: UpstreamAddress,
    client: httpx2.Client,
    sleep: Callable[[float], None] = time.sleep,
) -> RecordedResponse:
    """The answer of *upstream* to the request of *recording*. A request that is answered 429 is
    sent again, after the seconds in `retry-after`, or else after 2, 4 and 8 seconds, unless that
    wait is longer than `MAX_WAIT_SECONDS`. Raises httpx2.HTTPError, and ValueError for a request
    that cannot be sent."""
    request = recording.request
    headers = _headers_to_send(recording, upstream.key)
    target = upstream.target(request.target.encode("latin-1")).decode("latin-1")
    for attempt in range(1, MAX_ATTEMPTS + 1):
        answer = client.request(
            request.method, upstream.origin + target, content=request.body, headers=headers
        )
        wait = _retry_seconds(answer.headers.get("retry-after", ""), attempt)
        if answer.status_code != 429 or wait is None or attempt == MAX_ATTEMPTS:
            break
        sleep(wait)
    return RecordedResponse(
        status=answer.status_code,
        headers=tuple(
            (name, value)
            for name, value in answer.headers.multi_items()
            if name != "content-encoding"  # the client has decoded the body
        ),
        parts=(RecordedPart(0.0, answer.content),),
    )


def _retry_seconds(retry_after: str, attempt: int) -> float | None:
    """The seconds to wait after *attempt* was answered 429; None where they are too many."""
    seconds = float(2**attempt)
    with suppress(ValueError):
        seconds = float(retry_after)
    return seconds if 0 <= seconds <= MAX_WAIT_SECONDS else None


def _headers_to_send(recording: Recording, key: str) -> list[tuple[str, str]]:
    request = recording.request
    headers: HeaderPairs = tuple(
        (name, value)
        for name, value in request.headers
        if name.lower() not in _NOT_SENT and not _is_credential(name)
    )
    sent = key if _takes_key(recording) else recording.refused_key
    if sent:
        name = key_header_name(request.target)
        headers += ((name, key_headers(sent)[name]),)
    return [*headers]


def _is_credential(name: str) -> bool:
    return name.lower() in ("cookie", "cookie2") or is_secret(name)
