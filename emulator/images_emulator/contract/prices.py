"""Prices: what the API charges for an answer, in US dollars.

Sources: for tokens, https://developers.openai.com/api/docs/pricing; for images of DALL·E, a copy of
https://openai.com/pricing of 2023-12-25 (https://github.com/kevinhermawan/Canvas,
`model-info.json`). No source dates a change of a price. Prices of cached input and of the Batch API
are left out: the emulator has neither.
"""

from __future__ import annotations

from collections.abc import Mapping

from images_emulator.contract.rules import Pixels
from images_emulator.immutable import Immutable


class TokenPrices(Immutable):
    """US dollars for a million tokens."""

    input_text: float
    input_image: float
    output_image: float
    output_text: float = 0.0

    def price(
        self, *, input_text: int, input_image: int, output_image: int, output_text: int
    ) -> float:
        """US dollars for so many tokens."""
        millionths = (
            self.input_text * input_text
            + self.input_image * input_image
            + self.output_image * output_image
            + self.output_text * output_text
        )
        return round(millionths / 1_000_000, 8)


class ImagePrices(Immutable):
    """US dollars for an image, by quality and by size. A model without qualities has one row,
    `standard`."""

    rows: Mapping[str, Mapping[Pixels, float]]

    def price(self, size: Pixels, quality: str | None, images: int) -> float | None:
        """US dollars for so many *images*; None for a size or a quality without a price."""
        price = self.rows.get(quality or "standard", {}).get(size)
        return None if price is None else round(images * price, 8)


Prices = TokenPrices | ImagePrices
"""The prices of a model: by tokens or by images."""
