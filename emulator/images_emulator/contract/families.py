"""The families: the rules and conflicts that models of the table share.

The order of the rules is the order in which they are checked. Facts are from OpenAI's documentation
(the specification of August 2026 and openai-python 3.52.0) except where a comment names another
source; what was recorded on the wire goes before what is documented.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Final

from images_emulator.contract import errors
from images_emulator.contract.calendar import GATEWAY_SINCE, Period
from images_emulator.contract.conflicts import (
    Above,
    Below,
    Condition,
    Conflict,
    Equal,
    OtherThan,
    Present,
)
from images_emulator.contract.operations import (
    EDITS,
    GENERATIONS,
    JSON_EDITS,
    VARIATIONS,
    Operation,
)
from images_emulator.contract.pictures import MB
from images_emulator.contract.rules import (
    Choice,
    Flag,
    Integer,
    Object,
    Rule,
    Rules,
    Text,
    Unsupported,
    narrowed,
)
from images_emulator.contract.sizes import (
    FixedSize,
    FlexibleSize,
    GatewayFixedSize,
    ListedSize,
    Sheets,
)
from images_emulator.contract.uploads import Images, Overlay, SquarePNG


def since(year: int, month: int, day: int) -> Period:
    return Period(since=date(year, month, day))


def prompt(longest: int) -> Rules:
    return {"prompt": Text(required=True, nullable=False, shortest=1, longest=longest)}


def count(most: int) -> Rules:
    return {"n": Integer(least=1, most=most, default=1)}


# --- DALL·E: square lists, URLs, no streams ------------------------------------------------------

# `user: 123` was seen to pass.
USER: Final[Rules] = {"user": Text(loose=True, nullable=False)}
URL: Final[Rules] = {"response_format": Choice(("url", "b64_json"), default="url")}

# With dall-e-3 the older stack had one schema for both models, and each model refused on its own
# what it did not take of that. From about 2024-11 on, the sizes listed are the model's own.
DALLE_3_SINCE: Final = date(2023, 11, 6)
OWN_SIZES_SINCE: Final = date(2024, 11, 1)
SHARED_PROMPT: Final = Text(required=True, nullable=False, shortest=1, longest=4000)
SHARED_SIZES: Final = ListedSize(
    ("256x256", "512x512", "1024x1024", "1024x1792", "1792x1024"), default="1024x1024"
)


def dalle_size(*sizes: str) -> ListedSize:
    """The *sizes* of a model as the older stack listed them."""
    return ListedSize(sizes, default="1024x1024")


DALLE_2_PROMPT: Final[Rules] = {
    "prompt": Text(
        required=True,
        nullable=False,
        shortest=1,
        longest=1000,
        earlier=(
            (DALLE_3_SINCE, prompt(1000)["prompt"]),
            (
                GATEWAY_SINCE,
                narrowed(SHARED_PROMPT, prompt(1000)["prompt"], errors.prompt_too_long),
            ),
        ),
    )
}
DALLE_2_SIZE: Final = dalle_size("256x256", "512x512", "1024x1024")
DALLE_QUALITY: Final = Choice(("standard", "hd"), unlisted=("auto",), auto="standard")

DALLE_2: Final[Rules] = {
    **count(10),
    # Accepted in a recording of 2024-02-27; unknown to the gateway, by reports from 2025-05-10 on
    # (powerdalle#9) and a recording of 2026-03-31.
    "quality": Choice(
        ("standard",),
        unlisted=("auto",),
        auto="standard",
        period=Period(DALLE_3_SINCE, GATEWAY_SINCE),
        earlier=((GATEWAY_SINCE, DALLE_QUALITY),),
    ),
    "size": replace(
        DALLE_2_SIZE,
        earlier=(
            (DALLE_3_SINCE, DALLE_2_SIZE),
            (OWN_SIZES_SINCE, narrowed(SHARED_SIZES, DALLE_2_SIZE, errors.size_not_supported)),
        ),
    ),
    **URL,
    **USER,
}

OWN_MASK: Final = SquarePNG(mimetypes=("image/png",), own_mask=True, modes=("RGBA", "LA", "L"))

DALLE_2_ENDPOINTS: Final[Mapping[Operation, Rules]] = {
    GENERATIONS: {**DALLE_2_PROMPT, **DALLE_2},
    EDITS: {
        **DALLE_2_PROMPT,
        # The modes were more from about 2023-04 on.
        "image": replace(
            OWN_MASK,
            earlier=(
                (date(2023, 4, 1), replace(OWN_MASK, mimetypes=(), modes=("RGBA",))),
                # The MIME type is the gateway's; openai-python 0.x sent application/octet-stream.
                (GATEWAY_SINCE, replace(OWN_MASK, mimetypes=())),
            ),
        ),
        **DALLE_2,
        "mask": Overlay(earlier=((date(2022, 12, 20), Overlay(required=True)),)),
    },
    VARIATIONS: {
        # Two recordings sent application/octet-stream and were answered.
        "image": SquarePNG(mimetypes=(), modes=("RGB", "RGBA")),
        **{name: rule for name, rule in DALLE_2.items() if name != "quality"},
    },
}

DALLE_3_SIZE: Final = dalle_size("1024x1024", "1024x1792", "1792x1024")

DALLE_3: Final[Rules] = {
    "prompt": SHARED_PROMPT,
    "n": Integer(
        least=1,
        most=1,
        default=1,
        earlier=((GATEWAY_SINCE, narrowed(count(10)["n"], count(1)["n"], errors.more_than_one)),),
    ),
    "quality": DALLE_QUALITY,
    "size": replace(
        DALLE_3_SIZE,
        earlier=(
            (OWN_SIZES_SINCE, narrowed(SHARED_SIZES, DALLE_3_SIZE, errors.size_not_supported)),
            (GATEWAY_SINCE, dalle_size("1024x1024", "1792x1024", "1024x1792")),
        ),
    ),
    "style": Choice(("vivid", "natural"), default="vivid"),
    **URL,
    **USER,
}

# --- GPT image: base64, streams, tokens ----------------------------------------------------------

# `auto` was seen to become 1024x1536 and `high` on gpt-image-1 where nothing was asked.
FIXED_SIZES: Final = ("1024x1024", "1024x1536", "1536x1024")
FIXED: Final = FixedSize(
    FIXED_SIZES,
    auto="1024x1536",
    # The day is not known: after 2025-11-05, and before 2026-08.
    earlier=(
        (
            date(2026, 2, 1),
            GatewayFixedSize(FIXED_SIZES, auto="1024x1536"),
        ),
    ),
)

# `auto` on an edit was seen to become 1254x1254, which is 1536 * 1024 pixels of a square.
GIF: Final = Sheets(
    "gif", frames=9, auto="512x512", layouts=((8, 4, 2), (9, 3, 3), (12, 4, 3), (16, 4, 4))
)
FLEXIBLE: Final = FlexibleSize(
    ("1024x1024", "1536x1024", "1024x1536", "2048x2048", "2048x1152", "3840x2160", "2160x3840"),
    auto="1024x1024",
    step=16,
    longest_edge=3840,
    ratio=3,
    fewest_pixels=655_360,
    most_pixels=8_294_400,
    auto_pixels=1536 * 1024,
)
FLEXIBLE_WITH_GIF: Final = replace(FLEXIBLE, sheets=GIF)

EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
SVG: Final = Object(
    {"model": Text(required=True), "reasoning": Object({"effort": Choice(EFFORTS)})}, nullable=False
)
STREAMS: Final = since(2025, 7, 16)


def gpt_image(size: FixedSize, auto_quality: str, *more_qualities: str) -> Rules:
    """What every GPT image model takes; *more_qualities* pass though refusals do not list them
    (seen on gpt-image-2.5)."""
    quality = Choice(("low", "medium", "high", "auto"), unlisted=more_qualities, auto=auto_quality)
    return {
        **count(10),
        "quality": quality,
        "background": Choice(("transparent", "opaque", "auto"), auto="opaque"),
        "output_format": Choice(("png", "webp", "jpeg"), default="png"),
        "output_compression": Integer(least=0, most=100, default=100),
        "moderation": Choice(("auto", "low"), auto="auto"),
        "size": size,
        "stream": Flag(default=False, period=STREAMS),
        "partial_images": Integer(least=0, most=3, default=0, period=STREAMS),
        # No source names a model that refuses `complexity`; only 2.6 is said to heed it.
        "complexity": Choice(("low", "medium", "high"), period=since(2026, 11, 4)),
        **USER,
        "safety_identifier": Text(longest=128, period=since(2026, 10, 16)),
    }


FORMATS: Final = Choice(("png", "webp", "jpeg", "gif", "svg"), default="png")
EDIT_FORMATS: Final = replace(
    FORMATS,
    earlier=((date(2026, 11, 12), Choice(("png", "webp", "jpeg", "gif"), default="png")),),
)
MOTION: Final[Rules] = {
    "output_format": FORMATS,
    "frame_count": Integer(least=2, most=16),
    "frame_duration_ms": Integer(least=20),
    "svg": SVG,
}
"""What came with GIF and SVG output."""

FIDELITY: Final = Choice(("high", "low"), default="low", period=STREAMS)
# Documented as `low` only; `input_fidelity` on this model was recorded as an unknown parameter.
LOW_FIDELITY: Final = Choice(("low",), default="low", refusal=errors.unknown_parameter)
NO_FIDELITY: Final = Unsupported(like=FIDELITY)

EDITS_SINCE: Final[Mapping[str, Period]] = {
    "background": since(2025, 5, 2),
    "output_format": since(2025, 6, 16),
    "output_compression": since(2025, 6, 16),
    # An error on multipart edits in 2025; in the JSON edits from their first day.
    "moderation": JSON_EDITS,
    "svg": since(2026, 11, 12),
}
"""What edits got later than generations did."""

MARKUP: Final = Overlay(holes=True, period=since(2026, 10, 31))


def endpoints(rules: Rules, fidelity: Rule, **edit_rules: Rule) -> Mapping[Operation, Rules]:
    """*rules* at generations, and at edits with the uploads before them."""
    edits: Rules = {
        **prompt(32_000),
        "image": Images(earlier=((date(2025, 6, 2), Images(below=25 * MB)),)),
        **{
            name: replace(rule, period=EDITS_SINCE.get(name, rule.period))
            for name, rule in rules.items()
        },
        "mask": Overlay(),
        "input_fidelity": fidelity,
        **edit_rules,
    }
    return {GENERATIONS: {**prompt(32_000), **rules}, EDITS: edits}


# In the documentation until the day on which it became a preview.
TRANSPARENT_LATER: Final = Conflict(
    {"background": Equal("transparent")}, errors.transparent_unsupported, until=date(2026, 8, 20)
)

STREAMED_BATCH: Final = Conflict({"n": Above(1), "stream": Equal(True)}, errors.streamed_batch)
TRANSPARENT_JPEG: Final = Conflict(
    {"background": Equal("transparent"), "output_format": Equal("jpeg")}, errors.transparent_jpeg
)
COMPRESSED_PNG: Final = Conflict(
    {"output_compression": Below(100), "output_format": Equal("png")}, errors.compressed_png
)
MARKUP_WITH_MASK: Final = Conflict(
    {"markup": Present(), "mask": Present()}, errors.mask_with_markup
)


def only_with(output_format: str, *names: str) -> tuple[Conflict, ...]:
    """The parameters *names* are for that format alone."""
    return tuple(
        Conflict(
            {name: Present(), "output_format": OtherThan(output_format)}, errors.only_with_format
        )
        for name in names
    )


def not_with(output_format: str, **conditions: Condition) -> tuple[Conflict, ...]:
    """What that format refuses, by parameter."""
    return tuple(
        Conflict({name: condition, "output_format": Equal(output_format)}, errors.not_with_format)
        for name, condition in conditions.items()
    )


CONFLICTS: Final = (
    STREAMED_BATCH,
    TRANSPARENT_JPEG,
    COMPRESSED_PNG,
    MARKUP_WITH_MASK,
    *only_with("gif", "frame_count", "frame_duration_ms"),
    *only_with("svg", "svg"),
    *not_with("gif", stream=Equal(True), partial_images=Above(0), output_compression=Below(100)),
    *not_with("svg", stream=Equal(True), partial_images=Above(0), output_compression=Below(100)),
    *not_with("gif", mask=Present()),
    *not_with("svg", n=Above(1)),
)
"""What the GPT image models refuse, in the order in which it is checked."""
