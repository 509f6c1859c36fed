"""The emulator's server, with the methods that tests use."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    ExitStack,
)
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack
from warnings import warn

from images_emulator.call_list import CallFilters
from images_emulator.changeable_settings import SettingChanges, changeable_values
from images_emulator.environment import sdk_environment
from images_emulator.exchange.exchange import Exchange
from images_emulator.http_server import GRACE_SECONDS, HTTPServer
from images_emulator.protocol import ConnectionLimits
from images_emulator.server_control import ServerControl, without_spent_injected
from images_emulator.settings import Settings
from images_emulator.shared_listener import SharedListener
from images_emulator.state.clock import Clock
from images_emulator.state.emulator import Emulator
from images_emulator.state.query import Query
from images_emulator.state.scenario import UnmetStep
from images_emulator.threaded_server import ThreadedServer
from images_emulator.web.app import create_app
from images_emulator.web.instruments.instrument import instruments_of
from images_emulator.web.match_input import input_of_answered
from images_emulator.web.namespace_router import NamespaceRouter
from images_emulator.web.namespaces import Namespaces


class Server(ThreadedServer, ServerControl):
    """An emulator on a TCP port.

        with Server(as_of="2026-06-01") as server:
            client = OpenAI(base_url=server.base_url, api_key="sk-test")

    *changes* are settings by their names, and override *settings*. An *emulator* has settings of
    its own, and is closed with the server. Port 0, the default, takes a free port.

    The constructor opens the port, and connections queue. `run` serves them in the calling thread.
    As a context manager, synchronous or asynchronous, the server serves them in its own thread.

    Raises ValueError for an invalid value of a setting, TypeError for an unknown setting, OSError
    where the port is taken or the store cannot be reached.
    """

    _shared_listener: SharedListener | None = None
    """The listener of a worker; see `workers.worker_server`."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        emulator: Emulator | None = None,
        **changes: Any,
    ) -> None:
        if emulator and (settings or changes):
            raise TypeError("an emulator has settings of its own; give it or settings, not both")
        self.emulator = emulator or Emulator(replace(settings or Settings(), **changes))
        with ExitStack() as failure:
            if emulator is None:
                failure.callback(self.emulator.close)
            self.settings = self.emulator.settings
            self._instruments = instruments_of(self.settings)
            for instrument in self._instruments:
                failure.callback(instrument.close)
            self._is_finished = False
            self.namespaces = Namespaces(
                self.emulator,
                lambda emulator, namespaces: create_app(emulator, self._instruments, namespaces),
            )
            """The namespaces beside the default one, which is `emulator`."""
            app = NamespaceRouter(self.namespaces)
            super().__init__(
                lambda on_ready: HTTPServer(
                    app,
                    on_ready,
                    limits=ConnectionLimits.from_settings(self.settings),
                    on_shutdown=self._finish,
                    shared_listener=self._shared_listener,
                ),
                self.settings.host,
                self.settings.port,
                listener=self._shared_listener.socket if self._shared_listener else None,
            )
            failure.pop_all()
        for instrument in self._instruments:
            instrument.watch_connection_count(self._http.connection_count)
            instrument.watch_namespace_count(self.namespaces.count)

    async def _finish(self) -> None:
        """Release what belongs to the event loop, once all calls have ended."""
        self._is_finished = True
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._end_tasks)
            for instrument in self._instruments:
                stack.push_async_callback(instrument.stop)
            await self.namespaces.stop()

    async def _end_tasks(self) -> None:
        """Cancel the remaining tasks of the event loop, which is about to end. Close the
        connections that it has opened since the store's connections were closed."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE_SECONDS)
        await self.emulator.store.disconnect()

    def close(self) -> None:
        """Stop for good. The port is closed at once. Open answers have half a second to end; then
        their connections are closed, and the renderer stops. The journal can still be read. Any
        thread may call this, and may call it twice."""
        super().close()

    def _release(self) -> None:
        with ExitStack() as stack:
            if not self._is_finished:
                # The server has not run.
                for instrument in self._instruments:
                    stack.callback(instrument.close)
            stack.callback(self.emulator.close)
            super()._release()

    def _find(self, query: Query) -> list[Exchange]:
        return self.emulator.journal.find(query)

    @property
    def last_call_id(self) -> str | None:
        """The id of the newest of `requests`, without their bodies being read; None without
        calls."""
        calls, _ = self.emulator.journal.page(Query(kind="call"), 1)
        return calls[0].id if calls else None

    @property
    def clock(self) -> Clock:
        """The emulator's clock, by which URLs expire, rate limits are refilled and faults wait."""
        return self.emulator.clock

    def save_exchanges(self, folder: str | Path, **filters: Unpack[CallFilters]) -> list[Path]:
        """Write the calls that match all *filters* (see `calls`) to *folder*, as exchange files
        with their answers and pictures, and without keys. Returns the files, which
        `serve --replay` plays.

            server.save_exchanges("recordings", status="2xx")

        Warns of a call that the journal does not hold as it was: one that is not answered yet, or
        whose body was dropped. Raises OSError.
        """
        from images_emulator.recordings.folder import RecordingFolder  # noqa: PLC0415 - for few
        from images_emulator.web.admin.journal_recording import (  # noqa: PLC0415
            NotHeldError,
            drawn_pictures,
            recording_of,
        )

        recordings, paths = RecordingFolder(Path(folder)), []
        for call in self.calls(**filters):
            try:
                recording = recording_of(call, drawn_pictures(call, self.emulator.renderer))
                paths.append(recordings.add(recording))
            except NotHeldError as error:
                warn(f"{call.id} {error}; it is not saved", stacklevel=2)
        return paths

    def reset(self) -> None:
        """Forget calls, pictures, files, injected faults and answers, spent limits, and which
        recordings were played. Clock, settings and scenario return to their start. Raises
        RuntimeError for a closed server, and ValueError where the folder of pictures has mistakes
        by now: then nothing is reset."""
        self._check_open()
        self.emulator.reset()

    def inject(
        self,
        fault: str | Mapping[str, Any],
        *,
        times: int | None = 1,
        match: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        """Give *fault* to the next calls.

            server.inject("latency", seconds=2, times=3, match={"prompt": "ship"})

        *fault* is a name, with its *settings* by keyword, or a mapping of both with the name as
        `kind`. *times* is the number of calls that meet it, None for all. *match* limits it to some
        calls, by the keys of a scenario's `match`. A fault of streams is only for calls that ask
        for a stream. Raises ValueError for an invalid fault, and RuntimeError for a closed
        server."""
        self._check_open()
        self.emulator.scenario.inject(fault, times=times, match=match, **settings)

    def answer(
        self,
        image: Any = None,
        *,
        match: Mapping[str, Any] | None = None,
        times: int | None = None,
        **settings: Any,
    ) -> None:
        """Answer calls with a picture of one's own in place of a drawing.

            server.answer("fox.png", match={"prompt": "fox"})
            server.answer(lambda request, index: Image.new("RGB", request.size, "red"))

        *image* is a path or a glob, seen from the working directory, a `data:` URL, bytes, an image
        of Pillow, a list of these for an answer with several pictures, or a function that returns
        one of these for a request and the index of a picture. The *settings* are the other keys of
        a scenario's `answer`, such as `fit`, `partials`, `usage` or `raw`.

        *times* is the number of calls that get the answer, None for all. *match* limits it to some
        calls. Answers with *times* go before those without; of those without, the newest goes
        first. Calls are validated first. Raises ValueError for an invalid answer, and RuntimeError
        for a closed server."""
        self._check_open()
        if image is not None:
            settings["images" if isinstance(image, list | tuple) else "image"] = image
        self.emulator.scenario.answer(settings, times=times, match=match)

    @property
    def changeable_settings(self) -> Mapping[str, Any]:
        """The settings that `configure` changes, as they are."""
        return changeable_values(self.emulator.settings)

    def configure(self, **changes: Unpack[SettingChanges]) -> None:
        self.emulator.configure(**changes)

    def begin_scenario(
        self, scenario: str | Path | Mapping[str, Any], folder: Path = Path()
    ) -> None:
        if isinstance(scenario, Mapping):
            self.emulator.scenario.begin_document(scenario, folder)
        else:
            from images_emulator.scenarios import scenario_file  # noqa: PLC0415 - few tests need it

            self.emulator.scenario.begin_file(scenario_file(scenario, folder))

    def current_steps(self) -> list[Mapping[str, Any]]:
        return without_spent_injected(self.emulator.scenario.as_json()["steps"])

    def reset_scenario(self) -> None:
        self.emulator.scenario.reset()

    def unmet_steps(self) -> list[UnmetStep]:
        return self.emulator.scenario.unmet()

    def _other_reason(self, unmet: UnmetStep, call: Exchange) -> str | None:
        step = self.emulator.scenario.step(unmet.id)
        if step is None:
            return None
        met = call.fault if step.own_answer is None else call.own_answer
        if met is None:
            return None
        validated = step.own_answer is not None
        match_input = input_of_answered(call, step.paths, self.emulator, validated=validated)
        difference = step.difference(match_input) if match_input else None
        return difference or f"it met '{met}'"


def running(settings: Settings | None = None, **changes: Any) -> Running:
    """A server that SDKs find by their environment variables, for scripts and `unittest`.

        with images_emulator.running(as_of="today") as server:
            OpenAI().images.generate(model="gpt-image-2", prompt="A lighthouse")

    *changes* are settings by their names, and override *settings*. The server starts at `with` or
    `async with`, in its own thread. It sets `OPENAI_BASE_URL`, `OPENAI_API_KEY` and their like, and
    at the end they have their values from before. Raises what `Server` raises.
    """
    return Running(settings, changes)


class Running(AbstractContextManager[Server], AbstractAsyncContextManager[Server]):
    """The context manager of `running`; each `with` starts a server of its own."""

    def __init__(self, settings: Settings | None, changes: Mapping[str, Any]) -> None:
        self._settings = settings
        self._changes = changes
        self._open: list[ExitStack] = []

    def __enter__(self) -> Server:
        with ExitStack() as stack:
            server = stack.enter_context(Server(self._settings, **self._changes))
            stack.enter_context(sdk_environment(server.url, server.settings.api_key))
            self._open.append(stack.pop_all())
        return server

    def __exit__(self, *exception: object) -> None:
        self._open.pop().close()

    async def __aenter__(self) -> Server:
        server = await Server(self._settings, **self._changes).__aenter__()
        with ExitStack() as stack:
            stack.callback(server.close)
            stack.enter_context(sdk_environment(server.url, server.settings.api_key))
            self._open.append(stack.pop_all())
        return server

    async def __aexit__(self, *exception: object) -> None:
        await asyncio.to_thread(self.__exit__)
