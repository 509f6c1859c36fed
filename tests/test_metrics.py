"""The metrics for Prometheus: what each call changes, who may read them, and several processes."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextvars import Context
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI
from prometheus_client import generate_latest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as open_metrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from images_emulator import Emulator, Server, Settings
from images_emulator.cli.start_text import start_text
from images_emulator.contract.operations import image_operation_at
from images_emulator.exchange.request_head import RequestHead
from images_emulator.exchange.served_exchange import ServedExchange
from images_emulator.settings import LogSettings
from images_emulator.web.app import create_app
from images_emulator.web.instruments.metrics import SAMPLE_SECONDS, Metrics, _sizes, endpoint_label
from tests.conftest import KEY
from tests.pictures import png
from tests.redis_server import new_store_name, shared_redis
from tests.waiting import until

PREFIX = "images_emulator_"

Labels = frozenset[tuple[str, str]]


class Scrape(dict[tuple[str, Labels], float]):
    """The samples of one answer, by name and labels."""

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples of the emulator's metric *name* that have these *labels*; 0 for
        none."""
        asked = labels.items()
        return sum(
            value
            for (each, given), value in self.items()
            if each == PREFIX + name and asked <= given
        )


def scrape(server: Server, **headers: str) -> Scrape:
    answer = httpx2.get(f"{server.url}/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    return parsed(answer.text)


def parsed(text: str) -> Scrape:
    return Scrape(
        {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
    )


def sdk(server: Server, key: str = KEY) -> OpenAI:
    return OpenAI(base_url=server.base_url, api_key=key, max_retries=0)


@pytest.fixture
def measured() -> Iterator[Server]:
    with Server(metrics=True) as server:
        yield server


@pytest.fixture
def draw(measured: Server) -> Iterator[Callable[..., Any]]:
    """Makes a generation, whose error is none of the test's."""
    with sdk(measured) as client:

        def draw(**fields: Any) -> Any:
            values = {"model": "gpt-image-2", "prompt": "A fox", "quality": "low"} | fields
            try:
                answer = client.images.generate(**values)
                return [*answer] if fields.get("stream") else answer
            except (openai.OpenAIError, httpx2.HTTPError):
                return None

        yield draw


def test_a_call_counts_by_endpoint_model_status_outcome_and_fault(
    measured: Server, draw: Callable[..., Any]
) -> None:
    draw(size="1024x1024")
    draw(size="1024x1024")
    draw(n=100)
    draw(extra_headers={"x-emulator-fault": "server_error"})
    draw(extra_headers={"x-emulator-fault": "connection_reset"})
    draw(model="no-such-model")
    figures = scrape(measured)
    good = {"endpoint": "generations", "model": "gpt-image-2", "status": "200", "fault": ""}
    assert figures.value("calls_total", **good, outcome="answered") == 2
    assert figures.value("calls_total", status="400", model="gpt-image-2", outcome="refused") == 1
    assert figures.value("calls_total", status="500", fault="server_error") == 1
    assert figures.value("calls_total", status="", outcome="cut", fault="connection_reset") == 1
    assert figures.value("calls_total", model="other") == 1
    assert figures.value("calls_total") == 6
    assert figures.value("calls_total", source="emulator") == 6
    assert figures.value("call_duration_seconds_count", model="gpt-image-2") == 5
    assert figures.value("calls_in_progress") == 0


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/v1/models", "models"),
        ("/models/gpt-image-2", "models"),
        ("/openai/v1/models", "models"),
        ("/v1/files/file-1/content", "files"),
        ("/v1/images/edits", "edits"),
        ("/v1/images", "other"),
        ("/v1/responses", "other"),
        ("/nothing", "other"),
    ],
)
def test_the_endpoint_of_a_path_is_a_word_of_few(path: str, endpoint: str) -> None:
    head = RequestHead("GET", path, b"", ())
    call = ServedExchange(
        head, "req_1", datetime.now(UTC), image_operation=image_operation_at(path)
    )
    assert endpoint_label(call) == endpoint


def test_calls_count_by_who_answered(measured: Server, draw: Callable[..., Any]) -> None:
    measured.answer(raw={"status": 503, "body": "{}"}, times=1)
    measured.answer(png(), times=1)
    for _ in range(3):
        draw(size="1024x1024")
    figures = scrape(measured)
    assert figures.value("calls_total", source="own_answer", status="503") == 1
    assert figures.value("calls_total", source="own_answer", status="200") == 1
    assert figures.value("calls_total", source="emulator") == 1


