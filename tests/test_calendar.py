"""Answers as of a date: each date of the timeline, on the day before and on the day."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import chain
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import Response

from images_emulator import Emulator, Server, Settings, create_app
from images_emulator.contract import azure, errors, operational_errors
from images_emulator.contract.calendar import GATEWAY_SINCE, LAST_KNOWN_DAY, Period
from images_emulator.contract.conflicts import Above, Conflict
from images_emulator.contract.dialect import (
    OPENAI,
    OPENAI_HEADERS,
    REQUEST_ID_PREFIX_DAYS,
    STACK_HEADER_DAYS,
)
from images_emulator.contract.model import Model
from images_emulator.contract.models import MODEL_PARAMETER_RULE, MODEL_PARAMETER_RULES, MODELS
from images_emulator.contract.operations import (
    DELETE_FILE,
    GENERATIONS,
    OPERATIONS,
    RETRIEVE_FILE,
    Mount,
    Provider,
)
from images_emulator.contract.policy import Policy
from images_emulator.contract.refusal import Refusal
from images_emulator.contract.rules import Integer, Text
from images_emulator.contract.tables_of_day import tables_on
from images_emulator.contract.wire import EARLIER_EVENT_KEYS, KEY_PERIODS
from images_emulator.setting_values import API_SINCE
from images_emulator.web import route_table
from tests.answers import verdict
from tests.pictures import half_clear, png

T = TypeVar("T")

DAY = timedelta(days=1)
PATHS = {name: f"/v1/images/{name}" for name in ("generations", "edits", "variations")}
FILE = ("a.png", png(), "image/png")
MASK = ("m.png", half_clear(), "image/png")


def ask(
    http: httpx2.Client,
    day: date | str,
    endpoint: str = "generations",
    *,
    form: bool = False,
    **fields: Any,
) -> httpx2.Response:
    headers = {"x-emulator-as-of": str(day)}
    if not form:
        return http.post(PATHS[endpoint], json={"prompt": "x"} | fields, headers=headers)
    files = {name: value for name, value in fields.items() if isinstance(value, tuple)}
    data = {name: value for name, value in fields.items() if name not in files}
    return http.post(PATHS[endpoint], data=data, files=files, headers=headers)


GONE = "invalid_value model"


def unexpected(name: str) -> str:
    """The older stack's sentence for a parameter that it did not know."""
    return f"Additional properties are not allowed ('{name}' was unexpected)"


def blank(model: str) -> str:
    """Its sentence for a model that it did not know."""
    return f"Invalid model {model}. The model argument should be left blank."


@pytest.mark.parametrize("model", MODELS.values(), ids=str)
def test_model_exists_from_its_release_until_its_shutdown(http: httpx2.Client, model: Any) -> None:
    answers = {
        day: ask(http, day, model=model.id) for day in (model.released - DAY, model.released)
    }
    if model.released > date(2023, 11, 6):
        before = blank(model.id) if model.released <= GATEWAY_SINCE else GONE
        assert [verdict(answer) for answer in answers.values()] == [before, "ok"]
    if model.shutdown:
        assert verdict(ask(http, model.shutdown - DAY, model=model.id)) == "ok"
        refused = ask(http, model.shutdown, model=model.id)
        assert verdict(refused) == GONE
        assert refused.json()["error"]["message"] == f"The model '{model}' does not exist."


# The day, the parameters, and the verdicts before it and on it.
TIMELINE: list[tuple[str, dict[str, Any], str, str]] = [
    ("2023-11-06", {"model": "dall-e-2"}, unexpected("model"), "ok"),
    ("2023-11-06", {"quality": "standard"}, unexpected("quality"), "ok"),
    ("2025-04-16", {"model": "dall-e-2", "quality": "standard"}, "ok", "unknown_parameter quality"),
    ("2025-04-16", {"moderation": "low"}, unexpected("moderation"), "unknown_parameter moderation"),
    (
        "2025-04-23",
        {"quality": "low"},
        "unknown_parameter quality",
        "ok",
    ),
    ("2025-04-23", {"moderation": "low"}, "unknown_parameter moderation", "ok"),
    ("2025-07-16", {"model": "gpt-image-1", "stream": True}, "unknown_parameter stream", "ok"),
    (
        "2025-07-16",
        {"model": "gpt-image-1", "partial_images": 1},
        "unknown_parameter partial_images",
        "ok",
    ),
    ("2026-05-12", {}, "ok", "missing_required_parameter model"),
    (
        "2026-08-20",
        {"model": "gpt-image-2", "background": "transparent"},
        "invalid_value background",
        "ok",
    ),
    (
        "2026-10-16",
        {"model": "gpt-image-2", "safety_identifier": "s"},
        "unknown_parameter safety_identifier",
        "ok",
    ),
    (
        "2026-11-04",
        {"model": "gpt-image-2", "complexity": "low"},
        "unknown_parameter complexity",
        "ok",
    ),
]


