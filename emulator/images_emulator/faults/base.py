"""The base class of all faults. The fields of a fault are its settings, which JSON and TOML can
give. Its `__call__` wraps the application."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from images_emulator.exchange.served_exchange import ServedExchange
from images_emulator.strict_model import StrictModel

RESPONSE_START: Final = "http.response.start"
RESPONSE_BODY: Final = "http.response.body"
"""Types of ASGI messages: the head of an answer, and a part of its body."""

MAX_WAIT_SECONDS: Final = 86_400
"""The longest wait of a fault: a day."""


class BaseFault(StrictModel):
    """A fault: its settings are the fields, and `__call__` applies it to a call.

    Tables and help show the docstring of its class and the descriptions of its fields. The
    docstring is sentences; the page's list of faults shows the beginning alone, up to the first
    point, comma, colon or semicolon. Each field has a default, so that the name of the fault is
    enough, and a `description` that ends with a point."""

    for_downloads: ClassVar[bool] = False
    """Whether the fault is for downloads of hosted pictures alone, and not for API calls."""

    for_streams: ClassVar[bool] = False
    """Whether the fault is for streams alone. A step of the scenario then gives it only to calls
    that ask for a stream."""

    changes_body: ClassVar[bool] = True
    """Whether the fault may change the body of a good answer, leave out a part of it, or send it in
    other pieces. False for a fault that only delays the answer, even for ever, or only changes its
    headers. The journal searches a body that may have changed for its images."""

    kind: str
    """The name of the fault in scenarios, headers and directives."""

    @property
    def label(self) -> str:
        """The name of the fault in the journal."""
        return self.kind

    @abstractmethod
    async def __call__(
        self, app: ASGIApp, exchange: ServedExchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer the call of *exchange* in place of *app*, or pass *app* a *send* that changes its
        answer. Raises APIError to refuse the call."""


def is_compressed(start: Message) -> bool:
    """Whether the answer that *start* begins is compressed. The emulator compresses none; the
    answer of a recording may be compressed."""
    return b"content-encoding" in dict(start["headers"])


def is_event_stream(start: Message) -> bool:
    """Whether the answer that *start* begins is a stream of events that is not compressed."""
    headers: dict[bytes, bytes] = dict(start["headers"])
    is_stream = headers.get(b"content-type", b"").startswith(b"text/event-stream")
    return is_stream and not is_compressed(start)


def without_length(start: Message) -> Message:
    """*start* without `content-length`, for an answer whose length a fault changes. The head of a
    recorded or forwarded stream may have that header."""
    headers = [each for each in start["headers"] if each[0] != b"content-length"]
    return {**start, "headers": headers}


def is_event(message: Message) -> bool:
    """Whether *message* is one event of an answer that `is_event_stream`. The start of the answer,
    a comment, and an empty message, as at the end of a stream, are no events. Where a recorded or
    forwarded stream ends within an event, the part of the event that was sent counts as one."""
    return message["type"] == RESPONSE_BODY and bytes(message.get("body", b"")[:1]) not in {
        b"",
        b":",
    }
