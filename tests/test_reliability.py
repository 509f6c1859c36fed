"""The table of `reliability/`, and its runs for seconds in place of minutes."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from reliability import __main__ as command
from reliability import flakes
from reliability.killed_workers import judge, run
from reliability.mixed_calls import FAULTS, Result
from reliability.promise import Effort, Figure, Outcome, Promise
from reliability.promises import PROMISES
from reliability.raw_calls import BrokenAnswerError, parsed
from reliability.report import END, PAGE, START, as_markdown, earlier_origins
from tests.redis_server import missing_part

TESTS = Path(__file__).parent


def test_every_promise_is_held_by_a_scenario_or_by_tests() -> None:
    assert all(bool(promise.scenario) != bool(promise.tests) for promise in PROMISES)
    assert len({promise.name for promise in PROMISES}) == len(PROMISES)


def test_tests_that_hold_a_promise_are_there() -> None:
    for test in {test for promise in PROMISES for test in promise.tests}:
        file, _, name = test.partition("::")
        tree = ast.parse((TESTS / file).read_text())
        assert name in {getattr(each, "name", None) for each in tree.body}, test


def test_page_has_every_promise_and_that_it_held() -> None:
    lines = PAGE.read_text().splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")][1:]
    assert [row[0] for row in rows] == [promise.text for promise in PROMISES]
    assert {row[-1] for row in rows} == {"yes"}


def test_rows_of_promises_that_were_not_tried_stay_in_the_page() -> None:
    table = PAGE.read_text().partition(START)[2].partition(END)[0]
    promise = next(each for each in PROMISES if each.scenario)
    outcome = Outcome([Figure(12, "calls")])
    rows = as_markdown([(promise, {"uvloop": outcome})], Effort(180, 0.5).arguments, table)
    before, after = ([*text.splitlines()] for text in (table, rows))
    changed = [line for line in after if line not in before]
    assert changed == [
        f"| {promise.text} | `--only {promise.name} --scale 0.5` | 12 calls, 0 mistakes | yes |"
    ]
    assert len(after) == sum(line.startswith("|") for line in before)


def test_day_and_machine_of_rows_that_stay_are_kept() -> None:
    table = PAGE.read_text().partition(START)[2].partition(END)[0]
    results = [(promise, {"uvloop": Outcome([])}) for promise in PROMISES]
    (kept,) = earlier_origins(results[:1], table)
    assert re.match(r"The runs of \d{4}-\d\d-\d\d were on .+, CPython 3", kept)
    assert earlier_origins(results, table) == []


@pytest.mark.parametrize(
    ("effort", "arguments"),
    [
        (Effort(180), []),
        (Effort(600, calls=4_000_000), ["--minutes 10", "--calls 4000000"]),
    ],
)
def test_effort_names_the_arguments_that_are_not_the_usual_ones(
    effort: Effort, arguments: list[str]
) -> None:
    assert effort.arguments == arguments


@pytest.mark.parametrize(
    ("figure", "held"),
    [
        (Figure(1, "lost calls", most=0), False),
        (Figure(0, "lost calls", most=0), True),
        (Figure(0, "calls", least=1), False),
        (Figure(1, "calls", least=1), True),
        (Figure(-5, "calls"), True),
    ],
)
def test_a_figure_is_held_within_its_bounds(figure: Figure, held: bool) -> None:
    assert Outcome([figure]).held is held


def test_an_outcome_with_a_mistake_is_not_held() -> None:
    assert not Outcome([Figure(1, "calls", least=1)], ["another picture"]).held


@pytest.mark.parametrize("broken", ["a mistake", "an exception", None])
def test_command_exits_with_1_where_a_promise_is_broken(
    broken: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario(effort: Effort, loop: str) -> Outcome:
        if broken == "an exception":
            raise RuntimeError(broken)
        return Outcome([], [broken] if broken else [])

    table = [Promise(name="x", text="x", scenario=scenario)]
    monkeypatch.setattr(command, "PROMISES", table)
    monkeypatch.setattr("sys.argv", ["reliability", "--quick"])
    assert command.main() == (1 if broken else 0)
    assert (broken or "held: x: 0 mistakes") in capsys.readouterr().out


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nx\r\n0\r\n\r\n",
    ],
)
def test_an_answer_that_is_not_whole_is_broken(data: bytes) -> None:
    with pytest.raises(BrokenAnswerError):
        parsed(data)


def test_a_whole_answer_is_read() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n2\r\nyz\r\n0\r\n\r\n"
    assert parsed(chunked).body == b"xyz"
    assert parsed(b"HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx")[::2] == (404, b"x")


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
    assert [each for each in result.mistakes if each.startswith(mistake)]


def test_run_without_mistakes_has_none_in_the_end() -> None:
    result = result_of()
    judge(result, 16)
    assert result.mistakes == []


# --- runs of the suite


REPORT = """<testsuites><testsuite>
<testcase classname="tests.test_x" name="test_right"/>
<testcase classname="tests.test_x" name="test_wrong[a b]"><failure>why</failure></testcase>
<testcase classname="tests.test_y" name="test_set_up"><error>how</error></testcase>
</testsuite></testsuites>"""


def test_report_of_a_run_names_the_tests_that_failed() -> None:
    assert flakes.failures_in(REPORT) == [
        ("tests.test_x::test_wrong[a b]", "why"),
        ("tests.test_y::test_set_up", "how"),
    ]


@pytest.mark.parametrize("failures", [[], [flakes.Failure("tests.test_x::test_y", "why")]])
def test_runs_of_the_suite_exit_with_1_where_a_test_failed(
    failures: list[flakes.Failure],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    runs = iter([flakes.Run(0, [], "1 passed"), flakes.Run(bool(failures), failures, "the end")])
    monkeypatch.setattr(flakes, "run_tests", lambda *_: next(runs))
    monkeypatch.setattr("sys.argv", ["flakes", "--runs", "2", "--", "-m", "x"])
    assert flakes.main() == bool(failures)
    output = capsys.readouterr().out
    assert ("1 of 2 runs: tests.test_x::test_y" in output) == bool(failures)
    assert output.endswith(f"{2 - bool(failures)} of 2 runs passed\n")


@pytest.mark.slow
def test_clock_of_a_run_begins_on_another_day() -> None:
    if not shutil.which("cc"):
        pytest.skip("needs a C compiler")
    code = "import datetime, time; time.sleep(0.01); print(datetime.date.today())"
    with flakes.other_clock(datetime(2031, 2, 28, 12)) as clock:
        command = [sys.executable, "-c", code]
        done = subprocess.run(
            command, env={**os.environ, **clock}, capture_output=True, text=True, check=True
        )
    assert done.stdout == "2031-02-28\n"