def test_call_that_is_forwarded_counts_as_one_of_the_upstream(
    measured: Server, tmp_path: Path
) -> None:
    measured.inject("rate_limit_exceeded")
    settings: dict[str, Any] = {"replay": tmp_path, "on_miss": "record", "metrics": True}
    with Server(**settings, upstream=measured.base_url) as player, sdk(player) as client:
        fields: dict[str, Any] = {"model": "gpt-image-2", "prompt": "A fox", "quality": "low"}
        with pytest.raises(openai.RateLimitError):
            client.images.generate(**fields)
        client.images.generate(**fields)
        until(lambda: len(player.emulator.replay.recordings) == 1)  # type: ignore[union-attr]
        client.images.generate(**fields)
        figures = scrape(player)
    for source, status in (("upstream", "429"), ("upstream", "200"), ("recording", "200")):
        assert figures.value("calls_total", source=source, status=status) == 1
    assert figures.value("calls_total", source="emulator") == 0
    assert figures.value("rate_limit_refusals_total") == 0


def test_pictures_count_by_size_and_format_with_tokens_and_price(
    measured: Server, draw: Callable[..., Any]
) -> None:
    answer = draw(n=2, size="1536x1024", output_format="jpeg")
    draw(size="1040x1040")
    draw()
    figures = scrape(measured)
    assert figures.value("pictures_total", size="1536x1024", format="jpeg") == 2
    assert figures.value("pictures_total", size="1254x1254", format="png") == 1
    # A client chooses among thousands of sizes.
    assert figures.value("pictures_total", size="other", format="png", model="gpt-image-2") == 1
    used = figures.value("tokens_total", direction="output")
    assert used == sum(call.usage.output_tokens for call in measured.calls() if call.usage)
    assert used > answer.usage.output_tokens
    price = sum(call.price_usd or 0 for call in measured.calls())
    assert figures.value("price_dollars_total") == pytest.approx(price)


@pytest.mark.parametrize("what", ["base64", "picture"])
def test_tokens_count_where_a_fault_spoils_the_picture(measured: Server, what: str) -> None:
    with sdk(measured) as client:
        headers = {"x-emulator-fault": f"malformed;what={what}"}
        client.images.generate(model="gpt-image-2", prompt="A fox", extra_headers=headers)
    figures = scrape(measured)
    (call,) = measured.calls()
    assert call.usage
    assert figures.value("tokens_total", direction="output") == call.usage.output_tokens > 0
    assert figures.value("price_dollars_total") == pytest.approx(call.price_usd)


def test_answers_to_head_have_no_bytes(measured: Server) -> None:
    with sdk(measured) as client:
        url = (client.images.generate(model="dall-e-2", prompt="x").data or [])[0].url or ""
    before = scrape(measured).value("response_bytes_total")
    assert httpx2.head(url).status_code == 200
    assert scrape(measured).value("response_bytes_total") == before


def test_bytes_of_requests_and_answers_count(measured: Server) -> None:
    body = json.dumps({"model": "gpt-image-2", "prompt": "A fox", "quality": "low"})
    answer = httpx2.post(
        f"{measured.base_url}/images/generations",
        content=body,
        headers={"authorization": f"Bearer {KEY}", "content-type": "application/json"},
    )
    figures = scrape(measured)
    assert figures.value("request_bytes_total", endpoint="generations") == len(body)
    assert figures.value("response_bytes_total", endpoint="generations") == len(answer.content)


def test_renderings_and_look_ups_count(measured: Server, draw: Callable[..., Any]) -> None:
    for _ in range(3):
        draw(output_format="webp", n=2)
    figures = scrape(measured)
    renders = {"endpoint": "generations", "format": "webp"}
    assert figures.value("render_duration_seconds_count", **renders) == 2
    assert figures.value("cache_misses_total", cache="pictures") == 2
    assert figures.value("cache_hits_total", cache="pictures") == 4
    assert figures.value("cache_misses_total", cache="requests") == 1
    assert figures.value("cache_hits_total", cache="requests") == 2
    assert figures.value("cache_entries", cache="pictures") == 2
    assert figures.value("cache_bytes", cache="pictures") == measured.emulator.renderer.cache.weight
    assert figures.value("render_queue_jobs", queue="render") == 0


