"""Workflows and the action: their syntax, what they may do, and what the action does on a runner.
Some tests need the extra [release]."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from reliability.ports import free_port
from tests.conftest import ENVIRONMENT, ROOT
from tests.documents import BLOCKS

pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")

WORKFLOWS: Final = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTION: Final = ROOT / "action" / "action.yml"

BASH: Final = shutil.which("bash") or ""

OF_CONTRIBUTORS: Final = {
    "clients",
    "deploy",
    "docs",
    "examples",
    "fuzzing",
    "release",
    "reliability",
    "test",
}
"""The extras that only those who change the project install."""

SCHEMAS: Final = {
    ".github/workflows/": "vendor.github-workflows",
    ".gitlab-ci.yml": "vendor.gitlab-ci",
    "compose.yaml": "vendor.compose-spec",
}
"""Schemas of check-jsonschema by the beginnings of the titles that files have in the docs."""


def document(path: Path) -> Any:
    """The YAML of a file."""
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load(path.read_text())


def steps(path: Path) -> Iterator[Mapping[str, Any]]:
    """The steps of a workflow or an action."""
    content = document(path)
    for job in content.get("jobs", {}).values():
        yield from job["steps"]
    yield from content.get("runs", {}).get("steps", [])


def check(schema: str, *files: Path) -> None:
    pytest.importorskip("check_jsonschema", reason="needs the extra [release]")
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
    done = subprocess.run([*words, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_workflows_and_action_are_valid() -> None:
    check("vendor.github-workflows", *WORKFLOWS)
    check("vendor.github-actions", ACTION)


@pytest.mark.slow
@pytest.mark.parametrize("beginning", SCHEMAS)
def test_files_of_ci_in_the_docs_are_valid(beginning: str, tmp_path: Path) -> None:
    shown = [block for block in BLOCKS if (block.title or "").startswith(beginning)]
    assert shown
    paths = [tmp_path / f"{number}.yaml" for number, _ in enumerate(shown)]
    for path, block in zip(paths, shown, strict=True):
        path.write_text(block.text)
    check(SCHEMAS[beginning], *paths)


@pytest.mark.slow
def test_compose_file_of_the_dev_container_is_valid() -> None:
    folder = ROOT / "examples" / "devcontainer" / ".devcontainer"
    check(SCHEMAS["compose.yaml"], folder / "compose.yaml")


def test_workflows_and_action_have_no_finding_of_an_audit() -> None:
    zizmor = Path(sys.executable).with_name("zizmor")
    if not zizmor.exists():
        pytest.skip("needs the extra [release]")
    words = [str(each) for each in (zizmor, "--offline", "-q", ROOT / ".github", ROOT / "action")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", [*WORKFLOWS, ACTION], ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_and_rights_are_few(path: Path) -> None:
    text = path.read_text()
    for line in re.findall(r"uses: (.+)", text):
        assert re.fullmatch(r"\$/[\w/]+|[\w/-]+@[0-9a-f]{40} # v[\d.]+", line), line
    if path != ACTION:
        assert document(path)["permissions"] == {}


@pytest.mark.parametrize("path", [*WORKFLOWS, ACTION], ids=lambda path: path.stem)
def test_shell_of_steps_can_be_parsed(path: Path) -> None:
    for step in steps(path):
        if "run" in step:
            words = [BASH, "-n", "-c", step["run"]]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr


def test_audit_of_dependencies_takes_in_all_that_users_install() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (extras,) = re.findall(r"'\.\[([\w,]+)\]'", (WORKFLOWS[0].parent / "audit.yml").read_text())
    assert {*extras.split(",")} == {*project["optional-dependencies"]} - OF_CONTRIBUTORS


def test_scripts_that_workflows_run_are_there() -> None:
    named = [
        name for path in WORKFLOWS for name in re.findall(r"\.ci/\w+(?:\.py)?", path.read_text())
    ]
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []


# --- the report of drift

GH: Final = """\
#!/usr/bin/env bash
echo "$1 $2" >>"$CALLS"
case "$2" in
  list) printf '%s' "$OPEN" ;;
  *) while [ "$1" != --body-file ]; do shift; done; cp "$2" "$CALLS.body" ;;
esac
"""
"""Stands for GitHub's command."""


@pytest.mark.parametrize(("number", "call"), [("", "issue create"), ("7", "issue comment")])
def test_drift_opens_one_issue(number: str, call: str, tmp_path: Path) -> None:
    (tmp_path / "gh").write_text(GH)
    (tmp_path / "gh").chmod(0o755)
    (tmp_path / "drift.txt").write_text("0001: body.error.code: null, recorded 'x'\n")
    calls = tmp_path / "calls"
    variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CALLS": str(calls), "OPEN": number}
    words = [BASH, str(ROOT / ".ci" / "drift_issue"), "drift.txt"]
    subprocess.run(words, cwd=tmp_path, env=ENVIRONMENT | variables, check=True)
    assert calls.read_text().splitlines() == ["issue list", call]
    body = Path(f"{calls}.body").read_text()
    assert "````text\n0001: body.error.code: null, recorded 'x'\n\n````\n" in body


