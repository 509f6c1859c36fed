"""Rules for images that come with a call: the common part for forms and for JSON."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Final

from images_emulator.contract import errors
from images_emulator.contract.call_image import CallImage, ImageLoader
from images_emulator.contract.refusal import APIError
from images_emulator.contract.rules import Rule

MEBIBYTE: Final = 2**20
"""Bytes of a megabyte; the documentation does not say which one it means."""

IMAGE_BYTES_LIMIT: Final = 50 * MEBIBYTE
"""Images must be smaller than this, for any model."""

MAX_INPUT_IMAGES: Final = 16
"""The most input images of one edit."""

RaiseOrForgive = Callable[[APIError], None]
"""Raises the error of an image, or forgives it. A blank image then replaces the image."""


class InputImages(Rule, ABC, kw_only=True):
    """`image` or `images`: the images to edit, at most *max_items*. A form carries files, a JSON
    body carries references. Each has its own rule; `json_rule` gives the rule for JSON."""

    required: bool = True
    nullable: bool = False
    max_items: int = MAX_INPUT_IMAGES

    def from_text(self, name: str, text: str) -> Any:
        return text

    def named_items(self, name: str, value: Any) -> Iterator[tuple[str, Any]]:
        """The items of *value*, each with its name in errors: `image[0]`, or `image` for a single
        item. Raises APIError for too many items."""
        items = value if isinstance(value, list) else [value]
        if len(items) > self.max_items:
            raise errors.array_too_long(name=name, limit=self.max_items, length=len(items))
        for index, item in enumerate(items):
            yield (f"{name}[{index}]" if isinstance(value, list) else name), item

    def load(
        self, name: str, value: Any, loader: ImageLoader, raise_or_forgive: RaiseOrForgive
    ) -> tuple[CallImage, ...]:
        """The decoded images of the checked *value*, at most *max_items*: too many may be
        forgiven."""
        images: list[CallImage] = []
        items = value if isinstance(value, list) else [value]
        for index, item in enumerate(items[: self.max_items]):
            try:
                images.append(self.load_one(name, index, item, loader))
            except APIError as error:
                raise_or_forgive(error)
                images.append(loader.blank())
        # An empty array may be forgiven.
        return tuple(images) or (loader.blank(),)

    @abstractmethod
    def load_one(self, name: str, index: int, item: Any, loader: ImageLoader) -> CallImage:
        """The decoded image of one *item*. Raises APIError where *item* is no image."""

    def mask_of(
        self, images: tuple[CallImage, ...], raise_or_forgive: RaiseOrForgive
    ) -> CallImage | None:
        """The mask of a call without `mask`: the first of *images*, where the rule takes its
        transparent pixels for a mask; else None."""
        return None


class OverlayRule(Rule, ABC, kw_only=True):
    """`mask` or `markup`: a PNG with an alpha channel, of the same size as the first input image.

    It must have less than *size_limit* bytes, and with *needs_transparency* at least one fully
    transparent pixel.
    """

    size_limit: int = 4 * MEBIBYTE
    needs_transparency: bool = False

    @abstractmethod
    def decode(
        self, name: str, value: Any, first: CallImage, loader: ImageLoader
    ) -> CallImage | None:
        """The decoded image of *value*, or None where *value* is no image. *first* is the first
        input image."""

    def load(self, name: str, value: Any, first: CallImage, loader: ImageLoader) -> CallImage:
        """The decoded image of the checked *value*. Raises APIError where it does not fit over
        *first*, the first input image."""
        image = self.decode(name, value, first, loader)
        if not image or image.format != "PNG":
            raise errors.overlay_undecodable(name=name)
        if (image.width, image.height) != (first.width, first.height):
            raise errors.overlay_wrong_size(name=name)
        if not image.has_alpha:
            raise errors.overlay_without_alpha(name=name)
        if self.needs_transparency and not image.has_transparent_pixels:
            raise errors.overlay_opaque(name=name)
        return image

    def check_size(self, name: str, size: int) -> None:
        """Raises APIError for a file of *size* bytes that is too large."""
        if size >= self.size_limit:
            raise errors.file_too_large(name=name, limit=self.size_limit, size=size)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "binary"}
