"""README and docs are true: their commands and examples run, and every setting stands in them."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from images_emulator import Emulator, Server, Settings
from images_emulator.cli.command_line import COMMANDS
from images_emulator.cli.configuration import SETTINGS_FILE
from images_emulator.contract.model_tables import as_markdown
from images_emulator.contract.models import MODELS, NEWEST_MODEL
from images_emulator.faults.fault_tables import as_markdown as faults_as_markdown
from images_emulator.faults.scenario_document import parse_scenario
from images_emulator.scenarios import ready_scenarios
from images_emulator.settings import command_settings, parse_document
from images_emulator.web.admin_api import create_admin_api
from tests.conftest import ENVIRONMENT
from tests.programs import run_pytest, run_python

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
README = "\n".join(page.read_text() for page in PAGES)
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
SERVE, TEST = (text.strip() for kind, text in BLOCKS if kind == "sh")
RECIPES = (ROOT / "docs" / "guides" / "recipes.md").read_text()
EXAMPLES = [text for kind, text in BLOCKS if kind == "python" and text not in RECIPES]
OUTPUTS = [text for kind, text in BLOCKS if kind == "text"]


def run(code: str, server: Server, folder: Path) -> str:
    """What *code* prints when the README's server is this one."""
    return printed(code.replace("http://127.0.0.1:8080", server.url), folder)


def printed(code: str, folder: Path) -> str:
    """What *code* prints, as a program of its own."""
    done = run_python(code, folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_readme_example_runs(number: int, server: Server, tmp_path: Path) -> None:
    output = run(EXAMPLES[number], server, tmp_path)
    assert not output or output in OUTPUTS


@pytest.mark.slow
def test_readme_tests_pass(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    # What a test has written runs once.
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    shown = re.findall(r"```python (test_\w+)\.py\n(.*?)```", README, re.DOTALL)
    pytester.makepyfile(**dict(shown))
    pytester.runpytest_subprocess("-W", "error", "-p", "no:asyncio").assert_outcomes(passed=2)


def test_readme_report_and_settings_fixture_are_true(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "images_emulator.pytest_plugin")
    (conftest,) = re.findall(r"```python conftest\.py\n(.*?)```", README, re.DOTALL)
    (report,) = re.findall(r"```text report\n(.*?)```", README, re.DOTALL)
    pytester.makeconftest(conftest)
    pytester.makepyfile("""
import openai

def test_it(images_emulator):
    assert images_emulator.settings.as_of == "today"
    images_emulator.emulator.configure(as_of="any")
    openai.OpenAI().images.generate(model="dall-e-3", prompt="A lighthouse", size="256x256")
""")
    done = run_pytest(["-W", "error"], pytester.path)
    lines = [re.sub(r"\d+ ms$", "* ms", line) for line in report.splitlines()]
    pytest.LineMatcher(done.stdout.splitlines()).fnmatch_lines(
        ["*Calls to the images emulator*", *lines], consecutive=True
    )


def test_readme_image_is_the_one_its_example_gets(server: Server, tmp_path: Path) -> None:
    run(EXAMPLES[0], server, tmp_path)
    with (
        Image.open(tmp_path / "lighthouse.png") as drawn,
        Image.open(ROOT / "fixtures/images/lighthouse.png") as shown,
    ):
        assert not ImageChops.difference(drawn, shown).getbbox()


def test_readme_settings_are_those_of_the_code() -> None:
    rows = ""
    for each in command_settings():
        default = f" `{each.shown_default}`" if each.shown_default else ""
        flag, variable = f"`{each.flag} {each.metavar}".rstrip() + "`", f"`{each.variable}`"
        rows += f"| {flag} | {variable} |{default} | {each.help} |\n"
    assert f"|---|---|---|---|\n{rows}\n" in README


def test_readme_models_are_those_of_the_table() -> None:
    shown = README.partition("<!-- models -->\n")[2].partition("<!-- end of models -->")[0]
    assert shown == as_markdown(), "print them anew by `images-emulator models --markdown`"


def test_the_readme_names_the_first_and_the_newest_model() -> None:
    ((first, newest),) = re.findall(r"^\| models \| .* from (\S+) to (\S+),", README, re.MULTILINE)
    assert first == next(iter(MODELS))
    assert f"{NEWEST_MODEL.id}-".startswith(f"{newest}-")


def test_readme_has_every_admin_path() -> None:
    row = r"^\| `(/_emulator/[^`]+)` \| ([A-Z, ]+) \|"
    documented = dict(re.findall(row, README, re.MULTILINE))
    paths = create_admin_api(Emulator()).openapi()["paths"]
    served = {path: ", ".join(map(str.upper, methods)) for path, methods in paths.items()}
    assert documented == served


def test_readme_faults_are_those_of_the_code() -> None:
    shown = README.partition("<!-- faults -->\n")[2].partition("<!-- end of faults -->")[0]
    assert shown == faults_as_markdown()


def test_readme_scenario_is_valid() -> None:
    (scenario,) = (text for kind, text in BLOCKS if kind == "toml")
    assert parse_scenario(tomllib.loads(scenario)).steps


def test_readme_settings_file_is_valid() -> None:
    (text,) = re.findall(r"```toml images-emulator\.toml\n(.*?)```", README, re.DOTALL)
    values = parse_document(tomllib.loads(text))
    emulator = Emulator(Settings(**values))
    assert emulator.scenario
    emulator.close()
    assert f"`{SETTINGS_FILE}`" in README


def test_readme_has_every_command() -> None:
    section = (ROOT / "docs" / "guides" / "command-line.md").read_text()
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    assert {*re.findall(r"`(\w+)`", " ".join(rows))} == {*COMMANDS}


def test_readme_has_every_ready_scenario() -> None:
    for name in ready_scenarios():
        assert f"`{name}`" in README


def test_ci_and_contributing_have_the_test_command_of_the_readme() -> None:
    assert TEST in (ROOT / ".ci/run").read_text()
    assert TEST in (ROOT / ".github/CONTRIBUTING.md").read_text()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_readme_command_serves_from_a_clean_checkout(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    left_out = shutil.ignore_patterns(
        ".git", ".venv", "*_cache", "__pycache__", "*.egg-info", "tests"
    )
    shutil.copytree(ROOT, checkout, ignore=left_out)
    # Of the packages' modules only those are compiled that the server imports.
    variables = {**ENVIRONMENT, "IMAGES_EMULATOR_PORT": "0", "PIP_NO_COMPILE": "1"}
    for name in ("VIRTUAL_ENV", "PYTHONPYCACHEPREFIX"):
        variables.pop(name, None)
    # `exec` lets the signal reach the server and not only the shell.
    command = SERVE.replace("&& .venv/bin/images-emulator", "&& exec .venv/bin/images-emulator")
    with subprocess.Popen(
        ["bash", "-c", command],  # noqa: S607
        cwd=checkout,
        env=variables,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        try:
            assert process.stdout.readline().startswith("Listening on http://127.0.0.1:")
        finally:
            process.terminate()
