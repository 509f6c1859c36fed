"""Authentication: what every call of the API passes before it is answered: the day by which it is
judged, the key, the method."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from functools import lru_cache
from typing import Final, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from images_emulator.contract import errors
from images_emulator.contract.calendar import ALWAYS, Period, Policy
from images_emulator.contract.dialect import OPENAI, Dialect
from images_emulator.contract.errors import APIError
from images_emulator.contract.operations import JSON
from images_emulator.exchange.exchange import Exchange, exchange_of
from images_emulator.exchange.head import RequestHead
from images_emulator.settings import Settings, parse_as_of, parse_lenient
from images_emulator.state.emulator import Emulator

T = TypeVar("T")

logger = logging.getLogger("images_emulator")

Handler = Callable[[Request, Policy], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


OVERRIDES: Final = frozenset({b"x-emulator-as-of", b"x-emulator-validation"})
JSON_BYTES: Final = JSON.encode()


class JSONBytes(Response):
    """A body that is JSON already, with status 200. Starlette's own way to write these two headers
    takes half as long as the rest of a repeated call's answer; it knows of background tasks and
    websockets, too."""

    def __init__(self, body: bytes) -> None:
        self.status_code = 200
        self.body = body
        self.raw_headers = [
            (b"content-length", b"%d" % len(body)),
            (b"content-type", JSON_BYTES),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})


def json_response(body: bytes, status: int = 200) -> Response:
    return JSONBytes(body) if status == 200 else Response(body, status, media_type=JSON)


def error_response(error: APIError, dialect: Dialect = OPENAI) -> Response:
    # Its traceback holds the frames of the call, and these hold the error: left as it is, such a
    # cycle keeps bodies and pictures until the garbage collector comes to it.
    error.__traceback__ = None
    return Response(dialect.error_body(error), error.status, dict(error.headers), JSON)


def server_error(exchange: Exchange) -> APIError:
    """The answer to a call in which the emulator itself fails."""
    return exchange.dialect.refusal("server_error")(request_id=exchange.id)


@lru_cache
def _policy_of_settings(as_of: str, validation: str, today: date) -> Policy:
    return Policy(parse_as_of(as_of, today), parse_lenient(validation), today)


def policy_of(exchange: Exchange, settings: Settings) -> Policy:
    """How the call is judged: the *settings*, and the headers that change them for one call. Raises
    APIError for a header that says neither."""
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


def authenticate(exchange: Exchange, settings: Settings) -> bool:
    """Whether the call has an API key that is accepted, which becomes its principal: any key,
    unless the *settings* name some."""
    if exchange.principal is None:
        key = exchange.head.api_key
        if key and (not settings.api_key or key in settings.api_key):
            exchange.principal = key
    return exchange.principal is not None


class ApiAuth:
    """The gateway before OpenAI's own paths."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator

    def endpoint(self, handlers: Mapping[str, Handler], period: Period = ALWAYS) -> Endpoint:
        """An endpoint that calls one of *handlers*, by the call's method. It checks the key before
        anything else but whether the path is there at all: outside *period* it is not."""

        async def endpoint(request: Request) -> Response:
            exchange = exchange_of(request.scope)
            try:
                policy = policy_of(exchange, self.emulator.settings)
            except APIError:
                # A mistake in the emulator's own headers is for those who have a key.
                self.check_key(exchange)
                raise
            if policy.as_of not in period:
                raise HTTPException(404)
            try:
                self.check_key(exchange)
                # A HEAD request is answered with what GET has.
                method = "GET" if exchange.method == "HEAD" else exchange.method
                if method not in handlers:
                    raise HTTPException(405)
                return await handlers[method](request, policy)
            except APIError as error:
                raise error.on(policy.day) from None
            except (HTTPException, ClientDisconnect):
                raise
            except Exception as error:
                # Raised on, it would close the connection under the client's next request.
                logger.exception("%s %s failed", exchange.method, exchange.path)
                raise server_error(exchange) from error

        return endpoint

    def check_key(self, exchange: Exchange) -> None:
        """Raises APIError without a key that is accepted."""
        if authenticate(exchange, self.emulator.settings):
            return
        key = exchange.head.api_key
        raise errors.incorrect_key(key=errors.mask_key(key)) if key else errors.missing_key()
