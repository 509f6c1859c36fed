"""The vocabulary for pictures that come with a call: files of a form, references in JSON."""

from __future__ import annotations

import base64
import binascii
import mimetypes
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emulator.contract import errors
from emulator.contract.errors import APIError, kind_of, listed
from emulator.contract.request import Darkroom, Picture, Upload
from emulator.contract.rules import Rule

MB = 2**20
"""The documentation does not say which megabyte it means."""

LONGEST_URL = 20_971_520
"""Characters of an `image_url`, from the specification."""

# Python 3.11's own table has no WebP; clients leave the type out or name only the file.
_BY_NAME = mimetypes.MimeTypes()
_BY_NAME.add_type("image/webp", ".webp")

Named = tuple[str, Any]


def mimetype_of(upload: Upload) -> str | None:
    """What the part says, or else what its file name says."""
    said = (upload.content_type or "").partition(";")[0].strip().lower()
    return said or _BY_NAME.guess_type(upload.filename)[0]


def _check_reference(name: str, value: Any) -> None:
    """`{"image_url": …}` or `{"file_id": …}`."""
    if not isinstance(value, Mapping):
        raise errors.wrong_type(name=name, expected="an object", got=kind_of(value))
    for key in value:
        if key not in ("image_url", "file_id"):
            raise errors.unknown_parameter(name=f"{name}.{key}")
    given = [key for key in ("image_url", "file_id") if value.get(key) is not None]
    if len(given) != 1:
        raise errors.not_one_reference(name=name)
    where, text = f"{name}.{given[0]}", value[given[0]]
    if not isinstance(text, str):
        raise errors.wrong_type(name=where, expected="a string", got=kind_of(text))
    if given[0] == "image_url":
        if len(text) > LONGEST_URL:
            raise errors.string_too_long(name=where, limit=LONGEST_URL, length=len(text))
        if not re.match(r"(?i)https?://[^/]|data:", text):
            raise errors.not_an_image_url(name=where)


def _data_of(url: str) -> bytes | None:
    """The bytes in a data URL, or None where they cannot be read."""
    head, comma, text = url.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        return None
    try:
        return base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        return None


def _open_reference(name: str, value: Mapping[str, Any], darkroom: Darkroom) -> Picture:
    if value.get("file_id") is not None:
        raise errors.no_such_file(file_id=value["file_id"])
    url: str = value["image_url"]
    if url[:5].lower() != "data:":
        return darkroom.stand_in(url)
    data = _data_of(url)
    picture = darkroom.develop(data) if data else None
    if not picture:
        raise errors.image_data_invalid(name=f"{name}.image_url")
    return picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Images(Rule):
    """The pictures to work on: `image` in a form, `images` in JSON.

    *below* is the first size in bytes that is too large. Where *mimetypes* is empty, the bytes
    alone decide. *json* says whether the model takes references.
    """

    required: bool = True
    nullable: bool = False
    most: int = 16
    below: int = 50 * MB
    mimetypes: tuple[str, ...] = ("image/jpeg", "image/png", "image/webp")
    json: bool = True

    def check(self, name: str, value: Any) -> None:
        if name == "images":
            self._check_references(name, value)
            return
        for upload in value if isinstance(value, list) else [value]:
            if not isinstance(upload, Upload):
                expected = "one of an array of files or file"
                raise errors.wrong_type(name=name, expected=expected, got=kind_of(upload))
        for where, upload in self._named(name, value):
            self._check_type(where, upload)
            if upload.size >= self.below:
                raise self._too_large(where, upload)

    def _named(self, name: str, value: Any) -> Iterator[Named]:
        """Each upload with the name that errors give it."""
        uploads = value if isinstance(value, list) else [value]
        if len(uploads) > self.most:
            raise errors.array_too_long(name=name, limit=self.most, length=len(uploads))
        for index, upload in enumerate(uploads):
            yield (f"{name}[{index}]" if isinstance(value, list) else name), upload

    def _check_references(self, name: str, value: Any) -> None:
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise errors.wrong_type(name=name, expected="an array of objects", got=kind_of(value))
        if not value:
            raise errors.empty_array(name=name)
        for where, reference in self._named(name, list(value)):
            _check_reference(where, reference)

    def _check_type(self, name: str, upload: Upload) -> None:
        said = mimetype_of(upload)
        if not self.mimetypes or said in self.mimetypes:
            return
        if said is None:
            raise errors.missing_mimetype(name=name)
        raise errors.unsupported_mimetype(name=name, mimetype=said, listed=listed(self.mimetypes))

    def _too_large(self, name: str, upload: Upload) -> APIError:
        return errors.file_too_large(name=name, limit=self.below, size=upload.size)

    def open(self, name: str, value: Any, darkroom: Darkroom) -> tuple[Picture, ...]:
        """The checked *value* as pictures. Raises APIError for one that is not usable."""
        if name == "images":
            return tuple(
                _open_reference(where, each, darkroom) for where, each in self._named(name, value)
            )
        uploads = value if isinstance(value, list) else [value]
        return tuple(self._open(number, each, darkroom) for number, each in enumerate(uploads, 1))

    def mask_of(self, pictures: tuple[Picture, ...]) -> Picture | None:
        """The mask of a call that brings none. Raises APIError where it should have."""
        return None

    def _open(self, number: int, upload: Upload, darkroom: Darkroom) -> Picture:
        picture = darkroom.develop(upload.data)
        if not picture:
            raise errors.image_undecodable(number=number)
        return picture

    def schema(self) -> dict[str, Any]:
        file = {"type": "string", "format": "binary"}
        return {"type": "array", "items": file, "minItems": 1, "maxItems": self.most}


