"""Calls in the form in which they are compared, and the differences between two calls.

No comparison includes API keys, headers other than the content type, the order of JSON members,
blanks in JSON, form boundaries, and file names except their suffixes.
"""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote

from images_emulator import imaging
from images_emulator.contract.azure import deployment_in
from images_emulator.contract.call_image import CallImage, ImageLoader
from images_emulator.contract.dialects import dialect_at
from images_emulator.contract.operations import (
    FORM,
    JSON,
    Operation,
    Provider,
    image_operation_at,
    provider_at,
)
from images_emulator.contract.policy import Policy
from images_emulator.contract.references import is_data_url
from images_emulator.contract.refusal import APIError
from images_emulator.contract.request import ImageRequest, ParsedCall, Upload
from images_emulator.contract.validation import validate
from images_emulator.exchange.body_parser import parse_body
from images_emulator.exchange.credentials import is_secret
from images_emulator.exchange.form_parser import boundary_of, read_form
from images_emulator.exchange.json_body import parse_json

MAX_SHOWN_CHARS: Final = 80
"""The most characters of a value in the text of a difference."""

CONTEXT_CHARS: Final = 12
"""The number of shared characters that are shown before the first difference of two long texts."""

MAX_DATA_URL_CHARS: Final = 256
"""A longer data URL is compared by its hash."""

ANY_DAY: Final = Policy()
"""The policy that validates calls and recordings for a comparison: strict, with the rules of all
days."""

BODY: Final = "body"
"""The name of a difference between two bodies that have no fields."""

UPLOAD_FIELDS: Final = ("images", "mask", "markup")
"""The fields of a request that hold pictures."""

_COMPARED_OTHERWISE: Final = frozenset({"as_of", "day", "forgiven", "operation", *UPLOAD_FIELDS})
"""Fields of a request that are compared in another form, or that no parameter of a call sets."""


UPLOAD_NAMES: Final = ("image", "mask", "markup")
"""The beginnings of the names of differences in uploads, by the fields of a request or by the
parameters of a call: `images[0]`, `image`, `image[]`."""


class FileValue(NamedTuple):
    """A file of a form, among the fields of a call: the SHA-256 and the length of its bytes, the
    media type as sent, and the suffix of the file name, such as `.png`. A long data URL is also
    one, with the SHA-256 and the length of its text.

    *suffix* is None where the file has no name. The rest of a name is not compared: clients often
    make it up at random.
    """

    sha256: str
    size: int
    content_type: str | None
    suffix: str | None

    def __str__(self) -> str:
        return f"a file of {self.size} bytes ({self.sha256[:8]}…)"


class ImageValue(NamedTuple):
    """A decoded upload, among the values of a request: its size, and a hash of its pixels. Two
    files with the same pixels are the same image, whatever their formats, unless they are large:
    see `pixel_digest` of `decoder.py`."""

    width: int
    height: int
    pixels: str

    def __str__(self) -> str:
        return f"a picture of {self.width}x{self.height} ({self.pixels[:8]}…)"


class _Null:
    """A `null` that was sent, in a difference."""

    def __str__(self) -> str:
        return "null"


NULL: Final = _Null()
"""The value of a difference where one call has `null` and the other no such field."""

Fields = Mapping[str, Any]
"""The fields of a body as they were sent: JSON values, with a `FileValue` for each file."""


class CallDifference(NamedTuple):
    """A field in which a call differs from a recording. None stands for an absent value."""

    name: str
    value: Any
    recorded: Any

    def __str__(self) -> str:
        value, recorded = _show(self.value), _show(self.recorded)
        if isinstance(self.value, str) and isinstance(self.recorded, str):
            value, recorded = _show_texts(self.value, self.recorded)
        if self.recorded is None:
            return f"{self.name} is {value}, and is not in the recording"
        if self.value is None:
            return f"{self.name} is missing, {recorded} was recorded"
        return f"{self.name} {value} is not {recorded}"


