"""Traces of calls by OpenTelemetry. A call is one span. Spans below it are for its validation, for
the pictures that are drawn for it, and for operations on a store outside the process.

The span is a child of the client's own where the call has a `traceparent`. Attributes have the
names of the semantic conventions for HTTP and for generative AI; prompts and pictures are not among
them. The standard variables (`OTEL_…`) say which spans are sent, and where to. A thread of the SDK
sends them.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from importlib.metadata import version
from threading import Thread
from time import perf_counter
from typing import Any, Final

from opentelemetry import context, propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagators.textmap import Getter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.util.types import AttributeValue
from starlette.types import ASGIApp, Receive, Scope, Send

from images_emulator.contract.operations import DEPLOYMENTS_PREFIX, MOUNTS, Provider, provider_at
from images_emulator.contract.request import ImageRequest
from images_emulator.distribution import DISTRIBUTION, IMPORT_NAME
from images_emulator.exchange.credentials import redacted_text
from images_emulator.exchange.served_exchange import ServedExchange, exchange_of
from images_emulator.observers import add_observer
from images_emulator.state.emulator import Emulator
from images_emulator.state.hosting import DOWNLOAD_PREFIX

SERVICE: Final = "images-emulator"
"""Name of the service where no variable gives it another one."""

FLUSH_SECONDS: Final = 2.0
"""Seconds that the last spans have to leave when the server stops."""

EXPORTERS: Final = ("otlp", "none")
"""Values of `OTEL_TRACES_EXPORTER`."""

PROTOCOL: Final = "http/protobuf"
"""The protocol of the exporter."""

PROTOCOL_VARIABLES: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
"""The variables that name the protocol; the first one counts."""

SERVER_ERROR: Final = 500
"""The least status of an answer that marks a server's span as an error."""

_NO_SPAN: Final = nullcontext()


def _exporters() -> list[str]:
    """The exporters that the variables name. Raises ValueError for an unknown exporter or
    protocol."""
    names = os.environ.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    exporters = [name.strip() for name in names.split(",")]
    for name in exporters:
        if name not in EXPORTERS:
            raise ValueError(f"OTEL_TRACES_EXPORTER: expected 'otlp' or 'none', not '{name}'")
    for variable in PROTOCOL_VARIABLES:
        if protocol := os.environ.get(variable, "").strip():
            if protocol != PROTOCOL:
                raise ValueError(f"{variable}: expected '{PROTOCOL}', not '{protocol}'")
            break
    return exporters


def _provider() -> TracerProvider:
    """A provider of the server's own: the provider of the process may be another library's. Raises
    ValueError for a variable that it cannot follow."""
    exporters = _exporters()
    values = {"service.name": SERVICE, "service.version": version(DISTRIBUTION)}
    named = OTELResourceDetector().detect().attributes
    provider = TracerProvider(
        resource=Resource.create({name: each for name, each in values.items() if name not in named})
    )
    if "otlp" in exporters:
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


class _Headers(Getter[Mapping[bytes, bytes]]):
    """Reads the headers of a call for the propagators."""

    def get(self, carrier: Mapping[bytes, bytes], key: str) -> list[str] | None:
        value = carrier.get(key.lower().encode())
        return None if value is None else [value.decode("latin-1")]

    def keys(self, carrier: Mapping[bytes, bytes]) -> list[str]:
        return [name.decode("latin-1") for name in carrier]


_HEADERS: Final = _Headers()


def _routes() -> Iterable[tuple[str, re.Pattern[str]]]:
    """The paths with parameters, as templates, each with its expression."""
    for mount in MOUNTS:
        for operation in mount.operations:
            path = mount.prefix + operation.subpath
            template = re.sub(r"\{(\w+):path}", r"{\1}", path)
            pattern = re.sub(
                r"\\{\w+(:path)?\\}", ".+" if ":path" in path else "[^/]+", re.escape(path)
            )
            yield template, re.compile(pattern)


_ROUTES: Final = tuple(_routes())