@pytest.mark.parametrize(("day", "fields", "before", "after"), TIMELINE)
def test_as_of_changes_what_generations_accept(
    http: httpx2.Client, day: str, fields: dict[str, Any], before: str, after: str
) -> None:
    then = date.fromisoformat(day)
    assert verdict(ask(http, then - DAY, **fields)) == before
    assert verdict(ask(http, then, **fields)) == after


SVG_EDIT = {"model": "gpt-image-2.6-flare", "output_format": "svg"}
BIG = ("a.png", png() + b"\0" * 25 * 2**20, "image/png")
EDIT = {"prompt": "x", "image": FILE}
EDIT_TIMELINE: list[tuple[str, dict[str, Any], str, str]] = [
    ("2026-11-12", SVG_EDIT, "invalid_value output_format", "ok"),
    ("2026-11-12", SVG_EDIT | {"svg[model]": "x"}, "unknown_parameter svg", "ok"),
    ("2022-12-20", {"image": MASK}, "'mask' is a required property", "ok"),
    (
        "2025-05-02",
        {"model": "gpt-image-1", "background": "opaque"},
        "unknown_parameter background",
        "ok",
    ),
    ("2025-06-02", {"model": "gpt-image-1", "image": BIG}, "file_above_max_size image", "ok"),
    (
        "2025-06-16",
        {"model": "gpt-image-1", "output_format": "png"},
        "unknown_parameter output_format",
        "ok",
    ),
    (
        "2025-06-16",
        {"model": "gpt-image-1", "output_compression": "100"},
        "unknown_parameter output_compression",
        "ok",
    ),
    (
        "2025-07-16",
        {"model": "gpt-image-1", "input_fidelity": "high"},
        "unknown_parameter input_fidelity",
        "ok",
    ),
    (
        "2026-02-09",
        {"model": "gpt-image-1", "moderation": "low"},
        "unknown_parameter moderation",
        "ok",
    ),
    (
        "2026-10-31",
        {"model": "gpt-image-2.5-flare", "markup": MASK},
        "unknown_parameter markup",
        "ok",
    ),
]


@pytest.mark.parametrize(("day", "fields", "before", "after"), EDIT_TIMELINE)
def test_as_of_changes_what_edits_accept(
    http: httpx2.Client, day: str, fields: dict[str, Any], before: str, after: str
) -> None:
    then = date.fromisoformat(day)
    assert verdict(ask(http, then - DAY, "edits", form=True, **(EDIT | fields))) == before
    assert verdict(ask(http, then, "edits", form=True, **(EDIT | fields))) == after


KNOWN_DAYS = {
    *("2022-12-20", "2023-03-01", "2023-04-01", "2023-11-06", "2024-02-22", "2024-05-31"),
    *("2024-07-17", "2024-08-22", "2024-08-24", "2024-11-01", "2025-04-16", "2025-05-02"),
    *("2025-06-02", "2025-06-03", "2025-06-05", "2025-06-16", "2025-07-16", "2025-07-17"),
    *("2025-07-25", "2025-07-30", "2025-08-01", "2025-08-23", "2025-08-29", "2025-10-06"),
    *("2025-12-16", "2026-01-01", "2026-02-01", "2026-02-06", "2026-02-09", "2026-02-10"),
    *("2026-04-17", "2026-04-27", "2026-05-06", "2026-05-12", "2026-05-28", "2026-07-01"),
    *("2026-07-23", "2026-08-14", "2026-08-20", "2026-08-29", "2026-09-02", "2026-09-16"),
    *("2026-10-08", "2026-10-16", "2026-10-31", "2026-11-04", "2026-11-12"),
}
"""The days up to `LAST_KNOWN_DAY` on which rules, messages, keys or headers changed."""


