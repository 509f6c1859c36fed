"""Pictures that a form carries as files."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from functools import cache
from typing import Any

from images_emulator.contract import errors
from images_emulator.contract.calendar import AsOf, Period
from images_emulator.contract.errors import MAX_SHOWN_VALUE, APIError, Words, python_repr
from images_emulator.contract.operations import JSON_EDITS
from images_emulator.contract.pictures import LARGEST, MB, Forgive, OverlayRule, Pictures
from images_emulator.contract.references import OverlayReference, References
from images_emulator.contract.request import ImageLoader, Picture, Upload
from images_emulator.contract.rules import wrong_scalar


@cache
def _by_name() -> mimetypes.MimeTypes:
    known = mimetypes.MimeTypes()
    # Python 3.11's own table has no WebP; clients leave the type out or name only the file.
    known.add_type("image/webp", ".webp")
    return known


def mimetype_of(upload: Upload) -> str | None:
    """What the part says, or else what its file name says."""
    said = (upload.content_type or "").partition(";")[0].strip().lower()
    return said or _by_name().guess_type(upload.filename)[0]


def check_file(name: str, value: Any, expected: str) -> None:
    """Raises APIError where *value* is no file, or has no name; a file was *expected*, in words."""
    if not isinstance(value, Upload):
        # No recording shows how the older stack named the type of a file.
        raise wrong_scalar(name, value, expected, "file")
    if not value.filename:
        text = value.data[:MAX_SHOWN_VALUE].decode(errors="replace")
        raise errors.missing_filename(name=name, expected=expected, value=python_repr(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Images(Pictures):
    """`image`, `image[]` or `image[0]`, each smaller than *below* bytes.

    Where *mimetypes* is empty, the bytes alone decide. *json* says when the model takes references
    in JSON, if it ever does.
    """

    below: int = LARGEST
    mimetypes: tuple[str, ...] = ("image/jpeg", "image/png", "image/webp")
    json: Period | None = JSON_EDITS

    def check(self, name: str, value: Any) -> None:
        files = value if isinstance(value, list) else [value]
        expected = "a file" if isinstance(value, list) else "one of an array of files or file"
        for index, file in enumerate(files):
            where = f"{name}[{index}]" if isinstance(value, list) else name
            check_file(where, file, expected)
        for where, upload in self.named(name, value):
            self._check_type(where, upload)
            if upload.size >= self.below:
                raise self._too_large(where, upload)

    def _check_type(self, name: str, upload: Upload) -> None:
        said = mimetype_of(upload)
        if not self.mimetypes or said in self.mimetypes:
            return
        if said is None:
            raise errors.missing_mimetype(name=name)
        raise errors.unsupported_mimetype(name=name, mimetype=said, listed=Words(self.mimetypes))

    def _too_large(self, name: str, upload: Upload) -> APIError:
        return errors.file_too_large(name=name, limit=self.below, size=upload.size)

    def open_one(self, name: str, index: int, item: Any, loader: ImageLoader) -> Picture:
        picture = loader.decode(item.data) if isinstance(item, Upload) else None
        if not picture:
            raise errors.image_undecodable(number=index + 1)
        return picture

    def in_json(self, as_of: AsOf) -> Pictures | None:
        if self.json is None or as_of not in self.json:
            return None
        return References(most=self.most)

    def schema(self) -> dict[str, Any]:
        file = {"type": "string", "format": "binary"}
        return {"type": "array", "items": file, "minItems": 1, "maxItems": self.most}


@dataclass(frozen=True, slots=True, kw_only=True)
class SquarePNG(Images):
    """One square PNG, as dall-e-2 took it; with *own_mask*, its transparency can be the mask, and
    must be where there is no other. *modes* are those of its pixels; where empty, all are."""

    most: int = 1
    below: int = 4 * MB
    json: Period | None = None
    own_mask: bool = False
    modes: tuple[str, ...] = ()

    def check(self, name: str, value: Any) -> None:
        check_file(name, value, "a file")
        # `super()` without arguments does not survive slots.
        Images.check(self, name, value)

    def _too_large(self, name: str, upload: Upload) -> APIError:
        return errors.upload_not_png()

    def open_one(self, name: str, index: int, item: Any, loader: ImageLoader) -> Picture:
        picture = loader.decode(item.data) if isinstance(item, Upload) else None
        if not picture or picture.format != "PNG":
            raise errors.upload_not_png()
        if picture.width != picture.height:
            raise errors.upload_not_square(width=picture.width, height=picture.height)
        if not self.own_mask:
            self._check_mode(picture)
        return picture

    def _check_mode(self, picture: Picture) -> None:
        if self.modes and picture.mode not in self.modes:
            raise errors.upload_wrong_mode(listed=Words(self.modes), mode=picture.mode)

    def mask_of(self, pictures: tuple[Picture, ...], forgive: Forgive) -> Picture | None:
        """From the specification of 2022-12 to 2025-03: "If mask is not provided, image must have
        transparency, which will be used as the mask." """
        if not self.own_mask:
            return None
        try:
            self._check_mode(pictures[0])
        except APIError as error:
            forgive(error)
        return pictures[0] if pictures[0].has_transparent_pixels else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay(OverlayRule):
    """`mask` or `markup` as a file. Its MIME type is not looked at."""

    def check(self, name: str, value: Any) -> None:
        check_file(name, value, "a file")
        self.check_size(name, value.size)

    def decode(self, name: str, value: Any, first: Picture, loader: ImageLoader) -> Picture | None:
        return loader.decode(value.data)

    def in_json(self) -> OverlayRule:
        return OverlayReference(below=self.below, holes=self.holes)
