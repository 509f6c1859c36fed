"""Remote images: fetching an `image_url` from an allowed host, where the settings ask for it. The
list of hosts is the guard against SSRF."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from images_emulator.contract import errors
from images_emulator.contract.image_rules import IMAGE_BYTES_LIMIT
from images_emulator.setting_values import RemoteImages
from images_emulator.settings import Settings
from images_emulator.threads import DaemonThreadPool

if TYPE_CHECKING:
    import httpx2

Fetch = Callable[[str], bytes | None]
"""Returns the bytes at a URL, or None where a placeholder replaces the image. Raises APIError. It
blocks, and is called in a thread without an event loop."""

FETCH_TIMEOUT_SECONDS: Final = 10
"""Seconds for all of a fetch: connections, redirects, headers and body."""

MAX_REDIRECTS: Final = 3
"""Redirects that one fetch follows."""


NO_IMAGE: Final = b""
"""The bytes in place of an SVG, which the API refuses as any other file that it cannot decode."""


def _path_of(url: str) -> str:
    """The path of *url*; nothing where it has none that can be read."""
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def fetcher(settings: Settings, seconds: float = FETCH_TIMEOUT_SECONDS) -> Fetch:
    """The function that loads an `image_url`, by the setting `remote_images`. A fetch takes at most
    *seconds*."""
    allowed_hosts = {each.lower() for each in settings.allow_host}

    def is_allowed(url: str) -> bool:
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        is_listed = bool({parts.netloc.lower(), parts.hostname} & allowed_hosts)
        return parts.scheme in ("http", "https") and is_listed

    def placeholder(url: str) -> bytes | None:
        return NO_IMAGE if _path_of(url).lower().endswith(".svg") else None

    def raise_forbidden(url: str) -> bytes:
        raise errors.download_failed(status=403)

    def fetch(url: str) -> bytes:
        return asyncio.run(_fetch(url, is_allowed, seconds))

    match RemoteImages(settings.remote_images):
        case RemoteImages.PLACEHOLDER:
            return placeholder
        case RemoteImages.REFUSE:
            return raise_forbidden
        case RemoteImages.FETCH:
            return fetch


async def _fetch(url: str, is_allowed: Callable[[str], bool], seconds: float) -> bytes:
    """The bytes at *url*, behind at most `MAX_REDIRECTS` redirects to URLs that are allowed. Raises
    APIError."""
    import httpx2  # noqa: PLC0415 - an extra, and a tenth of a second

    # `asyncio.run` would wait for a thread of its own that asks a name server.
    resolver = DaemonThreadPool(1, thread_name_prefix="resolver")
    asyncio.get_running_loop().set_default_executor(resolver)
    try:
        # The deadline is for all of it; the client's own timeouts start anew with each byte.
        async with asyncio.timeout(seconds):
            # No proxy: the setting allows the host itself.
            async with httpx2.AsyncClient(trust_env=False, timeout=None) as client:
                for _ in range(MAX_REDIRECTS + 1):
                    if not is_allowed(url):
                        raise errors.download_failed(status=403)
                    async with client.stream("GET", url) as response:
                        if response.next_request is None:
                            return await _read_image(response)
                        url = str(response.next_request.url)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError):
        raise errors.download_failed(status=502) from None
    raise errors.download_failed(status=response.status_code)


async def _read_image(response: httpx2.Response) -> bytes:
    """The body of a *response*. Raises APIError where the response is an error, or longer than the
    API allows."""
    if not response.is_success:
        raise errors.download_failed(status=response.status_code)
    data = bytearray()
    async for chunk in response.aiter_bytes():
        data += chunk
        if len(data) > IMAGE_BYTES_LIMIT:
            raise errors.download_failed(status=413)
    return bytes(data)