@dataclass(slots=True, eq=False)
class ComparedCall:
    """A call of a client, or of a recording."""

    method: str
    path: str
    """The path as it was sent, unescaped."""
    query: tuple[tuple[str, str], ...]
    """Names and values, sorted by name, without credentials."""
    operation: Operation | None
    """The image operation at the path; None for every other path."""
    provider: Provider
    deployment: str | None
    """The Azure deployment in the path."""
    fields: Fields | None
    """The fields of the body; None where the body has no fields, or could not be parsed."""
    is_form: bool
    body_sha256: str
    """The SHA-256 of the media type and of the body without its boundary, for a body without
    fields; empty for any other."""
    values: Mapping[str, Any] | None = None
    """The values of the valid request that the call makes, once resolved; None for an invalid
    request."""
    is_resolved: bool = False
    """Whether `values` needs no `Resolver` any more: it has been asked, or the request is known to
    be invalid."""

    @property
    def prompt(self) -> str | None:
        prompt = self.fields.get("prompt") if self.fields else None
        return prompt if isinstance(prompt, str) else None

    @property
    def operation_key(self) -> tuple[str, str, str]:
        """The properties that a call shares with a matching recording at every level: the method,
        the operation or else the path, and the provider."""
        place = self.operation.name if self.operation else self.path
        return self.method, place, self.provider.value

    @property
    def title(self) -> str:
        """Method and path."""
        return f"{self.method} {self.path}"

    def exact_key(self) -> bytes:
        """A hash of everything that was sent, except what no comparison includes."""
        text = json.dumps(
            [self.method, self.path, self.query, self.is_form, self.fields, self.body_sha256],
            sort_keys=True,
            separators=(",", ":"),
        )
        return hashlib.blake2b(text.encode(), digest_size=16).digest()

    def compared_values(self, other: ComparedCall) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Return the values of the two calls, by name. For two valid requests these are the fields
        of the operation with every default; otherwise the fields as they were sent."""
        if self.values is not None and other.values is not None:
            return self.values, other.values
        return self._sent(), other._sent()

    def _sent(self) -> Mapping[str, Any]:
        if self.operation:
            own = {"deployment": self.deployment} if self.deployment else {}
        else:
            own = {f"query {name}": value for name, value in self.query if name != "api-version"}
        body = {BODY: self.body_sha256} if self.body_sha256 else {}
        return {**own, **(self.fields or {}), **body}

    def differences_from(self, recorded: ComparedCall) -> Iterator[CallDifference]:
        """Yield the fields in which this call differs from a *recorded* one of the same operation.
        Either both calls are resolved, or neither.

        Values as they were sent are compared more strictly than Python does: `true` is not `1`, and
        `null` is not an absent field, because the API refuses one of the two."""
        values, others = self.compared_values(recorded)
        are_valid = self.values is not None and recorded.values is not None
        is_same = operator.eq if are_valid else is_same_json
        for name in dict.fromkeys([*values, *others]):
            value, other = values.get(name), others.get(name)
            if not is_same(value, other):
                yield from _differences(name, value, other, is_same)
            elif not are_valid and (name in values) is not (name in others):
                here, there = (NULL if name in each else None for each in (values, others))
                yield CallDifference(name, here, there)

    def sent_distance(self, other: ComparedCall) -> int:
        """The number of fields that differ between the two calls, as they were sent."""
        values, others = self._sent(), other._sent()
        return sum(values.get(name) != others.get(name) for name in values.keys() | others)

    @property
    def answer_shape(self) -> tuple[bool, bool]:
        """Whether the call asks for a stream, and whether it asks for URLs. A client cannot read an
        answer of another shape."""
        values = self._sent() if self.values is None else self.values
        return values.get("stream") in (True, "true"), values.get("response_format") == "url"


def is_same_json(value: Any, other: Any) -> bool:
    """Whether two values of JSON are the same. `1`, `1.0` and `true` are three different values."""
    pairs = [(value, other)]
    while pairs:
        one, two = pairs.pop()
        if type(one) is not type(two):
            return False
        if isinstance(one, dict):
            if one.keys() != two.keys():
                return False
            pairs += [(item, two[key]) for key, item in one.items()]
        elif isinstance(one, list):
            if len(one) != len(two):
                return False
            pairs += zip(one, two, strict=True)
        elif one != two:
            return False
    return True


def _differences(
    name: str, value: Any, recorded: Any, is_same: Callable[[Any, Any], bool]
) -> Iterator[CallDifference]:
    """Yield the differences of two values that are not the same. Two arrays of one length are
    compared item by item, and two objects member by member, where a missing one counts as null.
    Objects that differ only in a missing member and null are compared as a whole, as is anything
    else."""
    if isinstance(value, list) and isinstance(recorded, list) and len(value) == len(recorded):
        for index, (item, other) in enumerate(zip(value, recorded, strict=True)):
            if not is_same(item, other):
                yield from _differences(f"{name}[{index}]", item, other, is_same)
        return
    if isinstance(value, dict) and isinstance(recorded, dict):
        pairs = {key: (value.get(key), recorded.get(key)) for key in (*value, *recorded)}
        unequal = {key: pair for key, pair in pairs.items() if not is_same(*pair)}
        for key, (member, other) in unequal.items():
            yield from _differences(f"{name}.{key}", member, other, is_same)
        if unequal:
            return
    yield CallDifference(name, value, recorded)


def _is_value(value: Any) -> bool:
    return isinstance(value, FileValue | ImageValue | _Null)


def _show(value: Any) -> str:
    """A value as the text of a difference shows it: JSON, abridged."""
    if _is_value(value):
        return str(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    short = text if len(text) <= MAX_SHOWN_CHARS else f"{text[: MAX_SHOWN_CHARS - 1]}…"
    return repr(short) if isinstance(value, str) else short


def _show_texts(value: str, recorded: str) -> tuple[str, str]:
    """Two unequal texts. Long ones are cut to the part around the first character that differs."""
    if max(len(value), len(recorded)) <= MAX_SHOWN_CHARS:
        return repr(value), repr(recorded)
    start = common_start(value, recorded) - CONTEXT_CHARS
    if start <= 0:
        return _show(value), _show(recorded)
    return _show(f"…{value[start:]}"), _show(f"…{recorded[start:]}")


def common_start(one: str, other: str) -> int:
    """The length of the longest common beginning of both texts."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (char, twin) in pairs if char != twin), min(len(one), len(other)))


