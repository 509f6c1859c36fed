"""The control plane of faults: the scenario, and what is injected into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emulator.contract import errors
from emulator.state.emulator import Emulator
from emulator.web.call import parse_json, read_body
from emulator.web.recorder import OWN


class Injection:
    """The handlers, around one emulator's scenario."""

    def __init__(self, emulator: Emulator) -> None:
        self.scenario = emulator.scenario
        self.most = emulator.settings.max_body

    async def show(self, request: Request) -> Response:
        """The steps, and how many calls have met each."""
        return JSONResponse(self.scenario.as_json())

    async def replace(self, request: Request) -> Response:
        """Begin the scenario in the body."""
        return await self._changed(request, self.scenario.load)

    async def clear(self, request: Request) -> Response:
        """No more faults."""
        self.scenario.clear()
        return await self.show(request)

    async def inject(self, request: Request) -> Response:
        """Put the step in the body before all others; once, where it does not say how often."""
        return await self._changed(request, lambda step: self.scenario.add({"times": 1, **step}))

    async def _changed(
        self, request: Request, change: Callable[[Mapping[str, Any]], None]
    ) -> Response:
        given = parse_json(b"".join(await read_body(request, self.most)))
        try:
            change(given)
        except ValueError as error:
            raise errors.bad_scenario(reason=str(error)) from None
        return await self.show(request)


def routes(emulator: Emulator) -> list[Route]:
    handlers = Injection(emulator)
    return [
        Route(f"{OWN}/scenario", handlers.show, methods=["GET"]),
        Route(f"{OWN}/scenario", handlers.replace, methods=["PUT"]),
        Route(f"{OWN}/scenario", handlers.clear, methods=["DELETE"]),
        Route(f"{OWN}/inject", handlers.inject, methods=["POST"]),
    ]
