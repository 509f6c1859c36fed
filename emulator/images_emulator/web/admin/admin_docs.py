"""The admin API's OpenAPI document, with the errors that each route answers. An HTML page shows it,
without scripts or other requests."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.responses import HTMLResponse, Response

from images_emulator.admin_prefix import ADMIN_PREFIX
from images_emulator.contract import admin_errors, emulator_errors, errors
from images_emulator.contract.operations import JSON
from images_emulator.contract.refusal import Refusal
from images_emulator.web.admin.admin_auth import OPEN_PATHS

CONTENT_SECURITY_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
"""The policy of the page, which loads nothing."""

_SCHEMAS: Final = "#/components/schemas/"

_ERROR_NAME: Final = "Error"

_NEVER_SENT: Final = "Validation Error"
"""The description of the 422 that FastAPI adds to a route with parameters, in a form of its own."""

_ERROR_SCHEMA: Final = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                **{name: {"type": ["string", "null"]} for name in ("type", "param", "code")},
            },
            "required": ["message", "type", "param", "code"],
        }
    },
    "required": ["error"],
}
"""JSON Schema of the body of every error."""

Responses = dict[int | str, dict[str, Any]]
"""Descriptions of answers, by status, which FastAPI adds to a route."""


def json_body_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The entry of the document for a route whose handler itself reads the JSON body, a *model*.
    FastAPI describes only the bodies that it reads."""
    schema = {"$ref": _SCHEMAS + model.__name__}
    return {"requestBody": {"content": {"application/json": {"schema": schema}}, "required": True}}


def error_responses(*refusals: Refusal) -> Responses:
    """The entry of the document for a route that answers with these *refusals*. The refusals of
    every route are in `_common_refusals`."""
    by_status: dict[int | str, list[Refusal]] = {}
    for refusal in refusals:
        by_status.setdefault(refusal.status, []).append(refusal)
    content = {JSON: {"schema": {"$ref": _SCHEMAS + _ERROR_NAME}}}
    return {
        status: {"description": " ".join(each.message for each in same), "content": content}
        for status, same in by_status.items()
    }


def file_response(*media_types: str) -> Responses:
    """The entry for a route that answers with a file of one of these types."""
    schemas = {JSON: {"type": "object"}, "text/plain": {"type": "string"}}
    binary = {"type": "string", "format": "binary"}
    content = {each: {"schema": schemas.get(each, binary)} for each in media_types}
    return {200: {"description": "The file.", "content": content}}


def _common_refusals(path: str, operation: dict[str, Any]) -> Iterator[Refusal]:
    """The errors of the route at *path* that do not depend on the handler of its *operation*."""
    if path not in OPEN_PATHS:
        yield from (admin_errors.no_token, admin_errors.foreign_host, admin_errors.foreign_origin)
    if "requestBody" in operation:
        yield from (errors.malformed_json, errors.not_an_object, errors.body_too_large)
    if "requestBody" in operation or "parameters" in operation:
        yield admin_errors.bad_input
    yield from (admin_errors.broken, emulator_errors.store_unavailable)


def _add_errors(document: dict[str, Any]) -> None:
    """Add the common errors to those of each route."""
    for path, methods in document["paths"].items():
        for operation in methods.values():
            own = operation["responses"]
            if own.get("422", {}).get("description") == _NEVER_SENT:
                del own["422"]
            for status, response in error_responses(*_common_refusals(path, operation)).items():
                words = own.get(str(status), {}).get("description", "")
                description = f"{words} {response['description']}".lstrip()
                own[str(status)] = {**response, "description": description}
            operation["responses"] = dict(sorted(own.items()))
    schemas = document["components"]["schemas"]
    schemas[_ERROR_NAME] = _ERROR_SCHEMA
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)


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
            _add_errors(document)
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
