"""Faults: what can go wrong on request. Each is a class with its settings, which are its JSON form,
and one method that wraps an ASGI application."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, get_args

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from images_emulator.contract.service_errors import ERRORS_BY_NAME
from images_emulator.faults.base import BaseFault
from images_emulator.faults.bodies import EmptyData, FewerImages, Malformed
from images_emulator.faults.connections import ConnectionReset, Truncated
from images_emulator.faults.downloads import Expired
from images_emulator.faults.errors import Error
from images_emulator.faults.messages import messages
from images_emulator.faults.streams import (
    FewerPartials,
    Stall,
    StreamCut,
    StreamError,
    UnknownEvent,
)
from images_emulator.faults.timing import Latency, SlowBody, Timeout

AnyFault = (
    Error
    | Latency
    | Timeout
    | SlowBody
    | ConnectionReset
    | Truncated
    | Malformed
    | EmptyData
    | FewerImages
    | StreamError
    | StreamCut
    | Stall
    | UnknownEvent
    | FewerPartials
    | Expired
)

FAULTS: Final[Mapping[str, type[BaseFault]]] = {
    fault.model_fields["kind"].default: fault for fault in get_args(AnyFault)
}
"""Every fault by its kind."""


def _with_kind(value: Any) -> Any:
    """A name, or a mapping whose kind is the name of an error, spelt out as a mapping."""
    settings = {"kind": value} if isinstance(value, str) else value
    if not isinstance(settings, Mapping):
        raise PydanticCustomError("no_fault", "a fault is a name or a mapping with a 'kind'")
    settings = dict(settings)
    kind = str(settings.get("kind"))
    if kind in ERRORS_BY_NAME and "name" not in settings:
        return {**settings, "kind": "error", "name": kind}
    if kind not in FAULTS:
        raise PydanticCustomError(
            "no_fault",
            "there is no fault '{kind}'; there are {faults}, and the errors {errors}",
            {"kind": kind, "faults": ", ".join(FAULTS), "errors": ", ".join(ERRORS_BY_NAME)},
        )
    return settings


Fault = Annotated[AnyFault, Field(discriminator="kind"), BeforeValidator(_with_kind)]
"""A fault as it stands in JSON or TOML: the name of a fault or of an error, or a mapping."""

_adapter: Final[TypeAdapter[AnyFault]] = TypeAdapter(Fault)


def parse_fault(value: str | Mapping[str, Any]) -> AnyFault:
    """The fault in a mapping of its settings, or in a text `NAME[;key=value…]`. Raises
    ValueError."""
    try:
        if isinstance(value, str):
            return _adapter.validate_strings(_settings(value.split(";")), strict=False)
        return _adapter.validate_python(value)
    except ValidationError as error:
        raise ValueError("; ".join(messages(error))) from None


def _settings(words: list[str]) -> dict[str, str]:
    """The settings in the *words* between semicolons."""
    name, *pairs = (word.strip() for word in words if word.strip() or word is words[0])
    settings = {"kind": name}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"expected key=value, not '{pair}'")
        settings[key.strip()] = value.strip()
    return settings
