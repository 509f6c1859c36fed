"""Usage: the tokens that an answer would have cost, as its `usage` and `svg_usage` say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, Final

from images_emulator.contract.calendar import version_on
from images_emulator.contract.prices import TokenPrices
from images_emulator.contract.request import ImageRequest
from images_emulator.contract.rules import Pixels
from images_emulator.contract.tokenizer import count_tokens
from images_emulator.immutable import Immutable

PARTIAL_IMAGE_TOKENS: Final = 100
"""Output tokens that each partial image costs beside the final one (image generation guide)."""


class Usage(Immutable):
    """The tokens of one answer, of text and of images."""

    input_text: int
    input_image: int
    output_image: int
    output_text: int = 0

    @property
    def input_tokens(self) -> int:
        """All input tokens."""
        return self.input_text + self.input_image

    @property
    def output_tokens(self) -> int:
        """All output tokens."""
        return self.output_image + self.output_text

    @property
    def total_tokens(self) -> int:
        """All tokens."""
        return self.input_tokens + self.output_tokens

    def price(self, prices: TokenPrices) -> float:
        """US dollars at these *prices*."""
        return prices.price(
            input_text=self.input_text,
            input_image=self.input_image,
            output_image=self.output_image,
            output_text=self.output_text,
        )


def read_usage(payload: Any) -> Usage | None:
    """The usage in *payload*, the value of `usage` in an answer; None where it has another form.
    Without `output_tokens_details`, all output tokens count as image tokens."""
    if not isinstance(payload, Mapping):
        return None
    inputs = payload.get("input_tokens_details")
    outputs = payload.get("output_tokens_details", {"image_tokens": payload.get("output_tokens")})
    if not (isinstance(inputs, Mapping) and isinstance(outputs, Mapping)):
        return None
    counts: list[Any] = [
        inputs.get("text_tokens"),
        inputs.get("image_tokens"),
        outputs.get("image_tokens"),
        outputs.get("text_tokens", 0),
    ]
    return Usage(*counts) if all(isinstance(count, int) for count in counts) else None


def usage_of(request: ImageRequest, partial_images: int = 0) -> Usage | None:
    """The usage of the answer to *request*, with *partial_images* partial images sent. None for a
    model that counts no tokens."""
    newest = request.model.token_rates
    if newest is None:
        return None
    rates = version_on(request.day, newest, newest.earlier)
    sizes: Sequence[Pixels] = [(each.width, each.height) for each in request.images]
    text = (
        count_tokens(request.prompt)
        + rates.prompt_overhead
        + sum(map(rates.input.text_tokens, sizes))
    )
    image = sum(rates.input.image_tokens(size, request.input_fidelity) for size in sizes)
    output = rates.output.tokens(request.size, request.quality or "")
    text_ranges = rates.output_text_of_edits if sizes else rates.output_text
    fewest, most = text_ranges.get(request.quality or "", (0, 0))
    seed = int.from_bytes(request.cache_key)
    return Usage(
        input_text=request.n * text,
        input_image=request.n * image,
        output_image=request.n * output + PARTIAL_IMAGE_TOKENS * partial_images,
        # Each of several images was billed its own number.
        output_text=sum(
            fewest + (seed >> 8 * index) % (most - fewest + 1) for index in range(request.n)
        ),
    )


REASONING_TOKENS: Final = {
    "none": 0,
    "minimal": 64,
    "low": 256,
    "medium": 1024,
    "high": 4096,
    "xhigh": 8192,
    "max": 16384,
}
"""Reasoning tokens by `svg.reasoning.effort`. No source says how the tokens of an SVG are counted.
These numbers, and one token for `SVG_BYTES_PER_TOKEN` of the file, are estimates."""

WRITTEN_FORMAT: Final = "svg"
"""The output format whose files a language model writes. No source tells what it charges."""

SVG_BYTES_PER_TOKEN: Final = 3
"""Bytes of an SVG that count as one output token, about."""


class SvgUsage(Immutable):
    """The tokens of the *model* that writes an SVG, beside those of the image."""

    model: str
    input_tokens: int
    output_tokens: int
    reasoning_tokens: int


def svg_usage_of(request: ImageRequest, size: int) -> SvgUsage | None:
    """The usage of writing an SVG of *size* bytes; None where *request* asks for another format."""
    if request.output_format != WRITTEN_FORMAT:
        return None
    svg = request.svg or {}
    effort = (svg.get("reasoning") or {}).get("effort") or "medium"
    return SvgUsage(
        model=svg.get("model") or request.model.id,
        input_tokens=count_tokens(request.prompt),
        output_tokens=ceil(size / SVG_BYTES_PER_TOKEN) + REASONING_TOKENS[effort],
        reasoning_tokens=REASONING_TOKENS[effort],
    )
