"""The text that `images-emulator serve` prints when it accepts connections."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from json import dumps
from logging import INFO
from time import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from images_emulator.cli.configuration import SettingsFile
from images_emulator.cli.notice_line import notice_line
from images_emulator.cli.server_address import is_loopback, local_url
from images_emulator.cli.shells import LINE_WRITERS, shell_of
from images_emulator.environment import API_KEY
from images_emulator.setting_values import OnMiss, parse_lenient, without_credentials
from images_emulator.settings import LogSettings, Settings
from images_emulator.web.instruments.metric_table import METRICS_PATH

if TYPE_CHECKING:
    from images_emulator.server import Server
    from images_emulator.state.clock import Clock

PAGE_PATH: Final = "/_emulator/"
"""The path of the page."""

OWN_REDIS: Final = "a Redis of their own"
"""The store of workers that were given none, as a start-up line calls it."""

MISSES: Final = {
    OnMiss.EMULATE: "the emulator answers",
    OnMiss.REFUSE: "it refuses",
    OnMiss.RECORD: "the upstream answers",
}
"""The words of a start-up line about calls that no recording answers."""


class StartState(NamedTuple):
    """The state of a server at its start.

    *recordings* is the number of recordings in the folder of `replay`, 0 without a folder.
    *pictures* describes the pictures in the folder of `pictures`; None without a folder.

    *changed* are the settings, by their names, in which a shared store differs from the server's
    start. *steps* is the number of steps in the store; None where the store has the server's own.
    *clock* says in words how the store's clock was moved; None where it shows the system's time.
    """

    recordings: int = 0
    pictures: str | None = None
    changed: Mapping[str, Any] = MappingProxyType({})
    steps: int | None = None
    clock: str | None = None


def start_state(server: Server) -> StartState:
    """The state of *server* at its start."""
    emulator = server.emulator
    scenario = emulator.scenario
    has_own_steps = not emulator.store.is_shared or scenario.is_at_its_start
    return StartState(
        emulator.replay.file_count if emulator.replay else 0,
        scenario.pictures_summary,
        {name: getattr(emulator.settings, name) for name in emulator.changed_settings},
        None if has_own_steps else scenario.step_count,
        _clock_in_words(emulator.clock) if emulator.store.is_shared else None,
    )


def _clock_in_words(clock: Clock) -> str | None:
    """How *clock* was moved or frozen, by its setting; None where it shows the system's time."""
    if clock.frozen:
        return f"the clock frozen at {clock.now().isoformat(timespec='seconds')}"
    offset = timedelta(seconds=round(clock.offset.total_seconds()))
    if not offset:
        return None
    amount = str(abs(offset)).removesuffix(", 0:00:00").replace(",", "")
    return f"the clock {amount} {'ahead' if offset > timedelta() else 'behind'}"


NO_STATE: Final = StartState()
"""The state of a server without folders, and without a store that had a state before."""


def start_text(
    url: str,
    port: int,
    settings: Settings,
    log: LogSettings,
    state: StartState = NO_STATE,
    *,
    workers: int = 1,
    file: SettingsFile | None = None,
    warnings: Sequence[str] = (),
) -> str:
    """The text that is printed when the server at *url* accepts connections.

    With a *log* of errors alone, it only says where the server listens; with a *log* of warnings,
    it also has the *warnings*, sentences about the settings. *workers* is the number of processes
    that serve. *file* is the settings file. As JSON it is the event of the start, which has the
    warnings at any level, and at level info and below an event for each sentence about what the
    server does.
    """
    started, settings = settings, replace(settings, **state.changed)
    listening = f"Listening on {url}"
    local = local_url(settings.host, port)
    page = f"{local}{PAGE_PATH}" if settings.page else None
    metrics = f"{local}{METRICS_PATH}" if settings.metrics else None
    traces = _traces_url(os.environ) if settings.otel else None
    store = settings.store and without_credentials(settings.store)
    notes = [*filter(None, [_exposure_warning(settings)]), *warnings]
    notices = [*_mode_lines(settings, state), *_joined_lines(started, state)]
    if log.log_format == "json":
        values = {
            "time": datetime.now().astimezone().isoformat(timespec="milliseconds"),
            "level": "info",
            "event": "start",
            "message": listening,
            "url": url,
            "base_url": f"{local}/v1",
            "page": page,
            "metrics": metrics,
            "traces": traces,
            "as_of": settings.as_of,
            "validation": settings.validation,
            "workers": workers,
            "store": store,
            "store_name": store and settings.store_name,
            "config": file and file.path,
        }
        if notes:
            values["warning"] = "; ".join(notes)
        if log.log_level in ("error", "warning"):
            notices = []
        now = time()
        events = [notice_line(each, INFO, now, is_json=True, colours=False) for each in notices]
        return "".join([f"{dumps(values)}\n", *events])
    if log.log_level == "error":
        return f"{listening}\n"
    if log.log_level == "warning":
        return "".join(f"{line}\n" for line in (listening, *notes))
    lines = [listening, *notes, *([str(file)] if file else []), *notices]
    if workers > 1:
        shared = f"the Redis at {store}" if store else OWN_REDIS
        lines.append(f"workers={workers}: one emulator, with {shared}")
    elif store:
        name = settings.store_name
        lines.append(f"store={store}: one emulator with all servers of its name '{name}'")
    if page:
        lines.append(f"The page is at {page}")
    if metrics:
        lines.append(f"The metrics are at {metrics}")
    if settings.otel:
        lines.append(f"Traces are sent to {traces}" if traces else "No traces are sent")
    lines.append(_shell_line(local, settings))
    return "".join(f"{line}\n" for line in lines)


