"""Fetches pictures from allowed hosts, where the settings ask for it."""

from __future__ import annotations

import http.client
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from io import BufferedReader, RawIOBase
from time import monotonic
from typing import IO, Any, Final
from urllib.parse import urlsplit

from images_emulator.contract import errors
from images_emulator.contract.pictures import LARGEST
from images_emulator.settings import Settings

Fetch = Callable[[str], bytes | None]
"""The bytes at an address, or None where a picture stands in for them. Raises APIError."""

SECONDS: Final = 10
"""For all of a fetch: connections, redirects, headers and body."""

REDIRECTS: Final = 3


def _left(end: float) -> float:
    """Seconds until *end*. Raises TimeoutError where there are none."""
    seconds = end - monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


class _Until(RawIOBase):
    """What *connection* says until *end*. A socket's own timeout starts anew with each byte."""

    def __init__(self, connection: socket.socket, raw: RawIOBase, end: float) -> None:
        self.connection, self.raw, self.end = connection, raw, end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self.connection.settimeout(_left(self.end))
        return self.raw.readinto(buffer)

    def close(self) -> None:
        self.raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """One that has come by *end*."""

    def __init__(self, connection: socket.socket, *, end: float, **options: Any) -> None:
        super().__init__(connection, **options)
        self.fp = BufferedReader(_Until(connection, self.fp.detach(), end))


class _Connections(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Opens connections that last until *end*."""

    def __init__(self, end: float) -> None:
        super().__init__()
        self.end = end

    def _opened(
        self, kind: Callable[..., http.client.HTTPConnection], host: str, **options: Any
    ) -> http.client.HTTPConnection:
        connection = kind(host, **options | {"timeout": _left(self.end)})
        # It is called and nothing else.
        connection.response_class = partial(_Answer, end=self.end)  # type: ignore[assignment]
        return connection

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(self._opened, http.client.HTTPConnection), req)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(self._opened, http.client.HTTPSConnection), req)


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
            fp.close()
            raise errors.download_failed(status=403)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetcher(settings: Settings, seconds: float = SECONDS) -> Fetch:
    """What `remote_images` says to do with an address; a fetch takes at most so many *seconds*."""

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
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            _Redirects(allowed),
            _Connections(monotonic() + seconds),
        )
        try:
            with opener.open(url) as answer:
                data: bytes = answer.read(LARGEST + 1)
        except urllib.error.HTTPError as refused:
            refused.close()
            raise errors.download_failed(status=refused.code) from None
        except (OSError, http.client.HTTPException, ValueError):
            raise errors.download_failed(status=502) from None
        if len(data) > LARGEST:
            raise errors.download_failed(status=413)
        return data

    return {"placeholder": stand_in, "refuse": refuse, "fetch": fetch}[settings.remote_images]
