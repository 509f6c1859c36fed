"""Metadata of the fields of an `ImageRequest`. It tells the part of a file that a field decides,
and the form of its value in keys, in the recipe of a file, and in JSON. A new parameter that
changes the picture is a field of `ImageRequest` (`request.py`) with a mark, and is used in
`scene_of` of `imaging/drawing.py`.

A field has `field(metadata=…)` with one of the marks `DRAWING`, `ENCODING`, `ANIMATION` and
`DELIVERY`. A codec (`PIXELS`, `IMAGES` …) is added for a value that is not JSON. Keys, recipes
and JSON are derived from the metadata, once, when the class is made.

A new field that decides a file is `ADDED_LATER`, too, and None by default:

    glow: str | None = field(default=None, metadata=DRAWING | ADDED_LATER)

Then the files of calls without the field stay as they are, byte for byte. This holds only where no
rule gives the field a value in such calls: for existing models, the rule has neither `default`
nor `auto`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import date
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Protocol

from images_emulator.contract.call_image import CallImage
from images_emulator.contract.operations import IMAGE_OPERATIONS, Operation
from images_emulator.contract.own_picture import OwnPicture
from images_emulator.contract.refusal import Violation
from images_emulator.immutable import Immutable

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Metadata = dict[str, Any]
"""Metadata of a dataclass field."""

_DECIDES_KEY, _CODEC_KEY, _LATER_KEY = "decides", "codec", "added later"


class FieldEffect(Enum):
    """The part of an image file that a field of the request decides."""

    DRAWING = "the pixels of the drawing: it seeds chance, and is in both keys and in the recipe"
    ENCODING = "the bytes of the file: it is in the cache key and in the recipe"
    ANIMATION = "the bytes of the file: it is in the cache key; the frames of the file tell it"
    DELIVERY = "no byte of a file: it is in no key"


DRAWING: Final[Metadata] = {_DECIDES_KEY: FieldEffect.DRAWING}
ENCODING: Final[Metadata] = {_DECIDES_KEY: FieldEffect.ENCODING}
ANIMATION: Final[Metadata] = {_DECIDES_KEY: FieldEffect.ANIMATION}
DELIVERY: Final[Metadata] = {_DECIDES_KEY: FieldEffect.DELIVERY}
"""The marks, as metadata of fields; see `FieldEffect`."""

ADDED_LATER: Final[Metadata] = {_LATER_KEY: True}
"""A mark in addition to one of the others. A key leaves the field out where its value is None, and
has its name and its value otherwise. A field without this mark has a fixed place in the keys,
whatever its value."""


class _HasId(Protocol):
    """A row of the table of models."""

    @property
    def id(self) -> str: ...


class ReferredValues(Immutable):
    """Values that the JSON of a request refers to.

    - *models*: the models by id.
    - *image*: makes an image from its description, the attributes of `CallImage`. The digest
      names the file.
    - *file*: gives a file of an own picture by its digest.
    """

    models: Mapping[str, _HasId]
    image: Callable[[Mapping[str, Any]], CallImage]
    file: Callable[[str], bytes]


class FieldCodec:
    """Writes and reads the values of a field. This codec is for values that are JSON as they stand.

    *key_expression* is Python code for the text of a value in a key, with `{}` for the value:
    `{}.id` becomes `request.model.id` for the field `model`. An expression that begins with a star
    makes any number of texts: `*[each.digest for each in {}]`.
    """

    key_expression: str = "str({})"

    def to_json(self, value: Any) -> Any:
        """The value in JSON; None leaves the field out."""
        return value

    def from_json(self, value: Any, referred: ReferredValues) -> Any:
        """The value of the JSON that `to_json` wrote. Raises AttributeError, KeyError, TypeError or
        ValueError for other JSON."""
        return value

    def to_recipe(self, value: Any) -> Any:
        """The value in the recipe of a file."""
        return self.to_json(value)


class _OperationNameCodec(FieldCodec):
    key_expression = "{}.name"

    def to_json(self, value: Operation) -> str:
        return value.name

    def from_json(self, value: str, referred: ReferredValues) -> Operation:
        return IMAGE_OPERATIONS[value]


class _ModelIdCodec(FieldCodec):
    key_expression = "{}.id"

    def to_json(self, value: _HasId) -> str:
        return value.id

    def from_json(self, value: str, referred: ReferredValues) -> _HasId:
        return referred.models[value]


class _PixelsCodec(FieldCodec):
    key_expression = "'%dx%d' % {}"

    def to_json(self, value: tuple[int, int]) -> str:
        return "{}x{}".format(*value)

    def from_json(self, value: str, referred: ReferredValues) -> tuple[int, int]:
        width, height = value.split("x")
        return int(width), int(height)


class _ImageCodec(FieldCodec):
    key_expression = "{0}.digest if {0} else ''"

    def to_json(self, value: CallImage | None) -> Mapping[str, Any] | None:
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

    def from_json(self, value: Mapping[str, Any], referred: ReferredValues) -> CallImage:
        return referred.image(value)

    def to_recipe(self, value: CallImage | None) -> str | None:
        return value.digest if value else None


class _ImagesCodec(FieldCodec):
    key_expression = "*[each.digest for each in {}]"

    def to_json(self, value: Sequence[CallImage]) -> Sequence[Any] | None:
        return [_IMAGE.to_json(each) for each in value] or None

    def from_json(self, value: Sequence[Any], referred: ReferredValues) -> tuple[CallImage, ...]:
        return tuple(_IMAGE.from_json(each, referred) for each in value)

    def to_recipe(self, value: Sequence[CallImage]) -> Sequence[str] | None:
        return [each.digest for each in value] or None


class _OwnPicturesCodec(FieldCodec):
    key_expression = "*[each.key for each in {}]"

    def to_json(self, value: Sequence[OwnPicture] | None) -> Sequence[Any] | None:
        if value is None:
            return None
        return [
            {
                "digest": picture.digest,
                "fit": picture.fit,
                "verbatim": picture.verbatim,
                "partials": list(picture.partial_digests),
                "name": picture.name,
            }
            for picture in value
        ]

    def from_json(self, value: Sequence[Any], referred: ReferredValues) -> tuple[OwnPicture, ...]:
        return tuple(
            OwnPicture(
                data=referred.file(document["digest"]),
                fit=document["fit"],
                verbatim=document["verbatim"],
                partials=tuple(map(referred.file, document["partials"])),
                name=document["name"],
            )
            for document in value
        )

    def to_recipe(self, value: Sequence[OwnPicture] | None) -> Sequence[str] | None:
        return None if value is None else [each.digest for each in value]


class _ViolationsCodec(FieldCodec):
    def to_json(self, value: Sequence[Violation]) -> Sequence[Any] | None:
        return [[each.param, each.code] for each in value] or None

    def from_json(self, value: Sequence[Any], referred: ReferredValues) -> tuple[Violation, ...]:
        return tuple(Violation(*each) for each in value)


class _DayCodec(FieldCodec):
    def to_json(self, value: date | None) -> str | None:
        return value.isoformat() if value else None

    def from_json(self, value: str, referred: ReferredValues) -> date:
        return date.fromisoformat(value)


_PLAIN: Final = FieldCodec()
_IMAGE: Final = _ImageCodec()

OPERATION_NAME: Final[Metadata] = {_CODEC_KEY: _OperationNameCodec()}
MODEL_ID: Final[Metadata] = {_CODEC_KEY: _ModelIdCodec()}
PIXELS: Final[Metadata] = {_CODEC_KEY: _PixelsCodec()}
IMAGE: Final[Metadata] = {_CODEC_KEY: _IMAGE}
IMAGES: Final[Metadata] = {_CODEC_KEY: _ImagesCodec()}
OWN_PICTURES: Final[Metadata] = {_CODEC_KEY: _OwnPicturesCodec()}
VIOLATIONS: Final[Metadata] = {_CODEC_KEY: _ViolationsCodec()}
DAY: Final[Metadata] = {_CODEC_KEY: _DayCodec()}
"""The codecs, as metadata of fields, to be joined with a mark by `|`."""


def codecs_of(request_type: type[DataclassInstance], *marks: FieldEffect) -> dict[str, FieldCodec]:
    """The codecs of the fields of *request_type*, by name, in the order of declaration: of the
    fields with one of *marks*, or of all fields. Raises TypeError where a field has no mark."""
    codecs = {}
    for field in fields(request_type):
        if _DECIDES_KEY not in field.metadata:
            raise TypeError(f"{request_type.__name__}.{field.name} does not say what it decides")
        if not marks or field.metadata[_DECIDES_KEY] in marks:
            codecs[field.name] = field.metadata.get(_CODEC_KEY, _PLAIN)
    return codecs


def key_function(
    request_type: type[DataclassInstance], *marks: FieldEffect
) -> Callable[[Any], tuple[str, ...]]:
    """A function that returns the key texts of a request's fields with one of *marks*. Raises
    TypeError where a field that was added later has another default than None."""
    codecs = codecs_of(request_type, *marks)
    texts = []
    for field in fields(request_type):
        if field.name not in codecs:
            continue
        value = f"request.{field.name}"
        text = codecs[field.name].key_expression.format(value)
        if _LATER_KEY in field.metadata:
            if field.default is not None:
                raise TypeError(f"{request_type.__name__}.{field.name} is not None by default")
            text = f"*(() if {value} is None else ({field.name!r}, {text}))"
        texts.append(text)
    # One expression: a call for each field takes twice as long, and each request needs its key.
    function: Callable[[Any], tuple[str, ...]] = eval(  # noqa: S307 - our own names
        f"lambda request: ({', '.join(texts)},)"
    )
    return function


def recipe_of(codecs: Mapping[str, FieldCodec], request: Any) -> dict[str, Any]:
    """The values of these fields in a file's recipe, by name, without null values."""
    values = ((name, codec.to_recipe(getattr(request, name))) for name, codec in codecs.items())
    return {name: value for name, value in values if value is not None}


def json_of(codecs: Mapping[str, FieldCodec], request: Any) -> dict[str, Any]:
    """The values of these fields in JSON, by name, without null values."""
    values = ((name, codec.to_json(getattr(request, name))) for name, codec in codecs.items())
    return {name: value for name, value in values if value is not None}


def values_of(
    codecs: Mapping[str, FieldCodec], values: Mapping[str, Any], referred: ReferredValues
) -> dict[str, Any]:
    """The values of fields from *values*, the JSON of `json_of`. Raises AttributeError, KeyError,
    TypeError or ValueError for other JSON."""
    return {name: codecs[name].from_json(value, referred) for name, value in values.items()}
