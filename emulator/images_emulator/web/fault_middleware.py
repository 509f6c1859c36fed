"""The layer of faults: asks who wants one for a call, and lets it meet it.

A header asks for one call, a directive in its prompt does the same where headers cannot be reached,
and the scenario asks for calls to come.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from images_emulator.contract import errors
from images_emulator.contract.errors import APIError
from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import Operation, operation_at
from images_emulator.contract.request import Call
from images_emulator.contract.storage import error_in_place_of
from images_emulator.state.emulator import Emulator
from images_emulator.state.hosting import PREFIX as BLOBS
from images_emulator.state.steps import MatchInput
from images_emulator.web.authentication import authenticated, error_response, policy_of
from images_emulator.web.dialect import admit, deployment_of, dialect_of, sentence_facts
from images_emulator.web.request_body import (
    header,
    headers_of,
    is_large,
    key_of,
    read_body,
    read_call,
)
from images_emulator.web.storage import storage_error_response

if TYPE_CHECKING:
    from images_emulator.faults import AnyFault

HEADER: Final = "x-emulator-fault"
RAW_HEADER: Final = HEADER.encode()
MARK: Final = b"[[emulator:"
DIRECTIVE: Final = re.compile(r"\[\[emulator:([^\[\]]*)\]\]")


class FaultMiddleware:
    """Wraps the application, inside the recorder."""

    def __init__(self, app: ASGIApp, emulator: Emulator) -> None:
        self.app = app
        self.emulator = emulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["path"].startswith(BLOBS):
            # The URL is all the key that a download needs. A page of another site, which has none,
            # could use up a test's faults.
            wanted = self.emulator.scenario or RAW_HEADER in headers_of(scope)
            if wanted and self._is_download(scope):
                await self._met(scope, receive, send, None, False)
            else:
                await self.app(scope, receive, send)
            return
        operation = operation_at(scope["path"])
        body = await self._body(scope, receive) if operation else ()
        if not authenticated(scope, self.emulator.settings):
            # It will be refused. A page of another site could use up a test's faults.
            await self.app(scope, receive, send)
            return
        marked = await self._marked(body)
        if marked or self.emulator.scenario or RAW_HEADER in headers_of(scope):
            await self._met(scope, receive, send, operation, marked)
        else:
            await self.app(scope, receive, send)

    def _is_download(self, scope: Scope) -> bool:
        query = scope["query_string"].decode("latin-1")
        reads = scope["method"] in ("GET", "HEAD")
        return reads and self.emulator.hosting.is_signed(scope["path"], query)

    async def _met(
        self, scope: Scope, receive: Receive, send: Send, operation: Operation | None, marked: bool
    ) -> None:
        """Let the call meet its fault, if there is one."""
        state = scope.setdefault("state", {})
        fault: AnyFault | None = None
        try:
            fault = await self._fault(scope, receive, operation, marked)
            if fault is None:
                await self.app(scope, receive, send)
                return
            # All of it: an answer before the end of a request resets the connection.
            await (self._call if operation else self._body)(scope, receive)
            state["fault"], state["altered"] = fault.label, fault.alters
            state["facts"] = self._sentence_facts(scope, operation)
            state["organization"] = self.emulator.account.organization_id
            state["key"] = key_of(scope)
            policy = policy_of(scope, self.emulator.settings)
            state["as_of"] = policy.as_of
            state["day"] = operation.day_of_words(policy.day) if operation else policy.day
            await fault(self.app, scope, receive, send)
        except APIError as error:
            if fault and scope["path"].startswith(BLOBS):
                await self._storage_failure(error, fault, scope)(scope, receive, send)
                return
            facts = state.get("facts", {})
            # Another name than that of a deployment could be anything, and it goes into a header.
            admit(scope, facts["deployment"] if facts.get("model") in MODELS else None)
            await error_response(error, dialect_of(scope))(scope, receive, send)
        if state.get("hung_up") and "transport" not in state:
            raise ConnectionResetError("a fault closed the connection")

    def _storage_failure(self, error: APIError, fault: AnyFault, scope: Scope) -> Response:
        """An *error* as the blob store has it, with the code and the words that *fault* gives."""
        code, message = getattr(fault, "code", None), getattr(fault, "message", None)
        failure = error_in_place_of(error.status, code, message, error.headers)
        return storage_error_response(failure, scope, self.emulator)

    async def _fault(
        self, scope: Scope, receive: Receive, operation: Operation | None, marked: bool
    ) -> AnyFault | None:
        """The fault that this call meets. Raises APIError where one is asked for that is none."""
        directed = await self._directed(scope, receive) if marked else None
        if asked := header(scope, RAW_HEADER):
            try:
                return _read(asked)
            except ValueError as error:
                raise errors.bad_override(header=HEADER, reason=str(error)) from None
        if directed is not None:
            try:
                return _read(";".join(directed.split()))
            except ValueError as error:
                raise errors.bad_directive(reason=str(error)) from None
        scenario = self.emulator.scenario
        if not scenario:
            return None
        facts = await self._facts(scope, receive)
        fault, scope["state"]["near_misses"] = await scenario.meet(facts)
        return fault

    async def _marked(self, body: Sequence[bytes]) -> bool:
        if is_large(body):
            return await self.emulator.renderer.parse(lambda: _marked(body))
        return _marked(body)

    async def _body(self, scope: Scope, receive: Receive) -> tuple[bytes, ...]:
        """The body; nothing where the handler will say what is wrong with it."""
        try:
            return await read_body(scope, receive, self.emulator.settings.max_body)
        except (APIError, ClientDisconnect):
            return ()

    async def _call(self, scope: Scope, receive: Receive) -> Call | None:
        """The call, where there is one that can be understood."""
        operation = operation_at(scope["path"])
        if operation and await self._body(scope, receive):
            with suppress(APIError):
                return await read_call(scope, receive, operation, self.emulator)
        return None

    async def _directed(self, scope: Scope, receive: Receive) -> str | None:
        """What the directive in the prompt says; it is taken out of the prompt."""
        call = await self._call(scope, receive)
        prompt = call.fields.get("prompt") if call else None
        if not call or not isinstance(prompt, str):
            return None
        *before, last = DIRECTIVE.split(prompt)
        if not before:
            return None
        # Text and directives take turns; the space before a directive goes with it.
        text = "".join([*(part.rstrip() for part in before[::2]), last]).lstrip()
        scope["state"]["call"] = replace(call, fields={**call.fields, "prompt": text})
        return before[1]

    def _sentence_facts(self, scope: Scope, operation: Operation | None) -> Mapping[str, str]:
        call: Call | None = scope["state"].get("call")
        named = call.fields.get("model") if call else None
        deployment = deployment_of(scope, named)
        model = self.emulator.deployments.get(deployment, deployment)
        return sentence_facts(scope, operation, deployment, model)

    async def _facts(self, scope: Scope, receive: Receive) -> MatchInput:
        if scope["path"].startswith(BLOBS):
            return await self._download_facts(scope)
        call = await self._call(scope, receive)
        fields = call.fields if call else {}
        said = {
            name: fields[name] for name in ("model", "prompt") if isinstance(fields.get(name), str)
        }
        if call and (model := self._sentence_facts(scope, call.operation).get("model")):
            # That of the deployment, however the call names it.
            said["model"] = model
        count = header(scope, b"x-stainless-retry-count")
        return MatchInput(
            path=scope["path"],
            api_key=key_of(scope),
            retry_count=int(count) if re.fullmatch("[0-9]{1,9}", count) else 0,
            **said,
        )

    async def _download_facts(self, scope: Scope) -> MatchInput:
        """What a step may ask about a download: it is of that picture's model and prompt."""
        hosted = await self.emulator.hosting.peek(scope["path"])
        if hosted is None:
            return MatchInput(scope["path"], download=True)
        request = hosted.request
        return MatchInput(scope["path"], request.model.id, request.prompt, download=True)


def _read(text: str) -> AnyFault:
    from images_emulator.faults import read  # noqa: PLC0415 - most servers need none

    return read(text)


def _marked(body: Sequence[bytes]) -> bool:
    """Whether the mark of a directive is in the chunks of *body*, or on the seam of two."""
    if len(body) == 1:
        return MARK in body[0]
    tail = b""
    for chunk in body:
        if MARK in chunk or (tail and MARK in tail + chunk[: len(MARK)]):
            return True
        tail = chunk[-len(MARK) :]
    return False
