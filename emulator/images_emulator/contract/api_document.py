"""Reference: the API as an OpenAPI document, from the tables of operations, models and errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from types import ModuleType
from typing import Any, Final

from images_emulator.contract import emulator_errors, errors, operational_errors
from images_emulator.contract.file_objects import PURPOSE
from images_emulator.contract.model_listing import models_json
from images_emulator.contract.operations import (
    CREATE_FILE,
    DOWNLOAD_FILE,
    JSON,
    OPERATIONS,
    Operation,
)
from images_emulator.contract.refusal import Refusal

EVENTS: Final = "text/event-stream"
"""The media type of streams."""

_ERROR: Final = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"type": ["string", "null"]},
                **{name: {"type": ["string", "null"]} for name in ("type", "param", "code")},
            },
            "required": ["message", "type", "param", "code"],
        }
    },
    "required": ["error"],
}

_IMAGES: Final = {
    "type": "object",
    "properties": {
        "created": {"type": "integer"},
        "data": {"type": "array", "items": {"type": "object"}, "minItems": 1},
    },
    "required": ["created", "data"],
}

BODY_SCHEMAS: Final[Mapping[Operation, Mapping[str, Any]]] = {
    CREATE_FILE: {
        "type": "object",
        "properties": {
            "file": {"type": "string", "format": "binary"},
            "purpose": {"type": "string", "enum": [*PURPOSE.words]},
        },
        "required": ["file", "purpose"],
    }
}
"""The bodies of the operations that read a body and are no image operation. The rules of the models
give the bodies of image operations."""

ANSWER_TYPES: Final[Mapping[Operation, str]] = {DOWNLOAD_FILE: "application/octet-stream"}
"""The media types of answers that are no JSON."""


def _statuses(module: ModuleType) -> Iterator[int]:
    """The statuses of the errors in a *module*, of any day."""
    for value in vars(module).values():
        if isinstance(value, Refusal):
            yield value.status
            yield from (earlier.status for _, earlier in value.earlier)


def error_statuses() -> list[int]:
    """The statuses of all errors that a call can meet, also by a fault."""
    modules = (errors, operational_errors, emulator_errors)
    return sorted({status for module in modules for status in _statuses(module)})


def _answers(operation: Operation) -> dict[str, Any]:
    """The answers to *operation*, by status."""
    schema = _IMAGES if operation.image_kind else {"type": "object"}
    media_types: dict[str, Any] = {JSON: {"schema": schema}}
    if operation.event_name:
        media_types[EVENTS] = {"schema": {"type": "string"}}
    if operation in ANSWER_TYPES:
        media_types = {ANSWER_TYPES[operation]: {"schema": {"type": "string"}}}
    error = {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "200": {"description": "OK", "content": media_types},
        **{
            str(status): {"description": HTTPStatus(status).phrase, "content": error}
            for status in error_statuses()
        },
    }


def _bodies(operation: Operation) -> dict[str, Any]:
    """The schemas of the bodies of *operation*, by media type. The schema of an image operation has
    an alternative for each model. Raises LookupError for another operation that `BODY_SCHEMAS`
    lacks."""
    if not operation.image_kind:
        if operation not in BODY_SCHEMAS:
            raise LookupError(f"BODY_SCHEMAS of {__name__} needs an entry for {operation}")
        return {key: {"schema": BODY_SCHEMAS[operation]} for key in operation.bodies}
    bodies: dict[str, Any] = {}
    for model, row in models_json().items():
        for media_type, schema in row["endpoints"].get(operation.path, {}).items():
            properties = {**schema["properties"], "model": {"const": model}}
            required = ["model", *schema["required"]]
            body = bodies.setdefault(media_type, {"schema": {"anyOf": []}})
            body["schema"]["anyOf"].append(
                {**schema, "properties": properties, "required": required}
            )
    return bodies


def _operation_document(operation: Operation) -> dict[str, Any]:
    description: dict[str, Any] = {
        "operationId": operation.name,
        "responses": _answers(operation),
    }
    if operation.bodies:
        description["requestBody"] = {"content": _bodies(operation), "required": True}
    names = [part[1:-1] for part in _path(operation).split("/") if part.startswith("{")]
    if names:
        description["parameters"] = [
            {
                "name": name,
                "in": "path",
                "required": True,
                "schema": {"type": "string", "minLength": 1},
            }
            for name in names
        ]
    return description


def _path(operation: Operation) -> str:
    return operation.path.replace(":path}", "}")


def api_document(version: str) -> dict[str, Any]:
    """The OpenAPI document of OpenAI's paths, without Azure's. *version* is the emulator's
    version."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS.values():
        described = _operation_document(operation)
        paths.setdefault(_path(operation), {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "OpenAI Images API, as the emulator serves it", "version": version},
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}],
    }
