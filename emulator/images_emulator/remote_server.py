"""A namespace of a server in another process, with the methods of `Server`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self, Unpack
from warnings import warn

from images_emulator.admin_client import AdminClient, ServerAddress, parse_address
from images_emulator.call_list import CallFilters
from images_emulator.changeable_settings import CHANGEABLE, SettingChanges, new_values
from images_emulator.client_errors import ServerError, UnreachableError
from images_emulator.contract.message_format import mask_key
from images_emulator.exchange.exchange import Exchange
from images_emulator.exchange.exchange_packing import unpack_redacted
from images_emulator.namespace_names import DEFAULT_NAMESPACE, check_name
from images_emulator.server_control import ServerControl, without_spent_injected
from images_emulator.state.query import Query
from images_emulator.state.random_ids import random_id
from images_emulator.state.scenario import UnmetStep


class RemoteClock:
    """The clock of a namespace, which decides when URLs expire, rate limits are refilled and
    waiting faults end. It has the methods of `Server.clock`."""

    def __init__(self, client: AdminClient) -> None:
        self._client = client

    @property
    def frozen(self) -> bool:
        """Whether the time is frozen."""
        return bool(self._client.get("clock")["frozen"])

    @property
    def offset(self) -> timedelta:
        """The time by which the emulator's clock is ahead of the server's, to the millisecond."""
        return timedelta(seconds=self._client.get("clock")["offset_seconds"])

    def now(self) -> datetime:
        """The emulator's time, in UTC."""
        return datetime.fromisoformat(self._client.get("clock")["now"]).astimezone(UTC)

    def advance(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0) -> None:
        """Move the time forward, also for faults that wait; negative figures move it back. Raises
        ValueError for a time outside of the years 2000 to 8999."""
        self._move({"advance": seconds + 60 * minutes + 3600 * hours})

    def freeze(self, at: datetime | None = None) -> None:
        """Freeze the time at *at*, which is in UTC where it has no zone; None is the clock's own
        time. Raises ValueError for a time outside of the years 2000 to 8999."""
        self._move({"freeze": (at or self.now()).isoformat()})

    def resume(self) -> None:
        """Let the time run again, from the frozen time on."""
        self._move({"resume": True})

    def reset(self) -> None:
        """Show the system's time again."""
        self._move({"reset": True})

    def _move(self, move: Mapping[str, Any]) -> None:
        with _refusals_as_value_errors():
            self._client.post("clock", move)


@contextmanager
def _refusals_as_value_errors() -> Iterator[None]:
    """Raise ValueError in place of the ServerError of a request that the server refuses."""
    try:
        yield
    except ServerError as error:
        if error.status in (400, 422):
            raise ValueError(str(error)) from None
        raise


