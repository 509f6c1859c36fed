"""The projects in `examples/`: each runs as its README says, in a folder of its own, with the
packages of these tests. Those that need a container are checked for their syntax."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple
from urllib.request import urlopen

import pytest

from images_emulator import Server
from reliability.ports import free_port
from tests.conftest import ENVIRONMENT, ROOT, npm_packages

EXAMPLES: Final = ROOT / "examples"

PROGRAMS: Final = Path(sys.executable).parent
"""The folder with `images-emulator`."""

PYTEST: Final = ("python", "-m", "pytest", "-p", "images_emulator.pytest_plugin")


class Example(NamedTuple):
    """An example that runs."""

    command: Sequence[str]
    """Its tests."""
    needs: Sequence[str] = ()
    """Programs without which it is skipped."""
    modules: Sequence[str] = ()
    """Packages of Python without which it is skipped."""
    not_installed: Sequence[str] = ()
    """Packages of Node.js that its tests do not import."""


RUN: Final = {
    "django": Example(("python", "manage.py", "test"), modules=("django",)),
    "fastapi": Example(PYTEST),
    "go": Example(("go", "test", "./..."), needs=("go",)),
    "nextjs": Example(
        ("npm", "test", "--", "--testTimeout=60000", "--maxWorkers=2"),
        needs=("node", "npm"),
        not_installed=("next", "react", "react-dom"),
    ),
    "notebook": Example(("jupyter-execute", "posters.ipynb"), modules=("nbclient", "ipykernel")),
    "playwright": Example(
        ("node_modules/.bin/playwright", "test"), needs=("node", "npm", "chromium")
    ),
    "pytest": Example(PYTEST),
    "unittest": Example(("python", "-m", "unittest")),
}


def install_node_packages(folder: Path, left_out: Sequence[str]) -> None:
    """Install the packages that the example in *folder* names, except those of *left_out*."""
    npm = shutil.which("npm")
    assert npm
    document = json.loads((folder / "package.json").read_text())
    packages = document["dependencies"] | document["devDependencies"]
    names = [f"{name}@{version}" for name, version in packages.items() if name not in left_out]
    modules = npm_packages(npm, *names)
    (folder / "node_modules").symlink_to(modules, target_is_directory=True)


@pytest.fixture
def run_example(tmp_path: Path) -> Callable[..., None]:
    """Runs the tests of an example in a folder of its own, with more variables."""

    def run(name: str, **variables: str) -> None:
        example = RUN[name]
        missing = [each for each in example.needs if not shutil.which(each)]
        missing += [each for each in example.modules if not find_spec(each)]
        if missing:
            pytest.skip(f"needs {' and '.join(missing)}")
        folder = tmp_path / name
        shutil.copytree(EXAMPLES / name, folder)
        if (folder / "package.json").exists():
            install_node_packages(folder, example.not_installed)
        environment = {
            **ENVIRONMENT,
            "PORT": str(free_port()),
            "EMULATOR_PORT": str(free_port()),
            "PATH": f"{PROGRAMS}:{ENVIRONMENT['PATH']}",
            "CHROMIUM": shutil.which("chromium") or "",
            # Faster than to load each plugin of the tests' environment.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "OPENAI_BASE_URL": "http://127.0.0.1:1",
            "CI": "true",
            **variables,
        }
        done = subprocess.run(
            example.command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    return run


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", RUN)
def test_example_passes_its_tests(name: str, run_example: Callable[..., None]) -> None:
    run_example(name)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_each_test_file_of_the_nextjs_example_has_a_namespace(
    run_example: Callable[..., None],
) -> None:
    with Server() as server:
        run_example("nextjs", IMAGES_EMULATOR_URL=server.url)
        with urlopen(f"{server.url}/_emulator/namespaces") as answer:
            namespaces = json.load(answer)["namespaces"]
        assert len(namespaces) == len([*(EXAMPLES / "nextjs").glob("*.test.ts")])
        assert server.calls() == []


@pytest.mark.slow
def test_node_example_of_testcontainers_can_be_parsed() -> None:
    node = shutil.which("node")
    if not node:
        pytest.skip("needs Node.js")
    for path in (EXAMPLES / "testcontainers-node").glob("*.js"):
        done = subprocess.run([node, "--check", path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_dev_container_names_a_service_of_its_compose_file() -> None:
    yaml = pytest.importorskip("yaml")
    folder = EXAMPLES / "devcontainer" / ".devcontainer"
    container = json.loads((folder / "devcontainer.json").read_text())
    services = yaml.safe_load((folder / container["dockerComposeFile"]).read_text())["services"]
    assert container["service"] in services
    for port in container["forwardPorts"]:
        name, _, number = port.partition(":")
        assert f"http://{port}" == services[name]["environment"]["IMAGES_EMULATOR_PUBLIC_URL"]
        assert number == "8080"
    assert (folder / services["images"]["build"] / "examples").resolve() == EXAMPLES


CHECKED: Final = {"devcontainer", "testcontainers-node", "testcontainers-python"}
"""The examples that need Docker."""


def test_every_example_is_run_or_checked_and_has_a_readme() -> None:
    folders = {path for path in EXAMPLES.iterdir() if path.is_dir()}
    assert {path.name for path in folders} == {*RUN, *CHECKED}
    for path in folders:
        text = (path / "README.md").read_text()
        assert text.startswith("# ")
        assert len(text.splitlines()) <= 15
