"""A call before and after validation: the `ParsedCall`, and the `ImageRequest`.

A new parameter that changes the answer is a field of `ImageRequest`. The rule that checks it is in
`model_rules.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from hashlib import blake2b
from typing import Any, Final

from images_emulator.contract.calendar import AsOf, Day
from images_emulator.contract.call_image import CallImage
from images_emulator.contract.field_codecs import (
    ADDED_LATER,
    ANIMATION,
    DAY,
    DELIVERY,
    DRAWING,
    ENCODING,
    IMAGE,
    IMAGES,
    MODEL_ID,
    OPERATION_NAME,
    OWN_PICTURES,
    PIXELS,
    VIOLATIONS,
    FieldEffect,
    ReferredValues,
    codecs_of,
    json_of,
    key_function,
    recipe_of,
    values_of,
)
from images_emulator.contract.model import Model
from images_emulator.contract.operations import Operation
from images_emulator.contract.own_picture import OwnPicture
from images_emulator.contract.refusal import Violation
from images_emulator.contract.rules import Pixels
from images_emulator.immutable import Immutable


class Upload(Immutable):
    """A file of a form, as it was sent.

    *filename* is empty and *content_type* None where the part has none. *size* counts all bytes
    that arrived. *data* may be cut where the file is larger than every rule allows.
    """

    filename: str
    content_type: str | None
    data: bytes = field(repr=False)
    size: int


@dataclass(frozen=True, slots=True)
class ParsedCall:
    """One call whose body is parsed, and not yet validated.

    *is_form* is true for a form, false for JSON. *fields* are in the order of the body. The fields
    of JSON are JSON values. The fields of a form are texts, uploads, lists (`image[]`) and mappings
    (`svg[model]`). *part_names* are the names of a form as they were sent, with their brackets,
    each once; where they are left out, no name has brackets.
    """

    operation: Operation
    is_form: bool
    fields: Mapping[str, Any]
    part_names: Sequence[str] = ()

    def sent_names(self, *, with_brackets: bool) -> Sequence[str]:
        """The names of the call's parameters. *with_brackets* gives the names of the form's parts
        as they were sent, if the call has any."""
        return (with_brackets and self.part_names) or [*self.fields]

    @property
    def asks_for_stream(self) -> bool:
        """Whether its `stream` is true, in JSON or as the text of a form."""
        stream = self.fields.get("stream")
        return stream is True or stream == "true"


DEFAULT_FRAME_COUNT: Final = 9
"""Frames of an animation whose call has no `frame_count` (third-party measurements of
gpt-image-2.6)."""


@dataclass(frozen=True, kw_only=True)
class ImageRequest:
    """A validated call: every parameter has its value, every `auto` is resolved.

    Only the fields with the mark `DRAWING`, `ENCODING` or `ANIMATION` decide the files. Two
    requests with the same values in these fields get the same bytes, in any process. A field
    without a mark raises at import; see `field_codecs`.

    A new parameter needs a rule in `model_rules.py`, and a field of `ParameterFilters` in
    `state/query.py` with the type of its values. If it changes the answer, it is a field here,
    too. One that changes the drawing is used in `scene_of` of `imaging/drawing.py`; its value also
    seeds chance, so that another value gives another scene. A parameter that openai-python lacks is
    named in `web/code_samples/sdk_call.py`."""

    # Mark a new field that decides a file `ADDED_LATER`: the pictures of calls without it then keep
    # their bytes.
    operation: Operation = field(metadata=DRAWING | OPERATION_NAME)
    model: Model = field(metadata=DRAWING | MODEL_ID)
    prompt: str = field(default="", metadata=DRAWING)
    n: int = field(default=1, metadata=DELIVERY)
    size: Pixels = field(metadata=DRAWING | PIXELS)
    quality: str | None = field(default=None, metadata=DRAWING)
    style: str | None = field(default=None, metadata=DRAWING)
    background: str = field(default="opaque", metadata=DRAWING)
    complexity: str | None = field(default=None, metadata=DRAWING)
    """Drawings use it as a seed alone."""
    input_fidelity: str | None = field(default=None, metadata=ENCODING)
    output_format: str = field(default="png", metadata=ENCODING)
    output_compression: int = field(default=100, metadata=ENCODING)
    response_format: str = field(default="b64_json", metadata=DELIVERY)
    stream: bool = field(default=False, metadata=DELIVERY)
    partial_images: int = field(default=0, metadata=DELIVERY)
    user: str | None = field(default=None, metadata=DELIVERY)
    safety_identifier: str | None = field(default=None, metadata=DELIVERY)
    frame_count: int = field(default=DEFAULT_FRAME_COUNT, metadata=ANIMATION)
    frame_duration_ms: int = field(default=200, metadata=ANIMATION)
    svg: Mapping[str, Any] | None = field(default=None, metadata=DELIVERY)
    images: tuple[CallImage, ...] = field(default=(), metadata=DRAWING | IMAGES)
    mask: CallImage | None = field(default=None, metadata=DRAWING | IMAGE)
    markup: CallImage | None = field(default=None, metadata=DRAWING | IMAGE)
    own_pictures: tuple[OwnPicture, ...] | None = field(
        default=None, metadata=DRAWING | ADDED_LATER | OWN_PICTURES
    )
    """The pictures that answer the call in place of drawings, at least one. None where the emulator
    draws. `own_picture` gives the picture of an image."""
    forgiven: tuple[Violation, ...] = field(
        default=(), compare=False, metadata=DELIVERY | VIOLATIONS
    )
    as_of: AsOf = field(default=None, compare=False, metadata=DELIVERY | DAY)
    """`Policy.as_of`: the date that decides which parameters and models exist for the call."""
    day: Day = field(default=None, compare=False, metadata=DELIVERY | DAY)
    """`Policy.day`: the day whose versions of rules, messages, keys and headers the call meets."""

    @property
    def is_transparent(self) -> bool:
        """Whether the background is transparent."""
        return self.background == "transparent"

    @property
    def has_files(self) -> bool:
        """Whether the images are made of files: of uploads or own pictures."""
        return bool(self.images or self.own_pictures)

    def own_picture(self, index: int) -> OwnPicture | None:
        """The own picture of image *index* (from 0); None where the image is drawn. After the last
        own picture the first one follows again."""
        own = self.own_pictures
        return own[index % len(own)] if own else None

    @property
    def effective_safety_identifier(self) -> str | None:
        """`safety_identifier`, or `user` where that is omitted, null or empty."""
        return self.safety_identifier or self.user or None

    @cached_property
    def drawing_key(self) -> tuple[str, ...]:
        """The texts of all fields that decide the drawing. They also seed its random numbers."""
        return _drawing_key(self)

    @cached_property
    def cache_key(self) -> bytes:
        """A hash of all fields that decide the bytes of the files, in 16 bytes."""
        text = "\x1f".join([*self.drawing_key, *_encoding_key(self)])
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()

    def recipe(self) -> dict[str, Any]:
        """The recipe in the metadata of a file: values by parameter, without null values. Input
        images and own pictures are named by their digests."""
        return recipe_of(_RECIPE_FIELDS, self)

    def to_json(self) -> dict[str, Any]:
        """The request as JSON for another process or a store, without null values. A picture is
        there as its description (the attributes of `CallImage`), without its file. The caller keeps
        the files of pictures and own pictures, by their digests."""
        return json_of(_FIELDS, self)

    @classmethod
    def from_json(
        cls,
        values: Mapping[str, Any],
        *,
        models: Mapping[str, Model],
        image: Callable[[Mapping[str, Any]], CallImage],
        file: Callable[[str], bytes],
    ) -> ImageRequest:
        """The request that `to_json` wrote. *models* are by id. *image* makes an image from its
        description, *file* gives a file of an own picture by its digest, or raises KeyError. Raises
        ValueError where *values* make no request."""
        try:
            return cls(**values_of(_FIELDS, values, ReferredValues(models, image, file)))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"this is no request: {error!r}") from error


REQUEST_FIELDS: Final = frozenset(each.name for each in fields(ImageRequest))
"""The names of the fields of a request. A parameter has the name of its field, except `image` of a
form, whose field is `images`."""

_drawing_key: Final = key_function(ImageRequest, FieldEffect.DRAWING)
_encoding_key: Final = key_function(ImageRequest, FieldEffect.ENCODING, FieldEffect.ANIMATION)
_RECIPE_FIELDS: Final = codecs_of(ImageRequest, FieldEffect.DRAWING, FieldEffect.ENCODING)
_FIELDS: Final = codecs_of(ImageRequest)
