"""The methods by which tests use a server, be it in their process or in another one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from time import perf_counter, sleep
from typing import Any, ClassVar, Unpack

from images_emulator.call_list import CallFilters, CallList, failure_text, unmet_text
from images_emulator.changeable_settings import SettingChanges
from images_emulator.exchange.exchange import Exchange
from images_emulator.state.query import DOWNLOADS, FilterError, Query
from images_emulator.state.scenario import UnmetStep


class ServerControl(ABC):
    """The base class of the servers that tests use."""

    _poll_seconds: ClassVar[float] = 0.005
    """The seconds between two searches of `wait_for_call`."""

    @abstractmethod
    def _find(self, query: Query) -> list[Exchange]:
        """The calls in the journal that match *query*, oldest first."""

    @abstractmethod
    def unmet_steps(self) -> list[UnmetStep]:
        """The faults and answers that still wait for a call: injected, or of the scenario, and met
        by no call, or by fewer than their `times`. The answers of the setting `pictures` are not
        among them."""

    @property
    @abstractmethod
    def changeable_settings(self) -> Mapping[str, Any]:
        """The settings that `configure` changes, as they are."""

    @abstractmethod
    def configure(self, **changes: Unpack[SettingChanges]) -> None:
        """Change these settings until `reset`; None leaves one as it is. Raises ValueError for an
        invalid value, TypeError for another setting."""

    @abstractmethod
    def begin_scenario(
        self, scenario: str | Path | Mapping[str, Any], folder: Path = Path()
    ) -> None:
        """Begin another scenario until `reset`; injected steps are gone. It is a document,
        a file, or the name of a ready scenario. The file, and the pictures that a document names,
        are relative to *folder*. Raises ValueError."""

    @abstractmethod
    def reset_scenario(self) -> None:
        """Begin the scenario of the start again; injected steps are gone."""

    @abstractmethod
    def current_steps(self) -> list[Mapping[str, Any]]:
        """The steps as `GET /_emulator/scenario` shows them, without injected ones that have met
        all their calls. The steps of a scenario that begins, or begins again, have new ids."""

    @abstractmethod
    def _other_reason(self, unmet: UnmetStep, call: Exchange) -> str | None:
        """The reason why *call* met another fault or answer than that of the step; None where it
        met none."""

    def _query(self, filters: Mapping[str, Any]) -> Query:
        """The query of *filters*. It finds only calls where they do not name a kind."""
        return Query.from_filters({"kind": "call", **filters})

    def calls(self, **filters: Unpack[CallFilters]) -> CallList:
        """The API calls since the last `reset`, oldest first: those that match all *filters*.

            server.calls(model="gpt-image-2", prompt=["ship", "boat"], status="4xx")

        The filters are those of `GET /_emulator/requests` and the parameters of the API by their
        names, each with one value or a list of them. A parameter is compared with the value in
        force, which may be a default; for a refused call, with the value that was sent, which is a
        text in a form. Raises TypeError for another name, ValueError for a value that a filter
        cannot have.
        """
        return CallList(self._find(self._query(filters)))

    def verify(self, times: int | None = None, **filters: Unpack[CallFilters]) -> CallList:
        """The calls that match all *filters* (see `calls`). Their number has to be *times*; with
        None, one or more.

            server.verify(model="gpt-image-2", size="1024x1024", times=2)

        Raises AssertionError for another number of them, with the calls that came nearest and what
        is different about each; TypeError and ValueError as `calls` does.
        """
        __tracebackhide__ = True  # pytest shows the test's line
        if times is not None and (type(times) is not int or times < 0):
            raise FilterError("times", f"expected a number from 0 on, not {times!r}")
        query = self._query(filters)
        all_calls = self._find(Query(kind=query.kind))
        calls = CallList(call for call in all_calls if call in query)
        if len(calls) == times or (times is None and calls):
            return calls
        wanted = query if "kind" in filters else replace(query, kind=None)
        raise AssertionError(failure_text(times, wanted, calls, all_calls))

    def wait_for_call(self, *, timeout: float = 10, **filters: Unpack[CallFilters]) -> Exchange:
        """Wait for a call that matches all *filters* (see `calls`), and return the oldest one, even
        if it is not answered yet. Raises TimeoutError after *timeout* seconds.

        It blocks; in asynchronous code `await asyncio.to_thread(server.wait_for_call)`.
        """
        end = perf_counter() + timeout
        while not (calls := self.calls(**filters)):
            if perf_counter() >= end:
                raise TimeoutError(f"no such call within {timeout:g} s; there are: {self.calls()}")
            sleep(self._poll_seconds)
        return calls[0]

    @property
    def requests(self) -> CallList:
        """The API calls since the last `reset`, oldest first."""
        return self.calls()

    @property
    @abstractmethod
    def last_call_id(self) -> str | None:
        """The id of the newest of `requests`, without their bodies being read; None without
        calls."""

    @property
    def downloads(self) -> CallList:
        """The requests for hosted pictures since the last `reset`, oldest first."""
        return CallList(self._find(DOWNLOADS))

    def verify_steps(self) -> None:
        """Raises AssertionError where faults or answers still wait for a call, see `unmet_steps`,
        with the reason why the last calls did not meet them."""
        __tracebackhide__ = True  # pytest shows the test's line
        if unmet := self.unmet_steps():
            raise AssertionError(unmet_text(unmet, self.calls(), self._other_reason))


def without_spent_injected(steps: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The *steps* that the admin API lists, without injected ones that have met all their calls."""
    return [step for step in steps if not (step["injected"] and step["spent"])]
