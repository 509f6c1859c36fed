"""A small Files API: enough to refer to an upload by id."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from images_emulator.contract import errors, wire
from images_emulator.contract.calendar import Policy
from images_emulator.contract.errors import APIError, Words
from images_emulator.contract.operations import CREATE_FILE, FORM
from images_emulator.contract.request import Upload
from images_emulator.contract.rules import Choice
from images_emulator.state.emulator import Emulator
from images_emulator.state.files import StoredFile
from images_emulator.web.authentication import json_response
from images_emulator.web.form import read_form
from images_emulator.web.request_body import is_large, read_body

PURPOSE: Final = Choice(
    ("fine-tune", "assistants", "batch", "user_data", "responses", "vision", "evals")
)
"""As the refusal of another one lists them (irudnyts/openai#66), and `evals`, from the
specification of `POST /files`."""


def file_object(file: StoredFile) -> dict[str, Any]:
    return {
        "object": "file",
        "id": file.id,
        "purpose": file.purpose,
        "filename": file.filename,
        "bytes": len(file.data),
        "created_at": int(file.created.timestamp()),
        "expires_at": None,
        "status": "processed",
        "status_details": None,
    }


class FilesAPI:
    """The handlers, around one emulator's files."""

    def __init__(self, emulator: Emulator) -> None:
        self.files = emulator.files
        self.emulator = emulator

    async def create(self, request: Request, policy: Policy) -> Response:
        try:
            return await self._create(request)
        except APIError as error:
            raise error.on(CREATE_FILE.day_of_words(policy.day)) from None

    async def _create(self, request: Request) -> Response:
        said = request.headers.get("content-type", "")
        media_type = said.partition(";")[0].strip()
        if media_type.lower() != FORM:
            raise errors.unsupported_content_type(given=media_type, listed=Words([FORM]))
        most = self.emulator.settings.max_body
        body = await read_body(request.scope, request.receive, most)
        if is_large(body):
            fields = await self.emulator.renderer.parse(lambda: read_form(said, body))
        else:
            fields = read_form(said, body)
        for name in ("file", "purpose"):
            if name not in fields:
                raise errors.missing_parameter(name=name)
        file, purpose = fields["file"], fields["purpose"]
        if not isinstance(file, Upload) or not file.filename:
            raise errors.unnamed_file()
        if file.size > len(file.data):
            raise errors.body_too_large()
        PURPOSE.check("purpose", purpose)
        return json_response(
            wire.pretty(file_object(self.files.add(file.filename, purpose, file.data)))
        )

    async def list_all(self, request: Request, policy: Policy) -> Response:
        purpose = request.query_params.get("purpose")
        data = [file_object(file) for file in self.files.all() if purpose in (None, file.purpose)]
        body = {
            "object": "list",
            "data": data,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
            "has_more": False,
        }
        return json_response(wire.pretty(body))

    def _named(self, request: Request) -> StoredFile:
        identity = request.path_params["file"]
        file = self.files.get(identity)
        if not file:
            raise errors.no_such_file(file_id=identity)
        return file

    async def retrieve(self, request: Request, policy: Policy) -> Response:
        return json_response(wire.pretty(file_object(self._named(request))))

    async def content(self, request: Request, policy: Policy) -> Response:
        return Response(self._named(request).data, media_type="application/octet-stream")

    async def delete(self, request: Request, policy: Policy) -> Response:
        file = self._named(request)
        self.files.delete(file.id)
        return json_response(wire.pretty({"object": "file", "id": file.id, "deleted": True}))
