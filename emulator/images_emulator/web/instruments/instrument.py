"""The instruments of a server: observers of its calls for somebody else, such as Prometheus."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import ExitStack
from typing import Protocol

from starlette.types import ASGIApp

from images_emulator.settings import Settings
from images_emulator.state.emulator import Emulator


class Instrument(Protocol):
    """One instrument of a server, which may observe several emulators."""

    def observe(self, emulator: Emulator) -> None:
        """Observe *emulator* from now on."""
        ...

    def wrap_inner_app(self, app: ASGIApp) -> ASGIApp:
        """Wrap the application within `JournalMiddleware`, where a call has its exchange."""
        ...

    def wrap_whole_app(self, app: ASGIApp) -> ASGIApp:
        """Wrap the whole application, outside of `CORSMiddleware`."""
        ...

    def watch_connection_count(self, count: Callable[[], int]) -> None:
        """Take the number of open connections of a server from *count* from now on."""
        ...

    def watch_namespace_count(self, count: Callable[[], Awaitable[int]]) -> None:
        """Take the number of namespaces of a server from *count* from now on."""
        ...

    async def stop(self) -> None:
        """Send or remove what is left, in a bounded time. The server awaits it when it stops."""
        ...

    def close(self) -> None:
        """Release what the instrument holds, where the server has not run."""
        ...


def instruments_of(settings: Settings) -> tuple[Instrument, ...]:
    """The instruments that the *settings* ask for; usually none. Raises ValueError for a variable
    of the environment that one of them cannot follow."""
    with ExitStack() as failure:
        instruments = []
        for instrument in _instruments(settings):
            failure.callback(instrument.close)
            instruments.append(instrument)
        failure.pop_all()
    return tuple(instruments)


def _instruments(settings: Settings) -> Iterable[Instrument]:
    if settings.metrics:
        from images_emulator.web.instruments.metrics import Metrics  # noqa: PLC0415 - an extra

        yield Metrics(settings)
    if settings.otel:
        from images_emulator.web.instruments.tracing import Tracing  # noqa: PLC0415 - an extra

        yield Tracing()
