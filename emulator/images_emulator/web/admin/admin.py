"""Entry of the admin API, which creates the rest of it at its first call."""

from __future__ import annotations

from functools import cached_property

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from images_emulator.admin_prefix import ADMIN_PREFIX
from images_emulator.state.emulator import Emulator
from images_emulator.web.admin.admin_audit import AdminAudit, AuditLog
from images_emulator.web.admin.admin_auth import AdminAuth
from images_emulator.web.admin.health import HEALTH
from images_emulator.web.namespaces import Namespaces
from images_emulator.web.page_files import PageFiles


class Admin:
    """ASGI application for `/_emulator` of one *emulator*, and for a browser at `/`. *namespaces*
    are the namespaces of the server; None without a server.

    It answers the liveness probe and sends the page's files itself, without asking the store. For
    other calls that may see its state, a shared store is refreshed first. It imports FastAPI at the
    first other call, because the import takes a tenth of a second."""

    def __init__(self, emulator: Emulator, namespaces: Namespaces | None) -> None:
        self.emulator = emulator
        self.namespaces = namespaces
        self._page = PageFiles(ADMIN_PREFIX) if emulator.settings.page else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == f"{ADMIN_PREFIX}/health" and scope["method"] in ("GET", "HEAD"):
            await JSONResponse(HEALTH)(scope, receive, send)
        elif self._page and self._page.has(scope["path"]):
            await self._page(scope, receive, send)
        else:
            await self._api(scope, receive, send)

    @cached_property
    def _api(self) -> ASGIApp:
        # They load FastAPI.
        from images_emulator.web.admin.admin_api import create_admin_api  # noqa: PLC0415
        from images_emulator.web.admin.admin_handlers import AdminContext, ContextMiddleware  # noqa: PLC0415

        emulator = self.emulator
        context = AdminContext(emulator, self.namespaces)
        api = ContextMiddleware(create_admin_api(), context)
        store = emulator.store

        async def refresh_and_call(scope: Scope, receive: Receive, send: Send) -> None:
            await store.refresh()
            await api(scope, receive, send)

        app = refresh_and_call if store.is_shared else api
        audit = AdminAudit(app, AuditLog(emulator.settings, emulator.namespace))
        return AdminAuth(audit, emulator.settings, emulator.namespace)
