"""The same call again within a second: it is answered with what it was answered with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from emulator.contract.errors import APIError
from emulator.contract.request import Endpoint
from emulator.settings import Settings
from emulator.state.emulator import Emulator
from emulator.web.call import read_body

LASTING: Final = "lasting"
"""The key in a call's state for a handler's `Lasting`."""

PATH: Final = f"/images/{Endpoint.GENERATIONS}"

OVERHEAD: Final = 4096
"""Bytes that an answer takes beside its body and that of its call, about."""


class Lasting(NamedTuple):
    """What every call with this head and this body gets, as long as the second and the settings are
    the same: a response, made anew where it has ids of its own, and the bytes of its body."""

    again: Callable[[], Response]
    weight: int


class Answer(NamedTuple):
    """What was answered, when, under which settings, and what the journal is to know."""

    again: Callable[[], Response]
    second: datetime
    settings: Settings
    known: Mapping[str, Any]


class Echo:
    """Wraps the application, inside the recorder: half of what a repeated call costs is to find
    out once more what it is."""

    def __init__(self, app: ASGIApp, emulator: Emulator) -> None:
        self.app = app
        self.emulator = emulator
        self._answers = emulator.studio.cache

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A step of a scenario is there for so many calls, be they alike or not.
        if scope["type"] != "http" or self.emulator.scenario or not scope["path"].endswith(PATH):
            await self.app(scope, receive, send)
            return
        settings = self.emulator.settings
        try:
            body = await read_body(scope, receive, settings.max_body)
        except (APIError, ClientDisconnect):
            # The handler will say what is wrong with it.
            await self.app(scope, receive, send)
            return
        state = scope["state"]
        second = state["time"].replace(microsecond=0)
        key = (scope["method"], scope["path"], tuple(scope["headers"]), body)
        answer: Answer | None = self._answers.get(key)
        if answer and answer.second == second and answer.settings is settings:
            state.update(answer.known)
            await answer.again()(scope, receive, send)
            return
        await self.app(scope, receive, send)
        lasting: Lasting | None = state.get(LASTING)
        if lasting and "fault" not in state:
            known = {name: state[name] for name in ("call", "accepted")}
            weight = OVERHEAD + lasting.weight + sum(map(len, body))
            self._answers.put(key, Answer(lasting.again, second, settings, known), weight)
