"""Token rates: how many tokens a model counts for a prompt, for input images and for output images.

Sources: the output table, the image generation guide; the output formula, the official cost
calculator as published on community.openai.com/t/1382699; input tiles, the images and vision guide;
input patches, community.openai.com/t/1382940; input text, derived from recordings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil, floor, sqrt
from typing import Protocol

Pixels = tuple[int, int]
"""Width and height."""


@dataclass(frozen=True, slots=True)
class OutputTable:
    """Tokens of one picture by quality, for square, portrait and landscape."""

    rows: Mapping[str, tuple[int, int, int]]

    def __call__(self, size: Pixels, quality: str) -> int:
        width, height = size
        square, portrait, landscape = self.rows[quality]
        return square if width == height else portrait if width < height else landscape


@dataclass(frozen=True, slots=True)
class OutputFormula:
    """Tokens of one picture of any size, from a factor for each quality."""

    factors: Mapping[str, int]

    def __call__(self, size: Pixels, quality: str) -> int:
        width, height = size
        long = self.factors[quality]
        short = max(1, floor(long * min(size) / max(size) + 0.5))
        return ceil(long * short * (2_000_000 + width * height) / 4_000_000)


@dataclass(frozen=True, slots=True)
class Tiles:
    """Input pictures by tiles of 512 pixels; *high_fidelity* is what that costs on top, for
    square pictures and for others."""

    high_fidelity: tuple[int, int] = (0, 0)

    def __call__(self, size: Pixels, fidelity: str | None) -> int:
        square, other = self.high_fidelity
        surcharge = square if size[0] == size[1] else other
        return 65 + 129 * self._tiles(size) + (surcharge if fidelity == "high" else 0)

    def text(self, size: Pixels) -> int:
        # Derived from the recordings, one of which has 42 for two pictures of one and two tiles.
        return 6 + 10 * self._tiles(size)

    def _tiles(self, size: Pixels) -> int:
        fit = min(1.0, 2048 / max(size))
        scale = 512 / (min(size) * fit) * fit
        # 1024x1025 was billed one tile: the scaled edges are cut to whole pixels first.
        columns, rows = (ceil(max(1, int(edge * scale)) / 512) for edge in size)
        return columns * rows


@dataclass(frozen=True, slots=True)
class Patches:
    """Input pictures by patches of 32 pixels, at most *budget* of them."""

    budget: int = 1536

    def __call__(self, size: Pixels, fidelity: str | None) -> int:
        width, height = min(size[0], 3 * size[1]), min(size[1], 3 * size[0])
        scale = max(1.0, min(2.0, 1024 / max(width, height)))
        wide, high = width * scale, height * scale
        if ceil(wide / 32) * ceil(high / 32) > self.budget:
            # Shrunk to the budget, then a little more until one edge is whole patches: the guide's
            # example brings 1800x2400 to 1056x1408, which is 1,452 patches.
            shrink = sqrt(32 * 32 * self.budget / (wide * high))
            columns, rows = wide * shrink / 32, high * shrink / 32
            whole = min(floor(columns) / columns, floor(rows) / rows)
            return ceil(round(columns * whole, 6)) * ceil(round(rows * whole, 6))
        return ceil(wide / 32) * ceil(high / 32)

    def text(self, size: Pixels) -> int:
        # One recording: a prompt of 5 tokens with one picture is 12; without pictures, 6 are added.
        return 1


class InputImage(Protocol):
    """How an input picture is counted, by its size in pixels."""

    def __call__(self, size: Pixels, fidelity: str | None) -> int:
        """Its image tokens."""
        ...

    def text(self, size: Pixels) -> int:
        """The text tokens that it adds to the prompt's."""
        ...


TextRange = Mapping[str, tuple[int, int]]
"""By quality, the fewest and the most text tokens that one picture was billed as output."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """How a model counts. *text* is what it adds to the prompt's own tokens.

    *output_text* is of pictures from words alone, *output_text_of_edits* of those from others. No
    source gives a rule: how many it is to be is drawn from the request, the same each time.
    """

    output: Callable[[Pixels, str], int]
    image: InputImage
    text: int = 6
    output_text: TextRange = field(default_factory=dict)
    output_text_of_edits: TextRange = field(default_factory=dict)
