"""What can go wrong on request: each fault is its settings plus one verb, around an ASGI app."""

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
from images_emulator.faults.streams import (
    FewerPartials,
    Stall,
    StreamCut,
    StreamError,
    UnknownEvent,
)
from images_emulator.faults.times import Latency, SlowBody, Timeout
from images_emulator.faults.wording import explained

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


def _spelled_out(given: Any) -> Any:
    """A name, or a mapping whose kind is the name of an error, as the mapping that it means."""
    told = {"kind": given} if isinstance(given, str) else given
    if not isinstance(told, Mapping):
        raise PydanticCustomError("no_fault", "a fault is a name or a mapping with a 'kind'")
    told = dict(told)
    kind = str(told.get("kind"))
    if kind in ERRORS_BY_NAME and "name" not in told:
        return {**told, "kind": "error", "name": kind}
    if kind not in FAULTS:
        raise PydanticCustomError(
            "no_fault",
            "there is no fault '{kind}'; there are {faults}, and the errors {errors}",
            {"kind": kind, "faults": ", ".join(FAULTS), "errors": ", ".join(ERRORS_BY_NAME)},
        )
    return told


Fault = Annotated[AnyFault, Field(discriminator="kind"), BeforeValidator(_spelled_out)]

_reader: Final[TypeAdapter[AnyFault]] = TypeAdapter(Fault)


def read(given: str | Mapping[str, Any]) -> AnyFault:
    """The fault that *given* is: a mapping, or as text `NAME[;key=value…]`. Raises ValueError."""
    try:
        if isinstance(given, str):
            return _reader.validate_strings(_settings(given.split(";")), strict=False)
        return _reader.validate_python(given)
    except ValidationError as error:
        raise ValueError("; ".join(explained(error))) from None


def _settings(words: list[str]) -> dict[str, str]:
    name, *pairs = (word.strip() for word in words if word.strip() or word is words[0])
    settings = {"kind": name}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"expected key=value, not '{pair}'")
        settings[key.strip()] = value.strip()
    return settings
