"""The `answer` of a step, in TOML, JSON or Python."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from inspect import signature
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from images_emulator.contract.answer_replacement import (
    NO_OVERRIDES,
    AnswerOverrides,
    RawAnswer,
)
from images_emulator.contract.http_headers import HeaderPairs
from images_emulator.contract.own_picture import Fit
from images_emulator.contract.wire import pretty
from images_emulator.own_answers.own_answer import OwnAnswer, PictureFunction
from images_emulator.own_answers.picture_files import (
    DIGEST_KEY,
    NAME_KEY,
    PictureFile,
    ReadingContext,
    read_files,
)
from images_emulator.strict_model import StrictModel

MAX_SHOWN_BODY_CHARS: Final = 1000
"""Characters of a raw body that the admin API shows."""


def _files(value: Any, info: ValidationInfo) -> tuple[PictureFile, ...] | PictureFunction:
    if callable(value) and not hasattr(value, "save"):
        _check_function(value)
        function: PictureFunction = value
        return function
    values = value if isinstance(value, list | tuple) else [value]
    if not values:
        raise ValueError("expected one file or more")
    context = info.context or ReadingContext()
    return tuple(file for each in values for file in read_files(each, context))


def _check_function(function: Any) -> None:
    """Raises ValueError for a function that does not take a request and an index."""
    try:
        signature(function).bind(None, 0)
    except TypeError:
        raise ValueError("the function does not take a request and an index") from None
    except ValueError:
        return  # a function of C, which has no signature


def _file_list(value: Any, info: ValidationInfo) -> tuple[PictureFile, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError("expected a list of files")
    files = _files(value, info)
    assert isinstance(files, tuple), "a list is no function"
    return files


def _header_pairs(value: Any) -> Any:
    """Headers by their names. A header that comes several times has a list."""
    if not isinstance(value, Mapping):
        raise ValueError("expected names with their values")
    pairs = []
    for name, values in value.items():
        for text in values if isinstance(values, list | tuple) else [values]:
            if not isinstance(name, str) or not isinstance(text, str):
                raise ValueError(f"header '{name}' has a value that is no text")
            pairs.append((name, text))
    AnswerOverrides(headers=tuple(pairs))  # raises ValueError for what HTTP cannot send
    return tuple(pairs)


def _seconds(value: Any) -> Any:
    """Seconds since 1970, of a date and time. A time without a time zone is UTC."""
    if not isinstance(value, datetime):
        return value
    return int((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp())


def _check_created(value: int) -> int:
    AnswerOverrides(created=value)  # raises ValueError for a date that answers cannot have
    return value


def _texts(pairs: HeaderPairs) -> dict[str, Any]:
    """Headers as a document has them."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {name: each if len(each) > 1 else each[0] for name, each in values.items()}


WriteFiles = Callable[[tuple[PictureFile, ...]], Any]
"""Writes files as a document has them."""

_FILE_SCHEMA: Final = {"type": "string", "description": "A file as a data: URL."}

PictureSource = Annotated[
    tuple[PictureFile, ...] | PictureFunction,
    BeforeValidator(_files),
    WithJsonSchema(_FILE_SCHEMA),
]
"""A file, a glob, a data URL, bytes, an image of Pillow, or a function."""

PictureSources = Annotated[
    tuple[PictureFile, ...],
    BeforeValidator(_file_list),
    WithJsonSchema({"type": "array", "items": _FILE_SCHEMA}),
]
"""A list of files."""

HeadersByName = Annotated[
    HeaderPairs,
    BeforeValidator(_header_pairs),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": "string"}}),
]
"""Headers by their names, as a document has them; as pairs once they are read."""

Created = Annotated[int, BeforeValidator(_seconds), AfterValidator(_check_created)]
"""A time: seconds since 1970, or a date and time of TOML."""


def _check_json(value: Any) -> Any:
    """*value*, which may come from TOML or from code. Raises ValueError where JSON has no such
    value."""
    if not isinstance(value, bytes):
        try:
            json.dumps(value)
        except TypeError as error:
            raise ValueError(f"expected a value of JSON: {error}") from None
    return value


