"""The fault middleware. It finds the fault of a call, and applies it around the application.

A fault comes from one of three places. The header `x-emulator-fault` names a fault for its call. A
directive in the prompt does the same for clients that cannot set headers. The scenario has faults
for calls to come.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakKeyDictionary

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from images_emulator.contract import emulator_errors
from images_emulator.contract.blob_storage import error_in_place_of
from images_emulator.contract.models import MODELS
from images_emulator.contract.refusal import APIError
from images_emulator.contract.request import ParsedCall
from images_emulator.exchange.served_exchange import ServedExchange, exchange_of
from images_emulator.state.emulator import Emulator
from images_emulator.state.scenario import FaultFinding
from images_emulator.state.steps import MatchInput
from images_emulator.web.authentication import authenticate
from images_emulator.web.azure_endpoints import deployment_of
from images_emulator.web.blob_responses import storage_error_response
from images_emulator.web.call_policy import has_valid_policy_headers, set_policy_if_valid
from images_emulator.web.json_responses import error_response
from images_emulator.web.match_input import input_of_call, input_of_download
from images_emulator.web.request_body import read_body, read_call

if TYPE_CHECKING:
    from images_emulator.faults.base import BaseFault

FAULT_HEADER: Final = "x-emulator-fault"
"""The header that gives a call a fault."""

_FAULT_HEADER: Final = FAULT_HEADER.encode()

BODY_SECONDS: Final = 0.05
"""Seconds for which `begin_early_claim` waits for the body of a call. With the body, one round trip
to a shared store enters the call in the journal and claims its fault; without it, that takes
two."""

DIRECTIVE_START: Final = b"[[emulator:"
"""The beginning of a directive in a prompt."""

DIRECTIVE: Final = re.compile(r"\[\[emulator:([^\[\]]*)\]\]")
"""A directive: `[[emulator: FAULT]]`."""


class FaultEligibility(NamedTuple):
    """What decides whether a fault is searched for a call."""

    may_have_fault: bool
    """Whether the call may have a fault: its key is accepted, its `x-emulator-…` headers are valid,
    and the body of a call to an image operation has come. Of a download, see `FaultMiddleware`."""
    has_directive: bool
    """Whether a directive begins in the body of such a call."""


class FaultSearch(NamedTuple):
    """What is known of the faults of one call before `FaultMiddleware.__call__`."""

    eligibility: FaultEligibility
    finding: FaultFinding | None
    """What `Scenario.claim_fault_early` has found, which may be no fault; None where the scenario
    was not searched."""


class FaultMiddleware:
    """The middleware inside `JournalMiddleware` and the instruments' `inside`. It is around the
    router, or with `--replay` around the replay middleware.

    These calls are never given a fault:

    - a call without an accepted API key: a web page of another site could use up the faults that a
      test has injected;
    - a call whose `x-emulator-…` headers are invalid, which is a mistake of the test;
    - a call to an image operation whose body is too long, or does not come whole;
    - a download that is neither a GET nor a HEAD, or whose URL has no valid signature and is not
      that of a recorded picture. A download has no API key, and of the `x-emulator-…` headers only
      `x-emulator-fault` counts.

    A fault that is claimed counts as met, also where the emulator fails or stops before it answers
    the call. Only a claim whose outcome did not get here is revoked: see `Counters.claim`.

    The body of each call to an image operation is read here, also where no fault waits. The
    directive stands in the body, and the journal has the bodies of calls without a key, too.
    """

    def __init__(self, app: ASGIApp, emulator: Emulator) -> None:
        self.app = app
        self.emulator = emulator
        self._early_searches: WeakKeyDictionary[ServedExchange, FaultSearch] = WeakKeyDictionary()
        """The results of `begin_early_claim`, until their calls get here."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = exchange_of(scope)
        search = self._early_searches.pop(exchange, None)
        if search is None:
            search = FaultSearch(await self._read_and_judge(exchange, receive), None)
        (may_have_fault, has_directive), finding = search
        scenario = self.emulator.scenario
        # A finding without a fault counts, too: it has the near misses.
        may_have = has_directive or finding is not None or scenario.has_faults
        if may_have_fault and (may_have or _FAULT_HEADER in exchange.head):
            await self._call_with_fault(search, exchange, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def begin_early_claim(
        self, exchange: ServedExchange, receive: Receive
    ) -> asyncio.Task[None]:
        """Begin to claim the fault that the scenario has for a call, other than a download. The
        returned task ends when it is claimed, and `__call__` then uses what was found.

        Wait until the body has come, but `BODY_SECONDS` at most. The claim then goes to the store
        in the same round trip as what the caller sends to it at once. For this, nothing that is
        awaited here or in `_search` may suspend between the end of the body and the claim
        (`test_a_call_that_ends_a_step_asks_redis_twice`). A large body is searched and parsed in
        another thread, and so are the images of a call that a step with `image_sha256` may match:
        such a claim is a round trip of its own.
        """
        reading = asyncio.ensure_future(self._read_and_judge(exchange, receive))
        try:
            await asyncio.wait({reading}, timeout=BODY_SECONDS)
        except BaseException:
            reading.cancel()
            raise
        search = asyncio.ensure_future(self._search(exchange, receive, reading))
        # Where `search` is cancelled before it begins, it does not cancel what it would await.
        search.add_done_callback(lambda _: reading.cancel())
        # Where the call ends before it awaits the search, nobody else asks for its exception.
        search.add_done_callback(lambda done: done.cancelled() or done.exception())
        return search

    async def _search(
        self, exchange: ServedExchange, receive: Receive, reading: Awaitable[FaultEligibility]
    ) -> None:
        eligibility, finding = await reading, None
        is_by_scenario = not eligibility.has_directive and _FAULT_HEADER not in exchange.head
        if eligibility.may_have_fault and is_by_scenario:
            scenario = self.emulator.scenario
            finding = await scenario.claim_fault_early(lambda: self._match_input(exchange, receive))
        self._early_searches[exchange] = FaultSearch(eligibility, finding)

    async def _read_and_judge(self, exchange: ServedExchange, receive: Receive) -> FaultEligibility:
        """Read the body of a call to an image operation, and tell what faults the call may have."""
        if exchange.kind == "download":
            return FaultEligibility(self._may_download_fail(exchange), has_directive=False)
        if exchange.image_operation and not await self._read_whole_body(exchange, receive):
            return FaultEligibility(may_have_fault=False, has_directive=False)
        settings = self.emulator.settings
        may_have_fault = authenticate(exchange, settings) and has_valid_policy_headers(
            exchange, settings
        )
        chunks = exchange.chunks if may_have_fault else None
        has_directive = bool(chunks) and await self._has_directive(exchange, chunks or ())
        return FaultEligibility(may_have_fault, has_directive)

    def _may_download_fail(self, exchange: ServedExchange) -> bool:
        """Whether it is a GET or HEAD of a URL that has a valid signature or belongs to a recorded
        picture."""
        query = exchange.head.query_string.decode("latin-1")
        replay = self.emulator.replay
        return exchange.method in ("GET", "HEAD") and (
            self.emulator.hosting.is_signed(exchange.path, query)
            or (replay is not None and replay.picture_at(exchange.path, query) is not None)
        )

    async def _call_with_fault(
        self,
        search: FaultSearch,
        exchange: ServedExchange,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Answer the call with its fault, or without one where it has none."""
        fault: BaseFault | None = None
        try:
            fault = await self._fault(search, exchange, receive)
            if fault is None:
                await self.app(scope, receive, send)
                return
            # The whole body is read first. An answer before the end of a request would reset the
            # connection.
            if exchange.image_operation:
                await self._parsed_call_or_none(exchange, receive)
            else:
                await self._read_whole_body(exchange, receive)
            exchange.fault, exchange.body_may_change = fault.label, fault.changes_body
            exchange.clock = self.emulator.clock
            exchange.fault_values = {
                "organization": self.emulator.account.organization_id,
                **self._dialect_values(exchange),
            }
            set_policy_if_valid(exchange, self.emulator.settings)
            await fault(self.app, exchange, scope, receive, send)
        except APIError as error:
            await self._refuse(error, exchange, fault)(scope, receive, send)

    def _refuse(
        self, error: APIError, exchange: ServedExchange, fault: BaseFault | None
    ) -> Response:
        """Refuse the call with *error*: note in *exchange* the deployment that answers, and return
        the answer. A download that has a *fault* is answered in the form of the blob storage, with
        code and message of the fault."""
        if fault and exchange.kind == "download":
            code, message = getattr(fault, "code", None), getattr(fault, "message", None)
            answer = exchange.error_answer(error)
            failure = error_in_place_of(answer.status, code, message, answer.headers)
            return storage_error_response(failure, exchange.id, self.emulator.clock.now())
        values = exchange.fault_values or {}
        # The deployment is sent in a header, so it must not be a name that a client made up.
        exchange.deployment = values["deployment"] if values.get("model") in MODELS else None
        exchange.passed_api_management = True
        return error_response(error, exchange, self.emulator.settings)

    async def _fault(
        self, search: FaultSearch, exchange: ServedExchange, receive: Receive
    ) -> BaseFault | None:
        """The fault of the call; None for none. Searches the scenario where *search* did not, and
        neither a header nor a directive names a fault. Raises APIError where one of these names no
        valid fault."""
        text = None
        if search.eligibility.has_directive:
            text = await self._take_directive(exchange, receive)
        if header := exchange.head.header(_FAULT_HEADER):
            try:
                fault = _parse_fault(header)
            except ValueError as error:
                raise emulator_errors.bad_override(header=FAULT_HEADER, reason=str(error)) from None
            # A client may send the header with each of its requests.
            return None if fault.for_downloads and exchange.kind != "download" else fault
        if text is not None:
            try:
                fault = _parse_fault(";".join(text.split()))
                if fault.for_downloads:
                    raise ValueError(f"'{fault.kind}' is for downloads alone")
            except ValueError as error:
                raise emulator_errors.bad_directive(reason=str(error)) from None
            return fault
        scenario, finding = self.emulator.scenario, search.finding
        if finding is None:
            if not scenario.has_faults:
                return None
            finding = await scenario.claim_fault(await self._match_input(exchange, receive))
        exchange.near_misses = tuple(finding.near_misses)
        return finding.fault

    async def _has_directive(self, exchange: ServedExchange, body: Sequence[bytes]) -> bool:
        if exchange.is_large:
            return await self.emulator.renderer.run_in_background(
                lambda: _directive_begins_in(body)
            )
        return _directive_begins_in(body)

    async def _read_whole_body(self, exchange: ServedExchange, receive: Receive) -> bool:
        """Read the body. Return whether it has come whole, and is not too long."""
        try:
            await read_body(exchange, receive, self.emulator.settings)
        except (APIError, ClientDisconnect):
            # The endpoint reads the body again and answers with the error.
            return False
        return True

    async def _parsed_call_or_none(
        self, exchange: ServedExchange, receive: Receive
    ) -> ParsedCall | None:
        """The parsed call; None at other paths and where the body cannot be parsed."""
        if exchange.image_operation:
            with suppress(APIError, ClientDisconnect):
                return await read_call(exchange, receive, exchange.image_operation, self.emulator)
        return None

    async def _take_directive(self, exchange: ServedExchange, receive: Receive) -> str | None:
        """Remove the directives from the prompt. Return the text of the first one."""
        call = await self._parsed_call_or_none(exchange, receive)
        prompt = call.fields.get("prompt") if call else None
        if not call or not isinstance(prompt, str):
            return None
        *before, last = DIRECTIVE.split(prompt)
        if not before:
            return None
        # `split` returns texts and directives in turn. The space before a directive is cut, too.
        text = "".join([*(part.rstrip() for part in before[::2]), last]).lstrip()
        exchange.cached_call = replace(call, fields={**call.fields, "prompt": text})
        exchange.has_directive = True
        return before[1]

    def _dialect_values(self, exchange: ServedExchange) -> Mapping[str, str]:
        model = exchange.cached_call.fields.get("model") if exchange.cached_call else None
        deployment = deployment_of(exchange, model)
        model_name = self.emulator.deployments.get(deployment, deployment)
        return exchange.dialect_values(deployment, model_name)

    async def _match_input(self, exchange: ServedExchange, receive: Receive) -> MatchInput:
        """The values of the call that the steps of the scenario are compared with."""
        if exchange.kind == "download":
            return input_of_download(exchange, self.emulator)
        call = await self._parsed_call_or_none(exchange, receive)
        model = self._dialect_values(exchange).get("model") if call else None
        return await input_of_call(exchange, call, model, self.emulator)


def _parse_fault(text: str) -> BaseFault:
    from images_emulator.faults import parse_fault  # noqa: PLC0415 - most servers need none

    return parse_fault(text)


def _directive_begins_in(body: Sequence[bytes]) -> bool:
    """Whether a directive begins in *body*, within a chunk or across several."""
    if len(body) == 1:
        return DIRECTIVE_START in body[0]
    length = len(DIRECTIVE_START)
    tail = b""
    for chunk in body:
        if DIRECTIVE_START in chunk or DIRECTIVE_START in tail + chunk[:length]:
            return True
        # A short chunk leaves some of the tail before it.
        tail = (tail + chunk[-length:])[-length:]
    return False
