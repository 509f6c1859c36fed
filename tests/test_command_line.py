"""The command line in process: help, errors, and the commands that need no server of their own."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from images_emulator import Server
from images_emulator.cli import main
from images_emulator.cli.command_line import COMMANDS
from images_emulator.cli.completion_command import SCRIPTS
from images_emulator.cli.shells import LINE_WRITERS, shell_of
from images_emulator.faults import FAULTS
from images_emulator.scenarios import ready_scenarios
from images_emulator.settings import all_settings
from reliability.ports import free_port

MAX_HELP_LINES = 40


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A working directory without a settings file, and a terminal of 80 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command prints, which ends well."""
    try:
        status: object = main(arguments)
    except SystemExit as end:
        status = end.code
    printed = capsys.readouterr()
    assert not status, printed.err
    assert printed.err == ""
    return printed.out


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str]:
    """The exit status of a command that fails, and the first line of what it says."""
    try:
        status: object = main(arguments)
    except SystemExit as end:
        status = end.code
    printed = capsys.readouterr()
    assert printed.out == ""
    return status, printed.err.splitlines()[0]


HELP = [("--help",), *((name, "--help") for name in COMMANDS)]


@pytest.mark.parametrize("arguments", HELP, ids=" ".join)
def test_help_fits_a_screen_and_has_examples(
    arguments: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    text = output(capsys, *arguments)
    lines = text.splitlines()
    assert len(lines) <= MAX_HELP_LINES
    assert max(map(len, lines)) <= 80
    assert re.search(r"^examples:\n  .*images-emulator", text, re.MULTILINE)


def test_help_command_is_the_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert output(capsys, "help") == output(capsys, "--help")
    assert output(capsys, "help", "draw") == output(capsys, "draw", "--help")


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "--help")
    assert re.findall(r"^  ([a-z]+)  ", text, re.MULTILINE) == [*COMMANDS]


