"""The table, written out for people and tools: plain text, Markdown, JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from textwrap import fill
from typing import Any, Final

from images_emulator.contract.availability import availability_on
from images_emulator.contract.conflicts import Conflict, conflicts_within
from images_emulator.contract.errors import APIError
from images_emulator.contract.models import MODEL_RULE, MODELS
from images_emulator.contract.operations import FORM, IMAGE_OPERATIONS, Operation
from images_emulator.contract.request import Call, Model
from images_emulator.contract.rules import Rules

WIDTH: Final = 100
"""Columns of a terminal."""


def schema_of(rules: Rules, conflicts: Iterable[Conflict]) -> dict[str, Any]:
    """The calls that *rules* and *conflicts* accept, as JSON Schema."""
    excluded = [conflict.schema(rules) for conflict in conflicts]
    return {
        "type": "object",
        "properties": {"model": MODEL_RULE.schema()}
        | {name: rule.schema() for name, rule in rules.items()},
        "required": [name for name, rule in rules.items() if rule.required],
        "additionalProperties": False,
    } | ({"allOf": excluded} if excluded else {})


def _schemas(model: Model, operation: Operation) -> dict[str, Any]:
    """One for each kind of body that *model* takes at *operation*, by media type."""
    schemas = {}
    for media_type in operation.bodies:
        # Not every model takes references in JSON.
        with suppress(APIError):
            call = Call(operation, media_type == FORM, {})
            available = availability_on(None)
            conflicts = available.conflicts(model, call)
            schemas[media_type] = schema_of(available.rules(model, call), conflicts)
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
            schema = schema_of(model.accepts[operation], _conflicts(model, operation))
            groups.setdefault(json.dumps(schema), []).append(model)
    return [*groups.values()]


def _conflicts(model: Model, operation: Operation) -> list[Conflict]:
    return conflicts_within(model.accepts[operation], model.conflicts, None)


def _parameters(operation: Operation) -> Iterator[list[str]]:
    groups = _alike(operation)
    yield ["parameter", *("<br>".join(model.id for model in group) for group in groups)]
    names = dict.fromkeys(name for group in groups for name in group[0].accepts[operation])
    for name in names:
        rules = [group[0].accepts[operation].get(name) for group in groups]
        yield [f"`{name}`", *(_brief(rule.schema()) if rule else "" for rule in rules)]


def _combinations(operation: Operation) -> Iterator[list[str]]:
    """A row for each conflict, with a cell for each group of models that has any."""
    refused = {
        "<br>".join(model.id for model in group): [*map(str, _conflicts(group[0], operation))]
        for group in _alike(operation)
    }
    refused = {names: conflicts for names, conflicts in refused.items() if conflicts}
    if refused:
        yield ["refused together", *refused]
    for conflict in dict.fromkeys(each for conflicts in refused.values() for each in conflicts):
        cells = ("refused" if conflict in conflicts else "" for conflicts in refused.values())
        yield [conflict, *cells]


def as_markdown() -> str:
    """The dates of the models, what they accept at each operation, where an empty cell is an
    unknown parameter, and the combinations that they refuse."""
    parts = ["\n".join(_markdown(_lives()))]
    for operation in IMAGE_OPERATIONS.values():
        parts.append(f"`POST {operation.path}`")
        parts.append("\n".join(_markdown(_parameters(operation))))
        if combinations := [*_combinations(operation)]:
            parts.append("\n".join(_markdown(combinations)))
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
    """For models that take the same at *operation*: their names, and a line for each parameter and
    each conflict."""
    for models in _alike(operation):
        rules = models[0].accepts[operation]
        indent = " " * (4 + max(map(len, rules)) + 2)
        names = ", ".join(model.id for model in models)
        lines = [_folded(names, "  ", "  ")]
        for name, rule in rules.items():
            lines.append(_folded(_brief(rule.schema()), f"    {name}".ljust(len(indent)), indent))
        if conflicts := _conflicts(models[0], operation):
            lines.append("    refused together:")
        lines += [
            _folded(str(conflict).replace("`", ""), "      ", "        ") for conflict in conflicts
        ]
        yield "\n".join(lines)


def as_text() -> str:
    """The models' lives in columns, and what they take at each operation."""
    parts = ["\n".join(_columns(list(_lives())))]
    for operation in IMAGE_OPERATIONS.values():
        parts += [f"POST {operation.path}", *_listed(operation)]
    return "\n\n".join(parts) + "\n"
