"""What an answer costs, against the prices per image that the documentation publishes."""

from __future__ import annotations

import pytest

from images_emulator.contract.model import Model
from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import GENERATIONS
from images_emulator.contract.prices import ImagePrices, TokenPrices
from images_emulator.contract.request import ImageRequest
from images_emulator.contract.usage import Usage, usage_of

SIZES = [(1024, 1024), (1024, 1536), (1536, 1024)]
PUBLISHED = {
    "gpt-image-1": {
        "low": (0.011, 0.016, 0.016),
        "medium": (0.042, 0.063, 0.063),
        "high": (0.167, 0.25, 0.25),
    },
    "gpt-image-1.5": {
        "low": (0.009, 0.013, 0.013),
        "medium": (0.034, 0.05, 0.05),
        "high": (0.133, 0.2, 0.2),
    },
    "gpt-image-2": {
        "low": (0.006, 0.005, 0.005),
        "medium": (0.053, 0.041, 0.041),
        "high": (0.211, 0.165, 0.165),
    },
}
"""US dollars for the output image alone, in the order of `SIZES`, as the image generation guide
has them. Its figures for gpt-image-1-mini are not those of that model's tokens and prices."""


@pytest.mark.parametrize("model", PUBLISHED)
@pytest.mark.parametrize("quality", ["low", "medium", "high"])
@pytest.mark.parametrize("place", range(3))
def test_price_of_an_image_is_the_published_one(model: str, quality: str, place: int) -> None:
    entry = MODELS[model]
    assert entry.token_rates
    assert isinstance(entry.prices, TokenPrices)
    tokens = entry.token_rates.output.tokens(SIZES[place], quality)
    price = Usage(input_text=0, input_image=0, output_image=tokens).price(entry.prices)
    assert price == pytest.approx(PUBLISHED[model][quality][place], abs=0.0017)


@pytest.mark.parametrize("model", MODELS.values(), ids=str)
def test_every_model_has_prices_of_the_kind_that_it_counts(model: Model) -> None:
    assert isinstance(model.prices, TokenPrices if model.token_rates else ImagePrices)


def test_price_has_text_and_images_of_input_and_output() -> None:
    prices = MODELS["gpt-image-1.5"].prices
    assert isinstance(prices, TokenPrices)
    usage = Usage(input_text=1_000, input_image=10_000, output_image=100_000, output_text=1_000_000)
    assert usage.price(prices) == 0.005 + 0.08 + 3.2 + 10


@pytest.mark.parametrize(
    ("model", "prices"),
    [
        ("gpt-image-1", (5, 10, 40, 0)),
        ("gpt-image-1-mini", (2, 2.5, 8, 0)),
        ("gpt-image-1.5", (5, 8, 32, 10)),
        ("gpt-image-1.5-2025-12-16", (5, 8, 32, 10)),
        ("chatgpt-image-latest", (5, 8, 32, 10)),
        ("gpt-image-2", (5, 8, 30, 0)),
        ("gpt-image-2.5-flare", (5, 8, 30, 0)),
        ("gpt-image-2.6-sunburst", (5, 8, 30, 0)),
    ],
)
def test_a_million_tokens_cost_what_the_page_of_prices_says(
    model: str, prices: tuple[float, float, float, float]
) -> None:
    """In US dollars: text and images of the input, images and text of the output."""
    entry = MODELS[model].prices
    assert isinstance(entry, TokenPrices)
    kinds = ("input_text", "input_image", "output_image", "output_text")
    none = dict.fromkeys(kinds, 0)
    assert tuple(entry.price(**{**none, kind: 1_000_000}) for kind in kinds) == prices


def test_partial_images_cost_their_tokens() -> None:
    request = ImageRequest(
        operation=GENERATIONS,
        model=MODELS["gpt-image-2"],
        prompt="x",
        size=(1024, 1024),
        quality="low",
    )
    prices = request.model.prices
    assert isinstance(prices, TokenPrices)
    without, with_two = (usage_of(request, count) for count in (0, 2))
    assert without
    assert with_two
    assert with_two.price(prices) - without.price(prices) == pytest.approx(200 * 30 / 10**6)


@pytest.mark.parametrize(
    ("model", "size", "quality", "count", "price"),
    [
        ("dall-e-2", (256, 256), None, 1, 0.016),
        ("dall-e-2", (512, 512), "standard", 3, 0.054),
        ("dall-e-2", (1024, 1024), None, 10, 0.2),
        ("dall-e-3", (1024, 1024), "standard", 1, 0.04),
        ("dall-e-3", (1792, 1024), "standard", 1, 0.08),
        ("dall-e-3", (1024, 1024), "hd", 1, 0.08),
        ("dall-e-3", (1024, 1792), "hd", 1, 0.12),
        ("dall-e-3", (64, 64), "hd", 1, None),
        ("dall-e-3", (1024, 1024), "low", 1, None),
    ],
)
def test_price_of_dall_e_images_goes_by_size_and_quality(
    model: str, size: tuple[int, int], *, quality: str | None, count: int, price: float | None
) -> None:
    prices = MODELS[model].prices
    assert isinstance(prices, ImagePrices)
    assert prices.price(size, quality, count) == price
