"""The request line and the headers of one call, and the values that the emulator reads there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from urllib.parse import parse_qs

from images_emulator.contract.http_headers import HeaderPairs
from images_emulator.contract.message_format import mask_key
from images_emulator.exchange.credentials import (
    api_key,
    bearer_token,
    redacted_header,
    redacted_query,
    redacted_text,
)

RawHeaders = Sequence[tuple[bytes, bytes]]
"""Names in lower case, with their values."""


def text_of_headers(headers: Iterable[tuple[bytes, bytes]]) -> HeaderPairs:
    """The *headers* as texts, in their order."""
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)


def first_by_name(headers: Iterable[tuple[bytes, bytes]]) -> Mapping[bytes, bytes]:
    """The *headers* by their names. Of a header that came twice, the first counts."""
    return dict([*headers][::-1])


class RequestHead:
    """Method, path, query string and headers of a call, by which it is judged and recorded. Of a
    header that came twice, the first counts.
    """

    __slots__ = ("_by_name", "_packed", "_pairs", "method", "path", "query_string")

    def __init__(self, method: str, path: str, query_string: bytes, headers: RawHeaders) -> None:
        self.method = method
        self.path = path
        self.query_string = query_string
        self._pairs: RawHeaders | None = headers
        self._packed = b""
        self._by_name: Mapping[bytes, bytes] | None = None

    def pack_headers(self) -> None:
        """Hold the headers in one piece. A processor's cache has no room for the many pieces of a
        thousand heads."""
        if self._pairs is not None:
            # `_packed` is set first: a reader on another thread that finds no pairs then finds it.
            self._packed = b"\n".join(chain.from_iterable(self._pairs))
            self._pairs = self._by_name = None

    @property
    def packed_bytes(self) -> int:
        """The bytes of path, query string and headers, after `pack_headers`."""
        return len(self.path) + len(self.query_string) + len(self._packed)

    @property
    def pairs(self) -> Iterable[tuple[bytes, bytes]]:
        """The headers in their order: names in lower case, with their values."""
        pairs = self._pairs
        if pairs is not None:
            return pairs
        parts = self._packed.split(b"\n")
        return zip(parts[::2], parts[1::2], strict=False)

    @property
    def by_name(self) -> Mapping[bytes, bytes]:
        """The headers by their names in lower case."""
        headers = self._by_name
        if headers is None:
            headers = first_by_name(self.pairs)
            if self._pairs is not None:
                self._by_name = headers
        return headers

    def header(self, name: bytes) -> str:
        """The value of the header of that *name* in lower case, or nothing."""
        return self.by_name.get(name, b"").decode("latin-1")

    def __contains__(self, name: bytes) -> bool:
        """Whether the call has the header *name*, in lower case."""
        return name in self.by_name

    @property
    def api_key(self) -> str:
        """The API key, as it was sent, or nothing; see `credentials.api_key`."""
        return api_key(self.path, self.header)

    @property
    def bearer_token(self) -> str:
        """The token of `Authorization: Bearer TOKEN`, or nothing."""
        return bearer_token(self.header(b"authorization"))

    @property
    def api_version(self) -> str:
        """The `api-version` in the query, or nothing."""
        return parse_qs(self.query_string.decode("latin-1")).get("api-version", [""])[0]

    @property
    def retry_count(self) -> int:
        """The number of times that the SDK has tried before, by `x-stainless-retry-count`; 0 where
        the header has more than nine digits."""
        count = self.header(b"x-stainless-retry-count")
        return int(count) if count.isascii() and count.isdigit() and len(count) < 10 else 0

    @property
    def sdk(self) -> str | None:
        """`openai-python 3.52.0`, or else the first word of the user agent."""
        language = self.header(b"x-stainless-lang")
        if language:
            return f"openai-{language} {self.header(b'x-stainless-package-version')}".strip()
        return self.header(b"user-agent").partition(" ")[0] or None

    @property
    def redacted_key(self) -> str | None:
        """The API key, with its middle hidden where it has more than 12 characters; None for a call
        without a key."""
        return mask_key(self.api_key) or None

    @property
    def redacted_query(self) -> str:
        """The query string, without `?`; credentials are redacted."""
        text = self.query_string.decode("latin-1")
        return redacted_query(text, self.api_key) if text else ""

    @property
    def redacted_headers(self) -> Mapping[str, str]:
        """The headers by their names in lower case; credentials are redacted."""
        key = self.api_key
        redacted: dict[str, str] = {}
        redact = partial(redacted_text, key=key)
        for raw_name, value in self.pairs:
            name = raw_name.decode("latin-1")
            redacted.setdefault(redact(name), redacted_header(name, value.decode("latin-1"), key))
        return redacted
