"""Rules and conflicts of parameters: those that several models of the table share, and others that
are too long for a row.

Rules are checked in their order. Facts are from OpenAI's documentation (the specification of August
2026 and openai-python 3.52.0) except where a comment names another source. A recording goes before
the documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from types import MappingProxyType
from typing import Final

from images_emulator.contract import errors
from images_emulator.contract.calendar import GATEWAY_SINCE, SAFETY_IDENTIFIER_DAYS, Period
from images_emulator.contract.conflicts import (
    Above,
    Below,
    Condition,
    Conflict,
    Equal,
    OtherThan,
    Present,
)
from images_emulator.contract.image_rules import IMAGE_BYTES_LIMIT, MEBIBYTE
from images_emulator.contract.operations import (
    EDITS,
    GENERATIONS,
    JSON_EDITS_DAYS,
    VARIATIONS,
    Operation,
)
from images_emulator.contract.request import DEFAULT_FRAME_COUNT
from images_emulator.contract.rules import (
    Choice,
    Flag,
    Integer,
    Object,
    Rules,
    Text,
    UnsupportedParameter,
    shared_then_own_rule,
)
from images_emulator.contract.sizes import (
    FlexibleSize,
    GatewayAndServiceSize,
    GatewaySize,
    ListedServiceSize,
    ServiceSize,
    SheetLayouts,
)
from images_emulator.contract.uploads import SquarePNG, UploadedImages, UploadedOverlay


def prompt_rule(max_chars: int) -> Text:
    """The rule of `prompt`."""
    return Text(required=True, nullable=False, min_length=1, max_length=max_chars)


def count_rule(maximum: int) -> Integer:
    """The rule of `n`."""
    return Integer(minimum=1, maximum=maximum, default=1)


# --- DALL·E: listed sizes, URLs, no streams ------------------------------------------------------

USER: Final = Text(any_scalar=True, nullable=False)
"""The rule of `user`; `user: 123` was seen to pass."""

RESPONSE_FORMAT: Final = Choice(("url", "b64_json"), default="url")
"""The rule of `response_format`, a parameter that GPT image models do not have."""

SHARED_SCHEMA_SINCE: Final = date(2023, 11, 6)
"""The first day on which the older stack had one schema for both DALL·E models. Each model then
checked values by its own rules, too: see `SharedThenOwnRule`."""

OWN_SIZES_SINCE: Final = date(2024, 11, 1)
"""The approximate day from which the older stack listed only the sizes of the called model."""

SHARED_PROMPT: Final = prompt_rule(4000)
"""`prompt` of dall-e-3, and of the schema that both DALL·E models shared."""

SHARED_SIZES: Final = GatewaySize(
    ("256x256", "512x512", "1024x1024", "1024x1792", "1792x1024"), default="1024x1024"
)
"""`size` in the schema that both DALL·E models shared."""


def dalle_size_rule(*sizes: str) -> GatewaySize:
    """The rule of `size` of a DALL·E model; refusals list *sizes* in their order."""
    return GatewaySize(sizes, default="1024x1024")


DALLE_2_PROMPT: Final = replace(
    prompt_rule(1000),
    earlier=(
        (SHARED_SCHEMA_SINCE, prompt_rule(1000)),
        (
            GATEWAY_SINCE,
            shared_then_own_rule(SHARED_PROMPT, prompt_rule(1000), errors.older_prompt_too_long),
        ),
    ),
)
"""`prompt` of dall-e-2."""

DALLE_2_SIZE: Final = dalle_size_rule("256x256", "512x512", "1024x1024")
"""The newest `size` of dall-e-2; `DALLE_2_RULES` adds the earlier versions."""

DALLE_QUALITY: Final = Choice(("standard", "hd"), unlisted=("auto",), auto="standard")
"""`quality` of dall-e-3, and in the schema that both DALL·E models shared."""

STANDARD_QUALITY: Final = Choice(("standard",), unlisted=("auto",), auto="standard")
"""`quality` of dall-e-2; `DALLE_2_RULES` adds the period and the earlier version."""

DALLE_2_RULES: Final[Rules] = {
    "n": count_rule(10),
    # Accepted in a recording of 2024-02-27; unknown to the gateway, by reports from 2025-05-10 on
    # (powerdalle#9) and a recording of 2026-03-31.
    "quality": replace(
        STANDARD_QUALITY,
        period=Period(SHARED_SCHEMA_SINCE, GATEWAY_SINCE),
        earlier=(
            (
                GATEWAY_SINCE,
                shared_then_own_rule(
                    DALLE_QUALITY, STANDARD_QUALITY, errors.older_quality_unsupported
                ),
            ),
        ),
    ),
    "size": replace(
        DALLE_2_SIZE,
        earlier=(
            (SHARED_SCHEMA_SINCE, DALLE_2_SIZE),
            (
                OWN_SIZES_SINCE,
                shared_then_own_rule(SHARED_SIZES, DALLE_2_SIZE, errors.older_size_unsupported),
            ),
        ),
    ),
    "response_format": RESPONSE_FORMAT,
    "user": USER,
}
"""The rules that dall-e-2 has at every endpoint."""

PNG_WITH_OWN_MASK: Final = SquarePNG(
    mimetypes=("image/png",), alpha_is_mask=True, modes=("RGBA", "LA", "L")
)
"""`image` of a dall-e-2 edit. In a call without `mask` its transparent pixels are the mask."""

DALLE_2_OPERATION_RULES: Final[Mapping[Operation, Rules]] = {
    GENERATIONS: {"prompt": DALLE_2_PROMPT, **DALLE_2_RULES},
    EDITS: {
        "prompt": DALLE_2_PROMPT,
        # More modes were accepted from about 2023-04 on.
        "image": replace(
            PNG_WITH_OWN_MASK,
            earlier=(
                (date(2023, 4, 1), replace(PNG_WITH_OWN_MASK, mimetypes=(), modes=("RGBA",))),
                # The MIME type is the gateway's; openai-python 0.x sent application/octet-stream.
                (GATEWAY_SINCE, replace(PNG_WITH_OWN_MASK, mimetypes=())),
            ),
        ),
        **DALLE_2_RULES,
        "mask": UploadedOverlay(earlier=((date(2022, 12, 20), UploadedOverlay(required=True)),)),
    },
    VARIATIONS: {
        # Two recordings sent application/octet-stream and were answered.
        "image": SquarePNG(mimetypes=(), modes=("RGB", "RGBA")),
        **{name: rule for name, rule in DALLE_2_RULES.items() if name != "quality"},
        # The schema that was shared from 2023-11 on is one of endpoints that dall-e-3 had, too.
        "size": DALLE_2_SIZE,
    },
}
"""`Model.rules` of dall-e-2."""

DALLE_3_SIZE: Final = dalle_size_rule("1024x1024", "1024x1792", "1792x1024")
"""The newest `size` of dall-e-3; `DALLE_3_RULES` adds the earlier versions."""

DALLE_3_RULES: Final[Rules] = {
    "prompt": SHARED_PROMPT,
    "n": Integer(
        minimum=1,
        maximum=1,
        default=1,
        earlier=(
            (
                GATEWAY_SINCE,
                shared_then_own_rule(count_rule(10), count_rule(1), errors.older_more_than_one),
            ),
        ),
    ),
    "quality": DALLE_QUALITY,
    "size": replace(
        DALLE_3_SIZE,
        earlier=(
            (
                OWN_SIZES_SINCE,
                shared_then_own_rule(SHARED_SIZES, DALLE_3_SIZE, errors.older_size_unsupported),
            ),
            (GATEWAY_SINCE, dalle_size_rule("1024x1024", "1792x1024", "1024x1792")),
        ),
    ),
    "style": Choice(("vivid", "natural"), default="vivid"),
    "response_format": RESPONSE_FORMAT,
    "user": USER,
}
"""The rules of dall-e-3 at generations."""

# --- GPT image: base64, streams, tokens ----------------------------------------------------------

GPT_IMAGE_PROMPT: Final = prompt_rule(32_000)
"""`prompt` of every GPT image model."""

GPT_IMAGE_PROMPT_AT_EDITS: Final = replace(
    GPT_IMAGE_PROMPT,
    # Until 2026-06 by reports, of forms; ended by 2026-07.
    earlier=(
        (
            date(2026, 7, 1),
            shared_then_own_rule(
                replace(GPT_IMAGE_PROMPT, max_length=None),
                GPT_IMAGE_PROMPT,
                errors.model_not_dalle_2,
            ),
        ),
    ),
)
"""`prompt` of every GPT image model at edits."""

GPT_1_SIZES: Final = ("1024x1024", "1024x1536", "1536x1024")
"""The sizes of the first GPT image models, in the order of refusals."""

LISTED_SIZE: Final = ListedServiceSize(
    GPT_1_SIZES,
    auto="1024x1536",
    # The day is not known: after 2025-11-05, and before 2026-08.
    earlier=((date(2026, 2, 1), GatewayAndServiceSize(GPT_1_SIZES, auto="1024x1536")),),
)
"""`size` of the first GPT image models; without it, gpt-image-1 was seen to choose 1024x1536."""

GIF_SHEETS: Final = SheetLayouts(
    "gif",
    frames=DEFAULT_FRAME_COUNT,
    auto="512x512",
    layouts=((8, 4, 2), (9, 3, 3), (12, 4, 3), (16, 4, 4)),
)
"""The layouts of the frames of a GIF on one sheet."""

FLEXIBLE_SIZE: Final = FlexibleSize(
    examples=(
        "1024x1024",
        "1536x1024",
        "1024x1536",
        "2048x2048",
        "2048x1152",
        "3840x2160",
        "2160x3840",
    ),
    step=16,
    max_edge=3840,
    max_ratio=3,
    min_pixels=655_360,
    max_pixels=8_294_400,
    auto_pixels=1536 * 1024,
)
"""`size` from gpt-image-2 on. Without it, generations (recordings of 2026-05) and square edits
(probes of 2026-04) were seen to become 1254x1254."""

FLEXIBLE_SIZE_WITH_GIF: Final = replace(FLEXIBLE_SIZE, sheets=GIF_SHEETS)
"""`size` of models that draw GIFs. The frames of a GIF share one sheet."""

REASONING_EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""The words of `svg.reasoning.effort`."""