def days_of_changes() -> Iterator[date | None]:
    """The days that the tables name, but for those of whole models, which docs/reference has."""
    for rule in MODEL_PARAMETER_RULES.values():
        yield from (until for until, _ in rule.earlier)
    periods = [
        MODEL_PARAMETER_RULE.period,
        *KEY_PERIODS.values(),
        *(period for period, _ in OPENAI_HEADERS),
    ]
    periods.append(REQUEST_ID_PREFIX_DAYS)
    yield from (until for until, _ in (*EARLIER_EVENT_KEYS, *OPENAI.hosted_urls.earlier_versions))
    yield from (until for until, _ in OPENAI.earlier_unknown_path)
    for days in STACK_HEADER_DAYS.values():
        periods += [days.gateway, days.older_stack]
    for operation in OPERATIONS.values():
        periods.append(operation.period)
        for body in operation.bodies.values():
            periods += [body.period, *(period for period, _ in body.default_models)]
    for model in MODELS.values():
        if model.token_rates:
            yield from (until for until, _ in model.token_rates.earlier)
        periods += [model.output_details_period, *(each.period for each in model.conflicts)]
        periods += filter(None, [model.null_identifier_period])
        for rule in chain.from_iterable(rules.values() for rules in model.rules.values()):
            periods.append(rule.period)
            yield from (until for until, _ in rule.earlier)
    for module in (azure, errors, operational_errors):
        for refusal in vars(module).values():
            if isinstance(refusal, Refusal):
                yield from (until for until, _ in refusal.earlier)
    yield from chain.from_iterable((period.since, period.until) for period in periods)


def test_rules_messages_keys_and_headers_change_on_the_known_days() -> None:
    days = {day for day in days_of_changes() if day and day <= LAST_KNOWN_DAY}
    assert {*map(str, days)} == KNOWN_DAYS, f"KNOWN_DAYS of {__file__} needs the day of a change"


@pytest.mark.parametrize(
    ("day", "endpoint", "scheme"),
    [
        ("2023-07-27", "generations", "Basic"),
        ("2025-04-15", "generations", None),
        ("2025-04-16", "generations", "Bearer"),
        ("2025-09-17", "generations", "Bearer"),
        ("2025-09-17", "variations", None),
    ],
)
def test_a_refused_key_comes_with_the_header_of_its_stack(
    server: Server, day: str, endpoint: str, scheme: str | None
) -> None:
    headers = {"x-emulator-as-of": day}
    answer = httpx2.post(server.url + PATHS[endpoint], json={"prompt": "x"}, headers=headers)
    assert answer.status_code == 401
    expected = scheme and f'{scheme} realm="OpenAI API"'
    assert answer.headers.get("www-authenticate") == expected


def test_json_edits_begin_on_their_day(http: httpx2.Client) -> None:
    fields: dict[str, Any] = {
        "model": "gpt-image-1",
        "images": [{"image_url": "https://example.invalid/a.png"}],
    }
    before = ask(http, "2026-02-08", "edits", **fields)
    assert verdict(before) == "unsupported_content_type None"
    assert verdict(ask(http, "2026-02-09", "edits", **fields)) == "ok"


def test_retired_variations_are_an_empty_404_even_without_a_key(server: Server) -> None:
    def answered(day: str) -> httpx2.Response:
        return httpx2.post(
            server.url + PATHS["variations"],
            files={"image": FILE},
            headers={"x-emulator-as-of": day},
        )

    assert answered("2026-05-11").status_code == 401
    assert verdict(answered("2026-05-12")) == "Invalid URL (POST /v1/images/variations)"
    gone = answered("2026-08-29")
    assert (gone.status_code, gone.content) == (404, b"")
    assert gone.headers["x-content-type-options"] == "nosniff"


