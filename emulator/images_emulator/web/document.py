"""The admin API's OpenAPI document, and a page of it that needs nothing else."""

from __future__ import annotations

from html import escape
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.responses import HTMLResponse, Response

from images_emulator.web.recorder import ADMIN_PREFIX

CSP: Final = "default-src 'none'; style-src 'unsafe-inline'"

_SCHEMAS: Final = "#/components/schemas/"


def taken(model: type[BaseModel]) -> dict[str, Any]:
    """What the document says of a body that is read by hand, and so under any content type."""
    schema = {"$ref": _SCHEMAS + model.__name__}
    return {"requestBody": {"content": {"application/json": {"schema": schema}}, "required": True}}


def describe(app: FastAPI, *bodies: type[BaseModel]) -> None:
    """Put the schemas of *bodies*, and a page, beside the document that FastAPI makes."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            document = make()
            _, defined = models_json_schema(
                [(body, "validation") for body in bodies], ref_template=_SCHEMAS + "{model}"
            )
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas.update(defined["$defs"])
        return make()

    async def docs() -> Response:
        return HTMLResponse(_page(openapi()), headers={"Content-Security-Policy": CSP})

    app.openapi = openapi  # type: ignore[method-assign] # as FastAPI's documentation does it
    app.add_api_route(f"{ADMIN_PREFIX}/docs", docs, include_in_schema=False)


def _page(document: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{method.upper()}<td><code>{escape(path)}</code>"
        f"<td>{escape(told.get('description', ''))}"
        for path, methods in document["paths"].items()
        for method, told in methods.items()
    )
    return (
        "<!doctype html><meta charset=utf-8><title>/_emulator</title>"
        "<style>body{font:16px system-ui;margin:2em}td{padding:.3em 1em .3em 0}</style>"
        f"<h1>{ADMIN_PREFIX}</h1><p><a href=openapi.json>OpenAPI</a><table>{rows}</table>"
    )