SVG: Final = Object(
    {"model": Text(required=True), "reasoning": Object({"effort": Choice(REASONING_EFFORTS)})},
    nullable=False,
)
"""`svg`: the model that writes the SVG."""

STREAM_DAYS: Final = Period(since=date(2025, 7, 16))
"""The days on which answers can be streamed. `input_fidelity` came on the same day."""


STILL_FORMATS: Final = ("png", "webp", "jpeg")
"""The words of `output_format` that every GPT image model has, in the order of refusals."""


def gpt_image_rules(
    *, size: ServiceSize, auto_quality: str, unlisted_qualities: tuple[str, ...] = ()
) -> Rules:
    """The rules that every GPT image model has at every endpoint. A `quality` that is `auto` or
    absent resolves to *auto_quality*. *unlisted_qualities* are accepted, though refusals do not
    list them (seen on gpt-image-2.5)."""
    words = ("low", "medium", "high", "auto")
    return {
        "n": count_rule(10),
        "quality": Choice(words, unlisted=unlisted_qualities, auto=auto_quality),
        "background": Choice(("transparent", "opaque", "auto"), auto="opaque"),
        "output_format": Choice(STILL_FORMATS, default="png"),
        "output_compression": Integer(minimum=0, maximum=100, default=100),
        "moderation": Choice(("auto", "low"), auto="auto"),
        "size": size,
        "stream": Flag(default=False, period=STREAM_DAYS),
        "partial_images": Integer(minimum=0, maximum=3, default=0, period=STREAM_DAYS),
        # No source names a model that refuses `complexity`. Only for 2.6 an effect is documented.
        "complexity": Choice(("low", "medium", "high"), period=Period(since=date(2026, 11, 4))),
        "user": USER,
        "safety_identifier": Text(max_length=128, period=SAFETY_IDENTIFIER_DAYS),
    }


