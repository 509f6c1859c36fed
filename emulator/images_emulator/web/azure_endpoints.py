"""The endpoints of Azure's paths. `AzureEndpoints.endpoint_of` has their checks in order.

Azure's messages, headers and bodies are in `contract/azure.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from images_emulator.contract import azure
from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import Operation
from images_emulator.contract.policy import Policy
from images_emulator.contract.request import ParsedCall
from images_emulator.exchange.exchange import Exchange
from images_emulator.exchange.served_exchange import ServedExchange, exchange_of
from images_emulator.state.emulator import Emulator
from images_emulator.web.authentication import accept_key
from images_emulator.web.endpoints import (
    Endpoint,
    OpenAIEndpoints,
    ServedMethod,
    handled_method,
)


def deployment_of(exchange: Exchange, model: object) -> str:
    """The deployment that the path names, or else the body as its *model*."""
    return azure.deployment_in(exchange.path) or str(model or "")


def model_behind_deployment(exchange: Exchange, model: object, emulator: Emulator) -> str | None:
    """The model behind the deployment that the call names, in its path or as the *model* in its
    body. None for a call that names none, or that is not to Azure."""
    if exchange.dialect is not azure.AZURE:
        return None
    deployment = deployment_of(exchange, model)
    return emulator.deployments.get(deployment, deployment) or None


def message_values_of_call(exchange: ServedExchange, emulator: Emulator) -> Mapping[str, str]:
    """The `message_values` of the deployment that the call names. The name in the body counts only
    if the body is parsed already."""
    model = exchange.cached_call.fields.get("model") if exchange.cached_call else None
    model_id = model_behind_deployment(exchange, model, emulator)
    return exchange.message_values(deployment_of(exchange, model), model_id or "")


def api_version_has(exchange: ServedExchange, operation: Operation) -> bool:
    """Whether the `api-version` of the call has *operation*. Only paths of deployments need an
    `api-version`."""
    if not azure.deployment_in(exchange.path):
        return True
    return azure.version_has(operation, exchange.head.api_version)


def serves_operation(exchange: ServedExchange, policy: Policy) -> bool:
    """Whether the endpoint of the path lets the call reach the handler of its image operation, if
    its key is accepted: by its method, its day, and below a deployment its `api-version`."""
    operation = exchange.image_operation
    if not (operation and exchange.method == operation.method and policy.as_of in operation.period):
        return False
    return api_version_has(exchange, operation)


class AzureEndpoints(OpenAIEndpoints):
    """Makes the endpoints of Azure's paths."""

    def endpoint_of(self, methods: Mapping[str, ServedMethod]) -> Endpoint:
        """The endpoint of a path with these *methods*. It checks, in this order, the method, the
        `api-version`, the day of the operation and the key, as Azure API Management does in front
        of the service; then the deployment in the path, as the service does before it reads the
        body. Then it calls the handler, which checks the deployment in the body:
        `model_of_deployment`.

        Where a check before that of the key fails, the endpoint raises the error of a path that
        does not exist. An invalid `x-emulator-…` header is an error of the emulator, after the key.
        """

        async def endpoint(request: Request) -> Response:
            exchange = exchange_of(request.scope)
            method = methods.get(handled_method(exchange.method))
            if method is None:
                raise azure.not_found()
            operation = method.operation
            if operation and not api_version_has(exchange, operation):
                raise azure.not_found()
            policy = self.checked_policy(exchange)
            if policy.as_of not in method.period:
                raise azure.not_found()
            self.check_key(exchange)
            if operation and azure.deployment_in(exchange.path):
                self._find_deployment(exchange)
            return await method.handler(request, policy)

        return endpoint

    def check_key(self, exchange: ServedExchange) -> None:
        """Raise APIError unless the call has an accepted key, and note that API Management has let
        it pass."""
        if not accept_key(exchange, self.emulator.settings):
            raise azure.access_denied()
        exchange.passed_api_management = True

    def model_of_deployment(self, request: Request, call: ParsedCall) -> str:
        """The model behind the deployment that the path or the body names. Raises APIError where
        there is no such deployment."""
        return self._find_deployment(exchange_of(request.scope), call.fields.get("model"))

    def _find_deployment(self, exchange: ServedExchange, model: object = None) -> str:
        """The model behind the deployment that the path names, or else the body as its *model*.
        Notes the deployment in *exchange*. Raises APIError where there is no such deployment."""
        model_id = model_behind_deployment(exchange, model, self.emulator)
        if model_id is None or model_id not in MODELS:
            raise azure.no_deployment()
        exchange.deployment = deployment_of(exchange, model)
        return model_id