def test_default_model_of_form_edits_depends_on_as_of(http: httpx2.Client) -> None:
    def described(day: str) -> bool:
        answer = ask(http, day, "edits", form=True, prompt="x", image=MASK)
        assert verdict(answer) == "ok"
        return "usage" in answer.json()

    assert not described("2026-02-09")
    assert described("2026-02-10")
    refused = ask(http, "2026-05-12", "edits", form=True, **EDIT)
    assert verdict(refused) == "missing_required_parameter model"


async def answer_ok(request: Request, policy: Policy) -> Response:
    return Response()


def test_form_edits_without_a_model_went_to_the_model_that_had_their_parameters(
    http: httpx2.Client,
) -> None:
    answer = ask(http, "2026-02-09", "edits", form=True, prompt="x", image=MASK, quality="high")
    assert verdict(answer) == "ok"
    assert answer.json()["quality"] == "high"


def test_a_method_of_a_path_is_there_on_its_days_and_the_path_on_those_of_any(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = replace(DELETE_FILE, period=Period(until=date(2025, 1, 1)))
    begun = replace(RETRIEVE_FILE, period=Period(since=date(2024, 1, 1)))
    mount = Mount("/v1", Provider.OPENAI, [ended, begun])
    monkeypatch.setattr(route_table, "MOUNTS", [mount])
    monkeypatch.setattr(
        route_table, "_handlers", lambda emulator: dict.fromkeys((ended, begun), answer_ok)
    )

    async def statuses(day: str) -> tuple[int, ...]:
        transport = httpx2.ASGITransport(create_app())
        headers = {"authorization": "Bearer x", "x-emulator-as-of": day}
        async with httpx2.AsyncClient(
            base_url="http://emulator", transport=transport, headers=headers
        ) as http:
            path = "/v1/files/file-1"
            return tuple(
                [(await http.request(each, path)).status_code for each in ("DELETE", "GET", "PUT")]
            )

    assert asyncio.run(statuses("2023-12-31")) == (200, 405, 405)
    assert asyncio.run(statuses("2024-12-31")) == (200, 200, 405)
    assert asyncio.run(statuses("2025-01-01")) == (405, 200, 405)
    ended_path = [replace(ended, period=Period(until=date(2024, 1, 1)))]
    monkeypatch.setattr(route_table, "MOUNTS", [mount._replace(operations=ended_path)])
    monkeypatch.setattr(
        route_table, "_handlers", lambda emulator: dict.fromkeys(ended_path, answer_ok)
    )
    assert asyncio.run(statuses("2025-01-01")) == (404, 404, 404)


def test_response_keys_appear_on_their_day(http: httpx2.Client) -> None:
    def keys(day: str, model: str = "gpt-image-1", **fields: Any) -> set[str]:
        body = ask(http, day, model=model, **fields).json()
        return {*body, *body["data"][0], *body["usage"]}

    described = {"background", "output_format", "quality", "size"}
    assert not described & keys("2025-06-02")
    assert described <= keys("2025-06-03")
    assert "generation_id" not in keys("2026-09-15")
    assert "generation_id" in keys("2026-09-16")
    assert "safety_identifier" not in keys("2026-10-15", user="u")
    assert "safety_identifier" in keys("2026-10-16", user="u")
    assert "safety_identifier" not in keys("2026-10-16")
    # It is null there.
    assert "safety_identifier" not in keys("2026-10-07", "gpt-image-1-mini")
    assert "safety_identifier" in keys("2026-10-08", "gpt-image-1-mini")


@pytest.mark.parametrize(
    ("model", "day", "detailed"),
    [
        *(("gpt-image-1", "2026-04-26", False), ("gpt-image-1", "2026-04-27", True)),
        *(("gpt-image-1-mini", "2026-04-26", False), ("gpt-image-1-mini", "2026-04-27", True)),
        *(("gpt-image-1.5", "2025-12-16", True), ("gpt-image-2", "2026-04-21", True)),
    ],
)
def test_output_tokens_are_detailed_from_a_day_of_the_model_on(
    http: httpx2.Client, model: str, day: str, *, detailed: bool
) -> None:
    usage = ask(http, day, model=model).json()["usage"]
    assert ("output_tokens_details" in usage) == detailed


def test_mini_counts_an_input_image_by_patches_from_october_2026_on(http: httpx2.Client) -> None:
    def counted(day: str) -> tuple[int, int]:
        fields: dict[str, Any] = {"model": "gpt-image-1-mini", "prompt": "Add a blue border"}
        answer = ask(http, day, "edits", form=True, image=FILE, **fields)
        details = answer.json()["usage"]["input_tokens_details"]
        return details["image_tokens"], details["text_tokens"]

    assert counted("2026-10-07") == (194, 26)
    assert counted("2026-10-08") == counted("any") == (4, 10)


def test_unknown_model_error_has_the_message_of_the_day(http: httpx2.Client) -> None:
    fields: dict[str, Any] = {"model": "no-such-model", "response_format": "url"}
    assert verdict(ask(http, "2024-01-01", **fields)) == blank("no-such-model")
    assert verdict(ask(http, "2026-09-01", **fields)) == "unknown_parameter response_format"


def test_a_day_before_the_api_began_is_refused(http: httpx2.Client, emulator: Emulator) -> None:
    assert min(model.released for model in MODELS.values()) == API_SINCE
    assert ask(http, "2022-11-03").status_code == 200
    sentence = "expected a date from 2022-11-03 on, the API's first day, not '2022-11-02'"
    refused = ask(http, "2022-11-02")
    assert refused.json()["error"]["message"] == f"Invalid header 'x-emulator-as-of': {sentence}."
    with pytest.raises(ValueError, match=f"^as_of: {sentence}$"):
        emulator.configure(as_of="2022-11-02")


def test_list_models_has_the_models_of_the_day(http: httpx2.Client) -> None:
    def listed(day: str) -> set[str]:
        answer = http.get("/v1/models", headers={"x-emulator-as-of": day})
        return {model["id"] for model in answer.json()["data"]}

    # As recorded on that day.
    assert listed("2026-08-29") == {
        *("chatgpt-image-latest", "gpt-image-1", "gpt-image-1-mini", "gpt-image-1.5"),
        *("gpt-image-2", "gpt-image-2-2026-04-21"),
    }
    assert listed("2024-01-01") == {"dall-e-2", "dall-e-3"}
    headers = {"x-emulator-as-of": "2026-11-21"}
    assert http.get("/v1/models/dall-e-3", headers=headers).status_code == 404


def test_as_of_today_follows_the_emulators_clock(http: httpx2.Client, emulator: Emulator) -> None:
    fields: dict[str, Any] = {"model": "gpt-image-2"}
    emulator.clock.freeze(datetime(2026, 11, 26, tzinfo=UTC))
    assert verdict(ask(http, "today", **fields)) == "ok"
    emulator.clock.advance(hours=-24 * 365)
    assert verdict(ask(http, "today", **fields)) == GONE


def test_as_of_header_overrides_the_setting_for_one_call() -> None:
    settings = Settings(port=0, as_of="2024-01-01")
    with (
        Server(settings) as server,
        httpx2.Client(base_url=server.url, headers={"Authorization": "Bearer x"}) as http,
    ):
        body: dict[str, Any] = {"prompt": "x", "model": "gpt-image-2"}
        assert verdict(http.post(PATHS["generations"], json=body)) == blank("gpt-image-2")
        assert verdict(ask(http, "any", **body)) == "ok"


@pytest.mark.parametrize("day", ["yesterday", "2026-13-01", "", "20260101", "2026-W01-1"])
def test_as_of_header_that_is_no_date_is_refused(http: httpx2.Client, day: str) -> None:
    answer = ask(http, day)
    assert verdict(answer) == "invalid_header x-emulator-as-of"
    assert "expected 'any', 'today' or a date as YYYY-MM-DD" in answer.text


def test_retired_model_answers_with_a_notice_header(
    server: Server, http: httpx2.Client, caplog: pytest.LogCaptureFixture
) -> None:
    server.emulator.reset()
    for _ in range(3):
        answer = ask(http, "any", model="dall-e-3")
    notice = "dall-e-3 was shut down on 2026-05-12; use gpt-image-2.5-sunburst"
    assert answer.headers["x-emulator-notice"] == notice
    assert caplog.text.count(notice) == 1
    assert "x-emulator-notice" not in ask(http, "any", model="gpt-image-2").headers


def test_notice_header_depends_on_the_day_of_the_call(
    http: httpx2.Client, emulator: Emulator
) -> None:
    def noticed(as_of: str) -> str | None:
        return ask(http, as_of, model="gpt-image-1.5").headers.get("x-emulator-notice")

    emulator.clock.freeze(datetime(2026, 11, 30, 23, 59, tzinfo=UTC))
    assert (noticed("any"), noticed("2026-06-01")) == (None, None)
    emulator.clock.advance(minutes=1)
    notice = "gpt-image-1.5 was shut down on 2026-12-01; use "
    assert noticed("any") == f"{notice}gpt-image-2.6-sunburst or gpt-image-2.6-flare"
    assert noticed("2026-06-01") is None


@pytest.mark.parametrize("model", ["dall-e-3", "gpt-image-1", "gpt-image-1.5", "no-such-model"])
def test_retired_model_is_validated_like_an_unknown_one(http: httpx2.Client, model: str) -> None:
    """The newest model's rules first, of which the older ones have no `complexity`."""
    day = "2026-12-01"
    unknown = ask(http, day, model=model, response_format="url")
    assert verdict(unknown) == "unknown_parameter response_format"
    assert verdict(ask(http, day, model=model, n=11)) == "integer_above_max_value n"
    assert verdict(ask(http, day, model=model, complexity="low", quality="max")) == GONE


def test_response_headers_are_those_of_the_day(http: httpx2.Client) -> None:
    def exposed(day: str) -> list[str]:
        answer = ask(http, day, model="gpt-image-1", size="bogus").headers
        return answer.get_list("access-control-expose-headers")

    assert exposed("2026-05-05") == []
    assert exposed("2026-05-27") == ["X-Request-ID"]
    assert exposed("2026-07-22") == ["X-Request-ID", "CF-Ray", "CF-Ray"]
    assert exposed("2026-07-23") == exposed("any") == ["X-Request-ID", "CF-Ray"]


@pytest.mark.parametrize("operation", PATHS)
@pytest.mark.parametrize("name", STACK_HEADER_DAYS)
def test_header_is_there_on_the_days_of_the_stack_that_answers(
    http: httpx2.Client, name: bytes, operation: str
) -> None:
    period = STACK_HEADER_DAYS[name].period(operation == "variations")
    turns = [day for day in (period.since, period.until) if day]
    for day in [date(2024, 1, 1), *turns, *(day - DAY for day in turns), date(2026, 2, 22)]:
        answer = ask(http, day, operation, form=operation != "generations")
        assert (name.decode() in answer.headers) == (day in period)


def test_retired_variations_have_the_headers_of_the_gateway(http: httpx2.Client) -> None:
    def allowed(day: str) -> bool:
        answer = ask(http, day, "variations", form=True)
        return "access-control-allow-origin" in answer.headers

    assert allowed("2026-05-11")
    assert allowed("any")
    assert not allowed("2026-05-12")


@pytest.mark.parametrize(
    ("day", "newline"),
    [("2022-12-01", True), ("2025-04-15", True), ("2025-04-16", False), ("any", False)],
)
def test_bodies_of_the_older_stack_end_with_a_newline(
    http: httpx2.Client, day: str, newline: bool
) -> None:
    for fields in ({}, {"response_format": "b64_json", "n": 2, "size": "256x256"}, {"n": 0}):
        assert ask(http, day, **fields).text.endswith("\n") == newline
    varied = ask(http, day, "variations", form=True, prompt=None, image=FILE)
    assert varied.text.endswith("}\n")


def test_request_ids_have_had_their_prefix_since_2024_02(
    http: httpx2.Client, server: Server
) -> None:
    old = ask(http, "2024-01-19").headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", old)
    assert server.requests[-1].id == f"req_{old}"
    assert http.get(f"/_emulator/requests/{old}").json()["id"] == f"req_{old}"
    for day in ("2024-02-22", "any"):
        assert ask(http, day).headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("day", "version"),
    [
        *(("2022-11-03", "2021-08-06"), ("2024-04-20", "2021-08-06")),
        *(("2024-05-31", "2023-11-03"), ("2024-08-14", "2023-11-03")),
        *(("2024-08-24", "2024-08-04"), ("2026-02-02", "2024-08-04")),
        *(("2026-02-06", "2026-02-06"), ("any", "2026-02-06")),
    ],
)
def test_urls_have_the_storage_version_of_the_day(
    http: httpx2.Client, day: str, version: str
) -> None:
    url = ask(http, day).json()["data"][0]["url"]
    query = parse_qs(urlsplit(url).query)
    assert (query["sv"], query["skv"]) == ([version], [version])
    assert httpx2.get(url).status_code == 200