SVG_EDITS_SINCE: Final = date(2026, 11, 12)
"""The first day on which edits answered SVG. Generations did from the release of gpt-image-2.6."""

UNSTREAMED_FORMATS: Final = ("gif", "svg")
"""Words of `output_format` for formats without streams and compression: their `OutputFormat` has no
`encode`."""

GPT_2_6_FORMATS: Final = Choice((*STILL_FORMATS, "gif", "svg"), default="png")
"""`output_format` of gpt-image-2.6."""

GPT_2_6_FORMATS_AT_EDITS: Final = replace(
    GPT_2_6_FORMATS,
    earlier=((SVG_EDITS_SINCE, Choice((*STILL_FORMATS, "gif"), default="png")),),
)
"""`output_format` at edits, where SVG came later."""

GIF_AND_SVG: Final[Rules] = {
    "output_format": GPT_2_6_FORMATS,
    "frame_count": Integer(minimum=2, maximum=16),
    "frame_duration_ms": Integer(minimum=20),
    "svg": SVG,
}
"""The rules that came with GIF and SVG output."""

INPUT_FIDELITY: Final = Choice(("high", "low"), default="low", period=STREAM_DAYS)
"""`input_fidelity` of gpt-image-1 and gpt-image-1.5. gpt-image-1-mini does not know it: a probe of
2026-07 goes before the documentation, which once has `low`."""

NO_INPUT_FIDELITY: Final = UnsupportedParameter(like=INPUT_FIDELITY)
"""`input_fidelity` of gpt-image-2 and later models, which refuse the parameter."""

PERIODS_AT_EDITS: Final[Mapping[str, Period]] = {
    "background": Period(since=date(2025, 5, 2)),
    "output_format": Period(since=date(2025, 6, 16)),
    "output_compression": Period(since=date(2025, 6, 16)),
    # An error on multipart edits in 2025; in the JSON edits from their first day.
    "moderation": JSON_EDITS_DAYS,
    "svg": Period(since=SVG_EDITS_SINCE),
}
"""The periods of parameters that edits got later than generations did. The sizes with 1536
pixels are not among them: the SDK has had them since 2025-05-02, but an OpenAI notebook for
gpt-image-1 uses one of them in an edit."""

