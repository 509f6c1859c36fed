"""The admin API, `/_emulator`: health and readiness, version, settings, models, clock, hosting,
reset, and the OpenAPI document of the API."""

from __future__ import annotations

import asyncio
import logging
import platform
from collections.abc import Mapping
from datetime import datetime
from functools import cache, partial
from importlib.metadata import version
from typing import Annotated, Any, Final, Literal, get_type_hints

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import Field, ValidationError, create_model
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from images_emulator.admin_prefix import ADMIN_PREFIX
from images_emulator.changeable_settings import CHANGEABLE, SettingChanges
from images_emulator.contract import admin_errors
from images_emulator.contract.api_document import api_document
from images_emulator.contract.model_listing import models_json
from images_emulator.contract.refusal import APIError
from images_emulator.distribution import DISTRIBUTION
from images_emulator.web.admin.admin_audit import note_detail
from images_emulator.web.admin.admin_body import AdminBody
from images_emulator.web.admin.admin_docs import add_docs, error_responses, json_body_schema
from images_emulator.web.admin.admin_handlers import AdminHandlers
from images_emulator.web.admin.events_api import EventsAPI
from images_emulator.web.admin.health import HEALTH
from images_emulator.web.admin.journal_api import JournalAPI
from images_emulator.web.admin.namespaces_api import NamespacesAPI
from images_emulator.web.admin.scenario_api import BODIES, ScenarioAPI
from images_emulator.web.admin.session_api import SessionAPI, Token
from images_emulator.web.admin.state_json import (
    ClockState,
    HostingState,
    clock_state,
    read_hosting_state,
    settings_json,
)
from images_emulator.web.admin.thumbnails_api import ThumbnailsAPI
from images_emulator.web.json_responses import error_response_without_exchange
from images_emulator.web.request_body import read_admin_json

logger = logging.getLogger("images_emulator")


class ClockMove(AdminBody):
    """Body of `POST /_emulator/clock`, with one of four keys: `advance` by seconds, `freeze` at a
    moment (in UTC where it names no zone), `resume`, or `reset` to the machine's time."""

    advance: Annotated[float, Field(allow_inf_nan=False)] | None = None
    freeze: Annotated[datetime, Field(strict=False)] | None = None
    resume: Literal[True] | None = None
    reset: Literal[True] | None = None


_FIELDS: Final[Mapping[str, Any]] = {
    name: (hint, None) for name, hint in get_type_hints(SettingChanges).items()
}

SettingsPatch = create_model(
    "SettingsPatch",
    __base__=AdminBody,
    __doc__="Body of `PATCH /_emulator/settings`: new values of some of these settings. Null is "
    "the value at the start.",
    **_FIELDS,
)
"""The body of `PATCH /_emulator/settings`."""

CHANGE_SETTINGS: Final = (
    f"Change settings ({', '.join(f'`{name}`' for name in CHANGEABLE)}) until `reset`; null puts "
    "one back to its start."
)
"""The sentence of the docs about `PATCH /_emulator/settings`."""


