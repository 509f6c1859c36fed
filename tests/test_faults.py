"""What the official SDK sees of each fault, over a socket: the exception, its code, the retries."""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI
from starlette.types import Message

from images_emulator import Emulator, Server, create_app, faults
from images_emulator.contract.model import Model
from images_emulator.contract.models import MODELS
from images_emulator.contract.operational_errors import ERRORS_BY_NAME
from images_emulator.contract.operations import GENERATIONS
from images_emulator.contract.rules import Choice
from images_emulator.exchange.waits import Waits
from images_emulator.faults import FAULTS, parse_fault
from images_emulator.faults.base import BaseFault, is_event, is_event_stream
from tests.answers import messages_for
from tests.conftest import KEY
from tests.fault_outcomes import ANSWERS, CODES, STREAMS, Seen
from tests.pictures import opened, png


def test_every_module_that_defines_faults_is_listed() -> None:
    modules = [
        import_module(f"{faults.__name__}.{each.name}") for each in iter_modules(faults.__path__)
    ]
    kinds = [
        value.model_fields["kind"].get_default()
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, BaseFault)
    ]
    assert {kind for kind in kinds if isinstance(kind, str)} == FAULTS.keys()


@pytest.mark.parametrize("fault", FAULTS.values(), ids=[*FAULTS])
def test_a_fault_is_described_as_tables_and_help_show_it(fault: type[BaseFault]) -> None:
    docstring = (fault.__doc__ or "").strip()
    assert re.fullmatch(r"[A-Z].*\.", docstring, re.DOTALL), (
        f"the docstring of {fault.__name__} is shown in tables and help: it needs whole sentences"
    )
    for name, field in fault.model_fields.items():
        setting = f"the setting {fault.__name__}.{name}"
        assert name == "kind" or (field.description or "").endswith("."), (
            f"{setting} needs a description that ends with a point: the default is put behind it"
        )
        assert not field.is_required(), f"{setting} needs a default: a fault may be a name alone"


@pytest.fixture
def patient(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAI]:
    """An SDK that tries twice, and at once where the answer does not say when."""
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.001)
    with OpenAI(base_url=server.base_url, api_key=KEY, max_retries=1) as client:
        yield client


def met(client: OpenAI) -> int:
    """The requests of *client* that the injected fault met, which the server says once it has read
    all of them."""
    answer = httpx2.get(client.base_url.join("/_emulator/scenario"))
    return int(answer.json()["steps"][0]["met"])


def seen(emulator: Emulator, client: OpenAI, fault: str, **fields: Any) -> Seen:
    """What *client* sees when all its requests meet *fault*."""
    fields = {"model": "gpt-image-2", "prompt": "a lighthouse"} | fields
    # Drawn once, its pictures are at hand, so that only a fault takes longer than its time.
    assert list(client.images.generate(**fields))
    read_timeout = {"timeout": 0.3, "stall": 1}.get(parse_fault(fault).kind, 60)
    client = client.with_options(timeout=httpx2.Timeout(60, read=read_timeout))
    emulator.scenario.add({"fault": parse_fault(fault).model_dump(exclude_none=True)})
    events: list[str] = []
    try:
        outcome: Any = client.images.generate(**fields)
        for item in outcome if fields.get("stream") else outcome.data:
            if fields.get("stream"):
                events.append(item.type)
            else:
                opened(item.b64_json)
    except Exception as error:  # noqa: BLE001 - any exception is what is looked at
        cause = type(error.__cause__).__name__ if error.__cause__ else None
        code = getattr(error, "code", None)
        return Seen(type(error), cause, code, met(client), tuple(events))
    return Seen(requests=met(client), events=tuple(events))


@pytest.mark.parametrize(
    ("name", "outcomes"), [("ANSWERS", ANSWERS), ("STREAMS", STREAMS)], ids=["answers", "streams"]
)
def test_every_fault_is_tried(name: str, outcomes: Mapping[str, Seen]) -> None:
    untried = FAULTS.keys() - {parse_fault(fault).kind for fault in outcomes}
    assert not untried, f"{name} in tests/fault_outcomes.py needs an entry for {untried}"


@pytest.mark.parametrize("fault", ANSWERS)
def test_an_answer_with_a_fault(emulator: Emulator, patient: OpenAI, fault: str) -> None:
    assert seen(emulator, patient, fault) == ANSWERS[fault]


