"""Programs of their own, forked from one interpreter that has loaded the libraries: a new
interpreter spends most of a short program's time on their import."""

from __future__ import annotations

import multiprocessing
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import TextIO

import pytest

from images_emulator import cli

ROOT = Path(__file__).parent.parent

COMMAND = "images-emulator"

CONTEXT = multiprocessing.get_context("forkserver")
# Found from the root directory, in which the first program starts the server.
CONTEXT.set_forkserver_preload(["tests.preloaded"])


def run_python(code: str, folder: Path) -> CompletedProcess[str]:
    """Run *code* in *folder*, with deprecation warnings as errors."""
    return _run(["python", code], folder)


def run_pytest(arguments: Sequence[str], folder: Path) -> CompletedProcess[str]:
    """Run a pytest session in *folder*."""
    return _run(["pytest", *arguments], folder)


def run_command(
    *arguments: str, variables: Mapping[str, str] | None = None
) -> CompletedProcess[str]:
    """Run `images-emulator` with *arguments*."""
    return _run([COMMAND, *arguments], ROOT, variables)


class RunningCommand:
    """A forked `images-emulator` with what `subprocess.Popen` has."""

    def __init__(self, process: BaseProcess, stdout: TextIO, stderr: TextIO) -> None:
        self._process = process
        self.stdout = stdout
        self.stderr = stderr

    @property
    def pid(self) -> int:
        assert self._process.pid
        return self._process.pid

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout: float) -> int | None:
        """The exit status; None where it still runs after *timeout* seconds."""
        self._process.join(timeout)
        return self._process.exitcode


@contextmanager
def running_command(
    *arguments: str, variables: Mapping[str, str] | None = None
) -> Iterator[RunningCommand]:
    """`images-emulator` while it runs with *arguments*. It is killed in the end."""
    with TemporaryDirectory() as outputs:
        output, errors = (Path(outputs, name) for name in ("stdout", "stderr"))
        os.mkfifo(output)
        process = _start([COMMAND, *arguments], ROOT, variables, (output, errors))
        try:
            # Waits until the program opens it, too.
            with output.open() as stdout:
                errors.touch()
                with errors.open() as stderr:
                    yield RunningCommand(process, stdout, stderr)
        finally:
            process.kill()
            process.join()


def _run(
    arguments: list[str], folder: Path, variables: Mapping[str, str] | None = None
) -> CompletedProcess[str]:
    with TemporaryDirectory() as outputs:
        paths = [Path(outputs, name) for name in ("stdout", "stderr")]
        process = _start(arguments, folder, variables, paths)
        process.join()
        stdout, stderr = (path.read_text() for path in paths)
    assert process.exitcode is not None
    return CompletedProcess(arguments, process.exitcode, stdout, stderr)


def _start(
    arguments: list[str],
    folder: Path,
    variables: Mapping[str, str] | None,
    paths: Sequence[Path],
) -> BaseProcess:
    environment = {**os.environ, **(variables or {})}
    process = CONTEXT.Process(
        target=_program, args=(arguments, folder, environment, paths), daemon=True
    )
    with chdir(ROOT):
        process.start()
    return process


def _program(
    arguments: list[str], folder: Path, variables: Mapping[str, str], paths: Sequence[Path]
) -> None:
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    for number, path in enumerate(paths, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    # What a test has written runs once.
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    kind, *rest = arguments
    if kind == "pytest":
        sys.exit(pytest.main(rest))
    if kind == COMMAND:
        sys.exit(cli.main(rest))
    warnings.simplefilter("error", DeprecationWarning)
    sys.path.insert(0, "")
    # `unittest.main()` reads both.
    sys.argv[1:] = []
    module = sys.modules["__main__"] = ModuleType("__main__")
    exec(compile(rest[0], "<program>", "exec"), vars(module))  # noqa: S102 - the docs' code
