"""Who may ask `/_emulator`: everyone but the browsers of other sites, or whoever has the token."""

from __future__ import annotations

from hmac import compare_digest
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from images_emulator.contract import admin_errors
from images_emulator.contract.errors import APIError
from images_emulator.exchange.credentials import bearer_token
from images_emulator.settings import Settings
from images_emulator.web.json_responses import admin_error_response
from images_emulator.web.recorder import ADMIN_PREFIX

OPEN: Final = (f"{ADMIN_PREFIX}/health", f"{ADMIN_PREFIX}/ready")
"""What probes ask; it tells nothing and changes nothing."""

PRIVATE: Final = (".localhost", ".local", ".internal", ".test", ".svc", ".home.arpa")
"""Endings of names that no one can register, so that no other site can have them."""

FORWARDED: Final = (
    "forwarded",
    *(f"x-forwarded-{each}" for each in ("for", "host", "port", "proto")),
)
"""Headers of proxies. A page of another origin could send one only after a preflight, which has
none of them and is refused."""


class AdminAuth:
    """Wraps the admin API.

    A page of another site reaches a server of this machine in two ways: under the server's own
    name, and then the browser says whose page it is; or under a name of the site's that is made to
    point here, and then that name is the `Host`.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.token = settings.admin_token
        public = urlsplit(settings.public_url or "")
        self.names = {settings.host.lower(), _name(public.netloc)}
        self.public_origin = f"{public.scheme}://{public.netloc}".lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["path"] not in OPEN:
                self._check(scope)
        except APIError as error:
            await admin_error_response(error)(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        """Raises APIError for those who may not ask."""
        headers = Headers(scope=scope)
        if self.token is not None:
            # No other site can know it, wherever the call comes from.
            token = bearer_token(headers.get("authorization", ""))
            if not compare_digest(token.encode(), self.token.encode()):
                raise admin_errors.no_token()
            return
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._own(_name(host)):
            raise admin_errors.foreign_host(host=host)
        foreign = origin is not None and not self._same_origin(origin, headers)
        if foreign or headers.get("sec-fetch-site") == "cross-site":
            raise admin_errors.foreign_origin()

    def _own(self, name: str) -> bool:
        """Whether a *name* can be this server's: an address, a name without a dot, as containers
        have, one that is private, or one that the settings say."""
        try:
            ip_address(name)
        except ValueError:
            return "." not in name or name.endswith(PRIVATE) or name in self.names
        return True

    def _same_origin(self, origin: str, headers: Headers) -> bool:
        """Whether a page of *origin* came from this server. Another port is another origin. A
        browser leaves out the default port alone, and a proxy may leave out any: there is one where
        a header says so, or where the page came by TLS, which this server has not."""
        host = headers.get("host", "")
        scheme, _, authority = origin.partition("://")
        if _name(authority) != _name(host):
            return False
        port = _port(host)
        if port is None and (
            scheme == "https"
            or origin.lower() == self.public_origin
            or any(name in headers for name in FORWARDED)
        ):
            return True
        default = 443 if scheme == "https" else 80
        return (port or default) == (_port(authority) or default)


def _port(authority: str) -> int | None:
    try:
        return urlsplit(f"//{authority}").port
    except ValueError:
        return None


def _name(authority: str) -> str:
    """The host of `HOST:PORT`; nothing that is a name where it is malformed."""
    try:
        return (urlsplit(f"//{authority}").hostname or "").rstrip(".")
    except ValueError:
        return "."
