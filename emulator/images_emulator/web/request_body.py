"""One call as received: its body, JSON or a form, as plain values and uploads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope

from images_emulator.contract import errors
from images_emulator.contract.calendar import AsOf
from images_emulator.contract.errors import APIError
from images_emulator.contract.operations import FORM, Operation, operation_at
from images_emulator.contract.request import Call
from images_emulator.exchange.credentials import api_key, bearer_token
from images_emulator.state.emulator import Emulator
from images_emulator.web.form import read_form
from images_emulator.web.json_body import parse_json

MAX_INLINE_BYTES: Final = 2**18
"""A body up to this length is parsed on the event loop; that takes at most 5 ms."""

MAX_ADMIN_STRUCTURE: Final = 1_000_000
"""See `json_body.MAX_STRUCTURE`: a scenario may have many thousand steps."""


def headers_of(scope: Scope) -> Mapping[bytes, bytes]:
    """The headers by their names in small letters, looked through once for all who ask. Of one that
    comes twice, the first counts, as everywhere here."""
    state = scope.setdefault("state", {})
    if "headers" not in state:
        state["headers"] = dict([*scope["headers"]][::-1])
    headers: Mapping[bytes, bytes] = state["headers"]
    return headers


def header(scope: Scope, wanted: bytes) -> str:
    """The header of that name, or nothing."""
    return headers_of(scope).get(wanted, b"").decode("latin-1")


def bearer(scope: Scope) -> str:
    """The token of `Authorization: Bearer TOKEN`, or nothing."""
    return bearer_token(header(scope, b"authorization"))


def key_of(scope: Scope) -> str:
    """The API key of the call; see `credentials.api_key`."""
    return api_key(scope["path"], lambda name: header(scope, name))


def base_url(request: Request, public: str | None) -> str:
    """Where this client reaches the server, without a slash at the end: *public* if it is given,
    else what the request tells, and a proxy before it that took it over TLS."""
    if public:
        return public.rstrip("/")
    scheme = header(request.scope, b"x-forwarded-proto").partition(",")[0].strip().lower()
    told = request.base_url
    return str(told.replace(scheme=scheme) if scheme in ("http", "https") else told).rstrip("/")


async def read_body(scope: Scope, receive: Receive, most: int) -> tuple[bytes, ...]:
    """The body in the chunks that it came in, read once and the same for all who ask.

    Raises APIError past *most* bytes, when all of them have come: an answer before the end of a
    request resets the connection.
    """
    state = scope.setdefault("state", {})
    if "body" not in state:
        chunks, seen = [], 0
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk, more = message.get("body", b""), message.get("more_body", False)
            seen += len(chunk)
            if seen <= most and chunk:
                chunks.append(chunk)
        state["body"] = tuple(chunks) if seen <= most else None
    if state["body"] is None:
        raise errors.body_too_large()
    kept: tuple[bytes, ...] = state["body"]
    return kept


def is_large(body: Sequence[bytes]) -> bool:
    """Whether *body* is too long to be looked through on the event loop."""
    return sum(map(len, body)) > MAX_INLINE_BYTES


async def read_json(scope: Scope, receive: Receive, emulator: Emulator) -> dict[str, Any]:
    """The object in the JSON body of a call to the admin API. Raises APIError where there is
    none."""
    body = await read_body(scope, receive, emulator.settings.max_body)
    if is_large(body):
        return await emulator.renderer.parse(
            lambda: parse_json(b"".join(body), MAX_ADMIN_STRUCTURE)
        )
    return parse_json(b"".join(body))


async def read_call(
    scope: Scope, receive: Receive, operation: Operation, emulator: Emulator, as_of: AsOf = None
) -> Call:
    """The call that begins with *scope*, read and understood once. Raises APIError where its body
    is longer than the settings allow, is of a kind that was not read on that day, or cannot be
    understood."""
    body = await read_body(scope, receive, emulator.settings.max_body)
    content_type = header(scope, b"content-type")
    operation.media_type(content_type, as_of)
    state = scope["state"]
    if "misread" in state:
        raise state["misread"]
    if "call" not in state:
        parse = partial(_understood, content_type, body, operation)
        try:
            state["call"] = await emulator.renderer.parse(parse) if is_large(body) else parse()
        except APIError as error:
            # Who asks again need not parse it again.
            state["misread"] = error
            raise
    call: Call = state["call"]
    return call


def parse_again(path: str, content_type: str, body: Sequence[bytes]) -> Call | None:
    """The call to *path* with this *body*, for the journal when somebody asks; or None where it
    cannot be understood."""
    operation = operation_at(path)
    with suppress(APIError):
        return _understood(content_type, tuple(body), operation) if operation else None
    return None


def _understood(said: str, body: tuple[bytes, ...], operation: Operation) -> Call:
    if operation.media_type(said, None) == FORM:
        return Call(operation, form=True, fields=read_form(said, body))
    return Call(operation, form=False, fields=parse_json(b"".join(body)))
