"""Mutation testing: changes the code in one small place at a time, and looks whether a test fails.

    python -m tests.mutation --sample 600

Each mutant is tried in a process of its own, forked from one that has imported the third-party
packages, with a copy of the package in which one module is changed. It meets first the tests that
are most likely to notice: those that run its lines, by a map that the first run makes, or for what
runs at import, such as a table, those of its module. `tests/mutations.toml` lists the mutants
that no test can notice, with the reason."""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final, NamedTuple

import coverage
import pytest

from tests.mutant_processes import (
    OPTIONS,
    PACKAGE,
    PASSED,
    REPOSITORY,
    Collection,
    Copy,
    Outcome,
    import_packages,
    in_process,
    run_tests,
    use,
)
from tests.mutants import Mutant, mutants_of

WORK: Final = REPOSITORY / ".pytest_cache" / "mutation"
"""The map of tests, the results, and the copies of the package."""

LIST: Final = Path(__file__).with_name("mutations.toml")

LAYERS: Final = ("contract", "rendering", "state")
"""The folders whose modules are changed."""

OTHER_TESTS: Final = (
    # of programs, pages and other processes, which see no mutant or take long
    *("benchmarks", "browser", "cli", "clients_collection", "command_line", "configuration"),
    *("deploy", "example_projects", "examples", "fault_clients", "guards"),
    *("large_bodies", "memory", "monitoring", "mutation", "node_clients", "page", "page_*"),
    *("proxies", "pytest_plugin", "pytest_sessions", "redis_address", "redis_counters"),
    *("redis_log", "redis_outages", "redis_store", "redis_traffic", "release", "reliability"),
    *("replicas", "server_commands", "shared_*", "testcontainers", "workers", "workflows"),
    # of other layers
    *("answer_comparison", "antialiasing", "architecture", "cassettes", "code_samples"),
    *("contributing", "drift", "exchange_command", "exchange_import", "png", "record_*"),
    *("recording_documents", "recording_folder", "redaction", "spool", "text_layout", "verify"),
)
"""Tests that no mutant meets."""

ALL_TESTS: Final = (*(f"--ignore-glob=tests/test_{name}.py" for name in OTHER_TESTS), "tests")

OWN_TESTS: Final[Mapping[str, Sequence[str]]] = {
    "account": ("identity", "hosting", "generations"),
    "admin_errors": ("refusals", "admin_api", "scenario"),
    "answer_replacement": ("own_answers", "answer_steps"),
    "api_document": ("documented_answers",),
    "azure": ("azure",),
    "blob_storage": ("hosting", "downloads"),
    "calendar": ("calendar", "lenience"),
    "cors": ("cors",),
    "dialect": ("azure", "calendar", "hosting"),
    "dialects": ("azure", "hosting"),
    "emulator_errors": ("refusals", "unserved", "namespaces", "limits"),
    "errors": ("refusals",),
    "events": ("events", "streams"),
    "file_objects": ("files",),
    "model": ("models", "calendar"),
    "model_rules": ("models", "model_rules", "conflicts"),
    "model_listing": ("model_rules", "conflicts"),
    "models": ("models", "prices", "usage", "model_rules", "conflicts"),
    "message_format": ("refusals", "model_rules"),
    "notices": ("path_hints", "calendar", "own_answers"),
    "operations": ("operations", "streams", "calendar"),
    "http_headers": ("answer_steps", "documented_answers", "own_answers"),
    "job_queue": ("thumbnails", "renderer", "render_process"),
    "render_process": ("render_process", "own_pictures"),
    "render_pool": ("render_process", "renderer"),
    "redis_address": ("settings", "redis_address"),
    "event_loop_thread": ("redis_client",),
    "redis_buckets": ("store", "redis_store"),
    "redis_client": ("redis_client", "store", "redis_outages", "failover"),
    "redis_container": ("store", "redis_store"),
    "redis_counters": ("store", "redis_counters"),
    "redis_log": ("store", "redis_log"),
    "redis_pool": ("redis_client", "redis_connection", "store", "redis_outages"),
    "redis_records": ("store", "redis_store"),
    "redis_registers": ("store", "redis_store"),
    "redis_subscription": ("shared_feed", "redis_address"),
    "redis_scripts": ("store", "redis_store", "redis_counters", "redis_log"),
    "redis_buckets_scripts": ("store", "redis_store"),
    "redis_counters_scripts": ("store", "redis_counters"),
    "redis_log_scripts": ("store", "redis_log"),
    "redis_records_scripts": ("store", "redis_store"),
    "redis_registers_scripts": ("store", "redis_store"),
    "renderer": ("renderer", "disconnect", "render_process", "thumbnails"),
    "references": ("edits", "own_answers", "model_rules"),
    "usage": ("usage", "formats", "prices"),
    "validation": ("lenience", "model_rules"),
    "o200k": ("tokenizer",),
    "own_picture": ("own_pictures", "own_answers", "pictures_folder", "field_codecs"),
    "query": ("journal",),
    "redis_store": ("store", "redis_store"),
    "memory_store": ("store",),
    "refusal": ("refusals",),
    "replay": ("replay", "recording_search", "miss_recorder"),
    "request": ("field_codecs", "golden", "generations", "calendar", "own_answers"),
    "retry_chain": ("journal_detail",),
    "operational_errors": ("faults", "rate_limits"),
    "match_keys": ("match", "scenario"),
    "scenario_step": ("match", "scenario"),
    "step_scan": ("scenario",),
    "steps": ("scenario", "store"),
    "token_rates": ("usage", "models"),
    "wire": ("usage", "streams", "generations", "calendar"),
}
"""The tests of a module, where they are not those of its name."""

