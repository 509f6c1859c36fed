"""The types of files that are known by their first bytes (magic bytes, signatures), with media type
and suffixes. They include pictures, and other files of uploads and recordings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Final

from images_emulator.immutable import Immutable

SIGNATURE_BYTES: Final = 48
"""The number of first bytes of a file that show its type; in base64 they are 64 characters."""

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
"""The first bytes of a PNG."""


class FileType(Immutable):
    """A type of files."""

    name: str
    """The name of the type as people write it, such as `JPEG`."""
    media_type: str
    """The media type, such as `image/jpeg`."""
    suffixes: tuple[str, ...]
    """The suffixes of its files, in lower case. Files that are written have the first one."""
    pattern: bytes
    """The regular expression for the first bytes of its files, in which a dot is any byte."""

    @cached_property
    def signature(self) -> re.Pattern[bytes]:
        """The compiled *pattern*, which matches the first bytes of its files."""
        return re.compile(self.pattern, re.DOTALL)


_SVG: Final = rb"(?:\xef\xbb\xbf)?\s*(?:(?:<[?!][^<]*)*<svg\b|<\?xml[^<]*(?:<[?!][^<]*)*<?s?v?\Z)"
"""A byte order mark, declarations and comments may precede the root of an SVG. Behind `<?xml` the
root may come after those bytes; without it, HTML may begin like an SVG."""

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
"""The types by the words for them. Each value of `output_format` is one of the words."""


def file_type_of(beginning: bytes) -> FileType | None:
    """The type of a file with that *beginning*; None where `FILE_TYPES` has none."""
    return next((each for each in FILE_TYPES.values() if each.signature.match(beginning)), None)


def file_type_of_suffix(suffix: str) -> FileType | None:
    """The type of files with that *suffix*, which begins with a point; None where there is none."""
    suffix = suffix.lower()
    return next((each for each in FILE_TYPES.values() if suffix in each.suffixes), None)
