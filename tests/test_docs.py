"""README and docs are true: their code runs, their tables are the code's, their links lead on."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from configparser import ConfigParser
from pathlib import Path
from typing import Final

import pytest
from PIL import Image, ImageChops

from images_emulator import Emulator, Server, Settings
from images_emulator.cli.command_line import COMMANDS, command_parser
from images_emulator.cli.configuration import SETTINGS_FILE, parse_document
from images_emulator.contract.models import MODELS, NEWEST_MODEL
from images_emulator.contract.own_picture import FORMATS_IN_WORDS
from images_emulator.own_answers.picture_files import ReadingContext
from images_emulator.recordings.answer_comparison import KINDS
from images_emulator.recordings.document_check import mistakes_of
from images_emulator.scenarios import ready_scenarios
from images_emulator.settings import command_settings
from images_emulator.state.query import FILTER_NAMES
from images_emulator.step_documents.pictures_folder import DOCUMENT, PicturesFolder
from images_emulator.step_documents.scenario_document import parse_scenario
from tests.conftest import ENVIRONMENT
from tests.documents import BLOCKS, PAGES, README, ROOT, Block, anchors_of, links_of, name_of
from tests.pictures import png
from tests.programs import run_command, run_pytest, run_python
from tests.reference_pages import GENERATED, shown

pytestmark = pytest.mark.not_on_redis("its programs are processes of their own")

HOME: Final = "http://127.0.0.1:8080"
"""The server's address in the pages; that of the tests' server takes its place."""

NOT_RUN: Final = ("pip ", "docker ", "kubectl ", ".venv/bin/", ". .venv/bin/", "python3 -m venv ")
"""Commands of a shell that install, or need what the tests have not; others are run or parsed."""

SHELL_WORDS: Final = ('eval "$(images-emulator ', "until images-emulator ")
"""Beginnings of lines of a shell that run the emulator's command."""

PROXY_WORDS: Final = (
    *("export LISTEN=", "export SERVERS=", "folder=$(mktemp -d)", "envsubst ", "nginx "),
    *("servers=$(mktemp)", 'echo "backend ', "  server ", "haproxy "),
)
"""Beginnings of the lines that start a proxy, which `test_proxies.py` runs."""

SERVE, TEST = (
    block.text.strip()
    for block in BLOCKS
    if block.page == "README.md" and block.text.startswith("python3 -m venv")
)


def blocks(language: str, page: str | None = None, *, title: bool = False) -> list[Block]:
    """The blocks in a *language*, of one page or all, with or without a title."""
    return [
        each
        for each in BLOCKS
        if each.language == language
        and bool(each.title) == title
        and (page is None or each.page == page)
    ]


def one(page: str, title: str) -> Block:
    """The block of that title."""
    (block,) = (each for each in BLOCKS if each.page == page and each.title == title)
    return block


def location(block: Block) -> str:
    return f"{block.page}:{block.line}"


