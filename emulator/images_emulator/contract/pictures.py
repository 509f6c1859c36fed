"""What all rules for pictures that come with a call have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from images_emulator.contract import errors
from images_emulator.contract.calendar import AsOf
from images_emulator.contract.errors import APIError
from images_emulator.contract.request import ImageLoader, Picture
from images_emulator.contract.rules import Rule

MB: Final = 2**20
"""The documentation does not say which megabyte it means."""

LARGEST: Final = 50 * MB
"""The first size in bytes that is too large for any picture."""

MOST: Final = 16
"""The pictures that one edit may bring."""

Forgive = Callable[[APIError], None]
"""Raises the error, or keeps it where mistakes are forgiven; then the picture is a blank one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures(Rule, ABC):
    """The pictures to work on, at most *most* of them. What a form and a JSON body carry are two
    rules; *in_json* gives the other one."""

    required: bool = True
    nullable: bool = False
    most: int = MOST

    def coerce(self, name: str, text: str) -> Any:
        return text

    def named(self, name: str, value: Any) -> Iterator[tuple[str, Any]]:
        """Each picture of *value* with the name that errors give it. Raises APIError for too
        many."""
        items = value if isinstance(value, list) else [value]
        if len(items) > self.most:
            raise errors.array_too_long(name=name, limit=self.most, length=len(items))
        for index, item in enumerate(items):
            yield (f"{name}[{index}]" if isinstance(value, list) else name), item

    def open(
        self, name: str, value: Any, loader: ImageLoader, forgive: Forgive
    ) -> tuple[Picture, ...]:
        """The checked *value* as pictures."""
        opened: list[Picture] = []
        items = value if isinstance(value, list) else [value]
        for index, item in enumerate(items):
            try:
                opened.append(self.open_one(name, index, item, loader))
            except APIError as error:
                forgive(error)
                opened.append(loader.blank())
        # An empty array, forgiven.
        return tuple(opened) or (loader.blank(),)

    @abstractmethod
    def open_one(self, name: str, index: int, item: Any, loader: ImageLoader) -> Picture:
        """One of them. Raises APIError where it cannot be used."""

    def mask_of(self, pictures: tuple[Picture, ...], forgive: Forgive) -> Picture | None:
        """The mask of a call that brings none."""
        return None

    def in_json(self, as_of: AsOf) -> Pictures | None:
        """The rule for a JSON body, or None where the model takes none on that day."""
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayRule(Rule, ABC):
    """A PNG with transparency, of the same size as the first picture: `mask` or `markup`.

    *below* is the first size in bytes that is too large; *holes* asks for at least one fully
    transparent pixel.
    """

    below: int = 4 * MB
    holes: bool = False

    def coerce(self, name: str, text: str) -> Any:
        return text

    @abstractmethod
    def decode(self, name: str, value: Any, first: Picture, loader: ImageLoader) -> Picture | None:
        """The picture in *value*, or None where there is none."""

    def open(self, name: str, value: Any, first: Picture, loader: ImageLoader) -> Picture:
        """The checked *value* as a picture that fits over *first*. Raises APIError."""
        picture = self.decode(name, value, first, loader)
        if not picture or picture.format != "PNG":
            raise errors.overlay_undecodable(name=name)
        if (picture.width, picture.height) != (first.width, first.height):
            raise errors.overlay_wrong_size(name=name)
        if not picture.has_alpha:
            raise errors.overlay_without_alpha(name=name)
        if self.holes and not picture.has_transparent_pixels:
            raise errors.overlay_opaque(name=name)
        return picture

    def check_size(self, name: str, size: int) -> None:
        if size >= self.below:
            raise errors.file_too_large(name=name, limit=self.below, size=size)

    def in_json(self) -> OverlayRule:
        """The rule for a JSON body."""
        return self

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "binary"}
