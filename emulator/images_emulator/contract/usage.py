"""Usage: the tokens that an answer would have cost, as its `usage` and `svg_usage` say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from images_emulator.contract.request import ImageRequest
from images_emulator.contract.token_rates import Pixels
from images_emulator.contract.tokenizer import count_tokens

PARTIAL_IMAGE_TOKENS: Final = 100
"""Output tokens that each partial image costs beside the final one (image generation guide)."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The counts of one answer; its sums are properties. *output_text* is what was thought."""

    text: int
    image: int
    output: int
    output_text: int = 0

    @property
    def input_tokens(self) -> int:
        return self.text + self.image

    @property
    def output_tokens(self) -> int:
        return self.output + self.output_text

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens


def usage(request: ImageRequest, partials: int = 0) -> Usage | None:
    """What *request* costs with *partials* partial images sent, or None for a model that counts
    no tokens."""
    tokens = request.model.token_rates
    if tokens is None:
        return None
    pictures: Sequence[Pixels] = [(each.width, each.height) for each in request.images]
    text = count_tokens(request.prompt) + tokens.text + sum(map(tokens.image.text, pictures))
    image = sum(tokens.image(size, request.input_fidelity) for size in pictures)
    output = tokens.output(request.size, request.quality or "")
    output_text = tokens.output_text_of_edits if pictures else tokens.output_text
    fewest, most = output_text.get(request.quality or "", (0, 0))
    chance = int.from_bytes(request.cache_key)
    return Usage(
        text=request.n * text,
        image=request.n * image,
        output=request.n * output + PARTIAL_IMAGE_TOKENS * partials,
        # Each picture of several was billed its own.
        output_text=sum(
            fewest + (chance >> 8 * index) % (most - fewest + 1) for index in range(request.n)
        ),
    )


REASONING: Final = {
    "none": 0,
    "minimal": 64,
    "low": 256,
    "medium": 1024,
    "high": 4096,
    "xhigh": 8192,
    "max": 16384,
}
"""Reasoning tokens by effort, for `svg_usage`. No source says how writing an SVG is counted: this,
and three bytes of the file for a token, are estimates that grow as those do."""


@dataclass(frozen=True, slots=True)
class SvgUsage:
    """The counts of the model that wrote an SVG, beside those of the picture."""

    model: str
    input_tokens: int
    output_tokens: int
    reasoning_tokens: int


def svg_usage(request: ImageRequest, size: int) -> SvgUsage | None:
    """What writing an SVG of *size* bytes cost, or None where none was asked for."""
    if request.output_format != "svg":
        return None
    asked = request.svg or {}
    effort = (asked.get("reasoning") or {}).get("effort") or "medium"
    return SvgUsage(
        model=asked.get("model") or request.model.id,
        input_tokens=count_tokens(request.prompt),
        output_tokens=ceil(size / 3) + REASONING[effort],
        reasoning_tokens=REASONING[effort],
    )
