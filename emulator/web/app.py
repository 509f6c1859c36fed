"""The application: the routes, the one place that writes errors, and the layers around them."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp

from emulator.contract import errors
from emulator.contract.errors import APIError
from emulator.state.emulator import Emulator
from emulator.web.api import routes
from emulator.web.control import ControlPlane
from emulator.web.gate import error_response
from emulator.web.injector import Injector
from emulator.web.recorder import Recorder


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, APIError)
    return error_response(error)


async def _unrouted(request: Request, error: Exception) -> Response:
    """No such path: an empty 404, as the API answers today. A wrong method has words."""
    assert isinstance(error, HTTPException)
    if error.status_code != 405:
        return Response(status_code=error.status_code)
    refusal = errors.method_not_allowed(method=request.method, path=request.url.path)
    return error_response(refusal)


async def _broken(request: Request, error: Exception) -> Response:
    return error_response(errors.server_error())


async def _gone(request: Request, error: Exception) -> Response:
    """The client hung up in the middle of its request; nobody reads this."""
    return Response(status_code=499)


def create_app(emulator: Emulator | None = None) -> ASGIApp:
    """The emulator as an ASGI application, around the state of *emulator*."""
    emulator = emulator or Emulator()
    app = FastAPI(
        openapi_url=None,
        redirect_slashes=False,
        routes=[*routes(emulator)],
        exception_handlers={
            APIError: _refused,
            HTTPException: _unrouted,
            ClientDisconnect: _gone,
            Exception: _broken,
        },
    )
    return Recorder(Injector(app, emulator), ControlPlane(emulator), emulator)
