"""Routes of the scenario in the admin API: its steps, and injected ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from images_emulator.contract import errors
from images_emulator.faults.scenario_document import ScenarioDocument, Step
from images_emulator.state.emulator import Emulator
from images_emulator.web.admin_docs import json_body_schema
from images_emulator.web.recorder import ADMIN_PREFIX
from images_emulator.web.request_body import read_admin_json

BODIES: Final = (ScenarioDocument, Step)
"""Schemas of the request bodies, for the OpenAPI document."""


class ScenarioAPI:
    """Handlers around the scenario of one emulator. To change it blocks, see `Store.run`."""

    def __init__(self, emulator: Emulator) -> None:
        self.scenario = emulator.scenario
        self.emulator = emulator

    def router(self) -> APIRouter:
        router = APIRouter(prefix=ADMIN_PREFIX, tags=["faults"])
        router.get("/scenario")(self.show)
        router.put("/scenario", openapi_extra=json_body_schema(ScenarioDocument))(self.replace)
        router.delete("/scenario")(self.clear)
        router.post("/inject", openapi_extra=json_body_schema(Step))(self.inject)
        return router

    async def show(self, request: Request) -> Response:
        """The steps, and how many calls have met each."""
        return JSONResponse(await asyncio.to_thread(self.scenario.as_json))

    async def replace(self, request: Request) -> Response:
        """Begin the scenario in the body; injected steps are gone."""
        return await self._changed(request, self.scenario.load)

    async def clear(self, request: Request) -> Response:
        """Remove all steps."""
        await asyncio.to_thread(self.scenario.clear)
        return await self.show(request)

    async def inject(self, request: Request) -> Response:
        """Inject the step in the body: before those of the scenario, after those injected earlier,
        once where it has no `times`. It goes when it has met all its calls."""
        return await self._changed(request, lambda step: self.scenario.add({"times": 1, **step}))

    async def _changed(
        self, request: Request, change: Callable[[Mapping[str, Any]], None]
    ) -> Response:
        document = await read_admin_json(request.receive, self.emulator)
        try:
            await asyncio.to_thread(change, document)
        except ValueError as error:
            raise errors.bad_scenario(reason=str(error)) from None
        return await self.show(request)
