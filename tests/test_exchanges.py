"""Recorded exchanges of the real API, and others in their form, replayed against a real server.

An exchange is a file of `fixtures/exchanges`, of the format that docs/reference/exchange-files.md
describes. The variables REMOTE_BASE_URL and REMOTE_API_KEY name another server that the requests
are sent to, in place of the emulator; `images-emulator drift` compares its answers in the same way.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import fields
from datetime import UTC, date, datetime
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any

import httpx2
import pytest

from images_emulator import Server, Settings
from images_emulator.contract import azure, emulator_errors, errors, operational_errors
from images_emulator.contract.calendar import LAST_KNOWN_DAY
from images_emulator.contract.dialect import OPENAI_HEADERS
from images_emulator.contract.models import MODELS
from images_emulator.contract.refusal import Refusal
from images_emulator.contract.sizes import FlexibleSize
from images_emulator.recordings.answer_comparison import answer_differences
from images_emulator.recordings.drift import drift
from images_emulator.recordings.folder import read_folder
from images_emulator.recordings.recording import (
    Expectation,
    RecordedPart,
    RecordedResponse,
    Recording,
)
from images_emulator.recordings.upstream_address import UpstreamAddress

FOLDER = Path(__file__).parent.parent / "fixtures" / "exchanges"
RECORDINGS = read_folder(FOLDER)
UNDATED = [recording for recording in RECORDINGS if recording.as_of is None]
KEY = "sk-replay"

REMOTE_URL = os.environ.get("REMOTE_BASE_URL", "")

LATER_DAY = date(2999, 1, 1)
"""A day after all that the contract has dates of."""

Servers = Callable[[Recording, date], httpx2.Client]
"""The client of a server for an exchange, by the clock of a day."""


@pytest.fixture(scope="module")
def served() -> Iterator[Servers]:
    """Servers that take one key only, by the settings that an exchange asks for; a broken one has
    nobody left to draw. Their clocks stand still, so that no sentence changes overnight."""
    with ExitStack() as stack:

        @cache
        def client(
            settings: frozenset[tuple[str, Any]], broken: bool, today: date
        ) -> httpx2.Client:
            server = stack.enter_context(Server(Settings(port=0, api_key=(KEY,), **dict(settings))))
            if broken:
                server.emulator.renderer.pool.executor.shutdown()
            server.clock.freeze(datetime(today.year, today.month, today.day, 12, tzinfo=UTC))
            return stack.enter_context(httpx2.Client(base_url=server.url, timeout=60))

        yield lambda recording, today: client(
            frozenset(recording.settings.items()), recording.broken, today
        )


def answer_to(recording: Recording, client: httpx2.Client) -> httpx2.Response:
    """The answer that *client* gets to the request of *recording*."""
    request = recording.request
    headers = [*request.headers]
    if recording.as_of:
        headers.append(("x-emulator-as-of", recording.as_of))
    key = KEY if recording.authorised else recording.refused_key
    if key is not None:
        headers.append(("Authorization", f"Bearer {key}"))
    return client.request(request.method, request.target, content=request.body, headers=headers)


def expected_of(recording: Recording) -> tuple[RecordedResponse, Expectation]:
    assert recording.response
    assert recording.expectation
    return recording.response, recording.expectation


def is_answered_so_elsewhere(recording: Recording) -> None:
    """Send the request to the server of REMOTE_BASE_URL. What costs money is sent only where
    REMOTE_COSTS is 1."""
    costs = os.environ.get("REMOTE_COSTS") == "1"
    upstream = UpstreamAddress(REMOTE_URL, os.environ["REMOTE_API_KEY"])
    (outcome,) = drift([recording], upstream, costs=costs)
    if outcome.skip_reason:
        pytest.skip(outcome.skip_reason)
    assert not outcome.failure
    assert not outcome.key_refusal
    assert not [str(each) for each in outcome.differences]


@pytest.mark.parametrize("recording", RECORDINGS, ids=attrgetter("name"))
def test_exchange_is_answered_as_recorded(recording: Recording, served: Servers) -> None:
    assert recording.source
    if REMOTE_URL:
        is_answered_so_elsewhere(recording)
        return
    is_answered_as_recorded(recording, served(recording, LAST_KNOWN_DAY))


@pytest.mark.skipif(bool(REMOTE_URL), reason="another server has a clock of its own")
@pytest.mark.parametrize("recording", UNDATED, ids=attrgetter("name"))
def test_exchange_without_a_date_is_answered_so_on_later_days(
    recording: Recording, served: Servers
) -> None:
    """One that fails has a sentence, or a key, of days that end: it needs the `as_of` of the last
    of these, beside another exchange that shows what comes after."""
    is_answered_as_recorded(recording, served(recording, LATER_DAY))


def is_answered_as_recorded(recording: Recording, client: httpx2.Client) -> None:
    response, expectation = expected_of(recording)
    answer = answer_to(recording, client)
    actual = RecordedResponse(
        status=answer.status_code,
        headers=tuple(answer.headers.multi_items()),
        parts=(RecordedPart(0.0, answer.content),),
    )
    assert not [str(each) for each in answer_differences(recording, actual)]
    assert dict(response.headers).items() <= answer.headers.items()
    if not expectation.open_body:
        assert answer.content == response.body
        return
    if expectation.newline is not None:
        assert answer.text.endswith("\n") == expectation.newline
    error = answer.status_code >= 400
    compact = error and recording.request.target.startswith("/openai/")
    assert answer.text.startswith('{"error":{"' if compact else '{\n  "')


def test_there_are_hundreds_of_exchanges() -> None:
    assert len(RECORDINGS) >= 250


@cache
def refusals_said() -> list[str]:
    """The messages of all errors, in bodies and in streams."""
    messages = []
    for recording in RECORDINGS:
        text = expected_of(recording)[0].body
        body = json.loads(text.partition(b"data: ")[2] or text or b"{}")
        if "error" in body:
            messages.append(body["error"]["message"])
    return messages


@pytest.mark.parametrize("name", sorted({name.decode() for _, (name, _) in OPENAI_HEADERS}))
def test_every_header_of_all_answers_is_in_an_exchange(name: str) -> None:
    answers = map(expected_of, UNDATED)
    seen = ({*dict(each.headers), *expected.headers_present} for each, expected in answers)
    assert any(name in names for names in seen), f"fixtures/exchanges needs an answer with {name}"


SENTENCES = {
    f"{name}-{until}" if until else name: version.message
    for module in (errors, emulator_errors, operational_errors, azure)
    for name, value in vars(module).items()
    if isinstance(value, Refusal)
    for until, version in [*value.earlier, (None, value)]
}

SIZES = {
    version
    for model in MODELS.values()
    for rules in model.rules.values()
    for rule in [rules.get("size")]
    if rule
    for version in [rule, *(each for _, each in rule.earlier)]
    if isinstance(version, FlexibleSize)
}
LIMITS = {
    "size_edge_too_short": "min_edge",
    "size_too_elongated": "max_ratio",
    "size_too_few_pixels": "min_pixels",
}
"""The sentences of limits that a size need not have, with the fields of these."""
UNLIMITED = {each.name: each.default for each in fields(FlexibleSize)}

OF_NO_MODEL = {
    name
    for name, limit in LIMITS.items()
    if all(getattr(size, limit) == UNLIMITED[limit] for size in SIZES)
}
"""Those of limits that no model of the table has."""

OF_ANSWERS = {"unusable_own_picture", "failed_answer"}
"""Those that only a call with an answer of one's own can meet: see `test_own_answers` and
`test_answer_steps`."""

OF_UPSTREAMS = {
    "upstream_failed",
    "upstream_key_for_foreign_host",
    "upstream_key_for_foreign_page",
}
"""Those of calls that are forwarded: see `test_record_proxy`."""

OF_REPLAY = {"no_recording"}
"""Those of calls that recordings alone may answer: see `test_replay`."""

OF_STORES = {"store_unavailable"}
"""Those of calls that need a store which is away: see `test_redis_outages`."""

OF_NAMESPACES = {"too_many_namespaces", "unavailable_namespace"}
"""Those of calls whose namespace cannot begin: see `test_namespaces`."""

OF_CONNECTIONS = {"late_request", "too_many_connections"}
"""Those of connections, whatever is called: see `test_limits`."""

OF_OTHER_TESTS = (
    OF_NO_MODEL | OF_ANSWERS | OF_UPSTREAMS | OF_REPLAY | OF_STORES | OF_NAMESPACES | OF_CONNECTIONS
)


@pytest.mark.parametrize("name", SENTENCES)
def test_every_refusal_is_reached_by_an_exchange(name: str) -> None:
    literal = re.split(r"\{[\w.]+(?:[:!][^}]*)?\}", SENTENCES[name])
    sentence = re.compile(".*".join(re.escape(part) for part in literal), re.DOTALL)
    is_reached = any(sentence.fullmatch(message) for message in refusals_said())
    is_expected = name not in OF_OTHER_TESTS
    assert is_reached == is_expected, f"fixtures/exchanges needs an answer: {SENTENCES[name]}"