@pytest.mark.parametrize("fault", STREAMS)
def test_a_stream_with_a_fault(emulator: Emulator, patient: OpenAI, fault: str) -> None:
    assert seen(emulator, patient, fault, stream=True, partial_images=2) == STREAMS[fault]


FAITHFUL = [
    pytest.param(fault, stream, id=f"{fault}, {'stream' if stream else 'answer'}")
    for stream, outcomes in ((False, ANSWERS), (True, STREAMS))
    for fault, outcome in outcomes.items()
    if not parse_fault(fault).changes_body and not outcome.error
]
"""Faults under which all bytes leave as they are, by what they say themselves."""


@pytest.mark.parametrize(("fault", "stream"), FAITHFUL)
def test_a_fault_that_leaves_the_body_as_it_is_changes_no_byte(
    server: Server, http: httpx2.Client, fault: str, stream: bool
) -> None:
    server.clock.freeze()
    body = {"model": "gpt-image-2", "prompt": "x", "stream": stream, "n": 1}
    body |= {"partial_images": 2} if stream else {}
    answers = [
        http.post("/v1/images/generations", json=body, headers=headers)
        for headers in ({}, {"x-emulator-fault": fault})
    ]
    # Each answer has an id of its own.
    plain, met = (re.sub(rb'"generation_id": "[^"]*"', b"", each.content) for each in answers)
    assert met == plain
    assert server.requests[-1].fault
    assert [len(each.image_indexes) for each in server.requests[-2:]] == [1, 1]


def test_every_fault_that_leaves_the_body_as_it_is_is_compared() -> None:
    kinds = {kind for kind, fault in FAULTS.items() if not fault.changes_body}
    compared = {parse_fault(str(each.values[0])).kind for each in FAITHFUL}
    assert kinds == compared, "ANSWERS or STREAMS needs an entry without an error"


@pytest.mark.parametrize("kind", FAULTS)
def test_every_setting_of_a_fault_is_described(kind: str) -> None:
    settings = FAULTS[kind].model_fields
    bare = [name for name, each in settings.items() if name != "kind" and not each.description]
    assert not bare, f"{bare} of {FAULTS[kind].__name__} need Field(description=…)"


@pytest.mark.parametrize("name", ERRORS_BY_NAME)
def test_an_error_by_name(
    emulator: Emulator, patient: OpenAI, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert name in CODES, "CODES of tests/fault_outcomes.py needs an entry for it"
    error, code, requests = CODES[name]
    caplog.set_level(logging.INFO, "openai")
    outcome = seen(emulator, patient, f"{name};retry_after_ms=30")
    assert outcome == Seen(error, code=code, requests=requests)
    assert waits(caplog) == [0.03] * (requests - 1)


def waits(caplog: pytest.LogCaptureFixture) -> list[float]:
    """The seconds that the SDK waited before each retry, as it logs them."""
    return [
        float(match[1])
        for record in caplog.records
        if (match := re.search(r"Retrying request in ([\d.]+) seconds", record.getMessage()))
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "waited"),
    [("", 0.1), (";retry_after_ms=20", 0.02), (";retry_after=1", 1.0)],
    ids=["default", "milliseconds", "seconds"],
)
def test_a_rate_limit_says_when_to_come_back(
    emulator: Emulator,
    patient: OpenAI,
    caplog: pytest.LogCaptureFixture,
    settings: str,
    waited: float,
) -> None:
    caplog.set_level(logging.INFO, "openai")
    emulator.scenario.inject(parse_fault(f"rate_limit_exceeded{settings}").model_dump())
    assert patient.images.generate(model="gpt-image-2", prompt="x").data
    assert waits(caplog) == [waited]


@pytest.mark.parametrize(
    ("n", "figures"),
    [
        (3, ("3", "8")),
        ("3", ("3", "8")),
        (None, ("1", "6")),
        ("three", ("1", "6")),
        ([], ("1", "6")),
        ("9" * 5000, ("1", "6")),
    ],
    ids=lambda value: str(value)[:8],
)
def test_rate_limit_fault_counts_the_images_that_the_call_asks_for(
    http: httpx2.Client, n: Any, figures: tuple[str, str]
) -> None:
    def message(model: str) -> str:
        body = {"model": model, "prompt": "x", "n": n}
        headers = {"x-emulator-fault": "rate_limit_exceeded"}
        answer = http.post("/v1/images/generations", json=body, headers=headers)
        text: str = answer.json()["error"]["message"]
        return text

    requested, current = figures
    assert f"Limit 5, Used 5, Requested {requested}. " in message("gpt-image-2")
    assert f"Limit: 5/1min. Current: {current}/1min. " in message("dall-e-2")