class RawAnswerDocument(StrictModel, arbitrary_types_allowed=True):
    """An answer that is sent as it is."""

    status: int = Field(default=200, ge=200, le=599, description="The status.")
    headers: HeadersByName = Field(
        default=(),
        description="Headers, added to the API's own or in place of them. `content-type` is "
        "guessed where it is left out.",
    )
    body: Annotated[Any, AfterValidator(_check_json), WithJsonSchema({})] = Field(
        default=None, description="The body: a text, or JSON, which is written as the API does."
    )
    file: PictureSource | None = Field(default=None, description="A file that is the body.")

    @model_validator(mode="after")
    def _check(self) -> RawAnswerDocument:
        if self.file is not None and self.body is not None:
            raise ValueError("it has a body or a file, not both")
        if self.file is not None and (callable(self.file) or len(self.file) != 1):
            raise ValueError("expected one file")
        # A property, which is made and kept here: it raises ValueError for what HTTP cannot send.
        _ = self.answer
        return self

    @cached_property
    def answer(self) -> RawAnswer:
        """The answer, with its `content-type`."""
        media_type, body = self._content()
        headers = self.headers
        if body and not any(name.lower() == "content-type" for name, _ in headers):
            headers = (*headers, ("content-type", media_type))
        return RawAnswer(self.status, headers, body)

    def _content(self) -> tuple[str, bytes]:
        """The media type of the body, and its bytes."""
        if self.file is not None:
            assert isinstance(self.file, tuple), "checked"
            (file,) = self.file
            return file.media_type, file.data
        match self.body:
            case None:
                return "", b""
            case bytes() as data:
                return "application/octet-stream", data
            case str() as text:
                return _media_type(text), text.encode()
        return "application/json", pretty(self.body)


def _media_type(text: str) -> str:
    """The media type that a *text* probably has."""
    start = text.lstrip()
    if start[:1] in ("{", "["):
        return "application/json"
    if start.startswith(("event:", "data:")):
        return "text/event-stream; charset=utf-8"
    return "text/html; charset=utf-8" if start[:1] == "<" else "text/plain; charset=utf-8"


