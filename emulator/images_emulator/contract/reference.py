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
from images_emulator.contract.request import BODIES, FORM, Call, Endpoint, Model
from images_emulator.contract.rules import Rule

WIDTH: Final = 100
"""Columns of a terminal."""


def schema_of(rows: Mapping[str, Rule]) -> dict[str, Any]:
    """What one model accepts at one endpoint, as JSON Schema."""
    return {
        "type": "object",
        "properties": {"model": MODEL.schema()}
        | {name: rule.schema() for name, rule in rows.items()},
        "required": [name for name, rule in rows.items() if rule.required],
        "additionalProperties": False,
    }


def _schemas(model: Model, endpoint: Endpoint) -> dict[str, Any]:
    """One for each kind of body that *model* takes at *endpoint*, by media type."""
    schemas = {}
    for media_type in BODIES[endpoint]:
        # Not every model takes references in JSON.
        with suppress(APIError):
            rows = availability_on(None).rows(model, Call(endpoint, media_type == FORM, {}))
            schemas[media_type] = schema_of(rows)
    return schemas


def as_json() -> dict[str, Any]:
    """Each model's dates, and its JSON Schema for each endpoint and media type."""
    return {
        model.id: {
            "released": model.released.isoformat(),
            "shutdown": model.shutdown.isoformat() if model.shutdown else None,
            "replacement": model.replacement,
            "endpoints": {endpoint.path: _schemas(model, endpoint) for endpoint in model.accepts},
        }
        for model in MODELS.values()
    }


def _lives() -> Iterator[list[str]]:
    yield ["model", "released", "shut down", *Endpoint]
    for model in MODELS.values():
        end = model.shutdown.isoformat() if model.shutdown else ""
        takes = ["yes" if endpoint in model.accepts else "" for endpoint in Endpoint]
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


def _alike(endpoint: Endpoint) -> list[list[Model]]:
    """The models of *endpoint*, those together that take the same; what they make of it where it is
    left out may differ."""
    groups: dict[str, list[Model]] = {}
    for model in MODELS.values():
        if endpoint in model.accepts:
            groups.setdefault(json.dumps(schema_of(model.accepts[endpoint])), []).append(model)
    return [*groups.values()]


def _parameters(endpoint: Endpoint) -> Iterator[list[str]]:
    groups = _alike(endpoint)
    yield ["parameter", *("<br>".join(model.id for model in group) for group in groups)]
    names = dict.fromkeys(name for group in groups for name in group[0].accepts[endpoint])
    for name in names:
        rules = [group[0].accepts[endpoint].get(name) for group in groups]
        yield [f"`{name}`", *(_brief(rule.schema()) if rule else "" for rule in rules)]


def as_markdown() -> str:
    """The models' lives, and what they take at each endpoint; an empty cell is refused as an
    unknown parameter."""
    parts = ["\n".join(_markdown(_lives()))]
    for endpoint in Endpoint:
        parts.append(f"`POST {endpoint.path}`")
        parts.append("\n".join(_markdown(_parameters(endpoint))))
    return "\n\n".join(parts) + "\n"


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _folded(text: str, first: str, rest: str) -> str:
    """*text* in lines that begin with *first*, then with *rest*; no name is broken."""
    return fill(text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)


def _listed(endpoint: Endpoint) -> Iterator[str]:
    """For models that take the same at *endpoint*: their names, and a line for each parameter."""
    for models in _alike(endpoint):
        rows = models[0].accepts[endpoint]
        indent = " " * (4 + max(map(len, rows)) + 2)
        names = ", ".join(model.id for model in models)
        lines = [_folded(names, "  ", "  ")]
        for name, rule in rows.items():
            lines.append(_folded(_brief(rule.schema()), f"    {name}".ljust(len(indent)), indent))
        yield "\n".join(lines)


def as_text() -> str:
    """The models' lives in columns, and what they take at each endpoint."""
    parts = ["\n".join(_columns(list(_lives())))]
    for endpoint in Endpoint:
        parts += [f"POST {endpoint.path}", *_listed(endpoint)]
    return "\n\n".join(parts) + "\n"
