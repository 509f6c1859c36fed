"""Responses that carry an error of the blob store."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import Scope

from images_emulator.contract.storage import MEDIA_TYPE, StorageError
from images_emulator.state.emulator import Emulator


def storage_error_response(error: StorageError, scope: Scope, emulator: Emulator) -> Response:
    """*error* as XML, with the id under which the download stands in the journal."""
    request_id: str = scope["state"]["request_id"]
    body = error.body(request_id, emulator.clock.now())
    return Response(body, error.status, error.response_headers(request_id), MEDIA_TYPE)
