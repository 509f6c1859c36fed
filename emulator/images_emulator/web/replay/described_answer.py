"""Answers that a recording describes, without every byte: open values come from the emulated
answer to the same call."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from starlette.types import Message, Receive, Scope, Send

from images_emulator.contract.dialect import Header
from images_emulator.contract.wire import pretty
from images_emulator.exchange.answer_json import json_value
from images_emulator.recordings.open_values import fill, has_open_values
from images_emulator.recordings.recording import Recording


class EmulatedAnswer:
    """The answer that the emulator draws for a call, kept in place of being sent."""

    def __init__(self) -> None:
        self._messages: list[Message] = []

    async def collect(self, message: Message) -> None:
        """Keep one message of the answer. This is the `send` that the application is given."""
        self._messages.append(message)

    async def send_kept(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the messages that are kept. This is an application of ASGI."""
        for message in self._messages:
            await send(message)

    @property
    def status(self) -> int | None:
        """The status; None where the connection ended before."""
        return self._messages[0]["status"] if self._messages else None

    @property
    def headers(self) -> list[Header]:
        """The headers of the endpoint, without the API's standard ones."""
        return [*self._messages[0].get("headers", ())] if self._messages else []

    @property
    def body(self) -> bytes:
        """The bytes of all its parts."""
        return b"".join(message.get("body", b"") for message in self._messages[1:])


class DescribedAnswer(NamedTuple):
    """An answer whose open values are filled in. *described_names* are the names of the headers, in
    lower case, that the recording has: they stand in place of the API's standard ones."""

    status: int
    headers: list[Header]
    body: bytes
    described_names: frozenset[bytes]


def described_answer(recording: Recording, emulated: EmulatedAnswer) -> DescribedAnswer:
    """The answer that *recording* describes. Raises ValueError where *emulated* lacks a value that
    the recording leaves open."""
    response, expectation = recording.response, recording.expectation
    assert response
    assert expectation
    body = response.body
    if body and expectation.open_body:
        described, text = json_value(body), emulated.body
        if has_open_values(described) and emulated.status != response.status:
            raise ValueError(f"values are left open, and the emulator answers {emulated.status}")
        newline = expectation.newline
        if newline is None:
            newline = text.endswith(b"\n")
        is_compact = text.startswith(b'{"')
        body = _write_json(fill(described, json_value(text)), is_compact=is_compact)
        body += b"\n" if newline else b""
    described_headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in response.headers
        if name.lower() != "content-length"
    ]
    names = frozenset(name for name, _ in described_headers)
    headers = [
        *(each for each in emulated.headers if each[0] not in {*names, b"content-length"}),
        *described_headers,
        (b"content-length", b"%d" % len(body)),
    ]
    return DescribedAnswer(response.status, headers, body, names)


def _write_json(value: Any, *, is_compact: bool) -> bytes:
    """The JSON *value* as the provider writes it."""
    if is_compact:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    return pretty(value)
