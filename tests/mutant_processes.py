"""Processes that run tests on a changed copy of the package.

All are forked: from the first one, which has imported the third-party packages, or from one that
has collected the tests as well (`Collection`). So neither is done again for each mutant. They end
with the process that has started them, however that ends."""

from __future__ import annotations

import fcntl
import gc
import os
import select
import shutil
import signal
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from itertools import zip_longest
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, Final, NamedTuple

import pytest

REPOSITORY: Final = Path(__file__).parents[1]

PACKAGE: Final = REPOSITORY / "emulator" / "images_emulator"

OPTIONS: Final = (
    *("-q", "--no-header", "--tb=short", "-p", "no:randomly", "-p", "no:cacheprovider"),
    *("-p", "no:xdist", "-m", "not slow", "-o", "timeout=30"),
)
"""What pytest is told in each process: the same order, and nothing kept."""

HANDSHAKE_SECONDS: Final = 600
"""How long it may take to collect all tests."""


class Outcome(NamedTuple):
    """How tests ended: *code* is pytest's, or None where they did not end in time; *test* is the
    first that failed."""

    code: int | None
    test: str


PASSED: Final = Outcome(int(pytest.ExitCode.OK), "")

LATE: Final = Outcome(None, "")


class Copy:
    """A copy of the package beside the repository's, in which a module is changed at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.package = folder / "images_emulator"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(PACKAGE, self.package, ignore=shutil.ignore_patterns("__pycache__"))
        # Compiled modules are recognised by the time of their source in seconds.
        self._time = 1_000_000_000

    def change(self, module: str, source: str) -> None:
        self._time += 1
        (self.package / module).write_text(source, "utf-8")
        os.utime(self.package / module, (self._time, self._time))

    def restore(self, module: str) -> None:
        shutil.copy2(PACKAGE / module, self.package / module)


class _FirstFailure:
    """Remembers the first test, or module of tests, that fails."""

    test = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.test:
            self.test = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and not self.test:
            self.test = report.nodeid


class _Child(NamedTuple):
    """A forked process: its *connection*, and *life*, the end of a pipe that lets it live while it
    is open here."""

    process: int
    connection: Connection
    life: int


def _fork(run: Callable[[Connection], None], output: Path | None) -> _Child:
    """Start a process, the first of a group, that runs *run*; what it prints goes to *output*. The
    group is killed when this process has ended."""
    here, there = Pipe()
    watched, life = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child:
        there.close()
        os.close(watched)
        return _Child(child, here, life)
    try:
        here.close()
        os.close(life)
        os.setpgid(0, 0)
        _live_while_open(watched)
        if output:
            file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(file, 1)
            os.dup2(file, 2)
        run(there)
    except BaseException:  # noqa: BLE001 - nothing is above this
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _live_while_open(pipe: int) -> None:
    """Let the kernel kill the group of this process once nobody can write to *pipe*: neither a
    handler nor a thread, which an endless loop in a pattern's matcher would hold up. Elsewhere than
    on Linux, which alone knows such a signal, the process lives on."""
    if sys.platform != "linux":
        return
    fcntl.fcntl(pipe, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([pipe], [], [], 0)[0]:  # it was closed before
        os.killpg(0, signal.SIGKILL)


def _end(child: _Child) -> None:
    """End a process and those that it has left behind."""
    child.connection.close()
    os.close(child.life)
    with suppress(ProcessLookupError):
        os.killpg(child.process, signal.SIGKILL)
    os.waitpid(child.process, 0)


def in_process(run: Callable[[], Any], seconds: float, output: Path | None = None) -> Any:
    """What *run* returns in a process of its own; None where it takes too long or the process
    dies."""
    child = _fork(lambda there: there.send(run()), output)
    try:
        return child.connection.recv() if child.connection.poll(seconds) else None
    except EOFError:
        return None
    finally:
        _end(child)


def use(copy: Copy) -> None:
    """Let this process and those that it starts import the package from *copy*."""
    os.chdir(REPOSITORY)
    sys.path.insert(0, str(copy.folder))
    os.environ["PYTHONPATH"] = str(copy.folder)


def run_tests(copy: Copy, arguments: Sequence[str], seconds: float, output: Path) -> Outcome:
    """Import, collect and run until a test fails."""

    def run() -> Outcome:
        use(copy)
        failure = _FirstFailure()
        code = pytest.main([*OPTIONS, "-x", *arguments], plugins=[failure])
        return Outcome(int(code), failure.test)

    result: Outcome | None = in_process(run, seconds, output)
    return result or LATE


class _Job(NamedTuple):
    """Tests to run after the function with a qualified name has the code of *source*."""

    path: str
    function: str
    source: str
    tests: Sequence[str]
    seconds: float


class Collection:
    """A process that has collected all tests, *size* in number. Each change of a function is tried
    in a fork of it: the function gets other code, everything else stays."""

    def __init__(self, copy: Copy, arguments: Sequence[str], output: Path) -> None:
        """Raises RuntimeError when the tests cannot be collected."""
        self._copy = copy

        def serve(connection: Connection) -> None:
            use(copy)
            pytest.main([*OPTIONS, *arguments], plugins=[_Forks(connection)])

        self._process = _fork(serve, output)
        self._connection = self._process.connection
        try:
            if not self._connection.poll(HANDSHAKE_SECONDS):
                raise EOFError
            self.size: int = self._connection.recv()
        except EOFError:
            raise RuntimeError(f"pytest collects no tests: see {output}") from None

    def try_function(
        self, module: str, function: str, source: str, tests: Sequence[str], seconds: float
    ) -> Outcome | None:
        """Run *tests* with the *function* of *module* as *source* has it; None where there is no
        such function, or it cannot be exchanged."""
        path = str(self._copy.package / module)
        self._connection.send(_Job(path, function, source, tests, seconds))
        result: Outcome | None = self._connection.recv()
        return result

    def close(self) -> None:
        _end(self._process)


class _Forks:
    """In place of running the tests, runs some of them for each job that it receives."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        gc.unfreeze()  # tests/conftest.py has hidden all objects from it
        functions = _functions()
        items = {item.nodeid: item for item in session.items}
        gc.freeze()
        self._connection.send(len(items))
        while True:
            try:
                job: _Job = self._connection.recv()
            except EOFError:
                return True
            self._connection.send(_do(job, functions, items, session.config))


