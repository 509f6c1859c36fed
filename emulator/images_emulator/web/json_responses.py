"""Answers whose body is JSON: those that succeed, and errors."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from images_emulator.contract.dialect import OPENAI, Dialect
from images_emulator.contract.notices import EMULATOR_FAILED
from images_emulator.contract.operations import JSON
from images_emulator.contract.refusal import APIError, ErrorAnswer
from images_emulator.exchange.served_exchange import ServedExchange
from images_emulator.settings import Settings
from images_emulator.web.call_policy import set_policy_if_valid

JSON_BYTES: Final = JSON.encode()
"""The media type of JSON, as a header's value."""


class JSONBytes(Response):
    """An answer with status 200 whose body is JSON already.

    It writes its two headers itself. Starlette's own response also handles background tasks and
    websockets. That takes half as long as all the rest of the answer to a repeated call.
    """

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


def json_response(body: bytes) -> Response:
    """An answer with *body*, which is JSON already."""
    return JSONBytes(body)


def error_response(error: APIError, exchange: ServedExchange, settings: Settings) -> Response:
    """The error answer of *exchange*: in the words of its day, in the form of its dialect. The
    *settings* say the day of an exchange that no endpoint has seen."""
    set_policy_if_valid(exchange, settings)
    # The traceback holds the frames of the call, and the frames hold the error. Such a cycle would
    # keep bodies and pictures in memory until the garbage collector finds it.
    error.__traceback__ = None
    return _response(exchange.error_answer(error), exchange.dialect)


def replace_with_error_response(
    error: APIError, exchange: ServedExchange, settings: Settings
) -> Response:
    """Discard the answer of *exchange*, which cannot be given, and return the `error_response` in
    its place. Raises *error* where that answer has begun to leave."""
    if exchange.status is not None:
        raise error
    exchange.discard_answer()
    return error_response(error, exchange, settings)


def error_response_without_exchange(error: APIError) -> Response:
    """The answer to a call that has no exchange: one to the admin API, for the metrics or the page,
    or in a namespace that cannot be opened. The words of *error* are the same on all days."""
    error.__traceback__ = None
    return _response(error.answer_on(None), OPENAI)


def _response(answer: ErrorAnswer, dialect: Dialect) -> Response:
    return Response(dialect.error_body(answer), answer.status, dict(answer.headers), JSON)


def server_error(exchange: ServedExchange) -> APIError:
    """The error of a call in which the emulator itself fails. Its notice tells it from the fault
    `server_error`."""
    error = exchange.dialect.refusal("server_error")(request_id=exchange.id)
    error.add_notice(EMULATOR_FAILED)
    return error
