"""The Files API: what an upload has to have, and the shapes of the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from images_emulator.contract import errors
from images_emulator.contract.calendar import LAST_DAY_OF_OLDER_STACK
from images_emulator.contract.refusal import APIError
from images_emulator.contract.request import Upload
from images_emulator.contract.rules import Choice

PURPOSE: Final = Choice(
    ("fine-tune", "assistants", "batch", "user_data", "responses", "vision", "evals")
)
"""The parameter `purpose`. Its words are those that the refusal of an unknown word lists
(irudnyts/openai#66), and `evals`, from the specification of `POST /files`."""


class File(Protocol):
    """A file that was uploaded, of *size* bytes; *created* is an aware time."""

    @property
    def id(self) -> str: ...
    @property
    def filename(self) -> str: ...
    @property
    def purpose(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def created(self) -> datetime: ...


def upload_and_purpose(fields: Mapping[str, Any]) -> tuple[Upload, str]:
    """The file and the purpose in the form fields of `POST /files`. Raises APIError where the file
    or the purpose is missing or invalid, or the file is too large. The operation never moved to the
    gateway, so the error has the words of the older stack on all days."""
    try:
        return _valid_upload_and_purpose(fields)
    except APIError as error:
        raise APIError(error.answer_on(LAST_DAY_OF_OLDER_STACK)) from None


def _valid_upload_and_purpose(fields: Mapping[str, Any]) -> tuple[Upload, str]:
    for name in ("file", "purpose"):
        if name not in fields:
            raise errors.missing_parameter(name=name)
    file, purpose = fields["file"], fields["purpose"]
    if not isinstance(file, Upload) or not file.filename:
        raise errors.unnamed_file()
    if file.size > len(file.data):
        raise errors.body_too_large()
    PURPOSE.check_at_gateway("purpose", purpose)
    return file, purpose


def file_object(file: File) -> dict[str, Any]:
    """The body that describes *file*."""
    return {
        "object": "file",
        "id": file.id,
        "purpose": file.purpose,
        "filename": file.filename,
        "bytes": file.size,
        "created_at": int(file.created.timestamp()),
        "expires_at": None,
        "status": "processed",
        "status_details": None,
    }


def file_list(files: Sequence[File]) -> dict[str, Any]:
    """The body of `GET /files`, all on one page."""
    return {
        "object": "list",
        "data": [file_object(file) for file in files],
        "first_id": files[0].id if files else None,
        "last_id": files[-1].id if files else None,
        "has_more": False,
    }


def deleted_file(file: File) -> dict[str, Any]:
    """The body that answers the deletion of *file*."""
    return {"object": "file", "id": file.id, "deleted": True}
