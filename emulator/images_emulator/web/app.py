"""The application: the routes, the one place that writes errors, and the layers around them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from images_emulator.contract.errors import APIError
from images_emulator.state.emulator import Emulator
from images_emulator.web.admin import Admin
from images_emulator.web.api import routes
from images_emulator.web.authentication import error_response, server_error
from images_emulator.web.cors import CORS
from images_emulator.web.dialect import dialect_of
from images_emulator.web.fault_middleware import FaultMiddleware
from images_emulator.web.path_hints import PathHints
from images_emulator.web.recorder import Recorder
from images_emulator.web.response_cache import ResponseCache

Handler = Callable[[Request, Any], Coroutine[Any, Any, Response]]


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, APIError)
    return error_response(error, dialect_of(request.scope))


async def _unrouted(request: Request, error: Exception) -> Response:
    """No such path, or not by that method: in OpenAI's dialect an empty 404, and words."""
    assert isinstance(error, HTTPException)
    dialect = dialect_of(request.scope)
    refusal = dialect.wrong_method if error.status_code == 405 else dialect.unknown_path
    if refusal is None:
        return Response(status_code=error.status_code)
    return error_response(refusal(method=request.method, path=request.url.path), dialect)


async def _broken(request: Request, error: Exception) -> Response:
    return error_response(server_error(request), dialect_of(request.scope))


async def _gone(request: Request, error: Exception) -> Response:
    """The client hung up in the middle of its request; nobody reads this."""
    return Response(status_code=499)


HANDLERS: Final[dict[type[Exception], Handler]] = {
    APIError: _refused,
    HTTPException: _unrouted,
    ClientDisconnect: _gone,
    Exception: _broken,
}


class Front:
    """Finds the fixed paths in a dictionary and leads past the framework's own layers, which cost
    as much as all else that a repeated call does; every other path goes to *app*."""

    def __init__(self, app: ASGIApp, routes: Iterable[Route]) -> None:
        self.app = app
        self._doors = {route.path: route.endpoint for route in routes if "{" not in route.path}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        door = self._doors.get(scope["path"]) if scope["type"] == "http" else None
        if door is None:
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive, send)
        try:
            response: Response = await door(request)
        except tuple(HANDLERS) as error:
            handler = next(each for kind, each in HANDLERS.items() if isinstance(error, kind))
            response = await handler(request, error)
        await response(scope, receive, send)


def create_app(emulator: Emulator | None = None) -> ASGIApp:
    """The emulator as an ASGI application, around the state of *emulator*.

    FastAPI makes the admin API, whose pages it describes. For the API's own paths, whose bodies
    are read by hand in any case, its parts are enough: it takes half of a server's start.
    """
    emulator = emulator or Emulator()
    served = routes(emulator)
    app = Starlette(routes=served, exception_handlers=HANDLERS)
    app.router.redirect_slashes = False
    router = PathHints(app, served, emulator)
    inner = ResponseCache(FaultMiddleware(Front(router, served), emulator), emulator)
    return CORS(Recorder(inner, Admin(emulator), emulator), emulator)
