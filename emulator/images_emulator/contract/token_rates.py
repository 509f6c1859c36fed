"""Token rates: how many tokens a model counts for a prompt, for input images and for output images.

Sources:

- output table: the image generation guide
- output formula: the official cost calculator as published on community.openai.com/t/1382699
- input tiles: the images and vision guide
- input patches: community.openai.com/t/1382940
- input text: derived from recordings
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import date
from math import ceil, floor, sqrt

from images_emulator.contract.rules import Pixels
from images_emulator.immutable import Immutable


class OutputTable(Immutable):
    """Output tokens from a table. *rows* has, by quality, the tokens of one square, one portrait
    and one landscape image."""

    rows: Mapping[str, tuple[int, int, int]]

    def tokens(self, size: Pixels, quality: str) -> int:
        """The tokens of one image. Raises KeyError for a quality that has no row."""
        width, height = size
        square, portrait, landscape = self.rows[quality]
        return square if width == height else portrait if width < height else landscape


class OutputFormula(Immutable):
    """Output tokens from the size and a factor. *factors* has a factor for each quality."""

    factors: Mapping[str, int]

    def tokens(self, size: Pixels, quality: str) -> int:
        """The tokens of one image. Raises KeyError for a quality that has no factor."""
        width, height = size
        long = self.factors[quality]
        short = max(1, floor(long * min(size) / max(size) + 0.5))
        return ceil(long * short * (2_000_000 + width * height) / 4_000_000)


class InputTiles(Immutable):
    """Input tokens by tiles of 512×512 pixels. *high_fidelity* are the additional tokens of
    `input_fidelity` high, for a square image and for others."""

    high_fidelity: tuple[int, int] = (0, 0)

    def image_tokens(self, size: Pixels, fidelity: str | None) -> int:
        """The image tokens of one input image."""
        square, other = self.high_fidelity
        surcharge = square if size[0] == size[1] else other
        return 65 + 129 * self._tiles(size) + (surcharge if fidelity == "high" else 0)

    def text_tokens(self, size: Pixels) -> int:
        """The text tokens that one input image adds to the prompt's."""
        # Derived from the recordings. One has 42 for two images, of one tile and of two.
        return 6 + 10 * self._tiles(size)

    def _tiles(self, size: Pixels) -> int:
        # The image is scaled down to fit into 2048x2048, and then until its shorter edge has 512
        # pixels: "we scale down the image so that the shortest side is 512px"
        # (https://developers.openai.com/api/docs/guides/images-vision). So a small image stays as
        # it is. 1024x1025 was billed one tile: the edges are cut to whole pixels.
        scale = min(1.0, 2048 / max(size), 512 / min(size))
        columns, rows = (ceil(max(1, int(edge * scale)) / 512) for edge in size)
        return columns * rows


class InputPatches(Immutable):
    """Input tokens by patches of 32×32 pixels, at most *max_patches* of them. The longer edge
    counts as three times the shorter one at most. If that edge has fewer than 1024 pixels, the
    picture is first enlarged until it has 1024, by *max_scale* at most. Each picture adds
    *text_of_image* to the text tokens of the prompt."""

    max_patches: int = 1536
    max_scale: float = 2
    # In a recording of gpt-image-2, a prompt of 5 tokens with one image costs 12 text tokens. Six
    # are the prompt's overhead, which calls without an image have, too.
    text_of_image: int = 1

    def image_tokens(self, size: Pixels, fidelity: str | None) -> int:
        """The image tokens of one input image."""
        width, height = min(size[0], 3 * size[1]), min(size[1], 3 * size[0])
        scale = max(1.0, min(self.max_scale, 1024 / max(width, height)))
        wide, high = width * scale, height * scale
        if ceil(wide / 32) * ceil(high / 32) > self.max_patches:
            # Shrunk to *max_patches*, then a little more until one edge is a whole number of
            # patches. The guide's example brings 1800x2400 to 1056x1408, which is 1,452 patches.
            shrink = sqrt(32 * 32 * self.max_patches / (wide * high))
            columns, rows = wide * shrink / 32, high * shrink / 32
            whole = min(floor(columns) / columns, floor(rows) / rows)
            return ceil(round(columns * whole, 6)) * ceil(round(rows * whole, 6))
        return ceil(wide / 32) * ceil(high / 32)

    def text_tokens(self, size: Pixels) -> int:
        """The text tokens that one input image adds to the prompt's."""
        return self.text_of_image


TextRange = Mapping[str, tuple[int, int]]
"""The fewest and the most text tokens that the output of one image was billed, by quality."""


class TokenRates(Immutable):
    """The rates by which a model counts tokens. No source gives a rule for the text tokens of an
    output. Their number is within the recorded range, and is the same for equal requests."""

    output: OutputTable | OutputFormula
    input: InputTiles | InputPatches
    prompt_overhead: int = 6
    """Text tokens beside those of the prompt."""
    output_text: TextRange = field(default_factory=dict)
    """Text tokens of the output of a generation."""
    output_text_of_edits: TextRange = field(default_factory=dict)
    """Text tokens of the output of an edit."""
    earlier: Sequence[tuple[date, TokenRates]] = ()
    """Former rates, the oldest first: see `version_on`."""
