"""The endpoints of Azure's paths. They check, in this order, the operation, `api-version` and
`api-key`, as Azure API Management does in front of the service, and the deployment in the path or
in the body, as the service does.

Azure's messages, headers and bodies are in `contract/azure.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response

from images_emulator.contract import azure
from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import Operation
from images_emulator.contract.policy import Policy
from images_emulator.contract.request import ParsedCall
from images_emulator.exchange.served_exchange import ServedExchange, exchange_of
from images_emulator.state.emulator import Emulator
from images_emulator.web.authentication import authenticate
from images_emulator.web.endpoints import (
    Endpoint,
    Handler,
    OpenAIEndpoints,
    ServedMethod,
    handled_method,
)


def deployment_of(exchange: ServedExchange, model: object) -> str:
    """The deployment that the path names, or else the body as its *model*."""
    return azure.deployment_in(exchange.path) or str(model or "")


def message_values_of_call(exchange: ServedExchange, emulator: Emulator) -> Mapping[str, str]:
    """The `message_values` of the deployment that the call names. Of the body it knows what is
    parsed already."""
    model = exchange.cached_call.fields.get("model") if exchange.cached_call else None
    deployment = deployment_of(exchange, model)
    return exchange.message_values(deployment, emulator.deployments.get(deployment, deployment))


def serves_operation(exchange: ServedExchange, policy: Policy) -> bool:
    """Whether the endpoint of the path lets the call reach the handler of its image operation, if
    its key is accepted: by its method, its day, and below a deployment its `api-version`."""
    operation = exchange.image_operation
    if not (operation and exchange.method == operation.method and policy.as_of in operation.period):
        return False
    needs_version = azure.deployment_in(exchange.path)
    return not needs_version or azure.version_has(operation, exchange.head.api_version)


class AzureEndpoints(OpenAIEndpoints):
    """Makes the endpoints of Azure's paths, which check the operation first and then the key."""

    def check_key(self, exchange: ServedExchange) -> None:
        """Raise APIError unless the call has an accepted key, and note that API Management has let
        it pass."""
        if not authenticate(exchange, self.emulator.settings):
            raise azure.access_denied()
        exchange.passed_api_management = True

    def endpoint_of(self, methods: Mapping[str, ServedMethod]) -> Endpoint:
        """The endpoint of a path with these *methods*. For any other method it raises the
        error of a path that does not exist."""
        endpoint = super().endpoint_of(methods)

        async def with_method(request: Request) -> Response:
            if handled_method(request.method) not in methods:
                raise azure.not_found()
            return await endpoint(request)

        return with_method

    def require_api_version(self, operations: Sequence[Operation], endpoint: Endpoint) -> Endpoint:
        """*endpoint*, behind a check of the call's `api-version`. Where that version has none of
        the *operations* for the method, the endpoint raises the error of a path that does not
        exist."""
        by_method = {each.method: each for each in operations}

        async def with_version(request: Request) -> Response:
            operation = by_method.get(handled_method(request.method))
            version = exchange_of(request.scope).head.api_version
            if not (operation and azure.version_has(operation, version)):
                raise azure.not_found()
            return await endpoint(request)

        return with_version

    def require_deployment(self, handler: Handler) -> Handler:
        """*handler*, behind a check that the deployment in the path exists. The check comes before
        the body is read."""

        async def with_deployment(request: Request, policy: Policy) -> Response:
            self._find_deployment(exchange_of(request.scope))
            return await handler(request, policy)

        return with_deployment

    def model_of_deployment(self, request: Request, call: ParsedCall) -> str:
        """The model behind the deployment that the path or the body names. Raises APIError where
        there is no such deployment."""
        return self._find_deployment(exchange_of(request.scope), call.fields.get("model"))

    def _find_deployment(self, exchange: ServedExchange, model: object = None) -> str:
        """The model behind the deployment that the path names, or else the body as its *model*.
        Notes the deployment in *exchange*. Raises APIError where there is no such deployment."""
        deployment = deployment_of(exchange, model)
        model_name = self.emulator.deployments.get(deployment, deployment)
        if model_name not in MODELS:
            raise azure.no_deployment()
        exchange.deployment = deployment
        return model_name
