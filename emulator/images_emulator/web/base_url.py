"""The URL under which a client reaches the server."""

from __future__ import annotations

from starlette.requests import Request


def base_url(request: Request, public_url: str | None) -> str:
    """The URL at which this client reaches the server, without a slash at the end: *public_url*, or
    else the URL of *request*, with the scheme of `x-forwarded-proto`."""
    if public_url:
        return public_url.rstrip("/")
    proto = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    url = request.base_url
    return str(url.replace(scheme=proto) if proto in ("http", "https") else url).rstrip("/")
