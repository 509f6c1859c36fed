"""Remote images: fetching an `image_url` from an allowed host, where the settings ask for it."""

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
from images_emulator.contract.image_rules import IMAGE_BYTES_LIMIT
from images_emulator.settings import RemoteImages, Settings

Fetch = Callable[[str], bytes | None]
"""Gives the bytes at a URL, or None where a placeholder is to stand in for the image. Raises
APIError."""

FETCH_TIMEOUT_SECONDS: Final = 10
"""For all of a fetch: connections, redirects, headers and body."""

MAX_REDIRECTS: Final = 3


def _seconds_until(end: float) -> float:
    """Seconds from now to *end* on the monotonic clock. Raises TimeoutError where none are left."""
    seconds = end - monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


class _DeadlineReader(RawIOBase):
    """Reads *raw*, the stream of *connection*, until *end* on the monotonic clock. A socket's own
    timeout starts anew with each byte."""

    def __init__(self, connection: socket.socket, raw: RawIOBase, end: float) -> None:
        self.connection, self.raw, self.end = connection, raw, end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self.connection.settimeout(_seconds_until(self.end))
        return self.raw.readinto(buffer)

    def close(self) -> None:
        self.raw.close()
        super().close()


class _DeadlineResponse(http.client.HTTPResponse):
    """A response that is read until *end* on the monotonic clock."""

    def __init__(self, connection: socket.socket, *, end: float, **options: Any) -> None:
        super().__init__(connection, **options)
        self.fp = BufferedReader(_DeadlineReader(connection, self.fp.detach(), end))


class _DeadlineConnections(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Opens HTTP and HTTPS connections that last until *end* on the monotonic clock."""

    def __init__(self, end: float) -> None:
        super().__init__()
        self.end = end

    def _opened(
        self, kind: Callable[..., http.client.HTTPConnection], host: str, **options: Any
    ) -> http.client.HTTPConnection:
        connection = kind(host, **options | {"timeout": _seconds_until(self.end)})
        # The library calls it and does nothing else with it, so a partial will do.
        connection.response_class = partial(_DeadlineResponse, end=self.end)  # type: ignore[assignment]
        return connection

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(self._opened, http.client.HTTPConnection), req)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(self._opened, http.client.HTTPSConnection), req)


class _AllowedRedirects(urllib.request.HTTPRedirectHandler):
    """Follows `MAX_REDIRECTS` redirects, each only to a URL that is *allowed*."""

    max_redirections = MAX_REDIRECTS

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


def fetcher(settings: Settings, seconds: float = FETCH_TIMEOUT_SECONDS) -> Fetch:
    """The function that loads an `image_url` as the setting `remote_images` says; a fetch takes at
    most *seconds*."""

    def allowed(url: str) -> bool:
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        is_listed = parts.netloc in settings.allow_host or parts.hostname in settings.allow_host
        return parts.scheme in ("http", "https") and is_listed

    def placeholder(url: str) -> None:
        return None

    def refuse(url: str) -> bytes:
        raise errors.download_failed(status=403)

    def fetch(url: str) -> bytes:
        if not allowed(url):
            raise errors.download_failed(status=403)
        # No proxy: the setting allows the host itself.
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            _AllowedRedirects(allowed),
            _DeadlineConnections(monotonic() + seconds),
        )
        try:
            with opener.open(url) as response:
                data: bytes = response.read(IMAGE_BYTES_LIMIT + 1)
        except urllib.error.HTTPError as error:
            error.close()
            raise errors.download_failed(status=error.code) from None
        except (OSError, http.client.HTTPException, ValueError):
            raise errors.download_failed(status=502) from None
        if len(data) > IMAGE_BYTES_LIMIT:
            raise errors.download_failed(status=413)
        return data

    match RemoteImages(settings.remote_images):
        case RemoteImages.PLACEHOLDER:
            return placeholder
        case RemoteImages.REFUSE:
            return refuse
        case RemoteImages.FETCH:
            return fetch
