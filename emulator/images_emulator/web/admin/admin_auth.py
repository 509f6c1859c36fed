"""Access to `/_emulator`. Without an admin token every client has access, except pages of other
sites (CSRF, DNS rebinding). With a token, only clients that send it have access, and pages of this
server that have its cookie."""

from __future__ import annotations

import hmac
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send

from images_emulator.admin_prefix import ADMIN_PREFIX
from images_emulator.contract import admin_errors
from images_emulator.contract.refusal import APIError
from images_emulator.exchange.credentials import bearer_token
from images_emulator.settings import Settings
from images_emulator.web.admin.admin_audit import AuditLog, RefusalLog
from images_emulator.web.forwarded_headers import is_proxied
from images_emulator.web.json_responses import error_response_without_exchange
from images_emulator.web.server_names import MAX_SHOWN_CHARS, ServerNames, host_name

OPEN_PATHS: Final = (f"{ADMIN_PREFIX}/health", f"{ADMIN_PREFIX}/ready")
"""The paths for probes, which need no token: they show no data and change nothing."""

SESSION_PATH: Final = f"{ADMIN_PREFIX}/session"
"""The path at which a page of this server gets its cookie. The page sends the token in the body."""


def are_same(secret: str, other: str) -> bool:
    """Whether the two secrets are equal. The time taken does not depend on which character
    differs."""
    return hmac.compare_digest(
        secret.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass")
    )


class SessionCookie:
    """The cookie that stands for an admin *token*: `NAME=VALUE`.

    It is derived from the token without revealing it. So every process accepts it, and so does a
    server that is started again. A browser shares the cookies of a host between all its ports, so
    servers with different tokens have cookies of different names.
    """

    def __init__(self, token: str) -> None:
        self.token = token
        digest = hmac.digest(token.encode("utf-8", "surrogatepass"), b"session", "sha256").hex()
        self.name = f"images-emulator-{digest[:8]}"
        self.value = digest[8:]

    def is_in(self, header: str) -> bool:
        """Whether the *header* `Cookie` has this cookie."""
        return are_same(cookie_parser(header).get(self.name, ""), self.value)


class AdminAccess:
    """Tells which calls have access.

    For the names under which a page of another site can reach the server, see `ServerNames`. A
    browser sends the cookie only to the server's own name.
    """

    def __init__(self, settings: Settings) -> None:
        token = settings.admin_token
        self.cookie = None if token is None else SessionCookie(token)
        """None without an admin token."""
        public = urlsplit(settings.public_url or "")
        self._names = ServerNames(settings.host, settings.public_url)
        self.public_origin = f"{public.scheme}://{public.netloc}".lower()

    def has_access(self, scope: Scope) -> bool:
        """Whether the call has access."""
        try:
            self.check(scope)
        except APIError:
            return False
        return True

    def check(self, scope: Scope) -> None:
        """Raises APIError for a call without access."""
        headers = Headers(scope=scope)
        if self.cookie is not None:
            # No other site can know the token, wherever the call comes from.
            if are_same(bearer_token(headers.get("authorization", "")), self.cookie.token):
                return
            has_cookie = self.cookie.is_in(headers.get("cookie", ""))
            if not has_cookie and scope["path"] != SESSION_PATH:
                raise admin_errors.no_token()
        elif not self._names.may_be_own(host_name(headers.get("host", ""))):
            raise admin_errors.foreign_host(host=headers.get("host", ""))
        # A browser sends the cookie from pages of other ports of this host, too.
        origin = headers.get("origin")
        foreign = origin is not None and not self._is_same_origin(origin, headers, scope)
        if foreign or headers.get("sec-fetch-site") == "cross-site":
            raise admin_errors.foreign_origin()

    def reason(self, scope: Scope, error: APIError) -> str:
        """Why the call was refused, in a few words, without the token."""
        headers = Headers(scope=scope)
        match error.newest.code:
            case "foreign_host":
                host = headers.get("host", "")[:MAX_SHOWN_CHARS]
                return f"the host {host!r} is not this server's"
            case "foreign_origin":
                origin = headers.get("origin", "another site")[:MAX_SHOWN_CHARS]
                return f"a page of {origin!r}"
        has_cookie = self.cookie is not None and self.cookie.name in cookie_parser(
            headers.get("cookie", "")
        )
        sends_one = "authorization" in headers or has_cookie
        return "a wrong admin token" if sends_one else "no admin token"

    def _is_same_origin(self, origin: str, headers: Headers, scope: Scope) -> bool:
        """Whether a page of *origin* came from this server. Another port is another origin.

        A browser leaves out only the default port; a proxy may leave out any port. There is a proxy
        where a header says so, or where the page came by TLS, which this server does not speak. An
        *origin* that is the public URL's tells of a proxy, too.
        """
        host = headers.get("host", "")
        scheme, _, authority = origin.partition("://")
        if host_name(authority) != host_name(host):
            return False
        port = _port(host)
        if port is None and (
            scheme == "https" or origin.lower() == self.public_origin or is_proxied(scope)
        ):
            return True
        default = 443 if scheme == "https" else 80
        return (port or default) == (_port(authority) or default)


class AdminAuth:
    """Wraps the admin API of a server or of its *namespace*, or `/metrics`, and logs the calls that
    it refuses."""

    def __init__(self, app: ASGIApp, settings: Settings, namespace: str | None = None) -> None:
        self.app = app
        self._access = AdminAccess(settings)
        self._refusals = RefusalLog(AuditLog(settings, namespace))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["path"] not in OPEN_PATHS:
                self._access.check(scope)
        except APIError as error:
            self._refusals.log(scope, error.newest.status, self._access.reason(scope, error))
            await error_response_without_exchange(error)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def _port(authority: str) -> int | None:
    try:
        return urlsplit(f"//{authority}").port
    except ValueError:
        return None