@dataclass(frozen=True, slots=True, kw_only=True)
class SquarePNG(Images):
    """One square PNG, as dall-e-2 took it."""

    most: int = 1
    below: int = 4 * MB
    json: bool = False
    own_mask: bool = False

    def mask_of(self, pictures: tuple[Picture, ...]) -> Picture | None:
        """From the specification of 2022-12 to 2025-03: "If mask is not provided, image must have
        transparency, which will be used as the mask." """
        if not self.own_mask:
            return None
        if pictures[0].mode not in ("RGBA", "LA", "L"):
            raise errors.upload_opaque(mode=pictures[0].mode)
        return pictures[0] if pictures[0].has_holes else None

    def _too_large(self, name: str, upload: Upload) -> APIError:
        return errors.upload_not_png()

    def _open(self, number: int, upload: Upload, darkroom: Darkroom) -> Picture:
        picture = darkroom.develop(upload.data)
        if not picture or picture.format != "PNG":
            raise errors.upload_not_png()
        if picture.width != picture.height:
            raise errors.upload_not_square(width=picture.width, height=picture.height)
        return picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay(Rule):
    """A PNG with transparency, of the same size as the first picture: `mask` or `markup`.

    Its MIME type is not looked at. *holes* asks for at least one fully transparent pixel.
    """

    below: int = 4 * MB
    holes: bool = False

    def check(self, name: str, value: Any) -> None:
        if isinstance(value, Upload):
            if value.size >= self.below:
                raise errors.file_too_large(name=name, limit=self.below, size=value.size)
        elif isinstance(value, Mapping):
            _check_reference(name, value)
        else:
            raise errors.wrong_type(name=name, expected="a file", got=kind_of(value))

    def open(self, name: str, value: Any, first: Picture, darkroom: Darkroom) -> Picture:
        """The checked *value* as a picture that fits over *first*. Raises APIError."""
        if isinstance(value, Upload):
            picture = darkroom.develop(value.data)
        else:
            picture = _open_reference(name, value, darkroom)
        if not picture or picture.format != "PNG":
            raise errors.overlay_undecodable(name=name)
        if (picture.width, picture.height) != (first.width, first.height):
            raise errors.overlay_wrong_size(name=name)
        if not picture.has_alpha:
            raise errors.overlay_without_alpha(name=name)
        if self.holes and not picture.has_holes:
            raise errors.overlay_opaque(name=name)
        return picture

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "binary"}
