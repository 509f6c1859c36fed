"""The table of models, one row for each: dates, rules, token rates, prices, seconds.

A new model is a row here. Dates are from OpenAI's deprecations page and changelog. A model with the
rules of another model is a copy of that row with another name. `test_models` tells what a row
lacks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Final

from images_emulator.contract.calendar import ALWAYS, GATEWAY_SINCE, Period
from images_emulator.contract.image_rules import InputImages, OverlayRule
from images_emulator.contract.model import Model
from images_emulator.contract.model_rules import (
    CONFLICTS,
    DALLE_2_OPERATION_RULES,
    DALLE_3_RULES,
    FLEXIBLE_SIZE,
    FLEXIBLE_SIZE_WITH_GIF,
    GIF_AND_SVG,
    GPT_2_5_EDIT_RULES,
    GPT_2_5_RULES,
    GPT_2_6_FORMATS_AT_EDITS,
    INPUT_FIDELITY,
    LISTED_SIZE,
    NO_INPUT_FIDELITY,
    TRANSPARENT_NOT_YET,
    at_generations_and_edits,
    gpt_image_rules,
)
from images_emulator.contract.operational_errors import content_policy_dalle_2, rate_limited_dalle
from images_emulator.contract.operations import (
    DALLE_SHUTDOWN,
    GENERATIONS,
    Operation,
)
from images_emulator.contract.prices import ImagePrices, TokenPrices
from images_emulator.contract.rules import Choice, Rule, Text
from images_emulator.contract.token_rates import (
    InputPatches,
    InputTiles,
    OutputFormula,
    OutputTable,
    TokenRates,
)

MODEL_PARAMETER_RULE: Final = Text(nullable=False, period=Period(since=date(2023, 11, 6)))
"""The rule of `model`, which is checked before all others: they depend on it."""

MODELS_AT_GATEWAY: Final[Sequence[tuple[date, tuple[str, ...]]]] = (
    (date(2025, 7, 25), ("gpt-image-1",)),
    (date(2025, 8, 23), ("gpt-image-1", "gpt-image-0721-mini-alpha")),
    (date(2025, 10, 6), ("gpt-image-1", "gpt-image-1-io", "gpt-image-0721-mini-alpha")),
    (date(2025, 12, 16), ("gpt-image-1", "gpt-image-1-mini")),
    (
        date(2026, 4, 17),
        ("gpt-image-1", "gpt-image-1-mini", "gpt-image-1.5", "chatgpt-image-latest"),
    ),
)
"""The GPT image models that the gateway listed when it refused the model of a generation, as
`(until, models)`. It listed dall-e-2 and dall-e-3 after them. From the last day on, the gateway let
every name pass, and only the image service checked the model.

