"""The fault middleware. It applies the fault of a call around the application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from images_emulator.contract.blob_storage import error_in_place_of
from images_emulator.contract.models import MODELS
from images_emulator.contract.refusal import APIError
from images_emulator.exchange.served_exchange import ServedExchange, exchange_of
from images_emulator.state.emulator import Emulator
from images_emulator.web.azure_endpoints import message_values_of_call
from images_emulator.web.blob_responses import storage_error_response
from images_emulator.web.call_policy import set_policy_if_valid
from images_emulator.web.fault_search import FaultSearch
from images_emulator.web.json_responses import error_response
from images_emulator.web.request_body import read_call_or_none, try_read_body

if TYPE_CHECKING:
    from images_emulator.faults.base import BaseFault


class FaultMiddleware:
    """The middleware inside `JournalMiddleware`, which the instruments wrap by `wrap_inner_app`. It
    is around the router, or with `--replay` around the replay middleware. *search* finds the
    faults."""

    def __init__(self, app: ASGIApp, emulator: Emulator, search: FaultSearch) -> None:
        self.app = app
        self.emulator = emulator
        self._search = search

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = exchange_of(scope)
        try:
            fault = await self._search.claim_fault(exchange, receive)
        except APIError as error:
            exchange.passed_api_management = True
            await error_response(error, exchange, self.emulator.settings)(scope, receive, send)
            return
        if fault is None:
            await self.app(scope, receive, send)
        else:
            await self._call_with_fault(fault, exchange, scope, receive, send)

    async def _call_with_fault(
        self,
        fault: BaseFault,
        exchange: ServedExchange,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Answer the call with *fault*."""
        # The whole body is read first: an answer before the end of a request would reset the
        # connection. It is parsed for the values that messages name.
        if exchange.image_operation:
            await read_call_or_none(exchange, receive, self.emulator)
        else:
            await try_read_body(exchange, receive, self.emulator.settings)
        exchange.fault_label, exchange.fault_changes_body = fault.label, fault.changes_body
        exchange.fault_message_values = {
            "organization": self.emulator.account.organization_id,
            **message_values_of_call(exchange, self.emulator),
        }
        set_policy_if_valid(exchange, self.emulator.settings)
        try:
            await fault(self.app, exchange, scope, receive, send)
        except APIError as error:
            values = exchange.fault_message_values
            # The deployment is sent in a header, so it must not be a name that a client made up.
            exchange.deployment = values["deployment"] if values.get("model") in MODELS else None
            exchange.passed_api_management = True
            await self._error_response(error, exchange, fault)(scope, receive, send)

    def _error_response(
        self, error: APIError, exchange: ServedExchange, fault: BaseFault
    ) -> Response:
        """The answer of a call whose *fault* has raised *error*. The answer of a download has the
        form of the blob storage, with code and message of the fault."""
        if exchange.is_download:
            code, message = getattr(fault, "code", None), getattr(fault, "message", None)
            answer = exchange.error_answer(error)
            failure = error_in_place_of(answer.status, code, message, answer.headers)
            return storage_error_response(failure, exchange.id, self.emulator.clock.now())
        return error_response(error, exchange, self.emulator.settings)
