"""The headers in which proxies say that they forwarded a call, and by which URL.

They are believed whoever sends them. A page of another site cannot send them (see `FORWARDED`).
They decide no more than

- the URLs in the answer to the same call,
- whether that answer may be buffered, and
- whether the port of an `Origin` is compared.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Scope

FORWARDED: Final = frozenset(
    {
        b"forwarded",
        b"via",
        b"x-real-ip",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-proto",
        b"x-forwarded-server",
    }
)
"""Headers that proxies add to the calls that they forward. A page of another origin could send one
only after a preflight. The preflight itself has none of them, and is refused."""

_HOST: Final = re.compile(
    r"(?:[\w.-]{1,255}|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?", re.ASCII | re.IGNORECASE
)
"""A host, as a name or an address, and perhaps a port."""

_PAIR: Final = re.compile(r'\s*([\w-]+)=(?:"([^"\\]*)"|([^\s";,]*))\s*(?:[;,]|$)', re.ASCII)
"""A parameter of the header `Forwarded`, and the separator after it."""


def is_proxied(scope: Scope) -> bool:
    """Whether a proxy forwarded this call: it has a proxy's header, or is HTTP/1.0. nginx speaks
    HTTP/1.0 unless its configuration says otherwise; no client of the API does."""
    return scope.get("http_version") == "1.0" or any(
        name in FORWARDED for name, _ in scope["headers"]
    )


def base_url(request: Request, public_url: str | None) -> str:
    """The URL at which the client of *request* reaches the server, without a slash at the end.

    It is *public_url*, or else the URL of *request* with the scheme and the host of `Forwarded`, or
    of `X-Forwarded-Proto` and `X-Forwarded-Host`. Of several proxies, the first one counts.
    `X-Forwarded-Port` does not count: `Host` has the port that the client knows, and behind a
    published port the proxy's port may be another one.
    """
    if public_url:
        return public_url.rstrip("/")
    headers = request.headers
    proto, host = _parse_forwarded(headers)
    proto = (proto or _first_value(headers, "x-forwarded-proto")).lower()
    host = host or _first_value(headers, "x-forwarded-host")
    url = request.base_url
    if proto in ("http", "https"):
        url = url.replace(scheme=proto)
    if _HOST.fullmatch(host):
        url = url.replace(netloc=host)
    return str(url).rstrip("/")


def _first_value(headers: Headers, name: str) -> str:
    """The first value of a list; empty where the header is absent."""
    return headers.get(name, "").partition(",")[0].strip()


def _parse_forwarded(headers: Headers) -> tuple[str, str]:
    """`proto` and `host` of the first proxy in the header `Forwarded` (RFC 7239); empty where it
    does not say."""
    text, position = headers.get("forwarded", ""), 0
    values: dict[str, str] = {}
    while pair := _PAIR.match(text, position):
        values[pair[1].lower()] = pair[2] if pair[2] is not None else pair[3]
        position = pair.end()
        if pair[0].endswith(","):
            break
    return values.get("proto", ""), values.get("host", "")
