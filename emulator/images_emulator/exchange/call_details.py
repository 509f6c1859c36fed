"""The details of a call for the journal: model, prompt, parameters and uploads, abridged and
without credentials."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from math import isfinite
from typing import Any, Final, Literal

from images_emulator.contract.call_image import CallImage
from images_emulator.contract.models import FILE_PARAMETERS, MODELS
from images_emulator.contract.request import REQUEST_FIELDS, ImageRequest, ParsedCall, Upload
from images_emulator.contract.rules import Pixels, Text
from images_emulator.exchange.credentials import HIDDEN, is_secret, redacted_secret, redacted_url

MAX_TEXT_CHARS: Final = 256
"""The most characters of a text in the details."""

MAX_REDACTED_CHARS: Final = 4096
"""The most characters of an image's address that are searched for credentials, of which
`MAX_TEXT_CHARS` are shown."""

MAX_COLLECTION_CHARS: Final = 8192
"""The most characters of an array or an object in the details."""

MAX_DEPTH: Final = 3
"""The most levels of arrays and objects in the details."""

MAX_PROMPT_CHARS: Final = max(
    rule.max_length or 0
    for model in MODELS.values()
    for rules in model.rules.values()
    if isinstance(rule := rules.get("prompt"), Text)
)
"""The most characters of a refused prompt in the details: the longest prompt of any model."""

MAX_DETAIL_ITEMS: Final = 20
"""The most parameters of a refused call, and items of an array or an object, in the details."""

MAX_DETAIL_NAMES: Final = 40
"""The most names of a body in the details: more than any operation has."""

_SHOWN_ELSEWHERE: Final = FILE_PARAMETERS | {"model", "prompt", "images"}

PARAMETERS: Final = tuple(
    dict.fromkeys(
        name
        for model in MODELS.values()
        for rules in model.rules.values()
        for name in rules
        if name not in _SHOWN_ELSEWHERE
    )
)
"""The parameters that the details can have: the API's parameters of all models."""


UploadSource = Literal["form", "data_url", "file_id", "address"]
"""How an image came: as a file of a form, or in JSON as a data URL, as the id of a file, or as the
address of an image."""


@dataclass(frozen=True, slots=True)
class UploadDetails:
    """An image that came with a call."""

    source: UploadSource
    """How it came: `form`, `data_url`, `file_id` or `address`."""
    field: str
    """Its place in the request, such as `image`, `image[0]` or `mask`."""
    name: str
    """The name of the file, the id of the file, or the address."""
    type: str | None
    """The media type that was sent with it; None where none was."""
    bytes: int | None
    """Its length; None where no bytes were sent."""
    pixels: Pixels | None
    """Width and height; None where the picture was not opened."""


@dataclass(frozen=True, slots=True)
class CallDetails:
    """The model, prompt, parameters and uploads of a call. A validated call has its parameters with
    their defaults, any other call as they were sent.

    - *violations* are the mistakes that lenient validation forgave, as `param: code`.
    - *sent_names* are the names in the body, in their order, at most `MAX_DETAIL_NAMES`.
    """

    model: str | None = None
    prompt: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    uploads: tuple[UploadDetails, ...] = ()
    violations: tuple[str, ...] = ()
    sent_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FormPart:
    """One part of a form. A text has a *value*, abridged and without credentials. An image has its
    index in the uploads. Another file has neither."""

    name: str
    value: str | None
    upload: int | None


def form_parts(
    parts: Iterable[tuple[str, str | Upload]], fields: Mapping[str, Any]
) -> tuple[FormPart, ...]:
    """The *parts* of a form, in their order. Their values have to be the same objects as in
    *fields*."""
    indexes = {id(item): index for index, (_, _, item) in enumerate(input_image_items(fields))}
    return tuple(
        FormPart(
            _shorten(name),
            None if isinstance(value, Upload) else _form_text(name, value),
            indexes.get(id(value)),
        )
        for name, value in parts
    )


def _form_text(name: str, text: str) -> str:
    return _shorten(text, MAX_PROMPT_CHARS) if name == "prompt" else str(kept_value(name, text))


def details_of(call: ParsedCall | None, request: ImageRequest | None) -> CallDetails:
    """The details of a call: of the validated *request*, or else of the parsed *call*."""
    sent = call.fields if call else {}
    uploads = tuple(_uploads(sent, request))
    names = tuple(_shorten(name) for name in islice(sent, MAX_DETAIL_NAMES))
    if request:
        parameters = {name: kept_value(name, value) for name, value in _parameters(request, sent)}
        violations = tuple(map(str, request.forgiven))
        return CallDetails(
            request.model.id, request.prompt or None, parameters, uploads, violations, names
        )
    model, prompt = (sent.get(name) for name in ("model", "prompt"))
    parameters = {
        _shorten(name): kept_value(name, value)
        for name, value in islice(sent.items(), MAX_DETAIL_ITEMS)
        if name not in _SHOWN_ELSEWHERE
    }
    return CallDetails(
        _shorten(model) if isinstance(model, str) else None,
        _shorten(prompt, MAX_PROMPT_CHARS) if isinstance(prompt, str) else None,
        parameters,
        uploads,
        sent_names=names,
    )


