"""The faults and the errors by name, written out as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from images_emulator.contract.service_errors import AZURE_ERRORS_BY_NAME, ERRORS_BY_NAME
from images_emulator.faults import FAULTS
from images_emulator.faults.base import BaseFault


def _settings(fault: type[BaseFault]) -> Iterator[str]:
    for name, field in fault.model_fields.items():
        if name != "kind":
            default = field.default
            yield f"`{name}`" if default is None else f"`{name}={_text(default)}`"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def as_markdown() -> str:
    """A table of the faults with their settings and defaults, and one of the named errors."""
    faults = (
        [f"`{kind}`", "<br>".join(_settings(fault)), " ".join((fault.__doc__ or "").split())]
        for kind, fault in FAULTS.items()
    )
    errors = (
        [
            f"`{name}`" + (" (Azure's alone)" if name in AZURE_ERRORS_BY_NAME else ""),
            str(refusal.status),
            f"`{refusal.type}`" if "type" in refusal.envelope.keys else "none",
        ]
        for name, refusal in ERRORS_BY_NAME.items()
    )
    return (
        _table(["fault", "settings", "what it does"], faults)
        + "\n"
        + _table(["error", "status", "type"], errors)
    )
