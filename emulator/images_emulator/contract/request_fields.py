"""What each field of an `ImageRequest` decides, and how its value is written: in a key, in the
recipe of a file, and in JSON.

A field says so where it is declared, by `field(metadata=…)`: one of the marks `DRAWING`,
`ENCODING`, `ANIMATION` and `DELIVERY`, and a codec (`PIXELS`, `PICTURES` …) where its value is
not JSON as it stands. Everything else is derived from that, once, when the class is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Protocol

from images_emulator.contract.errors import Violation
from images_emulator.contract.operations import IMAGE_OPERATIONS, Operation
from images_emulator.contract.picture import Picture

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Metadata = dict[str, Any]
"""Metadata of a dataclass field."""

_DECIDES, _CODEC = "decides", "codec"


class Decides(Enum):
    """What a field of a request decides of the files that answer it."""

    DRAWING = "the pixels of the drawing: it seeds chance, and is in both keys and in the recipe"
    ENCODING = "the bytes of the file: it is in the cache key and in the recipe"
    ANIMATION = "the bytes of the file: it is in the cache key; the frames of the file tell it"
    DELIVERY = "no byte of a file: it is in no key"


DRAWING: Final[Metadata] = {_DECIDES: Decides.DRAWING}
ENCODING: Final[Metadata] = {_DECIDES: Decides.ENCODING}
ANIMATION: Final[Metadata] = {_DECIDES: Decides.ANIMATION}
DELIVERY: Final[Metadata] = {_DECIDES: Decides.DELIVERY}
"""The marks, as metadata of fields; see `Decides`."""


class _HasId(Protocol):
    """A row of the table of models."""

    @property
    def id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Sources:
    """What is not in JSON: the models by id, and the function that makes a picture of its
    description (the attributes of `Picture`, of which the digest names the file)."""

    models: Mapping[str, _HasId]
    picture: Callable[[Mapping[str, Any]], Picture]


class FieldCodec:
    """Writes and reads the values of a field. This one is for values that are JSON as they stand.

    *key* is the expression for the texts that stand for a value in a key, with `{}` for the value.
    """

    key: str = "str({})"

    def to_json(self, value: Any) -> Any:
        return value

    def from_json(self, value: Any, sources: Sources) -> Any:
        """The value that `to_json` wrote. Raises KeyError, TypeError or ValueError for others."""
        return value

    def to_recipe(self, value: Any) -> Any:
        """The value in the recipe of a file."""
        return self.to_json(value)


class _OperationNameCodec(FieldCodec):
    key = "{}.name"

    def to_json(self, value: Operation) -> str:
        return value.name

    def from_json(self, value: str, sources: Sources) -> Operation:
        return IMAGE_OPERATIONS[value]


class _ModelIdCodec(FieldCodec):
    key = "{}.id"

    def to_json(self, value: _HasId) -> str:
        return value.id

    def from_json(self, value: str, sources: Sources) -> _HasId:
        return sources.models[value]


class _PixelsCodec(FieldCodec):
    key = "'%dx%d' % {}"

    def to_json(self, value: tuple[int, int]) -> str:
        return "{}x{}".format(*value)

    def from_json(self, value: str, sources: Sources) -> tuple[int, int]:
        width, height = value.split("x")
        return int(width), int(height)


class _PictureCodec(FieldCodec):
    key = "{0}.digest if {0} else ''"

    def to_json(self, value: Picture | None) -> Mapping[str, Any] | None:
        if value is None:
            return None
        return {
            "digest": value.digest,
            "format": value.format,
            "mode": value.mode,
            "width": value.width,
            "height": value.height,
            "has_alpha": value.has_alpha,
        }

    def from_json(self, value: Mapping[str, Any], sources: Sources) -> Picture:
        return sources.picture(value)

    def to_recipe(self, value: Picture | None) -> str | None:
        return value.digest if value else None


class _PicturesCodec(FieldCodec):
    key = "*[each.digest for each in {}]"

    def to_json(self, value: Sequence[Picture]) -> Sequence[Any] | None:
        return [_PICTURE.to_json(each) for each in value] or None

    def from_json(self, value: Sequence[Any], sources: Sources) -> tuple[Picture, ...]:
        return tuple(_PICTURE.from_json(each, sources) for each in value)

    def to_recipe(self, value: Sequence[Picture]) -> Sequence[str] | None:
        return [each.digest for each in value] or None


class _ViolationsCodec(FieldCodec):
    def to_json(self, value: Sequence[Violation]) -> Sequence[Any] | None:
        return [[each.param, each.code] for each in value] or None

    def from_json(self, value: Sequence[Any], sources: Sources) -> tuple[Violation, ...]:
        return tuple(Violation(*each) for each in value)


class _DayCodec(FieldCodec):
    def to_json(self, value: date | None) -> str | None:
        return value.isoformat() if value else None

    def from_json(self, value: str, sources: Sources) -> date:
        return date.fromisoformat(value)


_PLAIN: Final = FieldCodec()
_PICTURE: Final = _PictureCodec()

OPERATION_NAME: Final[Metadata] = {_CODEC: _OperationNameCodec()}
MODEL_ID: Final[Metadata] = {_CODEC: _ModelIdCodec()}
PIXELS: Final[Metadata] = {_CODEC: _PixelsCodec()}
PICTURE: Final[Metadata] = {_CODEC: _PICTURE}
PICTURES: Final[Metadata] = {_CODEC: _PicturesCodec()}
VIOLATIONS: Final[Metadata] = {_CODEC: _ViolationsCodec()}
DAY: Final[Metadata] = {_CODEC: _DayCodec()}
"""The codecs, as metadata of fields, to be joined with a mark by `|`."""


def codecs_of(request_type: type[DataclassInstance], *marks: Decides) -> dict[str, FieldCodec]:
    """The fields of *request_type* that decide one of *marks*, or all, with their codecs, in the
    order of declaration. Raises TypeError where a field has no mark."""
    codecs = {}
    for each in fields(request_type):
        if _DECIDES not in each.metadata:
            raise TypeError(f"{request_type.__name__}.{each.name} does not say what it decides")
        if not marks or each.metadata[_DECIDES] in marks:
            codecs[each.name] = each.metadata.get(_CODEC, _PLAIN)
    return codecs


def key_function(
    request_type: type[DataclassInstance], *marks: Decides
) -> Callable[[Any], tuple[str, ...]]:
    """Returns the texts of a request's fields that decide one of *marks*."""
    codecs = codecs_of(request_type, *marks)
    texts = [codec.key.format(f"request.{name}") for name, codec in codecs.items()]
    # Written out: a call for each field takes twice as long, and each request needs its key.
    function: Callable[[Any], tuple[str, ...]] = eval(  # noqa: S307 - our own names
        f"lambda request: ({', '.join(texts)},)"
    )
    return function


def recipe_of(codecs: Mapping[str, FieldCodec], request: Any) -> dict[str, Any]:
    """The values of these fields by name, as a file's recipe has them, without those that are null
    or empty."""
    values = ((name, codec.to_recipe(getattr(request, name))) for name, codec in codecs.items())
    return {name: value for name, value in values if value is not None}


def json_of(codecs: Mapping[str, FieldCodec], request: Any) -> dict[str, Any]:
    """The values of these fields by name, in JSON, without those that are null or empty."""
    values = ((name, codec.to_json(getattr(request, name))) for name, codec in codecs.items())
    return {name: value for name, value in values if value is not None}


def values_of(
    codecs: Mapping[str, FieldCodec], values: Mapping[str, Any], sources: Sources
) -> dict[str, Any]:
    """What `json_of` wrote, read back. Raises KeyError, TypeError or ValueError for others."""
    return {name: codecs[name].from_json(value, sources) for name, value in values.items()}
