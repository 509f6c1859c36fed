"""The metrics of a server for Prometheus: how calls become figures. The names are in
`metric_table.py`.

Labels have bounded values: operations, models and sizes of the tables, statuses, names of faults.
Under several processes prometheus-client keeps the figures in files of one folder, and each process
answers for all. `PROMETHEUS_MULTIPROC_DIR` names the folder before this module is imported.
"""

from __future__ import annotations

import asyncio
import os
import platform
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import Context
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from time import perf_counter
from typing import Any, Final
from weakref import WeakKeyDictionary, WeakSet

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.values import MutexValue, ValueClass
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from images_emulator.contract.models import MODELS
from images_emulator.contract.operational_errors import ERRORS_BY_NAME
from images_emulator.contract.operations import IMAGE_OPERATIONS, MOUNTS
from images_emulator.contract.refusal import APIError
from images_emulator.contract.request import ImageRequest
from images_emulator.distribution import DISTRIBUTION
from images_emulator.exchange.exchange import Exchange
from images_emulator.exchange.served_exchange import ServedExchange, exchange_of
from images_emulator.lru_cache import CountingLRUCache, LRUCache
from images_emulator.observers import add_observer
from images_emulator.settings import Settings
from images_emulator.state.emulator import Emulator
from images_emulator.web.instruments.metric_table import (
    FOLDER_VARIABLE,
    METRICS,
    PREFIX,
    MetricKind,
    MetricRow,
)
from images_emulator.web.instruments.metrics_endpoint import MetricsEndpoint

OTHER: Final = "other"
"""The value of a label in place of a value that no table has."""

SAMPLE_SECONDS: Final = 1.0
"""Seconds between two samples of the gauges of a process."""

DOWNLOADS: Final = "downloads"
"""The endpoint of hosted pictures."""

_CLASSES: Final[Mapping[MetricKind, Callable[..., Any]]] = {
    MetricKind.COUNTER: Counter,
    MetricKind.GAUGE: Gauge,
    MetricKind.HISTOGRAM: Histogram,
}


@cache
def _resources() -> frozenset[str]:
    """The first segments of the paths of operations that make no pictures: `models`, `files`."""
    operations = (operation for mount in MOUNTS for operation in mount.operations)
    return frozenset(each.subpath.split("/")[1] for each in operations if not each.image_kind)


_PREFIXES: Final = sorted({mount.prefix for mount in MOUNTS}, key=len, reverse=True)


def endpoint_label(exchange: Exchange) -> str:
    """The endpoint of a call in a word: an image operation, `downloads`, `models`, `files` or
    `other`."""
    if exchange.image_operation:
        return exchange.image_operation.name
    if exchange.is_download:
        return DOWNLOADS
    prefix = next(each for each in _PREFIXES if exchange.path.startswith(f"{each}/") or not each)
    resource = exchange.path[len(prefix) :].split("/")[1:2]
    return resource[0] if resource and resource[0] in _resources() else OTHER


EMULATOR: Final = "emulator"
"""The source of an answer that is neither a recorded answer, an own answer nor the upstream's."""


def source_label(exchange: ServedExchange) -> str:
    """Who answered a call: `recording`, `own_answer`, `upstream` or `emulator`."""
    if exchange.recording_name:
        return "recording"
    if exchange.goes_to_upstream:
        return "upstream"
    return "own_answer" if exchange.answer.is_raw or exchange.own_answer else EMULATOR


def _sizes() -> Iterator[str]:
    """The sizes that the table of models names, and those of calls without a size and an upload."""
    for model in MODELS.values():
        for operation in IMAGE_OPERATIONS.values():
            if rule := model.rules.get(operation, {}).get("size"):
                schema = rule.schema()
                yield from (*schema.get("enum", ()), *schema.get("examples", ()))
                width, height = rule.resolve(None, None, {})
                yield f"{width}x{height}"


def model_label(exchange: Exchange) -> str:
    """The model of a call; `other` for one that no table has, empty for none."""
    model = exchange.request.model.id if exchange.request else exchange.model
    return OTHER if model and model not in MODELS else model or ""