@pytest.mark.parametrize(("period", "header"), OPENAI_HEADERS, ids=str)
def test_header_of_all_answers_is_there_on_its_days(
    http: httpx2.Client, period: Period, header: tuple[bytes, bytes]
) -> None:
    turns = [day for day in (period.since, period.until) if day]
    for day in [date(2024, 1, 1), *turns, *(day - DAY for day in turns)]:
        for answer in (ask(http, day, model="dall-e-2"), ask(http, day, model="dall-e-2", n=0)):
            lines = [each for each in OPENAI_HEADERS if each[1] == header and day in each[0]]
            assert answer.headers.raw.count(header) == len(lines)


@pytest.mark.parametrize("day", ["2022-11-03", "2024-06-01", "2025-10-01"])
def test_clock_frozen_in_the_past_keeps_todays_api_under_any(
    http: httpx2.Client, emulator: Emulator, day: str
) -> None:
    """Freezing time is what tests do; only a date or `today` asks for the API of a day."""

    def answers() -> list[tuple[int, Any, Any]]:
        calls: list[dict[str, Any]] = [
            {"model": "gpt-image-2.6-flare", "quality": "ultra"},
            {"model": "no-such-model"},
            {"model": "gpt-image-2", "unheard": 1},
            {"model": "dall-e-3", "size": "1x1"},
            {},
        ]
        answers = []
        for as_of in ("any", "someday"):
            for call in calls:
                answer = ask(http, as_of, **call)
                exposed = answer.headers.get_list("access-control-expose-headers")
                answers.append((answer.status_code, answer.json().get("error"), exposed))
        return answers

    now = answers()
    emulator.clock.freeze(datetime.fromisoformat(day))
    assert answers() == now
    assert ask(http, "today", model="gpt-image-2.6-flare").status_code == 400


