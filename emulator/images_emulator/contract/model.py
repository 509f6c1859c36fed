"""One row of the table of models. The rows are in `models.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import date

from images_emulator.contract.calendar import ALWAYS, AsOf, Day, Period
from images_emulator.contract.conflicts import Conflict
from images_emulator.contract.operations import Operation
from images_emulator.contract.prices import Prices
from images_emulator.contract.refusal import Refusal
from images_emulator.contract.rules import Rules
from images_emulator.contract.token_rates import TokenRates
from images_emulator.immutable import Immutable


class Model(Immutable):
    """One row of the table: a model."""

    id: str
    released: date
    """The first day on which the model exists."""
    rules: Mapping[Operation, Rules] = field(compare=False)
    """The rules of each operation that the model serves."""
    conflicts: tuple[Conflict, ...] = field(default=(), compare=False)
    """The combinations of parameters that the model refuses, in the order of the checks."""
    token_rates: TokenRates | None = field(default=None, compare=False)
    """The token counts of the model; None where its answers have no `usage`."""
    output_details_period: Period = ALWAYS
    """The days on which `usage` has `output_tokens_details`."""
    null_identifier_period: Period | None = None
    """The days on which the body of an answer has `"safety_identifier": null` where the call has
    neither `safety_identifier` nor `user`. None where the key is then left out on all days."""
    prices: Prices | None = field(default=None, compare=False)
    """The prices of an answer; None where no source has them."""
    shutdown: date | None = None
    """The first day on which the model no longer exists; None where no day is announced."""
    created: int | None = None
    """`created` in the answer of `GET /v1/models/{id}`, in seconds since 1970; not the time of the
    release. None where it was not recorded: the answer then has midnight of the release day."""
    is_listed: bool = True
    """Whether `GET /v1/models` names the model."""
    replacement: str | None = None
    """The model to use in its place, as the deprecations page words it."""
    seconds: Mapping[str, float] = field(default_factory=dict, compare=False)
    """The seconds that the API takes for a call, by quality."""
    error_overrides: Mapping[str, Refusal] = field(default_factory=dict, compare=False)
    """The model's own words for errors of `ERRORS_BY_NAME`, by the same names."""
    revises_prompt: bool = False
    """Whether answers have a `revised_prompt`."""
    has_content_filters: bool = False
    """Whether Azure's answers carry the results of its content filters."""

    def __str__(self) -> str:
        return self.id

    def is_shut_down_by(self, day: Day) -> bool:
        """Whether the model no longer exists on *day*; False for None."""
        return bool(self.shutdown and day and self.shutdown <= day)

    def exists_on(self, as_of: AsOf) -> bool:
        """Whether the model exists on *as_of*. On `any` every model exists."""
        return as_of in Period(self.released, self.shutdown)
