"""Rules for images that a form carries as files."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from mimetypes import MimeTypes
from os.path import splitext
from typing import Any

from images_emulator.contract import errors
from images_emulator.contract.calendar import AsOf, Period
from images_emulator.contract.call_image import CallImage, ImageLoader
from images_emulator.contract.image_rules import (
    IMAGE_BYTES_LIMIT,
    MEBIBYTE,
    InputImages,
    OverlayRule,
    RaiseOrForgive,
)
from images_emulator.contract.message_format import MAX_SHOWN_VALUE, Words, python_repr
from images_emulator.contract.operations import JSON_EDITS_DAYS
from images_emulator.contract.references import ImageReferences, ReferencedOverlay
from images_emulator.contract.refusal import APIError
from images_emulator.contract.request import Upload
from images_emulator.contract.rules import wrong_scalar_error


@cache
def _types_by_extension() -> Mapping[str, str]:
    """The media types of Python's own table, by the extension in lower case with its point."""
    # Python 3.11's own table has no WebP.
    return {**MimeTypes().types_map[True], ".webp": "image/webp"}


def mimetype_of(upload: Upload) -> str | None:
    """The media type in the part's `Content-Type`, or else the type of the file name's extension.
    None where there is neither, or the extension is not known."""
    media_type = (upload.content_type or "").partition(";")[0].strip().lower()
    # `guess_type` would parse the name as a URL, and raise ValueError for `//[.png`.
    return media_type or _types_by_extension().get(splitext(upload.filename)[1].lower())


def check_file(name: str, value: Any, expected: str) -> None:
    """Raises APIError where *value* is no file, or a file without a name. *expected* is the right
    type in the words of the message."""
    if not isinstance(value, Upload):
        # No recording shows how the older stack named the type of a file.
        raise wrong_scalar_error(name, value, expected, "file")
    if not value.filename:
        text = value.data[:MAX_SHOWN_VALUE].decode(errors="replace")
        raise errors.missing_filename(name=name, expected=expected, value=python_repr(text))


class UploadedImages(InputImages, kw_only=True):
    """`image`, `image[]` or `image[0]`: files of less than *size_limit* bytes each.

    *mimetypes* are the accepted media types; empty: all of them. *json_period*: the days on
    which the model reads references in JSON; None: none.
    """

    size_limit: int = IMAGE_BYTES_LIMIT
    mimetypes: tuple[str, ...] = ("image/jpeg", "image/png", "image/webp")
    json_period: Period | None = JSON_EDITS_DAYS

    def check_at_gateway(self, name: str, value: Any) -> None:
        files = value if isinstance(value, list) else [value]
        expected = "a file" if isinstance(value, list) else "one of an array of files or file"
        for index, file in enumerate(files):
            where = f"{name}[{index}]" if isinstance(value, list) else name
            check_file(where, file, expected)
        for where, upload in self.named_items(name, value):
            self._check_type(where, upload)
            if upload.size >= self.size_limit:
                raise self._too_large(where, upload)

    def _check_type(self, name: str, upload: Upload) -> None:
        mimetype = mimetype_of(upload)
        if not self.mimetypes or mimetype in self.mimetypes:
            return
        if mimetype is None:
            raise errors.missing_mimetype(name=name)
        supported = Words(self.mimetypes)
        raise errors.unsupported_mimetype(name=name, mimetype=mimetype, listed=supported)

    def _too_large(self, name: str, upload: Upload) -> APIError:
        return errors.file_too_large(name=name, limit=self.size_limit, size=upload.size)

    def load_one(self, name: str, index: int, item: Any, loader: ImageLoader) -> CallImage:
        image = loader.decode(item.data) if isinstance(item, Upload) else None
        if not image:
            raise errors.image_undecodable(number=index + 1, index=index)
        return image

    def json_rule(self, as_of: AsOf) -> InputImages | None:
        if self.json_period is None or as_of not in self.json_period:
            return None
        return ImageReferences(max_items=self.max_items)

    def schema(self) -> dict[str, Any]:
        file = {"type": "string", "format": "binary"}
        return {"type": "array", "items": file, "minItems": 1, "maxItems": self.max_items}


class SquarePNG(UploadedImages, kw_only=True):
    """One square PNG, the upload of dall-e-2. With *alpha_is_mask* its transparent pixels are the
    mask of a call without `mask`. *modes* are the accepted pixel modes; empty: all of them."""

    max_items: int = 1
    size_limit: int = 4 * MEBIBYTE
    json_period: Period | None = None
    alpha_is_mask: bool = False
    modes: tuple[str, ...] = ()

    def check_at_gateway(self, name: str, value: Any) -> None:
        check_file(name, value, "a file")
        super().check_at_gateway(name, value)

    def _too_large(self, name: str, upload: Upload) -> APIError:
        return errors.upload_not_png()

    def load_one(self, name: str, index: int, item: Any, loader: ImageLoader) -> CallImage:
        image = loader.decode(item.data) if isinstance(item, Upload) else None
        if not image or image.format != "PNG":
            raise errors.upload_not_png()
        if image.width != image.height:
            raise errors.upload_not_square(width=image.width, height=image.height)
        if not self.alpha_is_mask:
            self._check_mode(image)
        return image

    def _check_mode(self, image: CallImage) -> None:
        if self.modes and image.mode not in self.modes:
            raise errors.upload_wrong_mode(listed=Words(self.modes), mode=image.mode)

    def mask_of(
        self, images: tuple[CallImage, ...], raise_or_forgive: RaiseOrForgive
    ) -> CallImage | None:
        """The image itself, where its transparent pixels are the mask. "If mask is not provided,
        image must have transparency, which will be used as the mask", says the specification from
        2022-12 to 2025-03."""
        if not self.alpha_is_mask:
            return None
        try:
            self._check_mode(images[0])
        except APIError as error:
            raise_or_forgive(error)
        return images[0] if images[0].has_transparent_pixels else None


class UploadedOverlay(OverlayRule, kw_only=True):
    """`mask` or `markup` as a file, of any media type."""

    def check_at_gateway(self, name: str, value: Any) -> None:
        check_file(name, value, "a file")
        self.check_size(name, value.size)

    def decode(
        self, name: str, value: Any, first: CallImage, loader: ImageLoader
    ) -> CallImage | None:
        return loader.decode(value.data)

    def json_rule(self, as_of: AsOf) -> OverlayRule:
        return ReferencedOverlay(
            size_limit=self.size_limit, needs_transparency=self.needs_transparency
        )