class AdminAPI(AdminHandlers):
    """Handlers that concern the emulator as a whole."""

    def router(self) -> APIRouter:
        """The routes of the handlers."""
        router = APIRouter(prefix=ADMIN_PREFIX, tags=["emulator"])
        router.get("/health")(self.health)
        router.get("/ready", responses=error_responses(admin_errors.not_ready))(self.ready)
        router.get("/version")(self.version)
        router.get("/settings")(self.settings)
        body_errors = error_responses(admin_errors.unknown_input)
        router.patch(
            "/settings",
            description=CHANGE_SETTINGS,
            openapi_extra=json_body_schema(SettingsPatch),
            responses=body_errors,
        )(self.change_settings)
        router.get("/models")(self.models)
        router.get("/api")(self.api)
        router.get("/clock")(self.clock)
        router.post("/clock", openapi_extra=json_body_schema(ClockMove), responses=body_errors)(
            self.move_clock
        )
        router.get("/hosting")(self.hosting)
        router.post("/reset", responses=error_responses(admin_errors.bad_scenario))(self.reset)
        return router

    async def health(self) -> dict[str, str]:
        """Answers as soon as the server accepts connections."""
        return HEALTH

    async def ready(self) -> dict[str, str]:
        """503 until everything that the first picture needs is loaded, and while the store is away.
        The first call of this path, or the first picture, begins to load it; a worker does so when
        it begins to serve."""
        # First, so that the first question begins to load.
        is_warm = self.emulator.renderer.warm_up()
        if failure := self.emulator.store.failure:
            raise failure
        if not is_warm:
            raise admin_errors.not_ready()
        return {"status": "ready"}

    async def version(self) -> dict[str, str]:
        """The versions of the emulator and of its Python."""
        return {
            "name": DISTRIBUTION,
            "version": version(DISTRIBUTION),
            "python": platform.python_version(),
        }

    async def settings(self) -> dict[str, Any]:
        """The current settings, with keys redacted; `changed` names those that differ from the
        start."""
        return settings_json(self.emulator)

    async def change_settings(self, request: Request) -> dict[str, Any]:
        """See `CHANGE_SETTINGS`."""
        body = await read_admin_json(request.receive, self.emulator)
        change = SettingsPatch.model_validate(body)
        initial = self.emulator.initial_settings
        values = {
            name: getattr(initial, name) if value is None else value
            for name, value in change.model_dump(exclude_unset=True).items()
        }
        note_detail(", ".join(f"{name}={value}" for name, value in values.items()))
        try:
            await asyncio.to_thread(partial(self.emulator.configure, **values))
        except ValueError as error:
            name, _, reason = str(error).partition(": ")
            raise admin_errors.bad_input(name=name, reason=reason) from None
        return settings_json(self.emulator)

    async def models(self) -> dict[str, Any]:
        """Each model's dates, and its JSON Schema for each endpoint."""
        return models_json()

    async def api(self) -> dict[str, Any]:
        """The API as an OpenAPI document: what the models take at each path, and the possible
        answers."""
        return api_document(version(DISTRIBUTION))

    async def clock(self) -> ClockState:
        """The emulator's time, by which URLs and rate limits expire."""
        return clock_state(self.emulator)

    async def hosting(self) -> HostingState:
        """The pictures that can be downloaded by URL, and when the first of them expires."""
        return await read_hosting_state(self.emulator)

    async def move_clock(self, request: Request) -> ClockState:
        """Advance the clock, freeze it, let it run on, or show the machine's time again."""
        clock = self.emulator.clock
        body = await read_admin_json(request.receive, self.emulator)
        move = ClockMove.model_validate(body)
        keys = list(move.model_dump(exclude_none=True))
        if len(keys) != 1:
            reason = "expected one of 'advance', 'freeze', 'resume' and 'reset'"
            raise admin_errors.bad_input(name="body", reason=reason)
        value = getattr(move, keys[0])
        note_detail(keys[0] if value is True else f"{keys[0]}={value}")
        try:
            if move.advance is not None:
                await asyncio.to_thread(clock.advance, seconds=move.advance)
            elif move.freeze is not None:
                await asyncio.to_thread(clock.freeze, move.freeze)
            elif move.resume:
                await asyncio.to_thread(clock.resume)
            else:
                await asyncio.to_thread(clock.reset)
        except ValueError as error:
            raise admin_errors.bad_input(name=keys[0], reason=str(error)) from None
        return await self.clock()

    async def reset(self) -> dict[str, str]:
        """Forget calls, pictures, files, injected faults and answers; clock, settings and scenario
        are as at the start."""
        try:
            await asyncio.to_thread(self.emulator.reset)
        except ValueError as error:
            raise admin_errors.bad_scenario(reason=str(error)) from None
        return {"status": "ok"}


# --- errors, all of one shape


async def _answer_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, APIError)
    note_detail(error.newest.code or error.newest.message)
    return error_response_without_exchange(error)


async def _answer_invalid_input(request: Request, error: Exception) -> Response:
    """A body or a parameter that pydantic refuses."""
    assert isinstance(error, RequestValidationError | ValidationError)
    first = error.errors()[0]
    # FastAPI's errors begin with the part of the request: `query` or `path`.
    start = 1 if isinstance(error, RequestValidationError) else 0
    name = ".".join(str(part) for part in first["loc"][start:]) or "body"
    refusal = admin_errors.bad_input(name=name, reason=first["msg"])
    note_detail(refusal.newest.code)
    return error_response_without_exchange(refusal)


async def _answer_unrouted(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    refusal = admin_errors.wrong_method if error.status_code == 405 else admin_errors.no_such_path
    api_error = refusal(path=request.scope["path"], method=request.method)
    note_detail(api_error.newest.code)
    answer = error_response_without_exchange(api_error)
    answer.headers.update(error.headers or {})
    return answer


async def _answer_disconnect(request: Request, error: Exception) -> Response:
    """The client left in the middle of its request. Nobody reads this response."""
    return Response(status_code=499)


async def _answer_failure(request: Request, error: Exception) -> Response:
    logger.error("%s %s broke", request.method, request.scope["path"])
    return error_response_without_exchange(admin_errors.broken())


@cache
def create_admin_api() -> FastAPI:
    """The admin API as an application, with its own OpenAPI document. It is called through
    `ContextMiddleware`, which sets the emulator."""
    app = FastAPI(
        title=DISTRIBUTION,
        version=version(DISTRIBUTION),
        openapi_url=f"{ADMIN_PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={
            APIError: _answer_refusal,
            RequestValidationError: _answer_invalid_input,
            ValidationError: _answer_invalid_input,
            HTTPException: _answer_unrouted,
            ClientDisconnect: _answer_disconnect,
            Exception: _answer_failure,
        },
    )
    app.include_router(AdminAPI().router())
    app.include_router(JournalAPI().router())
    app.include_router(EventsAPI().router())
    app.include_router(ThumbnailsAPI().router())
    app.include_router(ScenarioAPI().router())
    app.include_router(SessionAPI().router())
    app.include_router(NamespacesAPI().router())
    add_docs(app, ClockMove, SettingsPatch, Token, *BODIES)
    return app