MARKUP: Final = UploadedOverlay(
    # No limit of its own is documented: the 4 MB are of `mask` alone.
    size_limit=IMAGE_BYTES_LIMIT,
    needs_transparency=True,
    period=Period(since=date(2026, 10, 31)),
)
"""`markup`, an image drawn over the first input image."""

INPUT_IMAGES: Final = UploadedImages(
    earlier=((date(2025, 6, 2), UploadedImages(size_limit=25 * MEBIBYTE)),)
)
"""`image` of every GPT image model at edits, in JSON `images`."""

GPT_2_5_RULES: Final = gpt_image_rules(
    size=FLEXIBLE_SIZE, auto_quality="low", unlisted_qualities=("xhigh", "max")
)
"""The rules from gpt-image-2.5 on."""

GPT_2_5_EDIT_RULES: Final[Rules] = {"input_fidelity": NO_INPUT_FIDELITY, "markup": MARKUP}
"""The rules at edits alone, from gpt-image-2.5 on."""

NO_RULES: Final[Rules] = MappingProxyType({})
"""No rules: the default for the rules of one operation only."""


def at_generations_and_edits(
    shared: Rules, *, generations: Rules = NO_RULES, edits: Rules = NO_RULES
) -> Mapping[Operation, Rules]:
    """`Model.rules` of a GPT image model: the *shared* rules and the prompt at both operations,
    uploads at edits. A shared rule that `PERIODS_AT_EDITS` names has that period at edits.

    *generations* and *edits* are the rules of one operation only, and keep their periods. Such a
    rule is checked last, unless it replaces a rule of the same name: then it takes that rule's
    place."""
    with_uploads: Rules = {
        "prompt": GPT_IMAGE_PROMPT_AT_EDITS,
        "image": INPUT_IMAGES,
        **{
            name: replace(rule, period=PERIODS_AT_EDITS.get(name, rule.period))
            for name, rule in shared.items()
        },
        "mask": UploadedOverlay(),
    }
    return {
        GENERATIONS: {"prompt": GPT_IMAGE_PROMPT, **shared, **generations},
        EDITS: {**with_uploads, **edits},
    }


TRANSPARENT_NOT_YET: Final = Conflict(
    {"background": Equal("transparent")},
    errors.transparent_unsupported,
    Period(until=date(2026, 8, 20)),
)
"""The conflict of gpt-image-2 until transparency became a preview there, as documented."""

# The conflicts of `CONFLICTS`, which lists them in the order in which they are checked.
STREAMED_BATCH: Final = Conflict({"n": Above(1), "stream": Equal(True)}, errors.streamed_batch)
"""A stream has one image."""

TRANSPARENT_JPEG: Final = Conflict(
    {"background": Equal("transparent"), "output_format": Equal("jpeg")}, errors.transparent_jpeg
)
"""JPEG has no transparency."""

COMPRESSED_PNG: Final = Conflict(
    {"output_compression": Below(100), "output_format": Equal("png")}, errors.compressed_png
)
"""PNG has one compression."""

MARKUP_WITH_MASK: Final = Conflict(
    {"markup": Present(), "mask": Present()}, errors.mask_with_markup
)
"""A call has one overlay at most."""


def conflicts_unless_format(output_format: str, *names: str) -> tuple[Conflict, ...]:
    """Conflicts of the parameters *names* with every other *output_format*."""
    return tuple(
        Conflict(
            {name: Present(), "output_format": OtherThan(output_format)}, errors.only_with_format
        )
        for name in names
    )


def conflicts_with_format(output_format: str, **conditions: Condition) -> tuple[Conflict, ...]:
    """The conflicts of *output_format* with parameters: one for each of *conditions*."""
    return tuple(
        Conflict({name: condition, "output_format": Equal(output_format)}, errors.not_with_format)
        for name, condition in conditions.items()
    )


UNSTREAMED: Final = tuple(
    conflict
    for output_format in UNSTREAMED_FORMATS
    for conflict in conflicts_with_format(
        output_format,
        stream=Equal(True),
        partial_images=Above(0),
        output_compression=Below(100),
    )
)
"""The conflicts of `UNSTREAMED_FORMATS`."""

CONFLICTS: Final = (
    STREAMED_BATCH,
    TRANSPARENT_JPEG,
    COMPRESSED_PNG,
    MARKUP_WITH_MASK,
    *conflicts_unless_format("gif", "frame_count", "frame_duration_ms"),
    *conflicts_unless_format("svg", "svg"),
    *UNSTREAMED,
    *conflicts_with_format("gif", mask=Present()),
    *conflicts_with_format("svg", n=Above(1)),
)
"""The conflicts of the GPT image models, in the order in which they are checked."""
