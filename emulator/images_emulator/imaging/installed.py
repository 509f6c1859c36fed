"""The fonts of the machine, asked when no font that ships with the package has a character."""

from __future__ import annotations

import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Final

from PIL import ImageFont

BROAD: Final = (
    "/System/Library/Fonts/Supplemental/Arial Unicode.ttf",
    "/Library/Fonts/Arial Unicode.ttf",
    "C:/Windows/Fonts/seguisym.ttf",
    "C:/Windows/Fonts/seguihis.ttf",
    "C:/Windows/Fonts/ebrima.ttf",
)
"""Where a machine without fontconfig keeps fonts of many scripts."""

_PATTERN: Final = ":scalable=true:color=false:index=0:slant=0:weight=80"
_BLOCK: Final = 256
_NOWHERE: Final = "\U0010ffff"


def _listed() -> Iterator[tuple[str, range]]:
    """Each font file that fontconfig knows, with what it has; nothing where it is not there."""
    command = shutil.which("fc-list")
    if command is None:
        return
    ask = [command, "--format", "%{file}\t%{charset}\n", _PATTERN]
    try:
        told = subprocess.run(ask, capture_output=True, timeout=5, check=True).stdout  # noqa: S603 - no word of it is a client's
    except (OSError, subprocess.SubprocessError):
        return
    for line in sorted(told.decode("utf-8", "replace").splitlines()):
        path, _, charset = line.partition("\t")
        for part in charset.split():
            first, _, last = part.partition("-")
            yield path, range(int(first, 16), int(last or first, 16) + 1)


@cache
def _by_block() -> Mapping[int, Sequence[tuple[str, range]]]:
    blocks: dict[int, list[tuple[str, range]]] = defaultdict(list)
    for path, codes in _listed():
        for block in range(codes.start // _BLOCK, codes[-1] // _BLOCK + 1):
            blocks[block].append((path, codes))
    return dict(blocks)


@lru_cache(maxsize=64)
def _opened(path: str) -> ImageFont.FreeTypeFont | None:
    try:
        return ImageFont.truetype(path, 32, layout_engine=ImageFont.Layout.BASIC)
    except OSError:
        return None


def _draws(path: str, char: str) -> bool:
    face = _opened(path)
    return face is not None and bytes(face.getmask(char)) not in (
        b"",
        bytes(face.getmask(_NOWHERE)),
    )


@lru_cache(maxsize=4096)
def found(char: str) -> str | None:
    """The file of a font that draws *char*, if the machine has one."""
    blocks = _by_block()
    near = blocks.get(ord(char) // _BLOCK, ())
    paths = [path for path, codes in near if ord(char) in codes] if blocks else BROAD
    return next((path for path in paths[:3] if _draws(path, char)), None)
