"""Image files of an answer. The journal keeps only their length and the beginning of their
base64."""

from __future__ import annotations

from typing import Final, NamedTuple

SHOWN_CHARS: Final = 8
"""Characters of the base64 of an image that are shown."""

_BASE64: Final = b'"b64_json"'


class FileKey(NamedTuple):
    """Which file of an answer: that of an image, or of one of its partial images."""

    image: int
    """The index of the image, from 0."""
    partial: int | None = None
    """The index of the partial image, from 0; None for the final image."""


class SentFile(NamedTuple):
    """A file that was sent as base64, without its content."""

    base64_chars: int
    """The length of its base64."""
    beginning: bytes
    """The first characters of its base64."""
    file_bytes: int
    """The length of the file."""

    @classmethod
    def from_base64(cls, base64: bytes) -> SentFile:
        """The file with that *base64*."""
        chars = len(base64)
        return cls(chars, base64[:SHOWN_CHARS], chars // 4 * 3 - base64.count(b"=", -2))

    def shortened_base64(self) -> bytes:
        """The text that replaces the base64 where the answer is shown."""
        return _shortened_base64(self.beginning, self.base64_chars)


def _shortened_base64(beginning: bytes, chars: int) -> bytes:
    return beginning + f"… ({chars:,} characters)".encode()


def with_shortened_base64(text: bytes | bytearray) -> bytes:
    """*text* with the base64 of each image cut, as `SentFile.shortened_base64` has it. The text may
    be no valid JSON, and may end in the middle of an image."""
    pieces: list[bytes | bytearray] = []
    at = 0
    while (key := text.find(_BASE64, at)) >= 0:
        start = text.find(b'"', key + len(_BASE64)) + 1
        if not start:
            break
        # Where the text was cut, a line may end instead of the string.
        ends = (text.find(mark, start) for mark in (b'"', b"\n"))
        end = min((index for index in ends if index >= 0), default=len(text))
        pieces.append(text[at:start])
        chars = end - start
        if chars > 4 * SHOWN_CHARS:
            pieces.append(_shortened_base64(bytes(text[start : start + SHOWN_CHARS]), chars))
        else:
            pieces.append(text[start:end])
        at = end
    pieces.append(text[at:])
    return b"".join(pieces)
