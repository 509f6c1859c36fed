"""The vocabulary for parameters that exclude each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from images_emulator.contract.calendar import AsOf
from images_emulator.contract.errors import APIError


@dataclass(frozen=True, slots=True)
class Conflict:
    """Parameters that exclude each other: all of *when* at once is refused with *refusal*.

    *when* maps a parameter to a test of its settled value; the first is the one that gives way
    where mistakes are forgiven. *until* is the day on which that changed; under `any` it has
    changed.
    """

    when: Mapping[str, Callable[[Any], bool]]
    refusal: Callable[..., APIError]
    facts: Mapping[str, str]
    until: date | None = None

    @property
    def yielding(self) -> str:
        return next(iter(self.when))

    def holds_at(self, as_of: AsOf) -> bool:
        return self.until is None or (as_of is not None and as_of < self.until)

    def check(self, values: Mapping[str, Any]) -> None:
        """Raises APIError where the settled *values* exclude each other."""
        for name, test in self.when.items():
            if not test(values.get(name)):
                return
        raise self.refusal(**self.facts)


def excludes(
    refusal: Callable[..., APIError],
    when: Mapping[str, Callable[[Any], bool]],
    until: date | None = None,
    **facts: str,
) -> Conflict:
    return Conflict(when, refusal, facts, until)


def given(value: Any) -> bool:
    return value is not None


def equal(word: Any) -> Callable[[Any], bool]:
    return lambda value: bool(value == word)


def other_than(word: Any) -> Callable[[Any], bool]:
    return lambda value: bool(value != word)


def above(least: int) -> Callable[[Any], bool]:
    return lambda value: value is not None and value > least


def below(most: int) -> Callable[[Any], bool]:
    return lambda value: value is not None and value < most
