"""Answers to image requests: JSON with images or their URLs, and streams of events."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from images_emulator import imaging
from images_emulator.contract import emulator_errors, operational_errors, wire
from images_emulator.contract.answer_replacement import (
    NO_OVERRIDES,
    RawAnswer,
    encoded_headers,
)
from images_emulator.contract.http_headers import header_value
from images_emulator.contract.notices import NOTICE_HEADER
from images_emulator.contract.request import ImageRequest
from images_emulator.contract.templates import Template
from images_emulator.contract.usage import Usage, usage_of
from images_emulator.exchange.request_head import RawHeaders
from images_emulator.exchange.sent_file import FileKey, SentFile
from images_emulator.exchange.served_exchange import ServedExchange, exchange_of
from images_emulator.rendering.renderer import Renderer
from images_emulator.state.emulator import Emulator
from images_emulator.state.hosted_picture import hosted_pictures, mean_weight
from images_emulator.web.disconnect import watch_disconnect
from images_emulator.web.forwarded_headers import base_url, is_proxied
from images_emulator.web.json_responses import json_response
from images_emulator.web.prepared_call import PreparedCall

logger = logging.getLogger("images_emulator")

MAX_INLINE_PROMPT_CHARS: Final = 4000
"""Characters of a prompt whose tokens are counted in less than a millisecond."""

EVENT_OVERHEAD_BYTES: Final = 512
"""Bytes that a cached event takes beside its own length, about."""


async def render_for_client(
    renderer: Renderer,
    request: Request,
    image_request: ImageRequest,
    index: int,
    partial: int | None = None,
) -> bytes:
    """The base64 of image *index* of *image_request*, or of its partial image *partial*. Raises
    ClientDisconnect where the client of *request* leaves before the image is drawn."""
    if (encoded := renderer.cached_image(image_request, index, partial)) is not None:
        return encoded
    with watch_disconnect(request) as disconnect:
        return await renderer.render_base64(image_request, index, partial, disconnect)


class ImageResponses:
    """Makes the answer to a validated request."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.renderer = emulator.renderer

    async def respond(
        self, request: Request, prepared: PreparedCall, headers: RawHeaders
    ) -> Response:
        """The answer to *prepared*, with *headers* beside its own. Raises ClientDisconnect, and
        APIError for an own picture that cannot answer the call."""
        exchange = exchange_of(request.scope)
        exchange.answer.files = prepared.files
        if prepared.image_request.own_pictures:
            headers = [*headers, *await self._check_own_pictures(request, prepared)]
        if prepared.image_request.stream:
            from images_emulator.web.event_stream import EventStream  # noqa: PLC0415 - it delays the start

            response: Response = EventStream(
                self._events(request, prepared), is_proxied=is_proxied(request.scope)
            )
        else:
            response = json_response(await self._make_body(request, prepared))
        response.raw_headers += headers
        overrides = prepared.overrides
        if overrides is not NO_OVERRIDES:
            exchange.answer.overrides = overrides
            own = encoded_headers(overrides.headers)
            exchange.answer.own_header_names = names = {name for name, _ in own}
            others = (each for each in response.raw_headers if each[0] not in names)
            response.raw_headers = [*others, *own]
        return response

    def respond_raw(self, exchange: ServedExchange, answer: RawAnswer) -> Response:
        """The *answer*, as it is."""
        exchange.answer.is_raw = True
        response = Response(answer.body, answer.status)
        own = encoded_headers(answer.headers)
        exchange.answer.own_header_names = {name for name, _ in own}
        response.raw_headers += own
        return response

    async def _check_own_pictures(self, request: Request, prepared: PreparedCall) -> RawHeaders:
        """Check the own pictures, where no earlier call did it. Return the
        `PreparedCall.notice_headers`. Raises APIError for a picture that cannot answer the
        call."""
        if prepared.notice_headers is None:
            try:
                with watch_disconnect(request) as disconnect:
                    notices = await self.renderer.run_in_decoder(
                        lambda: imaging.fitting.check_own_pictures(prepared.image_request),
                        disconnect,
                    )
            except imaging.fitting.UnusablePictureError as error:
                raise emulator_errors.unusable_own_picture(
                    name=error.name, reason=error.reason
                ) from None
            for notice in notices:
                logger.warning(notice)
            prepared.notice_headers = [(NOTICE_HEADER, header_value(notice)) for notice in notices]
        return prepared.notice_headers

    async def _make_body(self, request: Request, prepared: PreparedCall) -> bytes:
        exchange = exchange_of(request.scope)
        image_request, created = prepared.image_request, exchange.time.replace(microsecond=0)
        by_url = image_request.response_format == "url"
        if by_url:
            images = await self._publish(request, image_request, created)
            exchange.answer.image_urls = images
        else:
            # Each image is a job of its own. So other calls get their turn between them, and the
            # images of a client that has left are not drawn.
            images = [
                await render_for_client(self.renderer, request, image_request, index)
                for index in range(image_request.n)
            ]
            if not prepared.files:
                prepared.files.update(
                    (FileKey(index), SentFile.from_base64(each))
                    for index, each in enumerate(images)
                )
        template = prepared.templates.get(None)
        if template is None:
            usage = None if by_url else await self._count_usage(image_request)
            annotations = exchange.dialect.annotations(image_request)
            first_file_bytes = len(images[0]) * 3 // 4
            template = wire.images_response(
                image_request, usage, first_file_bytes, annotations, prepared.overrides
            )
            prepared.templates[None] = template
        created_at = prepared.overrides.created_on(created)
        return template.fill(wire.slot_values(created_at, images, exchange.id))

    async def _publish(
        self, request: Request, image_request: ImageRequest, created: datetime
    ) -> list[bytes]:
        """Host the images and return their URLs. An image is drawn when it is downloaded."""
        exchange = exchange_of(request.scope)
        pictures = hosted_pictures(image_request)
        targets, stored = self.emulator.hosting.publish(
            pictures,
            mean_weight(pictures, are_copied=self.emulator.store.is_shared),
            created,
            exchange.dialect.hosted_urls,
            request_id=exchange.id,
            day=image_request.day,
        )
        if self.emulator.store.is_shared:
            exchange.hold_back_until(stored)
        else:
            await stored  # done at once, without a task
        base = base_url(request, self.emulator.settings.public_url)
        return [(base + target).encode() for target in targets]

    async def _count_usage(
        self, image_request: ImageRequest, partial_images: int = 0
    ) -> Usage | None:
        # A job of the renderer would wait behind the images of other calls.
        if len(image_request.prompt) <= MAX_INLINE_PROMPT_CHARS:
            return usage_of(image_request, partial_images)
        return await self.renderer.run_in_pool(lambda: usage_of(image_request, partial_images))

    async def _events(
        self, request: Request, prepared: PreparedCall
    ) -> AsyncGenerator[bytes, None]:
        """The events of a stream. Raises ClientDisconnect where the client leaves while an image is
        drawn. Any other error is the last event."""
        index = 0
        try:
            for index in range(prepared.image_request.partial_images + 1):
                yield await self._make_event(request, prepared, index)
        except ClientDisconnect:
            raise
        except Exception:
            # An exception that left this function would reset the connection before the client
            # reads the event.
            logger.exception("a stream failed")
            exchange = exchange_of(request.scope)
            error = exchange.error_answer(operational_errors.generation_failed())
            yield wire.error_event(error, index, exchange.day)

    async def _make_event(self, request: Request, prepared: PreparedCall, index: int) -> bytes:
        """The event with that *index*, from 0.

        Streams of calls that share the *prepared* request share the bytes of an event for a second,
        in `Emulator.prepared_calls`: a thousand slow streams would hold a thousand copies.
        """
        cache = self.emulator.prepared_calls
        created = self.emulator.clock.now().replace(microsecond=0)
        key = prepared.event_key, index, created
        event: bytes | None = cache.get(key) if prepared.event_key else None
        if event is None:
            template, encoded = await self._make_event_parts(request, prepared, index)
            created_at = prepared.overrides.created_on(created)
            event = template.fill(wire.slot_values(created_at, [encoded]))
            if prepared.event_key:
                cache.put(key, event, len(event) + EVENT_OVERHEAD_BYTES)
        return event

    async def _make_event_parts(
        self, request: Request, prepared: PreparedCall, index: int
    ) -> tuple[Template, bytes]:
        """The template of the event with that *index*, and the base64 of its image."""
        image_request = prepared.image_request
        is_last = index == image_request.partial_images
        partial = None if is_last else index
        encoded = await render_for_client(self.renderer, request, image_request, 0, partial)
        prepared.files[FileKey(0, partial)] = SentFile.from_base64(encoded)
        template = prepared.templates.get(index)
        if template is None:
            if is_last:
                usage = await self._count_usage(image_request, index)
                template = wire.completed_event(image_request, usage, prepared.overrides)
            else:
                template = wire.partial_image_event(image_request, index)
            prepared.templates[index] = template
        return template, encoded
