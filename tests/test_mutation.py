"""Mutation testing: the changes that it makes, the list of those that no test can notice, and the
command."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.mutant_processes import REPOSITORY
from tests.mutants import mutants_of
from tests.mutation import joined, sample, sources, unnoticeable


def changes(source: str) -> set[str]:
    return {mutant.change for mutant in mutants_of(source, "module.py")}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = 1", {"1 → 2"}),
        ("x = True", {"True → False"}),
        ("x = 'a'", {"'a' → 'XXaXX'"}),
        ("x = ''", {"'' → 'XX'"}),
        ("x = b'a'", {"b'a' → b'XXaXX'"}),
        ("x = f'{a}'", {"f'{a}' → (f'XX{a}XX')"}),
        ("x = a < b", {"a < b → (a <= b)"}),
        ("x = a < b <= c", {"a < b <= c → (a <= b <= c)", "a < b <= c → (a < b < c)"}),
        ("x = a and b", {"a and b → (a or b)"}),
        ("x = not a", {"not a → (a)"}),
        ("x = a + b", {"a + b → (a - b)"}),
        ("x += a", {"x += a → x -= a"}),
        ("x = a if b else c", {"b → (not b)"}),
        ("x = [a for a in b if c]", {"c → (not c)"}),
        ("if a == b: pass", {"a == b → (a != b)"}),
        ("while a: break", {"a → (not a)", "break → continue"}),
        ("x = f(a=b)", {"f(a=b) → (f())"}),
        ("x = (a, b)", {"(a, b) → ((b,))", "(a, b) → ((a,))"}),
        ("x = {a: b}", {"{a: b} → ({})"}),
        ("f()", {"f() → pass"}),
        ("x.y = z", {"x.y = z → pass"}),
        ("raise E", {"raise E → pass"}),
        ("def f():\n    return a", {"return a → return None"}),
    ],
)
def test_each_kind_of_code_is_changed(source: str, expected: set[str]) -> None:
    assert changes(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring."""',
        "from a import b",
        "assert a == 1",
        "x: Literal['a']",
        "x: TypeAlias = dict[str, int]",
        "x = int | None",
        "T = TypeVar('T', bound='int')",
        "x = cast('int', y)",
        "def f(a: 'int') -> 'str': ...",
        "x = zip(a, b, strict=True)",
        "if TYPE_CHECKING:\n    x = 1",
        "@dataclass(frozen=True)\nclass A(B, c=1): ...",
        "raise NotImplementedError('a')",
        "def f():\n    return None",
    ],
)
def test_what_no_test_can_see_is_not_changed(source: str) -> None:
    assert changes(source) == set()


def test_a_mutant_changes_its_place_alone() -> None:
    source = "# é\ndef f(é):\n    x = 'é' + g(1)  # a comment\n    return x\n"
    (mutant,) = (each for each in mutants_of(source, "module.py") if each.before == "1")
    assert mutant.applied(source) == source.replace("g(1)", "g(2)")
    assert (mutant.function, mutant.line, mutant.code) == ("f", 3, "x = 'é' + g(1)  # a comment")


def test_a_larger_sample_has_what_a_smaller_one_has() -> None:
    mutants = {"contract/a.py": mutants_of("x = (1, 2, 3, 4, 5, 6, 7, 8)\n" * 5, "contract/a.py")}
    small, large = sample(mutants, 10, 1), sample(mutants, 20, 1)
    assert len(small) == 10
    assert set(small) < set(large)
    assert set(small) != set(sample(mutants, 10, 2))


@pytest.mark.slow
def test_each_entry_of_the_list_is_of_mutants_that_there_are() -> None:
    entries = unnoticeable()
    texts = sources(sorted({entry.module for entry in entries}))
    mutants = [mutant for module in texts for mutant in mutants_of(texts[module], module)]
    for entry in entries:
        covered = {mutant.change for mutant in mutants if entry.covers(mutant)}
        assert covered, entry
        assert covered >= set(entry.changes), entry
        assert entry.reason.endswith("."), entry


def test_a_map_of_some_tests_keeps_what_it_has_of_others() -> None:
    old = {"seconds": {"a": 1, "b": 2}, "failed": ["b"], "imports": ["x"]}
    new = {"seconds": {"b": 3, "c": 4}, "failed": [], "imports": ["y", "x"]}
    assert joined(
        old | {"lines": {"m.py": {"1": [-1, 0], "2": [1]}}},
        new | {"lines": {"m.py": {1: [-1, 1], 3: [0]}}},
    ) == {
        "seconds": {"a": 1, "b": 3, "c": 4},
        "failed": [],
        "imports": ["x", "y"],
        "lines": {"m.py": {"1": [-1, 0, 2], "2": [1], "3": [1]}},
    }


NESTED_LOOPS = """
import signal

from tests.mutant_processes import in_process

def loop():
    print("began", flush=True)
    while True:
        pass

# A program that a shell runs in the background ignores it.
signal.signal(signal.SIGINT, signal.default_int_handler)
in_process(lambda: in_process(loop, 600), 600)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="The kernel's signal is that of Linux.")
@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_processes_end_with_the_one_that_started_them(name: str) -> None:
    program = [sys.executable, "-c", NESTED_LOOPS]
    with subprocess.Popen(program, cwd=REPOSITORY, stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "began\n"
        try:
            for _ in range(30):
                # Again and again: one that meets Python behind a fork is lost.
                process.send_signal(getattr(signal, name))
                with suppress(subprocess.TimeoutExpired):
                    # To its end: while any of them runs, the pipe is open.
                    process.communicate(timeout=1)
                    break
            else:
                pytest.fail("a process runs on")
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_command_tells_which_mutants_survive(tmp_path: Path) -> None:
    test = tmp_path / "test_few.py"
    test.write_text(
        "from images_emulator.state.random_ids import random_id\n"
        "def test_length(): assert len(random_id()) == 24\n"
    )
    options = ("--folder", str(tmp_path), "--tests", str(test))
    run = subprocess.run(
        [sys.executable, "-m", "tests.mutation", "state/random_ids.py", *options],
        cwd=REPOSITORY,
        text=True,
        capture_output=True,
        check=False,
    )
    assert run.returncode == 1, run.stdout + run.stderr
    lines = (tmp_path / "results.jsonl").read_text().splitlines()
    outcomes = {result["change"]: result["outcome"] for result in map(json.loads, lines)}
    assert outcomes["24 → 25"] == "killed"
    assert outcomes["\"\" → 'XX'"] == "killed"
    assert outcomes["return uuid_text(random_digits()) → return None"] == "survived"
    assert "survived: state/random_ids.py" in run.stdout
    assert run.stdout.startswith("Makes the map of tests")
