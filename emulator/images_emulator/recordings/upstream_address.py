"""The address of an upstream: the URL of its API, the targets of calls to it, and the key that the
calls carry."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Final
from urllib.parse import SplitResult, urlsplit

from images_emulator.contract.operations import AZURE_PREFIX
from images_emulator.immutable import Immutable
from images_emulator.setting_values import without_credentials

CONNECTION_HEADERS: Final = frozenset({"host", "expect", "accept-encoding"})
"""Headers of a call, in lower case, that the connection to the upstream sets for itself, in
addition to the hop-by-hop headers."""

_AZURE_BASE: Final = re.compile(rb"(/openai)?(/v1)?$")
"""The end of a base path that is removed before a path of Azure is added."""


class UpstreamAddress(Immutable):
    """The address of the API at *url*. The URL has the form of a client's base URL: it may end in
    `/v1`.

    Raises ValueError for a URL that cannot be one.
    """

    url: str
    key: str = ""
    """An API key that the upstream accepts; empty where none is known."""

    def __post_init__(self) -> None:
        try:
            parts = self._parts
            valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            valid = False
        # A password or a key may be in it.
        shown = without_credentials(self.url)
        if not valid:
            raise ValueError(
                f"expected the URL of an API, such as https://api.openai.com/v1, not {shown!r}"
            )
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError(f"the URL of an API has a host and a path alone, such as {shown!r}")

    @property
    def base_url(self) -> str:
        """The URL without a slash at its end."""
        return self.url.rstrip("/")

    @property
    def _parts(self) -> SplitResult:
        return urlsplit(self.base_url)

    @property
    def host(self) -> str:
        """The host, with its port where the URL has one."""
        return self._parts.netloc

    @property
    def origin(self) -> str:
        """The URL without its path."""
        return f"{self._parts.scheme}://{self.host}"

    def target(self, target: bytes) -> bytes:
        """The request target at the upstream for the *target* of a call to this server. A beginning
        that the path of the upstream shares with *target*, such as `/v1`, is not repeated."""
        base = self._parts.path.encode()
        if target.startswith(AZURE_PREFIX.encode()):
            return _AZURE_BASE.sub(b"", base) + target
        if target in (base, b"*") or target.startswith((base + b"/", base + b"?")):
            return target
        if target.startswith(b"/v1/"):
            base = base.removesuffix(b"/v1")
        return base + target


def http_client_library() -> ModuleType:
    """The HTTP client of the calls to an upstream. Raises ValueError where it is not installed."""
    try:
        import httpx2  # noqa: PLC0415 - an extra, and a tenth of a second
    except ImportError:
        command = "pip install 'openai-images-emulator[record]'"
        raise ValueError(f"calls of an upstream need an HTTP client: {command}") from None
    return httpx2
