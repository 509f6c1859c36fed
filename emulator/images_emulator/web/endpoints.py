"""The endpoints of OpenAI's paths. An endpoint checks the period of its path, the API key and the
method, and then calls the handler of the operation.

A new endpoint begins with a row in `contract/operations.py`. The endpoints of Azure's paths are in
`azure_endpoints.py`. The handlers check parameters: see `contract/validation.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from images_emulator.contract import errors
from images_emulator.contract.calendar import ALWAYS, Period
from images_emulator.contract.message_format import key_in_message
from images_emulator.contract.operations import Operation
from images_emulator.contract.policy import Policy
from images_emulator.contract.refusal import APIError
from images_emulator.exchange.served_exchange import ServedExchange, exchange_of
from images_emulator.state.emulator import Emulator
from images_emulator.web.authentication import accept_key
from images_emulator.web.call_policy import policy_of

Handler = Callable[[Request, Policy], Awaitable[Response]]
"""Answers a call of one operation, by the `Policy` of the call."""

Endpoint = Callable[[Request], Awaitable[Response]]
"""Answers all calls to one path."""


class ServedMethod(NamedTuple):
    """A method of a path, with its *handler*."""

    handler: Handler
    operation: Operation | None = None
    """The operation; None at a path that the emulator does not serve, whose handler refuses every
    call."""

    @property
    def period(self) -> Period:
        """The days on which the method is there."""
        return self.operation.period if self.operation else ALWAYS


def handled_method(method: str) -> str:
    """The method whose handler answers a call of *method*: that of GET answers HEAD, too."""
    return "GET" if method == "HEAD" else method


class OpenAIEndpoints:
    """Makes the endpoints of OpenAI's paths."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator

    def endpoint_of(self, methods: Mapping[str, ServedMethod]) -> Endpoint:
        """The endpoint of a path with these *methods*. It checks, in this order, the day of the
        path, the key and the method, and then calls the handler.

        The endpoint raises HTTPException with status 404 on days on which no method is there, and
        with status 405 for any other method. Whatever the handler raises is answered by the
        `Router`.
        """

        async def endpoint(request: Request) -> Response:
            exchange = exchange_of(request.scope)
            policy = self.checked_policy(exchange)
            if not any(policy.as_of in each.period for each in methods.values()):
                raise HTTPException(404)
            self.check_key(exchange)
            method = methods.get(handled_method(exchange.method))
            if method is None or policy.as_of not in method.period:
                raise HTTPException(405)
            return await method.handler(request, policy)

        return endpoint

    def checked_policy(self, exchange: ServedExchange) -> Policy:
        """The policy of the call. Raises APIError where an `x-emulator-…` header is invalid. The
        key is checked before this error is raised: only a client with a key is told of it."""
        try:
            return policy_of(exchange, self.emulator.settings)
        except APIError:
            self.check_key(exchange)
            raise

    def check_key(self, exchange: ServedExchange) -> None:
        """Raise APIError unless the call has an accepted key."""
        if accept_key(exchange, self.emulator.settings):
            return
        key = exchange.head.api_key
        raise errors.incorrect_key(key=key_in_message(key)) if key else errors.missing_key()
