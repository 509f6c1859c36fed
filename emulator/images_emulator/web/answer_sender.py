"""Sends the answer of a call: adds the API's standard headers, notes what leaves in the exchange,
and ends the call. Downloads and recorded answers have headers of their own.

A new header on all answers is a row of `OPENAI_HEADERS` in `contract/dialect.py` and an entry in
`_azure_headers` of `contract/azure.py`. Where an answer without it is drift, its name is in
`REQUIRED_HEADERS` of `recordings/answer_comparison.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Final

from starlette.types import Message, Send

from images_emulator.contract.cors import ALLOW_ORIGIN
from images_emulator.contract.dialect import AnswerFacts, Header
from images_emulator.contract.refusal import APIError
from images_emulator.exchange.served_exchange import ServedExchange
from images_emulator.state.account import Account
from images_emulator.state.emulator import Emulator
from images_emulator.web.call_policy import set_policy_if_valid
from images_emulator.web.memory_release import large_parts_of

ORIGIN: Final = b"origin"
"""The header that browsers send to another origin."""


class StandardHeaders:
    """Makes the headers that the API adds to its answers. `OPENAI_HEADERS` says which answers lack
    which of them."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._account: Account | None = None
        """The account in the newest headers; None before the first answer."""
        self._organization = self._project = b""
        """Organization and project of the account, as the headers of answers have them."""

    def headers_for(self, exchange: ServedExchange, status: int) -> list[Header]:
        """The headers of an answer with *status*, on the day of the exchange's policy."""
        head, account = exchange.head, self._emulator.account
        if account is not self._account:
            self._organization = account.organization.encode()
            self._project = account.project.encode()
            self._account = account
        facts = AnswerFacts(
            request_id=exchange.id,
            status=status,
            elapsed_ms=round(exchange.elapsed_ms),
            organization=self._organization,
            project=self._project,
            day=exchange.day,
            has_older_stack_headers=exchange.has_older_stack_headers,
            client_request_id=head.by_name.get(b"x-ms-client-request-id"),
            passed_api_management=exchange.passed_api_management,
            deployment=exchange.deployment,
        )
        headers = [*exchange.dialect.headers(facts)]
        if ORIGIN in head and ALLOW_ORIGIN not in headers:
            headers.append(ALLOW_ORIGIN)
        if names := exchange.answer.own_header_names:
            headers = [each for each in headers if each[0].lower() not in names]
        return headers


