"""The types of files that are known by their first bytes (magic bytes, signatures), with media type
and suffixes: those of pictures, and some that uploads and recordings may have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Final

from images_emulator.immutable import Immutable

SIGNATURE_BYTES: Final = 48
"""First bytes of a file that tell its type; 64 characters of base64."""

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
"""The first bytes of a PNG."""


class FileType(Immutable):
    """A type of files."""

    name: str
    """As people write it: `JPEG`."""
    media_type: str
    """`image/jpeg`."""
    suffixes: tuple[str, ...]
    """The suffixes of its files in lower case; the first one is that of files that are written."""
    pattern: bytes
    """The regular expression of `signature`, in which a dot is any byte."""

    @cached_property
    def signature(self) -> re.Pattern[bytes]:
        """Matches the first bytes of its files."""
        return re.compile(self.pattern, re.DOTALL)


_SVG: Final = rb"\s*(?:(?:<[?!][^<]*)*<svg\b|<\?xml[^<]*(?:<[?!][^<]*)*<?s?v?\Z)"
"""Declarations and comments may be before the root of an SVG, which may be behind those bytes."""

FILE_TYPES: Final[Mapping[str, FileType]] = {
    "png": FileType("PNG", "image/png", (".png",), PNG_SIGNATURE),
    "jpeg": FileType("JPEG", "image/jpeg", (".jpg", ".jpeg"), rb"\xff\xd8\xff"),
    "webp": FileType("WebP", "image/webp", (".webp",), rb"RIFF....WEBP"),
    "gif": FileType("GIF", "image/gif", (".gif",), rb"GIF8[79]a"),
    "svg": FileType("SVG", "image/svg+xml", (".svg",), _SVG),
    "bmp": FileType("BMP", "image/bmp", (".bmp",), rb"BM....\0\0\0\0"),
    "tiff": FileType("TIFF", "image/tiff", (".tiff", ".tif"), rb"II\*\0|MM\0\*"),
    "avif": FileType("AVIF", "image/avif", (".avif",), rb"....ftypavi[fs]"),
    "pdf": FileType("PDF", "application/pdf", (".pdf",), rb"%PDF-"),
    "gzip": FileType("gzip", "application/gzip", (".gz",), rb"\x1f\x8b"),
}
"""The types by their words, for pictures those of `output_format`."""


def file_type_of(beginning: bytes) -> FileType | None:
    """The type of the file with that *beginning*; None where it is none of `FILE_TYPES`."""
    return next((each for each in FILE_TYPES.values() if each.signature.match(beginning)), None)


def file_type_of_suffix(suffix: str) -> FileType | None:
    """The type of files with that *suffix*, which begins with a point; None for another one."""
    suffix = suffix.lower()
    return next((each for each in FILE_TYPES.values() if suffix in each.suffixes), None)
