"""From a request to encoded pictures. The same request gives the same bytes in any process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from images_emulator.contract.operations import Drawing
from images_emulator.contract.request import ImageRequest
from images_emulator.imaging import drawing, edits
from images_emulator.imaging.formats import OUTPUT_FORMATS, Artist, mode_of
from images_emulator.imaging.partial_images import partial_images

_ARTISTS: Final[Mapping[Drawing | None, Artist]] = {
    Drawing.FROM_PROMPT: drawing.draw,
    Drawing.EDIT: edits.edit,
    Drawing.VARIATION: edits.vary,
}


def mimetype(request: ImageRequest) -> str:
    """The media type of the pictures that *request* gets."""
    return OUTPUT_FORMATS[request.output_format].mimetype


def render_image(request: ImageRequest, index: int) -> bytes:
    """The picture number *index* (from 0) of *request*, as a file."""
    return OUTPUT_FORMATS[request.output_format].write(
        request, index, _ARTISTS[request.operation.drawing]
    )


def render_stream(request: ImageRequest, start: int = 0) -> Iterator[tuple[int | None, bytes]]:
    """The partial images of *request* from number *start* on, each with its number, then the very
    file of `render` with None. All are of one drawing."""
    encode = OUTPUT_FORMATS[request.output_format].encode
    assert encode, "the table lets no other format stream"
    image = _ARTISTS[request.operation.drawing](request, 0)
    coarse = partial_images(image, mode_of(request), start, request.partial_images)
    for number, preview in enumerate(coarse, start):
        yield number, encode(request, preview, partial=number)
    yield None, encode(request, image)
