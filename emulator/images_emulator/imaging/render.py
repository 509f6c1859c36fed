"""Renders image files: pure functions from a request to bytes, the same in any process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from images_emulator.contract.operations import ImageKind
from images_emulator.contract.request import ImageRequest
from images_emulator.imaging import drawing, edits
from images_emulator.imaging.drawing import DrawFunction
from images_emulator.imaging.formats import OUTPUT_FORMATS, mode_of
from images_emulator.imaging.partial_images import partial_images

DRAW_FUNCTIONS: Final[Mapping[ImageKind | None, DrawFunction]] = {
    ImageKind.FROM_PROMPT: drawing.draw,
    ImageKind.EDIT: edits.edit,
    ImageKind.VARIATION: edits.vary,
}
"""The functions that draw a picture in its size, by its kind."""


def mimetype(request: ImageRequest) -> str:
    """The media type of the image files of *request*."""
    return OUTPUT_FORMATS[request.output_format].mimetype


def render_image(request: ImageRequest, index: int) -> bytes:
    """Render image *index* (from 0) of *request*, as a file."""
    return OUTPUT_FORMATS[request.output_format].write(
        request, index, DRAW_FUNCTIONS[request.operation.image_kind]
    )


def render_stream(request: ImageRequest, start: int = 0) -> Iterator[tuple[int | None, bytes]]:
    """Render the partial images of *request* from index *start* on, each with its index, then the
    final image with None, which is that of `render_image`. The image is drawn once."""
    encode = OUTPUT_FORMATS[request.output_format].encode
    assert encode, "the table lets no other format stream"
    image = DRAW_FUNCTIONS[request.operation.image_kind](request, 0)
    coarse = partial_images(image, mode_of(request), start, request.partial_images)
    for number, partial_image in enumerate(coarse, start):
        yield number, encode(request, partial_image, partial=number)
    yield None, encode(request, image)