def test_help_all_has_every_setting_with_its_variable(capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "serve", "--help-all")
    for each in all_settings():
        assert re.search(rf"{each.flag}[ ,]", text)
        assert f"[{each.variable}]" in text


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert re.fullmatch(r"images-emulator \d+\.\d+\.\d+\n", output(capsys, "--version"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("srve",), "images-emulator: there is no command 'srve'; 'serve' is probably meant"),
        (("zzz",), "images-emulator: there is no command 'zzz'"),
        (
            ("--prot", "1"),
            "images-emulator serve: unrecognized arguments: --prot 1; --port is probably meant",
        ),
        (
            ("serve", "--journal-entry=1"),
            "images-emulator serve: unrecognized arguments: --journal-entry=1; "
            "--journal-entries is probably meant",
        ),
        (("-p", "x"), "images-emulator serve: argument -p/--port: must be a number, not 'x'"),
        (
            ("--cache", "5 XB"),
            "images-emulator serve: argument --cache: must be a size such as 64MB, 64MiB or "
            "67108864, not '5 XB'",
        ),
        (
            ("healthcheck", "--url", "ftp://x"),
            "images-emulator healthcheck: expected the URL of a server, such as "
            "http://127.0.0.1:8080, not 'ftp://x'",
        ),
        (
            ("env", "-p", "0"),
            "images-emulator env: the port of the settings is 0, any free one: name the server by "
            "--url",
        ),
    ],
)
def test_wrong_arguments_are_an_error_of_one_sentence(
    arguments: Sequence[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refusal(capsys, *arguments) == (2, sentence)


def test_abbreviated_flag_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    status, sentence = refusal(capsys, "serve", "--max", "1")
    assert (status, sentence[:54]) == (2, "images-emulator serve: unrecognized arguments: --max 1")


# --- healthcheck


def test_healthcheck_succeeds_where_the_server_answers(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = str(server.port)
    assert output(capsys, "healthcheck", "-p", port) == f"{server.url} answers\n"
    monkeypatch.setenv("IMAGES_EMULATOR_PORT", port)
    assert output(capsys, "healthcheck") == f"{server.url} answers\n"
    monkeypatch.setenv("IMAGES_EMULATOR_HOST", "0.0.0.0")  # noqa: S104 - nothing listens there
    assert output(capsys, "healthcheck") == f"{server.url} answers\n"
    monkeypatch.setenv("IMAGES_EMULATOR_PORT", "1")
    monkeypatch.setenv("IMAGES_EMULATOR_URL", server.base_url)
    assert output(capsys, "healthcheck") == f"{server.url} answers\n"
    assert main(["healthcheck", "-p", "1"]) == 1


def test_healthcheck_of_no_server_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    port = str(free_port())
    assert refusal(capsys, "healthcheck", "-p", port) == (
        1,
        f"images-emulator: no server answers at http://127.0.0.1:{port} (Connection refused); "
        "'images-emulator serve' starts one, --url names another one",
    )


@pytest.mark.slow
def test_healthcheck_of_another_server_is_one_sentence(
    site: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, sentence = refusal(capsys, "healthcheck", "--url", site)
    assert status == 1
    assert sentence.endswith("answered 404, as no images-emulator does")


FIRST_PROCESSES = {
    "serve": ["/opt/python", "/opt/bin/images-emulator", "--port", "{}", "--as-of", "today"],
    "serve by its name": ["images-emulator", "serve", "-q", "-p{}"],
    "as a module": ["/opt/python", "-m", "images_emulator", "-p", "{}"],
    "behind an init": ["/sbin/docker-init", "--", "openai-images-emulator", "-p", "{}"],
}


@pytest.fixture
def first_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Sets the arguments of the process with the number 1."""

    def run(*words: str) -> None:
        path = tmp_path / "cmdline"
        path.write_text("".join(f"{word}\0" for word in words))
        monkeypatch.setattr("images_emulator.cli.first_process.ARGUMENTS_FILE", path)

    return run


@pytest.mark.parametrize("words", FIRST_PROCESSES.values(), ids=list(FIRST_PROCESSES))
def test_healthcheck_asks_the_port_of_the_flags_of_a_containers_server(
    words: list[str],
    server: Server,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    first_process: Callable[..., None],
) -> None:
    monkeypatch.setenv("IMAGES_EMULATOR_PORT", "1")
    first_process(*(word.format(server.port) for word in words))
    assert output(capsys, "healthcheck") == f"{server.url} answers\n"
    assert main(["healthcheck", "-p", "1"]) == 1
    monkeypatch.setenv("IMAGES_EMULATOR_URL", "http://127.0.0.1:1")
    assert main(["healthcheck"]) == 1


@pytest.mark.parametrize(
    "words", [["/sbin/init"], [], ["images-emulator", "draw", "x"], ["images-emulator", "--oops"]]
)
def test_healthcheck_asks_the_port_of_the_settings_where_the_first_process_is_no_server(
    words: list[str],
    server: Server,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    first_process: Callable[..., None],
) -> None:
    monkeypatch.setenv("IMAGES_EMULATOR_PORT", str(server.port))
    first_process(*words)
    assert main(["healthcheck"]) == 0
    assert capsys.readouterr().out == f"{server.url} answers\n"


def test_healthcheck_of_a_recording_container_makes_no_call(
    server: Server, capsys: pytest.CaptureFixture[str], first_process: Callable[..., None]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = str(listening.getsockname()[1])
        first_process(
            "images-emulator", "record", "--to", "x", "--upstream", "http://x", "-p", port
        )
        assert output(capsys, "healthcheck") == f"http://127.0.0.1:{port} answers\n"
        with listening.accept()[0] as connection:
            assert connection.recv(1) == b""


# --- env

VARIABLES = {
    "sh": "export OPENAI_BASE_URL=http://h:1/v1\nexport OPENAI_API_KEY='a$b'\n",
    "fish": "set -gx OPENAI_BASE_URL http://h:1/v1\nset -gx OPENAI_API_KEY 'a$b'\n",
    "powershell": "$env:OPENAI_BASE_URL = 'http://h:1/v1'\n$env:OPENAI_API_KEY = 'a$b'\n",
    "dotenv": "OPENAI_BASE_URL=http://h:1/v1\nOPENAI_API_KEY='a$b'\n",
    "github": "OPENAI_BASE_URL=http://h:1/v1\nOPENAI_API_KEY=a$b\n",
}


@pytest.mark.parametrize("form", LINE_WRITERS)
def test_env_prints_variables_for_every_form(
    form: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGES_EMULATOR_API_KEY", "a$b,sk-c")
    assert output(capsys, "env", "--for", form, "--url", "http://h:1/v1/") == VARIABLES[form]


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("sh", """export X='it'"'"'s \\'"""),
        ("fish", r"""set -gx X 'it\'s \\'"""),
        ("powershell", """$env:X = 'it''s \\'"""),
    ],
)
def test_env_quotes_values_in_the_words_of_the_shell(form: str, line: str) -> None:
    assert LINE_WRITERS[form]("X", "it's \\") == line


def test_env_of_a_shell_sets_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    script = output(capsys, "env", "--for", "sh", "--azure", "-p", "9000")
    shown = 'echo "$OPENAI_BASE_URL $AZURE_OPENAI_ENDPOINT $OPENAI_API_VERSION"'
    done = subprocess.run(
        ["sh", "-c", script + shown],  # noqa: S607 - as users have it
        capture_output=True,
        text=True,
        check=True,
    )
    words = "http://127.0.0.1:9000/v1 http://127.0.0.1:9000 2025-04-01-preview"
    assert done.stdout.split() == words.split()


@pytest.mark.parametrize(
    ("shell", "os_name", "form"),
    [("/usr/bin/fish", "posix", "fish"), ("/bin/zsh", "posix", "sh"), ("", "nt", "powershell")],
)
def test_env_knows_the_shell_of_the_machine(shell: str, os_name: str, form: str) -> None:
    assert shell_of({"SHELL": shell}, os_name) == form


# --- completion


@pytest.mark.parametrize("shell", SCRIPTS)
def test_completion_names_every_command_and_flag(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    script = output(capsys, "completion", shell)
    for word in [*COMMANDS, *(each.name.replace("_", "-") for each in all_settings())]:
        assert word in script
    program = shutil.which(shell)
    if program:
        subprocess.run([program, "-n"], input=script, text=True, check=True)


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["heal"], ["healthcheck"]),
        (["--as"], ["--as-of"]),
        (["serve", "--journal-"], ["--journal-entries", "--journal-bytes"]),
        (["env", "--for", "po"], ["powershell"]),
        (["--validation", "le"], ["lenient"]),
        (["--scenario", "out"], ["out-of-credit", "outage"]),
        (["scenario", "ch"], ["check"]),
        (["--config", "imag"], ["images.toml"]),
        (["--pictures", "imag"], ["images.toml"]),
        (["draw", "--mask", "imag"], ["images.toml"]),
        (["record", "--to", "imag"], ["images.toml"]),
        (["--port", ""], []),
    ],
)
def test_bash_completes_commands_flags_and_values(
    words: Sequence[str],
    completed: Sequence[str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    (tmp_path / "images.toml").touch()
    script = output(capsys, "completion", "bash")
    line = " ".join(f"'{word}'" for word in ["images-emulator", *words])
    call = f"COMP_WORDS=({line}); COMP_CWORD={len(words)}; _images_emulator; "
    shown = 'printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(
        ["bash", "-c", script + call + shown],  # noqa: S607 - as users have it
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [*completed]


# --- reference


@pytest.mark.parametrize(
    ("form", "start"),
    [
        (None, "error               Refuses the call"),
        ("--markdown", "| fault |"),
        ("--json", '{\n  "faults": ['),
    ],
)
def test_faults_command_prints_every_form(
    form: str | None, start: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = output(capsys, "faults", *([form] if form else []))
    assert text.startswith(start)
    for name in [*FAULTS, "rate_limit_exceeded", "bytes_per_second"]:
        assert name in text


def test_scenario_list_has_every_ready_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    lines = output(capsys, "scenario", "list").splitlines()
    assert [line.split()[0] for line in lines] == [*ready_scenarios()]
    assert "Nothing works" in lines[3]


def test_ready_scenario_that_is_shown_can_be_checked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "day.toml").write_text(output(capsys, "scenario", "show", "outage"))
    assert output(capsys, "scenario", "check", "day.toml") == "day.toml: 4 steps\n"
    assert output(capsys, "scenario", "check", "outage") == "outage: 4 steps\n"


def test_file_goes_before_a_ready_scenario_of_its_name(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "outage").write_text('[[steps]]\nfault = "timeout"\n')
    assert output(capsys, "scenario", "check", "outage") == "outage: 1 step\n"


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        (
            "show",
            "images-emulator: there is no ready scenario 'outge'; 'outage' is probably meant; "
            "'images-emulator scenario list' lists them",
        ),
        (
            "check",
            "outge: No such file or directory; 'outage' is probably meant; "
            "'images-emulator scenario list' lists the ready scenarios",
        ),
    ],
)
def test_misspelt_ready_scenario_names_the_one_meant(
    part: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refusal(capsys, "scenario", part, "outge") == (1, sentence)


def test_scenario_alone_names_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["scenario"])
    assert end.value.code == 2
    sentence = "images-emulator scenario: expected one of the commands list, show and check\n"
    assert capsys.readouterr().err.startswith(sentence)


def test_scenario_help_has_no_empty_line_above_its_commands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["scenario", "--help"])
    assert "commands:\n  COMMAND\n    list " in capsys.readouterr().out


def test_draw_help_says_what_stream_prints(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["draw", "--help"])
    assert "Stream it, and report each partial image" in capsys.readouterr().out


def test_models_command_prints_a_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(output(capsys, "models", "--json"))
