"""The call of the journal that code is made of, and the part of it that OpenAI's SDKs can make."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, quote

from images_emulator.admin_prefix import ADMIN_PREFIX
from images_emulator.contract.azure import deployment_in
from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import (
    DEPLOYMENTS_PREFIX,
    EDITS,
    GENERATIONS,
    VARIATIONS,
    Operation,
)
from images_emulator.contract.request import ParsedCall, Upload
from images_emulator.contract.rules import Flag, Integer
from images_emulator.exchange.call_details import input_image_items
from images_emulator.exchange.exchange import Exchange
from images_emulator.file_types import FILE_TYPES
from images_emulator.namespace_names import NAMESPACE_HEADER

MAX_ARGUMENT_BYTES: Final = 100_000
"""The most bytes of a body in the code; a longer body comes from the journal. Linux takes 128 KB
for one argument of a command."""

PYTHON_METHODS: Final[Mapping[Operation, str]] = {
    GENERATIONS: "generate",
    EDITS: "edit",
    VARIATIONS: "create_variation",
}
"""The names of the methods of openai-python's `client.images`."""

REQUIRED: Final[Mapping[Operation, frozenset[str]]] = {
    GENERATIONS: frozenset({"prompt"}),
    EDITS: frozenset({"image", "prompt"}),
    VARIATIONS: frozenset({"image"}),
}
"""The arguments without which openai-python makes no call."""

NOT_IN_SDK: Final[Mapping[Operation, frozenset[str]]] = {
    GENERATIONS: frozenset(),
    EDITS: frozenset({"images", "moderation"}),
    VARIATIONS: frozenset(),
}
"""Parameters that openai-python's methods do not take by name."""


def _parameters(operation: Operation) -> Mapping[str, set[type]]:
    """The parameters of *operation* that the SDKs' methods have, each with the classes of its rules
    in all models."""
    classes: dict[str, set[type]] = {"model": set()}
    for model in MODELS.values():
        for name, rule in model.rules.get(operation, {}).items():
            if name not in NOT_IN_SDK[operation]:
                classes.setdefault(name, set()).add(type(rule))
    return classes


SDK_PARAMETERS: Final = {operation: _parameters(operation) for operation in PYTHON_METHODS}
"""The parameters that the SDKs' methods take by name."""


class UploadLink(NamedTuple):
    """An upload in the arguments of a call: its index in `uploads`, its name and its type."""

    upload_index: int
    name: str
    type: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSource:
    """A call of the journal, and what the code needs to know of the server."""

    exchange: Exchange
    base: str
    """The server's address: `http://HOST:PORT`."""
    needs_token: bool = False
    """Whether `/_emulator` wants the admin token."""
    changeable_settings: Mapping[str, Any] = field(default_factory=dict)
    """The current values of the server's settings that change at run time."""
    deployments: Mapping[str, str] = field(default_factory=dict)
    """Azure's deployments of the server, with their models."""
    has_own_server: bool = False
    """Whether the code has a server of its own, as a test has, and names no namespace."""

    @property
    def journal_url(self) -> str:
        """The URL of the call in the journal."""
        return f"{self.base}{ADMIN_PREFIX}/requests/{self.exchange.id}"

    @property
    def target(self) -> str:
        """Path and query."""
        query = self.exchange.query
        return quote(self.exchange.path) + (f"?{query}" if query else "")

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that decide the answer, without the key."""
        return {
            name: value
            for name, value in self.exchange.headers.items()
            if (name in ("content-type", "accept") or self._is_for_emulator(name))
            and (name, value) != ("accept", "*/*")
        }

    @property
    def emulator_headers(self) -> Mapping[str, str]:
        """The call's headers for the emulator, such as `x-emulator-fault`."""
        headers = self.exchange.headers.items()
        return {name: value for name, value in headers if self._is_for_emulator(name)}

    def _is_for_emulator(self, name: str) -> bool:
        return name.startswith("x-emulator-") and not (
            self.has_own_server and name == NAMESPACE_HEADER
        )

    @property
    def key_header(self) -> tuple[str, str] | None:
        """The header of the API key, and the text before the key in it; None without a key."""
        if not self.exchange.head.api_key:
            return None
        for name, scheme in (("api-key", ""), ("authorization", "Bearer ")):
            if name in self.exchange.headers:
                return name, scheme
        return None

    @property
    def picture_suffix(self) -> str:
        """The suffix of the files of its pictures, without the dot."""
        word = str(self.exchange.details.parameters.get("output_format"))
        file_type = FILE_TYPES.get(word) or FILE_TYPES["png"]
        return file_type.suffixes[0].removeprefix(".")

    @property
    def text(self) -> str | None:
        """The body where it is short text; None where it comes from the journal."""
        body = self.exchange.body or b""
        if len(body) > MAX_ARGUMENT_BYTES or b"\0" in body:
            return None
        try:
            return body.decode()
        except UnicodeDecodeError:
            return None