def run_program(
    command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What *command* has printed, which has not failed."""
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    checked = {"python", "javascript", "typescript", "sh"}
    checked |= {"toml", "yaml", "ini", "json", "text", "py"}
    others = [block for block in BLOCKS if block.page != "docs/reference/clients.md"]
    assert {block.language for block in others} <= checked
    assert all(block.title for block in BLOCKS if block.language == "text")
    # What cannot run here: signatures, and a container.
    assert {block.page for block in others if block.language == "py"} == {
        "docs/guides/docker.md",
        "docs/reference/python-api.md",
    }


# --- code


PROGRAM: Final = """
import contextlib, io, json, sys, types, urllib.request

outputs = []
for place, lines, code in json.loads(sys.stdin_text):
    urllib.request.urlopen(urllib.request.Request(RESET, method="POST"))
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    with contextlib.redirect_stdout(io.StringIO()) as output:
        try:
            exec(compile("\\n" * lines + code, place, "exec"), vars(module))
        except SystemExit as end:
            if end.code:
                raise
    outputs.append(output.getvalue())
print(json.dumps(outputs))
"""


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted({block.page for block in blocks("python")}))
def test_python_of_a_page_runs_and_prints_what_is_shown(
    page: str, server: Server, tmp_path: Path
) -> None:
    """An ellipsis in the output stands for any text, such as the rest of a version."""
    examples = blocks("python", page)
    programs = [(page, block.line - 1, block.text.replace(HOME, server.url)) for block in examples]
    code = PROGRAM.replace("sys.stdin_text", repr(json.dumps(programs)))
    code = code.replace("RESET", repr(f"{server.url}/_emulator/reset"))
    done = run_python(code, tmp_path)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    for block, output in zip(examples, printed, strict=True):
        expected = re.escape(block.output or "").replace("…", ".*")
        assert re.fullmatch(expected, output), f"{location(block)} printed {output}"


@pytest.mark.parametrize("block", blocks("json"), ids=location)
def test_json_of_the_pages_is_a_file_of_an_exchange(block: Block) -> None:
    assert mistakes_of(json.loads(block.text)) == []


@pytest.mark.slow
@pytest.mark.parametrize("block", blocks("javascript"), ids=location)
@pytest.mark.timeout(300)
def test_javascript_runs_and_prints_what_is_shown(
    block: Block, server: Server, npm_folder: Path, tmp_path: Path
) -> None:
    node = shutil.which("node")
    if not node:
        pytest.skip("needs Node.js")
    (tmp_path / "node_modules").symlink_to(npm_folder / "node_modules", target_is_directory=True)
    script = tmp_path / "script.mjs"
    script.write_text(block.text.replace(HOME, server.url))
    done = run_program([node, str(script)], tmp_path)
    assert done.stdout == (block.output or "")
    assert server.calls(status=200)


@pytest.fixture
def typescript_folder(npm_folder: Path, tmp_path: Path) -> Path:
    """A folder with the files in TypeScript that the pages show. Those that import Vitest are left
    out: their example runs and checks them."""
    (tmp_path / "node_modules").symlink_to(npm_folder / "node_modules", target_is_directory=True)
    shutil.copy(npm_folder / "package.json", tmp_path)
    for block in blocks("typescript", title=True):
        if 'from "vitest' not in block.text:
            path = tmp_path / str(block.title)
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text)
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_javascript_and_typescript_are_strictly_typed(typescript_folder: Path) -> None:
    for number, block in enumerate(blocks("javascript")):
        (typescript_folder / f"block_{number}.ts").write_text(block.text)
    shutil.copy(ROOT / "examples/nextjs/tsconfig.json", typescript_folder)
    run_program(["node_modules/.bin/tsc"], typescript_folder)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_typescript_runs_with_node_test(typescript_folder: Path) -> None:
    path = f"{Path(sys.executable).parent}:{ENVIRONMENT['PATH']}"
    command = ["node", "--import", "tsx", "run-tests.ts"]
    done = run_program(command, typescript_folder, {**ENVIRONMENT, "PATH": path})
    assert "pass 1\n" in done.stdout


def curl_pages() -> list[str]:
    return sorted({block.page for block in blocks("sh") if block.text.startswith("curl")})


@pytest.mark.slow
@pytest.mark.parametrize("page", curl_pages())
def test_curl_of_a_page_runs_and_prints_what_is_shown(
    page: str, server: Server, tmp_path: Path
) -> None:
    for program in ("bash", "curl", "jq"):
        if not shutil.which(program):
            pytest.skip(f"needs {program}")
    for block in blocks("sh", page):
        if not block.text.startswith("curl"):
            continue
        command = f"set -euo pipefail\n{block.text.replace(HOME, server.url)}"
        done = run_program(["bash", "-c", command], tmp_path)
        assert done.stdout == (block.output or ""), location(block)
    assert server.calls(status=200)


def own_commands() -> list[tuple[Block, str]]:
    """The commands of the emulator in blocks and in the text of the pages."""
    commands = [
        (block, line)
        for block in blocks("sh")
        for line in block.text.splitlines()
        if line.startswith("images-emulator")
    ]
    for page in PAGES:
        for text in re.findall(r"`(images-emulator(?: [^`]*)?)`", page.read_text()):
            line = " ".join(text.split())
            commands.append((Block(name_of(page), 0, "sh", None, line, None), line))
    return commands


@pytest.mark.parametrize("command", sorted({line for _, line in own_commands()}))
def test_commands_of_the_pages_are_valid(command: str) -> None:
    words = shlex.split(re.sub(r" [|>&].*$", "", command))[1:]
    if {"FILE", "…"} & {*words}:
        words = [word.replace("FILE", "outage") for word in words]
    name = words.pop(0) if words and not words[0].startswith("-") else "serve"
    command_parser(name).parse_args(words)


def test_other_commands_are_known() -> None:
    for block in blocks("sh"):
        if block.text.startswith("curl"):
            continue
        for line in block.text.splitlines():
            assert line.startswith((*NOT_RUN, "images-emulator", *SHELL_WORDS, *PROXY_WORDS)), line


@pytest.mark.parametrize(
    "block",
    [block for block in blocks("sh") if block.output and block.text.startswith("images-")],
    ids=location,
)
def test_commands_print_what_is_shown(block: Block) -> None:
    done = run_command(*shlex.split(block.text)[1:], variables={"SHELL": "/bin/bash"})
    assert (done.returncode, done.stdout) == (0, block.output)


def extras() -> dict[str, list[str]]:
    """The extras of the package, with their requirements."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements: dict[str, list[str]] = project["optional-dependencies"]
    return requirements


def test_each_extra_has_its_place_in_the_list_of_extras() -> None:
    text = (ROOT / "docs/index.md").read_text().partition("\n## Extras\n")[2]
    table, _, rest = text.partition("\n\nThe others are")
    listed = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    developers, _, image = rest.partition("The\n[image]")
    others = re.findall(r"`([^`]+)`", developers)
    assert sorted([*listed, *others]) == sorted(extras())
    in_image = re.search(r'EXTRAS="([^"]*)"', (ROOT / "Dockerfile").read_text())
    assert in_image
    assert {*listed} - {*re.findall(r"`([^`]+)`", image)} == {*in_image[1].split()}
    named = {name for each in command_settings() for name in re.findall(r"`\[(\w+)\]`", each.help)}
    assert named
    assert named <= {*listed}


def test_guide_names_the_formats_of_own_pictures() -> None:
    assert f"| a file: {FORMATS_IN_WORDS} |" in (ROOT / "docs/guides/own-pictures.md").read_text()


# --- pytest


@pytest.fixture
def session(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "images_emulator.pytest_plugin")
    return pytester


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", ["README.md", "docs/guides/testing.md", "docs/guides/own-pictures.md"]
)
def test_shown_tests_pass(page: str, session: pytest.Pytester) -> None:
    for block in BLOCKS:
        if block.page == page and (block.title or "").endswith((".py", ".ini")):
            (session.path / str(block.title)).write_text(block.text)
    done = run_pytest(["-W", "error"], session.path)
    assert re.search(r"=+ \d+ passed in", done.stdout), done.stdout


