"""The same call again within a second: it is answered with what it was answered with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from images_emulator.contract.errors import APIError
from images_emulator.contract.operations import GENERATIONS, operation_at
from images_emulator.settings import Settings
from images_emulator.state.emulator import Emulator
from images_emulator.web.request_body import is_large, read_body

LASTING: Final = "lasting"
"""The key in a call's state for a handler's `Lasting`."""

OVERHEAD: Final = 4096
"""Bytes that an answer takes beside its body and that of its call, about."""


class Lasting(NamedTuple):
    """What every call with this head and this body gets, as long as the second and the settings are
    the same: a response, made anew where it has ids of its own, and the bytes that it holds."""

    again: Callable[[], Response]
    weight: int


class Answer(NamedTuple):
    """What is answered, and what the journal is to know."""

    again: Callable[[], Response]
    known: Mapping[str, Any]


class ResponseCache:
    """Wraps the application, inside the recorder: half of what a repeated call costs is to find
    out once more what it is."""

    def __init__(self, app: ASGIApp, emulator: Emulator) -> None:
        self.app = app
        self.emulator = emulator
        self.answers = emulator.answers
        self._second: datetime | None = None
        self._settings: Settings | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _may_last(scope):
            await self.app(scope, receive, send)
            return
        try:
            body = await read_body(scope, receive, self.emulator.settings.max_body)
        except (APIError, ClientDisconnect):
            # The handler will say what is wrong with it.
            await self.app(scope, receive, send)
            return
        if is_large(body):
            # To hash it would take longer than to answer others.
            await self.app(scope, receive, send)
            return
        state = scope["state"]
        moment = state["time"].replace(microsecond=0), self.emulator.settings
        if not self._is(*moment):
            self.answers.clear()
            self._second, self._settings = moment
        key = (scope["method"], scope["path"], tuple(map(tuple, scope["headers"])), body)
        answer: Answer | None = self.answers.get(key)
        # A step of a scenario is there for so many calls, be they alike or not.
        if answer and not self.emulator.scenario:
            state.update(answer.known)
            await answer.again()(scope, receive, send)
            return
        await self.app(scope, receive, send)
        lasting: Lasting | None = state.get(LASTING)
        # While it was drawn, a second or a change may have passed.
        if lasting and "fault" not in state and self._is(*moment):
            known = {name: state.get(name) for name in ("body", "accepted", "order_facts")}
            heads = sum(len(name) + len(value) for name, value in scope["headers"])
            weight = OVERHEAD + lasting.weight + heads + sum(map(len, body))
            self.answers.put(key, Answer(lasting.again, known), weight)

    def _is(self, second: datetime, settings: Settings) -> bool:
        """Whether the answers are of that second and under these settings, which are other ones
        after each change."""
        return second == self._second and settings is self._settings


def _may_last(scope: Scope) -> bool:
    return scope["type"] == "http" and operation_at(scope["path"]) is GENERATIONS
