"""Responses that carry an error of the blob storage."""

from __future__ import annotations

from datetime import datetime

from starlette.responses import Response

from images_emulator.contract.blob_storage import MEDIA_TYPE, StorageError


def storage_error_response(error: StorageError, request_id: str, now: datetime) -> Response:
    """*error* as XML. *request_id* is the id under which the download stands in the journal, *now*
    the time by the emulator's clock."""
    body = error.body(request_id, now)
    return Response(body, error.status, error.answer_headers(request_id), MEDIA_TYPE)
