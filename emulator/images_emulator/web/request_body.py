"""Reads the body of a call once, and parses it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from images_emulator.contract import errors
from images_emulator.contract.calendar import AsOf
from images_emulator.contract.notices import limit_notice
from images_emulator.contract.operations import Operation
from images_emulator.contract.refusal import APIError
from images_emulator.contract.request import ParsedCall
from images_emulator.exchange.body_parser import MAX_BYTES_ON_LOOP, parse_body
from images_emulator.exchange.json_body import parse_json
from images_emulator.exchange.served_exchange import ServedExchange
from images_emulator.settings import Settings
from images_emulator.state.emulator import Emulator

MAX_ADMIN_STRUCTURE: Final = 1_000_000
"""The `json_body.MAX_STRUCTURE` of the admin API: a scenario may have many thousand steps."""


async def _receive_chunks(receive: Receive, max_bytes: int) -> tuple[bytes, ...] | None:
    """The body in the chunks in which it arrives; None where it is longer than *max_bytes*. All of
    it is read even then, because an answer before the end of a request resets the connection.
    Raises ClientDisconnect."""
    chunks, size = [], 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk, more = message.get("body", b""), message.get("more_body", False)
        size += len(chunk)
        if size <= max_bytes and chunk:
            chunks.append(chunk)
    return tuple(chunks) if size <= max_bytes else None


async def read_body(
    exchange: ServedExchange, receive: Receive, settings: Settings
) -> tuple[bytes, ...]:
    """The chunks of the body, which is read once. Raises APIError where it is longer than the
    *settings* allow, and ClientDisconnect."""
    if exchange.chunks is None and not exchange.is_too_long:
        exchange.keep_request_body(await _receive_chunks(receive, settings.max_body))
    if exchange.chunks is None:
        error = errors.body_too_large()
        error.add_notice(limit_notice("a body", settings, "max_body"))
        raise error
    return exchange.chunks


async def read_call(
    exchange: ServedExchange, receive: Receive, emulator: Emulator, as_of: AsOf = None
) -> ParsedCall:
    """The parsed call to an image operation. The first caller parses the body, later ones get the
    same call or error. Only the media type is judged by the day *as_of*, each time.

    Raises ClientDisconnect. Raises APIError where the body is longer than the settings allow,
    cannot be parsed, or has a media type that the operation does not read on that day."""
    operation = exchange.image_operation
    assert operation, "the caller has looked"
    body = await _read_accepted_body(exchange, receive, operation, emulator, as_of)
    if exchange.parse_error:
        raise exchange.parse_error
    if exchange.cached_call is None:
        try:
            exchange.cached_call = await _parse(exchange, body, operation, emulator)
        except APIError as error:
            # Whatever reads the call next raises the error without parsing again.
            exchange.parse_error = error
            raise
    return exchange.cached_call


async def try_read_body(exchange: ServedExchange, receive: Receive, settings: Settings) -> bool:
    """Read the body. Return whether it has come whole, and is not longer than the *settings*
    allow. If not, the endpoint reads it again and answers with the error."""
    try:
        await read_body(exchange, receive, settings)
    except (APIError, ClientDisconnect):
        return False
    return True


async def read_call_or_none(
    exchange: ServedExchange, receive: Receive, emulator: Emulator
) -> ParsedCall | None:
    """The parsed call; None at paths that make no images, and where the body does not come whole or
    cannot be parsed."""
    if exchange.image_operation:
        with suppress(APIError, ClientDisconnect):
            return await read_call(exchange, receive, emulator)
    return None


async def read_fields(
    exchange: ServedExchange,
    receive: Receive,
    operation: Operation,
    emulator: Emulator,
    as_of: AsOf = None,
) -> Mapping[str, Any]:
    """The fields of the JSON or form body of a call to an *operation* that makes no images. They
    are not in the exchange, so the journal does not show them. Raises the same as `read_call`."""
    body = await _read_accepted_body(exchange, receive, operation, emulator, as_of)
    return (await _parse(exchange, body, operation, emulator)).fields


async def _read_accepted_body(
    exchange: ServedExchange,
    receive: Receive,
    operation: Operation,
    emulator: Emulator,
    as_of: AsOf,
) -> tuple[bytes, ...]:
    """The chunks of the body, as `read_body` returns them. Raises APIError, too, for a media type
    that *operation* does not read on the day *as_of*."""
    body = await read_body(exchange, receive, emulator.settings)
    operation.accepted_media_type(exchange.head.header(b"content-type"), as_of)
    return body


async def _parse(
    exchange: ServedExchange, body: tuple[bytes, ...], operation: Operation, emulator: Emulator
) -> ParsedCall:
    content_type = exchange.head.header(b"content-type")
    parse = partial(parse_body, content_type, body, operation, emulator.settings)
    return await emulator.renderer.run_in_background(parse) if exchange.is_large else parse()


async def read_admin_json(
    receive: Receive, emulator: Emulator, max_bytes: int | None = None
) -> dict[str, Any]:
    """The object in the JSON body of a call to the admin API. Raises APIError where there is none,
    or the body is longer than *max_bytes* (None: than the settings allow), and
    ClientDisconnect."""
    body = await _receive_chunks(
        receive, emulator.settings.max_body if max_bytes is None else max_bytes
    )
    if body is None:
        raise errors.body_too_large()
    if sum(map(len, body)) > MAX_BYTES_ON_LOOP:
        return await emulator.renderer.run_in_background(
            lambda: parse_json(b"".join(body), MAX_ADMIN_STRUCTURE)
        )
    return parse_json(b"".join(body))
