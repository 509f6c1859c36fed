"""Renders image files by pure functions from a request to bytes. They are deterministic, with the
same result in any process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from PIL import Image

from images_emulator.contract.operations import ImageKind
from images_emulator.contract.request import ImageRequest
from images_emulator.imaging import drawing
from images_emulator.imaging.drawing import DrawFunction
from images_emulator.imaging.formats import OUTPUT_FORMATS, format_of, mode_of
from images_emulator.imaging.partial_images import partial_images


def _edit(request: ImageRequest, index: int, phase: float = 0.0) -> Image.Image:
    from images_emulator.imaging import edits  # noqa: PLC0415 - it delays the first picture

    return edits.edit(request, index, phase)


def _vary(request: ImageRequest, index: int, phase: float = 0.0) -> Image.Image:
    from images_emulator.imaging import edits  # noqa: PLC0415 - it delays the first picture

    return edits.vary(request, index, phase)


DRAW_FUNCTIONS: Final[Mapping[ImageKind | None, DrawFunction]] = {
    ImageKind.FROM_PROMPT: drawing.draw,
    ImageKind.EDIT: _edit,
    ImageKind.VARIATION: _vary,
}
"""The functions that draw a picture in its size, by the kind of the picture."""


UNKNOWN_MEDIA_TYPE: Final = "application/octet-stream"
"""The media type of a file that is sent unchanged and has no output format."""


def media_type(request: ImageRequest, index: int = 0, partial: int | None = None) -> str:
    """The media type of the file of image *index* of *request*, or of its partial image
    *partial*."""
    own = request.own_picture(index)
    if own and (file := own.verbatim_file(partial)):
        output_format = format_of(file)
        return output_format.file_type.media_type if output_format else UNKNOWN_MEDIA_TYPE
    return OUTPUT_FORMATS[request.output_format].file_type.media_type


def draw_function(request: ImageRequest) -> DrawFunction:
    """The function that draws the images of *request* in their size, for one file."""
    if request.own_pictures:
        from images_emulator.imaging import fitting  # noqa: PLC0415 - it delays the first picture

        return fitting.OwnDrawing()
    return DRAW_FUNCTIONS[request.operation.image_kind]


def render_image(request: ImageRequest, index: int) -> bytes:
    """Render image *index* (from 0) of *request*, as a file."""
    own = request.own_picture(index)
    if own and (file := own.verbatim_file()):
        return file
    return OUTPUT_FORMATS[request.output_format].render(request, index, draw_function(request))


def render_stream(request: ImageRequest, start: int = 0) -> Iterator[tuple[int | None, bytes]]:
    """Render the partial images of *request* from index *start* on, each with its index. The final
    image follows with None; it is the same as from `render_image`. The image is drawn once."""
    encode = OUTPUT_FORMATS[request.output_format].encode
    assert encode, "the table lets no other format stream"
    draw = draw_function(request)
    if own := request.own_picture(0):
        from images_emulator.imaging import fitting  # noqa: PLC0415 - it delays the first picture

        for number in range(start, request.partial_images):
            if file := own.verbatim_file(number):
                yield number, file
            else:
                partial_image = fitting.draw_partial(request, 0, number, draw)
                yield number, encode(request, partial_image, partial=number)
        yield None, own.verbatim_file() or encode(request, draw(request, 0))
        return
    image = draw(request, 0)
    coarse = partial_images(image, mode_of(request), start, request.partial_images)
    for number, partial_image in enumerate(coarse, start):
        yield number, encode(request, partial_image, partial=number)
    yield None, encode(request, image)
