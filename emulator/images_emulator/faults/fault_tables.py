"""The faults and the errors by name, written out as plain text, Markdown and JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from images_emulator.contract.operational_errors import AZURE_ERRORS_BY_NAME, ERRORS_BY_NAME
from images_emulator.faults import FAULTS
from images_emulator.faults.base import BaseFault
from images_emulator.terminal_text import wrapped


@dataclass(frozen=True, slots=True)
class FaultField:
    """One setting of a fault.

    - *type*: a type of JSON.
    - *minimum*, *maximum*: the bounds of a number; None where it has none.
    - *choices*: the texts that the setting may be; None where it may be any.

    A *default* of None means that the setting has no value where it is left out.
    """

    name: str
    type: str
    default: Any
    minimum: int | float | None
    maximum: int | float | None
    choices: list[str] | None
    summary: str


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One fault with its settings. *for_downloads*: only downloads of hosted pictures meet it.
    *for_streams*: only calls that ask for a stream meet it, and calls that name it themselves."""

    kind: str
    summary: str
    for_downloads: bool
    for_streams: bool
    fields: list[FaultField]


@dataclass(frozen=True, slots=True)
class NamedError:
    """One error by its name, which is a fault, too. *type* is None where the error has none.
    *summary* is the API's message, with the values of a call as `{names}`. *for_azure*: only Azure
    sends it."""

    name: str
    status: int
    type: str | None
    summary: str
    for_azure: bool


@dataclass(frozen=True, slots=True)
class FaultList:
    """All faults, and all errors by name."""

    faults: list[FaultKind]
    errors: list[NamedError]


def _field(name: str, schema: Mapping[str, Any]) -> FaultField:
    """The setting that the JSON *schema* of its class describes."""
    # An optional setting is "anyOf" its own type and null.
    own = {**schema, **schema.get("anyOf", [{}])[0]}
    return FaultField(
        name,
        own["type"],
        own["default"],
        own.get("minimum"),
        own.get("maximum"),
        own.get("enum"),
        own["description"],
    )


def _fields(fault: type[BaseFault]) -> list[FaultField]:
    properties = fault.model_json_schema()["properties"]
    return [_field(name, schema) for name, schema in properties.items() if name != "kind"]


def _summary(fault: type[BaseFault]) -> str:
    """The docstring, with the names of settings as code."""
    return re.sub(r"\*(\w+)\*", r"`\1`", " ".join((fault.__doc__ or "").split()))


def fault_list() -> FaultList:
    """The faults with their settings, and the errors by name."""
    return FaultList(
        [
            FaultKind(kind, _summary(fault), fault.for_downloads, fault.for_streams, _fields(fault))
            for kind, fault in FAULTS.items()
        ],
        [
            NamedError(
                name,
                refusal.status,
                refusal.type if "type" in refusal.envelope.keys else None,
                refusal.message,
                name in AZURE_ERRORS_BY_NAME,
            )
            for name, refusal in ERRORS_BY_NAME.items()
        ],
    )


def _setting(field: FaultField) -> str:
    if field.default is None:
        return f"`{field.name}`"
    return f"`{field.name}={_default_text(field.default)}`"


def _default_text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def faults_markdown() -> str:
    """A table of the faults with their settings and defaults, and one of the named errors."""
    listed = fault_list()
    faults = (
        [f"`{fault.kind}`", "<br>".join(map(_setting, fault.fields)), fault.summary]
        for fault in listed.faults
    )
    errors = (
        [
            f"`{error.name}`" + (" (Azure's alone)" if error.for_azure else ""),
            str(error.status),
            f"`{error.type}`" if error.type else "none",
        ]
        for error in listed.errors
    )
    return (
        _table(["fault", "settings", "what it does"], faults)
        + "\n"
        + _table(["error", "status", "type"], errors)
    )


def faults_text() -> str:
    """The faults with their settings, and the errors by name, for a terminal."""
    listed = fault_list()
    parts = [
        "\n".join(
            [
                _wrap(fault.summary, f"{fault.kind:20}"),
                *(_wrap(_setting_sentence(field), f"  {field.name:18}") for field in fault.fields),
            ]
        )
        for fault in listed.faults
    ]
    width = max(len(each.name) for each in listed.errors)
    errors = [
        f"{each.name:{width}}  {each.status}  {each.type or ''}".rstrip() for each in listed.errors
    ]
    return "\n\n".join([*parts, "\n".join(["errors by name:", *errors])]) + "\n"


def _setting_sentence(field: FaultField) -> str:
    """The purpose of a setting, its values and its default."""
    choices = f" One of {', '.join(field.choices)}." if field.choices else ""
    default = "" if field.default is None else f" Default: {_default_text(field.default)}."
    return f"{field.summary}{choices}{default}"


def _wrap(text: str, head: str) -> str:
    """*text* behind *head*, in lines of a terminal without the marks of Markdown."""
    return wrapped(text.replace("`", ""), head, " " * len(head))