@pytest.mark.slow
def test_shown_failures_are_those_of_pytest(session: pytest.Pytester) -> None:
    session.makepyfile("""
import openai
from PIL import Image

def test_it(images_emulator):
    openai.OpenAI().images.generate(model="dall-e-3", prompt="A lighthouse", size="256x256")

def test_count(images_emulator):
    openai.OpenAI().images.generate(model="gpt-image-2", prompt="A lighthouse")
    assert len(images_emulator.calls(model="gpt-image-2")) == 2

def test_verification(images_emulator):
    client = openai.OpenAI()
    client.images.generate(model="gpt-image-2", prompt="A lighthouse", size="1024x1024")
    client.images.generate(model="gpt-image-2", prompt="A ship", size="1536x1024")
    images_emulator.verify(model="gpt-image-2", size="1024x1024", times=2)

def test_unmet(images_emulator):
    images_emulator.answer(Image.new("RGB", (8, 8)), match={"prompt": "fox"})
    openai.OpenAI().images.generate(model="gpt-image-2", prompt="A ship")
    images_emulator.verify_steps()
""")
    done = run_pytest(["-W", "error"], session.path)
    lines = [re.sub(r"^E +(?:AssertionError: )?", "", line) for line in done.stdout.splitlines()]
    output = re.sub(r"\d+ ms", "* ms", "\n".join(map(str.strip, lines)))
    shown = [("testing.md", title) for title in ("report", "assertion", "verification")]
    for page, title in [*shown, ("own-pictures.md", "unmet")]:
        text = one(f"docs/guides/{page}", title).text
        expected = "\n".join(line.strip() for line in text.splitlines())
        assert re.sub(r"\d+ ms", "* ms", expected) in output
    # Of a failed verification the last line of code is the test's.
    assert "def verify" not in output


