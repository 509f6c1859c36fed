"""Opens what a client sent, safely: only wanted formats, never more pixels than memory allows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from io import BytesIO
from threading import RLock
from typing import Final
from weakref import finalize

from PIL import Image, ImageDraw, ImageOps

from images_emulator.contract.request import ImageRequest, Picture
from images_emulator.imaging.file_parts import has_too_many_parts

INPUT_FORMATS: Final = ("PNG", "JPEG", "WEBP")

MODES: Final = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA"})
"""CMYK and deeper greys are refused, as "Invalid image file or mode" says."""

MOST_PIXELS: Final = 64_000_000
"""Not documented: a bound for memory, above all that any model can give back."""

LONGEST_EDGE: Final = 16_384

KEPT_PIXELS: Final = 2048 * 2048
"""A larger upload is proven to decode and then rests until it is drawn, so that sixteen of them
are never in memory at once."""

MAX_DECODED_BYTES: Final = 128 * 2**20
"""What all uploads together may take that are kept decoded until they are drawn."""


class PixelBudget:
    """Bounds the memory of decoded uploads: those past *size* bytes rest like the large ones."""

    def __init__(self, size: int = MAX_DECODED_BYTES) -> None:
        self.left = size
        # The collector may release an image while this thread holds it.
        self._lock = RLock()

    def admits(self, image: Image.Image) -> bool:
        """Whether *image* may stay; its bytes count until it is let go of."""
        weight = image.width * image.height * (1 if image.mode in ("1", "L", "P") else 4)
        with self._lock:
            if weight > self.left:
                return False
            self.left -= weight
        finalize(image, self._release, weight).atexit = False
        return True

    def _release(self, weight: int) -> None:
        with self._lock:
            self.left += weight


def _decode(data: bytes) -> tuple[Image.Image, str, str] | None:
    """The first frame, upright, with the file's format and mode; or None where *data* is no usable
    picture. Raises MemoryError where there is no room for it."""
    if has_too_many_parts(data):
        return None
    try:
        with Image.open(BytesIO(data), formats=INPUT_FORMATS) as file:
            name, mode, (width, height) = str(file.format), file.mode, file.size
            # A phone's multi-picture JPEG opens as MPO, which the API was seen to refuse.
            if name not in INPUT_FORMATS or mode not in MODES:
                return None
            if width * height > MOST_PIXELS or max(width, height) > LONGEST_EDGE:
                return None
            file.load()
            return ImageOps.exif_transpose(file), name, mode
    except MemoryError:
        # The server's fault, not the file's.
        raise
    except Exception:  # noqa: BLE001 - hostile bytes raise whatever the decoder stumbles over
        return None


@dataclass(frozen=True)
class DecodedImage:
    """A decoded upload; see `contract.request.Picture`.

    A resting one has let go of its pixels and decodes its *data* again when it is asked for them.
    """

    data: bytes = field(repr=False)
    format: str
    mode: str
    width: int
    height: int
    has_alpha: bool
    digest: str
    pixels: Image.Image | None = field(repr=False, compare=False)

    @property
    def image(self) -> Image.Image:
        if self.pixels is not None:
            return self.pixels
        decoded = _decode(self.data)
        assert decoded, "these bytes were decoded before"
        return decoded[0]

    @cached_property
    def has_transparent_pixels(self) -> bool:
        if not self.has_alpha:
            return False
        lowest, _ = self.image.convert("RGBA").getchannel("A").getextrema()
        return lowest == 0


def decode(data: bytes, budget: PixelBudget | None = None) -> DecodedImage | None:
    """Decode *data* whole, or None where it is no PNG, JPEG or WebP that can be used. The pixels
    are kept within *budget*. Raises MemoryError where there is no room for them at all."""
    decoded = _decode(data)
    if not decoded:
        return None
    image, name, mode = decoded
    alpha = image.has_transparency_data
    small = image.width * image.height <= KEPT_PIXELS
    kept = image if small and (not budget or budget.admits(image)) else None
    # Taken here, by the thread that decodes: of sixteen large uploads it takes a second.
    digest = hashlib.sha256(data).hexdigest()
    return DecodedImage(data, name, mode, image.width, image.height, alpha, digest, kept)


def _sheet(width: int, height: int, *, hole: bool) -> bytes:
    """A white PNG with an alpha channel, and a round hole in its middle where one is asked for."""
    image = Image.new("RGBA", (width, height), (255, 255, 255, 255))
    if hole:
        box = (width // 4, height // 4, width * 3 // 4, height * 3 // 4)
        ImageDraw.Draw(image).ellipse(box, fill=(0, 0, 0, 0))
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def blank() -> bytes:
    """A white picture, in place of one that cannot be used."""
    return _sheet(1024, 1024, hole=False)


def pierced(width: int, height: int) -> bytes:
    """A mask, in place of one that is not fetched."""
    return _sheet(width, height, hole=True)


def image_of(picture: Picture) -> Image.Image:
    """The pixels of a picture that this module has developed."""
    assert isinstance(picture, DecodedImage)
    return picture.image


def files_of(request: ImageRequest) -> list[bytes]:
    """The files of the uploads of *request*."""
    pictures = [*request.images, request.mask, request.markup]
    return [each.data for each in pictures if isinstance(each, DecodedImage)]


def needs_decoding(request: ImageRequest) -> bool:
    """Whether any upload of *request* has to be decoded again before it can be drawn."""
    pictures = [*request.images, request.mask, request.markup]
    return any(isinstance(each, DecodedImage) and each.pixels is None for each in pictures)


def without_pixels(request: ImageRequest) -> ImageRequest:
    """The same request with its uploads at rest, to be kept for long."""
    photographs = [each for each in request.images if isinstance(each, DecodedImage)]
    mask, markup = (
        replace(each, pixels=None) if isinstance(each, DecodedImage) else None
        for each in (request.mask, request.markup)
    )
    images = tuple(replace(each, pixels=None) for each in photographs)
    return replace(request, images=images, mask=mask, markup=markup)


def weight_of(request: ImageRequest) -> int:
    """Bytes that a resting *request* holds, about."""
    # A character may take four bytes.
    words = (request.prompt, request.user, request.safety_identifier, str(request.svg or ""))
    told = 1024 + 4 * sum(len(word or "") for word in words)
    for violation in request.forgiven:
        told += 256 + 4 * len(violation.param or "")
    if not request.images:
        return told
    return told + sum(map(len, files_of(request)))
