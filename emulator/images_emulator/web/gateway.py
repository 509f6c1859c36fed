"""OpenAI's gateway, which every call of the API passes before a handler answers it. The gateway
chooses the day that the call is judged by, and checks the API key and the method.

Azure's gateway is in `azure_gateway.py`. The checks of parameters that the API's gateway makes are
in `contract/validation.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from functools import lru_cache
from typing import Final, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from images_emulator.contract import errors
from images_emulator.contract.calendar import ALWAYS, Period, Policy
from images_emulator.contract.errors import APIError
from images_emulator.exchange.exchange import Exchange, exchange_of
from images_emulator.exchange.head import RequestHead
from images_emulator.settings import Settings, parse_as_of, parse_lenient
from images_emulator.state.emulator import Emulator
from images_emulator.web.authentication import authenticate
from images_emulator.web.json_responses import server_error

T = TypeVar("T")

logger = logging.getLogger("images_emulator")

Handler = Callable[[Request, Policy], Awaitable[Response]]
"""Answers the calls of one operation, which are judged by the `Policy`."""

Endpoint = Callable[[Request], Awaitable[Response]]
"""Answers all calls to one path."""

OVERRIDES: Final = frozenset({b"x-emulator-as-of", b"x-emulator-validation"})
"""The request headers that change the policy of one call, in lower case."""


@lru_cache
def _policy_of_settings(as_of: str, validation: str, today: date) -> Policy:
    return Policy(parse_as_of(as_of, today), parse_lenient(validation), today)


def policy_of(exchange: Exchange, settings: Settings) -> Policy:
    """The policy that judges the call, from the *settings* and the headers that override them for
    one call. Raises APIError for a header whose value is invalid."""
    if exchange.policy is None:
        exchange.policy = _policy(exchange.head, exchange.time.date(), settings)
    return exchange.policy


def _policy(head: RequestHead, today: date, settings: Settings) -> Policy:
    if OVERRIDES.isdisjoint(head.by_name):
        return _policy_of_settings(settings.as_of, settings.validation, today)

    def read(header: str, default: str, parse: Callable[[str], T]) -> T:
        name = header.encode()
        try:
            return parse(head.header(name) if name in head else default)
        except ValueError as error:
            raise errors.bad_override(header=header, reason=str(error)) from None

    return Policy(
        as_of=read("x-emulator-as-of", settings.as_of, lambda text: parse_as_of(text, today)),
        lenient=read("x-emulator-validation", settings.validation, parse_lenient),
        today=today,
    )


class Gateway:
    """The gateway of OpenAI's own paths."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator

    def wrap_handlers(self, handlers: Mapping[str, Handler], period: Period = ALWAYS) -> Endpoint:
        """The endpoint of a path that exists in *period*. It calls the handler of the method.

        Outside *period* the endpoint raises HTTPException 404. Within it, it checks the key, then
        the method. It puts a handler's error into the words of the day that the call is judged by,
        and turns any other exception into the API's error 500.
        """

        async def endpoint(request: Request) -> Response:
            exchange = exchange_of(request.scope)
            try:
                policy = policy_of(exchange, self.emulator.settings)
            except APIError:
                # Only a client with a key is told of a mistake in the emulator's own headers.
                self.check_key(exchange)
                raise
            if policy.as_of not in period:
                raise HTTPException(404)
            try:
                self.check_key(exchange)
                # The handler of GET answers a HEAD request, too.
                method = "GET" if exchange.method == "HEAD" else exchange.method
                if method not in handlers:
                    raise HTTPException(405)
                return await handlers[method](request, policy)
            except APIError as error:
                raise error.on(policy.day) from None
            except (HTTPException, ClientDisconnect):
                raise
            except Exception as error:
                # If it left this function, the server would close the connection, and the client's
                # next request on that connection would fail.
                logger.exception("%s %s failed", exchange.method, exchange.path)
                raise server_error(exchange) from error

        return endpoint

    def check_key(self, exchange: Exchange) -> None:
        """Raise APIError unless the call has an accepted key."""
        if authenticate(exchange, self.emulator.settings):
            return
        key = exchange.head.api_key
        raise errors.incorrect_key(key=errors.mask_key(key)) if key else errors.missing_key()
