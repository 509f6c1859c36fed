"""Token counts, against the published tables and the recorded exchanges."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from images_emulator.contract.model_rules import REASONING_EFFORTS
from images_emulator.contract.models import (
    GPT_2_5_RATES,
    MODELS,
    NEWEST_MODEL,
    TILE_RATES,
    patch_rates,
)
from images_emulator.contract.operations import EDITS, GENERATIONS
from images_emulator.contract.request import ImageRequest
from images_emulator.contract.token_rates import (
    InputPatches,
    InputTiles,
    OutputFormula,
    OutputTable,
)
from images_emulator.contract.usage import svg_usage_of, usage_of
from images_emulator.imaging.decoder import decode
from tests.pictures import png

# From the cost calculator of the image generation guide, for gpt-image-2.
CALCULATOR = {
    "low": {(1024, 1024): 196, (1536, 1024): 158, (1024, 768): 134, (1536, 864): 120}
    | {(1920, 1088): 148, (2048, 1152): 157, (2048, 2048): 397, (2560, 1440): 205}
    | {(3840, 2160): 371, (2160, 3840): 371, (3840, 1280): 139, (1440, 480): 54},
    "medium": {(1024, 1024): 1756, (1536, 1024): 1372, (1024, 768): 1204, (1536, 864): 1078}
    | {(1920, 1088): 1325, (2048, 1152): 1413, (2048, 2048): 3568, (2560, 1440): 1843}
    | {(3840, 2160): 3336, (3840, 1280): 1328, (1440, 480): 517},
    "high": {(1024, 1024): 7024, (1536, 1024): 5488, (1024, 768): 4815, (1536, 864): 4312}
    | {(1920, 1088): 5300, (2048, 1152): 5650, (2048, 2048): 14272, (2560, 1440): 7370}
    | {(3840, 2160): 13342, (3840, 1280): 5311, (1440, 480): 2067},
}
CELLS = [(quality, *cell) for quality, cells in CALCULATOR.items() for cell in cells.items()]


@pytest.mark.parametrize(("quality", "size", "tokens"), CELLS)
def test_output_formula_gives_the_tokens_of_the_cost_calculator(
    quality: str, size: tuple[int, int], tokens: int
) -> None:
    assert patch_rates(low=16, medium=48, high=96).output.tokens(size, quality) == tokens


@pytest.mark.parametrize(
    ("quality", "square", "wide"),
    [
        *(("low", 196, 158), ("medium", 439, 343), ("high", 1756, 1372)),
        *(("xhigh", 3122, 2459), ("max", 7024, 5488)),
    ],
)
def test_newer_models_count_output_tokens_for_five_qualities(
    quality: str, square: int, wide: int
) -> None:
    assert GPT_2_5_RATES.output.tokens((1024, 1024), quality) == square
    assert GPT_2_5_RATES.output.tokens((1536, 1024), quality) == wide


def test_older_models_count_output_tokens_by_a_table() -> None:
    sizes = ((1024, 1024), (1024, 1536), (1536, 1024))
    figures = {
        q: [TILE_RATES.output.tokens(size, q) for size in sizes] for q in ("low", "medium", "high")
    }
    assert figures == {
        "low": [272, 408, 400],
        "medium": [1056, 1584, 1568],
        "high": [4160, 6240, 6208],
    }


@pytest.mark.parametrize(
    ("size", "tokens"),
    [
        *(((1024, 1024), 194), ((68, 68), 194), ((1024, 1536), 323), ((1, 1), 194)),
        *(((1024, 1025), 194), ((512, 513), 323), ((4096, 4096), 194), ((512, 2048), 65 + 129 * 4)),
        # A small image stays as it is, and a long one is fitted into 2048x2048.
        *(((1000, 300), 323), ((728, 90), 323), ((4000, 400), 581), ((16384, 1), 581)),
    ],
)
def test_input_tokens_by_tiles(size: tuple[int, int], tokens: int) -> None:
    assert InputTiles().image_tokens(size, "low") == tokens


def test_high_input_fidelity_costs_more_for_images_that_are_not_square() -> None:
    tiles = TILE_RATES.input
    assert tiles.image_tokens((1024, 1024), "high") == 194 + 4160
    assert tiles.image_tokens((1024, 1536), "high") == 323 + 6240
    assert tiles.image_tokens((1024, 1024), None) == 194


@pytest.mark.parametrize(
    ("size", "tokens"),
    [
        *(((128, 128), 64), ((1024, 1024), 1024), ((1800, 2400), 1452), ((1, 1), 1)),
        # As many as there may be, and one more, which are shrunk to 28 x 52.
        *(((512, 512), 1024), ((1024, 1536), 1536), ((928, 1696), 1456)),
        # Of an image beyond 3:1 the ends are left out.
        *(((400, 100), 133), ((300, 100), 133), ((100, 400), 133)),
    ],
)
def test_input_tokens_by_patches(size: tuple[int, int], tokens: int) -> None:
    assert InputPatches().image_tokens(size, None) == tokens


@pytest.mark.parametrize(
    ("size", "tokens"), [((64, 64), 4), ((65, 64), 6), ((1024, 1024), 1024), ((1800, 2400), 1452)]
)
def test_input_tokens_by_patches_without_a_larger_scale(size: tuple[int, int], tokens: int) -> None:
    assert InputPatches(max_scale=1).image_tokens(size, None) == tokens


def test_input_patches_never_exceed_their_maximum() -> None:
    chance = Random(1)
    for _ in range(2000):
        size = chance.randint(1, 9000), chance.randint(1, 9000)
        assert 1 <= InputPatches().image_tokens(size, None) <= 1536, size


@pytest.mark.parametrize("rule", [OutputTable, OutputFormula])
def test_output_rate_raises_for_an_unknown_quality(rule: type) -> None:
    with pytest.raises(KeyError):
        rule({}).tokens((1024, 1024), "low")


REASONING = (0, 64, 256, 1024, 4096, 8192, 16_384)


@pytest.mark.parametrize(
    ("effort", "reasoning"), [(None, 1024), *zip(REASONING_EFFORTS, REASONING, strict=True)]
)
@pytest.mark.parametrize(("size", "tokens"), [(1, 1), (3, 1), (4, 2)])
def test_an_svg_takes_tokens_for_its_bytes_and_for_the_effort(
    effort: str | None, reasoning: int, size: int, tokens: int
) -> None:
    svg = {"reasoning": {"effort": effort}} if effort else None
    request = ImageRequest(
        operation=GENERATIONS, model=NEWEST_MODEL, size=(8, 8), output_format="svg", svg=svg
    )
    usage = svg_usage_of(request, size)
    assert usage
    assert (usage.output_tokens, usage.reasoning_tokens) == (tokens + reasoning, reasoning)


RED_ROOM = (
    "A big cat with big round eyes and large cat ears, sitting in an empty room and looking at the "
    "camera."
)
NATIVE = (256, 256)
VAPORWAVE = "Add a vaporwave sunset to the background"


@pytest.mark.parametrize(
    ("model", "prompt", "n", "pictures", "counts"),
    [
        ("gpt-image-1", "An isolated stop sign.", 1, [], (11, 0)),
        ("gpt-image-1", "An isolated stop sign.", 2, [], (22, 0)),
        ("gpt-image-1", "a siamese cat", 1, [], (10, 0)),
        ("gpt-image-1", RED_ROOM, 1, [NATIVE], (45, 194)),
        ("gpt-image-1", RED_ROOM, 2, [NATIVE], (90, 388)),
        ("gpt-image-1.5", "turn the logo to green", 1, [NATIVE], (27, 194)),
        ("gpt-image-1.5", "turn the logo to green", 1, [NATIVE, NATIVE], (43, 388)),
        ("gpt-image-1", "Create a collage from these images", 1, [NATIVE, NATIVE], (44, 388)),
        ("gpt-image-1", VAPORWAVE, 1, [(800, 800)], (30, 194)),
        ("gpt-image-1", VAPORWAVE, 1, [(800, 800), (3840, 2160)], (56, 517)),
        ("gpt-image-2", "turn the logo to green", 1, [(128, 128)], (12, 64)),
    ],
)
def test_input_tokens_of_recorded_calls(
    model: str, prompt: str, n: int, pictures: list[tuple[int, int]], counts: tuple[int, int]
) -> None:
    request = ImageRequest(
        operation=EDITS if pictures else GENERATIONS,
        model=MODELS[model],
        prompt=prompt,
        n=n,
        size=(1024, 1024),
        quality="low",
        images=tuple(decode(png(size)) or pytest.fail("no picture") for size in pictures),
    )
    spent = usage_of(request)
    assert spent
    assert (spent.input_text, spent.input_image) == counts


@pytest.mark.parametrize(("quality", "fewest", "most"), [("low", 143, 143), ("medium", 262, 308)])
def test_output_text_tokens_of_edits_are_within_the_recorded_range(
    quality: str, fewest: int, most: int
) -> None:
    picture = decode(png(NATIVE))
    assert picture
    parameters: dict[str, Any] = {"size": (1024, 1024), "quality": quality, "n": 1}
    parameters |= {"model": MODELS["gpt-image-1.5"], "operation": EDITS, "images": (picture,)}
    spent = [usage_of(ImageRequest(prompt=f"logo {number}", **parameters)) for number in range(40)]
    counts = [each.output_text for each in spent if each]
    assert min(counts) >= fewest
    assert max(counts) <= most
    assert len({*counts}) > (fewest != most)
    assert counts == [
        each.output_text
        for number in range(40)
        if (each := usage_of(ImageRequest(prompt=f"logo {number}", **parameters)))
    ]


def test_output_text_tokens_have_the_ranges_of_the_recordings() -> None:
    """Those at high were not recorded, and are as at medium."""
    rates = MODELS["gpt-image-1.5"].token_rates
    assert rates
    assert rates.output_text == {"low": (143, 143), "medium": (334, 335), "high": (334, 335)}
    edits = {"low": (143, 143), "medium": (262, 308), "high": (262, 308)}
    assert rates.output_text_of_edits == edits


def test_generations_are_billed_output_text_tokens_too() -> None:
    """As recorded: 669 for two pictures, which is 334 and 335."""

    def output_text(model: str, prompt: str) -> int:
        request = ImageRequest(
            operation=GENERATIONS,
            model=MODELS[model],
            prompt=prompt,
            n=2,
            size=(1024, 1536),
            quality="medium",
        )
        spent = usage_of(request)
        assert spent
        assert spent.output_image == 2 * 1584
        return spent.output_text

    assert {output_text("gpt-image-1.5", f"logo {number}") for number in range(40)} == {
        *(668, 669, 670)
    }
    assert output_text("gpt-image-1", "logo") == 0