FIRST_TESTS: Final = 24
"""How many tests a mutant meets before all others that run its lines."""

FUNCTION_SECONDS: Final = 90
"""The most that a portion of tests may take with an exchanged function, on a machine that has other
work; with an endless loop it takes so long."""

IMPORT_SECONDS: Final = 300
"""The most that a portion of tests may take with what is imported anew."""

PROGRESS_SECONDS: Final = 15
"""How often a run tells how far it is."""


def tell(text: str) -> None:
    """Print a line, at once."""
    print(text, flush=True)  # noqa: T201 - a command prints


class Progress:
    """Tells from time to time how much of a work is done, how fast, and when the rest will be."""

    def __init__(self, things: str, total: int = 0) -> None:
        """*things* is what is counted, and *total* their number, if it is known."""
        self.total = total
        self._things = things
        self._start = self._told = time.monotonic()
        self._output = os.dup(1)  # the process may get another later, or capture it

    def of(self, done: int, remark: str = "") -> None:
        """Tell that so many are *done*, if some time has gone by since it was told."""
        now = time.monotonic()
        if done and now - self._told >= PROGRESS_SECONDS:
            self._told = now
            rate = done / (now - self._start)
            left = f", {(self.total - done) / rate / 60:.0f} minutes left" if self.total else ""
            total = f" of {self.total}" if self.total else ""
            line = f"{done}{total} {self._things}, {60 * rate:.0f} a minute{left}{remark}\n"
            os.write(self._output, line.encode())


