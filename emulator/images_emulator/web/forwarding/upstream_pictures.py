"""Fetches the pictures that an answer of the upstream names by URL, while the URLs live."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

from images_emulator.contract.image_rules import IMAGE_BYTES_LIMIT
from images_emulator.exchange.request_head import text_of_headers
from images_emulator.recordings.document import decoded_body, header
from images_emulator.recordings.recording import RecordedDownload, Recording

if TYPE_CHECKING:
    import httpx2

    from images_emulator.web.forwarding.upstream import UpstreamClient

MAX_DOWNLOADS: Final = 16
"""The most pictures of one answer that are downloaded; the API makes 10 at most."""

DOWNLOAD_SECONDS: Final = 60
"""Seconds for the download of one picture, with all of its body."""

CHUNK_BYTES: Final = 64 * 1024
"""Bytes that are read at a time."""


class PictureFetchError(Exception):
    """A picture is not fetched. The message is a sentence without its subject."""


def picture_urls(recording: Recording) -> Sequence[str]:
    """The URLs of the pictures in an answer of the Images API, each once; none where it has another
    form."""
    response = recording.response
    if response is None or response.status != 200 or response.end != "complete":
        return ()
    body = response.body
    if coding := header(response.headers, "content-encoding").strip().lower():
        # Some servers encode an answer unasked, and some name a coding that it does not have.
        decoded = decoded_body(body, coding)
        body = body if decoded is None else decoded
    # Most answers have no URL, and those that have pictures take long to parse.
    if b'"url"' not in body:
        return ()
    try:
        items = json.loads(body)["data"]
        urls = [item.get("url") for item in items if isinstance(item, dict)]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ()
    return [*dict.fromkeys(url for url in urls if isinstance(url, str))][:MAX_DOWNLOADS]


async def fetch_picture(url: str, upstream: UpstreamClient) -> RecordedDownload:
    """The bytes at *url*, without redirects and with at most `IMAGE_BYTES_LIMIT` bytes. Raises
    PictureFetchError.

    A malicious answer must not lead to the machines of a private network (SSRF). So the address is
    the upstream's own, or an address of the public network by TLS.
    """
    try:
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if not parts.netloc.isascii():
            # On the wire, a name has its form of RFC 3490.
            parts = parts._replace(netloc=parts.netloc.encode("idna").decode("ascii"))
        host, port = parts.hostname or "", parts.port or 443
        target = urlunsplit(("", "", parts.path or "/", parts.query, "")).encode("ascii")
    except ValueError:
        raise PictureFetchError("is malformed") from None
    library = upstream.library
    address = origin
    extensions: dict[str, bytes | str] = {"target": target}
    if origin != upstream.address.origin:
        if parts.scheme != "https" or parts.username is not None:
            raise PictureFetchError("is neither by TLS nor at the upstream")
        if not _goes_through_proxy(host):
            # The connection is to the address that was looked up: a second look-up might find
            # another one.
            public = await _resolve_public_address(host, port)
            address = f"https://{public}:{port}"
            extensions["sni_hostname"] = host
    headers = {"Host": parts.netloc}
    try:
        request = library.Request("GET", address, headers=headers, extensions=extensions)
        async with asyncio.timeout(DOWNLOAD_SECONDS):
            response = await upstream.client.send(request, stream=True)
            try:
                data = await _read_data(response)
            finally:
                await response.aclose()
    except (library.TransportError, library.InvalidURL, OSError) as error:  # TimeoutError is one
        raise PictureFetchError(f"failed: {error or type(error).__name__}") from None
    received = text_of_headers(response.headers.raw)
    return RecordedDownload(url=url, status=response.status_code, headers=received, data=data)


async def _read_data(response: httpx2.Response) -> bytes:
    data = bytearray()
    async for chunk in response.aiter_raw(CHUNK_BYTES):
        data += chunk
        if len(data) > IMAGE_BYTES_LIMIT:
            raise PictureFetchError(f"has more than {IMAGE_BYTES_LIMIT} bytes")
    return bytes(data)


def _goes_through_proxy(host: str) -> bool:
    """Whether a request to *host* goes through a proxy of the environment variables. Then the proxy
    alone may know the address of the host."""
    return "https" in getproxies() and not proxy_bypass(host)


async def _resolve_public_address(host: str, port: int) -> str:
    """An address of *host* as it stands in a URL. Raises PictureFetchError where one of its
    addresses is not of the public network."""
    try:
        infos: Sequence[Any] = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )
    except OSError as error:
        raise PictureFetchError(f"has an unknown host: {error.strerror}") from None
    except UnicodeError:
        # A label of a name has 63 characters at most.
        raise PictureFetchError("has a host that no name may have") from None
    addresses = [ip_address(each[4][0].partition("%")[0]) for each in infos]
    if not addresses or not all(each.is_global for each in addresses):
        raise PictureFetchError("leads into a private network")
    first = addresses[0]
    return f"[{first}]" if first.version == 6 else str(first)
