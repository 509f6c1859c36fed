"""A hosted picture as it is stored: the request that it answers, from which it is drawn again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from images_emulator import imaging
from images_emulator.contract.request import ImageRequest
from images_emulator.exchange.exchange_packing import pack_request, unpack_request
from images_emulator.state.store import Codec, Packed


@dataclass(frozen=True, slots=True)
class HostedPicture:
    """Picture *index* (from 0) of the answer to *request*."""

    request: ImageRequest
    index: int


def hosted_pictures(request: ImageRequest) -> Sequence[HostedPicture]:
    """The pictures of the answer to *request*, without the pixels of uploads. Of several own
    pictures each has only the one that it shows."""
    request = imaging.decoder.without_pixels(request)
    pictures = (HostedPicture(request, index) for index in range(request.n))
    own = request.own_pictures
    if not own or len(own) == 1:
        return [*pictures]
    return [
        replace(picture, request=replace(request, own_pictures=(own[picture.index % len(own)],)))
        for picture in pictures
    ]


def mean_weight(pictures: Sequence[HostedPicture], *, are_copied: bool) -> int:
    """The bytes that each of the *pictures* of one answer takes, about. Unless they *are_copied*,
    they have the uploads in common."""
    weigh = imaging.decoder.copy_weight if are_copied else imaging.decoder.add_and_weigh_holder
    weight = sum(weigh(each.request) for each in pictures)
    if not are_copied:
        uploads = sum(map(len, imaging.decoder.upload_files_of(pictures[0].request)))
        weight -= uploads * (len(pictures) - 1)
    return weight // len(pictures)


def _pack(hosted: HostedPicture) -> Packed:
    document, files = pack_request(hosted.request)
    return Packed({**document, "index": hosted.index}, files)


def _unpack(packed: Packed) -> HostedPicture:
    request = unpack_request(packed.document, packed.data)
    return HostedPicture(request, packed.document["index"])


CODEC: Final = Codec(_pack, _unpack)
"""Packs a hosted picture for the records in the store."""
