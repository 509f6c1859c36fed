"""Dates: days, periods, and the version of a thing on a day. What changes on a day, such as a dated
sentence of an error or a rule that holds from some day on, says so by the types here. The day, if
no later than `LAST_KNOWN_DAY`, is also one of `KNOWN_DAYS` in `tests/test_calendar.py`.

A thing that exists on some days only has a `Period`, such as a `Rule`, `Conflict`, `Operation` or
`RequestBody` in its field `period`. The periods of answer keys (`wire.KEY_PERIODS`), headers
(`dialect.OPENAI_HEADERS`) and default models are in tables; other periods stand next to the
thing that they apply to, mostly in constants whose names end in `_DAYS`.

A thing that has changed, such as the message of an error, has its former versions in `earlier`
(`Rule`, `Refusal`, `TokenRates`), each as `(until, version)`; see `version_on`. Tables of such
versions that belong to nothing else begin with `EARLIER_` or `earlier_`. A thing may have a
period and former versions. A model has `released` and `shutdown`, the dates that the API itself
documents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final, TypeVar

from images_emulator.immutable import Immutable

T = TypeVar("T")

Day = date | None
"""The day whose versions of rules, messages, keys and headers count; None for the newest ones."""

AsOf = date | None
"""The day that decides which models and parameters exist. None is `any`: everything that was ever
documented."""


class Period(Immutable):
    """The days from *since*, included, to *until*, not included; None leaves an end open."""

    since: date | None = None
    until: date | None = None

    def __contains__(self, day: Day | AsOf) -> bool:
        """Whether *day*, which may be an as-of, is in the period. None is in every period."""
        if day is None:
            return True
        return (self.since is None or self.since <= day) and (
            self.until is None or day < self.until
        )


ALWAYS: Final = Period()
"""The period of all days."""


class StackDays(Immutable):
    """The days on which answers have a header: *gateway* for operations that moved to the gateway,
    also for the days before the move, *older_stack* for operations that stayed on the older stack.
    Other questions about the stack: see `GATEWAY_SINCE`."""

    gateway: Period = ALWAYS
    older_stack: Period = ALWAYS

    def period(self, has_older_stack_headers: bool) -> Period:
        """The days at operations that stayed, or else at those that moved."""
        return self.older_stack if has_older_stack_headers else self.gateway


def version_on(day: Day, newest: T, earlier: Sequence[tuple[date, T]]) -> T:
    """The version of *day*: one of *earlier*, or the *newest*. None gives the newest. The items of
    *earlier* are `(until, version)`, the oldest first; the day *until* is not included."""
    if day is None:
        return newest
    return next((version for until, version in earlier if day < until), newest)


GATEWAY_SINCE: Final = date(2025, 4, 16)
"""The first day on which the gateway judged calls: a week before gpt-image-1, and "since yesterday"
on 2025-04-17 (openai-node#1468, go-openai#967). Before that day the older stack judged all calls.
Its errors have other messages, another order of keys, and null for `param`; all of its bodies end
with a line feed.

Which stack counts is asked in these ways; some operations never moved to the gateway:

| question | answer | date |
|---|---|---|
| Does the older stack judge all calls? | `is_before_gateway` | `Day` |
| Has an operation never moved? | `Operation.stayed_on_older_stack` | none |
| Does the older stack judge the calls of an operation? | `Operation.is_on_older_stack` | `Day` |
| Which day's messages do its errors have? | `Operation.message_day` | `Day` |
| Which headers does an answer have? | `ServedExchange.has_older_stack_headers` | `AsOf` |
| On which days does it have one of them? | `StackDays.period` | `Day` |
"""


def is_before_gateway(day: Day) -> bool:
    """Whether *day* is before `GATEWAY_SINCE`. False for None, the newest day."""
    return day is not None and day < GATEWAY_SINCE


JSON_EDITS_SINCE: Final = date(2026, 2, 9)
"""The first day on which edits read JSON. On the same day forms were first read in a new way."""

SAFETY_IDENTIFIER_DAYS: Final = Period(since=date(2026, 10, 16))
"""The days on which calls may have a `safety_identifier`, and answers repeat it."""

LAST_DAY_OF_OLDER_STACK: Final = GATEWAY_SINCE - timedelta(days=1)
"""The last day of the older stack. Operations that never moved to the gateway have the messages of
this day."""

LAST_KNOWN_DAY: Final = date(2026, 11, 25)
"""The last day for which this contract has recordings and documentation. Changes of later days are
announcements."""