@pytest.mark.parametrize("model", MODELS)
def test_a_rate_limit_has_the_words_for_its_model(client: OpenAI, model: str) -> None:
    with pytest.raises(openai.RateLimitError) as refused:
        client.images.generate(
            model=model, prompt="x", extra_headers={"x-emulator-fault": "rate_limit_exceeded"}
        )
    # "Rate limit reached for gpt-image-2 (for limit gpt-image) in organization org-… on
    # input-images per min: Limit 5, Used 5, Requested 1. Please try again in 12s."
    new = rf"Rate limit reached for {re.escape(model)} .* Limit 5, Used 5, Requested 1\. Please"
    old = r"Rate limit exceeded for images per minute in organization org-\w+\. Limit: 5/1min\."
    kind, words = ("input-images", new) if MODELS[model].token_rates else ("requests", old)
    assert refused.value.type == kind
    assert re.match(words, refused.value.message.partition(" - ")[2])


@pytest.mark.parametrize(
    ("settings", "stage", "categories", "words"),
    [
        ("", "input", ["other"], ""),
        (";stage=output;categories=sexual", "output", ["sexual"], " safety_violations=[sexual]."),
    ],
)
def test_moderation_says_where_and_why(
    client: OpenAI, settings: str, stage: str, categories: list[str], words: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.generate(
            model="gpt-image-2",
            prompt="x",
            extra_headers={"x-emulator-fault": "moderation_blocked" + settings},
        )
    body: Any = refused.value.body
    assert list(body) == ["message", "type", "param", "code", "moderation_details"]
    assert body["moderation_details"] == {"moderation_stage": stage, "categories": categories}
    assert body["message"].endswith(f"the request ID {refused.value.request_id}.{words}")


@pytest.mark.parametrize(("n", "by", "left"), [(1, 1, 1), (2, 1, 1), (2, 10, 1), (5, 3, 2)])
def test_fewer_images_leave_one(client: OpenAI, n: int, by: int, left: int) -> None:
    header = {"x-emulator-fault": f"fewer_images;by={by}"}
    answer = client.images.generate(model="gpt-image-2", prompt="x", n=n, extra_headers=header)
    assert len(answer.data or []) == left


def test_fewer_images_are_billed_as_such(client: OpenAI) -> None:
    fields: dict[str, Any] = {"model": "gpt-image-2", "prompt": "x", "quality": "low"}
    fewer = client.images.generate(
        **fields, n=3, extra_headers={"x-emulator-fault": "fewer_images;by=2"}
    )
    one = client.images.generate(**fields)
    assert fewer.usage == one.usage
    assert len(fewer.data or []) == 1


@pytest.mark.parametrize("as_of", ["any", "2025-10-15"])
def test_fewer_partials_are_billed_and_counted_as_such(client: OpenAI, as_of: str) -> None:
    fields: dict[str, Any] = {"model": "gpt-image-1", "prompt": "x", "stream": True}
    day = {"x-emulator-as-of": as_of}
    header = {"x-emulator-fault": "fewer_partials;keep=1"} | day
    fewer = list(client.images.generate(**fields, partial_images=3, extra_headers=header))
    asked_for = list(client.images.generate(**fields, partial_images=1, extra_headers=day))
    assert [event.type for event in fewer] == [event.type for event in asked_for]
    last, other = (events[-1].model_dump(exclude={"created_at"}) for events in (fewer, asked_for))
    assert last == other


@pytest.mark.parametrize("stream", [False, True], ids=["answer", "stream"])
@pytest.mark.parametrize("fault", ["truncated", "connection_reset"])
def test_a_body_is_cut_where_the_fault_says_and_no_shorter_one_is(
    emulator: Emulator, http: httpx2.Client, fault: str, stream: bool
) -> None:
    emulator.clock.freeze()
    body = {"model": "gpt-image-2", "prompt": "x", "quality": "low", "stream": stream}
    body |= {"partial_images": 2} if stream else {}

    def length(after_bytes: int | None = None) -> tuple[int, bool]:
        """The bytes that came, and whether they were all."""
        header = {"x-emulator-fault": f"{fault};after_bytes={after_bytes}"} if after_bytes else {}
        received = 0
        try:
            with http.stream("POST", "/v1/images/generations", json=body, headers=header) as answer:
                for chunk in answer.iter_raw():
                    received += len(chunk)
        except (httpx2.ReadError, httpx2.RemoteProtocolError):
            return received, False
        return received, True

    whole, _ = length()
    assert length(whole) == (whole, True)
    assert length(whole - 1)[1] is False
    received, complete = length(whole * 3 // 4)
    assert not complete
    # What a reset overtakes is lost.
    assert received == whole * 3 // 4 or fault == "connection_reset"


@pytest.mark.parametrize("n", [2, 3, 10])
def test_fewer_images_have_whole_counts(http: httpx2.Client, n: int) -> None:
    def counts(value: Any) -> list[Any]:
        inner = value.values() if isinstance(value, dict) else ()
        return [value] * (not inner) + [count for each in inner for count in counts(each)]

    body = {"model": "gpt-image-2", "prompt": "x", "n": n, "quality": "low"}
    header = {"x-emulator-fault": "fewer_images"}
    usage = http.post("/v1/images/generations", json=body, headers=header).json()["usage"]
    assert {type(count) for count in counts(usage)} == {int}
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


@pytest.mark.parametrize("n", [None, 1, 7, -3, 0])
def test_a_rate_limit_says_how_many_pictures_were_requested(client: OpenAI, n: int | None) -> None:
    header = {"x-emulator-fault": "rate_limit_exceeded"}
    with pytest.raises(openai.RateLimitError, match=rf"Used 5, Requested {max(n or 1, 1)}\."):
        client.images.generate(model="gpt-image-2", prompt="x", n=n, extra_headers=header)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("latency;seconds=86401", "less than or equal to 86400"),
        ("stall;seconds=86401", "less than or equal to 86400"),
        ("server_error;retry_after=86401", "less than or equal to 86400"),
        ("error;status=600", "less than or equal to 599"),
        ("error;status=399", "greater than or equal to 400"),
        ("fewer_images;by=11", "less than or equal to 10"),
        ("fewer_images;by=0", "greater than or equal to 1"),
        ("fewer_partials;keep=4", "less than or equal to 3"),
        ("slow_body;bytes_per_second=0", "greater than or equal to 1"),
        ("latency;scale=101", "less than or equal to 100"),
    ],
)
def test_a_figure_past_its_bound_is_refused(fault: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_fault(fault)


@pytest.mark.parametrize(
    ("status", "kind"), [(499, "invalid_request_error"), (500, "server_error")]
)
def test_an_error_of_ones_own_has_the_type_of_its_status(
    http: httpx2.Client, status: int, kind: str
) -> None:
    header = {"x-emulator-fault": f"error;status={status}"}
    answer = http.post("/v1/images/generations", json={}, headers=header)
    assert (answer.status_code, answer.json()["error"]["type"]) == (status, kind)


async def test_the_jitter_of_a_latency_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    fault = "latency seconds=1 jitter=1"
    waited = {(await waited_and_sent(monkeypatch, fault))[0] for _ in range(3)}
    assert len(waited) == 3
    assert all(1 <= seconds <= 2 for seconds in waited)


async def waited_and_sent(monkeypatch: pytest.MonkeyPatch, fault: str, **fields: Any) -> list[Any]:
    """The seconds that an answer to a call with *fault* waits (floats, none of which pass), and
    the bytes of its body that it sends (ints), in their order."""
    happened: list[Any] = []

    async def record(_: Waits, seconds: float) -> None:
        if seconds:
            happened.append(float(seconds))

    def sent(message: Message) -> None:
        if body := message.get("body"):
            happened.append(len(body))

    monkeypatch.setattr(Waits, "wait", record)
    prompt = f"x [[emulator: {fault}]]"
    body = json.dumps({"model": "gpt-image-2", "prompt": prompt, "quality": "low"} | fields)
    await messages_for(body.encode(), sent=sent)
    return happened


@pytest.mark.parametrize("size", [1, 4, 11, 1000])
async def test_a_directive_is_found_across_any_chunks(emulator: Emulator, size: int) -> None:
    prompt = "x [[emulator: rate_limit_exceeded]]"
    body = json.dumps({"model": "gpt-image-2", "prompt": prompt, "quality": "low"}).encode()

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    transport = httpx2.ASGITransport(create_app(emulator))
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as http:
        answer = await http.post(GENERATIONS.path, content=chunks(), headers=headers)
    await emulator.store.disconnect()
    assert answer.status_code == 429


@pytest.mark.parametrize("stream", [False, True], ids=["answer", "stream"])
async def test_a_slow_body_takes_its_length_by_its_rate(
    monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    fault = "slow_body bytes_per_second=100000"
    happened = await waited_and_sent(monkeypatch, fault, stream=stream)
    sizes = [each for each in happened if isinstance(each, int)]
    seconds = [each for each in happened if isinstance(each, float)]
    assert sum(sizes) > 10_000
    assert sum(seconds) == pytest.approx(sum(sizes) / 100_000)
    # Twenty pieces a second: one sleep for each of them, and none before all others.
    assert len(seconds) == len(sizes) >= sum(sizes) // 5_000
    assert max(sizes) <= 5_000
    assert max(seconds) <= 0.05


async def test_a_realistic_latency_is_shared_among_the_events_of_a_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fault = "latency realistic=true scale=2"
    (whole, _) = await waited_and_sent(monkeypatch, fault)
    assert whole == 2 * MODELS["gpt-image-2"].seconds["low"]
    happened = await waited_and_sent(monkeypatch, fault, stream=True, partial_images=3)
    assert happened[::2] == pytest.approx([whole / 4] * 4)
    assert all(isinstance(each, int) for each in happened[1::2])
    assert len(happened) == 8


@pytest.mark.parametrize("quality", ["low", "medium", "high"])
async def test_a_realistic_latency_is_that_of_the_quality(
    monkeypatch: pytest.MonkeyPatch, quality: str
) -> None:
    fault = "latency realistic=true"
    (seconds, _) = await waited_and_sent(monkeypatch, fault, quality=quality)
    assert seconds == MODELS["gpt-image-2"].seconds[quality]


@pytest.mark.parametrize(("jitter", "most"), [("", 30), ("jitter=5", 35)])
async def test_a_latency_passes_before_the_answer_begins(
    monkeypatch: pytest.MonkeyPatch, jitter: str, most: float
) -> None:
    (seconds, sent) = await waited_and_sent(monkeypatch, f"latency seconds=30 {jitter}")
    assert 30 <= seconds <= most
    assert isinstance(sent, int)


async def test_a_stall_waits_behind_the_events_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    fault = "stall after=2 seconds=90"
    happened = await waited_and_sent(monkeypatch, fault, stream=True, partial_images=2)
    assert [type(each) for each in happened] == [int, int, float, int]
    assert happened[2] == 90


async def test_each_event_is_one_message_and_a_comment_is_none() -> None:
    """What faults of streams build on."""
    body = {"model": "gpt-image-2", "prompt": "x", "stream": True, "partial_images": 2}
    messages = await messages_for(json.dumps(body).encode())
    start, *events, end = messages
    assert is_event_stream(start)
    assert [message["body"].count(b"event: ") for message in events] == [1, 1, 1]
    assert [is_event(message) for message in messages] == [False, True, True, True, False]
    assert not is_event({"type": end["type"], "body": b": ping\n\n"})


def test_an_edit_meets_faults_too(emulator: Emulator, patient: OpenAI) -> None:
    emulator.scenario.inject({"kind": "error", "name": "server_error", "retry_after_ms": 5})
    image = ("a.png", png(), "image/png")
    assert patient.images.edit(model="gpt-image-2", image=image, prompt="x").data


def test_an_error_goes_before_the_body_and_after_the_key(server: Server) -> None:
    server.inject("server_error")
    address = f"{server.base_url}/images/generations"
    statuses = [
        httpx2.post(address, json={}, headers=headers).status_code
        for headers in ({}, {"Authorization": "Bearer k"}, {"Authorization": "Bearer k"})
    ]
    assert statuses == [401, 500, 400]


@pytest.mark.parametrize(
    "header", [{"x-emulator-as-of": "soon"}, {"x-emulator-validation": "mild"}], ids=str
)
def test_a_call_with_an_invalid_header_of_the_emulator_uses_up_no_step(
    server: Server, header: dict[str, str]
) -> None:
    server.inject("server_error")
    server.answer(created=7, times=1)
    url, key = f"{server.base_url}/images/generations", {"Authorization": "Bearer k"}
    body = {"model": "gpt-image-2", "prompt": "x"}
    directive = {**body, "prompt": "x [[emulator: slow_down]]"}
    fault = {"x-emulator-fault": "slow_down"}
    for content, more in ((body, {}), (directive, {}), (body, fault)):
        refused = httpx2.post(url, json=content, headers={**key, **header, **more})
        assert refused.status_code == 400
        assert next(iter(header)) in refused.json()["error"]["message"]
    assert [call.fault for call in server.calls()] == [None] * 3
    assert httpx2.post(url, json=body, headers=key).status_code == 500
    assert httpx2.post(url, json=body, headers=key).json()["created"] == 7


def test_a_download_meets_a_fault_whatever_headers_are_for_calls_to_the_api(
    server: Server, client: OpenAI
) -> None:
    url = (client.images.generate(model="dall-e-2", prompt="x").data or [])[0].url or ""
    server.inject("expired")
    headers = {"x-emulator-as-of": "soon"}
    statuses = [httpx2.get(url, headers=headers).status_code for _ in range(2)]
    assert statuses == [403, 200]


def test_a_directive_with_a_fault_of_downloads_is_refused(
    server: Server, http: httpx2.Client
) -> None:
    body = {"model": "gpt-image-2", "prompt": "a fox [[emulator: expired]]"}
    refused = http.post("/v1/images/generations", json=body)
    assert refused.status_code == 400
    assert refused.json()["error"]["message"] == (
        "Invalid directive in 'prompt': 'expired' is for downloads alone."
    )
    assert server.requests[0].fault is None


@pytest.mark.parametrize(
    "fault", ["slow_body;bytes_per_second=1", "truncated", "latency;realistic=true"]
)
def test_a_look_at_a_hosted_picture_without_its_body_is_whole_and_takes_no_time(
    server: Server, client: OpenAI, fault: str
) -> None:
    url = (client.images.generate(model="dall-e-2", prompt="x").data or [])[0].url or ""
    server.clock.freeze()
    with httpx2.Client(timeout=30) as http:
        assert http.head(url, headers={"x-emulator-fault": fault}).status_code == 200
        # On the same connection.
        assert http.get(url).status_code == 200
    assert [(each.fault, each.outcome) for each in server.downloads] == [
        (fault.partition(";")[0], "answered"),
        (None, "answered"),
    ]


@pytest.mark.parametrize("model", MODELS.values(), ids=str)
def test_every_quality_has_its_seconds(model: Model) -> None:
    qualities = model.rules[GENERATIONS]["quality"]
    assert isinstance(qualities, Choice)
    quality_words = {*qualities.words, *qualities.unlisted} - {"auto"}
    assert model.seconds.keys() == quality_words


def test_a_refusal_is_not_late(client: OpenAI) -> None:
    header = {"x-emulator-fault": "latency;realistic=true"}
    with pytest.raises(openai.BadRequestError):
        client.images.generate(model="gpt-image-2", prompt="", extra_headers=header)


def test_spoilt_pictures_in_a_stream_do_not_open(client: OpenAI) -> None:
    header = {"x-emulator-fault": "malformed;what=picture"}
    (event,) = client.images.generate(
        model="gpt-image-2", prompt="x", stream=True, extra_headers=header
    )
    assert base64.b64decode(event.b64_json) == b"This is no picture."


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("", "there is no fault ''"),
        ("no_such", "there is no fault 'no_such'; `images-emulator faults` lists them"),
        ("latency;secs=1", "key 'secs'; 'seconds' is probably meant; it takes seconds, jitter"),
        ("latency;seconds", "expected key=value, not 'seconds'"),
        ("latency;seconds=soon", "seconds: input should be a valid number"),
        ("latency;seconds=-1", "greater than or equal to 0, not '-1'"),
        ("latency;seconds=inf", "finite"),
        ("malformed;what=all", "'json', 'base64' or 'picture', not 'all'"),
        ("error", "an error has a name or a status"),
        ("error;status=200", "greater than or equal to 400"),
        ("error;name=oops", "name: there is no error 'oops'; `images-emulator faults` lists them"),
        ({"kind": "latency", "seconds": "1"}, "valid number, not '1'"),
        (
            "rate_limit",
            "there is no fault 'rate_limit'; 'rate_limit_exceeded' is probably meant; `images-",
        ),
        ({"kind": ["latency"]}, "there is no fault"),
        ({"seconds": 1}, """'kind', such as {"kind": "latency"}; this one has 'seconds'"""),
        ({}, "this one has nothing"),
        ("error;name=rate_limit", "'rate_limit'; 'rate_limit_exceeded' is probably meant; `imag"),
    ],
)
def test_a_mistake_in_a_fault_is_refused_with_what_is_right(fault: Any, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        parse_fault(fault)
