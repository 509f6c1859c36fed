"""The admin API's OpenAPI document, and an HTML page of it without scripts or other requests."""

from __future__ import annotations

from html import escape
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.responses import HTMLResponse, Response

from images_emulator.web.recorder import ADMIN_PREFIX

CONTENT_SECURITY_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
"""The policy of the page, which loads nothing."""

_SCHEMAS: Final = "#/components/schemas/"


def json_body_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The entry of the document for a route whose handler reads its JSON body, a *model*, itself;
    FastAPI describes the bodies that it reads."""
    schema = {"$ref": _SCHEMAS + model.__name__}
    return {"requestBody": {"content": {"application/json": {"schema": schema}}, "required": True}}


def add_docs(app: FastAPI, *bodies: type[BaseModel]) -> None:
    """Add the schemas of *bodies* to the OpenAPI document of *app*, and the route of the page."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            document = make()
            _, schemas = models_json_schema(
                [(body, "validation") for body in bodies], ref_template=_SCHEMAS + "{model}"
            )
            components = document.setdefault("components", {}).setdefault("schemas", {})
            components.update(schemas["$defs"])
        return make()

    async def docs() -> Response:
        headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
        return HTMLResponse(_page(openapi()), headers=headers)

    app.openapi = openapi  # type: ignore[method-assign] # as FastAPI's documentation does it
    app.add_api_route(f"{ADMIN_PREFIX}/docs", docs, include_in_schema=False)


def _page(document: dict[str, Any]) -> str:
    """The page: a table of the methods and paths in the *document*."""
    rows = "".join(
        f"<tr><td>{method.upper()}<td><code>{escape(path)}</code>"
        f"<td>{escape(operation.get('description', ''))}"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    return (
        "<!doctype html><meta charset=utf-8><title>/_emulator</title>"
        "<style>body{font:16px system-ui;margin:2em}td{padding:.3em 1em .3em 0}</style>"
        f"<h1>{ADMIN_PREFIX}</h1><p><a href=openapi.json>OpenAPI</a><table>{rows}</table>"
    )