class RemoteServer(ServerControl):
    """A namespace of the server at *url*, with the methods of `Server`. Other tests have other
    namespaces of the same server.

        with RemoteServer("http://127.0.0.1:8080") as server:
            client = OpenAI(base_url=server.base_url, api_key="sk-test")

    *namespace* is its name. None takes the namespace that *url* names, or a new one with a random
    name where *url* names none or the default one. As a context manager, synchronous or
    asynchronous, the object deletes the namespace at the end. *admin_token* is the admin token of
    the server.

    Calls are those of `Server.calls`, with API keys redacted. A method raises
    `ServerError` of `images_emulator` where the server does not answer, or refuses. The constructor
    raises ValueError for a wrong URL or name; it asks the server for nothing.
    """

    _poll_seconds: ClassVar[float] = 0.02

    def __init__(
        self, url: str, namespace: str | None = None, *, admin_token: str | None = None
    ) -> None:
        server, named = parse_address(url)
        if namespace is None:
            namespace = f"test-{random_id(12)}" if named == DEFAULT_NAMESPACE else named
        self.namespace = check_name(namespace)
        """The name of the namespace."""
        self._server_client = AdminClient(ServerAddress(server, admin_token))
        address = ServerAddress(server, admin_token, namespace=namespace)
        self._client = AdminClient(address)
        self.clock = RemoteClock(self._client)
        """The clock of the namespace, with the methods of `Server.clock`."""

    def __repr__(self) -> str:
        return f"<RemoteServer {self.url}>"

    @property
    def url(self) -> str:
        """The address of the namespace: `http://HOST:PORT/ns/NAME`. It is the endpoint for Azure's
        clients."""
        return self._client.address.namespace_url

    @property
    def base_url(self) -> str:
        """The `base_url` for OpenAI's SDKs: `http://HOST:PORT/ns/NAME/v1`."""
        return f"{self.url}/v1"

    def _find(self, query: Query) -> list[Exchange]:
        packed: list[Any] = self._client.get("exchanges")["exchanges"]
        try:
            calls = [unpack_redacted(each) for each in packed]
        except (KeyError, TypeError, ValueError) as error:
            version = self._client.get("version")["version"]
            raise ServerError(
                f"the server at {self.url} has version {version}, whose calls this version of "
                f"images_emulator cannot read ({error!r})"
            ) from None
        return query.matching(calls)

    @property
    def last_call_id(self) -> str | None:
        calls = self._client.get("requests", {"kind": "call", "limit": 1})["requests"]
        return calls[0]["id"] if calls else None

    def _query(self, filters: Mapping[str, Any]) -> Query:
        keys = filters.get("key")
        if isinstance(keys, str):
            keys = [keys]
        if isinstance(keys, list | tuple | set | frozenset):
            # The server does not tell keys. What is no text is refused below.
            masked = [mask_key(key) if isinstance(key, str) else key for key in keys]
            filters = {**filters, "key": masked}
        return super()._query(filters)

    def _other_reason(self, unmet: UnmetStep, call: Exchange) -> str | None:
        is_answer = unmet.id in self._answer_steps()
        met = call.own_answer if is_answer else call.fault
        return f"it met '{met}'" if met else None

    def _answer_steps(self) -> set[str]:
        """The ids of the steps with an answer."""
        steps = self._client.get("scenario")["steps"]
        return {step["id"] for step in steps if step["answer"] is not None}

    def unmet_steps(self) -> list[UnmetStep]:
        return [UnmetStep(**step) for step in self._client.get("scenario/unmet")["steps"]]

    def reset(self) -> None:
        """Forget calls, pictures, files, injected faults and answers, spent limits, and which
        recordings were played. Clock, settings and scenario return to the server's start."""
        self._client.post("reset")

    def close(self) -> None:
        """Delete the namespace, if it is not the default one; that is reset. It may be called
        twice."""
        if self.namespace == DEFAULT_NAMESPACE:
            self.reset()
            return
        try:
            self._server_client.delete(f"namespaces/{self.namespace}")
        except ServerError as error:
            if error.status != 404:
                raise

    @property
    def changeable_settings(self) -> Mapping[str, Any]:
        settings = self._client.get("settings")
        return {name: settings[name] for name in CHANGEABLE}

    def configure(self, **changes: Unpack[SettingChanges]) -> None:
        if values := new_values(changes):
            with _refusals_as_value_errors():
                self._client.patch("settings", values)

    def begin_scenario(
        self, scenario: str | Path | Mapping[str, Any], folder: Path = Path()
    ) -> None:
        # These modules load pydantic.
        from images_emulator.own_answers.picture_files import ReadingContext  # noqa: PLC0415
        from images_emulator.scenarios import scenario_file  # noqa: PLC0415
        from images_emulator.step_documents.scenario_document import parse_scenario, read_scenario  # noqa: PLC0415

        if isinstance(scenario, Mapping):
            document = parse_scenario(scenario, ReadingContext(folder))
        else:
            document = read_scenario(scenario_file(scenario, folder))
        steps = [step.as_request_json() for step in document.steps]
        with _refusals_as_value_errors():
            self._client.put("scenario", {"steps": steps})

    def current_steps(self) -> list[Mapping[str, Any]]:
        return without_spent_injected(self._client.get("scenario")["steps"])

    def reset_scenario(self) -> None:
        self._client.post("scenario/reset")

    def inject(
        self,
        fault: str | Mapping[str, Any],
        *,
        times: int | None = 1,
        match: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        """Give *fault* to the next calls, as `Server.inject` does. Raises ValueError for an invalid
        fault."""
        if settings:
            fault = {**({"kind": fault} if isinstance(fault, str) else fault), **settings}
        self._add({"fault": fault, "times": times, "match": dict(match or {})})

    def answer(
        self,
        image: Any = None,
        *,
        match: Mapping[str, Any] | None = None,
        times: int | None = None,
        **settings: Any,
    ) -> None:
        """Answer calls with a picture of one's own in place of a drawing, as `Server.answer` does.
        Files are read here. Raises ValueError for an invalid answer, and for a function, which
        another process cannot call."""
        if image is not None:
            settings["images" if isinstance(image, list | tuple) else "image"] = image
        self._add({"answer": settings, "times": times, "match": dict(match or {})})

    def _add(self, document: Mapping[str, Any]) -> None:
        # These modules load pydantic.
        from images_emulator.own_answers.picture_files import ReadingContext  # noqa: PLC0415
        from images_emulator.step_documents.scenario_document import parse_step  # noqa: PLC0415

        step = parse_step(document, ReadingContext(Path())).as_request_json()
        with _refusals_as_value_errors():
            self._client.post("inject", step)

    def save_exchanges(self, folder: str | Path, **filters: Unpack[CallFilters]) -> list[Path]:
        """Write the calls that match all *filters* to *folder*, as `Server.save_exchanges` does.
        Raises OSError."""
        from images_emulator.recordings.document import from_document  # noqa: PLC0415 - for few
        from images_emulator.recordings.folder import RecordingFolder  # noqa: PLC0415
        from images_emulator.recordings.recorded_files import MemoryFiles  # noqa: PLC0415

        recordings, paths = RecordingFolder(Path(folder)), []
        for call in self.calls(**filters):
            try:
                document = self._client.get(f"requests/{call.id}/exchange")
            except UnreachableError:
                raise
            except ServerError as error:
                warn(f"{error}; it is not saved", stacklevel=2)
            else:
                paths.append(recordings.add(from_document(document, MemoryFiles())))
        return paths

    def __enter__(self) -> Self:
        """Raises ServerError where the server does not answer."""
        self._client.get("clock")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # An error of the test goes before the error of a server that is gone.
        with suppress(*([ServerError] if error else [])):
            self.close()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, trace)