class AnswerDocument(StrictModel, arbitrary_types_allowed=True):
    """An own answer as a step of a scenario has it: `answer`."""

    image: PictureSource | None = Field(
        default=None,
        description="The picture: a file, relative to the folder of the scenario; a glob, whose "
        "files calls get in turn, in the order of their names; or a `data:` URL. In Python also "
        "bytes, an image of Pillow, or a function of the request and the index of the image.",
    )
    images: PictureSources | None = Field(
        default=None,
        description="The pictures of an answer with several, in their order, each as `image`. "
        "After the last comes the first again.",
    )
    partials: PictureSources | None = Field(
        default=None,
        description="The partial images of a stream. Those that are left out are previews of the "
        "picture.",
    )
    fit: Fit = Field(
        default="cover",
        description="How a picture of another size is fitted to the size that the call asks for: "
        "`cover` fills it and crops, `contain` adds borders, `exact` refuses the call.",
    )
    verbatim: bool = Field(
        default=False,
        description="Whether the files are sent as they are. The header `x-emulator-notice` says "
        "where they are not what was asked for.",
    )
    revised_prompt: str | None = Field(
        default=None, description="The `revised_prompt` of each picture."
    )
    usage: Annotated[dict[str, Any] | None, AfterValidator(_check_json)] = Field(
        default=None, description="The `usage` of the answer, as it is."
    )
    created: Created | None = Field(
        default=None,
        description="The `created` of the answer: seconds since 1970, or a date and time of TOML.",
    )
    headers: HeadersByName = Field(
        default=(), description="Headers, added to the API's own or in place of them."
    )
    raw: RawAnswerDocument | None = Field(
        default=None,
        description="An answer that is sent as it is, in place of all other keys: `status`, "
        "`headers`, and `body` or `file`.",
    )

    @model_validator(mode="after")
    def _check(self) -> AnswerDocument:
        keys = self.model_fields_set
        if self.raw is not None and len(keys) > 1:
            raise _mistake("raw", "an answer with 'raw' has nothing else")
        if self.image is not None and self.images is not None:
            raise _mistake("images", "an answer has 'image' or 'images', not both")
        if not keys:
            raise _mistake("", f"an answer has an 'image', or one of {self._names()}")
        if self.image is None and self.images is None:
            for key in keys & {"partials", "fit", "verbatim"}:
                raise _mistake(key, f"'{key}' is for an answer with an 'image' or 'images'")
        if not self.verbatim:
            for key in ("image", "images", "partials"):
                self._check_files(key)
        return self

    def _names(self) -> str:
        return ", ".join(name for name in type(self).model_fields if name != "image")

    def _check_files(self, key: str) -> None:
        files = getattr(self, key)
        for file in files if isinstance(files, tuple) else ():
            if file.mistake:
                raise _mistake(key, f"'{file.name}' {file.mistake}")

    @cached_property
    def overrides(self) -> AnswerOverrides:
        values = (self.usage, self.created, self.revised_prompt)
        if not self.headers and values == (None, None, None):
            return NO_OVERRIDES
        return AnswerOverrides(*values, self.headers)

    @property
    def function(self) -> PictureFunction | None:
        """The function that makes its pictures."""
        return None if self.image is None or isinstance(self.image, tuple) else self.image

    @property
    def label(self) -> str:
        """Its name in the journal: the name of its first picture, `function` with a name, `raw`
        with a status, or `answer`."""
        if self.raw is not None:
            return f"raw {self.raw.status}"
        if self.function is not None:
            name = getattr(self.function, "__name__", type(self.function).__name__)
            return "function" if name == "<lambda>" else f"function {name}"
        files = self._picture_files()
        if not files:
            return "answer"
        return files[0].name if len(files) == 1 else f"{files[0].name} …"

    def _picture_files(self) -> tuple[PictureFile, ...]:
        if self.images is not None:
            return self.images
        return self.image if isinstance(self.image, tuple) else ()

    def own_answer(self) -> OwnAnswer:
        """The answer as calls are given it."""
        return OwnAnswer(
            label=self.label,
            files=self._picture_files(),
            in_turn=isinstance(self.image, tuple),
            partials=self.partials or (),
            fit=self.fit,
            verbatim=self.verbatim,
            function=self.function,
            overrides=self.overrides,
            raw=self.raw.answer if self.raw else None,
        )

    def as_json(self) -> dict[str, Any]:
        """The answer as the admin API shows it: its files by their names, digests and sizes."""
        document = self._document(lambda files: [file.as_json() for file in files])
        if self.function:
            document["image"] = self.label
        raw = document.get("raw", {})
        if "body" in raw and self.raw:
            text = self.raw.answer.body.decode()
            if len(text) > MAX_SHOWN_BODY_CHARS:
                raw["body"] = f"{text[:MAX_SHOWN_BODY_CHARS]}…"
        return document

    def as_request_json(self) -> dict[str, Any]:
        """The answer as the admin API takes it: its files as `data:` URLs. Raises ValueError for an
        answer with a function."""
        if self.function:
            raise ValueError(
                "a function answers in its own process alone, and this server is in another"
            )
        return self._document(lambda files: [file.as_url() for file in files])

    def pack(self, files: dict[str, bytes]) -> dict[str, Any]:
        """The answer as a store keeps it. Its files are put among *files*, by their digests. An
        answer with a function cannot be kept."""

        def references(group: Iterable[PictureFile]) -> list[dict[str, str]]:
            files.update((file.digest, file.data) for file in group)
            return [{NAME_KEY: file.name, DIGEST_KEY: file.digest} for file in group]

        return self._document(references)

    def _document(self, written: WriteFiles) -> dict[str, Any]:
        """The answer as a document has it, without keys that were left out. *written* writes
        files."""
        document: dict[str, Any] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if name not in self.model_fields_set or value is None or value == ():
                continue
            if name == "raw":
                value = self._raw_document(written)
            elif name == "headers":
                value = _texts(value)
            elif name in ("image", "images", "partials"):
                value = written(value) if isinstance(value, tuple) else None
            document[name] = value
        return document

    def _raw_document(self, written: WriteFiles) -> dict[str, Any]:
        assert self.raw is not None
        raw = self.raw
        document: dict[str, Any] = {"status": raw.status}
        if raw.headers:
            document["headers"] = _texts(raw.headers)
        if isinstance(raw.file, tuple):
            document["file"] = written(raw.file)
        elif isinstance(raw.body, bytes):
            document["file"] = written((PictureFile("bytes", raw.body),))
        elif raw.body is not None:
            document["body"] = raw.body
        return document


def _mistake(key: str, sentence: str) -> PydanticCustomError:
    """The *sentence*, with the *key* whose line the sentence is about."""
    # As a value, and as the last one, because a file name in it may have braces.
    return PydanticCustomError("answer", "{sentence}", {"key": key, "sentence": sentence})