def route_of(exchange: ServedExchange) -> str | None:
    """The template of the path, such as `/v1/files/{file}`; None for an unknown path."""
    path = exchange.path
    if exchange.is_download:
        return f"{DOWNLOAD_PREFIX}{{name}}"
    if exchange.image_operation and not path.startswith(DEPLOYMENTS_PREFIX):
        return path
    return next((template for template, each in _ROUTES if each.fullmatch(path)), None)


class Tracing:
    """The tracing of one server. Raises ValueError for a variable that it cannot follow."""

    def __init__(self) -> None:
        self._provider = _provider()
        self._tracer = self._provider.get_tracer(DISTRIBUTION, version(DISTRIBUTION))
        self._spans: dict[str, Span] = {}
        """The spans of the calls that are not over, by the ids of the calls."""

    # --- an instrument

    def observe(self, emulator: Emulator) -> None:
        """Trace the calls, the renderings and the operations on the store of *emulator*."""
        add_observer(emulator.journal, self)
        add_observer(emulator.renderer, self._rendering)
        emulator.store.observe_operations(self._operation)
        emulator.span = self._part_span

    def wrap_inner_app(self, app: ASGIApp) -> ASGIApp:
        """Wrap the application so that a call's span is the parent of what the call begins."""
        return _TracedApp(app, self)

    def wrap_whole_app(self, app: ASGIApp) -> ASGIApp:
        """Nothing: spans are of calls in the journal alone."""
        return app

    def watch_connection_count(self, count: Callable[[], int]) -> None:
        """Nothing: a connection has no span."""

    def watch_namespace_count(self, count: Callable[[], Awaitable[int]]) -> None:
        """Nothing: traces have no number of namespaces."""

    async def stop(self) -> None:
        """Send the last spans."""
        loop = asyncio.get_running_loop()
        sent = asyncio.Event()

        def flush() -> None:
            self._provider.shutdown()
            # Nobody waits any more where that has taken long.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(sent.set)

        # A thread that does not hold up the end of the process.
        Thread(target=flush, name="images-emulator traces", daemon=True).start()
        with suppress(TimeoutError):
            await asyncio.wait_for(sent.wait(), FLUSH_SECONDS)

    def close(self) -> None:
        """End the thread that sends spans, where there are no spans."""
        self._provider.shutdown()

    # --- the span of a call

    def begin(self, exchange: ServedExchange, scope: Scope) -> context.Context:
        """Begin the span of a call. Return the context of its parts."""
        parent = propagate.extract(exchange.head.by_name, context.Context(), _HEADERS)
        route = route_of(exchange)
        name = f"{exchange.method} {route}" if route else exchange.method
        span = self._tracer.start_span(
            name, parent, SpanKind.SERVER, dict(_first_attributes(exchange, scope, route))
        )
        if span.is_recording():
            exchange.span_trace_id = trace.format_trace_id(span.get_span_context().trace_id)
        self._spans[exchange.id] = span
        return trace.set_span_in_context(span, parent)

    def on_arrival(self, exchange: ServedExchange) -> None:
        """Nothing: `begin` begins the span, on the way to the endpoint."""

    def on_event(self, exchange: ServedExchange, index: int) -> None:
        """Nothing: the journal has the times of events."""

    def on_clear(self) -> None:
        """Nothing: spans go on after a reset."""

    def on_completion(self, exchange: ServedExchange) -> None:
        """End the span of a call."""
        span = self._spans.pop(exchange.id, None)
        if span is None:
            return
        if span.is_recording():
            span.set_attributes(dict(_last_attributes(exchange)))
            status = exchange.status
            if (status or 0) >= SERVER_ERROR or exchange.outcome in ("failed", "cut"):
                span.set_status(StatusCode.ERROR)
        span.end()

    # --- spans below it

    def _part_span(self, name: str) -> AbstractContextManager[object]:
        """A span around a part of the current call. A refusal is no error of the span."""
        if not trace.get_current_span().is_recording():
            return _NO_SPAN
        return self._tracer.start_as_current_span(
            name, record_exception=False, set_status_on_exception=False
        )

    def _rendering(self, request: ImageRequest) -> AbstractContextManager[object]:
        if not trace.get_current_span().is_recording():
            return _NO_SPAN
        return self._render_span(context.get_current(), request, perf_counter())

    @contextmanager
    def _render_span(
        self, parent: context.Context, request: ImageRequest, queued: float
    ) -> Iterator[None]:
        """A span below *parent* while a picture is drawn. *queued* is the time, by `perf_counter`,
        at which its job was queued."""
        attributes: dict[str, AttributeValue] = {
            f"{IMPORT_NAME}.size": "{}x{}".format(*request.size),
            f"{IMPORT_NAME}.output_format": request.output_format,
            f"{IMPORT_NAME}.queue_seconds": perf_counter() - queued,
        }
        with self._tracer.start_as_current_span("render", parent, attributes=attributes):
            yield

    def _operation(self, name: str) -> AbstractContextManager[object]:
        if not trace.get_current_span().is_recording():
            return _NO_SPAN
        # All stores that `open_store` opens outside the process are in Redis.
        attributes = {"db.system.name": "redis", "db.operation.name": name}
        return self._tracer.start_as_current_span(
            f"store {name}", kind=SpanKind.CLIENT, attributes=attributes
        )


