"""Where the programs of clients run: interpreters, with the packages that `pins/` names.

An environment is installed once, and kept in `images-emulator-clients` in the user's cache folder.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest

from tests.clients.catalogue import PINS, Client
from tests.conftest import ENVIRONMENT

CACHE: Final = (
    Path(ENVIRONMENT.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "images-emulator-clients"
)

NEWEST: Final = bool(os.environ.get("CLIENTS_NEWEST"))
"""Whether the newest packages are installed, of the same major version where the name of the pins
ends in one, instead of the pinned ones."""

SYSTEM_COMMANDS: Final = {
    ".sh": (("bash",), ("curl", "--version")),
    ".java": (("java",), ("java", "-version")),
    ".php": (("php",), ("php", "--version")),
    ".go": (("go", "run"), ("go", "version")),
}
"""For programs without pins: the command that runs one, and the one that prints a version."""


@dataclass(frozen=True)
class Environment:
    """What runs a program."""

    command: tuple[str, ...]
    versions: dict[str, str]
    """Of the packages of its pins, or of the interpreter by an empty name."""
    node_modules: Path | None = None
    commands: Path | None = None
    """A folder with commands of the packages."""


def environment_of(client: Client) -> Environment:
    """The environment of *client*, installed where it is not. Skips the test where the machine
    lacks its interpreter, or what it needs."""
    if client.needs and not any(map(shutil.which, client.needs)):
        pytest.skip(f"needs {client.needs[0]}")
    if client.pins is None:
        return _system_environment(client)
    make = _node_environment if client.program.endswith(".mjs") else _python_environment
    return make(client)


def _system_environment(client: Client) -> Environment:
    command, version = SYSTEM_COMMANDS[Path(client.program).suffix]
    for name in (command[0], version[0]):
        if not shutil.which(name):
            pytest.skip(f"needs {name}")
    printed = subprocess.run(version, capture_output=True, text=True, check=True)
    number = re.search(r"\d+(\.\d+)+", printed.stdout + printed.stderr)
    assert number, printed
    return Environment(command, {"": number[0]})


def _python_environment(client: Client) -> Environment:
    """A virtual environment with the packages of `pins/NAME.txt`."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if not uv:
        pytest.skip("needs uv: pip install uv")
    text = (PINS / f"{client.pins}.txt").read_text()
    requirements = [line for line in text.splitlines() if line and not line.startswith("#")]
    when = ["--exclude-newer", _as_of(text)]
    if NEWEST:
        requirements, when = [_unpinned(each, str(client.pins)) for each in requirements], []
    folder = _folder(client, [*requirements, *when, sys.version])
    python = folder / "bin" / "python"

    def install() -> None:
        _run([uv, "venv", "-q", "--clear", "--python", sys.executable, str(folder)])
        # Compiled here, a library's import takes no part of the time that its program has.
        options = ["-q", "--compile-bytecode", "--python", str(python), *when]
        _run([uv, "pip", "install", *options, *requirements])

    _once(folder, install)
    names = [re.split(r"[\[=]", each)[0] for each in requirements]
    code = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    printed = _run([str(python), "-c", code, *names])
    command = ("bash",) if client.program.endswith(".sh") else (str(python), "-P")
    versions = dict(zip(names, printed.split(), strict=True))
    return Environment(command, versions, commands=folder / "bin")


def _node_environment(client: Client) -> Environment:
    """A folder of packages as `pins/NAME.json` has them. The package `node`, where it is among
    them, is the interpreter."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if not npm or not node:
        pytest.skip("needs Node.js with npm")
    document = json.loads((PINS / f"{client.pins}.json").read_text())
    packages, when = document["dependencies"], ["--before", document["as of"]]
    if NEWEST:
        major = re.search(r"-(\d+)$", str(client.pins))
        newest = f"^{major[1]}" if major else "latest"
        packages = {
            name: (pin if name in document.get("fixed", []) else newest)
            for name, pin in packages.items()
        }
        when = []
    folder = _folder(client, [json.dumps(packages), *when])

    def install() -> None:
        folder.mkdir(exist_ok=True)
        package = {"private": True, "dependencies": packages}
        (folder / "package.json").write_text(json.dumps(package))
        _run([npm, "install", "--silent", "--no-audit", "--no-fund", *when], folder)

    _once(folder, install)
    modules = folder / "node_modules"
    versions = {
        name: json.loads((modules / name / "package.json").read_text())["version"]
        for name in packages
    }
    own = modules / "node" / "bin" / "node"
    return Environment((str(own) if own.exists() else node,), versions, modules)


def write_pins(client: Client, environment: Environment) -> None:
    """Pin the versions that *environment* has, as of today."""
    today = datetime.now(UTC).date().isoformat()
    if client.program.endswith(".mjs"):
        path = PINS / f"{client.pins}.json"
        document = json.loads(path.read_text())
        document |= {"as of": today, "dependencies": environment.versions}
        path.write_text(json.dumps(document, indent=2) + "\n")
    elif client.pins:
        path = PINS / f"{client.pins}.txt"
        lines = path.read_text().splitlines()[1:]
        pinned = [
            f"{line.partition('==')[0]}=={version}"
            for line, version in zip(lines, environment.versions.values(), strict=True)
        ]
        path.write_text("\n".join([f"# as of {today}", *pinned]) + "\n")


def _as_of(text: str) -> str:
    """The day of the comment `# as of DAY`, after which no package is taken."""
    found = re.search(r"^# as of (\S+)$", text, re.MULTILINE)
    assert found, text
    return found[1]


def _unpinned(requirement: str, pins: str) -> str:
    name, _, version = requirement.partition("==")
    return f"{name}=={version.partition('.')[0]}.*" if re.search(r"-\d+$", pins) else name


def _folder(client: Client, parts: list[str]) -> Path:
    digest = sha256("\n".join(parts).encode()).hexdigest()[:12]
    return CACHE / f"{client.pins}-{digest}"


def _once(folder: Path, install: object) -> None:
    """Call *install* where it has not succeeded, one process at a time. What is newest may be
    another each time, so that is installed anew in each session."""
    assert callable(install)
    CACHE.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        session = os.environ["CLIENTS_NEWEST"] if NEWEST else "installed"
        done = folder / ".installed"
        if not done.exists() or done.read_text() != session:
            install()
            done.write_text(session)


def _run(command: list[str], folder: Path | None = None) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env=ENVIRONMENT
    )
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"
    return done.stdout