def compared_call(
    method: str,
    target: str,
    content_type: str,
    body: Sequence[bytes],
    fields: Mapping[str, Any] | None = None,
) -> ComparedCall:
    """The call of *method* with the chunks of its *body*, at the *target*: a path with its query.
    *fields* are the fields of the body, where it was parsed before."""
    raw_path, _, query = target.partition("?")
    path, operation, provider, deployment = _place_of(raw_path)
    is_form = content_type[: len(FORM)].lower() == FORM
    values = body_sha256 = None
    try:
        parsed = fields or _fields(content_type, tuple(body), operation)
        values = None if parsed is None else {name: _compact(each) for name, each in parsed.items()}
    except (APIError, RecursionError):
        pass
    if values is None and any(body):
        body_sha256 = _body_hash(content_type, b"".join(body))
    pairs = parse_qsl(query, keep_blank_values=True) if query else ()
    return ComparedCall(
        method=method,
        path=path,
        query=tuple(sorted(pair for pair in pairs if not is_secret(pair[0]))),
        operation=operation,
        provider=provider,
        deployment=deployment,
        fields=values,
        is_form=is_form,
        body_sha256=body_sha256 or "",
    )


def _body_hash(content_type: str, body: bytes) -> str:
    """A hash of a *body* without fields, and of its *content_type*. The boundary of a form is not
    hashed, only whether there is one, and whether the body contains it."""
    media_type, boundary = content_type.partition(";")[0].strip().lower(), boundary_of(content_type)
    pieces = body.split(boundary) if boundary else [body]
    head = f"{media_type} {len(pieces) > 1} {bool(boundary)} ".encode("latin-1", "replace")
    return hashlib.sha256(head + b"".join(pieces)).hexdigest()


