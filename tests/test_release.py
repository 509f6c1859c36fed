"""The distributions: what is in them, that they install and run on each Python, and the notes of a
release. They need the extra [release]."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path
from typing import Any, Final

import pytest

from images_emulator.imaging.recipe_reader import read_recipe
from tests.conftest import ENVIRONMENT, ROOT

PROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
VERSION: Final = PROJECT["version"]

MAX_DISTRIBUTION_BYTES: Final = 5_500_000
"""Nine tenths of it are fonts and the tokenizer's table."""

KINDS_OF_FILES: Final = {
    *(".py", ".typed", ".toml", ".json", ".bin", ".ttf", ".js", ".css", ".html", ".svg", ".md"),
    "",
}
"""Suffixes of files in the package. Without one are `coverage` and the fonts' licences."""

PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14", "3.15")


def run(*words: str | os.PathLike[str], cwd: Path = ROOT, **variables: str) -> str:
    """What a program prints that does not fail, started with the variables from before the
    tests."""
    # A server that runs at the usual port is none of the test's.
    environment = {**ENVIRONMENT, "IMAGES_EMULATOR_PORT": "1", **variables}
    for name in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONPYCACHEPREFIX"):
        environment.pop(name, None)
    done = subprocess.run(
        [*map(str, words)], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution, and the wheel that is built of it."""
    pytest.importorskip("build", reason="needs the extra [release]")
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def wheel(distributions: Path) -> Path:
    (path,) = distributions.glob("*.whl")
    return path


def package_files() -> set[str]:
    """The package's files in the repository, by their names in a wheel."""
    listed = run("git", "ls-files", "emulator").split()
    return {name.removeprefix("emulator/") for name in listed}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_wheel_has_the_files_of_the_package_and_no_others(wheel: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("needs the repository")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = message_from_bytes(archive.read(f"{_information(names)}/METADATA"))
    inside = {name for name in names if not name.startswith(_information(names))}
    assert inside == package_files()
    assert {Path(name).suffix for name in inside} <= KINDS_OF_FILES
    assert metadata["Version"] == VERSION
    assert wheel.stat().st_size < MAX_DISTRIBUTION_BYTES


def _information(names: set[str]) -> str:
    """The folder of a wheel's metadata."""
    (folder,) = {name.partition("/")[0] for name in names if ".dist-info/" in name}
    return folder


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_source_distribution_has_what_a_wheel_is_built_of(distributions: Path) -> None:
    (path,) = distributions.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {each.name.partition("/")[2] for each in archive if each.isfile()}
    others = {name for name in names if not name.startswith("emulator/images_emulator/")}
    # hatchling adds the last two.
    expected = {"CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml", ".gitignore", "PKG-INFO"}
    assert others == expected
    assert path.stat().st_size < MAX_DISTRIBUTION_BYTES


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_index_would_take_the_distributions(distributions: Path) -> None:
    run(sys.executable, "-m", "twine", "check", "--strict", *map(str, distributions.iterdir()))


def interpreter(version: str) -> str | None:
    """A Python of that version on this machine, which may be one of pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    paths = map(str, sorted(pyenv.glob(f"{version}.*/bin/python")))
    found = [shutil.which(f"python{version}"), *paths]
    for path in filter(None, found):
        # pyenv has a file of each name, which may lead nowhere.
        if subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
            return path
    return None


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("version", PYTHONS)
def test_wheel_installs_and_draws(version: str, wheel: Path, tmp_path: Path) -> None:
    pytest.importorskip("uv", reason="needs the extra [release]")
    python = interpreter(version)
    if not python:
        pytest.skip(f"there is no Python {version} here")
    uv, environment = (sys.executable, "-m", "uv"), tmp_path / "environment"
    run(*uv, "venv", "-q", "--python", python, environment)
    run(*uv, "pip", "install", "-q", "--python", environment, wheel, UV_LINK_MODE="symlink")
    command = environment / "bin" / "images-emulator"
    assert run(command, "--version") == f"images-emulator {VERSION}\n"
    run(command, "draw", "A lighthouse", cwd=tmp_path)
    recipe = read_recipe((tmp_path / "a-lighthouse.png").read_bytes())
    assert recipe is not None
    assert recipe["prompt"] == "A lighthouse"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_uvx_runs_the_command_that_is_named_like_the_distribution(
    wheel: Path, tmp_path: Path
) -> None:
    pytest.importorskip("uv", reason="needs the extra [release]")
    uvx = [sys.executable, "-m", "uv", "tool", "run"]
    command = [PROJECT["name"], "draw", "A ship"]
    run(*uvx, "--python", sys.executable, "--from", str(wheel), *command, cwd=tmp_path)
    assert (tmp_path / "a-ship.png").stat().st_size


# --- notes

CHANGELOG: Final = """\
# Changelog

## Unreleased

## 1.10.0

Nothing of it.

## 1.1.0 - 2027-01-02

### Added

- A thing.

## 1.0.0

"""

SCRIPT: Final = runpy.run_path(str(ROOT / ".ci" / "release_notes.py"))


def test_release_notes_are_the_section_of_the_version() -> None:
    notes = SCRIPT["release_notes"]("v1.1.0", "1.1.0", CHANGELOG)
    assert notes == "### Added\n\n- A thing.\n"


@pytest.mark.parametrize(
    ("tag", "version", "sentence"),
    [
        ("v1.1.1", "1.1.0", "the tag is v1.1.1, but pyproject.toml has version 1.1.0"),
        ("1.1.0", "1.1.0", "the tag is 1.1.0, but pyproject.toml has version 1.1.0"),
        ("v1.0.0", "1.0.0", "CHANGELOG.md says nothing about 1.0.0"),
        ("v1", "1", "CHANGELOG.md has no heading '## 1'"),
        ("v1x1.0", "1x1.0", "CHANGELOG.md has no heading '## 1x1.0'"),
    ],
)
def test_release_without_notes_or_of_another_version_is_refused(
    tag: str, version: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    (tmp_path / "pyproject.toml").write_text(f'[project]\nversion = "{version}"\n')
    with pytest.raises(SystemExit, match=f"^{re.escape(sentence)}$"):
        SCRIPT["main"](tag, tmp_path)


def test_release_notes_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.1.0"\n')
    SCRIPT["main"]("v1.1.0", tmp_path)
    assert capsys.readouterr().out == "### Added\n\n- A thing.\n"


def test_version_is_written_in_one_place() -> None:
    files = run("git", "ls-files", "*.py", "*.toml", "*.yml", "Dockerfile", "action").split()
    quoted = re.compile(rf"""["'=v]{re.escape(VERSION)}["'\s]""")
    holders = [name for name in files if quoted.search((ROOT / name).read_text())]
    assert holders == ["pyproject.toml"]
