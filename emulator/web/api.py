"""The OpenAI routes: images, models, and the pictures that they host."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date
from functools import partial
from http import HTTPMethod
from typing import Final, TypeVar
from uuid import uuid4

from sse_starlette.sse import EventSourceResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from emulator.clock import parse_as_of
from emulator.contract import errors
from emulator.contract.calendar import Period, Policy
from emulator.contract.catalogue import Catalogue
from emulator.contract.errors import APIError
from emulator.contract.models import RETIRED
from emulator.contract.request import Call, Endpoint, ImageRequest
from emulator.contract.usage import usage
from emulator.contract.validation import validate
from emulator.imaging.synthesis import Darkroom, mimetype, render, render_progress
from emulator.imaging.uploads import resting, weight
from emulator.settings import parse_lenient
from emulator.state.emulator import Emulator
from emulator.state.hosting import LIFE, PREFIX, StorageError
from emulator.web import wire
from emulator.web.call import read_call

T = TypeVar("T")
Handler = Callable[[Request, Policy], Awaitable[Response]]

logger = logging.getLogger("emulator")

JSON: Final = "application/json"
NEVER: Final = 10**6
"""Seconds between the comments that would keep a stream alive: the API sends none."""


def error_response(error: APIError) -> Response:
    return Response(wire.pretty(error.body()), error.status, dict(error.headers), JSON)


class API:
    """The handlers, around one emulator's state."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.darkroom = Darkroom()

    def routes(self) -> list[Route]:
        handlers: list[tuple[str, str, Handler, date | None]] = [
            ("GET", "/models", self.list_models, None),
            ("GET", "/models/{model:path}", self.retrieve_model, None),
        ]
        for endpoint in Endpoint:
            path = f"/images/{endpoint.value}"
            handlers.append(("POST", path, self._images(endpoint), RETIRED.get(endpoint)))
        return [
            *(
                Route(
                    prefix + path,
                    self._guarded(method, handler, retired),
                    methods=list(HTTPMethod),
                )
                for method, path, handler, retired in handlers
                for prefix in ("/v1", "")
            ),
            Route(f"{PREFIX}{{name:path}}", self.hosted_image, methods=["GET"]),
        ]

    def _guarded(
        self, method: str, handler: Handler, retired: date | None
    ) -> Callable[[Request], Awaitable[Response]]:
        """*handler* behind the key, which is looked at before anything else, but for whether the
        path is there at all: from the day on which it *retired* it is not."""

        async def guarded(request: Request) -> Response:
            policy = self._policy(request)
            if policy.as_of not in Period(until=retired):
                raise HTTPException(404)
            self._check_key(request)
            # Starlette answers HEAD with what GET has.
            if request.method != method and (request.method, method) != ("HEAD", "GET"):
                raise HTTPException(405)
            return await handler(request, policy)

        return guarded

    def _policy(self, request: Request) -> Policy:
        """The settings, and the headers that change them for one call."""
        settings, today = self.emulator.settings, self.emulator.clock.now().date()

        def read(header: str, default: str, parse: Callable[[str], T]) -> T:
            try:
                return parse(request.headers.get(header, default))
            except ValueError as error:
                raise errors.bad_override(header=header, reason=str(error)) from None

        return Policy(
            as_of=read("x-emulator-as-of", settings.as_of, lambda text: parse_as_of(text, today)),
            lenient=read("x-emulator-validation", settings.validation, parse_lenient),
        )

    def _check_key(self, request: Request) -> None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            raise errors.missing_key()
        accepted = self.emulator.settings.api_key
        if accepted and key not in accepted:
            raise errors.incorrect_key(key=errors.masked(key))

    async def _work(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.emulator.studio, job)

    # --- images

    def _images(self, endpoint: Endpoint) -> Handler:
        async def create_images(request: Request, policy: Policy) -> Response:
            call = await read_call(request, endpoint)
            accepted = await self._validated(call, policy)
            if accepted.stream:
                response: Response = EventSourceResponse(
                    self._events(accepted), sep="\n", ping=NEVER
                )
            else:
                response = await self._answered(accepted, request)
            response.headers.update(self._remarks(accepted))
            return response

        return create_images

    async def _validated(self, call: Call, policy: Policy) -> ImageRequest:
        if call.endpoint is Endpoint.GENERATIONS:
            return validate(call, self.darkroom, policy)
        # Uploads are decoded on the way.
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
            return Response(wire.images_response(accepted, urls, None, created), media_type=JSON)

        pictures = []
        for index in range(accepted.n):
            # One job for each, so that others get their turn, and none for a client that left.
            pictures.append(await self._work(partial(self._drawn, accepted, index)))
            if await request.is_disconnected():
                raise ClientDisconnect
        spent = await self._work(lambda: usage(accepted))
        created = self.emulator.clock.now()
        body = wire.images_response(accepted, pictures, spent, created)
        return Response(body, media_type=JSON)

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
            yield wire.error_event(errors.generation_failed())
            raise

    # --- hosted images

    def _base_url(self, request: Request) -> str:
        """Where this client reaches the server, unless the settings say it."""
        public = self.emulator.settings.public_url
        return (public or str(request.base_url)).rstrip("/")

    async def hosted_image(self, request: Request) -> Response:
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

    # --- models

    async def list_models(self, request: Request, policy: Policy) -> Response:
        data = [wire.model_object(model) for model in Catalogue(policy.as_of).models.values()]
        return Response(wire.pretty({"object": "list", "data": data}), media_type=JSON)

    async def retrieve_model(self, request: Request, policy: Policy) -> Response:
        named = request.path_params["model"]
        model = Catalogue(policy.as_of).models.get(named)
        if not model:
            raise errors.model_not_listed(model=named)
        return Response(wire.pretty(wire.model_object(model)), media_type=JSON)