@lru_cache(maxsize=256)
def _place_of(raw_path: str) -> tuple[str, Operation | None, Provider, str | None]:
    """The path as it was sent, unescaped, with its image operation, its provider and its
    deployment. These depend on the path alone, so nothing has to empty the cache."""
    path = unquote(raw_path)
    return path, image_operation_at(path), provider_at(path), deployment_in(path)


def _fields(
    content_type: str, body: tuple[bytes, ...], operation: Operation | None
) -> Mapping[str, Any] | None:
    """The fields of *body*; None for an empty body, and for one that is neither JSON nor a form.
    Raises APIError where the body cannot be parsed."""
    if not any(body):
        return None
    if operation:
        return parse_body(content_type, body, operation).fields
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == FORM:
        return read_form(content_type, body)
    return parse_json(b"".join(body)) if media_type == JSON else None


def _compact(value: Any) -> Any:
    """*value* as it was sent, with each file replaced by its hash."""
    match value:
        case Upload():
            sha256 = hashlib.sha256(value.data).hexdigest()
            _, dot, suffix = value.filename.rpartition(".")
            ending = f"{dot}{suffix}".lower() if dot else ""
            name_end = ending if value.filename else None
            return FileValue(sha256, value.size, value.content_type, name_end)
        case str() if len(value) > MAX_DATA_URL_CHARS and is_data_url(value):
            sha256 = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
            return FileValue(sha256, len(value), value[5:].partition(";")[0][:64], None)
        case dict():
            return {name: _compact(each) for name, each in value.items()}
        case list():
            return [_compact(each) for each in value]
    return value


class Resolver:
    """Finds the request that a call makes, by the rules of all days. *deployments* are the Azure
    deployments with their models; *loader* decodes uploads."""

    def __init__(self, deployments: Mapping[str, str], loader: ImageLoader) -> None:
        self._deployments = deployments
        self._loader = loader

    def resolve(self, call: ComparedCall, parsed_call: ParsedCall | None) -> ImageRequest | None:
        """Return the valid request that *parsed_call* makes; None for an invalid one. *call* is the
        same call in its form for comparison, and gets the request's values. Decoding uploads may
        take seconds. Raises APIError where an uploaded file cannot be read from the store."""
        request = self.request_by(ANY_DAY, call, parsed_call)
        call.values = _comparable_values(request) if request else None
        call.is_resolved = True
        return request

    def request_by(
        self, policy: Policy, call: ComparedCall, parsed_call: ParsedCall | None
    ) -> ImageRequest | None:
        """The request that *parsed_call*, with the form *call*, makes by the rules of *policy*;
        None where these refuse it. Raises as `resolve` does."""
        if parsed_call is None:
            return None
        if call.provider is Provider.AZURE:
            name = call.deployment or str(parsed_call.fields.get("model") or "")
            model = self._deployments.get(name, name)
            parsed_call = replace(parsed_call, fields={**parsed_call.fields, "model": model})
        try:
            return validate(parsed_call, self._loader, policy, dialect_at(call.path))
        except APIError as error:
            if not error.is_client_error:
                raise
            return None


def _comparable_values(request: ImageRequest) -> Mapping[str, Any]:
    """The values of *request*, by the names of its fields. Pictures are compared by their
    pixels."""
    values = {
        name: value for name, value in request.to_json().items() if name not in _COMPARED_OTHERWISE
    }
    for name in UPLOAD_FIELDS:
        pictures = getattr(request, name)
        if isinstance(pictures, tuple):
            values |= {name: [_image_value(each) for each in pictures]} if pictures else {}
        elif pictures:
            values[name] = _image_value(pictures)
    return values


def _image_value(image: CallImage) -> ImageValue:
    return ImageValue(image.width, image.height, imaging.decoder.pixel_digest(image))
