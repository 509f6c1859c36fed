"""The names that a server can have, by which a page of another site is told from its own (a guard
against DNS rebinding and CSRF)."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from images_emulator.contract import emulator_errors

MAX_SHOWN_CHARS: Final = 100
"""The most characters of a `Host` or an `Origin` that an error or the log shows."""

PRIVATE_SUFFIXES: Final = (".localhost", ".local", ".internal", ".test", ".svc", ".home.arpa")
"""Endings of names that no one can register, and so no other site can have."""


def host_name(authority: str) -> str:
    """The host of `HOST:PORT`; a dot, which is no name, where it is malformed."""
    try:
        return (urlsplit(f"//{authority}").hostname or "").rstrip(".")
    except ValueError:
        return "."


class ServerNames:
    """The names of a server that listens on *host*, and of the *public_url* of its settings.

    A page of another site can reach a server of this machine under two names:

    - The server's own name. Then the browser says from which site the page is.
    - A name of the other site that is made to point here. Then that name is the `Host`.
    """

    def __init__(self, host: str, public_url: str | None = None) -> None:
        public = host_name(urlsplit(public_url or "").netloc)
        self._names = {host.lower().rstrip("."), public} - {""}

    def may_be_own(self, name: str) -> bool:
        """Whether *name* can be this server's: an address, a name without a dot (as containers
        have), a private name, or one of the settings."""
        try:
            ip_address(name)
        except ValueError:
            return "." not in name or name.endswith(PRIVATE_SUFFIXES) or name in self._names
        return True

    def check_page(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Raises APIError where the *headers*, with names in any case, are of a page that may be of
        another site. Pages of this machine and its network pass, whatever their port."""
        values = {name.lower(): value.decode("latin-1") for name, value in headers}
        host, origin = values.get(b"host", ""), values.get(b"origin")
        if not self.may_be_own(host_name(host)):
            raise emulator_errors.upstream_key_for_foreign_host(host=host[:MAX_SHOWN_CHARS])
        is_foreign = values.get(b"sec-fetch-site") == "cross-site"
        if origin is not None:
            is_foreign = not self._is_near(host_name(origin.partition("://")[2]))
        if is_foreign:
            raise emulator_errors.upstream_key_for_foreign_page()

    def _is_near(self, name: str) -> bool:
        """Whether a page of the host *name* is of this machine or of its network."""
        if name in self._names:
            return True
        try:
            return not ip_address(name).is_global
        except ValueError:
            return bool(name) and self.may_be_own(name)