def _do(
    job: _Job,
    functions: Mapping[tuple[str, str], Sequence[FunctionType]],
    items: Mapping[str, pytest.Item],
    config: pytest.Config,
) -> Outcome | None:
    code = _code(compile(job.source, job.path, "exec", dont_inherit=True), job.function)
    live = functions.get((job.path, job.function), ())
    if not code or not live:
        return None
    cells = {len(function.__closure__ or ()) for function in live}
    if cells != {len(code.co_freevars)}:
        return None
    chosen = [items[test] for test in job.tests if test in items]

    def run(there: Connection) -> None:
        for function in live:
            function.__code__ = code
        failure = _FirstFailure()
        config.pluginmanager.register(failure)
        for item, following in zip_longest(chosen, chosen[1:]):
            there.send(item.nodeid)
            config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if failure.test:
                there.send(Outcome(int(pytest.ExitCode.TESTS_FAILED), failure.test))
                return
        there.send(PASSED)

    return _watched(run, job.seconds)


def _watched(run: Callable[[Connection], None], seconds: float) -> Outcome:
    """The outcome that *run* sends, in a process of its own, after the name of each test that it
    begins: that of the last one, where the process takes too long or dies."""
    child = _fork(run, None)
    deadline = time.monotonic() + seconds
    test = ""
    try:
        while child.connection.poll(max(0, deadline - time.monotonic())):
            message: str | Outcome = child.connection.recv()
            if isinstance(message, Outcome):
                return message
            test = message
    except EOFError:
        pass
    finally:
        _end(child)
    return Outcome(None, test)


def _functions() -> dict[tuple[str, str], list[FunctionType]]:
    """All functions that there are, by the file of their code and their qualified name."""
    functions = defaultdict(list)
    for thing in gc.get_objects():
        if type(thing) is FunctionType:
            functions[thing.__code__.co_filename, thing.__code__.co_qualname].append(thing)
    return functions


def _code(code: CodeType, name: str) -> CodeType | None:
    """The code of the function with a qualified name in the code of a module."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_qualname == name:
                return constant
            if name.startswith(f"{constant.co_qualname}."):
                return _code(constant, name)
    return None


def import_packages(names: Iterable[str], empty: Path) -> None:
    """Import third-party modules, for all processes that are forked later. pytest rewrites the
    asserts of its plugins, so it loads these itself, in the folder *empty*."""
    empty.mkdir(parents=True, exist_ok=True)
    options = (
        *("-q", "--collect-only", "-p", "no:images_emulator", "-p", "no:cacheprovider"),
        *("-o", "asyncio_default_fixture_loop_scope=function"),
    )
    output = os.dup(1)
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 1)
        pytest.main([*options, "-c", os.devnull, "--rootdir", str(empty), str(empty)])
        os.dup2(output, 1)
    os.close(output)
    for name in names:
        if name.startswith("_pytest"):
            continue
        try:
            import_module(name)
        except Exception:  # noqa: BLE001, S112 - a test imports it again, if it needs it
            continue