class Tests:
    """The tests that can notice mutants, from the map of lines."""

    def __init__(
        self, document: Mapping[str, Any], *, rest_seconds: float, only: Sequence[str] = ()
    ) -> None:
        """After the first tests, others are run that take *rest_seconds* together. With *only*,
        nothing else is run at import either."""
        self._rest_seconds = rest_seconds
        self._only = only
        self.seconds: dict[str, float] = document["seconds"]
        self.failed = frozenset(document["failed"])
        self.imports: list[str] = document["imports"]
        self._ids = list(self.seconds)
        self._lines: dict[str, dict[str, list[int]]] = document["lines"]

    def run(self, mutant: Mutant) -> bool:
        """Whether any test runs the lines of *mutant* in its own process."""
        return any(self.stages(mutant))

    def stages(self, mutant: Mutant) -> Iterator[Sequence[str]]:
        """The tests that run the lines of *mutant*, in two portions: few that are likely to notice
        it, and the others of its own file and as many as there is time for."""
        lines = self._lines.get(mutant.module, {})
        numbers = {number for line in mutant.lines for number in lines.get(str(line), ())}
        tests = sorted(self._named(numbers), key=self.seconds.__getitem__)
        # Quick tests, from each file in turn: those of one file often look at the same.
        files: defaultdict[str, list[str]] = defaultdict(list)
        for test in tests:
            files[test.split("::")[0]].append(test)
        likely = [test for file in _own(mutant.module) for test in files.pop(file, ())]
        others = [test for turn in zip_longest(*files.values()) for test in turn if test]
        first = [*likely[: FIRST_TESTS // 2], *others][:FIRST_TESTS]
        yield first
        rest, total = [test for test in likely if test not in first], 0.0
        for test in others:
            total += self.seconds[test]
            if total > self._rest_seconds:
                break
            if test not in first:
                rest.append(test)
        yield rest

    def import_stages(self, mutant: Mutant) -> Iterator[Sequence[str]]:
        """The tests that *mutant* meets where it is imported, in portions."""
        if self._only:
            yield self._only
            return
        own = _own(mutant.module)
        if mutant.module.startswith("contract/"):
            # All in one process: to import and to collect takes longer than to run.
            yield [
                *own,
                "tests/test_exchanges.py::test_exchange_is_answered_as_recorded",
                "tests/test_docs.py::test_reference_is_that_of_the_code",
            ]
            return
        yield own
        numbers = {
            number for tests in self._lines.get(mutant.module, {}).values() for number in tests
        }
        tests = sorted(self._named(numbers), key=self.seconds.__getitem__)
        yield [test for test in tests if test.split("::")[0] not in own][:FIRST_TESTS]

    def _named(self, numbers: Iterable[int]) -> list[str]:
        tests = (self._ids[number] for number in numbers if number >= 0)
        return [test for test in tests if test not in self.failed]


def _own(module: str) -> list[str]:
    """The files of the tests of *module*."""
    name = Path(module).stem
    files = (f"tests/test_{each}.py" for each in OWN_TESTS.get(name, (name,)))
    return [file for file in files if (REPOSITORY / file).exists()]


# The map of lines


class _Lines:
    """Notes which lines each test runs and how long it takes."""

    def __init__(self, package: Path) -> None:
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []
        self._package = package
        self._progress = Progress("tests")
        include = [f"{package}/{layer}/*" for layer in LAYERS]
        self._coverage = coverage.Coverage(
            data_file=None, config_file=False, include=include, concurrency=["thread"]
        )
        self._coverage.start()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._progress.total = len(session.items)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._coverage.switch_context(item.nodeid)
        start = time.perf_counter()
        result = yield
        self.seconds[item.nodeid] = round(time.perf_counter() - start, 4)
        self._coverage.switch_context("")
        self._progress.of(len(self.seconds))
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    def document(self) -> dict[str, Any]:
        self._coverage.stop()
        data = self._coverage.get_data()
        numbers = {test: number for number, test in enumerate(self.seconds)} | {"": -1}
        lines = {
            Path(file).relative_to(self._package).as_posix(): {
                line: sorted(numbers[test] for test in tests)
                for line, tests in data.contexts_by_lineno(file).items()
            }
            for file in data.measured_files()
        }
        imports = [
            name
            for name, module in list(sys.modules.items())
            if "site-packages" in (getattr(module, "__file__", None) or "")
        ]
        return {
            "seconds": self.seconds,
            "failed": self.failed,
            "imports": imports,
            "lines": lines,
        }


def make_map(copy: Copy, path: Path, tests: Sequence[str] = ALL_TESTS) -> None:
    """Write the map of lines, from one run of *tests*; of other tests it keeps what it has."""
    tell(f"Makes the map of tests: runs them and notes their lines, which takes as long ({path}).")

    def run() -> dict[str, Any]:
        use(copy)
        lines = _Lines(copy.package)
        pytest.main([*OPTIONS, *tests], plugins=[lines])
        return lines.document()

    document = in_process(run, 3600, path.with_suffix(".log"))
    if document is None:
        sys.exit(f"no map of tests: see {path.with_suffix('.log')}")
    if path.exists():
        document = joined(json.loads(path.read_text("utf-8")), document)
    path.write_text(json.dumps(document), "utf-8")


def joined(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The map *old*, as it was read, with the tests of *new* as they are there."""
    seconds = old["seconds"] | new["seconds"]
    numbers = {test: number for number, test in enumerate(seconds)} | {"": -1}
    lines: defaultdict[str, defaultdict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for document in (old, new):
        names = {**dict(enumerate(document["seconds"])), -1: ""}
        for module, of_module in document["lines"].items():
            for line, tests in of_module.items():
                lines[module][str(line)] |= {numbers[names[number]] for number in tests}
    failed = {*old["failed"]} - new["seconds"].keys() | {*new["failed"]}
    return {
        "seconds": seconds,
        "failed": sorted(failed),
        "imports": [*dict.fromkeys([*old["imports"], *new["imports"]])],
        "lines": {
            module: {line: sorted(tests) for line, tests in of_module.items()}
            for module, of_module in lines.items()
        },
    }


# The run


class Result(NamedTuple):
    """What became of a mutant: *outcome* is `killed` (by *test*), `killed at import`, `timeout` or
    `survived`; *seconds* is how long that took."""

    module: str
    line: int
    code: str
    kind: str
    change: str
    outcome: str
    test: str
    seconds: float


class Unnoticeable(NamedTuple):
    """An entry of `tests/mutations.toml`: the mutants of one line of *code* of a *module* that no
    test can notice, all of them or those with one of the *changes*, and the *reason*."""

    module: str
    code: str
    changes: tuple[str, ...]
    reason: str

    def covers(self, mutant: Mutant) -> bool:
        place = (mutant.module, mutant.code)
        is_change = not self.changes or mutant.change in self.changes
        return place == (self.module, self.code) and is_change


def unnoticeable() -> list[Unnoticeable]:
    """The entries of `tests/mutations.toml`."""
    document = tomllib.loads(LIST.read_text("utf-8"))
    return [
        Unnoticeable(
            entry["module"], entry["code"], tuple(entry.get("changes", ())), entry["reason"]
        )
        for entry in document["mutants"]
    ]


def sources(patterns: Sequence[str] = ()) -> dict[str, str]:
    """The modules of `LAYERS`, or those that match one of *patterns*, with their source."""
    paths = (path for layer in LAYERS for path in sorted((PACKAGE / layer).rglob("*.py")))
    return {
        path.relative_to(PACKAGE).as_posix(): path.read_text("utf-8")
        for path in paths
        if not patterns or any(path.relative_to(PACKAGE).match(pattern) for pattern in patterns)
    }


def sample(mutants: Mapping[str, Sequence[Mutant]], size: int, seed: int) -> list[Mutant]:
    """About *size* of the *mutants* of modules, by chance. Each layer has a share by the square
    root of its number; a fifth of that is of what runs at import, such as tables, where there is so
    much. Modules have shares by their number, and at least two. Any beginning of the order is a
    smaller sample of the same kind."""
    groups: defaultdict[tuple[str, bool], dict[str, list[Mutant]]] = defaultdict(dict)
    for module, of_module in mutants.items():
        for is_function in (False, True):
            if part := [each for each in of_module if bool(each.function) is is_function]:
                groups[module.split("/")[0], is_function][module] = part
    counts = {group: sum(map(len, modules.values())) for group, modules in groups.items()}
    weights = {
        (layer, is_function): (4 if is_function else 1)
        * (counts.get((layer, False), 0) + counts.get((layer, True), 0)) ** 0.5
        for layer, is_function in groups
    }
    chosen: list[tuple[float, Mutant]] = []
    for group, modules in groups.items():
        of_group = size * weights[group] / sum(weights.values())
        for module, of_module in modules.items():
            share = max(2, round(of_group * len(of_module) / counts[group]))
            random.Random(f"{seed} {module}").shuffle(of_module)
            part = of_module[:share]
            chosen += [((place + 0.5) / len(part), mutant) for place, mutant in enumerate(part)]
    return [mutant for _, mutant in sorted(chosen, key=lambda pair: pair[0])]


class Run:
    """A run over mutants: its copy of the package, and the tests that each meets."""

    def __init__(self, folder: Path, tests: Tests, collected: Sequence[str]) -> None:
        self._copy = Copy(folder / "copy")
        self._log = folder / "pytest.log"
        self._tests = tests
        self._collection = Collection(self._copy, collected, folder / "collection.log")

    def close(self) -> None:
        self._collection.close()

    def results(
        self, mutants: Sequence[Mutant], texts: Mapping[str, str], *, minutes: float
    ) -> Iterator[Result]:
        """The results of the *mutants* of the modules with these *texts*, each told as it comes;
        none is begun after so many *minutes*."""
        end = time.monotonic() + 60 * minutes
        progress = Progress("mutants", len(mutants))
        survived = 0
        for done, mutant in enumerate(mutants, 1):
            if time.monotonic() > end:
                return
            try:
                result = self.try_mutant(mutant, texts[mutant.module])
            except SyntaxError:
                continue
            tell(f"{result.outcome:8} {result.seconds:5} {mutant}  {result.test}")
            yield result
            survived += result.outcome == "survived"
            progress.of(done, f", {survived} survived")

    def try_mutant(self, mutant: Mutant, source: str) -> Result:
        """Run the tests of *mutant* until one fails. Raises SyntaxError where it is no program."""
        changed = mutant.applied(source)
        compile(changed, mutant.module, "exec", dont_inherit=True)
        start = time.monotonic()
        outcome, test = self._try(mutant, changed, source)
        seconds = round(time.monotonic() - start, 1)
        place = (mutant.module, mutant.line, mutant.code, mutant.kind, mutant.change)
        return Result(*place, outcome, test, seconds)

    def _try(self, mutant: Mutant, changed: str, source: str) -> tuple[str, str]:
        if mutant.function and self._tests.run(mutant):
            end = self._exchange(mutant, changed, source)
            if end and end[0] != "survived":
                return end
            # Programs that tests start, and what runs at import, see nothing of that.
        self._copy.change(mutant.module, changed)
        try:
            for stage in filter(None, self._tests.import_stages(mutant)):
                end = _end_of(self._import(stage))
                if end[0] != "survived":
                    return end
        finally:
            self._copy.restore(mutant.module)
        return "survived", ""

    def _exchange(self, mutant: Mutant, changed: str, source: str) -> tuple[str, str] | None:
        """Try it in place of a function that is there; None where it cannot be. A test that fails
        must fail again, and pass without the mutant: with the processor at work elsewhere, or in a
        fork, some would fail anyway."""
        place = (mutant.module, mutant.function)
        for stage in self._tests.stages(mutant):
            left = [*stage]
            while left:
                outcome = self._collection.try_function(*place, changed, left, FUNCTION_SECONDS)
                if outcome is None:
                    return None
                end = _end_of(outcome)
                test = outcome.test
                if end[0] == "survived" or test not in left:
                    break
                passes = [
                    self._collection.try_function(*place, code, [test], FUNCTION_SECONDS)
                    for code in (changed, source)
                ]
                if [each == PASSED for each in passes] == [False, True]:
                    return end
                left = left[left.index(test) + 1 :]
        return "survived", ""

    def _import(self, stage: Sequence[str]) -> Outcome:
        """Try it in a process that imports the package anew."""
        failed = [f"--deselect={test}" for test in self._tests.failed]
        outcome = run_tests(self._copy, [*stage, *failed], IMPORT_SECONDS, self._log)
        if outcome == Outcome(pytest.ExitCode.USAGE_ERROR, ""):
            # The mutant changes the parameters of tests, or nothing can be imported.
            names = dict.fromkeys(test.split("[")[0] for test in stage)
            outcome = run_tests(self._copy, [*names, *failed], IMPORT_SECONDS, self._log)
        return outcome


def _end_of(outcome: Outcome) -> tuple[str, str]:
    """What became of the mutant, and by which test."""
    if outcome.code is None:
        return "timeout", outcome.test
    if outcome.code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        return "survived", ""
    return ("killed" if "::" in outcome.test else "killed at import"), outcome.test


def report(results: Sequence[Result], listed: int) -> str:
    """The figures of a run, by layer, and the mutants that survived."""
    lines = ["layer       mutants  killed  survived   rate  by docs alone"]
    layers = (*LAYERS, "")
    for layer in layers:
        of_layer = [result for result in results if result.module.startswith(layer)]
        if not of_layer:
            continue
        survived = sum(result.outcome == "survived" for result in of_layer)
        killed = len(of_layer) - survived
        docs = sum(result.test.startswith("tests/test_docs") for result in of_layer)
        rate = 100 * killed / len(of_layer)
        figures = f"{len(of_layer):9}{killed:8}{survived:10}{rate:6.1f}%{docs:10}"
        lines.append(f"{layer or 'all':10}{figures}")
    outcomes = Counter(result.outcome for result in results)
    lines.append(", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common()))
    lines.append(f"{listed} of the sample are in {LIST.name}")
    lines += [
        f"survived: {result.module}:{result.line} {result.kind}: {result.change}"
        for result in sorted(results)
        if result.outcome == "survived"
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run mutants, and tell which survived. The status is 1 if any did."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", help="such as contract/sizes.py or 'state/*'")
    parser.add_argument("--sample", type=int, default=600, help="how many mutants (default: 600)")
    parser.add_argument("--seed", type=int, default=1, help="chooses the mutants (default: 1)")
    kinds = ("all", "functions", "tables")
    parser.add_argument(
        "--kind", choices=kinds, default="all", help="what runs in functions, or at import"
    )
    parser.add_argument("--again", action="store_true", help="try those that survived again")
    parser.add_argument("--new", action="store_true", help="forget the results of earlier runs")
    parser.add_argument(
        "--map", nargs="*", help="make the map of tests anew, or of these alone", metavar="TEST"
    )
    parser.add_argument("--minutes", type=float, default=600, help="begin none after this time")
    parser.add_argument(
        "--seconds", type=float, default=10, help="of tests that run its lines (default: 10)"
    )
    parser.add_argument("--tests", nargs="+", default=(), help="run these tests alone")
    parser.add_argument("--folder", type=Path, default=WORK, help="of the map and the results")
    options = parser.parse_args(arguments)
    collected = options.tests or ALL_TESTS
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    map_path = folder / "map.json"
    if options.map is not None or not map_path.exists():
        make_map(Copy(folder / "copy"), map_path, options.map or collected)
    document = json.loads(map_path.read_text("utf-8"))
    tests = Tests(document, rest_seconds=options.seconds, only=options.tests)
    tell(f"Has a map of {len(tests.seconds)} tests; imports what they use from other packages.")
    import_packages(tests.imports, folder / "empty")

    texts = sources(options.modules)
    mutants = {module: mutants_of(source, module) for module, source in texts.items()}
    chosen = [
        mutant
        for mutant in sample(mutants, options.sample, options.seed)
        if options.kind == "all" or bool(mutant.function) is (options.kind == "functions")
    ]
    entries = unnoticeable()
    tried = [mutant for mutant in chosen if not any(entry.covers(mutant) for entry in entries)]
    results = _Results(folder / "results.jsonl", forget=options.new)
    left = [
        mutant
        for mutant in tried
        if not (earlier := results.of(mutant)) or (options.again and earlier.outcome == "survived")
    ]
    tell(f"Has {len(left)} of {len(tried)} mutants to try; collects the tests, for a minute or so.")
    run = Run(folder, tests, collected)
    try:
        for result in run.results(left, texts, minutes=options.minutes):
            results.add(result)
    except KeyboardInterrupt:
        tell("Interrupted: what was tried is kept.")
    finally:
        run.close()
    known = [done for mutant in tried if (done := results.of(mutant))]
    tell(report(known, len(chosen) - len(tried)))
    return int(any(result.outcome == "survived" for result in known))


class _Results:
    """The newest result of each mutant, in a file with a line for each run of one."""

    def __init__(self, path: Path, *, forget: bool) -> None:
        self._path = path
        if forget:
            path.unlink(missing_ok=True)
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        results = [Result(**json.loads(line)) for line in lines]
        self._results = {_key(result): result for result in results}

    def of(self, mutant: Mutant) -> Result | None:
        return self._results.get(_key(mutant))

    def add(self, result: Result) -> None:
        self._results[_key(result)] = result
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(result._asdict()) + "\n")


def _key(mutant: Mutant | Result) -> tuple[str, str, str]:
    """What a mutant is known by when other lines of the module have changed."""
    return mutant.module, mutant.code, mutant.change


if __name__ == "__main__":
    sys.exit(main())
