"""Each guard has a test that fails when the guard is taken out of the code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.guards import GUARDS, PACKAGE, Guard

REPOSITORY = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.promise.replace("/", ""))
def test_a_test_fails_without_the_guard(guard: Guard, tmp_path: Path) -> None:
    copy = tmp_path / "images_emulator"
    shutil.copytree(PACKAGE, copy, copy_function=os.link, ignore=shutil.ignore_patterns("*.pyc"))
    module = copy / guard.module
    module.unlink()
    module.write_text(guard.removed(), "utf-8")
    options = ("-q", "-p", "no:randomly", "-p", "no:cacheprovider", f"tests/{guard.test}")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        text=True,
        capture_output=True,
        check=False,
    )
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout + run.stderr
    assert " failed" in run.stdout
    assert " error" not in run.stdout.splitlines()[-1]
