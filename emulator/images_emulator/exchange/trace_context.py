"""The trace that a call belongs to, by its header `traceparent` (W3C Trace Context), and the id of
the call that the running code is for."""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import Final

CALL_ID: Final[ContextVar[str | None]] = ContextVar("images_emulator_call_id", default=None)
"""The id of the call that this code runs for: on the event loop, and in threads that
`asyncio.to_thread` gives work. None outside of calls."""

_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?"
)
"""Version, trace, parent and flags; a later version may have more behind them."""


def trace_id_in(header: str) -> str | None:
    """The trace of a `traceparent`, as 32 hexadecimal digits; None where the header is invalid."""
    match = _TRACEPARENT.fullmatch(header.strip())
    return match[1] if match else None
