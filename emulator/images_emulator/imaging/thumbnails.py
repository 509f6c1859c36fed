"""Thumbnails: small pictures to look at, as JPEG, or as WebP where the picture is transparent.

Encoding a WebP takes twelve times as long as a JPEG, and ten times as long as the drawing. A
generated image is drawn small from its request, because shrinking it would take several times as
long. An edited image is shrunk, from its file where there is one: that takes a third of the time of
editing the upload again. An own picture is shrunk, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from typing import Final

from PIL import Image, UnidentifiedImageError

from images_emulator.contract.operations import ImageKind
from images_emulator.contract.request import ImageRequest
from images_emulator.contract.rules import Pixels
from images_emulator.imaging import fitting
from images_emulator.imaging.decode_limits import DEFAULT_LIMITS, DecodeLimits
from images_emulator.imaging.decoder import decode
from images_emulator.imaging.drawing import card_in, draw_scene
from images_emulator.imaging.formats import mode_of
from images_emulator.imaging.partial_images import partial_images
from images_emulator.imaging.render import DRAW_FUNCTIONS

EDGES: Final = (96, 480)
"""The longest edge of each thumbnail, in pixels: in a row of a list, and in a tile of a gallery. No
picture is enlarged."""

JPEG_START: Final = b"\xff\xd8"
"""The first bytes of a JPEG."""

JPEG_QUALITY: Final = 80
WEBP_QUALITY: Final = 75
WEBP_EFFORT: Final = 2
"""The encoder's effort. Effort 4 would take twice as long and save a tenth of the size."""

Thumbnails = Mapping[int, bytes]
"""The thumbnail files of one picture, by their longest edge: one for each of `EDGES`."""


def thumbnails(
    request: ImageRequest, index: int, partial: int | None = None, file: bytes | None = None
) -> Thumbnails:
    """Make the thumbnails of image *index* (from 0) of *request*, or of its partial image
    *partial*. *file* is that image, if it was encoded before.

    An animation shows its first frame, an SVG its scene. An own picture that cannot be opened is a
    grey area.
    """
    mode = mode_of(request)
    if request.own_pictures:
        return _files(fitting.view(request, index, partial))
    if file is not None and request.images:
        # An SVG cannot be opened.
        with suppress(UnidentifiedImageError), Image.open(BytesIO(file)) as opened:
            return _files(opened.convert(mode))
    image = _drawing(request, index, _fitted_size(request.size, max(EDGES)))
    if partial is not None:
        (coarse,) = partial_images(image, mode, partial, partial + 1)
        image = coarse.whole()
    return _files(image.convert(mode))


def upload_thumbnails(data: bytes, limits: DecodeLimits = DEFAULT_LIMITS) -> Thumbnails | None:
    """The thumbnails of an upload. None where *data* is no image that the API accepts, or is past
    the *limits*. Raises MemoryError where there is no memory for its pixels."""
    decoded = decode(data, limits=limits)
    if decoded is None:
        return None
    image = decoded.image
    return _files(image.convert("RGBA" if decoded.has_alpha else "RGB"))


def own_picture_thumbnails(data: bytes) -> Thumbnails | None:
    """The thumbnails of an own picture, unchanged from its file; None where it cannot be opened."""
    with suppress(ValueError):
        return _files(fitting.decoded_picture(data))
    return None


def thumbnail_media_type(thumbnail: bytes) -> str:
    """The media type of the file *thumbnail*."""
    return "image/jpeg" if thumbnail.startswith(JPEG_START) else "image/webp"


def _drawing(request: ImageRequest, index: int, size: Pixels) -> Image.Image:
    """The picture: in *size* where it can be drawn in any size, else in its own size."""
    kind = request.operation.image_kind
    if kind is ImageKind.FROM_PROMPT:
        return draw_scene(request, index, size, card_in((0, 0, *size), request, index))
    return DRAW_FUNCTIONS[kind](request, index)


def _files(image: Image.Image) -> Thumbnails:
    files = {}
    for edge in sorted(EDGES, reverse=True):
        size = _fitted_size(image.size, edge)
        if image.size != size:
            image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=1.0)
        file = BytesIO()
        if image.mode == "RGB":
            image.save(file, "JPEG", quality=JPEG_QUALITY)
        else:
            image.save(file, "WEBP", quality=WEBP_QUALITY, method=WEBP_EFFORT)
        files[edge] = file.getvalue()
    return files


def _fitted_size(size: Pixels, edge: int) -> Pixels:
    """*size* scaled down so that its longest edge has at most *edge* pixels."""
    scale = min(1.0, edge / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
