"""`/images/generations`, `/images/edits`, `/images/variations`, and the pictures by URL."""

from __future__ import annotations

import asyncio
import logging
from binascii import a2b_base64
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Scope

from images_emulator import imaging
from images_emulator.contract import errors, wire
from images_emulator.contract.calendar import AsOf, Policy
from images_emulator.contract.errors import APIError
from images_emulator.contract.events import error_event
from images_emulator.contract.operations import Operation
from images_emulator.contract.request import Call, ImageLoader, ImageRequest
from images_emulator.contract.storage import EXPIRED, StorageError, unsupported_verb
from images_emulator.contract.templates import Template
from images_emulator.contract.usage import Usage, usage
from images_emulator.contract.validation import validate
from images_emulator.exchange.details import CallDetails, details_of
from images_emulator.rendering.renderer import ENTRY_OVERHEAD_BYTES
from images_emulator.state.emulator import Emulator
from images_emulator.state.entry import MAX_LATE_PARSE_BYTES
from images_emulator.state.hosted_picture import HostedPicture
from images_emulator.state.hosting import LIFE
from images_emulator.state.identity import random_uuid
from images_emulator.web.authentication import Handler, json_response
from images_emulator.web.dialect import dialect_of, sentence_facts
from images_emulator.web.disconnect import watch_disconnect
from images_emulator.web.request_body import (
    base_url,
    headers_of,
    is_large,
    key_of,
    read_body,
    read_call,
)
from images_emulator.web.response_cache import LASTING, Lasting
from images_emulator.web.storage import storage_error_response

logger = logging.getLogger("images_emulator")

Headers = Sequence[tuple[bytes, bytes]]

SHORT: Final = 4000
"""Characters of a prompt whose tokens are counted in less than a millisecond."""

MAX_HEADER_CHARS: Final = 4096
"""Characters of `x-emulator-violations`; Node.js refuses answers with heads past 16 KB."""

ModelResolver = Callable[[Request, Call], str]
"""Finds the model of a call where its `model` names something else, or nothing. Raises APIError."""


@dataclass(slots=True, eq=False)
class Order:
    """A call's body and the request that it proved to be, with what is the same in all its
    answers."""

    request: ImageRequest
    body: tuple[bytes, ...]
    templates: dict[int | None, Template] = field(default_factory=dict)
    """The body under None, events under their numbers."""
    facts: CallDetails | None = None
    """What the journal tells of it, where the body is too long to be parsed again for that."""
    repeated: bool = False
    """Whether the same order came again."""


