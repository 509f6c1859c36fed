"""Traces of calls, as a collector gets them by OTLP/HTTP."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from time import perf_counter
from typing import Any

import httpx2
import openai
import pytest
from openai import AzureOpenAI, OpenAI
from opentelemetry import propagate
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import TracerProvider

from images_emulator import Server, Settings
from images_emulator.cli.start_text import start_text
from images_emulator.settings import LogSettings
from tests.conftest import KEY
from tests.pictures import png
from tests.redis_server import new_store_name, shared_redis

ERROR = 2
"""The code of a span's status that is an error."""

SERVER_KIND = Span.SpanKind.SPAN_KIND_SERVER


class Collector:
    """A collector of traces on a port of its own."""

    def __init__(self) -> None:
        collector = self
        self.requests: list[ExportTraceServiceRequest] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.may_answer = Event()
        self.may_answer.set()
        self.status = 200

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["content-length"]))
                collector.may_answer.wait()
                collector.paths.append(self.path)
                collector.headers.append(dict(self.headers))
                collector.requests.append(ExportTraceServiceRequest.FromString(data))
                self.send_response(collector.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self._web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._web.server_port}"
        self._thread = Thread(target=self._web.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def spans(self) -> list[Span]:
        """The spans, in the order of their starts."""
        spans = [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        return sorted(spans, key=lambda span: span.start_time_unix_nano)

    @property
    def calls(self) -> list[Span]:
        """The spans of calls."""
        return [span for span in self.spans if span.kind == SERVER_KIND]

    def children(self, parent: Span) -> list[str]:
        """The names of the spans below *parent*."""
        return [span.name for span in self.spans if span.parent_span_id == parent.span_id]

    @property
    def resource(self) -> dict[str, Any]:
        return attributes(self.requests[0].resource_spans[0].resource)

    def close(self) -> None:
        self.may_answer.set()
        self._web.shutdown()
        self._thread.join()
        self._web.server_close()


def attributes(holder: Any) -> dict[str, Any]:
    """The attributes of a span or of a resource."""
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value")) for each in holder.attributes
    }


@pytest.fixture(autouse=True)
def spans_are_sent() -> Iterator[None]:
    """Wait for the last spans. A server does not wait for a slow collector, and the exporter logs
    an error where the collector is gone, perhaps in the middle of the next test."""
    yield
    for thread in threading.enumerate():
        if thread.name == "images-emulator traces":
            thread.join()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    collector = Collector()
    monkeypatch.setattr("images_emulator.web.instruments.tracing.FLUSH_SECONDS", 30)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield collector
    collector.close()


Trace = Callable[..., list[Span]]


@pytest.fixture
def trace(collector: Collector) -> Trace:
    """Lets a function make calls of a client to a server, which has the settings that are given,
    and gives the spans of the calls."""

    def trace(act: Callable[[OpenAI], object], **settings: Any) -> list[Span]:
        with (
            Server(otel=True, **settings) as server,
            OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as client,
            suppress(openai.OpenAIError, httpx2.HTTPError),
        ):
            act(client)
        return collector.calls

    return trace


def generate(client: OpenAI, **fields: Any) -> Any:
    values = {"model": "gpt-image-2", "prompt": "A fox", "quality": "low"} | fields
    return client.images.generate(**values)


def test_a_call_is_a_span_with_the_attributes_of_the_conventions(
    trace: Trace, collector: Collector
) -> None:
    answers = []
    (span,) = trace(lambda client: answers.append(generate(client, n=2)))
    assert (span.name, span.kind) == ("POST /v1/images/generations", SERVER_KIND)
    values = attributes(span)
    usage = answers[0].usage
    assert {
        "http.request.method": "POST",
        "http.route": "/v1/images/generations",
        "url.path": "/v1/images/generations",
        "url.scheme": "http",
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "client.address": "127.0.0.1",
        "gen_ai.operation.name": "image_generation",
        "gen_ai.provider.name": "openai",
        "gen_ai.output.type": "image",
        "gen_ai.request.model": "gpt-image-2",
        "gen_ai.response.model": "gpt-image-2",
        "gen_ai.request.choice.count": 2,
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "images_emulator.outcome": "answered",
        "images_emulator.request_id": answers[0]._request_id,
    }.items() <= values.items()
    assert "error.type" not in values
    assert span.status.code == 0
    assert values["user_agent.original"].startswith("OpenAI/Python")
    assert not any("A fox" in str(value) for value in values.values())
    assert collector.paths == ["/v1/traces"]
    assert collector.resource["service.name"] == "images-emulator"
    assert collector.resource["service.version"]


def test_validation_and_renderings_are_spans_below_that_of_the_call(
    trace: Trace, collector: Collector
) -> None:
    def act(client: OpenAI) -> None:
        generate(client, n=2, output_format="webp")
        generate(client, n=2, output_format="webp")

    first, second = trace(act)
    children = [
        [name for name in collector.children(call) if not name.startswith("store ")]
        for call in (first, second)
    ]
    # All of the second is in the caches.
    assert children == [["validate", "render", "render"], []]
    render = next(span for span in collector.spans if span.name == "render")
    values = attributes(render)
    assert values["images_emulator.output_format"] == "webp"
    assert values["images_emulator.size"] == "1254x1254"
    assert values["images_emulator.queue_seconds"] >= 0
    assert render.trace_id == first.trace_id
    assert first.start_time_unix_nano <= render.start_time_unix_nano
    assert render.end_time_unix_nano <= first.end_time_unix_nano


def test_the_span_of_the_client_is_the_parent(trace: Trace, collector: Collector) -> None:
    tracer = TracerProvider().get_tracer("test")
    headers: dict[str, str] = {}
    with tracer.start_as_current_span("client") as client_span:
        propagate.inject(headers)
    ids = client_span.get_span_context()
    headers["tracestate"] = "vendor=value"
    (span,) = trace(lambda client: generate(client, extra_headers=headers))
    assert span.trace_id == ids.trace_id.to_bytes(16)
    assert span.parent_span_id == ids.span_id.to_bytes(8)
    assert span.trace_state == "vendor=value"


def test_a_trace_that_the_client_does_not_sample_is_not_sent(
    trace: Trace, collector: Collector
) -> None:
    headers = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"}
    answers = []
    assert trace(lambda client: answers.append(generate(client, extra_headers=headers))) == []
    assert answers[0].data


def test_an_invalid_traceparent_begins_a_trace(trace: Trace) -> None:
    headers = {"traceparent": "00-zz-zz-zz", "tracestate": "=,=;"}
    (span,) = trace(lambda client: generate(client, extra_headers=headers))
    assert not span.parent_span_id


@pytest.mark.parametrize(
    ("fields", "is_error", "values"),
    [
        ({"n": 100}, False, (400, "integer_above_max_value", "refused")),
        ({"fault": "server_error"}, True, (500, "500", "refused")),
        ({"fault": "rate_limit_exceeded"}, False, (429, "rate_limit_exceeded", "refused")),
        ({"fault": "connection_reset"}, True, (None, "cut", "cut")),
        (
            {"fault": "stream_error", "stream": True},
            True,
            (200, "image_generation_failed", "failed"),
        ),
    ],
)
def test_a_failure_has_its_type_and_only_the_servers_is_an_error(
    fields: dict[str, Any], is_error: bool, values: tuple[int | None, str, str], trace: Trace
) -> None:
    fault = fields.get("fault")
    rest = {name: value for name, value in fields.items() if name != "fault"}
    if fault:
        rest["extra_headers"] = {"x-emulator-fault": fault}

    def act(client: OpenAI) -> None:
        answer = generate(client, **rest)
        if rest.get("stream"):
            assert [*answer]

    (span,) = trace(act)
    assert (span.status.code == ERROR) == is_error
    names = ("http.response.status_code", "error.type", "images_emulator.outcome")
    found = attributes(span)
    assert tuple(map(found.get, names)) == values
    assert found.get("images_emulator.fault") == fault


def test_a_refusal_is_no_error_of_the_validation(trace: Trace, collector: Collector) -> None:
    trace(lambda client: generate(client, n=100))
    (span,) = (span for span in collector.spans if span.name == "validate")
    assert (span.status.code, len(span.events)) == (0, 0)


@pytest.mark.slow
def test_a_call_that_the_stop_ends_is_sent(collector: Collector) -> None:
    headers = {"authorization": f"Bearer {KEY}", "x-emulator-fault": "stall;seconds=600"}
    body = {"model": "gpt-image-2", "prompt": "A fox", "stream": True, "partial_images": 1}
    with Server(otel=True) as server, httpx2.Client(timeout=30) as client:
        url = f"{server.base_url}/images/generations"
        with client.stream("POST", url, json=body, headers=headers) as answer:
            lines = answer.iter_lines()
            next(lines)
            server.close()
            with suppress(httpx2.HTTPError):
                assert [*lines]
    (span,) = collector.calls
    assert attributes(span)["images_emulator.outcome"] == "cut"


def test_a_stream_has_the_time_of_its_first_event(trace: Trace) -> None:
    (span,) = trace(lambda client: [*generate(client, stream=True, partial_images=1)])
    values = attributes(span)
    assert values["gen_ai.request.stream"] is True
    assert 0 < values["gen_ai.response.time_to_first_chunk"] < 60


def test_paths_with_parameters_have_names_of_few(trace: Trace, collector: Collector) -> None:
    def act(client: OpenAI) -> None:
        file = client.files.create(file=("a.png", png()), purpose="vision")
        client.files.retrieve(file.id)
        client.models.retrieve("gpt-image-2")
        with AzureOpenAI(
            azure_endpoint=str(client.base_url).removesuffix("/v1/"),
            api_key=KEY,
            api_version="2025-04-01-preview",
        ) as azure:
            azure.images.generate(model="gpt-image-2", prompt="A fox", quality="low")
        answer = client.images.generate(model="dall-e-2", prompt="A fox", size="256x256")
        assert answer.data
        httpx2.get(str(answer.data[0].url))
        client.get("/nothing/at/all", cast_to=object)

    spans = trace(act)
    assert [span.name for span in spans] == [
        "POST /v1/files",
        "GET /v1/files/{file}",
        "GET /v1/models/{model}",
        "POST /openai/deployments/{deployment}/images/generations",
        "POST /v1/images/generations",
        next(span.name for span in spans if "{name}" in span.name),
        "GET",
    ]
    assert attributes(spans[3])["gen_ai.provider.name"] == "azure.ai.openai"


def test_operations_on_the_store_are_spans(trace: Trace, collector: Collector) -> None:
    redis = shared_redis()
    (span,) = trace(
        lambda client: client.images.generate(model="dall-e-2", prompt="A", size="256x256"),
        store=redis.url,
        store_name=new_store_name(),
    )
    assert "store amend" in collector.children(span)
    amend = next(each for each in collector.spans if each.name == "store amend")
    assert attributes(amend)["db.system.name"] == "redis"


def test_variables_name_service_and_headers(
    trace: Trace, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "pictures")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=ci")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=team")
    trace(generate)
    assert collector.resource["service.name"] == "pictures"
    assert collector.resource["deployment.environment.name"] == "ci"
    assert collector.headers[0]["x-tenant"] == "team"