def test_policy_day_under_any_is_today_and_not_before_the_known_api() -> None:
    assert Policy(today=date(2024, 6, 1)).day == LAST_KNOWN_DAY
    assert Policy(today=date(2027, 1, 1)).day == date(2027, 1, 1)
    assert Policy(date(2024, 6, 1), today=date(2027, 1, 1)).day == date(2024, 6, 1)
    assert Policy().day is None


def test_policy_forgives_nothing_unless_it_is_told_to() -> None:
    assert Policy(date(2024, 6, 1)) == Policy(date(2024, 6, 1), is_lenient=False)


CHANGES = (date(2027, 3, 1), date(2028, 3, 1))
"""Days to come on which what the following tests make up changes."""


def versions(make: Callable[[int], T]) -> tuple[tuple[date, T], ...]:
    """What *make* gives for the numbers from 0 on, each until one of the days."""
    return tuple((until, make(number)) for number, until in enumerate(CHANGES))


@pytest.mark.parametrize(
    ("day", "version"),
    [
        (CHANGES[0] - DAY, 0),
        (CHANGES[0], 1),
        (CHANGES[1] - DAY, 1),
        (CHANGES[1], 2),
        (None, 2),
    ],
)
def test_rule_and_message_that_change_twice_have_three_versions(
    day: date | None, version: int
) -> None:
    rule = Text(max_length=2, earlier=versions(lambda number: Text(max_length=number)))
    assert rule.version_on(day) == (rule if version == 2 else Text(max_length=version))
    refusal = Refusal("2", earlier=versions(lambda number: Refusal(str(number))))
    assert refusal.version_on(day).message == str(version)
    assert refusal().answer_on(day).message == str(version)


