"""The handlers of the Files API: small, but enough to refer to an upload by its id."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from images_emulator.contract import errors, wire
from images_emulator.contract.file_objects import (
    deleted_file,
    file_list,
    file_object,
    upload_and_purpose,
)
from images_emulator.contract.notices import limit_notice
from images_emulator.contract.operations import CREATE_FILE
from images_emulator.contract.policy import Policy
from images_emulator.exchange.served_exchange import exchange_of
from images_emulator.state.emulator import Emulator
from images_emulator.state.files import StoredFile
from images_emulator.web.authentication import file_owner
from images_emulator.web.json_responses import json_response
from images_emulator.web.request_body import read_fields


class FilesAPI:
    """The handlers of the operations at `/files`."""

    def __init__(self, emulator: Emulator) -> None:
        self.files = emulator.files
        self.emulator = emulator

    async def create(self, request: Request, policy: Policy) -> Response:
        """Store the uploaded file."""
        exchange = exchange_of(request.scope)
        fields = await read_fields(
            exchange, request.receive, CREATE_FILE, self.emulator, policy.as_of
        )
        upload, purpose = upload_and_purpose(fields)
        if not self.files.fits_budget(upload.filename, upload.data):
            error = errors.body_too_large()
            error.add_notice(limit_notice("a file", self.emulator.settings, "files_bytes"))
            raise error
        owner = self._owner(request)
        file = await self.files.add(upload.filename, purpose, upload.data, owner=owner)
        return json_response(wire.pretty(file_object(file)))

    async def list_all(self, request: Request, policy: Policy) -> Response:
        """List the caller's files, by `purpose` where the query has it."""
        purpose = request.query_params.get("purpose")
        files = await self.files.all(self._owner(request))
        files = [file for file in files if purpose in (None, file.purpose)]
        return json_response(wire.pretty(file_list(files)))

    def _owner(self, request: Request) -> str:
        return file_owner(exchange_of(request.scope), self.emulator.settings)

    async def _find_file(self, request: Request, *, with_data: bool = False) -> StoredFile:
        """The file whose id is in the path, with its content if *with_data*. Raises APIError where
        the caller has no such file."""
        file_id, owner = request.path_params["file"], self._owner(request)
        find = self.files.get if with_data else self.files.describe
        file = await find(file_id, owner)
        if not file:
            raise errors.no_such_file(file_id=file_id)
        return file

    async def retrieve(self, request: Request, policy: Policy) -> Response:
        """Describe a file."""
        return json_response(wire.pretty(file_object(await self._find_file(request))))

    async def content(self, request: Request, policy: Policy) -> Response:
        """Send a file's bytes."""
        file = await self._find_file(request, with_data=True)
        return Response(file.data, media_type="application/octet-stream")

    async def delete(self, request: Request, policy: Policy) -> Response:
        """Delete a file."""
        file = await self._find_file(request)
        await self.files.delete(file.id)
        return json_response(wire.pretty(deleted_file(file)))
