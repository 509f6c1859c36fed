"""The images of a call, as validation sees them, and the protocol of what decodes them."""

from __future__ import annotations

from typing import Protocol


class CallImage(Protocol):
    """An image of a call, decoded: an upload, or what a call refers to. *width* and *height* are
    pixels, after rotation by its EXIF."""

    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def format(self) -> str:
        """The format of the file: `PNG`, `JPEG`, `WEBP`."""
        ...

    @property
    def mode(self) -> str:
        """The mode of the file, in Pillow's names: `RGB`, `RGBA`, `L` …"""
        ...

    @property
    def has_alpha(self) -> bool: ...
    @property
    def has_transparent_pixels(self) -> bool:
        """Whether any pixel is fully transparent."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of the file, in hex."""
        ...


class ImageLoader(Protocol):
    """Decodes uploads and fetches referenced images. A protocol of the contract layer, implemented
    by `imaging`."""

    def decode(self, data: bytes) -> CallImage | None:
        """Decode *data* whole; None where it is no image that is accepted."""
        ...

    def blank(self) -> CallImage:
        """A white square image with an alpha channel, in place of a forgiven upload."""
        ...

    def read_file(self, file_id: str) -> bytes | None:
        """The content of the uploaded file with that id; None where there is none."""
        ...

    def fetch(self, url: str) -> bytes | None:
        """The bytes at *url*; None where a placeholder takes their place. Raises APIError."""
        ...

    def placeholder(self, url: str) -> CallImage:
        """An image in place of the one at *url*."""
        ...

    def placeholder_overlay(self, url: str, width: int, height: int) -> CallImage:
        """A mask of that size, partly transparent, in place of the one at *url*."""
        ...
