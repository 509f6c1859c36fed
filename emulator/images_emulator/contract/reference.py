"""The table, written out for people and tools: plain text, Markdown, JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from textwrap import fill
from typing import Any, Final

from images_emulator.contract.availability import availability_on
from images_emulator.contract.errors import APIError
from images_emulator.contract.models import MODEL, MODELS
from images_emulator.contract.operations import FORM, IMAGE_OPERATIONS, Operation
from images_emulator.contract.request import Call, Model
from images_emulator.contract.rules import Rule

WIDTH: Final = 100
"""Columns of a terminal."""


def schema_of(rows: Mapping[str, Rule]) -> dict[str, Any]:
    """What one model accepts at one operation, as JSON Schema."""
    return {
        "type": "object",
        "properties": {"model": MODEL.schema()}
        | {name: rule.schema() for name, rule in rows.items()},
        "required": [name for name, rule in rows.items() if rule.required],
        "additionalProperties": False,
    }


def _schemas(model: Model, operation: Operation) -> dict[str, Any]:
    """One for each kind of body that *model* takes at *operation*, by media type."""
    schemas = {}
    for media_type in operation.bodies:
        # Not every model takes references in JSON.
        with suppress(APIError):
            rows = availability_on(None).rows(model, Call(operation, media_type == FORM, {}))
            schemas[media_type] = schema_of(rows)
    return schemas


def as_json() -> dict[str, Any]:
    """Each model's dates, and its JSON Schema for each operation and media type."""
    return {
        model.id: {
            "released": model.released.isoformat(),
            "shutdown": model.shutdown.isoformat() if model.shutdown else None,
            "replacement": model.replacement,
            "endpoints": {
                operation.path: _schemas(model, operation) for operation in model.accepts
            },
        }
        for model in MODELS.values()
    }


def _lives() -> Iterator[list[str]]:
    yield ["model", "released", "shut down", *IMAGE_OPERATIONS]
    for model in MODELS.values():
        end = model.shutdown.isoformat() if model.shutdown else ""
        takes = [
            "yes" if operation in model.accepts else "" for operation in IMAGE_OPERATIONS.values()
        ]
        yield [model.id, model.released.isoformat(), end, *takes]


def _brief(schema: Mapping[str, Any]) -> str:
    """A schema in a few words."""
    match schema:
        case {"enum": words}:
            return ", ".join(str(word) for word in words)
        case {"description": text}:
            return str(text).removesuffix(".")
        case {"not": _}:
            return "refused"
        case {"type": "integer", "minimum": least, "maximum": most}:
            return f"{least} to {most}"
        case {"type": "integer", "minimum": least}:
            return f"from {least}"
        case {"type": "array", "maxItems": most}:
            return f"up to {most}" if most > 1 else "one"
        case {"maxLength": most}:
            return f"up to {most:,} characters"
        case {"type": "boolean"}:
            return "true, false"
        case {"format": "binary"}:
            return "a PNG"
        case _:
            return "yes"


def _markdown(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for number, row in enumerate(rows):
        yield f"| {' | '.join(row)} |"
        if not number:
            yield f"|{'---|' * len(row)}"


def _alike(operation: Operation) -> list[list[Model]]:
    """The models of *operation* in groups that take the same; what becomes of a parameter that is
    left out may differ within a group."""
    groups: dict[str, list[Model]] = {}
    for model in MODELS.values():
        if operation in model.accepts:
            groups.setdefault(json.dumps(schema_of(model.accepts[operation])), []).append(model)
    return [*groups.values()]


def _parameters(operation: Operation) -> Iterator[list[str]]:
    groups = _alike(operation)
    yield ["parameter", *("<br>".join(model.id for model in group) for group in groups)]
    names = dict.fromkeys(name for group in groups for name in group[0].accepts[operation])
    for name in names:
        rules = [group[0].accepts[operation].get(name) for group in groups]
        yield [f"`{name}`", *(_brief(rule.schema()) if rule else "" for rule in rules)]


def as_markdown() -> str:
    """The models' lives, and what they take at each endpoint; an empty cell is refused as an
    unknown parameter."""
    parts = ["\n".join(_markdown(_lives()))]
    for operation in IMAGE_OPERATIONS.values():
        parts.append(f"`POST {operation.path}`")
        parts.append("\n".join(_markdown(_parameters(operation))))
    return "\n\n".join(parts) + "\n"


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _folded(text: str, first: str, rest: str) -> str:
    """*text* in lines that begin with *first*, then with *rest*; no name is broken."""
    return fill(text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)


def _listed(operation: Operation) -> Iterator[str]:
    """For models that take the same at *operation*: their names, and a line for each parameter."""
    for models in _alike(operation):
        rows = models[0].accepts[operation]
        indent = " " * (4 + max(map(len, rows)) + 2)
        names = ", ".join(model.id for model in models)
        lines = [_folded(names, "  ", "  ")]
        for name, rule in rows.items():
            lines.append(_folded(_brief(rule.schema()), f"    {name}".ljust(len(indent)), indent))
        yield "\n".join(lines)


def as_text() -> str:
    """The models' lives in columns, and what they take at each operation."""
    parts = ["\n".join(_columns(list(_lives())))]
    for operation in IMAGE_OPERATIONS.values():
        parts += [f"POST {operation.path}", *_listed(operation)]
    return "\n\n".join(parts) + "\n"