def _traces_url(variables: Mapping[str, str]) -> str | None:
    """The URL to which the exporter sends traces by OpenTelemetry's *variables*; None where they
    turn it off.

    https://opentelemetry.io/docs/specs/otel/protocol/exporter/#endpoint-urls-for-otlphttp
    """
    values = {name: value.strip() for name, value in variables.items()}
    is_off = values.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if is_off or values.get("OTEL_TRACES_EXPORTER") == "none":
        return None
    base = values.get("OTEL_EXPORTER_OTLP_ENDPOINT") or "http://localhost:4318"
    own = values.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    return without_credentials(own or f"{base.rstrip('/')}/v1/traces")


def _exposure_warning(settings: Settings) -> str | None:
    """The warning that other machines may use the admin API; None where they may not."""
    if settings.admin_token is not None or is_loopback(settings.host):
        return None
    return (
        f"Whoever reaches {settings.host} sees all calls and pictures at /_emulator, and may "
        "change faults, clock and settings; --admin-token keeps them out"
    )


def _shell_line(url: str, settings: Settings) -> str:
    """The shell line that leads the SDKs to the server at *url*. It has no key of the settings."""
    write = LINE_WRITERS[shell_of(os.environ)]
    key = "<one of your api_key>" if settings.api_key else API_KEY
    variables = {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": key}
    words = "; ".join(write(*pair) for pair in variables.items()).replace("; export ", " ")
    return f"In your shell: {words}"


def _mode_lines(settings: Settings, state: StartState) -> Iterator[str]:
    """Start-up lines about the day of the API, about leniency, and about what else answers
    calls."""
    if settings.as_of == "any":
        yield (
            "as_of=any: retired models answer, and a call may leave out its model; "
            "--as-of today answers as the API does now"
        )
    elif settings.as_of == "today":
        yield "as_of=today: answers as the API does now"
    else:
        yield f"as_of={settings.as_of}: answers as the API did on that day"
    if parse_lenient(settings.validation):
        yield "validation=lenient: forgives mistakes that the API refuses"
    if settings.replay is not None:
        times = "" if settings.delay else ", at once"
        misses = MISSES[OnMiss(settings.on_miss)]
        number = state.recordings
        answer = "1 recording answers" if number == 1 else f"{number or 'no'} recordings answer"
        yield f"replay={settings.replay}: {answer}{times}; {misses} what none matches"
    if state.pictures is not None and state.steps is None:
        yield f"pictures={settings.pictures}: {state.pictures}"


def _joined_lines(started: Settings, state: StartState) -> Iterator[str]:
    """The line about the state that the store had already, which holds in place of the settings of
    the start."""
    parts = [
        f"{name}={value} in place of {getattr(started, name)}"
        for name, value in state.changed.items()
    ]
    if state.steps is not None:
        steps = "1 step" if state.steps == 1 else f"{state.steps or 'no'} steps"
        own = [each for each in (started.scenario, started.pictures) if each]
        parts.append(f"{steps} in place of {' and '.join(own) or 'none'}")
    if state.clock is not None:
        parts.append(state.clock)
    if parts:
        yield f"The store has a state already: {', '.join(parts)}"
