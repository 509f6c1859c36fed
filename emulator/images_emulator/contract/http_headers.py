"""Rules of HTTP itself: the statuses and headers that an answer can have, the headers of one
connection, and texts as values of headers. The headers of the API's answers are in `dialect.py` and
`azure.py`."""

from __future__ import annotations

import re
from typing import Final

HeaderPairs = tuple[tuple[str, str], ...]
"""Names and values of headers, decoded as Latin-1, in the order and case in which they are sent."""

STATUSES: Final = range(200, 600)
"""The statuses that the final answer to a call can have."""

HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers of one connection, in lower case (RFC 9110 §7.6.1). The next connection has its own."""

FRAMING_HEADERS: Final = frozenset({"connection", "content-length", "transfer-encoding"})
"""Headers that only the server can write, because they tell how a body is sent."""

MAX_VALUE_CHARS: Final = 4096
"""The longest value of a header of the emulator's own. Node.js refuses an answer whose headers take
more than 16 KB."""

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""The name of a header (RFC 9110 §5.6.2)."""

_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

_NOT_VISIBLE: Final = re.compile(r"[^ -~]")


def header_value(text: str, max_chars: int = MAX_VALUE_CHARS) -> bytes:
    """*text* as the value of a header of the emulator's own. Characters that are not visible ASCII
    are escaped."""
    shown = _NOT_VISIBLE.sub(lambda match: ascii(match[0])[1:-1], text[:max_chars])
    return shown[:max_chars].encode()


def check_header(name: str, value: str) -> None:
    """Raises ValueError for a header that HTTP cannot send."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a header")
    if not _VALUE.fullmatch(value):
        raise ValueError(f"header '{name}' cannot have the value {value!r}")
