"""The same calls as Azure has them: a deployment in the path, `api-key`, its own errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from emulator.contract import errors
from emulator.contract.errors import APIError
from emulator.contract.models import MODELS
from emulator.contract.request import Call
from emulator.state.emulator import Emulator
from emulator.web import wire
from emulator.web.gate import JSON, Gate, Handler, Route, authenticated


class AzureGate(Gate):
    """Takes the key from `api-key` or a bearer token, and says errors as Azure does.

    Raises ValueError where a deployment's model is none.
    """

    def __init__(self, emulator: Emulator) -> None:
        super().__init__(emulator)
        self.deployments = dict(each.split("=", 1) for each in emulator.settings.deployment)
        for name, model in self.deployments.items():
            if model not in MODELS:
                raise ValueError(f"deployment: '{name}' is to be '{model}', which is no model")

    def check_key(self, request: Request) -> None:
        if not authenticated(request.scope, self.emulator.settings):
            raise errors.azure_access_denied()

    def guarded(self, methods: dict[str, Handler], retired: date | None = None) -> Route:
        return self.worded(super().guarded(methods, retired))

    def versioned(self, methods: dict[str, Handler]) -> Route:
        """The same for the paths that want an `api-version`."""
        entered = super().guarded(methods)

        async def checked(request: Request) -> Response:
            self.check_key(request)
            if not request.query_params.get("api-version"):
                raise errors.azure_no_version()
            return await entered(request)

        return self.worded(checked)

    def worded(self, route: Callable[[Request], Awaitable[Response]]) -> Route:
        async def answered(request: Request) -> Response:
            try:
                return await route(request)
            except HTTPException as refused:
                if refused.status_code != 405:
                    raise
                error = errors.method_not_allowed(method=request.method, path=request.url.path)
                return Response(wire.pretty(azure_body(error)), 405, media_type=JSON)
            except APIError as error:
                return azure_error_response(error)

        return answered

    def deployed(self, request: Request, call: Call) -> str:
        """The model behind the deployment that the path or the body names."""
        named = request.path_params.get("deployment", call.fields.get("model", ""))
        model = self.deployments.get(str(named), str(named))
        if model not in MODELS:
            raise errors.azure_no_deployment()
        return model


def azure_error_response(error: APIError) -> Response:
    return Response(wire.pretty(azure_body(error)), error.status, dict(error.headers), JSON)


def azure_body(error: APIError) -> dict[str, Any]:
    """Azure writes `code` first, and of its own errors only `code` and `message`."""
    told = {"code": error.code, "message": error.message}
    if error.type != errors.AZURE:
        told |= {"param": error.param, "type": error.type}
    return {"error": told}
