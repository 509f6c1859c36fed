"""A WebP of few bytes and many pixels."""

from __future__ import annotations


def plain_webp(width: int, height: int) -> bytes:
    """A WebP of one colour in some 32 bytes, whatever its size."""
    bits = "".join(
        f"{value:0{length}b}"[::-1]
        for value, length in (
            *((width - 1, 14), (height - 1, 14), (0, 1), (0, 3)),  # no alpha; version 0
            *((0, 1), (0, 1), (0, 1)),  # no transform, cache of colours or other codes
            # A code of one symbol each for green, red, blue, alpha and distances.
            *((1, 1), (0, 1), (1, 1), (60, 8)) * 3,
            *((1, 1), (0, 1), (1, 1), (255, 8)),
            *((1, 1), (0, 1), (0, 1), (0, 1)),
        )
    )
    data = b"\x2f" + int(bits[::-1], 2).to_bytes(-(-len(bits) // 8), "little")
    data += b"\0" * (len(data) % 2)
    body = b"VP8L" + len(data).to_bytes(4, "little") + data
    return b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WEBP" + body