def test_a_stream_is_open_until_its_last_event(measured: Server, draw: Callable[..., Any]) -> None:
    body = {"model": "gpt-image-2", "prompt": "A fox", "stream": True, "partial_images": 2}
    headers = {"authorization": f"Bearer {KEY}", "x-emulator-fault": "stall;seconds=600"}
    url = f"{measured.base_url}/images/generations"
    with httpx2.stream("POST", url, json=body, headers=headers, timeout=30) as answer:
        lines = answer.iter_lines()
        next(lines)
        figures = scrape(measured)
        assert figures.value("open_streams") == 1
        assert figures.value("calls_in_progress") == 1
        measured.clock.advance(seconds=600)
        assert [*lines]
    draw(stream=True, partial_images=1)
    figures = scrape(measured)
    assert figures.value("open_streams") == 0
    assert figures.value("stream_events_total", endpoint="generations") == sum(
        call.event_count for call in measured.calls()
    )


async def test_a_stream_has_ended_when_its_last_part_leaves() -> None:
    emulator = Emulator(Settings(metrics=True))
    metrics = Metrics(emulator.settings)
    app = create_app(emulator, (metrics,))
    body = json.dumps({"model": "gpt-image-2", "prompt": "A fox", "stream": True}).encode()
    messages = [{"type": "http.request", "body": body}]
    open_streams = []

    async def receive() -> Any:
        return messages.pop() if messages else await asyncio.Future()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            open_streams.append(metrics.registry.get_sample_value(f"{PREFIX}open_streams"))

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/images/generations",
        "query_string": b"",
        "headers": [(b"authorization", b"Bearer sk"), (b"content-type", b"application/json")],
    }
    await app(scope, receive, send)
    emulator.close()
    assert open_streams == [1, 0]


def test_a_stream_whose_client_leaves_is_not_open(measured: Server) -> None:
    body = {"model": "gpt-image-2", "prompt": "A fox", "stream": True, "partial_images": 2}
    headers = {"authorization": f"Bearer {KEY}", "x-emulator-fault": "stall;seconds=600"}
    url = f"{measured.base_url}/images/generations"
    with httpx2.stream("POST", url, json=body, headers=headers, timeout=30) as answer:
        next(answer.iter_lines())
    measured.wait_for_call(outcome="gone")
    figures = scrape(measured)
    assert figures.value("open_streams") == 0
    assert figures.value("calls_total", outcome="gone", fault="stall") == 1


def test_journal_and_hosted_pictures_are_measured() -> None:
    with Server(metrics=True, journal_entries=3) as server, sdk(server) as client:
        for _ in range(4):
            client.images.generate(
                model="dall-e-2", prompt="A fox", size="256x256", response_format="url"
            )
        figures = scrape(server)
        assert figures.value("journal_calls") == 3
        assert figures.value("journal_dropped_calls") == 1
        assert figures.value("journal_bytes") > 0
        assert figures.value("hosted_pictures") == 4
        assert figures.value("hosted_bytes") > 0
        server.reset()
        figures = scrape(server)
        assert figures.value("journal_calls") == figures.value("hosted_pictures") == 0
        # Counters go on.
        assert figures.value("calls_total", model="dall-e-2") == 4


def test_refusals_of_the_rate_limit_count_and_those_of_faults_do_not(measured: Server) -> None:
    with Server(metrics=True, rate_limit="1/hour") as server, sdk(server) as client:
        for fault in ("", "rate_limit_exceeded", "", "latency;seconds=0"):
            headers = {"x-emulator-fault": fault} if fault else {}
            try:
                client.images.generate(model="gpt-image-2", prompt="A", extra_headers=headers)
            except openai.RateLimitError:
                assert server.calls()[-1].fault == (fault.partition(";")[0] or None)
        figures = scrape(server)
        assert figures.value("rate_limit_refusals_total", model="gpt-image-2") == 2
        assert figures.value("calls_total", status="429") == 3


@pytest.mark.slow
def test_downloads_edits_and_files_have_their_endpoints(measured: Server) -> None:
    with sdk(measured) as client:
        client.images.edit(model="gpt-image-2", prompt="A fox", image=("a.png", png()))
        answer = client.images.generate(model="dall-e-2", prompt="A", size="256x256")
        client.files.list()
    assert answer.data
    httpx2.get(str(answer.data[0].url))
    figures = scrape(measured)
    endpoints = ("edits", "generations", "files", "downloads")
    assert [figures.value("calls_total", endpoint=each) for each in endpoints] == [1, 1, 1, 1]


