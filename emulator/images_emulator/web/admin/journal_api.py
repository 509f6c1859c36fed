"""The admin API of the journal: the calls, and the images that they were answered with."""

from __future__ import annotations

import asyncio
import json
from binascii import a2b_base64
from typing import Annotated, Any, Final, Literal, get_args

from fastapi import APIRouter, Depends
from fastapi import Query as Parameter
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from images_emulator import imaging
from images_emulator.admin_prefix import ADMIN_PREFIX
from images_emulator.changeable_settings import changeable_values
from images_emulator.contract import admin_errors
from images_emulator.contract.operations import JSON
from images_emulator.exchange.exchange import Exchange, ExchangeKind
from images_emulator.exchange.exchange_packing import pack_redacted
from images_emulator.exchange.outcome import Outcome
from images_emulator.exchange.upload_data import upload_data
from images_emulator.file_types import SIGNATURE_BYTES
from images_emulator.recordings.document import to_document
from images_emulator.recordings.folder import document_text
from images_emulator.state.journal import Journal, UnknownCallError
from images_emulator.state.query import FILTER_NAMES, FilterError, Has, Query
from images_emulator.web import code_samples
from images_emulator.web.admin.admin_audit import note_detail
from images_emulator.web.admin.admin_body import unknown_input_error
from images_emulator.web.admin.admin_docs import error_responses, file_response
from images_emulator.web.admin.admin_handlers import AdminHandlers
from images_emulator.web.admin.journal_json import (
    Calls,
    FullCall,
    Gallery,
    answered_images,
    counts_of,
    detail,
    summary,
)
from images_emulator.web.admin.journal_recording import NotHeldError, pictures_of, recording_of
from images_emulator.web.code_samples.sdk_call import SampleSource
from images_emulator.web.disconnect import watch_disconnect
from images_emulator.web.forwarded_headers import base_url
from images_emulator.web.image_responses import render_for_client

PAGING: Final = ("limit", "since", "before", "counts")
"""The query's names that are no filters: pagination, and the counts beside a page."""

SANDBOX: Final = {"Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff"}
"""Headers of bytes that a client sent, which may be a page with a script: no browser runs it."""

RAW: Final = "application/octet-stream"
"""The media type of bytes of any kind."""


def _filter(description: str) -> Any:
    """The parameter of a filter, which may be given several times."""
    return Parameter(description=description, default_factory=list)


Values = list[str]
"""The values of one filter."""


def journal_query(  # noqa: PLR0917 - one for each filter
    request: Request,
    method: Annotated[Values, _filter("of the request")],
    path: Annotated[Values, _filter("a glob: `*` stands for anything")],
    model: Annotated[Values, _filter("a glob")],
    status: Annotated[Values, _filter("such as `404`, or a class such as `4xx`")],
    outcome: Annotated[Values, _filter(" ".join(get_args(Outcome)))],
    key: Annotated[Values, _filter("the API key, whole or redacted")],
    prompt: Annotated[Values, _filter("a part of it, in any case")],
    text: Annotated[Values, _filter("a part of prompt, error message, model or id, in any case")],
    fault: Annotated[Values, _filter("the name of the fault that was met")],
    own_answer: Annotated[Values, _filter("the name of an own answer, a glob")],
    has: Annotated[Values, _filter(" ".join(get_args(Has)))],
    kind: Annotated[Values, _filter(" ".join(get_args(ExchangeKind)))],
) -> Query:
    """The filters in the query of *request*. Of a filter that is given several times, one value has
    to match. Raises APIError for an unknown name, and for a value without meaning."""
    names = [*FILTER_NAMES, *PAGING]
    for name in request.query_params:
        if name not in names:
            raise unknown_input_error(name, names)
    try:
        return Query(
            method=method,
            path=path,
            model=model,
            status=status,
            outcome=outcome,
            key=key,
            prompt=prompt,
            text=text,
            fault=fault,
            own_answer=own_answer,
            has=has,
            kind=kind,
        )
    except FilterError as error:
        raise admin_errors.bad_input(name=error.name, reason=error.reason) from None


