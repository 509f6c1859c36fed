"""Fetches pictures from allowed hosts, where the settings ask for it."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from time import monotonic
from typing import IO, Final
from urllib.parse import urlsplit

from emulator.contract import errors
from emulator.contract.pictures import LARGEST
from emulator.settings import Settings

Fetch = Callable[[str], bytes | None]
"""The bytes at an address, or None where a picture stands in for them. Raises APIError."""

SECONDS: Final = 10
REDIRECTS: Final = 3


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a few, and none to a host that is not allowed."""

    max_redirections = REDIRECTS

    def __init__(self, allowed: Callable[[str], bool]) -> None:
        self.allowed = allowed

    def redirect_request(  # noqa: PLR0917 - the standard library's signature
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if not self.allowed(newurl):
            raise errors.download_failed(status=403)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _read(answer: http.client.HTTPResponse, end: float) -> bytes:
    """The body, up to one byte more than is allowed. Raises TimeoutError past *end*."""
    data = bytearray()
    while len(data) <= LARGEST and (chunk := answer.read1(65536)):
        data += chunk
        if monotonic() > end:
            raise TimeoutError
    return bytes(data)


def fetcher(settings: Settings) -> Fetch:
    """What `remote_images` says to do with an address."""

    def allowed(url: str) -> bool:
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        named = parts.netloc in settings.allow_host or parts.hostname in settings.allow_host
        return parts.scheme in ("http", "https") and named

    def stand_in(url: str) -> None:
        return None

    def refuse(url: str) -> bytes:
        raise errors.download_failed(status=403)

    def fetch(url: str) -> bytes:
        if not allowed(url):
            raise errors.download_failed(status=403)
        # No proxy: what is allowed is the host itself.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Redirects(allowed))
        try:
            with opener.open(url, timeout=SECONDS) as answer:
                data = _read(answer, monotonic() + SECONDS)
        except urllib.error.HTTPError as refused:
            raise errors.download_failed(status=refused.code) from None
        except (OSError, http.client.HTTPException, ValueError):
            raise errors.download_failed(status=502) from None
        if len(data) > LARGEST:
            raise errors.download_failed(status=413)
        return data

    return {"placeholder": stand_in, "refuse": refuse, "fetch": fetch}[settings.remote_images]
