"""`/images/generations`, `/images/edits`, `/images/variations`, and the pictures by URL."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar
from uuid import uuid4

from sse_starlette.sse import EventSourceResponse
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from emulator.contract import errors
from emulator.contract.calendar import Policy
from emulator.contract.events import error_event
from emulator.contract.request import Call, Endpoint, ImageRequest
from emulator.contract.usage import usage
from emulator.contract.validation import validate
from emulator.imaging.synthesis import Darkroom, mimetype, render, render_progress
from emulator.imaging.uploads import resting, weight
from emulator.state.emulator import Emulator
from emulator.state.hosting import LIFE, StorageError
from emulator.web import wire
from emulator.web.call import key_of, read_call
from emulator.web.gate import Handler, json_response
from emulator.web.remote import fetcher

T = TypeVar("T")

logger = logging.getLogger("emulator")

NEVER: Final = 10**6
"""Seconds between the comments that would keep a stream alive: the API sends none."""


Named = Callable[[Request, Call], str]
"""Says the model where the path does and not the body."""


class Images:
    """The handlers of pictures, around one emulator's state."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.darkroom = Darkroom(emulator.files.data, fetcher(emulator.settings))

    async def _work(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.emulator.studio, job)

    def handler(self, endpoint: Endpoint, named: Named | None = None) -> Handler:
        """What answers *endpoint*."""

        async def create_images(request: Request, policy: Policy) -> Response:
            call = await read_call(request, endpoint, self.emulator.settings.max_body)
            if named:
                call = replace(call, fields={**call.fields, "model": named(request, call)})
            accepted = await self._validated(call, policy)
            self.emulator.rate_limits.admit(key_of(request.headers), accepted)
            request.scope["state"]["accepted"] = accepted
            if accepted.stream:
                events = self._events(accepted)
                response: Response = EventSourceResponse(events, sep="\n", ping=NEVER)
            else:
                response = await self._answered(accepted, request)
            response.headers.update(self._remarks(accepted))
            return response

        return create_images

    async def _validated(self, call: Call, policy: Policy) -> ImageRequest:
        if call.endpoint is Endpoint.GENERATIONS:
            return validate(call, self.darkroom, policy)
        # Uploads are decoded on the way; fetching them is no work for the thread that draws.
        if self.emulator.settings.remote_images == "fetch":
            return await asyncio.to_thread(validate, call, self.darkroom, policy)
        return await self._work(lambda: validate(call, self.darkroom, policy))

    def _remarks(self, accepted: ImageRequest) -> dict[str, str]:
        """The emulator's own headers: what it forgave, and that a model has gone."""
        remarks = {}
        if accepted.forgiven:
            told = [f"{each.param or 'request'}: {each.code}" for each in accepted.forgiven]
            remarks["x-emulator-violations"] = ascii(", ".join(told))[1:-1]
        model, today = accepted.model, self.emulator.clock.now().date()
        if model.shutdown and model.shutdown <= today:
            notice = f"{model} was shut down on {model.shutdown}; use {model.replacement}"
            logger.warning(notice)
            remarks["x-emulator-notice"] = notice
        return remarks

    async def _answered(self, accepted: ImageRequest, request: Request) -> Response:
        if accepted.response_format == "url":
            created = self.emulator.clock.now()
            kept, heavy = resting(accepted), weight(accepted)
            base = self._base_url(request)
            urls = [
                base + self.emulator.hosting.publish((kept, index), heavy, created)
                for index in range(accepted.n)
            ]
            return json_response(wire.images_response(accepted, urls, None, created))
        pictures = []
        for index in range(accepted.n):
            # One job for each, so that others get their turn, and none for a client that left.
            pictures.append(await self._work(partial(self._drawn, accepted, index)))
            if await request.is_disconnected():
                raise ClientDisconnect
        spent = await self._work(lambda: usage(accepted))
        created = self.emulator.clock.now()
        return json_response(wire.images_response(accepted, pictures, spent, created))

    def _drawn(self, accepted: ImageRequest, index: int) -> str:
        return wire.encoded(render(accepted, index))

    async def _events(self, accepted: ImageRequest) -> AsyncIterator[bytes]:
        progress = enumerate(render_progress(accepted))

        def next_event() -> bytes | None:
            number, image = next(progress, (None, b""))
            if number is None:
                return None
            last = number == accepted.partial_images
            spent = usage(accepted, partials=number) if last else None
            return wire.image_event(accepted, image, number, spent, self.emulator.clock.now())

        try:
            while event := await self._work(next_event):
                yield event
        except Exception:
            # Raised on, it would reset the connection before the client has read the event.
            logger.exception("a stream broke")
            yield error_event(errors.generation_failed())

    def _base_url(self, request: Request) -> str:
        """Where this client reaches the server, unless the settings say it."""
        public = self.emulator.settings.public_url
        return (public or str(request.base_url)).rstrip("/")

    async def hosted(self, request: Request) -> Response:
        """A picture by its URL, which is all the key that it needs."""
        try:
            drawing, index = self.emulator.hosting.find(request.url.path, request.url.query)
        except StorageError as refused:
            now = self.emulator.clock.now()
            identity = str(uuid4())
            body = wire.storage_error(refused.code, refused.message, refused.detail, identity, now)
            headers = {
                "Server": "Microsoft-HTTPAPI/2.0",
                "x-ms-request-id": identity,
                "x-ms-error-code": refused.code,
            }
            return Response(body, refused.status, headers, "application/xml")
        image = await self._work(lambda: render(drawing, index))
        headers = {"Cache-Control": f"private, max-age={round(LIFE.total_seconds())}"}
        return Response(image, headers=headers, media_type=mimetype(drawing))