@pytest.mark.parametrize("status", [0, 1, 2])
def test_job_of_drift_fails_where_nothing_was_compared(status: int, tmp_path: Path) -> None:
    command = tmp_path / "images-emulator"
    command.write_text(f"#!/bin/sh\necho what differs\nexit {status}\n")
    command.chmod(0o755)
    output = tmp_path / "output"
    (compare,) = (step for step in steps(WORKFLOWS[0].parent / "drift.yml") if "id" in step)
    variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "GITHUB_OUTPUT": str(output)}
    words = [BASH, "-e", "-c", compare["run"]]
    done = subprocess.run(words, cwd=tmp_path, env=ENVIRONMENT | variables, check=False)
    assert done.returncode == (2 if status == 2 else 0)
    assert output.read_text() == f"status={status}\n"
    assert (tmp_path / "drift.txt").read_text() == "what differs\n"


# --- the action

PYTHON: Final = """\
#!/bin/sh
echo "$@" >>"$RUNNER_TEMP/calls"
"""
"""Stands for the runner's Python and for that of the environment that it makes."""


def run_action(folder: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Run the action's step as a runner does, in *folder*, with these *inputs*. The package counts
    as installed."""
    programs = folder / "images-emulator" / "bin"
    programs.mkdir(parents=True)
    command = "images-emulator"
    (programs / command).symlink_to(Path(sys.executable).with_name(command))
    for path in (folder / "python3", folder / "python", programs / "python"):
        path.write_text(PYTHON)
        path.chmod(0o755)
    files = {"GITHUB_ENV": "env", "GITHUB_PATH": "path", "GITHUB_OUTPUT": "output"}
    for name in files.values():
        (folder / name).touch()
    (step,) = steps(ACTION)
    values = {key: each["default"] for key, each in document(ACTION)["inputs"].items()} | inputs
    variables = {
        **ENVIRONMENT,
        **{name: str(folder / file) for name, file in files.items()},
        "GITHUB_ACTION_PATH": str(ACTION.parent),
        "RUNNER_TEMP": str(folder),
        "PATH": f"{folder}:{ENVIRONMENT['PATH']}",
        **{
            name: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda found: values[found[1]], text)
            for name, text in step["env"].items()
        },
    }
    return subprocess.run(
        [BASH, "-c", step["run"]], env=variables, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_action_starts_a_server_for_later_steps(tmp_path: Path) -> None:
    port = str(free_port())
    url = f"http://127.0.0.1:{port}"
    done = run_action(tmp_path, arguments="--scenario outage -v", port=port, extras="record,redis")
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"Listening on {url}\n" in done.stdout
        made, installed = (tmp_path / "calls").read_text().splitlines()
        assert made == f"-m venv {tmp_path}/images-emulator"
        assert installed.startswith("-m pip install -q ")
        assert installed.endswith(f" {ACTION.parent}/..[record,redis]")
        assert (tmp_path / "output").read_text() == f"url={url}\n"
        lines = (tmp_path / "env").read_text().splitlines()
        variables = dict(line.split("=", 1) for line in lines)
        assert variables == {
            "OPENAI_BASE_URL": f"{url}/v1",
            "OPENAI_API_KEY": "sk-test",
            "IMAGES_EMULATOR_URL": url,
        }
        call = httpx2.post(f"{url}/v1/images/variations", headers={"authorization": "Bearer x"})
        assert call.status_code in (500, 503)
        # A later step finds the command, and no other Python than its own.
        folder = Path((tmp_path / "path").read_text().strip())
        assert [each.name for each in folder.iterdir()] == ["images-emulator"]
        shown = subprocess.run(
            [folder / "images-emulator", "requests"],
            env=ENVIRONMENT | variables,
            capture_output=True,
            text=True,
            check=True,
        )
        assert "/v1/images/variations" in shown.stdout
    finally:
        end_servers(tmp_path)


@pytest.mark.slow
def test_action_shows_why_its_server_does_not_start(tmp_path: Path) -> None:
    done = run_action(tmp_path, arguments="--as-of once")
    assert done.returncode == 1
    assert done.stdout.startswith("images-emulator serve: --as-of: expected")
    assert (tmp_path / "env").read_text() == ""


def end_servers(folder: Path) -> None:
    """End the server whose program is in *folder*; the step has left it to run."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode().split("\0")
        except OSError:
            continue
        if len(words) > 2 and Path(words[1]).is_relative_to(folder):
            os.kill(int(path.parent.name), signal.SIGTERM)
