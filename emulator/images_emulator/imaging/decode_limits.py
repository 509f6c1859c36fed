"""The limits of decoding: the pixels, parts and scans of a picture, and the memory that it
takes."""

from __future__ import annotations

import sys
from io import BytesIO
from typing import Final

from PIL import Image
from PIL.JpegImagePlugin import get_sampling

from images_emulator.imaging.file_parts import has_second_head, scans_of, webp_size
from images_emulator.imaging.pillow_warnings import pillow_silenced
from images_emulator.immutable import Immutable
from images_emulator.settings import Settings

MAX_EDGE: Final = 16_384
"""The most pixels along the longer edge of a picture."""

MIN_SCALED_PIXELS: Final = 2**22
"""The least pixels of a picture at the scale at which it is kept, such as 2048×2048. A picture with
fewer pixels is not scaled."""

PIXEL_BYTES: Final = 4
"""Bytes of a pixel in memory, in any mode with several channels."""

WEBP_PIXEL_BYTES: Final = 12
"""Bytes of a pixel while a WebP is decoded: the decoder holds two canvases in addition to the
frame."""

COEFFICIENT_BYTES: Final = 2
"""Bytes of each component of a pixel while a JPEG of several scans is decoded. The decoder holds
the coefficients of all components."""

SAMPLING_BYTES: Final = {1: 2 * COEFFICIENT_BYTES, 2: COEFFICIENT_BYTES * 3 // 2}
"""Bytes of a pixel's three components in such a JPEG, by Pillow's number of its sampling: 1 is
4:2:2, 2 is 4:2:0."""


def is_large(width: int, height: int) -> bool:
    """Whether a picture has more pixels than `MIN_SCALED_PIXELS`."""
    return width * height > MIN_SCALED_PIXELS


def scale_of(width: int, height: int) -> int:
    """The divisor of a picture's edges at the scale at which it is kept, a power of 2. It is
    1 for a picture of fewer than four times `MIN_SCALED_PIXELS` pixels."""
    scale = 1
    while width * height // (2 * scale) ** 2 >= MIN_SCALED_PIXELS:
        scale *= 2
    return scale


class DecodeLimits(Immutable, kw_only=True):
    """The limits of decoding. See the settings `max_pixels`, `max_call_pixels`, `decode_bytes`,
    `max_chunks` and `max_scans`."""

    max_pixels: int
    max_call_pixels: int
    decode_bytes: int
    max_chunks: int
    max_scans: int

    @classmethod
    def from_settings(cls, settings: Settings) -> DecodeLimits:
        """The limits that the *settings* set."""
        return cls(
            max_pixels=settings.max_pixels,
            max_call_pixels=settings.max_call_pixels,
            decode_bytes=settings.decode_bytes,
            max_chunks=settings.max_chunks,
            max_scans=settings.max_scans,
        )

    def scans_within(self, data: bytes) -> tuple[int, ...] | None:
        """The result of `file_parts.scans_of` for the file *data*. None where it has too many parts
        or scans, is a WebP too large to be opened, or is a PNG with two sizes."""
        size = webp_size(data)
        if size and (
            not self._allows_size(*size) or self.decode_bytes < size[0] * size[1] * WEBP_PIXEL_BYTES
        ):
            return None
        if data.startswith(b"RIFF") and not size:
            return None
        scans = scans_of(data, self.max_chunks, self.max_scans)
        return None if scans is None or has_second_head(data) else tuple(scans)

    def allows(self, file: Image.Image, scans: tuple[int, ...]) -> bool:
        """Whether the opened *file* with these *scans* may be decoded."""
        return self._allows_size(*file.size) and bytes_to_decode(file, scans) <= self.decode_bytes

    @pillow_silenced()
    def exceeded_setting(self, data: bytes) -> str | None:
        """The setting whose limit the file *data* exceeds, after `scans_within` or `allows` refused
        it. None where another reason refused it, such as damage or the length of an edge."""
        if scans_of(data, self.max_chunks, sys.maxsize) is None:
            return "max_chunks"
        if (scans := scans_of(data, self.max_chunks, self.max_scans)) is None:
            return "max_scans"
        size = webp_size(data)
        if size:  # it is not opened: Pillow makes room for all of it
            memory = _bytes_to_decode_webp(*size)
        else:
            try:
                with Image.open(BytesIO(data), formats=("PNG", "JPEG")) as file:
                    size, memory = file.size, bytes_to_decode(file, tuple(scans))
            except Exception:  # noqa: BLE001 - hostile bytes raise whatever the decoder stumbles over
                return None
        if size[0] * size[1] > self.max_pixels:
            return "max_pixels"
        return "decode_bytes" if memory > self.decode_bytes else None

    def _allows_size(self, width: int, height: int) -> bool:
        return width * height <= self.max_pixels and max(width, height) <= MAX_EDGE


def bytes_to_decode(file: Image.Image, scans: tuple[int, ...]) -> int:
    """The bytes that decoding the opened *file* takes, approximately, including its pixels at their
    scale."""
    pixels = file.width * file.height
    raster = _bytes_at_scale(*file.size)
    if file.format == "WEBP":
        return _bytes_to_decode_webp(*file.size)
    if file.format != "JPEG":
        return pixels * (1 if file.mode in ("1", "L", "P") else PIXEL_BYTES) + raster
    components = len(file.getbands())
    if scans == (components,) and not file.info.get("progressive"):
        return 2 * raster  # the decoder scales
    usual = components * COEFFICIENT_BYTES
    return pixels * SAMPLING_BYTES.get(get_sampling(file), usual) + 2 * raster


def _bytes_to_decode_webp(width: int, height: int) -> int:
    """What `bytes_to_decode` returns for a WebP."""
    return width * height * WEBP_PIXEL_BYTES + _bytes_at_scale(width, height)


def _bytes_at_scale(width: int, height: int) -> int:
    """The bytes of a picture's pixels at their scale."""
    return width * height * PIXEL_BYTES // scale_of(width, height) ** 2


DEFAULT_LIMITS: Final = DecodeLimits.from_settings(Settings())
"""The limits where no setting decides, for files of the user."""

UNLIMITED: Final = DecodeLimits(
    max_pixels=MAX_EDGE**2,
    max_call_pixels=sys.maxsize,
    decode_bytes=sys.maxsize,
    max_chunks=sys.maxsize,
    max_scans=sys.maxsize,
)
"""The widest limits, for a file that was within the limits before."""
