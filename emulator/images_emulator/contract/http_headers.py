"""Rules of HTTP itself: the statuses and headers that an answer can have, and the headers of one
connection."""

from __future__ import annotations

import re
from typing import Final

STATUSES: Final = range(200, 600)
"""The statuses that the final answer to a call can have."""

HOP_BY_HOP: Final = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization"),
        *("proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
    }
)
"""Headers of one connection, in lower case (RFC 9110 §7.6.1). The next connection has its own."""

FRAMING_HEADERS: Final = frozenset({"connection", "content-length", "transfer-encoding"})
"""Headers that only the server can write, because they tell how a body is sent."""

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""The name of a header (RFC 9110 §5.6.2)."""

_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def check_header(name: str, value: str) -> None:
    """Raises ValueError for a header that HTTP cannot send."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a header")
    if not _VALUE.fullmatch(value):
        raise ValueError(f"header '{name}' cannot have the value {value!r}")
