"""The plugin in pytest sessions of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.programs import run_pytest

HEAD = """
import openai, pytest

def draw(**options):
    with openai.OpenAI(max_retries=0) as client:
        client.images.generate(**{"model": "dall-e-3", "prompt": "a lighthouse"} | options)
"""


@pytest.fixture
def session(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    # What is loaded without being named is tried with the README's tests.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "emulator.pytest_plugin")
    return pytester


def run(session: pytest.Pytester, code: str, *arguments: str) -> pytest.RunResult:
    session.makepyfile(HEAD + code)
    done = run_pytest(["-W", "error", "--strict-markers", *arguments], session.path)
    lines, errors = done.stdout.splitlines(), done.stderr.splitlines()
    return pytest.RunResult(done.returncode, lines, errors, duration=0)


FAILING = """
def test_it(images_emulator):
    images_emulator.inject("server_error")
    with pytest.raises(openai.InternalServerError):
        draw()
    draw()
    draw(model="no-such-model")
"""


def test_a_failed_test_shows_its_calls(session: pytest.Pytester) -> None:
    result = run(session, FAILING)
    result.assert_outcomes(failed=1)
    path = "POST /v1/images/generations"
    result.stdout.re_match_lines(
        [
            "-+ Calls to the images emulator -+",
            rf"{path} dall-e-3 500 server_error \d+ ms",
            rf"{path} dall-e-3 200 \d+ ms",
            rf"{path} no-such-model 400 invalid_value \d+ ms",
        ],
        consecutive=True,
    )


def test_a_long_story_is_cut(session: pytest.Pytester) -> None:
    code = """
def test_it(images_emulator):
    with openai.OpenAI() as client:
        for _ in range(60):
            client.models.retrieve("dall-e-3")
    assert False
"""
    result = run(session, code)
    result.stdout.fnmatch_lines(["… and 10 before"])
    assert str(result.stdout).count("GET /v1/models/dall-e-3 200") == 50


def test_a_test_that_passes_or_calls_nothing_shows_nothing(session: pytest.Pytester) -> None:
    code = """
def test_that_passes(images_emulator):
    draw()

def test_that_calls_nothing(images_emulator):
    assert False

def test_that_has_no_server():
    assert False
"""
    result = run(session, code, "-rA")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.no_fnmatch_line("*Calls to the images emulator*")


def test_a_fixture_that_fails_shows_its_calls(session: pytest.Pytester) -> None:
    code = """
@pytest.fixture
def drawn(images_emulator):
    draw(n=2)

def test_it(drawn):
    pass
"""
    result = run(session, code)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["POST /v1/images/generations dall-e-3 400 * ms"])


MIXED = """
@pytest.mark.parametrize("number", range(10))
def test_calls_are_its_own(images_emulator, number):
    draw(prompt=str(number))
    assert [call.prompt for call in images_emulator.requests] == [str(number)]

@pytest.mark.images_emulator(as_of="2026-06-01")
def test_a_day_is_its_own():
    with pytest.raises(openai.BadRequestError):
        draw()
"""


def test_tests_do_not_meet(session: pytest.Pytester) -> None:
    run(session, MIXED).assert_outcomes(passed=11)


def test_workers_do_not_meet_have_a_server_each_and_show_their_calls(
    session: pytest.Pytester,
) -> None:
    """In one session, since each worker has to load all that there is."""
    code = """
def test_a_port(images_emulator, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp().parent
    (folder / f"port-{images_emulator.port}").touch()
"""
    workers = ("-p", "xdist", "-n", "2", "--dist", "each", "--basetemp", "ports")
    result = run(session, MIXED + code + FAILING, *workers)
    result.assert_outcomes(passed=2 * 12, failed=2)
    assert len(list((session.path / "ports").glob("port-*"))) == 2
    result.stdout.fnmatch_lines(["*POST /v1/images/generations dall-e-3 500 server_error * ms"])


MISTAKES = """
@pytest.mark.images_emulator(colour="red")
def test_1():
    pass

@pytest.mark.images_emulator("strict")
def test_2():
    pass

@pytest.mark.images_emulator(as_of="soon")
def test_3():
    pass

@pytest.mark.images_emulator(validation="mild")
def test_4():
    pass

@pytest.mark.images_emulator(scenario="none.toml")
def test_5():
    pass

@pytest.mark.images_emulator(scenario={"steps": [{"fault": "rain"}]})
def test_6():
    pass
"""


def test_a_mistake_in_the_marker_is_said_in_a_line(session: pytest.Pytester) -> None:
    result = run(session, MISTAKES)
    result.assert_outcomes(errors=6)
    for words in (
        "got an unexpected keyword argument 'colour'",
        "too many positional arguments",
        "as_of: expected 'any', 'today' or a date as YYYY-MM-DD, not 'soon'",
        "validation: expected 'strict' or 'lenient', not 'mild'",
        "*none.toml: No such file or directory",
        "step 1: fault*rain*",
    ):
        result.stdout.fnmatch_lines([f"pytest.mark.images_emulator: {words}"])


def test_a_scenario_file_is_seen_from_the_root_directory(session: pytest.Pytester) -> None:
    session.makefile(".toml", outage='[[steps]]\nfault = "server_error"')
    code = """
@pytest.mark.images_emulator(scenario="outage.toml")
def test_it():
    with pytest.raises(openai.InternalServerError):
        draw()
"""
    run(session, code).assert_outcomes(passed=1)


def test_the_server_may_be_another(session: pytest.Pytester) -> None:
    session.makeconftest("""
import pytest
from emulator import Server, Settings

@pytest.fixture(scope="session")
def images_emulator_server():
    with Server(Settings(port=0, api_key=("sk-mine",))) as server:
        yield server
""")
    code = """
def test_it(images_emulator):
    draw()
    assert images_emulator.requests[0].key == "sk-mine"
"""
    run(session, code).assert_outcomes(passed=1)


def test_the_marker_and_the_fixtures_are_documented(session: pytest.Pytester) -> None:
    run(session, "", "--markers").stdout.fnmatch_lines(["@pytest.mark.images_emulator(*"])
    result = run(session, "", "--fixtures")
    result.stdout.fnmatch_lines(["images_emulator_server *", "images_emulator *"])


def test_the_plugin_imports_nothing_heavy() -> None:
    code = """
import sys, pytest
before = set(sys.modules)
import emulator.pytest_plugin
print(*sorted(name for name in set(sys.modules) - before if not name.startswith("emulator")))
print(*sorted(name for name in sys.modules if name.startswith("emulator")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["", "emulator emulator.pytest_plugin"]
