"""What every call passes before it is read: the day, the key, the method."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import date
from functools import lru_cache
from typing import Final, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from images_emulator.contract import errors
from images_emulator.contract.calendar import AsOf, Period, Policy
from images_emulator.contract.dialect import OPENAI, Dialect
from images_emulator.contract.errors import APIError
from images_emulator.settings import Settings, parse_as_of, parse_lenient
from images_emulator.state.emulator import Emulator
from images_emulator.web.dialect import dialect_of
from images_emulator.web.request_body import headers_of, key_of

T = TypeVar("T")

logger = logging.getLogger("images_emulator")

Handler = Callable[[Request, Policy], Awaitable[Response]]
Route = Callable[[Request], Awaitable[Response]]


OVERRIDES: Final = frozenset({b"x-emulator-as-of", b"x-emulator-validation"})
JSON: Final = "application/json"
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


def server_error(request: Request) -> APIError:
    """What a call is told in which the emulator itself broke."""
    refusal = dialect_of(request.scope).refusal("server_error")
    return refusal(request_id=request.scope["state"]["request_id"])


@lru_cache
def _policy_of(as_of: str, validation: str, today: date) -> Policy:
    return Policy(parse_as_of(as_of, today), parse_lenient(validation), today)


def policy_of(scope: Scope, settings: Settings) -> Policy:
    """How the call in *scope* is judged: the settings, and the headers that change them for one
    call. Raises APIError for a header that says neither."""
    today, headers = scope["state"]["time"].date(), headers_of(scope)
    if OVERRIDES.isdisjoint(headers):
        return _policy_of(settings.as_of, settings.validation, today)

    def read(header: str, default: str, parse: Callable[[str], T]) -> T:
        try:
            return parse(headers.get(header.encode(), default.encode()).decode("latin-1"))
        except ValueError as error:
            raise errors.bad_override(header=header, reason=str(error)) from None

    return Policy(
        as_of=read("x-emulator-as-of", settings.as_of, lambda text: parse_as_of(text, today)),
        lenient=read("x-emulator-validation", settings.validation, parse_lenient),
        today=today,
    )


def day_of(scope: Scope, settings: Settings) -> AsOf:
    """The day whose headers the answer to the call in *scope* has; that of `any` where the
    emulator's own headers cannot be read."""
    try:
        return policy_of(scope, settings).day
    except APIError:
        return Policy(today=scope["state"]["time"].date()).day


def authenticated(scope: Scope, settings: Settings) -> bool:
    """Whether the call has an API key that is accepted: any, unless the *settings* name some."""
    key = key_of(scope)
    return bool(key) and (not settings.api_key or key in settings.api_key)


class ApiAuth:
    """The way in to OpenAI's own paths."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator

    def guarded(self, methods: dict[str, Handler], retired: date | None = None) -> Route:
        """The handlers by method, behind the key, which is looked at before anything else but
        whether the path is there at all: from the day on which it *retired* it is not."""
        life = Period(until=retired)

        async def entered(request: Request) -> Response:
            try:
                policy = policy_of(request.scope, self.emulator.settings)
            except APIError:
                # A mistake in the emulator's own headers is for those who have a key.
                self.check_key(request)
                raise
            if retired and policy.as_of not in life:
                raise HTTPException(404)
            try:
                self.check_key(request)
                # A HEAD request is answered with what GET has.
                method = request.scope["method"]
                method = "GET" if method == "HEAD" else method
                if method not in methods:
                    raise HTTPException(405)
                return await methods[method](request, policy)
            except APIError as error:
                raise error.on(policy.day) from None
            except (HTTPException, ClientDisconnect):
                raise
            except Exception as error:
                # Raised on, it would close the connection under the client's next request.
                logger.exception("%s %s broke", request.method, request.url.path)
                raise server_error(request) from error

        return entered

    def check_key(self, request: Request) -> None:
        """Raises APIError without a key that is accepted."""
        if authenticated(request.scope, self.emulator.settings):
            return
        key = key_of(request.scope)
        raise errors.incorrect_key(key=errors.masked(key)) if key else errors.missing_key()