class Metrics:
    """The metrics of one server. Raises ValueError where the folder of several processes is not
    there."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._namespace_count: Callable[[], Awaitable[int]] | None = None
        self._connection_count: Callable[[], int] | None = None
        """None where another server serves the application."""
        self._emulators: WeakSet[Emulator] = WeakSet()
        """The emulators of all namespaces. Threads add some."""
        self._lock = Lock()
        """Held while an emulator is added, while all are listed, and while the sampler is
        replaced."""
        # The library has looked for the folder when it was imported, and does not look again.
        self._folder = None if ValueClass is MutexValue else os.environ.get(FOLDER_VARIABLE)
        self.registry = CollectorRegistry()
        """The registry that is read for an answer."""
        if self._folder:
            if not Path(self._folder).is_dir():
                raise ValueError(f"{FOLDER_VARIABLE} is no folder: '{self._folder}'")
            MultiProcessCollector(self.registry)  # type: ignore[no-untyped-call] # it has no types
        else:
            ProcessCollector(registry=self.registry)
            PlatformCollector(registry=self.registry)
            GCCollector(registry=self.registry)
        self._metrics = {name: self._make_metric(row) for name, row in METRICS.items()}
        self._known_series: dict[tuple[str, ...], Any] = {}
        self._counted: WeakKeyDictionary[object, dict[str, int]] = WeakKeyDictionary()
        """The counts of a cache when it was last looked at, by the name of the metric."""
        self._sampler: _Sampler | None = None
        """The sampler on the event loop of the last call."""
        self._known_sizes = frozenset(_sizes())

    def _make_metric(self, row: MetricRow) -> Any:
        """The metric of a *row*."""
        options: dict[str, Any] = {}
        if row.kind is MetricKind.HISTOGRAM:
            options["buckets"] = row.buckets
        elif row.kind is MetricKind.GAUGE:
            options["multiprocess_mode"] = row.mode
        name, metric_class = f"{PREFIX}_{row.name}", _CLASSES[row.kind]
        # The files of several processes are read instead.
        registry = None if self._folder else self.registry
        return metric_class(name, row.help, row.labels, registry=registry, **options)

    def _series(self, name: str, *labels: str) -> Any:
        """The series of the metric *name* with these *labels*. The library takes ten times as long
        to look it up."""
        key = (name, *labels)
        series = self._known_series.get(key)
        if series is None:
            metric = self._metrics[name]
            series = self._known_series[key] = metric.labels(*labels) if labels else metric
        return series

    def _add(self, amount: float, name: str, *labels: str) -> None:
        """Add *amount* to a counter, or to a gauge, whose amount may be negative."""
        self._series(name, *labels).inc(amount)

    def _set(self, value: float, name: str, *labels: str) -> None:
        """Set a gauge."""
        self._series(name, *labels).set(value)

    def _add_to_histogram(
        self, seconds: float, name: str, *labels: str, trace_id: str | None = None
    ) -> None:
        """Add a value to a histogram, with the trace that it comes from as the exemplar of its
        bucket."""
        exemplar = {"trace_id": trace_id} if trace_id else None
        self._series(name, *labels).observe(seconds, exemplar)

    # --- an instrument

    def observe(self, emulator: Emulator) -> None:
        """Count the calls, the renderings and the operations on the store of *emulator*."""
        is_first = not self._emulators
        if is_first:
            store = "shared" if emulator.store.is_shared else "memory"
            self._set(1, "info", version(DISTRIBUTION), platform.python_version(), store)
            self._set(1, "workers")
        with self._lock:
            self._emulators.add(emulator)
        add_observer(emulator.journal, self)
        add_observer(emulator.renderer, self._rendering)
        emulator.store.observe_operations(self._operation)
        if is_first:
            # The emulators of namespaces begin in threads, while the event loop takes samples.
            self._sample()

    def wrap_inner_app(self, app: ASGIApp) -> ASGIApp:
        """Wrap the application so that the bytes and streams that it sends are counted."""
        return _MeasuredApp(app, self)

    def wrap_whole_app(self, app: ASGIApp) -> ASGIApp:
        """Wrap the whole application with the endpoint that Prometheus asks."""
        return MetricsEndpoint(app, self.registry, self.refresh, self._settings)

    def watch_connection_count(self, count: Callable[[], int]) -> None:
        """Tell the number of open connections, which *count* gives, from now on."""
        self._connection_count = count

    def watch_namespace_count(self, count: Callable[[], Awaitable[int]]) -> None:
        """Tell the number of namespaces, which *count* gives, from now on."""
        self._namespace_count = count

    async def stop(self) -> None:
        """End the gauges of this process, which other processes would go on to tell."""
        self._replace_sampler(None)
        self.close()

    def close(self) -> None:
        """End the gauges of this process, as `stop` does."""
        if self._folder:
            _remove_process(os.getpid(), Path(self._folder))

    # --- an observer of the journal

    def on_arrival(self, exchange: ServedExchange) -> None:
        """A call begins."""
        self._add(1, "calls_in_progress")
        loop, sampler = asyncio.get_running_loop(), self._sampler
        if sampler is None or sampler.loop is not loop:
            self._replace_sampler(_Sampler(loop, self._take_sample))

    def on_event(self, exchange: ServedExchange, index: int) -> None:
        """A stream goes on."""
        self._add(1, "stream_events", endpoint_label(exchange))

    def on_clear(self) -> None:
        """Counters go on after a reset."""

    def on_completion(self, exchange: ServedExchange) -> None:
        """A call is over."""
        self._add(-1, "calls_in_progress")
        endpoint, model = endpoint_label(exchange), model_label(exchange)
        status = "" if exchange.status is None else str(exchange.status)
        fault = exchange.fault_label or ""
        source = source_label(exchange)
        self._add(1, "calls", endpoint, model, status, exchange.outcome, fault, source)
        self._add_to_histogram(
            (exchange.duration_ms or 0) / 1000,
            "call_duration_seconds",
            endpoint,
            model,
            trace_id=exchange.span_trace_id,
        )
        if exchange.body_bytes:
            self._add(exchange.body_bytes, "request_bytes", endpoint)
        if not exchange.is_download:
            self._count_pictures(exchange, model)
        # An error fault has sent the 429 itself; with any other fault the call comes to the limit.
        is_error_fault = fault in ERRORS_BY_NAME or fault == "error"
        if status == "429" and source == EMULATOR and not is_error_fault:
            self._add(1, "rate_limit_refusals", model)

    def _count_pictures(self, exchange: ServedExchange, model: str) -> None:
        for picture in exchange.pictures:
            size = f"{picture.width}x{picture.height}"
            size = size if size in self._known_sizes else OTHER
            self._add(1, "pictures", model, size, picture.format)
        if usage := exchange.usage:
            self._add(usage.input_tokens, "tokens", model, "input")
            self._add(usage.output_tokens, "tokens", model, "output")
        if price := exchange.price_usd:
            self._add(price, "price_dollars", model)

    # --- what is sent

    def count_stream(self, change: int) -> None:
        """A stream begins (1) or ends (-1)."""
        self._add(change, "open_streams")

    def count_sent(self, exchange: ServedExchange, body: bytes) -> None:
        """A part of the *body* of an answer leaves. The answer to a HEAD has none."""
        if exchange.method != "HEAD":
            self._add(len(body), "response_bytes", endpoint_label(exchange))

    # --- renderer and store

    @contextmanager
    def _rendering(self, request: ImageRequest) -> Iterator[None]:
        start = perf_counter()
        try:
            yield
        except BaseException:
            self._add(1, "render_errors")
            raise
        labels = request.operation.name, request.output_format
        self._add_to_histogram(perf_counter() - start, "render_duration_seconds", *labels)

    @contextmanager
    def _operation(self, name: str) -> Iterator[None]:
        start = perf_counter()
        try:
            yield
        except APIError:
            self._add(1, "store_errors", name)
            raise
        finally:
            self._add_to_histogram(perf_counter() - start, "store_operation_duration_seconds", name)

    # --- samples

    def _replace_sampler(self, sampler: _Sampler | None) -> None:
        """Take the samples by *sampler* from now on, and by no other."""
        with self._lock:
            previous, self._sampler = self._sampler, sampler
        if previous:
            previous.cancel()

    def _take_sample(self, lag: float) -> None:
        """Take one sample. The event loop was late by *lag* seconds."""
        self._add_to_histogram(lag, "event_loop_lag_seconds")
        self._sample()

    def _open_emulators(self) -> list[Emulator]:
        with self._lock:
            return [each for each in self._emulators if not each.is_closed]

    def _sample(self) -> None:
        """Set the gauges of this process."""
        if self._connection_count:
            self._set(self._connection_count(), "connections")
        emulators = self._open_emulators()
        self._set(all(each.store.failure is None for each in emulators), "store_up")
        # Emulators of one server share their renderer.
        renderers = {each.renderer for each in emulators}
        queues = {"render": "pool", "decode": "decoder_queue", "parse": "background_queue"}
        for name, attribute in queues.items():
            jobs = sum(getattr(each, attribute).pending_count for each in renderers)
            self._set(jobs, "render_queue_jobs", name)
        processes = [process for each in renderers for process in each.pool.processes]
        self._set(sum(each.is_running for each in processes), "render_processes")
        caches: Mapping[str, list[LRUCache]] = {
            "pictures": [each.cache for each in renderers],
            "thumbnails": [each.thumbnails for each in renderers],
            "requests": [*{each.prepared_calls for each in emulators}],
        }
        for name, values in caches.items():
            self._set(sum(each.weight for each in values), "cache_bytes", name)
            self._set(sum(len(each) for each in values), "cache_entries", name)
            for counted_cache in values:
                assert isinstance(counted_cache, CountingLRUCache)
                self._count("cache_hits", name, counted_cache, counted_cache.hits)
                if name != "pictures":
                    self._count("cache_misses", name, counted_cache, counted_cache.misses)
        for renderer in renderers:
            # A call looks for a picture twice before it is drawn.
            self._count("cache_misses", "pictures", renderer, renderer.cache_misses)

    def _count(self, name: str, cache: str, subject: object, total: int) -> None:
        """Add to the counter *name* of a *cache* the growth of the *total* of *subject* since the
        last time."""
        totals = self._counted.setdefault(subject, {})
        self._add(total - totals.get(name, 0), name, cache)
        totals[name] = total

    async def refresh(self) -> None:
        """Bring the gauges up to date, also those about the store. Remove the gauges of processes
        that have ended."""
        self._sample()
        emulators = self._open_emulators()
        # Where the store is away, these gauges stay as they were.
        with suppress(APIError):
            if self._namespace_count:
                self._set(await self._namespace_count(), "namespaces")
            # Together, which takes few round trips to a shared store.
            journals = await asyncio.gather(*(each.journal.size() for each in emulators))
            self._set(sum(each.calls for each in journals), "journal_calls")
            self._set(sum(each.bytes for each in journals), "journal_bytes")
            self._set(sum(each.dropped for each in journals), "journal_dropped_calls")
            hosted = await asyncio.gather(*(each.hosting.size() for each in emulators))
            self._set(sum(each.number for each in hosted), "hosted_pictures")
            self._set(sum(each.weight for each in hosted), "hosted_bytes")
        if self._folder:
            _remove_ended_processes(Path(self._folder))


class _Sampler:
    """Calls *take* every `SAMPLE_SECONDS`, first in `SAMPLE_SECONDS`, on the event loop *loop*,
    which is running. The argument of *take* is by how many seconds the loop was late."""

    def __init__(self, loop: asyncio.AbstractEventLoop, take: Callable[[float], None]) -> None:
        self.loop = loop
        self._take = take
        self._is_cancelled = False
        self._timer = self._schedule()

    def _schedule(self) -> asyncio.TimerHandle:
        due = self.loop.time() + SAMPLE_SECONDS
        # A context of its own: the context of the first call would live as long as the server.
        return self.loop.call_at(due, partial(self._run, due), context=Context())

    def _run(self, due: float) -> None:
        # An event loop that has run nothing since `cancel` comes to the timer all the same.
        if not self._is_cancelled:
            # Also where this sample fails, which the event loop logs.
            self._timer = self._schedule()
            self._take(max(0.0, self.loop.time() - due))

    def cancel(self) -> None:
        """Take no more samples. Any thread may call this, also when the event loop is closed."""
        self._is_cancelled = True
        with suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(self._cancel_timer)

    def _cancel_timer(self) -> None:
        self._timer.cancel()


def _remove_ended_processes(folder: Path) -> None:
    """Remove the live gauges of ended processes from the *folder* of all processes. Their counters
    stay."""
    if os.name == "nt":  # where a signal of 0 is Ctrl-C
        return
    names = [re.fullmatch(r"gauge_live\w*_(\d+)\.db", each.name) for each in folder.iterdir()]
    for pid in {int(name[1]) for name in names if name}:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            _remove_process(pid, folder)
        except OSError:
            continue


def _remove_process(pid: int, folder: Path) -> None:
    # Another process may be removing the files, too.
    with suppress(FileNotFoundError):
        mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call] # it has no types


class _MeasuredApp:
    """The application within `JournalMiddleware`. The bytes and the streams that it sends are
    counted before they leave."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = exchange_of(scope)
        streams = 0

        def end_stream() -> None:
            nonlocal streams
            self._metrics.count_stream(-streams)
            streams = 0

        async def send_measured(message: Message) -> None:
            nonlocal streams
            if message["type"] == "http.response.body":
                if body := message.get("body", b""):
                    self._metrics.count_sent(exchange, body)
                if streams and not message.get("more_body"):
                    end_stream()
                await send(message)
                return
            await send(message)
            if exchange.answer.sent.is_stream:
                streams = 1
                self._metrics.count_stream(streams)

        try:
            await self.app(scope, receive, send_measured)
        finally:
            if streams:
                end_stream()
