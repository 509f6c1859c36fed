"""Routes of the admin API for small pictures: thumbnails of the pictures of answers, of uploads and
of own pictures, and the partial images of streams."""

from __future__ import annotations

import asyncio
from binascii import a2b_base64
from enum import IntEnum
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from images_emulator import imaging
from images_emulator.admin_prefix import ADMIN_PREFIX
from images_emulator.contract import admin_errors
from images_emulator.contract.request import ImageRequest
from images_emulator.exchange.upload_data import upload_data
from images_emulator.web.admin.admin_docs import error_responses, file_response
from images_emulator.web.admin.admin_handlers import AdminHandlers
from images_emulator.web.admin.journal_api import SANDBOX
from images_emulator.web.disconnect import watch_disconnect
from images_emulator.web.image_responses import render_for_client

HEADERS: Final = {**SANDBOX, "Cache-Control": "private, max-age=31536000, immutable"}
"""Headers of answers that never change under their address, which has the id of a call or a step. A
cache may keep them for a year, as long as it may keep any."""


class Edge(IntEnum):
    """The longest edge of a thumbnail, in pixels."""

    ROW = imaging.thumbnails.EDGES[0]
    TILE = imaging.thumbnails.EDGES[1]


class ThumbnailsAPI(AdminHandlers):
    """The handlers, around one emulator's journal and its scenario."""

    def router(self) -> APIRouter:
        router = APIRouter(prefix=ADMIN_PREFIX, tags=["journal"])
        call_errors = error_responses(admin_errors.no_such_request, admin_errors.no_such_part)
        step_errors = error_responses(admin_errors.no_such_step, admin_errors.no_such_picture)
        for path, handler in (
            ("/images/{id}/{index}/thumbnail/{edge}", self.thumbnail),
            ("/images/{id}/{index}/partials/{partial}", self.partial_image),
            ("/images/{id}/{index}/partials/{partial}/thumbnail/{edge}", self.partial_thumbnail),
            ("/requests/{id}/uploads/{index}/thumbnail/{edge}", self.upload_thumbnail),
            ("/scenario/steps/{id}/pictures/{index}/thumbnail/{edge}", self.own_thumbnail),
        ):
            errors = step_errors if handler == self.own_thumbnail else call_errors
            responses = errors | file_response("image/*")
            router.get(path, response_class=Response, responses=responses)(handler)
        return router

    async def _find_streaming_request(self, call_id: str, index: int, partial: int) -> ImageRequest:
        """The request of the stream that has sent that partial image, also before the stream is
        over."""
        exchange = await self.find_exchange(call_id)
        request = None if exchange.is_download else exchange.request
        # Partial images leave in their order; a fault may have kept the last ones back.
        if (
            request
            and index == 0
            and 0 <= partial < min(exchange.partial_count, request.partial_images)
        ):
            return request
        part = f"partial image {partial} of picture {index}"
        raise admin_errors.no_such_part(id=call_id, part=part)

    async def thumbnail(self, id: str, index: int, edge: Edge, request: Request) -> Response:
        """A picture of the answer, its longest edge 96 or 480 pixels at most; JPEG, or WebP where
        it is transparent. An animation is shown by its first frame."""
        exchange = await self.find_exchange(id)
        drawn = exchange.picture_request(index)
        if not drawn:
            raise admin_errors.no_such_part(id=id, part=f"picture {index}")
        return await self._draw_thumbnail(request, drawn, index, None, edge)

    async def partial_image(self, id: str, index: int, partial: int, request: Request) -> Response:
        """A partial image (from 0) that the stream has sent, also before the stream is over."""
        streamed = await self._find_streaming_request(id, index, partial)
        renderer = self.emulator.renderer
        encoded = await render_for_client(renderer, request, streamed, index, partial)
        media_type = imaging.render.media_type(streamed, index, partial)
        return Response(a2b_base64(encoded), headers=HEADERS, media_type=media_type)

    async def partial_thumbnail(
        self, id: str, index: int, partial: int, edge: Edge, request: Request
    ) -> Response:
        """The thumbnail of a partial image that the stream has sent."""
        streamed = await self._find_streaming_request(id, index, partial)
        return await self._draw_thumbnail(request, streamed, index, partial, edge)

    async def upload_thumbnail(self, id: str, index: int, edge: Edge, request: Request) -> Response:
        """The thumbnail of an image that came with the call, by its index in `uploads`. Only an
        image that the API accepts has one."""
        exchange = await self.find_exchange(id)
        # The body may be long; see `upload_data`.
        data = await asyncio.to_thread(upload_data, exchange, index, self.emulator.files.data)
        file = None
        if data is not None:
            limits = imaging.decode_limits.DecodeLimits.from_settings(self.emulator.settings)
            with watch_disconnect(request) as disconnect:
                file = await self.emulator.renderer.draw_upload_thumbnail(
                    data, edge, limits, disconnect
                )
        if file is None:
            raise admin_errors.no_such_part(id=id, part=f"image as upload {index}")
        return Response(
            file, headers=HEADERS, media_type=imaging.thumbnails.thumbnail_media_type(file)
        )

    async def own_thumbnail(self, id: str, index: int, edge: Edge, request: Request) -> Response:
        """The thumbnail of a picture that a step of the scenario answers with, by its index in the
        `image` or the `images` of its `answer`."""
        try:
            files = self.emulator.scenario.pictures_of(id)
        except KeyError:
            raise admin_errors.no_such_step(id=id) from None
        thumbnail = None
        if 0 <= index < len(files):
            file = files[index]
            digest = await asyncio.to_thread(lambda: file.digest)
            with watch_disconnect(request) as disconnect:
                thumbnail = await self.emulator.renderer.draw_own_picture_thumbnail(
                    file.data, digest, edge, disconnect
                )
        if thumbnail is None:
            raise admin_errors.no_such_picture(id=id, index=str(index))
        media_type = imaging.thumbnails.thumbnail_media_type(thumbnail)
        return Response(thumbnail, headers=HEADERS, media_type=media_type)

    async def _draw_thumbnail(
        self, request: Request, drawn: ImageRequest, index: int, partial: int | None, edge: Edge
    ) -> Response:
        with watch_disconnect(request) as disconnect:
            file = await self.emulator.renderer.draw_thumbnail(
                drawn, index, partial, edge, disconnect
            )
        return Response(
            file, headers=HEADERS, media_type=imaging.thumbnails.thumbnail_media_type(file)
        )
