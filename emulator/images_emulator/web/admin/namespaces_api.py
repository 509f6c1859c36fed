"""Routes of the admin API for the namespaces of a server."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter

from images_emulator.admin_prefix import ADMIN_PREFIX
from images_emulator.contract import admin_errors
from images_emulator.namespace_names import DEFAULT_NAMESPACE
from images_emulator.web.admin.admin_docs import error_responses
from images_emulator.web.admin.admin_handlers import AdminHandlers
from images_emulator.web.namespaces import NamespaceState


@dataclass(frozen=True, slots=True)
class NamespacesJSON:
    """The namespaces by name, without the default one."""

    namespaces: list[NamespaceState]


class NamespacesAPI(AdminHandlers):
    """The handlers. They are of the server, whichever namespace they are called in."""

    def router(self) -> APIRouter:
        router = APIRouter(prefix=ADMIN_PREFIX, tags=["namespaces"])
        router.get("/namespaces")(self.namespaces)
        refused = error_responses(admin_errors.no_such_namespace, admin_errors.default_namespace)
        router.delete("/namespaces/{name:path}", responses=refused)(self.delete)
        return router

    async def namespaces(self) -> NamespacesJSON:
        """The namespaces beside the default one, each with the number of its calls and the time of
        the last one."""
        if self.context.namespaces is None:
            return NamespacesJSON([])
        return NamespacesJSON(await self.context.namespaces.all())

    async def delete(self, name: str) -> dict[str, str]:
        """Forget a namespace and all that it has. The next call that names it begins it anew."""
        if name == DEFAULT_NAMESPACE:
            raise admin_errors.default_namespace()
        if (namespaces := self.context.namespaces) is None:
            raise admin_errors.no_such_namespace(name=name)
        try:
            name = await namespaces.resolve_name(name, prefers_key=True)
        except ValueError:
            raise admin_errors.no_such_namespace(name=name) from None
        try:
            await namespaces.delete(name)
        except KeyError:
            raise admin_errors.no_such_namespace(name=name) from None
        return {"status": "ok"}
