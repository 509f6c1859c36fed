"""The search for the fault of a call.

A fault comes from one of three places. The header `x-emulator-fault` names a fault for its call. A
directive in the prompt does the same for clients that cannot set headers. The scenario has faults
for calls to come.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakKeyDictionary

from starlette.types import Receive

from images_emulator.contract import emulator_errors
from images_emulator.exchange.served_exchange import ServedExchange
from images_emulator.state.emulator import Emulator
from images_emulator.state.match_keys import MatchInput
from images_emulator.state.scenario import StepFinding
from images_emulator.web.authentication import accept_key
from images_emulator.web.call_policy import has_valid_policy_headers
from images_emulator.web.match_input import input_of_download, make_input_of_call
from images_emulator.web.request_body import read_call_or_none, try_read_body

if TYPE_CHECKING:
    from images_emulator.faults.base import BaseFault

FAULT_HEADER: Final = b"x-emulator-fault"
"""The header that gives a call a fault."""

BODY_SECONDS: Final = 0.05
"""Seconds for which `FaultSearch.start_early_search` waits for the body of a call. With the body,
one round trip to a shared store enters the call in the journal and claims its fault; without it,
that takes two.
"""

DIRECTIVE_START: Final = b"[[emulator:"
"""The beginning of a directive in a prompt."""

DIRECTIVE: Final = re.compile(r"\[\[emulator:([^\[\]]*)\]\]")
"""A directive: `[[emulator: FAULT]]`."""


class FaultEligibility(NamedTuple):
    """What decides whether a fault is searched for a call."""

    may_have_fault: bool
    """Whether the call may have a fault: its key is accepted, its `x-emulator-…` headers are valid,
    and the body of a call to an image operation has come. `FaultSearch` says when a download may
    have one."""
    may_have_directive: bool
    """Whether the body of a call that may have a fault contains `DIRECTIVE_START`, which begins a
    directive if it is in the prompt."""


_NOT_ELIGIBLE: Final = FaultEligibility(may_have_fault=False, may_have_directive=False)


class EarlySearchOutcome(NamedTuple):
    """The outcome of a search that `FaultSearch.start_early_search` has started."""

    eligibility: FaultEligibility
    early_finding: StepFinding | None
    """What `Scenario.claim_early` has found; None where it cannot tell, and for a call that is not
    eligible, has the header, or may have a directive. `FaultSearch.claim_fault` then searches
    on."""


class FaultSearch:
    """Finds the faults of the calls to an *emulator*.

    These calls are never given a fault:

    - a call without an accepted API key: a web page of another site could use up the faults that a
      test has injected;
    - a call whose `x-emulator-…` headers are invalid, which is a mistake of the test;
    - a call to an image operation whose body is too long, or does not come whole;
    - a download that is neither a GET nor a HEAD, or whose URL has no valid signature and is not
      that of a recorded picture. A download has no API key, and of the `x-emulator-…` headers only
      `x-emulator-fault` counts.

    A fault of the scenario that is claimed counts as met, also where the emulator fails or stops
    before it answers the call. Only a claim whose outcome did not get here is revoked: see
    `Counters.claim`.

    The body of each call to an image operation is read here, also where no fault waits. The
    directive stands in the body, and the journal has the bodies of calls without a key, too.
    """

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self._early_searches: WeakKeyDictionary[
            ServedExchange, asyncio.Task[EarlySearchOutcome]
        ] = WeakKeyDictionary()
        """The searches that `start_early_search` has started, until `claim_fault` takes them."""
        # Not an attribute of the exchange: its layer does not know what a search finds, and the
        # journal keeps exchanges that are over.

    async def start_early_search(self, exchange: ServedExchange, receive: Receive) -> None:
        """With a shared store and a scenario that has faults, start the search for the fault of a
        call that is not in the journal yet, other than a download. `claim_fault` awaits what is
        started. Whoever calls this calls `cancel_early_search` at the end of the call.

        Wait until the body has come, but `BODY_SECONDS` at most. The claim on the scenario then
        goes to the store in the same round trip as the entry of the call, which the caller sends to
        the store at once: see `_search_early`.
        """
        if not (self.emulator.store.is_shared and self.emulator.scenario.has_faults):
            return
        if exchange.is_download:
            return
        check = asyncio.ensure_future(self._check_eligibility(exchange, receive))
        try:
            await asyncio.wait({check}, timeout=BODY_SECONDS)
        except BaseException:
            check.cancel()
            raise
        search = asyncio.ensure_future(self._search_early(exchange, receive, check))
        # Where `search` is cancelled before it begins, it does not cancel what it would await.
        search.add_done_callback(lambda _: check.cancel())
        # Where the call ends before it awaits the search, nobody else asks for its exception.
        search.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._early_searches[exchange] = search

    def cancel_early_search(self, exchange: ServedExchange) -> None:
        """Cancel what `start_early_search` has started, where the call ended before `claim_fault`
        took it."""
        if search := self._early_searches.pop(exchange, None):
            search.cancel()

    async def _search_early(
        self,
        exchange: ServedExchange,
        receive: Receive,
        check: asyncio.Future[FaultEligibility],
    ) -> EarlySearchOutcome:
        """Claim a fault of the scenario once the *check* of the call has ended, in the round
        trip that enters the call in the journal.

        What is awaited after the check must not suspend before the claim is handed to the store:
        the claim would miss the round trip of the journal's entry, and take one of its own: see
        "What is sent together" in `state/store.py`
        (`test_a_call_that_ends_a_step_asks_redis_twice`). It does suspend for a large body, which
        is parsed in another thread, and for a call whose images a step with `image_sha256` asks
        for: these claims are round trips of their own.
        """
        eligibility, early_finding = await check, None
        is_by_scenario = not eligibility.may_have_directive and FAULT_HEADER not in exchange.head
        if eligibility.may_have_fault and is_by_scenario:
            scenario = self.emulator.scenario
            early_finding = await scenario.claim_early(
                lambda: self._make_match_input(exchange, receive)
            )
        return EarlySearchOutcome(eligibility, early_finding)

    async def claim_fault(self, exchange: ServedExchange, receive: Receive) -> BaseFault | None:
        """The fault of the call, by its header, its directive or the scenario; None for none. A
        fault of the scenario is claimed, which counts it as met. Sets attributes of *exchange*:
        `accepted_key`, `cached_call` without the directive, and `near_misses`. Raises APIError
        where header or directive names no valid fault, and where the store is away."""
        early_search, early_finding = self._early_searches.pop(exchange, None), None
        if early_search:
            eligibility, early_finding = await early_search
        else:
            eligibility = await self._check_eligibility(exchange, receive)
        if not eligibility.may_have_fault:
            return None
        directive = None
        if eligibility.may_have_directive:
            directive = await self._take_out_directive(exchange, receive)
        if header := exchange.head.header(FAULT_HEADER):
            return _fault_of_header(header, exchange)
        if directive is not None:
            return _fault_of_directive(directive)
        scenario = self.emulator.scenario
        if early_finding is not None:
            finding = early_finding
        elif scenario.has_faults:
            finding = await scenario.claim(await self._make_match_input(exchange, receive))
        else:
            return None
        exchange.near_misses = tuple(finding.near_misses)
        return finding.fault

    async def _check_eligibility(
        self, exchange: ServedExchange, receive: Receive
    ) -> FaultEligibility:
        """Check whether the call may have a fault. This reads the body of a call to an image
        operation, and authenticates the call, which sets its `accepted_key`. A download is neither
        read nor authenticated."""
        settings = self.emulator.settings
        if exchange.is_download:
            return FaultEligibility(self._may_download_fail(exchange), may_have_directive=False)
        if exchange.image_operation and not await try_read_body(exchange, receive, settings):
            return _NOT_ELIGIBLE
        if not accept_key(exchange, settings) or not has_valid_policy_headers(exchange, settings):
            return _NOT_ELIGIBLE
        return FaultEligibility(
            may_have_fault=True, may_have_directive=await self._may_have_directive(exchange)
        )

    def _may_download_fail(self, exchange: ServedExchange) -> bool:
        """Whether it is a GET or HEAD of a URL that has a valid signature or belongs to a recorded
        picture."""
        query = exchange.head.query_string.decode("latin-1")
        replay = self.emulator.replay
        return exchange.method in ("GET", "HEAD") and (
            self.emulator.hosting.is_signed(exchange.path, query)
            or (replay is not None and replay.picture_at(exchange.path, query) is not None)
        )

    async def _may_have_directive(self, exchange: ServedExchange) -> bool:
        body = exchange.chunks or ()
        if exchange.is_large:
            return await self.emulator.renderer.run_in_background(
                lambda: _directive_begins_in(body)
            )
        return _directive_begins_in(body)

    async def _take_out_directive(self, exchange: ServedExchange, receive: Receive) -> str | None:
        """Take the directives out of the prompt in `cached_call`. Return the text of the first one;
        None where there is none."""
        call = await read_call_or_none(exchange, receive, self.emulator)
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

    async def _make_match_input(self, exchange: ServedExchange, receive: Receive) -> MatchInput:
        """The values of the call that the steps of the scenario are compared with."""
        if exchange.is_download:
            return input_of_download(exchange, self.emulator)
        call = await read_call_or_none(exchange, receive, self.emulator)
        return await make_input_of_call(exchange, call, self.emulator)


def _fault_of_header(text: str, exchange: ServedExchange) -> BaseFault | None:
    """The fault that the header names; None for a fault of downloads where the call is none, as a
    client may send the header with each of its requests. That call meets no fault of the scenario
    either. Raises APIError."""
    try:
        fault = _parse_fault(text)
    except ValueError as error:
        raise emulator_errors.bad_override(
            header=FAULT_HEADER.decode(), reason=str(error)
        ) from None
    return None if fault.for_downloads and not exchange.is_download else fault


def _fault_of_directive(text: str) -> BaseFault:
    """The fault that a directive names. Raises APIError."""
    try:
        fault = _parse_fault(";".join(text.split()))
        if fault.for_downloads:
            raise ValueError(f"'{fault.kind}' is for downloads alone")
    except ValueError as error:
        raise emulator_errors.bad_directive(reason=str(error)) from None
    return fault


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
