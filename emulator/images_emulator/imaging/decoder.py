"""Decodes uploaded images of the formats and modes that the API accepts, in bounded memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import field, replace
from functools import cached_property
from io import BytesIO
from threading import Lock, RLock
from typing import Any, Final, NamedTuple
from weakref import finalize

from PIL import ExifTags, Image, ImageDraw

from images_emulator.contract.call_image import CallImage
from images_emulator.contract.request import ImageRequest
from images_emulator.contract.rules import Pixels
from images_emulator.imaging.decode_limits import (
    DEFAULT_LIMITS,
    UNLIMITED,
    DecodeLimits,
    bytes_to_decode,
    is_large,
)
from images_emulator.imaging.file_parts import png_size
from images_emulator.imaging.memory import TRIM_THRESHOLD_BYTES, trim_memory
from images_emulator.imaging.pillow_warnings import pillow_silenced
from images_emulator.imaging.scaled import TRANSPOSED_ORIENTATIONS, ScaledPixels, load
from images_emulator.imaging.transparent_colour import adapt_transparent_colour
from images_emulator.immutable import Immutable

INPUT_FORMATS: Final = ("PNG", "JPEG", "WEBP")
"""Formats of uploads, as Pillow calls them."""

INPUT_MODES: Final = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA"})
"""Modes of uploads, as Pillow calls them. The API refuses CMYK and greys of more than 8 bits:
"Invalid image file or mode"."""

PALETTE_MODES: Final = frozenset({"P", "PA"})
"""The modes of uploads whose pixels are indices into a palette."""

RAW_MODES: Final = frozenset({"L", "LA", "RGB", "RGBA"})
"""The modes whose pixels need no palette."""

MAX_HELD_PIXEL_BYTES: Final = 128 * 2**20
"""The most bytes of pixels that all uploads together may hold between validation and rendering. An
upload beyond that has its pixels released, and is decoded again for rendering."""

DECODE_LOCK: Final = Lock()
"""Held while an upload or a large own picture is decoded: a process decodes one of these at a time,
see `decode_limits.bytes_to_decode`."""

REQUEST_OVERHEAD_BYTES: Final = 1024
"""Bytes that a request holds besides its texts and uploads."""

VIOLATION_OVERHEAD_BYTES: Final = 256
"""Bytes that a forgiven mistake holds besides the name of its parameter."""

MAX_CHAR_BYTES: Final = 4
"""The most bytes that one character of a text takes in memory."""


class PixelBudget:
    """A budget of *size* bytes for decoded uploads. The caller releases the pixels of an image that
    does not fit. Threads may share it."""

    def __init__(self, size: int = MAX_HELD_PIXEL_BYTES) -> None:
        self.left = size
        # The garbage collector may release an image while this thread holds the lock.
        self._lock = RLock()

    def reserve(self, image: Image.Image) -> bool:
        """Reserve the bytes of *image* until it is garbage-collected, and return True. Return False
        where they do not fit into the budget."""
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


class _Decoded(NamedTuple):
    pixels: ScaledPixels
    format: str
    mode: str
    memory: int
    """The bytes that decoding took, approximately."""


def _decode(data: bytes, limits: DecodeLimits) -> _Decoded | None:
    """Call `_decode_file`, one call at a time. Where decoding took much memory, what is free again
    is given back to the system."""
    with DECODE_LOCK:
        decoded = _decode_file(data, limits)
        if decoded and decoded.memory > TRIM_THRESHOLD_BYTES:
            # The decoder takes memory in pieces that glibc keeps, because of `keep_memory`.
            trim_memory()
        return decoded


@pillow_silenced()
def _decode_file(data: bytes, limits: DecodeLimits) -> _Decoded | None:
    """The first frame, with the file's format and mode. None where *data* is no accepted image, or
    is past the *limits*. Raises MemoryError where there is no memory for it."""
    scans = limits.scans_within(data)
    if scans is None:
        return None
    try:
        with Image.open(BytesIO(data), formats=INPUT_FORMATS) as file:
            name, mode = str(file.format), file.mode
            # A phone's multi-picture JPEG opens as MPO, which the API was seen to refuse.
            if name not in INPUT_FORMATS or mode not in INPUT_MODES:
                return None
            if not limits.allows(file, scans):
                return None
            adapt_transparent_colour(file, data)
            memory = bytes_to_decode(file, scans)
            decoded = _Decoded(load(file), name, mode, memory)
            if mode in PALETTE_MODES:
                # An error here shows that the palette has no colours for the pixels.
                file.crop((0, 0, 1, 1)).convert("RGBA")
            return decoded
    except MemoryError:
        # The server is at fault, not the file.
        raise
    except Exception:  # noqa: BLE001 - hostile bytes raise whatever the decoder stumbles over
        return None


@pillow_silenced()
def pixels_of(data: bytes) -> Pixels | None:
    """Width and height of the image in the file *data*, upright, as its head has them. None where
    *data* is no image of an accepted format. No pixels are decoded.

    For a PNG, any size is returned. Its orientation may follow the pixels, and is not looked for.
    """
    if size := png_size(data):
        return size
    if DEFAULT_LIMITS.scans_within(data) is None:
        return None
    try:
        with Image.open(BytesIO(data), formats=INPUT_FORMATS) as file:
            width, height = file.size
            turned = file.getexif().get(ExifTags.Base.Orientation) in TRANSPOSED_ORIENTATIONS
    except Exception:  # noqa: BLE001 - hostile bytes raise whatever the decoder stumbles over
        return None
    return (height, width) if turned else (width, height)


class DecodedImage(Immutable):
    """A decoded upload; see `contract.call_image.CallImage`.

    *data* is the file. *pixels* are at the scale of `decode_limits.scale_of`. They are None once
    they were released; `image` then decodes them again.
    """

    data: bytes = field(repr=False)
    format: str
    mode: str
    width: int
    height: int
    has_alpha: bool
    digest: str
    """SHA-256 of *data*, in hex."""
    pixels: Image.Image | None = field(repr=False, compare=False)
    known_transparency: bool | None = field(default=None, repr=False, compare=False)
    """Whether any pixel of the file is fully transparent. None for a JPEG, which has no
    transparency, and where `pixels` can tell: the file is no WebP, and not scaled."""

    @property
    def image(self) -> Image.Image:
        """The image as a Pillow image, at its scale. It is decoded again where its pixels were
        released."""
        if self.pixels is not None:
            return self.pixels
        decoded = _decode(self.data, UNLIMITED)
        assert decoded, "these bytes were decoded before"
        return decoded.pixels.image

    @cached_property
    def has_transparent_pixels(self) -> bool:
        """Whether any pixel is fully transparent."""
        if not self.has_alpha:
            return False
        if self.known_transparency is not None:
            return self.known_transparency
        lowest, _ = self.image.convert("RGBA").getchannel("A").getextrema()
        return lowest == 0


def decode(
    data: bytes, budget: PixelBudget | None = None, limits: DecodeLimits = DEFAULT_LIMITS
) -> DecodedImage | None:
    """Decode *data* whole. None where it is no PNG, JPEG or WebP that is accepted, or is past the
    *limits*. The pixels are kept at their scale, if *budget* has room. Raises MemoryError where
    there is no memory to decode them."""
    decoded = _decode(data, limits)
    if not decoded:
        return None
    image, (width, height), known_transparency = decoded.pixels
    alpha = image.has_transparency_data
    pixels = image if not budget or budget.reserve(image) else None
    # Hashed here, in the decoding thread: hashing sixteen large uploads takes a second.
    digest = hashlib.sha256(data).hexdigest()
    return DecodedImage(
        data, decoded.format, decoded.mode, width, height, alpha, digest, pixels, known_transparency
    )


def restore(description: Mapping[str, Any], data: bytes) -> DecodedImage:
    """The image that *description* describes, without pixels, with *data* as its file.
    `ImageRequest.to_json` writes descriptions. Raises TypeError for anything else."""
    return DecodedImage(data=data, pixels=None, **description)


def pack(image: DecodedImage) -> tuple[Mapping[str, Any] | None, bytes]:
    """The data that another process needs for *image*, besides the description: the mode and size,
    and the raw pixels. An image with a palette or a transparent colour has None and the file
    instead, as does an image without pixels."""
    pixels = image.pixels
    if pixels is None or pixels.mode not in RAW_MODES or "transparency" in pixels.info:
        return None, image.data
    return {"mode": pixels.mode, "size": pixels.size}, pixels.tobytes()


def unpack(
    description: Mapping[str, Any], raw: Mapping[str, Any] | None, data: bytes
) -> DecodedImage:
    """The image from which `pack` made *raw* and *data*. Where *data* is raw pixels, the image's
    file is empty."""
    if raw is None:
        return restore(description, data)
    pixels = Image.frombytes(raw["mode"], tuple(raw["size"]), data)
    return DecodedImage(data=b"", pixels=pixels, **description)


def _white_png(width: int, height: int, *, hole: bool) -> bytes:
    """A white PNG with an alpha channel; where *hole*, with a round transparent hole in its
    middle."""
    image = Image.new("RGBA", (width, height), (255, 255, 255, 255))
    if hole:
        box = (width // 4, height // 4, width * 3 // 4, height * 3 // 4)
        ImageDraw.Draw(image).ellipse(box, fill=(0, 0, 0, 0))
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def blank_png() -> bytes:
    """A white PNG of 1024×1024, which replaces an invalid upload in lenient validation."""
    return _white_png(1024, 1024, hole=False)


def mask_png(width: int, height: int) -> bytes:
    """A white PNG with a round transparent hole, which replaces a mask that is not fetched."""
    return _white_png(width, height, hole=True)


def image_of(call_image: CallImage) -> Image.Image:
    """The pixels of an image that `decode` returned."""
    assert isinstance(call_image, DecodedImage)
    return call_image.image


def pixel_digest(call_image: CallImage) -> str:
    """A hash, in hex, of the pixels of an image that `decode` returned, at their scale. It is the
    same for two files with the same pixels, whatever their formats and modes. Two large files of
    different formats may differ. The size is not part of it."""
    image = image_of(call_image).convert("RGBA")
    return hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest()


def decoded_images(request: ImageRequest) -> list[DecodedImage]:
    """The uploads of *request*: images, mask and markup."""
    pictures = [*request.images, request.mask, request.markup]
    return [each for each in pictures if isinstance(each, DecodedImage)]


def upload_files_of(request: ImageRequest) -> list[bytes]:
    """The files of the uploads of *request*."""
    return [each.data for each in decoded_images(request)]


def needs_decoding(request: ImageRequest) -> bool:
    """Whether drawing *request* has to decode an upload whose pixels were released, or to scale a
    large one. Both take time, and memory that no two drawings should take at once."""
    return not request.own_pictures and any(
        each.pixels is None or is_large(*each.pixels.size) for each in decoded_images(request)
    )


def without_pixels(request: ImageRequest) -> ImageRequest:
    """*request* without the decoded pixels of its uploads, for the journal and for hosting."""
    if not request.images:
        return request
    return replace(
        request,
        images=tuple(map(_release_pixels, request.images)),
        mask=request.mask and _release_pixels(request.mask),
        markup=request.markup and _release_pixels(request.markup),
    )


def _release_pixels(call_image: CallImage) -> CallImage:
    assert isinstance(call_image, DecodedImage)
    return replace(call_image, pixels=None)


def add_and_weigh_holder(request: ImageRequest) -> int:
    """Note one more holder of *request*, and return the approximate number of bytes to count for
    it. The pixels of uploads are not counted, and own pictures are shared among holders: see
    `OwnPicture.add_and_weigh_holder`."""
    own_weight = sum(own.add_and_weigh_holder() for own in request.own_pictures or ())
    return _weight_without_own_pictures(request) + own_weight


def copy_weight(request: ImageRequest) -> int:
    """The approximate number of bytes of a copy of *request*. The pixels of uploads are not
    counted, and own pictures are counted whole."""
    own_weight = sum(own.weight for own in request.own_pictures or ())
    return _weight_without_own_pictures(request) + own_weight


def _weight_without_own_pictures(request: ImageRequest) -> int:
    texts = (request.prompt, request.user, request.safety_identifier, str(request.svg or ""))
    weight = REQUEST_OVERHEAD_BYTES + MAX_CHAR_BYTES * sum(len(text or "") for text in texts)
    for violation in request.forgiven:
        weight += VIOLATION_OVERHEAD_BYTES + MAX_CHAR_BYTES * len(violation.param or "")
    if not request.images:
        return weight
    return weight + sum(map(len, upload_files_of(request)))
