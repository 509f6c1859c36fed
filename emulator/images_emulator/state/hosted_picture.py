"""A hosted picture as it is stored: the request that it answers, from which it is drawn again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from images_emulator.contract.request import ImageRequest
from images_emulator.exchange.exchange_packing import pack_request, unpack_request
from images_emulator.state.store import Codec, Packed


@dataclass(frozen=True, slots=True)
class HostedPicture:
    """Picture *index* (from 0) of the answer to *request*."""

    request: ImageRequest
    index: int


def _pack(hosted: HostedPicture) -> Packed:
    document, files = pack_request(hosted.request)
    return Packed({**document, "index": hosted.index}, files)


def _unpack(packed: Packed) -> HostedPicture:
    request = unpack_request(packed.document, packed.data)
    return HostedPicture(request, packed.document["index"])


CODEC: Final = Codec(_pack, _unpack)
"""For the store's records."""
