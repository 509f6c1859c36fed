"""The handlers of `/images/generations`, `/images/edits` and `/images/variations`. A handler reads
and validates the call, asks the rate limit, claims the own answer, and makes the answer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

from starlette.requests import Request
from starlette.responses import Response

from images_emulator import imaging
from images_emulator.contract.answer_replacement import NO_REPLACEMENT, AnswerReplacement
from images_emulator.contract.calendar import Day
from images_emulator.contract.call_image import ImageLoader
from images_emulator.contract.dialect import Dialect
from images_emulator.contract.http_headers import header_value
from images_emulator.contract.notices import MODEL_SHUT_DOWN, NOTICE_HEADER, limit_notice
from images_emulator.contract.policy import Policy
from images_emulator.contract.refusal import APIError
from images_emulator.contract.request import ImageRequest, ParsedCall
from images_emulator.contract.validation import validate
from images_emulator.exchange.call_details import details_of
from images_emulator.exchange.exchange import MAX_REPARSE_BYTES
from images_emulator.exchange.request_head import RawHeaders
from images_emulator.exchange.served_exchange import ServedExchange, exchange_of
from images_emulator.setting_values import RemoteImages
from images_emulator.state.emulator import Emulator
from images_emulator.state.rate_limits import Admission
from images_emulator.web.authentication import file_owner
from images_emulator.web.disconnect import watch_disconnect
from images_emulator.web.endpoints import Handler
from images_emulator.web.image_responses import ImageResponses
from images_emulator.web.prepared_call import PreparedCall, PreparedKey, prepared_weight
from images_emulator.web.request_body import read_body, read_call

logger = logging.getLogger("images_emulator")

ModelLookup = Callable[[Request, ParsedCall], str]
"""Finds the model of a call whose `model` names a deployment, or is missing. Raises APIError."""


class ImagesAPI:
    """The handlers of the image operations."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.responses = ImageResponses(emulator)

    @cached_property
    def loader(self) -> imaging.image_loader.PillowImageLoader:
        """Decodes and fetches the images of calls. It is made by the first call."""
        from images_emulator.web.image_fetch import fetcher  # noqa: PLC0415 - it delays the start

        settings = self.emulator.settings
        return imaging.image_loader.PillowImageLoader(
            self.emulator.files.data,
            fetcher(settings),
            imaging.decode_limits.DecodeLimits.from_settings(settings),
        )

    def handler(self, model_of: ModelLookup | None = None) -> Handler:
        """The handler of all image operations. It marks the errors of body and parameters as those
        of an operation: see `APIError.is_of_operation`."""

        async def handle(request: Request, policy: Policy) -> Response:
            exchange = exchange_of(request.scope)
            try:
                prepared = await self._prepare(request, policy, model_of)
            except APIError as error:
                error.is_of_operation = True
                raise
            replacement = await self._admit(exchange, prepared.image_request)
            if replacement.error:
                raise replacement.error
            prepared = prepared.with_replacement(replacement)
            exchange.request = prepared.image_request
            if replacement.raw:
                return self.responses.respond_raw(exchange, replacement.raw)
            headers = self._emulator_headers(prepared.image_request, policy.day)
            return await self.responses.respond(request, prepared, headers)

        return handle

    async def _admit(
        self, exchange: ServedExchange, image_request: ImageRequest
    ) -> AnswerReplacement:
        """Take the images from the rate limit, and claim the own answer of the call, unless
        `ReplayMiddleware` did so. Return the replacement for the call. Raises APIError where the
        rate limit refuses the call.

        One operation of the store does both here: a call that the rate limit refuses uses up no own
        answer, unless `ReplayMiddleware` has claimed it.
        """
        admission = None
        # Of a recorded answer only the values that it leaves open are drawn.
        is_played = exchange.recording_name is not None
        if self.emulator.rate_limits.rate and not is_played:
            admission = self._admission(exchange, image_request)
        if exchange.replacement is None and self.emulator.scenario.has_answers:
            from images_emulator.web.own_answer_claim import claim_own_answer  # noqa: PLC0415 - it loads Pillow

            return await claim_own_answer(exchange, image_request, self.emulator, admission)
        if admission:
            await admission.admit()
        return exchange.replacement or NO_REPLACEMENT

    def _admission(self, exchange: ServedExchange, image_request: ImageRequest) -> Admission:
        """The admission of the images by the rate limit of the API key or the deployment."""
        deployment = exchange.deployment
        values = exchange.message_values(deployment or "", image_request.model.id)
        refusal = exchange.dialect.refusal("rate_limit_exceeded", image_request.model)
        key = exchange.accepted_key or ""
        return self.emulator.rate_limits.admission(key, image_request, refusal, deployment, values)

    async def _prepare(
        self, request: Request, policy: Policy, model_of: ModelLookup | None
    ) -> PreparedCall:
        """Read and validate the call, or take it from `Emulator.prepared_calls`. A large call is
        not in this cache, nor is one of an operation that reads uploads, or to a deployment."""
        exchange = exchange_of(request.scope)
        operation = exchange.image_operation
        assert operation, "no other path has this handler"
        body = await read_body(exchange, request.receive, self.emulator.settings)
        if operation.reads_uploads or model_of or exchange.is_large:
            _, image_request = await self._parse_and_validate(request, policy, model_of)
            return PreparedCall(image_request, body)
        content_type = exchange.head.by_name.get(b"content-type")
        key = PreparedKey(operation, exchange.dialect, policy, content_type, body)
        prepared: PreparedCall | None = self.emulator.prepared_calls.get(key)
        if prepared:
            # All journal entries with this body share one copy of it.
            exchange.chunks = prepared.chunks
        else:
            call, image_request = await self._parse_and_validate(request, policy)
            prepared = PreparedCall(image_request, body, event_key=object())
            if exchange.body_bytes > MAX_REPARSE_BYTES:
                prepared.details = details_of(call, image_request)
            self.emulator.prepared_calls.put(key, prepared, prepared_weight(key))
        exchange.cached_details = prepared.details
        return prepared

    async def _parse_and_validate(
        self, request: Request, policy: Policy, model_of: ModelLookup | None = None
    ) -> tuple[ParsedCall, ImageRequest]:
        """Parse and validate the body of the call."""
        exchange = exchange_of(request.scope)
        with self.emulator.span("validate"):
            call = await read_call(exchange, request.receive, self.emulator, policy.as_of)
            if model_of:
                call = replace(call, fields={**call.fields, "model": model_of(request, call)})
            return call, await self._validate(request, call, policy)

    async def _validate(self, request: Request, call: ParsedCall, policy: Policy) -> ImageRequest:
        exchange = exchange_of(request.scope)
        dialect = exchange.dialect
        if not call.operation.reads_uploads:
            return validate(call, self.loader, policy, dialect)
        files, owner = self.emulator.files, file_owner(exchange, self.emulator.settings)
        loader = self.loader.for_call(lambda file_id: files.data(file_id, owner))
        try:
            return await self._validate_with_uploads(request, call, policy, dialect, loader)
        except APIError as error:
            if loader.exceeded_setting:
                settings = self.emulator.settings
                error.add_notice(limit_notice("an image", settings, loader.exceeded_setting))
            raise

    async def _validate_with_uploads(
        self,
        request: Request,
        call: ParsedCall,
        policy: Policy,
        dialect: Dialect,
        loader: ImageLoader,
    ) -> ImageRequest:
        """Validate the *call*, whose operation reads uploads, in another thread."""
        # Validation decodes the uploads, so it runs in the renderer's decoder thread. Where it may
        # fetch images, it runs in another thread, because it waits for the network.
        renderer = self.emulator.renderer

        def job() -> ImageRequest:
            return validate(call, loader, policy, dialect)

        if self.emulator.settings.remote_images == RemoteImages.FETCH:
            return await renderer.run_in_fetcher(job)
        with watch_disconnect(request) as disconnect:
            return await renderer.run_in_decoder(job, disconnect)

    def _emulator_headers(self, image_request: ImageRequest, day: Day) -> RawHeaders:
        """The `x-emulator-…` headers of the answer: the violations that were forgiven, and a notice
        if the model is shut down on *day*. The first notice of a model is also logged."""
        headers = []
        if image_request.forgiven:
            violations = header_value(", ".join(map(str, image_request.forgiven)))
            headers.append((b"x-emulator-violations", violations))
        model = image_request.model
        if model.is_shut_down_by(day):
            notice = self.emulator.logged_notices.get(model.id)
            if notice is None:
                text = MODEL_SHUT_DOWN.format(
                    model=model, day=model.shutdown, replacement=model.replacement
                )
                logger.warning(text)
                notice = self.emulator.logged_notices[model.id] = text.encode()
            headers.append((NOTICE_HEADER, notice))
        return headers