def test_one_series_says_which_versions_there_are(measured: Server) -> None:
    ((_, labels),) = (key for key in scrape(measured) if key[0] == f"{PREFIX}info")
    assert {key for key, _ in labels} == {"version", "python", "store"}
    assert ("store", "shared" if measured.emulator.store.is_shared else "memory") in labels


def test_connections_and_processes_are_measured(measured: Server) -> None:
    figures = scrape(measured)
    assert figures.value("connections") == 1
    assert figures.value("workers") == figures.value("store_up") == 1
    assert any(name == "process_resident_memory_bytes" for name, _ in figures)


def test_the_lag_of_the_event_loop_is_measured_from_the_first_call_on(
    measured: Server, draw: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lags() -> float:
        return scrape(measured).value("event_loop_lag_seconds_count")

    monkeypatch.setattr("images_emulator.web.instruments.metrics.SAMPLE_SECONDS", 0.001)
    assert [lags() for _ in range(3)] == [0, 0, 0]
    draw()
    until(lambda: lags() >= 3, "a third sample of the lag")


def new_call() -> ServedExchange:
    """A call that has arrived."""
    head = RequestHead("GET", "/v1/models", b"", ())
    return ServedExchange(head, "req_1", datetime.now(UTC))


@pytest.fixture
def loops() -> Iterator[list[asyncio.AbstractEventLoop]]:
    """Two event loops that a test runs in turn."""
    loops = [asyncio.new_event_loop() for _ in range(2)]
    yield loops
    for each in loops:
        each.close()


@pytest.fixture
def sampled(monkeypatch: pytest.MonkeyPatch) -> Metrics:
    """Metrics that take a sample in each round of an event loop."""
    monkeypatch.setattr("images_emulator.web.instruments.metrics.SAMPLE_SECONDS", 0)
    return Metrics(Settings())


ROUNDS = 10


async def sample_count(metrics: Metrics, *, calls: int = 0) -> float:
    """The samples that are taken in `ROUNDS` rounds of the event loop, after some *calls*."""
    for _ in range(calls):
        metrics.on_arrival(new_call())

    def count() -> float:
        figures = parsed(generate_latest(metrics.registry).decode())
        return figures.value("event_loop_lag_seconds_count")

    before = count()
    for _ in range(ROUNDS):
        await asyncio.sleep(0)
    return count() - before


def test_samples_are_taken_once_however_often_the_event_loop_changes(
    sampled: Metrics, loops: list[asyncio.AbstractEventLoop]
) -> None:
    one, other = loops
    for each in [one, other] * 5:
        assert 0 < each.run_until_complete(sample_count(sampled, calls=2)) <= ROUNDS
    assert one.run_until_complete(sample_count(sampled)) == 0
    assert 0 < other.run_until_complete(sample_count(sampled)) <= ROUNDS
    other.run_until_complete(sampled.stop())
    assert other.run_until_complete(sample_count(sampled)) == 0


def test_samples_go_on_where_the_event_loop_of_the_last_call_is_closed(
    sampled: Metrics, loops: list[asyncio.AbstractEventLoop]
) -> None:
    one, other = loops
    one.run_until_complete(sample_count(sampled, calls=1))
    one.close()
    assert 0 < other.run_until_complete(sample_count(sampled, calls=1)) <= ROUNDS
    other.close()
    asyncio.run(sampled.stop())


def test_event_loops_keep_nothing_of_metrics_that_have_stopped(
    loops: list[asyncio.AbstractEventLoop],
) -> None:
    metrics = Metrics(Settings())
    for each in loops:
        each.run_until_complete(sample_count(metrics, calls=1))
    asyncio.run(metrics.stop())
    for each in loops:
        each.run_until_complete(asyncio.sleep(0))
    reference = weakref.ref(metrics)
    del metrics
    gc.collect()
    assert reference() is None


async def test_lag_of_the_event_loop_is_how_late_a_sample_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop, moments = asyncio.get_running_loop(), [100.0]

    def call_late(when: float, callback: Callable[[], None], context: Context) -> asyncio.Handle:
        def late_callback() -> None:
            moments.append(when + 0.25)
            callback()

        return loop.call_soon(late_callback, context=context)

    emulator = Emulator(Settings())
    metrics = Metrics(emulator.settings)
    with monkeypatch.context() as clock:
        clock.setattr(loop, "time", lambda: moments[-1])
        clock.setattr(loop, "call_at", call_late)
        metrics.on_arrival(new_call())
        for _ in range(4):
            await asyncio.sleep(0)
        await metrics.stop()
    emulator.close()
    figures = parsed(generate_latest(metrics.registry).decode())
    count = figures.value("event_loop_lag_seconds_count")
    assert count >= 3
    assert figures.value("event_loop_lag_seconds_sum") == 0.25 * count
    assert moments[-1] == 100 + (SAMPLE_SECONDS + 0.25) * count


def test_samples_go_on_after_one_that_fails(
    measured: Server, draw: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    sample, failures = Metrics._sample, [OSError("no such process")]

    def failing_once(metrics: Metrics) -> None:
        if failures:
            raise failures.pop()
        sample(metrics)

    monkeypatch.setattr("images_emulator.web.instruments.metrics.SAMPLE_SECONDS", 0.001)
    draw()
    monkeypatch.setattr(Metrics, "_sample", failing_once)
    until(lambda: not failures)
    count = scrape(measured).value("event_loop_lag_seconds_count")
    until(lambda: scrape(measured).value("event_loop_lag_seconds_count") > count)


def test_all_names_keep_the_conventions_of_prometheus(
    measured: Server, draw: Callable[..., Any]
) -> None:
    draw()
    text = httpx2.get(f"{measured.url}/metrics").text
    for family in text_string_to_metric_families(text):
        if family.name.startswith(PREFIX):
            assert family.documentation.endswith(".")
            names = {each.name for each in family.samples}
            if family.type == "counter":
                assert all(each.endswith(("_total", "_created")) for each in names)
            if family.type == "histogram":
                assert family.name.endswith("_seconds")
            assert not any(word in family.name for word in ("_ms", "_kb", "milli"))


# --- the answer


def test_metrics_are_open_metrics_where_they_are_asked_for(measured: Server) -> None:
    accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4"
    answer = httpx2.get(f"{measured.url}/metrics", headers={"accept": accept})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    families = open_metrics_families(answer.text)  # type: ignore[no-untyped-call] # has no types
    assert f"{PREFIX}info" in {each.name for each in families}
    plain = httpx2.get(f"{measured.url}/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")


@pytest.mark.parametrize(
    "accept", ["application/openmetrics-text;version=abc", "text/plain;version=1.x", ";;", "é"]
)
def test_an_odd_accept_header_breaks_nothing(measured: Server, accept: str) -> None:
    headers = {b"accept": accept.encode()}
    answer = httpx2.get(f"{measured.url}/metrics", headers=headers)
    assert answer.status_code == 200


def test_the_metrics_need_the_admin_token() -> None:
    with Server(metrics=True, admin_token="secret") as server:
        assert httpx2.get(f"{server.url}/metrics").status_code == 401
        assert scrape(server, authorization="Bearer secret").value("workers") == 1


def test_the_metrics_are_closed_to_pages_of_other_sites(measured: Server) -> None:
    url = f"{measured.url}/metrics"
    assert httpx2.get(url, headers={"host": "attacker.example"}).status_code == 403
    assert httpx2.get(url, headers={"origin": "https://attacker.example"}).status_code == 403


def test_other_methods_are_refused_and_head_has_no_body(measured: Server) -> None:
    answer = httpx2.post(f"{measured.url}/metrics")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert answer.json()["error"]["type"] == "emulator_error"
    head = httpx2.head(f"{measured.url}/metrics")
    assert (head.status_code, head.content) == (200, b"")


def test_a_scrape_is_no_call(measured: Server) -> None:
    for _ in range(3):
        figures = scrape(measured)
    assert figures.value("calls_total") == 0
    assert not measured.requests


@pytest.mark.slow
def test_without_the_setting_the_path_is_none_and_nothing_is_imported(server: Server) -> None:
    assert httpx2.get(f"{server.url}/metrics").status_code == 404
    code = (
        "import sys; from images_emulator import Server; Server().close(); "
        "print([each for each in sys.modules if each.startswith('prometheus')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_without_the_package_the_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("images_emulator.setting_values.find_spec", lambda name: None)
    with pytest.raises(
        ValueError, match=r"metrics: .*pip install 'openai-images-emulator\[metrics]"
    ):
        Settings(metrics=True)


async def test_another_server_may_serve_the_application() -> None:
    emulator = Emulator(Settings(metrics=True))
    app = create_app(emulator)
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://localhost"
    ) as http:
        await http.get("/v1/models", headers={"authorization": "Bearer sk"})
        figures = parsed((await http.get("/metrics")).text)
    emulator.close()
    assert figures.value("calls_total", endpoint="models") == 1


# --- a store outside the process


def test_operations_on_the_store_are_measured_and_so_are_its_failures() -> None:
    redis = shared_redis()
    settings: dict[str, Any] = {"store": redis.url, "store_name": new_store_name()}
    with Server(metrics=True, **settings) as server, sdk(server) as client:
        client.images.generate(model="dall-e-2", prompt="A fox", size="256x256")
        figures = scrape(server)
        assert figures.value("store_operation_duration_seconds_count", operation="append") == 1
        assert figures.value("store_operation_duration_seconds_count", operation="amend") == 1
        assert figures.value("hosted_pictures") == 1
        assert figures.value("journal_calls") == 1
        assert figures.value("store_errors_total") == 0
        assert ("store", "shared") in next(
            labels for name, labels in figures if name == f"{PREFIX}info"
        )


def test_a_store_that_is_away_is_told_and_the_metrics_are_answered() -> None:
    from tests.redis_server import RedisServer  # noqa: PLC0415 - it may skip

    redis = RedisServer()
    try:
        with Server(metrics=True, store=redis.url) as server:
            assert scrape(server).value("store_up") == 1
            redis.kill()
            figures = scrape(server)
            figures = scrape(server)
            assert figures.value("store_up") == 0
            assert figures.value("store_errors_total") > 0
    finally:
        redis.close()


# --- several processes


PROCESS = """
import sys
from images_emulator import Server
with Server(metrics=True) as server:
    print(server.url, flush=True)
    sys.stdin.readline()
print("closed", flush=True)
sys.stdin.read()
"""


class Process:
    """A server in a process of its own, which shares the *folder* of metrics."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROCESS],
            env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def url(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def close_server(self) -> None:
        """Close the server, and let the process go on."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "closed\n"

    def kill(self) -> None:
        self._process.kill()
        self.close()

    def close(self) -> None:
        self._process.communicate()


@pytest.mark.slow
def test_each_process_tells_the_figures_of_all_and_the_dead_ones_gauges_go(tmp_path: Path) -> None:
    processes = [Process(tmp_path) for _ in range(3)]
    try:
        urls = [each.url for each in processes]
        for url in urls:
            with OpenAI(base_url=f"{url}/v1", api_key=KEY) as client:
                client.images.generate(model="gpt-image-2", prompt="A fox", quality="low")
        figures = parsed(httpx2.get(f"{urls[0]}/metrics").text)
        assert figures.value("calls_total", model="gpt-image-2", status="200") == 3
        assert figures.value("call_duration_seconds_count", endpoint="generations") == 3
        assert figures.value("workers") == 3
        assert figures.value("store_up") == figures.value("info") == 1
        processes[2].kill()
        figures = parsed(httpx2.get(f"{urls[0]}/metrics").text)
        assert figures.value("workers") == 2
        processes[1].close_server()
        figures = parsed(httpx2.get(f"{urls[0]}/metrics").text)
        assert figures.value("workers") == 1
        # What they have counted stays.
        assert figures.value("calls_total", model="gpt-image-2", status="200") == 3
    finally:
        for each in processes:
            each.close()


def test_threads_may_scrape_while_calls_are_made(
    measured: Server, draw: Callable[..., Any]
) -> None:
    threads = [threading.Thread(target=scrape, args=(measured,)) for _ in range(8)]
    for each in threads:
        each.start()
    draw()
    for each in threads:
        each.join()
    assert scrape(measured).value("calls_total") == 1


def test_the_table_has_sizes_to_tell_apart() -> None:
    assert {"256x256", "1024x1024", "1536x1024", "1792x1024", "1254x1254"} <= {*_sizes()}
    assert len({*_sizes()}) < 40


@pytest.mark.slow
def test_a_folder_of_processes_that_is_none_is_refused_at_the_start(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    done = subprocess.run(
        [sys.executable, "-m", "images_emulator", "serve", "--metrics", "-p", "0"],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(missing)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode
    assert str(missing) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_named_after_the_import_is_none_of_the_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    with Server(metrics=True) as server:
        assert scrape(server).value("workers") == 1


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_the_start_says_where_the_metrics_are(log_format: str) -> None:
    settings, log = Settings(metrics=True), LogSettings(log_format=log_format)
    text = start_text("http://127.0.0.1:8080", 8080, settings, log)
    assert "http://127.0.0.1:8080/metrics" in text
    assert "metrics\n" not in start_text("http://127.0.0.1:8080", 8080, Settings(), log)
