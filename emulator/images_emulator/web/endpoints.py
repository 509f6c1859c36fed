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
from images_emulator.contract.policy import Policy
from images_emulator.contract.refusal import APIError
from images_emulator.exchange.served_exchange import ServedExchange, exchange_of
from images_emulator.state.emulator import Emulator
from images_emulator.web.authentication import authenticate
from images_emulator.web.call_policy import policy_of

Handler = Callable[[Request, Policy], Awaitable[Response]]
"""Answers a call of one operation, by the `Policy` of the call."""

Endpoint = Callable[[Request], Awaitable[Response]]
"""Answers all calls to one path."""


class ServedMethod(NamedTuple):
    """A method of a path: its *handler*, and the days on which it is there."""

    handler: Handler
    period: Period = ALWAYS


def handled_method(method: str) -> str:
    """The method whose handler answers a call of *method*: that of GET answers HEAD, too."""
    return "GET" if method == "HEAD" else method


class OpenAIEndpoints:
    """Makes the endpoints of OpenAI's paths."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator

    def endpoint_of(self, methods: Mapping[str, ServedMethod]) -> Endpoint:
        """The endpoint of a path with these *methods*. It calls the handler of the call's method.

        On days on which no method is there, the endpoint raises HTTPException 404. On others, it
        checks the key, then the method. Whatever the handler raises is answered by the `Router`.
        """

        async def endpoint(request: Request) -> Response:
            exchange = exchange_of(request.scope)
            try:
                policy = policy_of(exchange, self.emulator.settings)
            except APIError:
                # The key is checked first. An error about the call's `x-emulator-…` headers is for
                # clients with a key only.
                self.check_key(exchange)
                raise
            method = methods.get(handled_method(exchange.method))
            is_there = method is not None and policy.as_of in method.period
            if not (is_there or any(policy.as_of in each.period for each in methods.values())):
                raise HTTPException(404)
            self.check_key(exchange)
            if method is None or not is_there:
                raise HTTPException(405)
            return await method.handler(request, policy)

        return endpoint

    def check_key(self, exchange: ServedExchange) -> None:
        """Raise APIError unless the call has an accepted key."""
        if authenticate(exchange, self.emulator.settings):
            return
        key = exchange.head.api_key
        raise errors.incorrect_key(key=key_in_message(key)) if key else errors.missing_key()
