"""The TCP connection of a call, which the emulator's own HTTP protocol (`protocol.py`) hands
over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

CONNECTION: Final = "connection"
"""The key of the `state` of an ASGI scope under which the `Connection` of the call is found."""


class ProtocolAnswer(NamedTuple):
    """An error that the HTTP protocol has answered in the middle of a call."""

    status: int
    body: bytes


class Connection(Protocol):
    """The TCP connection of a call. The emulator's own HTTP protocol hands it over. There is none
    where another server serves the application, or where a test calls it in process."""

    protocol_answer: ProtocolAnswer | None
    """The error that the protocol has answered in place of the application, if any."""

    is_stopped: bool
    """Whether the server has closed the connection because it stops."""

    def is_closing(self) -> bool:
        """Whether the client or the server has ended the connection."""
        ...

    def call_on_stop(self, callback: Callable[[], None]) -> None:
        """Call *callback* when the server stops, on the server's event loop. The callback ends an
        answer that has no end, which would hold up the stop."""
        ...

    def hold_head(self) -> None:
        """Let the head of the answer, if it has not left, wait for the next part of the body, or
        for `release_head`."""
        ...

    def release_head(self) -> None:
        """Let the held head leave."""
        ...

    def omit_date(self) -> None:
        """Leave out the server's own `date` of the answer that begins next, which has a date
        already."""
        ...

    async def hang_up(self, *, reset: bool) -> None:
        """Close the connection once all sent bytes have left, with a TCP RST where *reset*. With
        *reset* this waits for a client that does not read, until it leaves or the server stops.
        Otherwise it returns at once."""
        ...