The gateway judged calls from 2025-04-16 on. Its list was first recorded on 2025-07-23, and is
assumed to have been the same until then. The alpha was recorded from 2025-07-25 on, `-io` from
2025-08-23 to 08-25, and the message of the image service from 2026-04-17 on (maruel/genai,
providers/openaichat). The lists with mini and 1.5 are known from reports, of 2025-11-15 and
2025-12-10, and of the first months of 2026. They begin here with the release of those models."""

UNLISTED_AT_GATEWAY: Final = ("gpt-image-1.5-2025-12-16",)
"""The model that the gateway accepted on those days although its lists left it out."""

MODEL_PARAMETER_RULES: Final[Mapping[Operation, Rule]] = {
    # What the gateway listed for edits on those days was not recorded.
    GENERATIONS: replace(
        MODEL_PARAMETER_RULE,
        earlier=(
            (GATEWAY_SINCE, MODEL_PARAMETER_RULE),
            *(
                (
                    until,
                    Choice((*models, "dall-e-2", "dall-e-3"), UNLISTED_AT_GATEWAY, nullable=False),
                )
                for until, models in MODELS_AT_GATEWAY
            ),
        ),
    )
}
"""The rules of `model` at the operations that do not have `MODEL_PARAMETER_RULE`."""

OUTPUT_RATES: Final = OutputTable(
    {"low": (272, 408, 400), "medium": (1056, 1584, 1568), "high": (4160, 6240, 6208)}
)
"""Output tokens of the models before gpt-image-2."""

TILE_RATES: Final = TokenRates(OUTPUT_RATES, InputTiles(high_fidelity=(4160, 6240)))
"""Token rates of gpt-image-1."""

TILE_RATES_WITH_OUTPUT_TEXT: Final = replace(
    TILE_RATES,
    output_text={"low": (143, 143), "medium": (334, 335), "high": (334, 335)},
    output_text_of_edits={"low": (143, 143), "medium": (262, 308), "high": (262, 308)},
)
"""Token rates of gpt-image-1.5. Recorded on edits: 143 at low, 262 and 308 at medium. Recorded
without uploads: 334 and 335 at medium. The other values are assumed to equal these."""

MINI_RATES: Final = TokenRates(
    OUTPUT_RATES,
    InputPatches(max_scale=1, text_of_image=0),
    earlier=((date(2026, 10, 8), TokenRates(OUTPUT_RATES, InputTiles())),),
)
"""Token rates of gpt-image-1-mini. On 2026-06-22 an input image of 64x64 cost 194 image tokens, and
text tokens of its own. On 2026-10-08 it cost one image token for each of its patches. That images
of many patches count as they do for gpt-image-2 is inferred."""


def patch_rates(**factors: int) -> TokenRates:
    """Token rates of a model that counts input images in patches of 32×32 pixels, and output images
    by a formula with a factor for each quality."""
    return TokenRates(OutputFormula(factors), InputPatches())


GPT_2_5_RATES: Final = patch_rates(low=16, medium=24, high=48, xhigh=64, max=96)
"""Token rates from gpt-image-2.5 on. No factors are published for gpt-image-2.6; from `high` on, it
was seen to count like gpt-image-2.5."""

GPT_1_PRICES: Final = TokenPrices(input_text=5, input_image=10, output_image=40)
"""Prices of gpt-image-1."""

MINI_PRICES: Final = TokenPrices(input_text=2, input_image=2.5, output_image=8)
"""Prices of gpt-image-1-mini."""

GPT_1_5_PRICES: Final = TokenPrices(input_text=5, input_image=8, output_image=32, output_text=10)
"""Prices of gpt-image-1.5."""

GPT_2_PRICES: Final = TokenPrices(input_text=5, input_image=8, output_image=30)
"""Prices from gpt-image-2 on."""

DALLE_2_PRICES: Final = ImagePrices(
    {"standard": {(256, 256): 0.016, (512, 512): 0.018, (1024, 1024): 0.02}}
)
"""Prices of an image of dall-e-2."""

DALLE_3_PRICES: Final = ImagePrices(
    {
        "standard": {(1024, 1024): 0.04, (1024, 1792): 0.08, (1792, 1024): 0.08},
        "hd": {(1024, 1024): 0.08, (1024, 1792): 0.12, (1792, 1024): 0.12},
    }
)
"""Prices of an image of dall-e-3."""

DALLE_2_SECONDS: Final = {"standard": 9.0}
"""Seconds of a call to dall-e-2. Recorded: 8.9 for two images. All recorded seconds here are from
`openai-processing-ms`."""

DALLE_3_SECONDS: Final = {"standard": 13.0, "hd": 26.0}
"""Seconds of dall-e-3. Recorded: 11.5 and 14.4. `hd` was not recorded and counts twice, like its
price."""

GPT_1_SECONDS: Final = {"low": 15.0, "medium": 26.0, "high": 34.0}
"""Seconds of gpt-image-1 and of models like it. Recorded: 14.9 at low, 34.3 at high. Recorded at
medium: 21.7, and 30.5 for two images."""

GPT_2_SECONDS: Final = {"low": 15.0, "medium": 65.0, "high": 235.0}
"""Seconds of gpt-image-2. There is no recording, only a relay's log of 15 at low and 235 at high
(https://help.apiyi.com/en?p=30724). Between them the seconds grow with the output tokens, also for
later models."""

GPT_2_5_SECONDS: Final = {"low": 15.0, "medium": 23.0, "high": 65.0, "xhigh": 110.0, "max": 235.0}
"""Seconds from gpt-image-2.5 on; see `GPT_2_SECONDS`."""

GPT_2_6_TIERS: Final = "gpt-image-2.6-sunburst or gpt-image-2.6-flare"
"""The replacement of the models that are shut down on 2026-12-01, in the words of the deprecations
page."""

TILED_OUTPUT_DETAILS_DAYS: Final = Period(since=date(2026, 4, 27))
"""The days on which `usage` of gpt-image-1 and gpt-image-1-mini has `output_tokens_details`. The
first day is halfway between 2026-04-17, when gpt-image-1-mini did not have the key (gpt-image-1.5
did), and 2026-05-06, when gpt-image-1 did."""

# The `created` times of the GPT image models are from a list of models that was compared with the
# live one on 2026-10-05. Neither that list nor the one of 2026-08-29 has gpt-image-1.5-2025-12-16.
# The times of the DALL·E models are the same in many published lists.
GPT_1: Final = Model(
    "gpt-image-1",
    released=date(2025, 4, 23),
    created=1745517030,
    shutdown=date(2026, 10, 23),
    replacement="gpt-image-2.5-sunburst",
    # Without `quality`, `high` was recorded.
    rules=at_generations_and_edits(
        gpt_image_rules(size=LISTED_SIZE, auto_quality="high"),
        edits={"input_fidelity": INPUT_FIDELITY},
    ),
    conflicts=CONFLICTS,
    token_rates=TILE_RATES,
    output_details_period=TILED_OUTPUT_DETAILS_DAYS,
    prices=GPT_1_PRICES,
    seconds=GPT_1_SECONDS,
)
GPT_1_5: Final = replace(
    GPT_1,
    id="gpt-image-1.5",
    released=date(2025, 12, 16),
    created=1764030620,
    shutdown=date(2026, 12, 1),
    replacement=GPT_2_6_TIERS,
    # Without `quality`, `medium` was recorded, and never `high`.
    rules=at_generations_and_edits(
        gpt_image_rules(size=LISTED_SIZE, auto_quality="medium"),
        edits={"input_fidelity": INPUT_FIDELITY},
    ),
    token_rates=TILE_RATES_WITH_OUTPUT_TEXT,
    output_details_period=ALWAYS,
    prices=GPT_1_5_PRICES,
)
GPT_2: Final = Model(
    "gpt-image-2",
    released=date(2026, 4, 21),
    created=1776399795,
    # Without `quality`, and with `auto`, `low` was recorded.
    rules=at_generations_and_edits(
        gpt_image_rules(size=FLEXIBLE_SIZE, auto_quality="low"),
        edits={"input_fidelity": NO_INPUT_FIDELITY},
    ),
    conflicts=(TRANSPARENT_NOT_YET, *CONFLICTS),
    token_rates=patch_rates(low=16, medium=48, high=96),
    prices=GPT_2_PRICES,
    seconds=GPT_2_SECONDS,
)
GPT_2_5: Final = Model(
    "gpt-image-2.5-sunburst",
    released=date(2026, 9, 8),
    created=1788563162,
    rules=at_generations_and_edits(GPT_2_5_RULES, edits=GPT_2_5_EDIT_RULES),
    conflicts=CONFLICTS,
    token_rates=GPT_2_5_RATES,
    prices=GPT_2_PRICES,
    seconds=GPT_2_5_SECONDS,
)
GPT_2_6: Final = replace(
    GPT_2_5,
    id="gpt-image-2.6-sunburst",
    released=date(2026, 11, 4),
    created=None,
    rules=at_generations_and_edits(
        {**GPT_2_5_RULES, "size": FLEXIBLE_SIZE_WITH_GIF, **GIF_AND_SVG},
        edits={**GPT_2_5_EDIT_RULES, "output_format": GPT_2_6_FORMATS_AT_EDITS},
    ),
)

MODELS: Final[Mapping[str, Model]] = {
    model.id: model
    for model in (
        Model(
            "dall-e-2",
            released=date(2022, 11, 3),
            created=1698798177,
            shutdown=DALLE_SHUTDOWN,
            replacement="gpt-image-2.5-sunburst",
            rules=DALLE_2_OPERATION_RULES,
            prices=DALLE_2_PRICES,
            seconds=DALLE_2_SECONDS,
            error_overrides={
                "rate_limit_exceeded": rate_limited_dalle,
                "content_policy_violation": content_policy_dalle_2,
            },
            has_content_filters=True,
        ),
        Model(
            "dall-e-3",
            released=date(2023, 11, 6),
            created=1698785189,
            shutdown=DALLE_SHUTDOWN,
            replacement="gpt-image-2.5-sunburst",
            rules={GENERATIONS: DALLE_3_RULES},
            prices=DALLE_3_PRICES,
            seconds=DALLE_3_SECONDS,
            error_overrides={"rate_limit_exceeded": rate_limited_dalle},
            revises_prompt=True,
            has_content_filters=True,
        ),
        GPT_1,
        Model(
            "gpt-image-1-mini",
            released=date(2025, 10, 6),
            created=1758845821,
            shutdown=date(2026, 12, 1),
            replacement=GPT_2_6_TIERS,
            rules=at_generations_and_edits(gpt_image_rules(size=LISTED_SIZE, auto_quality="high")),
            conflicts=CONFLICTS,
            token_rates=MINI_RATES,
            output_details_period=TILED_OUTPUT_DETAILS_DAYS,
            # Recorded on that day. gpt-image-1 had no such key on 2026-10-07.
            null_identifier_period=Period(since=date(2026, 10, 8)),
            prices=MINI_PRICES,
            seconds=GPT_1_SECONDS,
        ),
        GPT_1_5,
        replace(GPT_1_5, id="gpt-image-1.5-2025-12-16", created=None, is_listed=False),
        replace(GPT_1_5, id="chatgpt-image-latest", created=1765925279),
        GPT_2,
        replace(GPT_2, id="gpt-image-2-2026-04-21", created=1776399994),
        GPT_2_5,
        replace(GPT_2_5, id="gpt-image-2.5-sunburst-2026-09-08", created=1788851010),
        replace(GPT_2_5, id="gpt-image-2.5-flare", created=1788563147),
        replace(GPT_2_5, id="gpt-image-2.5-flare-2026-09-08", created=1788851006),
        GPT_2_6,
        replace(GPT_2_6, id="gpt-image-2.6-flare"),
    )
}
"""The table: all models by id, in the order of `/v1/models`."""

FILE_PARAMETERS: Final = frozenset(
    name
    for model in MODELS.values()
    for rules in model.rules.values()
    for name, rule in rules.items()
    if isinstance(rule, InputImages | OverlayRule)
)
"""The parameters that a form carries as files."""


def words_of(parameter: str) -> set[str]:
    """The words of *parameter* that any model takes, by the newest version of its rule."""
    tables = (rules for model in MODELS.values() for rules in model.rules.values())
    rules_of_models = (rules.get(parameter) for rules in tables)
    return {word for rule in rules_of_models if isinstance(rule, Choice) for word in rule.words}


LISTED_MODEL: Final = "dall-e-2"
"""The model that a refusal lists where the endpoint does not take the named model. Recorded for
gpt-image-1 at edits."""


def newest_of(models: Iterable[Model]) -> Model:
    """The newest of *models*. Of several models of the same day, the first one."""
    return max(models, key=lambda model: model.released)


NEWEST_MODEL: Final = newest_of(MODELS.values())
"""The newest model of the table. When it changes, so do the line `models` of the README, and what
these modules do where no call names a known model:

- the errors of faults (`faults/error_fault.py`)
- the placeholder of a remote image that is not fetched (`imaging/image_loader.py`)
- the rendering that warms up a process (`rendering/render_process.py`)

The newest model of the day (`TablesOfDay.newest_model`) is another: validation judges an unknown
model by it, and the command `draw` asks for it.
"""