@pytest.mark.parametrize(
    ("name", "value"),
    [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")],
)
def test_variables_switch_traces_off(
    name: str, value: str, trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    answers = []
    assert trace(lambda client: answers.append(generate(client))) == []
    assert answers[0].data


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
    ],
)
def test_a_variable_that_cannot_be_followed_is_refused_at_the_start(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=rf"{name}: expected .*, not '{value}'"):
        Server(otel=True)


@pytest.mark.parametrize("is_made", [True, False])
def test_a_server_that_has_not_run_leaves_no_thread_that_sends_spans(is_made: bool) -> None:
    before = {*threading.enumerate()}
    server = Server(otel=True)
    begun = {*threading.enumerate()} - before
    assert begun, "the exporter has no thread"
    if not is_made:
        with pytest.raises(OSError, match="in use"):
            Server(otel=True, port=server.port)
    server.close()
    # Threads of earlier tests may have ended meanwhile.
    assert {*threading.enumerate()} <= before


@pytest.mark.slow
def test_a_collector_that_answers_nothing_holds_up_neither_calls_nor_the_stop(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images_emulator.web.instruments.tracing.FLUSH_SECONDS", 0.1)
    # Each span is sent at once, and more than the queue takes.
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "4")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")
    collector.may_answer.clear()
    with Server(otel=True) as server, OpenAI(base_url=server.base_url, api_key=KEY) as client:
        with ThreadPoolExecutor(4) as pool:
            assert len([*pool.map(lambda _: generate(client), range(20))]) == 20
        start = perf_counter()
    # The exporter would wait for ten seconds.
    assert perf_counter() - start < 9
    collector.may_answer.set()