@pytest.mark.slow
def test_the_plugin_is_loaded_where_the_package_is_installed(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    pytester.makepyfile(one("README.md", "test_lighthouse.py").text)
    pytester.runpytest_subprocess("-W", "error", "-p", "no:asyncio").assert_outcomes(passed=1)


# --- data


def write_pictures(block: Block, folder: Path) -> None:
    """Write the pictures that the text of *block* names."""
    for name in re.findall(r"[\w/-]+\.png", block.text):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(png())


def test_shown_scenarios_are_valid(tmp_path: Path) -> None:
    for block in blocks("toml"):
        write_pictures(block, tmp_path)
        assert parse_scenario(tomllib.loads(block.text), ReadingContext(tmp_path)).steps


def test_shown_folders_of_pictures_are_valid(tmp_path: Path) -> None:
    for block in blocks("toml", title=True):
        if block.title == DOCUMENT:
            write_pictures(block, tmp_path)
            (tmp_path / DOCUMENT).write_text(block.text)
            assert PicturesFolder(str(tmp_path)).read()


def test_shown_settings_files_are_valid() -> None:
    shown_files = [block for block in blocks("toml", title=True) if block.title != DOCUMENT]
    assert shown_files
    for block in shown_files:
        assert block.title == SETTINGS_FILE
        emulator = Emulator(Settings(**parse_document(tomllib.loads(block.text))))
        emulator.close()


def test_shown_yaml_and_ini_can_be_read() -> None:
    for block in blocks("ini", title=True):
        ConfigParser().read_string(block.text)
    yaml = pytest.importorskip("yaml", reason="needs the extra [docs]")
    for block in blocks("yaml"):
        assert yaml.safe_load(block.text)


def test_readme_image_is_the_one_its_example_gets(server: Server, tmp_path: Path) -> None:
    code = blocks("python", "README.md")[0].text.replace(HOME, server.url)
    assert run_python(code, tmp_path).returncode == 0
    with (
        Image.open(tmp_path / "lighthouse.png") as drawn,
        Image.open(ROOT / "fixtures/images/lighthouse.png") as shown_image,
    ):
        assert not ImageChops.difference(drawn, shown_image).getbbox()


# --- tables


@pytest.mark.parametrize("name", GENERATED)
def test_reference_is_that_of_the_code(name: str) -> None:
    _, make = GENERATED[name]
    assert shown(name) == make(), "write it anew: python -m tests.reference_pages"


def test_the_reference_says_what_each_public_attribute_is_and_names_no_private_one() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", shown("python names"), re.MULTILINE)
    assert {"url", "frozen", "fault", "outcome", "pixels"} <= {name for name, _ in rows}
    assert [name for name, text in rows if name.startswith("_") or not text.strip()] == []
    assert not re.search(r"`(Store\.run|YEARS)`", shown("python names"))


def test_no_page_installs_from_an_index_what_is_in_none() -> None:
    pattern = re.compile(r"\b(?:pipx?|uv) .*install .*(?<![/\w])openai-images-emulator\b")
    assert [name_of(page) for page in PAGES if pattern.search(page.read_text())] == []


def test_the_readme_names_the_first_and_the_newest_model() -> None:
    text = README.read_text()
    ((first, newest),) = re.findall(r"^\| models \| .* from (\S+) to (\S+),", text, re.MULTILINE)
    assert first == next(iter(MODELS))
    is_newest = f"{NEWEST_MODEL.id}-".startswith(f"{newest}-")
    assert is_newest, f"README.md says that models go to {newest}"


def test_the_guide_has_every_command() -> None:
    text = (ROOT / "docs" / "guides" / "command-line.md").read_text()
    rows = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    assert {*re.findall(r"`(\w+)`", " ".join(rows))} == {*COMMANDS}


def test_the_guide_has_every_ready_scenario() -> None:
    text = (ROOT / "docs" / "guides" / "faults.md").read_text()
    assert {*re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE)} == {*ready_scenarios()}


def test_the_reference_has_every_filter() -> None:
    text = (ROOT / "docs" / "reference" / "admin-api.md").read_text()
    table = text.partition("### Filters\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    assert {*re.findall(r"`(\w+)`", " ".join(rows))} == {*FILTER_NAMES}


# --- links


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_internal_links_lead_to_a_file_and_a_heading(page: Path) -> None:
    for link in links_of(page):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), link
        assert not anchor or anchor in anchors_of(target), link
        # The site has no files of the repository beside its own.
        assert page == README or target.is_relative_to(ROOT / "docs"), link


def test_every_page_is_in_the_navigation_and_begins_with_its_heading() -> None:
    config = tomllib.loads((ROOT / "zensical.toml").read_text())

    def pages_in(entries: list[object]) -> list[str]:
        pages: list[str] = []
        for entry in entries:
            if isinstance(entry, str):
                pages.append(entry)
            elif isinstance(entry, dict):
                for value in entry.values():
                    pages += pages_in(value if isinstance(value, list) else [value])
        return pages

    pages = [str(page.relative_to(ROOT / "docs")) for page in PAGES if page != README]
    assert sorted(pages_in(config["project"]["nav"])) == sorted(pages)
    for page in PAGES:
        assert page.read_text().startswith("# ")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_site_is_built_without_warning(tmp_path: Path) -> None:
    pytest.importorskip("zensical", reason="needs the extra [docs]")
    for name in ("docs", "zensical.toml"):
        path = ROOT / name
        (shutil.copytree if path.is_dir() else shutil.copy)(path, tmp_path / name)
    run_program([sys.executable, "-m", "zensical", "build", "--strict"], tmp_path)
    assert (tmp_path / "site" / "guides" / "testing" / "index.html").is_file()


# --- commands that the README and others share


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
        ["bash", "-c", command],  # noqa: S607 - as users have it
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


def test_the_guide_has_every_kind_of_drift() -> None:
    text = (ROOT / "docs" / "guides" / "record-and-replay.md").read_text()
    table = text.partition("\n## Drift\n")[2].partition("\n## ")[0]
    assert dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", table, re.MULTILINE)) == KINDS
