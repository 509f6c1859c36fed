"""Reference: the table of models as plain text, Markdown and JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from images_emulator.contract.conflicts import Conflict, conflicts_within
from images_emulator.contract.model import Model
from images_emulator.contract.models import MODEL_PARAMETER_RULE, MODELS
from images_emulator.contract.operations import FORM, IMAGE_OPERATIONS, Operation
from images_emulator.contract.refusal import APIError
from images_emulator.contract.request import ParsedCall
from images_emulator.contract.rules import Rules
from images_emulator.contract.tables_of_day import tables_on
from images_emulator.terminal_text import wrapped


def schema_of(rules: Rules, conflicts: Iterable[Conflict]) -> dict[str, Any]:
    """JSON Schema of the calls that *rules* accept, without the combinations of *conflicts*."""
    excluded = [conflict.schema(rules) for conflict in conflicts]
    return {
        "type": "object",
        "properties": {"model": MODEL_PARAMETER_RULE.schema()}
        | {name: rule.schema() for name, rule in rules.items()},
        "required": [name for name, rule in rules.items() if rule.required],
        "additionalProperties": False,
    } | ({"allOf": excluded} if excluded else {})


def _schemas(model: Model, operation: Operation) -> dict[str, Any]:
    """The JSON Schemas of *model* at *operation*, by media type of the body."""
    schemas = {}
    for media_type in operation.bodies:
        # Not every model reads references in JSON.
        with suppress(APIError):
            call = ParsedCall(operation, media_type == FORM, {})
            tables = tables_on(None)
            conflicts = tables.conflicts(model, call)
            schemas[media_type] = schema_of(tables.rules(model, call), conflicts)
    return schemas


def models_json() -> dict[str, Any]:
    """The dates of each model, and its JSON Schemas by path and media type."""
    return {
        model.id: {
            "released": model.released.isoformat(),
            "shutdown": model.shutdown.isoformat() if model.shutdown else None,
            "replacement": model.replacement,
            "endpoints": {operation.path: _schemas(model, operation) for operation in model.rules},
        }
        for model in MODELS.values()
    }


def _date_rows() -> Iterator[list[str]]:
    """Rows of a table: the dates of each model, and the operations that it supports."""
    yield ["model", "released", "shut down", *IMAGE_OPERATIONS]
    for model in MODELS.values():
        end = model.shutdown.isoformat() if model.shutdown else ""
        cells = [
            "yes" if operation in model.rules else "" for operation in IMAGE_OPERATIONS.values()
        ]
        yield [model.id, model.released.isoformat(), end, *cells]


def _summary(schema: Mapping[str, Any]) -> str:
    """The accepted values of one parameter in a few words."""
    match schema:
        case {"enum": words}:
            return ", ".join(str(word) for word in words)
        case {"description": text}:
            return str(text).removesuffix(".")
        case {"not": _}:
            return "refused"
        case {"type": "integer", "minimum": minimum, "maximum": maximum}:
            return f"{minimum} to {maximum}"
        case {"type": "integer", "minimum": minimum}:
            return f"from {minimum}"
        case {"type": "array", "maxItems": max_items}:
            return f"up to {max_items}" if max_items > 1 else "one"
        case {"maxLength": max_length}:
            return f"up to {max_length:,} characters"
        case {"type": "boolean"}:
            return "true, false"
        case {"format": "binary"}:
            return "a PNG"
        case _:  # any text or object
            return "yes"


def _markdown_table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for number, row in enumerate(rows):
        yield f"| {' | '.join(row)} |"
        if not number:
            yield f"|{'---|' * len(row)}"


def _model_groups(operation: Operation) -> list[list[Model]]:
    """The models of *operation* in groups that accept the same calls. Defaults may differ within a
    group."""
    groups: dict[str, list[Model]] = {}
    for model in MODELS.values():
        if operation in model.rules:
            schema = schema_of(model.rules[operation], _conflicts(model, operation))
            groups.setdefault(json.dumps(schema), []).append(model)
    return [*groups.values()]


def _conflicts(model: Model, operation: Operation) -> list[Conflict]:
    return conflicts_within(model.rules[operation], model.conflicts, None)


def _parameter_rows(operation: Operation) -> Iterator[list[str]]:
    """Rows of a table: for each parameter, the values that the groups of models accept."""
    groups = _model_groups(operation)
    yield ["parameter", *("<br>".join(model.id for model in group) for group in groups)]
    names = dict.fromkeys(name for group in groups for name in group[0].rules[operation])
    for name in names:
        rules = [group[0].rules[operation].get(name) for group in groups]
        yield [f"`{name}`", *(_summary(rule.schema()) if rule else "" for rule in rules)]


def _conflict_rows(operation: Operation) -> Iterator[list[str]]:
    """Rows of a table: for each conflict, the groups of models with it; none without conflicts."""
    refused = {
        "<br>".join(model.id for model in group): [*map(str, _conflicts(group[0], operation))]
        for group in _model_groups(operation)
    }
    refused = {names: conflicts for names, conflicts in refused.items() if conflicts}
    if refused:
        yield ["refused together", *refused]
    for conflict in dict.fromkeys(each for conflicts in refused.values() for each in conflicts):
        cells = ("refused" if conflict in conflicts else "" for conflicts in refused.values())
        yield [conflict, *cells]


def _defaults(model: Model, operation: Operation) -> dict[str, str]:
    """The values that *model* uses at *operation* for omitted parameters, by name, as text. The
    size of an edit is the size without an input image."""
    resolved = {name: rule.resolve(None, None, {}) for name, rule in model.rules[operation].items()}
    return {name: _as_text(value) for name, value in resolved.items() if value is not None}


def _as_text(value: Any) -> str:
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _default_groups(operation: Operation) -> Iterator[tuple[list[Model], dict[str, str]]]:
    """Groups of the models of *operation*, each with its common values for omitted parameters."""
    groups: dict[str, list[Model]] = {}
    for model in MODELS.values():
        if operation in model.rules:
            groups.setdefault(json.dumps(_defaults(model, operation)), []).append(model)
    yield from ((models, json.loads(defaults)) for defaults, models in groups.items())


def _default_rows(operation: Operation) -> Iterator[list[str]]:
    """Rows of a table: for each parameter, the values that the groups of models use without it."""
    groups = [*_default_groups(operation)]
    yield ["left out", *("<br>".join(model.id for model in models) for models, _ in groups)]
    for name in dict.fromkeys(name for _, defaults in groups for name in defaults):
        yield [f"`{name}`", *(defaults.get(name, "") for _, defaults in groups)]


def _default_list(operation: Operation) -> Iterator[str]:
    """For each group of `_default_groups`: the names of the models, and the values."""
    for models, defaults in _default_groups(operation):
        names = ", ".join(model.id for model in models)
        values = ", ".join(f"{name} {value}" for name, value in defaults.items())
        yield wrapped(f"left out, of {names}: {values}", "  ", "    ")


def models_markdown() -> str:
    """Tables of the models, in Markdown:

    - their dates
    - the values that they accept at each operation; an empty cell is an unknown parameter
    - the values that they use for omitted parameters
    - the combinations that they refuse
    """
    parts = ["\n".join(_markdown_table(_date_rows()))]
    for operation in IMAGE_OPERATIONS.values():
        parts.append(f"`POST {operation.path}`")
        parts.append("\n".join(_markdown_table(_parameter_rows(operation))))
        parts.append("\n".join(_markdown_table(_default_rows(operation))))
        if combinations := [*_conflict_rows(operation)]:
            parts.append("\n".join(_markdown_table(combinations)))
    return "\n\n".join(parts) + "\n"


def _text_table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _parameter_list(operation: Operation) -> Iterator[str]:
    """For each group of models that accept the same calls at *operation*: their names, and a line
    for each parameter and each conflict."""
    for models in _model_groups(operation):
        rules = models[0].rules[operation]
        indent = " " * (4 + max(map(len, rules)) + 2)
        names = ", ".join(model.id for model in models)
        lines = [wrapped(names, "  ", "  ")]
        for name, rule in rules.items():
            lines.append(wrapped(_summary(rule.schema()), f"    {name}".ljust(len(indent)), indent))
        if conflicts := _conflicts(models[0], operation):
            lines.append("    refused together:")
        lines += [
            wrapped(str(conflict).replace("`", ""), "      ", "        ") for conflict in conflicts
        ]
        yield "\n".join(lines)


def models_text() -> str:
    """The models' dates, accepted values, refused combinations, and values for omitted parameters,
    in columns for a terminal."""
    parts = ["\n".join(_text_table(list(_date_rows())))]
    for operation in IMAGE_OPERATIONS.values():
        parts += [
            f"POST {operation.path}",
            *_parameter_list(operation),
            "\n".join(_default_list(operation)),
        ]
    return "\n\n".join(parts) + "\n"