class Images:
    """The handlers of pictures, around one emulator's state."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.renderer = emulator.renderer

    @cached_property
    def loader(self) -> ImageLoader:
        from images_emulator.web.remote import fetcher  # noqa: PLC0415 - it delays the start

        fetch = fetcher(self.emulator.settings)
        return imaging.image_loader.ImageLoader(self.emulator.files.data, fetch)

    def handler(self, operation: Operation, model_of: ModelResolver | None = None) -> Handler:
        """The handler of *operation*."""

        async def create_images(request: Request, policy: Policy) -> Response:
            try:
                order = await self._order(request, operation, policy, model_of)
            except APIError as error:
                raise operation.error_of_day(error, policy.day) from None
            accepted = order.request
            if self.emulator.rate_limits.rate:
                await self._admit(request.scope, accepted)
            request.scope["state"]["accepted"] = accepted
            remarks = self._remarks(accepted, policy.day)
            return await (self._streamed if accepted.stream else self._answered)(
                order, request, remarks
            )

        return create_images

    async def _admit(self, scope: Scope, accepted: ImageRequest) -> None:
        """Raises APIError past the rate limit of the caller, or of the deployment that it calls."""
        deployment = scope["state"].get("deployment")
        facts = sentence_facts(scope, accepted.operation, deployment or "", accepted.model.id)
        refusal = dialect_of(scope).rate_limit(accepted.model)
        await self.emulator.rate_limits.admit(key_of(scope), accepted, refusal, deployment, facts)

    async def _order(
        self, request: Request, operation: Operation, policy: Policy, model_of: ModelResolver | None
    ) -> Order:
        """The call in *request*, judged. What has no uploads and is equal is judged once."""
        most = self.emulator.settings.max_body
        body = await read_body(request.scope, request.receive, most)
        memorable = not operation.reads_uploads and model_of is None and not is_large(body)
        said = headers_of(request.scope).get(b"content-type")
        key = (operation, policy.as_of, policy.lenient, said, body)
        known: Order | None = self.renderer.cache.get(key) if memorable else None
        if known:
            # Held once for all who sent the same.
            request.scope["state"].update(body=known.body, order_facts=known.facts)
            known.repeated = True
            return known
        call = await read_call(
            request.scope, request.receive, operation, self.emulator, policy.as_of
        )
        if model_of:
            call = replace(call, fields={**call.fields, "model": model_of(request, call)})
        order = Order(await self._validated(request, call, policy), body)
        if memorable:
            length = sum(map(len, body))
            if length > MAX_LATE_PARSE_BYTES:
                order.facts = details_of(call, order.request)
                request.scope["state"]["order_facts"] = order.facts
            # The body, its texts in the request, which take up to four times as much, and again in
            # the templates.
            self.renderer.cache.put(key, order, 4096 + 8 * length)
        return order

    async def _validated(self, request: Request, call: Call, policy: Policy) -> ImageRequest:
        dialect = dialect_of(request.scope)
        if not call.operation.reads_uploads:
            return validate(call, self.loader, policy, dialect)
        # Uploads are decoded on the way; fetching them is no work for the thread that does it.
        if self.emulator.settings.remote_images == "fetch":
            return await asyncio.to_thread(validate, call, self.loader, policy, dialect)
        with watch_disconnect(request) as disconnect:
            return await self.renderer.decode(
                lambda: validate(call, self.loader, policy, dialect), disconnect
            )

    def _remarks(self, accepted: ImageRequest, day: AsOf) -> Headers:
        """The emulator's own headers: what it forgave, and that a model was shut down by the *day*
        that the call is judged by."""
        remarks = []
        if accepted.forgiven:
            told = ascii(", ".join(map(str, accepted.forgiven)))[1:-1][:MAX_HEADER_CHARS]
            remarks.append((b"x-emulator-violations", told.encode()))
        model = accepted.model
        if model.shutdown and day and model.shutdown <= day:
            notice = self.emulator.noticed.get(model.id)
            if notice is None:
                told = f"{model} was shut down on {model.shutdown}; use {model.replacement}"
                logger.warning(told)
                notice = self.emulator.noticed[model.id] = told.encode()
            remarks.append((b"x-emulator-notice", notice))
        return remarks

    async def _answered(self, order: Order, request: Request, remarks: Headers) -> Response:
        accepted, created = order.request, request.scope["state"]["time"].replace(microsecond=0)
        pictures = (
            await self._published(accepted, request, created)
            if accepted.response_format == "url"
            else await self._drawn(accepted, request)
        )
        template = order.templates.get(None)
        if template is None:
            spent = None
            if accepted.response_format != "url":
                spent = await self._spent(accepted)
            annotations = dialect_of(request.scope).annotations(accepted)
            weight = len(pictures[0]) * 3 // 4
            template = wire.images_response(accepted, spent, weight, annotations)
            order.templates[None] = template

        def answer() -> Response:
            response = json_response(
                template.render(wire.slot_values(created, pictures, random_uuid))
            )
            response.raw_headers += remarks
            return response

        first = answer()
        counted = accepted.response_format == "url" or self.emulator.rate_limits.rate
        if order.repeated and not counted:
            request.scope["state"][LASTING] = (
                # The picture cache may let go of its pictures before this answer goes.
                Lasting(answer, sum(map(len, pictures)))
                if template.unique
                else Lasting(lambda: first, len(first.body))
            )
        return first

    async def _published(
        self, accepted: ImageRequest, request: Request, created: datetime
    ) -> list[bytes]:
        kept, heavy = imaging.decoder.without_pixels(accepted), imaging.decoder.weight_of(accepted)
        base = base_url(request, self.emulator.settings.public_url)
        urls, identity = dialect_of(request.scope).hosted, request.scope["state"]["request_id"]

        async def publish(index: int) -> bytes:
            url = await self.emulator.hosting.publish(
                HostedPicture(kept, index), heavy, created, urls, request_id=identity, index=index
            )
            return (base + url).encode()

        return [await publish(index) for index in range(accepted.n)]

    async def _drawn(self, accepted: ImageRequest, request: Request) -> list[bytes]:
        # One job for each, so that others get their turn, and none for a client that left.
        return [await self._picture(request, accepted, index) for index in range(accepted.n)]

    async def _picture(
        self, request: Request, accepted: ImageRequest, index: int, partial: int | None = None
    ) -> bytes:
        """A picture in base64. Raises ClientDisconnect where the client leaves before it is
        drawn."""
        picture = self.renderer.cached(accepted, index, partial)
        if picture is not None:
            return picture
        with watch_disconnect(request) as disconnect:
            return await self.renderer.render(accepted, index, partial, disconnect)

    async def _spent(self, accepted: ImageRequest, partials: int = 0) -> Usage | None:
        # In the queue of the renderer it would wait for the pictures of others.
        if len(accepted.prompt) <= SHORT:
            return usage(accepted, partials)
        return await self.renderer.run(lambda: usage(accepted, partials))

    async def _streamed(self, order: Order, request: Request, remarks: Headers) -> Response:
        from images_emulator.web.stream import EventStream  # noqa: PLC0415 - it delays the start

        response = EventStream(self._events(order, request))
        response.raw_headers += remarks
        return response

    async def _events(self, order: Order, request: Request) -> AsyncIterator[bytes]:
        try:
            for number in range(order.request.partial_images + 1):
                yield await self._event(order, request, number)
        except ClientDisconnect:
            return
        except Exception:
            # Raised on, it would reset the connection before the client has read the event.
            logger.exception("a stream broke")
            yield error_event(errors.generation_failed())

    async def _event(self, order: Order, request: Request, number: int) -> bytes:
        """The event, which is the same for all who ask for it within a second."""
        created = self.emulator.clock.now().replace(microsecond=0)
        made: tuple[datetime, bytes] | None = None
        if order.repeated:
            made = self.renderer.cache.get((order, number))
        if made and made[0] == created:
            return made[1]
        accepted = order.request
        last = number == accepted.partial_images
        picture = await self._picture(request, accepted, 0, None if last else number)
        template = order.templates.get(number)
        if template is None:
            spent = None
            if last:
                spent = await self._spent(accepted, partials=number)
            template = order.templates[number] = wire.image_event(accepted, number, spent)
        event = template.render(wire.slot_values(created, [picture], random_uuid))
        if order.repeated:
            self.renderer.cache.put(
                (order, number), (created, event), len(event) + ENTRY_OVERHEAD_BYTES
            )
        return event

    async def hosted(self, request: Request) -> Response:
        """A picture by its URL, which is all the key that it needs; it can only be read."""
        scope = request.scope
        if scope["method"] not in ("GET", "HEAD"):
            return storage_error_response(unsupported_verb(), scope, self.emulator)
        query = scope["query_string"].decode("latin-1")
        expired = scope["state"].get(EXPIRED, False)
        try:
            hosted = await self.emulator.hosting.find(scope["path"], query, expired=expired)
        except StorageError as refused:
            return storage_error_response(refused, scope, self.emulator)
        image = a2b_base64(await self._picture(request, hosted.request, hosted.index))
        headers = {"Cache-Control": f"private, max-age={round(LIFE.total_seconds())}"}
        return Response(image, headers=headers, media_type=imaging.render.mimetype(hosted.request))
