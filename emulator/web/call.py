"""One call as received: its body, JSON or a form, as plain values and uploads."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, Final, Never

from starlette.requests import Request

from emulator.contract import errors
from emulator.contract.request import Call, Endpoint
from emulator.web.form import read_form

JSON: Final = "application/json"
FORM: Final = "multipart/form-data"

ACCEPTED: Final = {
    Endpoint.GENERATIONS: (JSON,),
    Endpoint.EDITS: (FORM, JSON),
    Endpoint.VARIATIONS: (FORM,),
}


async def counted(request: Request, most: int) -> AsyncIterator[bytes]:
    """The body, chunk by chunk. Raises APIError past *most* bytes."""
    seen = 0
    async for chunk in request.stream():
        seen += len(chunk)
        if seen > most:
            raise errors.body_too_large()
        yield chunk


def _refuse_constant(text: str) -> Never:
    raise ValueError(f"{text} is not JSON")


def parse_json(body: bytes) -> dict[str, Any]:
    """The object in *body*. Raises APIError where there is none."""
    try:
        text = body.decode()
        value = json.loads(text, parse_constant=_refuse_constant)
        if "\\ud" in text or "\\uD" in text:
            # Half a surrogate pair is no character, though JSON can spell it.
            value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise errors.malformed_json() from None
    if not isinstance(value, dict):
        raise errors.not_an_object(got=errors.kind_of(value))
    return value


async def read_call(request: Request, endpoint: Endpoint, most: int) -> Call:
    """Read *request* whole, once, and up to *most* bytes. Raises APIError where its body cannot be
    understood."""
    said = request.headers.get("content-type", "")
    kind = said.partition(";")[0].strip().lower()
    accepted = ACCEPTED[endpoint]
    if kind not in accepted:
        async for _ in counted(request, most):
            pass
        listed = errors.listed(accepted, last="or")
        raise errors.unsupported_content_type(given=said, listed=listed)
    body = counted(request, most)
    if kind == FORM:
        return Call(endpoint, form=True, fields=await read_form(said, body))
    data = b"".join([chunk async for chunk in body])
    return Call(endpoint, form=False, fields=parse_json(data))
