"""Routes of the scenario in the admin API: its steps, injected ones, the faults that there are, and
the ready scenarios."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final, TypeVar

from fastapi import APIRouter
from starlette.requests import Request

from images_emulator.admin_prefix import ADMIN_PREFIX
from images_emulator.contract import admin_errors
from images_emulator.contract.message_format import quoted_list
from images_emulator.faults.fault_tables import FaultList, fault_list
from images_emulator.scenarios import ready_scenarios
from images_emulator.state.scenario import Scenario
from images_emulator.step_documents.scenario_document import ScenarioDocument, StepDocument
from images_emulator.web.admin.admin_audit import note_detail
from images_emulator.web.admin.admin_docs import error_responses, json_body_schema
from images_emulator.web.admin.admin_handlers import AdminHandlers
from images_emulator.web.admin.state_json import (
    InjectedState,
    ScenarioState,
    UnmetSteps,
    scenario_state,
    unmet_steps,
)
from images_emulator.web.request_body import read_admin_json

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ReadyScenario:
    """A ready scenario: its name, what happens, and the number of its steps."""

    name: str
    summary: str
    steps: int


@dataclass(frozen=True, slots=True)
class ReadyScenarios:
    """The ready scenarios in the order of the alphabet."""

    scenarios: list[ReadyScenario]


def _parse_ready_scenario(name: str, text: str) -> ReadyScenario:
    """The scenario in the *text* of a file. The first comment is its description."""
    comment = takewhile(lambda line: line.startswith("#"), text.splitlines())
    summary = " ".join(line.lstrip("# ") for line in comment)
    return ReadyScenario(name, summary, len(tomllib.loads(text)["steps"]))


BODIES: Final = (ScenarioDocument, StepDocument)
"""Schemas of the request bodies, for the OpenAPI document."""


class ScenarioAPI(AdminHandlers):
    """Handlers around the scenario of one emulator. Changing the scenario blocks: see
    `Store.run`."""

    @property
    def scenario(self) -> Scenario:
        """The scenario of the emulator."""
        return self.emulator.scenario

    def router(self) -> APIRouter:
        router = APIRouter(prefix=ADMIN_PREFIX, tags=["faults"])
        document_errors = error_responses(admin_errors.bad_scenario)
        router.get("/scenario")(self.show)
        router.put(
            "/scenario",
            openapi_extra=json_body_schema(ScenarioDocument),
            responses=document_errors,
        )(self.replace)
        router.delete("/scenario")(self.clear)
        router.get("/scenario/unmet")(self.unmet)
        router.post("/scenario/reset")(self.begin_again)
        router.delete("/scenario/steps/{id}", responses=error_responses(admin_errors.no_such_step))(
            self.remove
        )
        router.post(
            "/inject", openapi_extra=json_body_schema(StepDocument), responses=document_errors
        )(self.inject)
        router.get("/faults")(self.faults)
        router.get("/scenarios")(self.ready)
        router.get("/scenarios/{name}", responses=error_responses(admin_errors.no_such_scenario))(
            self.ready_document
        )
        return router

    async def show(self) -> ScenarioState:
        """The steps, and how many calls have met each. Injected steps come first; the last 20
        injected steps that have met all their calls come at the end."""
        return await asyncio.to_thread(scenario_state, self.emulator)

    async def unmet(self) -> UnmetSteps:
        """The steps that still wait for a call: those that no call has met, or fewer than their
        `times`. Answers of `--pictures` without `times` are not among them."""
        return await asyncio.to_thread(unmet_steps, self.emulator)

    async def replace(self, request: Request) -> ScenarioState:
        """Begin the scenario in the body; injected steps are gone. Its pictures are `data:` URLs: a
        path is refused."""
        await self._change(request, self.scenario.begin_document)
        state = await self.show()
        count = len(state.steps)
        note_detail("1 step" if count == 1 else f"{count} steps")
        return state

    async def clear(self) -> ScenarioState:
        """Remove all steps."""
        await asyncio.to_thread(self.scenario.clear)
        return await self.show()

    async def begin_again(self) -> ScenarioState:
        """Begin the scenario of the start again; injected steps are gone."""
        await asyncio.to_thread(self.scenario.reset)
        return await self.show()

    async def remove(self, id: str) -> ScenarioState:
        """Remove one step, by its id."""
        try:
            await asyncio.to_thread(self.scenario.remove, id)
        except KeyError:
            raise admin_errors.no_such_step(id=id) from None
        return await self.show()

    async def inject(self, request: Request) -> InjectedState:
        """Inject the step in the body, before those of the scenario; `injected` is its id. A fault
        goes after those injected earlier, and is met once where it has no `times`. An answer
        without `times` is met always; any answer goes before the earlier answers without `times`.
        The step is removed when it has met all its calls. A picture is a `data:` URL: a path is
        refused."""

        def add(step: Mapping[str, Any]) -> str:
            return self.scenario.add({"times": None if "answer" in step else 1, **step})

        step_id = await self._change(request, add)
        steps = (await self.show()).steps
        for step in steps:
            if step.id == step_id:
                times = f", times={step.times}" if step.times else ""
                note_detail(f"{step.title}{times}")
        return InjectedState(steps, step_id)

    async def faults(self) -> FaultList:
        """The faults with their settings, and the errors that are faults by their names."""
        return await asyncio.to_thread(fault_list)

    async def ready(self) -> ReadyScenarios:
        """The ready scenarios by name."""
        return ReadyScenarios(
            [
                _parse_ready_scenario(name, path.read_text("utf-8"))
                for name, path in ready_scenarios().items()
            ]
        )

    async def ready_document(self, name: str) -> dict[str, Any]:
        """A ready scenario as a document, for `PUT /_emulator/scenario`."""
        path = ready_scenarios().get(name)
        if path is None:
            listed = quoted_list([*ready_scenarios()])
            raise admin_errors.no_such_scenario(name=name, listed=listed)
        return tomllib.loads(path.read_text("utf-8"))

    async def _change(self, request: Request, change: Callable[[Mapping[str, Any]], T]) -> T:
        """The result of *change* with the document in the body. Raises APIError."""
        document = await read_admin_json(request.receive, self.emulator)
        try:
            return await asyncio.to_thread(change, document)
        except ValueError as error:
            raise admin_errors.bad_scenario(reason=str(error)) from None
