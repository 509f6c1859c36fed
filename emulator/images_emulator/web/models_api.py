"""The handlers of `GET /models` and `GET /models/{model}`."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from images_emulator.contract import errors, wire
from images_emulator.contract.policy import Policy
from images_emulator.contract.tables_of_day import tables_on
from images_emulator.web.json_responses import json_response


async def list_models(request: Request, policy: Policy) -> Response:
    """List the models of the call's day."""
    models = tables_on(policy.as_of).models.values()
    return json_response(wire.pretty(wire.model_list(models, policy.day)))


async def retrieve_model(request: Request, policy: Policy) -> Response:
    """Describe one model. Raises APIError where no model of the call's day has that name."""
    name = request.path_params["model"]
    model = tables_on(policy.as_of).models.get(name)
    if not model:
        raise errors.model_not_listed(model=name)
    return json_response(wire.pretty(wire.model_object(model, policy.day)))
