"""The outermost application of a server: leads each call to the application of its namespace."""

from __future__ import annotations

from operator import itemgetter
from typing import Final
from urllib.parse import quote, unquote, unquote_to_bytes

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from images_emulator.admin_prefix import SAFE_METHODS, is_admin_path
from images_emulator.contract import emulator_errors
from images_emulator.contract.cors import ALLOW_ORIGIN
from images_emulator.contract.http_headers import header_value
from images_emulator.contract.notices import NO_NAMESPACE
from images_emulator.contract.refusal import APIError
from images_emulator.exchange.request_head import RequestHead
from images_emulator.namespace_names import (
    DEFAULT_NAMESPACE,
    NAMESPACE_HEADER,
    NAMESPACE_PARAMETER,
    NAMESPACE_PREFIX,
    path_of,
    split_path,
)
from images_emulator.setting_values import NamespaceBy
from images_emulator.state.hosting import DOWNLOAD_PREFIX
from images_emulator.web.admin.admin_auth import OPEN_PATHS, SESSION_PATH, AdminAccess
from images_emulator.web.answer_notice import with_notice
from images_emulator.web.answer_sender import ORIGIN
from images_emulator.web.cors_middleware import is_preflight
from images_emulator.web.downloads_api import download_of_nothing
from images_emulator.web.instruments.metric_table import METRICS_PATH
from images_emulator.web.json_responses import error_response_without_exchange
from images_emulator.web.namespaces import Namespace, Namespaces
from images_emulator.web.page_files import is_browser_navigation

_NAME: Final = itemgetter(0)
"""The name of a raw header."""

_HEADER_BYTES: Final = NAMESPACE_HEADER.encode()
_PARAMETER_START: Final = f"{NAMESPACE_PARAMETER}=".encode()


class NamespaceRouter:
    """Leads a call to the application of its namespace, one of *namespaces*.

    The name of the namespace is in the path of the call, or else in its header, in the query of the
    admin API, or in the API key where the settings say so. Any other call goes to the default
    emulator, and costs one look at its headers.
    """

    def __init__(self, namespaces: Namespaces) -> None:
        self.namespaces = namespaces
        settings = namespaces.default.settings
        self._by_key = settings.namespace_by == NamespaceBy.KEY
        self._keys = frozenset(settings.api_key)
        self._default = namespaces.default_app
        self._metrics_path = METRICS_PATH if settings.metrics else None
        self._leads_to_page = settings.page
        self._access = AdminAccess(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["path"]
            if (
                path.startswith(NAMESPACE_PREFIX)
                or _HEADER_BYTES in map(_NAME, scope["headers"])
                or self._by_key
                or (_PARAMETER_START in scope["query_string"] and is_admin_path(path))
            ):
                await self._route(scope, receive, send)
                return
        await self._default(scope, receive, send)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application of the namespace that the call names, if it names one."""
        try:
            name, scope = await self._take_out_name(scope)
            if not scope["path"]:
                # Relative, as the redirects to the page are.
                query = scope["query_string"].decode("latin-1")
                target = f"{quote(name, safe='')}/{query and f'?{query}'}"
                app: ASGIApp = RedirectResponse(target, 307)
            elif name == DEFAULT_NAMESPACE:
                app = self._default
            else:
                namespace = await self.namespaces.acquire(name, begins=self._begins_one(scope))
                await self._call(namespace, scope, receive, send)
                return
        except APIError as error:
            app = refusal = error_response_without_exchange(error)
            if ORIGIN in map(_NAME, scope["headers"]):
                refusal.raw_headers.append(ALLOW_ORIGIN)
        await app(scope, receive, send)

    def _begins_one(self, scope: Scope) -> bool:
        """Whether the call begins its namespace, for which an idle one may have to make room. A
        call that only looks at a namespace, such as a download or a safe call of the admin API,
        does not begin it, nor does a call that is refused access to the admin API."""
        path = scope["path"]
        if is_admin_path(path):
            is_look = scope["method"] in SAFE_METHODS or path in (SESSION_PATH, *OPEN_PATHS)
            return not is_look and self._access.has_access(scope)
        if is_preflight(scope):
            return False
        if path == "/":
            return not (self._leads_to_page and is_browser_navigation(scope))
        return not (_is_download(scope) or path == self._metrics_path)

    async def _call(self, namespace: Namespace, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            root_path = scope.get("root_path", "") + path_of(namespace.name)
            app = namespace.app
            if not namespace.is_listed:
                if _is_download(scope):
                    # A shared store keeps the pictures of a namespace that it lists no more.
                    hosting = namespace.emulator.hosting
                    if await hosting.peek(scope["path"]) is not None:
                        await app({**scope, "root_path": root_path}, receive, send)
                        return
                    # The namespace's own application does not answer: a shared store would keep its
                    # journal.
                    app = download_of_nothing(scope, namespace.emulator.clock.now())
                notice = header_value(NO_NAMESPACE.format(name=namespace.name))
                send = with_notice(send, notice)
            await app({**scope, "root_path": root_path}, receive, send)
        finally:
            self.namespaces.release(namespace)

    async def _take_out_name(self, scope: Scope) -> tuple[str, Scope]:
        """Return the name of the call's namespace, and the scope without that name: with path and
        query as the application knows them. Raises APIError for a text that is no name."""
        place = NAMESPACE_PREFIX
        if scope["path"] == self._metrics_path:
            # The metrics are of the server, and the key that comes with a scrape is the admin
            # token.
            return DEFAULT_NAMESPACE, scope
        try:
            head = RequestHead("", scope["path"], b"", scope["headers"])
            key = head.api_key if self._by_key else ""
            raw_path: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
            if split := split_path(raw_path.decode("latin-1")):
                name, rest = split
                scope = {**scope, "path": unquote(rest), "raw_path": rest.encode("latin-1")}
                prefers_key = is_admin_path(rest)
                return await self.namespaces.resolve_name(name, key, prefers_key=prefers_key), scope
            place = NAMESPACE_HEADER
            if _HEADER_BYTES in head:
                text, prefers_key = (
                    _utf8_name(head.by_name[_HEADER_BYTES]),
                    is_admin_path(scope["path"]),
                )
                return await self.namespaces.resolve_name(text, key, prefers_key=prefers_key), scope
            if is_admin_path(scope["path"]):
                place = NAMESPACE_PARAMETER
                return await self._take_out_name_in_query(scope)
            if key and (not self._keys or key in self._keys):
                place = "API key"
                return self.namespaces.name_of_api_key(key), scope
        except ValueError as error:
            raise emulator_errors.bad_namespace(place=place, reason=str(error)) from None
        return DEFAULT_NAMESPACE, scope

    async def _take_out_name_in_query(self, scope: Scope) -> tuple[str, Scope]:
        """Return the name in the query of the admin API, and the scope without it. Raises
        ValueError."""
        name, others = DEFAULT_NAMESPACE, []
        for pair in scope["query_string"].split(b"&"):
            if pair.startswith(_PARAMETER_START):
                encoded = pair.removeprefix(_PARAMETER_START).replace(b"+", b" ")
                text = _utf8_name(unquote_to_bytes(encoded))
                name = await self.namespaces.resolve_name(text, prefers_key=True)
            else:
                others.append(pair)
        return name, {**scope, "query_string": b"&".join(others)}


def _utf8_name(name: bytes) -> str:
    """A *name* in UTF-8. Raises ValueError."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise ValueError(f"expected a name in UTF-8, not {name!r}") from None


def _is_download(scope: Scope) -> bool:
    return scope["method"] in ("GET", "HEAD") and scope["path"].startswith(DOWNLOAD_PREFIX)
