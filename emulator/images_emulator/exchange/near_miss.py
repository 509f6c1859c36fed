"""Near misses: why a call did not meet the steps of the scenario, or no recording answered it."""

from __future__ import annotations

from sys import getsizeof
from typing import Final, Literal

from images_emulator.immutable import Immutable

NearMissKind = Literal[
    "path",
    "model",
    "prompt",
    "prompt_regex",
    "prompt_name",
    "size",
    "quality",
    "n",
    "background",
    "has_mask",
    "images",
    "image_sha256",
    "fields",
    "api_key",
    "retry_count",
    "target",
    "after",
    "chance",
    "spent",
    "recording",
]
"""The reason why a call did not meet a step. All but the last five are keys of `match` that
differ.

- `target`: the step is for downloads or for streams and the call is none, or the step has no path
  and the call is a download.
- `after`: the step skips the first calls.
- `chance`: the step's probability.
- `spent`: the step has met all its calls.
- `recording`: a recording of another call, not a step.
"""

NEAR_MISS_OVERHEAD_BYTES: Final = 128
"""Bytes that a near miss takes beside its reason, about."""


class NearMiss(Immutable):
    """A step that a call did not meet, or a recording that did not match it. Its text is one
    sentence with its title."""

    step: str
    """The id of the step, or the name of the recording."""
    name: str
    """`step 1` and so on for steps of the scenario, the file for those of the folder of pictures
    (`fox.png`, or `pictures.toml, step 1`), `injected` for other steps, or `recording`."""
    label: str
    """The label of the step's fault or answer, or the name of the recording."""
    kind: NearMissKind
    reason: str
    """The reason in words, such as `model 'dall-e-3' is not 'gpt-image-2'`."""
    spent: bool
    """Whether the step had met all its calls, whatever the reason is."""

    def __str__(self) -> str:
        return f"{self.name} ({self.label}): {self.reason}"

    @property
    def weight(self) -> int:
        """Bytes that the near miss takes, about."""
        return NEAR_MISS_OVERHEAD_BYTES + getsizeof(self.reason)