@pytest.fixture
def on_day(http: httpx2.Client, emulator: Emulator) -> Callable[..., str]:
    """The message of the refusal of a call that is made on a day, under `any` or as of a date."""

    def message(day: date, as_of: str = "any", **fields: Any) -> str:
        emulator.clock.freeze(datetime.combine(day, time(12), UTC))
        text: str = ask(http, as_of, model="gpt-image-2", **fields).json()["error"]["message"]
        return text

    return message


def test_future_error_message_waits_for_its_day_under_any(
    monkeypatch: pytest.MonkeyPatch, on_day: Callable[..., str]
) -> None:
    refusal = Refusal("version 2", earlier=versions(lambda number: Refusal(f"version {number}")))
    monkeypatch.setattr(errors, "empty_string", refusal)
    days = (date(2024, 1, 1), CHANGES[0] - DAY, CHANGES[0], CHANGES[1])
    assert [on_day(day, prompt="")[-1] for day in days] == ["0", "0", "1", "2"]
    assert on_day(days[0], as_of=str(CHANGES[1]), prompt="") == "version 2"


@pytest.fixture
def unread_table() -> Iterator[None]:
    """What is read of the table in a test goes when the test ends."""
    tables_on.cache_clear()
    yield
    tables_on.cache_clear()


@pytest.mark.usefixtures("unread_table")
def test_future_rule_waits_for_its_day_under_any(
    monkeypatch: pytest.MonkeyPatch, on_day: Callable[..., str]
) -> None:
    rule = Integer(
        minimum=1, maximum=4, earlier=versions(lambda n: Integer(minimum=1, maximum=n + 2))
    )
    rules: Any = MODELS["gpt-image-2"].rules[GENERATIONS]
    monkeypatch.setitem(rules, "n", rule)
    days = (date(2024, 1, 1), CHANGES[0] - DAY, CHANGES[0], CHANGES[1])
    limits = [on_day(day, n=9).partition("<= ")[2].partition(",")[0] for day in days]
    assert limits == ["2", "2", "3", "4"]


