"""A hosted picture as it is stored: the request that it answers, from which it is drawn again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, Final

from images_emulator import imaging
from images_emulator.contract.errors import Violation
from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import OPERATIONS
from images_emulator.contract.request import ImageRequest, Picture
from images_emulator.state.store import Codec, Packed


@dataclass(frozen=True, slots=True)
class HostedPicture:
    """Picture *index* (from 0) of the answer to *request*."""

    request: ImageRequest
    index: int


def _pack(hosted: HostedPicture) -> Packed:
    """The bytes are the uploads, one after the other; the document has their lengths."""
    request = hosted.request
    files = imaging.decoder.files_of(request) if request.images else []
    values = {each.name: getattr(request, each.name) for each in fields(request)}
    special = {
        "operation": request.operation.name,
        "model": request.model.id,
        "images": [_description(each) for each in request.images],
        "mask": _description(request.mask),
        "markup": _description(request.markup),
        "forgiven": [[each.param, each.code] for each in request.forgiven],
        "as_of": request.as_of and request.as_of.isoformat(),
        "day": request.day and request.day.isoformat(),
    }
    document = {
        "request": values | special,
        "index": hosted.index,
        "file_bytes": [len(file) for file in files],
    }
    return Packed(document, b"".join(files))


def _description(picture: Picture | None) -> Mapping[str, Any] | None:
    if picture is None:
        return None
    names = ("format", "mode", "width", "height", "has_alpha", "digest")
    return {name: getattr(picture, name) for name in names}


def _unpack(packed: Packed) -> HostedPicture:
    start = 0
    files = []
    for length in packed.document["file_bytes"]:
        files.append(packed.data[start : start + length])
        start += length
    # They stand in the order of their descriptions.
    left = iter(files)

    def picture(description: Mapping[str, Any] | None) -> Picture | None:
        if description is None:
            return None
        return imaging.decoder.DecodedImage(data=next(left), pixels=None, **description)

    values = packed.document["request"]
    special = {
        "operation": OPERATIONS[values["operation"]],
        "model": MODELS[values["model"]],
        "size": tuple(values["size"]),
        "images": tuple(map(picture, values["images"])),
        "mask": picture(values["mask"]),
        "markup": picture(values["markup"]),
        "forgiven": tuple(Violation(*each) for each in values["forgiven"]),
        "as_of": values["as_of"] and date.fromisoformat(values["as_of"]),
        "day": values["day"] and date.fromisoformat(values["day"]),
    }
    return HostedPicture(ImageRequest(**{**values, **special}), packed.document["index"])


CODEC: Final = Codec(_pack, _unpack)
