"""The head of one call: where it went, with which headers, and what they tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from images_emulator.contract.errors import masked
from images_emulator.exchange.credentials import (
    api_key,
    redacted_header,
    redacted_query,
    redacted_text,
)


class RequestHead:
    """The request line and the headers."""

    __slots__ = ("_headers", "_packed", "_query", "method", "path")

    def __init__(
        self, method: str, path: str, query: str, headers: Sequence[tuple[bytes, bytes]]
    ) -> None:
        self.method = method
        self.path = path
        self._query = query
        self._headers = headers
        self._packed = b""

    def pack(self) -> int:
        """Hold the headers in one piece: a thousand heads in thousands of pieces are more than a
        processor's cache has room for. What that weighs, with the request line."""
        # In this order: see `_pairs`.
        self._packed = b"\n".join(chain.from_iterable(self._headers))
        self._headers = ()
        return self.size

    def _pairs(self) -> Iterable[tuple[bytes, bytes]]:
        """The headers, packed or not."""
        if headers := self._headers:
            return headers
        parts = self._packed.split(b"\n")
        return zip(parts[::2], parts[1::2], strict=False)

    @property
    def size(self) -> int:
        """Bytes that a packed one holds."""
        return len(self.path) + len(self._query) + len(self._packed)

    @property
    def query(self) -> str:
        """The query string, without `?`; credentials are redacted."""
        return redacted_query(self._query, self._key()) if self._query else ""

    @property
    def headers(self) -> Mapping[str, str]:
        """The request's headers by their names in lower case; credentials are redacted. Of one that
        came twice, it is the first that counts."""
        shown: dict[str, str] = {}
        key = self._key()
        for raw_name, value in self._pairs():
            name = raw_name.decode("latin-1")
            shown_name = redacted_text(name, key)
            if shown_name not in shown:
                shown[shown_name] = redacted_header(name, value.decode("latin-1"), key)
        return shown

    def _header(self, wanted: bytes) -> str:
        return next((v.decode("latin-1") for name, v in self._pairs() if name == wanted), "")

    def _key(self) -> str:
        return api_key(self.path, self._header)

    @property
    def key(self) -> str | None:
        """The API key, redacted where it has more than 12 characters; None for a call without."""
        return masked(self._key()) or None

    def came_with(self, key: str) -> bool:
        """Whether *key*, whole or redacted, is the one that was sent."""
        return key in (self._key(), self.key)

    @property
    def retries(self) -> int:
        """How often the SDK had tried before."""
        count = self._header(b"x-stainless-retry-count")
        return int(count) if count.isascii() and count.isdigit() and len(count) < 5 else 0

    @property
    def sdk(self) -> str | None:
        """`openai-python 3.52.0`, or else the first word of the user agent."""
        language = self._header(b"x-stainless-lang")
        if language:
            return f"openai-{language} {self._header(b'x-stainless-package-version')}".strip()
        return self._header(b"user-agent").partition(" ")[0] or None