@pytest.mark.slow
def test_a_collector_that_is_not_there_breaks_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("images_emulator.web.instruments.tracing.FLUSH_SECONDS", 0.1)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    with (
        Server(otel=True) as server,
        OpenAI(base_url=server.base_url, api_key=KEY) as client,
    ):
        assert generate(client).data


def test_the_log_has_the_trace_of_a_call_whose_client_sent_none(collector: Collector) -> None:
    with (
        Server(otel=True) as server,
        OpenAI(base_url=server.base_url, api_key=KEY) as client,
    ):
        generate(client)
        (call,) = server.calls()
    assert call.trace_id == collector.calls[0].trace_id.hex()


def test_metrics_and_traces_go_together(collector: Collector) -> None:
    with (
        Server(otel=True, metrics=True) as server,
        OpenAI(base_url=server.base_url, api_key=KEY) as client,
    ):
        generate(client)
        headers = {"accept": "application/openmetrics-text; version=1.0.0"}
        text = httpx2.get(f"{server.url}/metrics", headers=headers).text
    # A scrape is no call.
    (span,) = collector.calls
    (exemplar,) = re.findall(r'call_duration_seconds_bucket{.* # {trace_id="(\w+)"}', text)
    assert exemplar == span.trace_id.hex()


def test_without_the_package_the_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("images_emulator.setting_values.find_spec", find_nothing)
    with pytest.raises(ValueError, match=r"otel: .*pip install 'openai-images-emulator\[otel]"):
        Settings(otel=True)


@pytest.mark.slow
def test_without_the_setting_nothing_is_imported() -> None:
    code = (
        "import json, sys; from images_emulator import Server; Server().close(); "
        "print(json.dumps([each for each in sys.modules if each.startswith('opentelemetry')]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({}, "Traces are sent to http://localhost:4318/v1/traces"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://user:secret@otel.test/"},
            "Traces are sent to https://otel.test/v1/traces",
        ),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://otel.test/own"},
            "Traces are sent to http://otel.test/own",
        ),
        ({"OTEL_SDK_DISABLED": "true"}, "No traces are sent"),
        ({"OTEL_TRACES_EXPORTER": "none"}, "No traces are sent"),
    ],
)
def test_the_start_says_where_traces_are_sent(
    variables: dict[str, str], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    url = "http://127.0.0.1:8080"
    text = start_text(url, 8080, Settings(otel=True), LogSettings())
    assert line in text.splitlines()
    log = LogSettings(log_format="json")
    as_json = json.loads(start_text(url, 8080, Settings(otel=True), log).splitlines()[0])
    assert as_json["traces"] == (line.rpartition(" ")[2] if "://" in line else None)
    assert "races" not in start_text(url, 8080, Settings(), LogSettings())
