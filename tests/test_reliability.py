"""The run of `benchmarks/reliability.py`, for seconds in place of minutes."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.reliability import FAULTS, Result, judge, run
from tests.redis_server import missing_part


@pytest.mark.slow
@pytest.mark.skipif(bool(missing_part()), reason=missing_part())
async def test_what_workers_answer_is_right_and_in_the_journal_while_they_are_killed() -> None:
    result = await run(10, kill_seconds=3, clients=16)
    assert result.mistakes == []
    assert (result.kills, result.replacements) == (3, 3)
    assert result.checked


def result_of(**values: object) -> Result:
    result = Result(kills=1, replacements=1, faults=FAULTS)
    result.calls["calls that a fault is for"] = FAULTS
    for name, value in values.items():
        setattr(result, name, value)
    return result


@pytest.mark.parametrize(
    ("values", "mistake"),
    [
        ({"replacements": 0}, "0 workers were replaced of 1"),
        ({"faults": FAULTS + 1}, f"{FAULTS + 1} faults were met"),
        ({"faults": FAULTS - 1}, f"{FAULTS - 1} faults were met"),
        ({"failures": Counter({0: 1})}, "1 calls failed before a worker was killed"),
        ({"failures": Counter({1: 33})}, "33 calls failed after kill 1"),
    ],
)
def test_mistakes_that_only_the_end_of_a_run_shows_are_told(
    values: dict[str, object], mistake: str
) -> None:
    result = result_of(**values)
    judge(result, 16)
    assert mistake in result.text()


def test_run_without_mistakes_has_none_in_the_end() -> None:
    result = result_of()
    judge(result, 16)
    assert result.text().endswith("0 mistakes")