@dataclass(frozen=True, slots=True)
class SDKCall:
    """A call as the SDKs can make it."""

    operation: Operation
    arguments: Mapping[str, Any]
    """Values of JSON, and `UploadLink`, or lists of them."""
    is_json_with_images: bool
    """Whether it is an edit or a variation with a JSON body, for which the SDKs have no method."""
    asks_for_stream: bool
    prefix: str
    """The part of the path before the operation's subpath."""
    deployment: str | None
    api_version: str | None
    query: Mapping[str, str]
    """The query without the `api-version` of a deployment."""

    @property
    def has_required(self) -> bool:
        """Whether it has the arguments without which openai-python makes no call."""
        return self.is_json_with_images or REQUIRED[self.operation] <= self.arguments.keys()

    @property
    def uses_uploads(self) -> bool:
        """Whether the arguments have an upload."""
        return any(True for _ in _links(self.arguments))


def _links(value: Any) -> Iterator[UploadLink]:
    if isinstance(value, UploadLink):
        yield value
    elif isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _links(each)


def sdk_call(source: SampleSource) -> SDKCall | None:
    """The call of the SDKs, or None where they cannot make it."""
    exchange, text = source.exchange, source.text
    call = exchange.parsed_call
    if not call or call.operation not in PYTHON_METHODS or exchange.method != "POST":
        return None
    operation = call.operation
    if not exchange.head.api_key or (text is None and not call.is_form):
        return None
    arguments = _form_arguments(call) if call.is_form else dict(call.fields)
    pairs = parse_qsl(exchange.query, keep_blank_values=True)
    query = dict(pairs)
    if arguments is None or not _is_text(arguments) or len(query) < len(pairs):
        return None
    asks_for_stream = arguments.get("stream") or False
    is_json_with_images = operation is not GENERATIONS and not call.is_form
    if not isinstance(asks_for_stream, bool) or (asks_for_stream and is_json_with_images):
        return None
    deployment = deployment_in(exchange.path)
    version = query.pop("api-version", None) if deployment else None
    prefix, end = exchange.path[: -len(operation.subpath)], exchange.path[-len(operation.subpath) :]
    if end != operation.subpath or bool(deployment) != bool(version):
        return None
    if deployment and prefix != f"{DEPLOYMENTS_PREFIX}{deployment}":
        return None
    return SDKCall(
        operation,
        arguments,
        is_json_with_images,
        asks_for_stream,
        prefix,
        deployment,
        version,
        query,
    )


def _form_arguments(call: ParsedCall) -> dict[str, Any] | None:
    """The arguments of a form; None where the form has a value that the SDKs do not send."""
    items = {id(item): index for index, (_, _, item) in enumerate(input_image_items(call.fields))}
    classes = SDK_PARAMETERS[call.operation]

    def argument(name: str, value: Any) -> Any:
        if isinstance(value, Upload):
            return UploadLink(items[id(value)], value.filename or "upload", value.content_type)
        if isinstance(value, list):
            return [argument(name, each) for each in value]
        if Flag in classes.get(name, ()) and value in ("true", "false"):
            return value == "true"
        if Integer in classes.get(name, ()) and re.fullmatch(r"-?\d{1,9}", value, re.ASCII):
            return int(value)
        return value

    arguments = {}
    for name, value in call.fields.items():
        values = value if isinstance(value, list) else [value]
        has_images = any(id(each) in items for each in values)
        if has_images and not all(id(each) in items for each in values):
            return None
        if not has_images and any(isinstance(each, Upload | list) for each in [value, *values]):
            return None
        arguments[name] = argument(name, value)
    return arguments


def _is_text(value: Any) -> bool:
    """Whether *value* can be sent as JSON in UTF-8: without halves of surrogate pairs, and without
    infinite numbers, for which languages have no literal."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False, default=str).encode()
    except ValueError:
        return False
    return True