def values_in_force(request: ImageRequest, sent: Mapping[str, Any]) -> dict[str, Any]:
    """The fields *sent*, with the values in force in place of the sent ones, defaults included."""
    values = {**sent, **dict(_parameters(request, sent)), "model": request.model.id}
    return {**values, "prompt": request.prompt} if request.prompt else values


def _parameters(request: ImageRequest, sent: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The values in force of the parameters, without parameters that have no value."""
    for name, rule in request.model.rules[request.operation].items():
        if name in _SHOWN_ELSEWHERE or request.as_of not in rule.period:
            continue
        if name == "size":
            yield name, "{}x{}".format(*request.size)
            continue
        if name in REQUEST_FIELDS:
            value = getattr(request, name)
        else:
            value = rule.resolve(sent.get(name), None, sent)
        if value is not None:
            yield name, value


def _uploads(sent: Mapping[str, Any], request: ImageRequest | None) -> Iterator[UploadDetails]:
    pictures = {
        "image": request.images if request else (),
        "mask": (request.mask,) if request and request.mask else (),
        "markup": (request.markup,) if request and request.markup else (),
    }
    opened = {name: iter(items) for name, items in pictures.items()}
    for parameter, place, item in input_image_items(sent):
        pixels = _pixels(next(opened[parameter.removesuffix("s")], None))
        if isinstance(item, Mapping):
            yield _reference(place, item, pixels)
        else:
            media_type = item.content_type and _shorten(item.content_type)
            yield UploadDetails(
                "form", place, _shorten(item.filename), media_type, item.size, pixels
            )


def input_image_items(
    sent: Mapping[str, Any],
) -> Iterator[tuple[str, str, Upload | Mapping[str, Any]]]:
    """The files and references of images among the fields *sent*, at most `MAX_DETAIL_ITEMS` of a
    parameter: each with its parameter and its place, such as `image[0]`."""
    for parameter in ("image", "images", "mask", "markup"):
        value = sent.get(parameter)
        items = value if isinstance(value, list) else [value]
        for index, item in enumerate(islice(items, MAX_DETAIL_ITEMS)):
            place = f"{parameter}[{index}]" if isinstance(value, list) else parameter
            if isinstance(item, Upload | Mapping):
                yield parameter, place, item


def _reference(place: str, item: Mapping[str, Any], pixels: Pixels | None) -> UploadDetails:
    """An image that JSON refers to. Of a data URL it has only the text before the data."""
    file_id = item.get("file_id")
    reference = file_id or item.get("image_url") or ""
    name = reference if isinstance(reference, str) else reprlib.repr(reference)
    if file_id or name[:5].lower() != "data:":
        source: UploadSource = "file_id" if file_id else "address"
        # What is not shown need not be redacted: an address may have millions of characters.
        shown = name if file_id else redacted_url(name[:MAX_REDACTED_CHARS])
        return UploadDetails(source, place, _shorten(shown), None, None, pixels)
    # The data may have 60 million characters: they are not copied.
    comma = name.find(",")
    head = name[: comma if comma >= 0 else None]
    size = (len(name) - len(head) - 1) * 3 // 4 - name[-2:].count("=") if comma >= 0 else 0
    media_type = _shorten(head[5:].partition(";")[0]) or None
    return UploadDetails("data_url", place, _shorten(head), media_type, size, pixels)


def _pixels(call_image: CallImage | None) -> Pixels | None:
    return (call_image.width, call_image.height) if call_image else None


def _shorten(text: str, max_chars: int = MAX_TEXT_CHARS) -> str:
    return text if len(text) <= max_chars else f"{text[: max_chars - 1]}…"


def kept_value(name: str, value: Any, depth: int = MAX_DEPTH) -> Any:
    """The *value* of a parameter, abridged; redacted where *name* is that of a credential."""
    abridged = _abridge(value, depth)
    if (
        isinstance(abridged, dict | list)
        and depth == MAX_DEPTH
        and len(repr(abridged)) > MAX_COLLECTION_CHARS
    ):
        # A few levels of a few items each may still be long.
        abridged = reprlib.repr(abridged)
    if not is_secret(name) or abridged is None:
        return abridged
    return redacted_secret(name, abridged) if isinstance(abridged, str) else HIDDEN


def _abridge(value: Any, depth: int) -> Any:
    """A *value* as it was sent, cut where it is long, and without the inside of what is too deep.
    NaN and infinite numbers become texts, because JSON has none."""
    if isinstance(value, str):
        return _shorten(value)
    if isinstance(value, Mapping | list) and value and not depth:
        # Inside it there may be credentials.
        return "[…]" if isinstance(value, list) else "{…}"
    if isinstance(value, Mapping):
        items = islice(value.items(), MAX_DETAIL_ITEMS)
        return {
            _shorten(str(name)): kept_value(str(name), inner, depth - 1) for name, inner in items
        }
    if isinstance(value, list):
        return [_abridge(inner, depth - 1) for inner in islice(value, MAX_DETAIL_ITEMS)]
    if value is None or isinstance(value, int) or (isinstance(value, float) and isfinite(value)):
        return value
    return reprlib.repr(value)