def test_future_response_key_waits_for_its_day_under_any(
    monkeypatch: pytest.MonkeyPatch, http: httpx2.Client, emulator: Emulator
) -> None:
    monkeypatch.setitem(KEY_PERIODS, "quality", Period(since=CHANGES[0]))

    def keys(day: date) -> dict[str, Any]:
        emulator.clock.freeze(datetime.combine(day, time(12), UTC))
        body: dict[str, Any] = ask(http, "any", model="gpt-image-2", prompt=str(CHANGES)).json()
        return body

    assert "quality" not in keys(CHANGES[0] - DAY)
    assert "quality" in keys(CHANGES[0])


@pytest.mark.parametrize(("day", "refused"), [(CHANGES[0] - DAY, True), (CHANGES[0], False)])
def test_conflict_is_in_force_until_its_day(day: date, refused: bool) -> None:
    conflict = Conflict({"n": Above(1)}, errors.streamed_batch, Period(until=CHANGES[0]))
    assert conflict.is_in_force(day) is refused
    assert not conflict.is_in_force(None)


@pytest.mark.parametrize("model", [each for each in MODELS.values() if each.shutdown], ids=str)
def test_notice_header_begins_on_the_day_of_the_shutdown(
    http: httpx2.Client, emulator: Emulator, model: Model
) -> None:
    assert model.shutdown
    emulator.clock.freeze(datetime.combine(model.shutdown, time(), UTC))
    emulator.clock.advance(seconds=-1)
    is_known = model.shutdown <= LAST_KNOWN_DAY
    assert ("x-emulator-notice" in ask(http, "any", model=model.id).headers) == is_known
    emulator.clock.advance(seconds=1)
    notice = ask(http, "any", model=model.id).headers["x-emulator-notice"]
    assert f"{model} was shut down on {model.shutdown}" in notice


def test_any_is_in_every_period() -> None:
    period = Period(date(2025, 1, 1), date(2026, 1, 1))
    days = (None, date(2024, 12, 31), date(2025, 1, 1), date(2025, 12, 31), date(2026, 1, 1))
    assert [day in period for day in days] == [True, False, True, True, False]