Filters = Annotated[Query, Depends(journal_query)]
"""The filters in the query of a request."""

Language = Literal["curl", "python", "javascript", "pytest"]
"""The keys of `code_samples.LANGUAGES`."""

_CALLS: Final = TypeAdapter(Calls)

Limit = Annotated[int, Parameter(ge=1, le=1000)]
"""The number of calls of one answer."""


class JournalAPI(AdminHandlers):
    """The handlers, around the journal of the call's emulator."""

    @property
    def journal(self) -> Journal:
        """The journal of the emulator."""
        return self.emulator.journal

    def router(self) -> APIRouter:
        router = APIRouter(prefix=ADMIN_PREFIX, tags=["journal"])
        page_errors = error_responses(admin_errors.no_such_request, admin_errors.unknown_input)
        call_errors = error_responses(admin_errors.no_such_request)
        router.get("/requests", response_model=Calls, responses=page_errors)(self.requests)
        router.delete("/requests")(self.clear)
        router.get("/requests/{id}", responses=call_errors)(self.request)
        held = error_responses(admin_errors.no_such_request, admin_errors.not_held)
        router.get(
            "/requests/{id}/exchange",
            response_class=Response,
            responses=held | file_response(JSON),
        )(self.exchange)
        part_errors = error_responses(admin_errors.no_such_request, admin_errors.no_such_part)
        for path, handler, media_types in (
            ("/requests/{id}/body", self.body, (RAW,)),
            ("/requests/{id}/uploads/{index}", self.upload, (RAW, "image/*")),
            ("/requests/{id}/code/{language}", self.code, ("text/plain",)),
            ("/images/{id}/{index}", self.image, ("image/*",)),
        ):
            router.get(
                path, response_class=Response, responses=part_errors | file_response(*media_types)
            )(handler)
        router.get("/images", responses=page_errors)(self.images)
        router.get("/exchanges", response_class=Response, responses=file_response(JSON))(
            self.exchanges
        )
        return router

    def _page(
        self, query: Query, limit: int, since: str | None, before: str | None
    ) -> tuple[list[Exchange], int]:
        try:
            return self.journal.page(query, limit, since=since, before=before)
        except UnknownCallError as error:
            raise admin_errors.no_such_request(id=error.id) from None

    async def requests(
        self,
        query: Filters,
        limit: Limit = 100,
        since: str | None = None,
        before: str | None = None,
        counts: bool = False,
    ) -> Response:
        """The newest calls and downloads of hosted pictures, or those since or before the call with
        that id; the newest is last. `?kind=call` leaves the downloads out."""

        def page() -> bytes:
            exchanges, total = self._page(query, limit, since, before)
            journal, of_kind = self.journal, Query(kind=query.kind)
            calls = Calls(
                [summary(exchange) for exchange in exchanges],
                total,
                journal.dropped_count(),
                counts_of(journal.summaries(of_kind)) if counts else None,
            )
            # FastAPI would copy and check all of it first, on the event loop.
            return _CALLS.dump_json(calls)

        return Response(await asyncio.to_thread(page), media_type=JSON)

    async def clear(self) -> dict[str, int]:
        """Forget all calls, and answer their number."""
        deleted = await asyncio.to_thread(self.journal.clear)
        note_detail("1 call" if deleted == 1 else f"{deleted} calls")
        return {"deleted": deleted}

    async def request(self, id: str) -> FullCall:
        """One call, with headers, body and links to its files."""
        exchange, file = await self.find_exchange(id), self.emulator.files.data
        # The body may have to be parsed; see `all_upload_data`.
        return await asyncio.to_thread(
            lambda: detail(exchange, self.journal.attempts(exchange), file)
        )

    async def exchange(self, id: str, request: Request) -> Response:
        """The call as an exchange file, with its pictures in base64 and without credentials."""
        exchange, renderer = await self.find_exchange(id), self.emulator.renderer
        with watch_disconnect(request) as disconnect:
            encoded_pictures = {
                key: await renderer.render_base64(drawn, *key, disconnect)
                for drawn, key in pictures_of(exchange)
            }

        def text() -> str:
            return document_text(to_document(recording_of(exchange, encoded_pictures), None))

        try:
            return Response(await asyncio.to_thread(text), media_type=JSON)
        except NotHeldError as error:
            raise admin_errors.not_held(id=id, reason=error) from None

    async def exchanges(self) -> Response:
        """All calls and downloads, oldest first, as `images_emulator.RemoteServer` of the same
        version reads them: whole, but without credentials."""

        def text() -> bytes:
            packed = [pack_redacted(exchange) for exchange in self.journal.find()]
            return json.dumps({"exchanges": packed}).encode()

        return Response(await asyncio.to_thread(text), media_type=JSON)

    async def body(self, id: str) -> Response:
        """The body as it came."""
        body = (await self.find_exchange(id)).body
        if body is None:
            raise admin_errors.no_such_part(id=id, part="body")
        return Response(body, headers=SANDBOX, media_type=RAW)

    async def upload(self, id: str, index: int) -> Response:
        """The bytes of an image that came with the call, by its index in `uploads`."""
        exchange = await self.find_exchange(id)
        # The body may have to be parsed; see `all_upload_data`.
        data = await asyncio.to_thread(upload_data, exchange, index, self.emulator.files.data)
        if data is None:
            raise admin_errors.no_such_part(id=id, part=f"upload {index}")
        file_format = imaging.formats.format_of(data[:SIGNATURE_BYTES])
        media_type = RAW
        if file_format and not file_format.has_scripts:
            media_type = file_format.file_type.media_type
        return Response(data, headers=SANDBOX, media_type=media_type)

    async def code(self, id: str, language: Language, request: Request) -> Response:
        """Code that makes the call again: a command for a shell (`curl`), a program in `python` or
        `javascript` with OpenAI's SDK, or a test with the fixture of the `pytest` plugin. Its
        images come from the journal."""
        exchange, settings = await self.find_exchange(id), self.emulator.settings
        length = exchange.headers.get("content-length", "0")
        if exchange.body is None and (length != "0" or "transfer-encoding" in exchange.headers):
            raise admin_errors.no_such_part(id=id, part="body")
        source = SampleSource(
            exchange=exchange,
            base=base_url(request, settings.public_url),
            needs_token=settings.admin_token is not None,
            changeable_settings=changeable_values(settings),
            deployments=self.emulator.deployments,
        )
        # The body may have to be parsed; see `Exchange.parsed_call`.
        code = await asyncio.to_thread(code_samples.LANGUAGES[language], source)
        return PlainTextResponse(code)

    async def images(
        self,
        query: Filters,
        limit: Limit = 100,
        since: str | None = None,
        before: str | None = None,
    ) -> Gallery:
        """The pictures that the calls of `requests` were answered with; the newest is last."""

        def page() -> Gallery:
            on_page, _ = self._page(query, limit, since, before)
            images = [image for exchange in on_page for image in answered_images(exchange)]
            summaries = [each for each in self.journal.summaries(query) if each.image_indexes]
            # Summaries may lack the uploads from which their pictures are drawn.
            without = [each for each in summaries if not each.drawn_request]
            exchanges = [each for each in summaries if each.drawn_request]
            exchanges += self.journal.read_whole(without)
            return Gallery(images, sum(len([*answered_images(each)]) for each in exchanges))

        return await asyncio.to_thread(page)

    async def image(self, id: str, index: int, request: Request) -> Response:
        """A picture of an answer or of a download, drawn again: the same bytes."""
        exchange = await self.find_exchange(id)
        image_request = exchange.picture_request(index)
        if not image_request:
            raise admin_errors.no_such_part(id=id, part=f"picture {index}")
        picture = await render_for_client(self.emulator.renderer, request, image_request, index)
        media_type = imaging.render.media_type(image_request, index)
        return Response(a2b_base64(picture), headers=SANDBOX, media_type=media_type)