class AnswerSender:
    """Notes the answer of one call in its exchange, and passes it on to *send*. Messages that the
    client does not get, because its connection is closed or the protocol has answered, are not
    noted.

    An answer waits for the store, which takes a while where it is shared:

    | | with a pending write | without |
    |---|---|---|
    | start | is kept | leaves, or is held by the connection |
    | first of several parts | waits for the write, then leaves after the start | leaves |
    | last part | waits for the write and for the journal | waits for the journal |

    The start is kept by `send`, or held for `_send_now`; the first of several parts waits in
    `send`, and the last part in `end_call`, which `_note` calls.

    The pending write hosts the pictures behind the URLs of the answer. Where it fails, nothing has
    left, and the application sends another answer. The head of an answer that has only one part
    waits as that part does.
    """

    __slots__ = (
        "_emulator",
        "_exchange",
        "_forward",
        "_headers",
        "_journal",
        "_kept_start",
        "large_parts",
    )

    def __init__(
        self, exchange: ServedExchange, emulator: Emulator, headers: StandardHeaders, send: Send
    ) -> None:
        self._exchange = exchange
        self._emulator = emulator
        self._journal = emulator.journal
        self._headers = headers
        self._forward = send
        self._kept_start: Message | None = None
        """The start of an answer with a `pending_write`, until its first part is there."""
        self.large_parts: list[Any] = []
        """The chunks, long strings and files of a large call that is completed. They are freed in
        another thread: see `memory_release.py`."""

    async def send(self, message: Message) -> None:
        """Note *message*, and pass it on. Raises the APIError of the `pending_write`."""
        exchange = self._exchange
        if exchange.pending_write is None:
            await self._send_now(message)
            return
        if message["type"] == "http.response.start":
            self._kept_start = message
            return
        start, self._kept_start = self._kept_start, None
        assert start
        with self._clear_write_and_failed_answer():
            if message.get("more_body"):
                await exchange.pending_write
            await self._note(start)
            # The last part of an answer is noted together with the write.
            await self._note(message)
        await self._forward(start)
        await self._forward(message)

    async def end_call(self) -> None:
        """End the call, unless it has ended: note the end in the exchange, and complete its entry
        in the journal. Raises APIError where the `pending_write` fails: nothing of the answer has
        left, and the application sends an error in its place."""
        exchange = self._exchange
        if exchange.has_ended:
            return
        exchange.note_end()
        if exchange.is_large:
            self.large_parts.extend(large_parts_of(exchange))
        # A connection may be closed while the start of its answer is kept.
        with self._clear_write_and_failed_answer() if self._kept_start else nullcontext():
            await self._journal.complete(exchange, exchange.pending_write)

    @contextmanager
    def _clear_write_and_failed_answer(self) -> Iterator[None]:
        """Context manager in which the caller awaits the `pending_write`. At the end the write is
        no longer pending, and no start is kept. Where the write has failed, the answer, of which
        nothing has left, is discarded, so that another one can be noted."""
        try:
            yield
        except APIError:
            self._exchange.discard_answer()
            raise
        finally:
            self._exchange.pending_write = self._kept_start = None

    async def _send_now(self, message: Message) -> None:
        """Note *message*, and pass it on. While the last part is noted, the connection holds a
        head back that has not left yet, because without a body it is all that a client waits
        for."""
        is_last = message["type"] == "http.response.body" and not message.get("more_body")
        connection = self._exchange.connection if is_last else None
        if not connection:
            await self._note(message)
            await self._forward(message)
            return
        connection.hold_head()
        try:
            await self._note(message)
            await self._forward(message)
        finally:
            # Also where the store fails or the call is cancelled: the answer has begun to leave.
            connection.release_head()

    async def _note(self, message: Message) -> None:
        """Note *message*. The last one ends the call."""
        exchange, connection = self._exchange, self._exchange.connection
        # The server drops what is sent on a closed connection.
        leaves = connection is None or not (connection.is_closing() or connection.protocol_answer)
        if message["type"] == "http.response.start":
            self._begin_answer(message, leaves)
        elif message["type"] == "http.response.body":
            if leaves and exchange.answer.sent.needs_parts:
                self._note_part(message.get("body", b""))
            if not message.get("more_body") and not exchange.has_ended:
                if leaves:
                    exchange.answer.sent.end()
                await self.end_call()

    def _begin_answer(self, message: Message, leaves: bool) -> None:
        """Add the standard headers to the beginning of an answer, for which the policy is set where
        it is not yet. Note the beginning where it *leaves*."""
        exchange = self._exchange
        if exchange.omits_standard_headers:
            _adapt_recorded_headers(exchange, message)
        elif not exchange.is_download:
            set_policy_if_valid(exchange, self._emulator.settings)
            message["headers"] = [
                *message.get("headers", ()),
                *self._headers.headers_for(exchange, message["status"]),
            ]
        if leaves:
            exchange.note_start(message["status"], message.get("headers", ()))

    def _note_part(self, part: bytes) -> None:
        """Note a *part* of the body, and tell the journal of the events in it."""
        exchange = self._exchange
        sent = exchange.answer.sent
        count = sent.event_count
        sent.add(part, exchange.elapsed_ms)
        if self._journal.is_observed:
            self._journal.notify_events(exchange, count)


def _adapt_recorded_headers(exchange: ServedExchange, start: Message) -> None:
    """Add the CORS header that a web page needs to the recorded headers of an answer. Leave out the
    server's own `date` where there is a recorded one."""
    headers = [*start.get("headers", ())]
    names = {name for name, _ in headers}
    if not exchange.is_download and ORIGIN in exchange.head and ALLOW_ORIGIN[0] not in names:
        start["headers"] = [*headers, ALLOW_ORIGIN]
    if exchange.connection and b"date" in names:
        exchange.connection.omit_date()
