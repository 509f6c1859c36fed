"""Hosted pictures by their URLs, as the blob store hands them out and refuses to."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import Scope

from images_emulator.contract import wire
from images_emulator.contract.storage import StorageError
from images_emulator.state.emulator import Emulator


def storage_error_response(error: StorageError, scope: Scope, emulator: Emulator) -> Response:
    """The store's XML, with the id under which the download stands in the journal."""
    identity = scope["state"]["request_id"]
    now = emulator.clock.now()
    body = wire.storage_error(error.code, error.message, error.detail, identity, now)
    headers = {"Server": "Microsoft-HTTPAPI/2.0", "x-ms-request-id": identity, **error.headers}
    if error.anonymous:
        # Recorded of such calls, with no `x-ms-error-code` beside it.
        headers["Server"] = "Blob Service Version 1.0 Microsoft-HTTPAPI/2.0"
    else:
        headers["x-ms-error-code"] = error.code
    return Response(body, error.status, headers, "application/xml")