def _first_attributes(
    exchange: ServedExchange, scope: Scope, route: str | None
) -> Iterator[tuple[str, Any]]:
    """The attributes that are known when a call arrives, for samplers."""
    head = exchange.head
    yield "http.request.method", exchange.method
    yield "url.path", redacted_text(exchange.path, head.api_key)
    yield "url.scheme", scope.get("scheme", "http")
    yield "network.protocol.version", scope.get("http_version", "1.1")
    if route:
        yield "http.route", route
    if server := scope.get("server"):
        yield "server.address", server[0]
        if server[1]:
            yield "server.port", server[1]
    if client := scope.get("client"):
        yield "client.address", client[0]
    if agent := head.header(b"user-agent"):
        yield "user_agent.original", redacted_text(agent, head.api_key)
    yield f"{IMPORT_NAME}.request_id", exchange.id


def _last_attributes(exchange: ServedExchange) -> Iterator[tuple[str, Any]]:
    """The attributes that are known when a call is over."""
    status, outcome = exchange.status, exchange.outcome
    yield f"{IMPORT_NAME}.outcome", outcome
    if status is not None:
        yield "http.response.status_code", status
    if outcome != "answered":
        yield "error.type", exchange.error_code or (str(status) if status else outcome)
    for name in ("namespace", "fault", "recording", "own_answer"):
        if value := getattr(exchange, name):
            yield f"{IMPORT_NAME}.{name}", value
    if exchange.body_bytes:
        yield "http.request.body.size", exchange.body_bytes
    if exchange.image_operation:
        yield from _generation_attributes(exchange)


def _generation_attributes(exchange: ServedExchange) -> Iterator[tuple[str, Any]]:
    """The attributes of generative AI: those of a call that asks for pictures."""
    assert exchange.image_operation
    yield "gen_ai.operation.name", f"image_{exchange.image_operation.name.removesuffix('s')}"
    is_azure = provider_at(exchange.path) is Provider.AZURE
    yield "gen_ai.provider.name", "azure.ai.openai" if is_azure else "openai"
    yield "gen_ai.output.type", "image"
    request = exchange.request
    if model := request.model.id if request else exchange.model:
        yield "gen_ai.request.model", redacted_text(model, exchange.head.api_key)
    if request:
        yield "gen_ai.request.choice.count", request.n
        if request.stream:
            yield "gen_ai.request.stream", True
        if exchange.image_indexes:
            yield "gen_ai.response.model", request.model.id
    if exchange.stream_events:
        yield "gen_ai.response.time_to_first_chunk", exchange.stream_events[0].ms / 1000
    if exchange.image_indexes and (usage := exchange.usage):
        yield "gen_ai.usage.input_tokens", usage.input_tokens
        yield "gen_ai.usage.output_tokens", usage.output_tokens


class _TracedApp:
    """The application within `JournalMiddleware`. The span of the call is the current one there."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self.app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = context.attach(self._tracing.begin(exchange_of(scope), scope))
        try:
            await self.app(scope, receive, send)
        finally:
            context.detach(token)
