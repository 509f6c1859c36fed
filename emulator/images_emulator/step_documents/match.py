"""The `match` of a step: which calls it is for."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from images_emulator.exchange.field_path import FieldPath
from images_emulator.exchange.prompts import PromptPattern, name_pattern
from images_emulator.strict_model import StrictModel


def _check_pattern(text: str) -> str:
    PromptPattern(text)
    return text


def _check_path(text: str) -> str:
    FieldPath(text)
    return text


class Match(StrictModel):
    """The calls that a step is for. A key that is left out matches every call.

    A step with a fault looks at the values that were sent. A step with an answer looks at the
    values in force, defaults included. Wildcards are those of file names: `*`, `?` or `[abc]`.
    """

    path: str | None = Field(default=None, description="The path; it may have wildcards.")
    model: str | None = Field(default=None, description="The model; it may have wildcards.")
    prompt: str | None = Field(default=None, description="A part of the prompt, in any case.")
    prompt_regex: Annotated[str, AfterValidator(_check_pattern)] | None = Field(
        default=None,
        description="A regular expression that is searched in the prompt. A search that takes "
        "longer than 0.1 s is given up, and finds nothing.",
    )
    prompt_name: Annotated[str, AfterValidator(name_pattern)] | None = Field(
        default=None,
        description="The words of the prompt in lower case with hyphens between them, such as "
        "`a-red-fox`; it may have the wildcards `*` and `?`.",
    )
    size: str | None = Field(
        default=None, description="Width and height, such as `1024x1024`; it may have wildcards."
    )
    quality: str | None = Field(default=None, description="The quality.")
    n: int | None = Field(default=None, ge=1, description="The number of pictures.")
    background: str | None = Field(default=None, description="The background.")
    has_mask: bool | None = Field(default=None, description="Whether the call has a mask.")
    images: int | None = Field(
        default=None, ge=0, description="The number of input images, without mask and markup."
    )
    image_sha256: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{64}$",
        description="SHA-256 of the file of one of the input images, in hex.",
    )
    fields: dict[Annotated[str, AfterValidator(_check_path)], Any] | None = Field(
        default=None,
        description="Values by their paths in the body: `user`, `svg.model`, `images[0].file_id`, "
        "`images[*].image_url` (one of them). A text may have wildcards. An uploaded file is "
        "compared by its name. null matches null and a missing value.",
    )
    api_key: str | None = Field(default=None, description="The API key.")
    retry_count: int | None = Field(
        default=None,
        ge=0,
        description="How often the SDK has tried before: its header `x-stainless-retry-count`.",
    )
