"""Faults: failures on request (fault injection, chaos). Each fault is a class. Its settings are its
JSON form, and one method wraps an ASGI application. A new fault is a class in one of `_MODULES`.
`ANSWERS` and `STREAMS` of `tests/fault_outcomes.py` tell what clients make of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError, PydanticUndefined

from images_emulator.contract.operational_errors import ERRORS_BY_NAME
from images_emulator.faults import bodies, connections, downloads, error_fault, streams, timing
from images_emulator.faults.base import BaseFault
from images_emulator.faults.mistake_sentences import sentences_of
from images_emulator.spelling import suggestion

_MODULES: Final = (error_fault, timing, connections, bodies, streams, downloads)
"""The modules that define faults, in the order of the tables. A new module goes here."""


def _faults() -> Iterator[tuple[str, type[BaseFault]]]:
    """The classes of faults by their kinds. A base class has no kind of its own."""
    for module in _MODULES:
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, BaseFault):
                kind = value.model_fields["kind"].get_default()
                if kind is not PydanticUndefined and value.__module__ == module.__name__:
                    yield kind, value


FAULTS: Final[Mapping[str, type[BaseFault]]] = dict(_faults())
"""Every fault by its kind."""


def _with_kind(value: Any) -> Any:
    """The mapping of a fault, from its name, or from a mapping with the name of an error as
    `kind`."""
    settings = {"kind": value} if isinstance(value, str) else value
    if not isinstance(settings, Mapping):
        raise PydanticCustomError("no_fault", "a fault is a name or a mapping with a 'kind'")
    settings = dict(settings)
    if "kind" not in settings:
        raise PydanticCustomError(
            "no_fault",
            "a fault has its name as 'kind', such as {example}; this one has {listed}",
            {"example": '{"kind": "latency"}', "listed": _quote_keys(settings)},
        )
    kind = str(settings["kind"])
    if kind in ERRORS_BY_NAME and "name" not in settings:
        return {**settings, "kind": "error", "name": kind}
    if kind not in FAULTS:
        raise PydanticCustomError(
            "no_fault",
            "there is no fault '{kind}'{hint}; `images-emulator faults` lists them",
            {"kind": kind, "hint": suggestion(kind, [*FAULTS, *ERRORS_BY_NAME], quote="'")},
        )
    return settings


def _quote_keys(settings: Mapping[Any, Any]) -> str:
    """The keys of *settings*, between quotes."""
    return ", ".join(f"'{key}'" for key in settings) or "nothing"


def fault_settings(fault: Any) -> Collection[str]:
    """The names of the settings of a *fault* in JSON or TOML; none where *fault* is no fault."""
    kind = fault.get("kind") if isinstance(fault, Mapping) else fault
    if not isinstance(kind, str):
        return ()
    is_error = kind in ERRORS_BY_NAME
    model = FAULTS.get("error" if is_error else kind)
    names = {"kind", "name"} if is_error else {"kind"}
    return model.model_fields.keys() - names if model else ()


if TYPE_CHECKING:
    Fault = BaseFault
else:
    Fault = Annotated[
        reduce(or_, FAULTS.values()), Field(discriminator="kind"), BeforeValidator(_with_kind)
    ]
"""A fault in JSON or TOML: the name of a fault or of an error, or a mapping."""

_adapter: Final[TypeAdapter[BaseFault]] = TypeAdapter(Fault)


def parse_fault(value: str | Mapping[str, Any]) -> BaseFault:
    """The fault in a mapping of its settings, or in a text `NAME[;key=value…]`. Raises
    ValueError."""
    try:
        if isinstance(value, str):
            return _adapter.validate_strings(_settings(value.split(";")), strict=False)
        return _adapter.validate_python(value)
    except ValidationError as error:
        raise ValueError("; ".join(sentences_of(error))) from None


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
