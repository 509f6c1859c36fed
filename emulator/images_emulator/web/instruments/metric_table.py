"""The table of metrics: what `GET /metrics` tells. A new metric begins here."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Literal

from images_emulator.distribution import IMPORT_NAME
from images_emulator.immutable import Immutable

PREFIX: Final = IMPORT_NAME
"""The beginning of the names of all metrics that are the emulator's own."""

METRICS_PATH: Final = "/metrics"
"""The path at which Prometheus looks by default."""

FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable of prometheus-client with the folder of metrics that several processes
share."""

CALL_SECONDS: Final = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
)
"""Upper bounds of the buckets of calls and renderings, in seconds."""

STORE_SECONDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1)
"""Upper bounds of the buckets of operations on the store, in seconds."""

LAG_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
"""Upper bounds of the buckets of the event loop's lag, in seconds."""


class MetricKind(StrEnum):
    """The kinds of metrics, in the words of Prometheus."""

    COUNTER = "counter"
    """Grows until the end of the server; its name ends in `_total`."""
    GAUGE = "gauge"
    """Goes up and down."""
    HISTOGRAM = "histogram"
    """Counts values by buckets, and has their sum."""


class MetricRow(Immutable):
    """One metric."""

    name: str
    """The name without the prefix; the name of a counter is also without `_total`."""
    kind: MetricKind
    help: str
    """A sentence."""
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets, in seconds."""
    mode: Literal["livesum", "livemin", "livemax", "livemostrecent"] = "livesum"
    """How the gauges of several processes become one. `livemostrecent` takes the gauge of the
    process which was asked last, for values that all processes read from one store."""

    @property
    def full_name(self) -> str:
        """The name that queries use; for a histogram, the beginning of that name."""
        end = "_total" if self.kind is MetricKind.COUNTER else ""
        return f"{PREFIX}_{self.name}{end}"


_COUNTER, _GAUGE, _HISTOGRAM = MetricKind.COUNTER, MetricKind.GAUGE, MetricKind.HISTOGRAM

_OF_OPEN_NAMESPACES: Final = (
    ", over the namespaces that are open in the process which was asked last."
)

METRICS: Final[Mapping[str, MetricRow]] = {
    row.name: row
    for row in (
        MetricRow(
            "calls",
            _COUNTER,
            "Calls that are over, downloads of hosted pictures among them. `status` is empty where "
            "the connection ended before one was sent, `fault` where the call had none. "
            "`source` is `recording` or `own_answer` where one of these answered, `upstream` where "
            "the call was forwarded because no recording did, else `emulator`.",
            ("endpoint", "model", "status", "outcome", "fault", "source"),
        ),
        MetricRow(
            "call_duration_seconds",
            _HISTOGRAM,
            "Time from the arrival of a call to its end.",
            ("endpoint", "model"),
            CALL_SECONDS,
        ),
        MetricRow("calls_in_progress", _GAUGE, "Calls that are not over."),
        MetricRow("open_streams", _GAUGE, "Streams of events that have begun and not ended."),
        MetricRow("connections", _GAUGE, "Open TCP connections, those of scrapes among them."),
        MetricRow("stream_events", _COUNTER, "Events of streams that were sent.", ("endpoint",)),
        MetricRow("request_bytes", _COUNTER, "Bytes of the bodies of calls.", ("endpoint",)),
        MetricRow("response_bytes", _COUNTER, "Bytes of the bodies of answers.", ("endpoint",)),
        MetricRow(
            "pictures",
            _COUNTER,
            "Pictures that were sent whole, in base64 or by URL. Partial images do not count.",
            ("model", "size", "format"),
        ),
        MetricRow(
            "tokens",
            _COUNTER,
            "Tokens by the usage of answers. `direction` is `input` or `output`.",
            ("model", "direction"),
        ),
        MetricRow(
            "price_dollars", _COUNTER, "What the API would have charged, in US dollars.", ("model",)
        ),
        MetricRow(
            "rate_limit_refusals",
            _COUNTER,
            "Calls that the setting `rate_limit` refused.",
            ("model",),
        ),
        MetricRow(
            "render_duration_seconds",
            _HISTOGRAM,
            "Time in which pictures were drawn and encoded, without their wait for a thread. A "
            "stream's pictures are drawn together.",
            ("endpoint", "format"),
            CALL_SECONDS,
        ),
        MetricRow("render_errors", _COUNTER, "Pictures that could not be drawn."),
        MetricRow(
            "render_queue_jobs",
            _GAUGE,
            "Jobs that have not begun. `queue` is `render`, `decode` (uploads) or `parse` (large "
            "bodies and their images, recordings, and memory to be freed).",
            ("queue",),
        ),
        MetricRow("render_processes", _GAUGE, "Render processes that run."),
        MetricRow(
            "cache_hits",
            _COUNTER,
            "Look-ups that found a value. `cache` is `pictures`, `requests` (validated ones, and "
            "events of streams) or `thumbnails`.",
            ("cache",),
        ),
        MetricRow("cache_misses", _COUNTER, "Look-ups that found none.", ("cache",)),
        MetricRow("cache_bytes", _GAUGE, "Bytes of the values in a cache.", ("cache",)),
        MetricRow("cache_entries", _GAUGE, "Values in a cache.", ("cache",)),
        MetricRow(
            "namespaces",
            _GAUGE,
            "Namespaces beside the default one, as the admin API lists them.",
            mode="livemostrecent",
        ),
        MetricRow(
            "journal_calls",
            _GAUGE,
            f"Calls in the journal{_OF_OPEN_NAMESPACES}",
            mode="livemostrecent",
        ),
        MetricRow(
            "journal_bytes",
            _GAUGE,
            f"Bytes of the journal{_OF_OPEN_NAMESPACES}",
            mode="livemostrecent",
        ),
        MetricRow(
            "journal_dropped_calls",
            _GAUGE,
            f"Calls that the journal has dropped since the last reset{_OF_OPEN_NAMESPACES}",
            mode="livemostrecent",
        ),
        MetricRow(
            "hosted_pictures",
            _GAUGE,
            f"Pictures that have URLs{_OF_OPEN_NAMESPACES}",
            mode="livemostrecent",
        ),
        MetricRow(
            "hosted_bytes",
            _GAUGE,
            f"Bytes that these pictures take{_OF_OPEN_NAMESPACES}",
            mode="livemostrecent",
        ),
        MetricRow(
            "store_operation_duration_seconds",
            _HISTOGRAM,
            "Time of an operation on Redis, with its wait for a connection.",
            ("operation",),
            STORE_SECONDS,
        ),
        MetricRow("store_errors", _COUNTER, "Operations that Redis did not do.", ("operation",)),
        MetricRow(
            "store_up", _GAUGE, "Whether the store did what it was last asked to.", mode="livemin"
        ),
        MetricRow(
            "event_loop_lag_seconds",
            _HISTOGRAM,
            "By how much a timer of the event loop was late, once a second.",
            buckets=LAG_SECONDS,
        ),
        MetricRow("workers", _GAUGE, "Processes that serve."),
        MetricRow(
            "info",
            _GAUGE,
            "Versions of the emulator and of Python, and where the state is: `memory` or `shared`.",
            ("version", "python", "store"),
            mode="livemax",
        ),
    )
}
"""All rows, by name."""
