"""The values that pass through: a call as received, and the request that it proves to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from hashlib import blake2b
from typing import Any, Final, Protocol

from images_emulator.contract.calendar import (
    AsOf,
    Period,
)
from images_emulator.contract.conflicts import Conflict
from images_emulator.contract.errors import Refusal, Violation
from images_emulator.contract.operations import Operation
from images_emulator.contract.rules import Rule
from images_emulator.contract.service_errors import content_policy, rate_limited
from images_emulator.contract.token_rates import Tokens

FILE_PARAMETERS: Final = frozenset({"image", "mask", "markup"})
"""The parameters that a form carries as files."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as a client sent it; *content_type* is what the part said, if it said anything.

    *filename* is empty where the part named none. *size* counts all bytes that arrived; *data* may
    be cut where they were more than any rule allows.
    """

    filename: str
    content_type: str | None
    data: bytes = field(repr=False)
    size: int


@dataclass(frozen=True, slots=True)
class Call:
    """One call, read but not yet judged.

    *fields* are JSON values, or in a form texts, uploads, lists (`image[]`) and mappings
    (`svg[model]`), in the order in which they were sent.
    """

    operation: Operation
    form: bool
    fields: Mapping[str, Any]


class Picture(Protocol):
    """A picture that a client sent, decoded. *width* and *height* are pixels as shown."""

    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def format(self) -> str:
        """`PNG`, `JPEG`, `WEBP` …"""
        ...

    @property
    def mode(self) -> str:
        """`RGB`, `RGBA`, `L` …, as in the file."""
        ...

    @property
    def has_alpha(self) -> bool: ...
    @property
    def has_transparent_pixels(self) -> bool:
        """Whether any pixel is fully transparent."""
        ...

    @property
    def digest(self) -> str:
        """Names the content; equal files have equal digests."""
        ...


class ImageLoader(Protocol):
    """What turns bytes and addresses into pictures; validation asks it, imaging is it."""

    def decode(self, data: bytes) -> Picture | None:
        """Decode *data* whole, or None where it is no usable picture."""
        ...

    def blank(self) -> Picture:
        """A square picture of nothing, with an alpha channel."""
        ...

    def file(self, identity: str) -> bytes | None:
        """The content of an uploaded file, or None where there is none of that id."""
        ...

    def fetch(self, url: str) -> bytes | None:
        """The bytes at *url*, or None where a picture stands in for them. Raises APIError."""
        ...

    def placeholder(self, url: str) -> Picture:
        """A picture in place of the one at *url*."""
        ...

    def placeholder_overlay(self, url: str, width: int, height: int) -> Picture:
        """A PNG of that size, partly transparent, in place of the one at *url*."""
        ...


@dataclass(frozen=True, slots=True)
class Model:
    """One row of the table: a model's life, what it accepts at each endpoint, what it costs.

    *seconds* is how long the API takes, by quality; *limited* is what it says past a rate limit,
    *rejected* what it says where its content policy forbids a prompt.
    """

    id: str
    released: date
    accepts: Mapping[Operation, Mapping[str, Rule]] = field(compare=False)
    conflicts: tuple[Conflict, ...] = field(default=(), compare=False)
    tokens: Tokens | None = field(default=None, compare=False)
    shutdown: date | None = None
    replacement: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict, compare=False)
    limited: Refusal = rate_limited
    rejected: Refusal = content_policy
    revises_prompt: bool = False
    content_filters: bool = False
    """Whether Azure's answers carry the results of its content filters."""

    def __str__(self) -> str:
        return self.id

    def lives_at(self, as_of: AsOf) -> bool:
        return as_of in Period(self.released, self.shutdown)


@dataclass(frozen=True, kw_only=True)
class ImageRequest:
    """A request that nothing is wrong with; every `auto` is settled. The same one always draws
    the same pictures."""

    operation: Operation
    model: Model
    prompt: str = ""
    n: int = 1
    size: tuple[int, int]
    quality: str | None = None
    style: str | None = None
    background: str = "opaque"
    complexity: str | None = None
    input_fidelity: str | None = None
    output_format: str = "png"
    output_compression: int = 100
    response_format: str = "b64_json"
    stream: bool = False
    partial_images: int = 0
    user: str | None = None
    safety_identifier: str | None = None
    frame_count: int = 9
    frame_duration_ms: int = 200
    svg: Mapping[str, Any] | None = None
    images: tuple[Picture, ...] = ()
    mask: Picture | None = None
    markup: Picture | None = None
    forgiven: tuple[Violation, ...] = field(default=(), compare=False)
    as_of: AsOf = field(default=None, compare=False)

    @property
    def transparent(self) -> bool:
        return self.background == "transparent"

    @property
    def effective_safety_identifier(self) -> str | None:
        """`user` speaks where `safety_identifier` is omitted, null or empty."""
        return self.safety_identifier or self.user or None

    @cached_property
    def drawing_key(self) -> tuple[str, ...]:
        """All that decides what is drawn; how it is encoded and delivered does not."""
        overlays = (self.mask, self.markup)
        return (
            self.operation.name,
            self.model.id,
            self.prompt,
            "{}x{}".format(*self.size),
            *(str(word) for word in (self.quality, self.style, self.background, self.complexity)),
            *(picture.digest for picture in self.images),
            *(picture.digest if picture else "" for picture in overlays),
        )

    @cached_property
    def cache_key(self) -> bytes:
        """Names all that decides the bytes of the files, in 16 bytes."""
        encoding = (
            self.input_fidelity,
            self.output_format,
            self.output_compression,
            self.frame_count,
            self.frame_duration_ms,
        )
        text = "\x1f".join([*self.drawing_key, *map(str, encoding)])
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
