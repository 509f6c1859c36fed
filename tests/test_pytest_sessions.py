"""The plugin in pytest sessions of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from images_emulator import Server
from tests.programs import run_pytest, run_python

pytestmark = pytest.mark.not_on_redis("its sessions are processes of their own")

HEAD = """
import openai, pytest

def draw(**options):
    with openai.OpenAI(max_retries=0) as client:
        client.images.generate(**{"model": "dall-e-3", "prompt": "a lighthouse"} | options)
"""


@pytest.fixture
def session(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    for name in [*os.environ]:
        if name.startswith(("OPENAI_", "AZURE_OPENAI_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    # What is loaded without being named is tried with the docs' tests.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "images_emulator.pytest_plugin")
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
    draw(prompt="A ship\\nat sea", extra_headers={"x-stainless-retry-count": "1"})
    draw(model="no-such-model", prompt=201 * "x")
"""


@pytest.mark.slow
def test_report_of_a_failed_test_has_its_calls(session: pytest.Pytester) -> None:
    result = run(session, FAILING)
    result.assert_outcomes(failed=1)
    path = "POST /v1/images/generations"
    result.stdout.re_match_lines(
        [
            "-+ Calls to the images emulator -+",
            rf"{path} dall-e-3 500 server_error \d+ ms$",
            "    prompt: a lighthouse$",
            "    message: The server had an error processing your request. Sorry about that!.*$",
            "    fault: server_error$",
            rf"{path} dall-e-3 200 \d+ ms$",
            "    prompt: A ship at sea$",
            "    retry: 1$",
            rf"{path} no-such-model 400 invalid_value \d+ ms$",
            "    prompt: x{200}…$",
            "    param: model$",
            "    message: The model 'no-such-model' does not exist.$",
        ],
        consecutive=True,
    )


@pytest.mark.slow
def test_a_failed_assertion_shows_the_calls_it_counted(session: pytest.Pytester) -> None:
    code = """
def test_it(images_emulator):
    draw(prompt="A lighthouse")
    draw(prompt="A ship")
    assert len(images_emulator.calls(model="dall-e-3", prompt="ship")) == 2
"""
    result = run(session, code)
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines(
        [
            "E +AssertionError: assert 1 == 2$",
            r"E +\+  where 1 = len\(\[POST /v1/images/\w+ dall-e-3 200 \d+ ms 'A ship'\]\)$",
            r"E +\+    where \[.*\] = calls\(model='dall-e-3', prompt='ship'\)$",
        ]
    )


@pytest.mark.slow
def test_report_of_a_failed_test_has_near_misses(session: pytest.Pytester) -> None:
    code = """
def test_it(images_emulator):
    images_emulator.inject("server_error", match={"prompt": "a hare"})
    draw()
    assert 0
"""
    result = run(session, code)
    result.assert_outcomes(failed=1)
    miss = "    near miss: injected (server_error): the prompt does not have 'a hare'"
    result.stdout.fnmatch_lines([miss])


@pytest.mark.slow
def test_report_has_the_last_fifty_calls(session: pytest.Pytester) -> None:
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


@pytest.mark.slow
def test_no_report_for_tests_that_pass_or_call_nothing(session: pytest.Pytester) -> None:
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


@pytest.mark.slow
def test_report_of_a_failed_fixture_has_its_calls(session: pytest.Pytester) -> None:
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


@pytest.mark.slow
def test_tests_are_isolated_from_each_other(session: pytest.Pytester) -> None:
    run(session, MIXED).assert_outcomes(passed=11)


@pytest.mark.slow
def test_xdist_workers_have_a_server_each(
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

@pytest.mark.images_emulator(scenario="outtage")
def test_7():
    pass
"""


@pytest.mark.slow
def test_invalid_marker_arguments_are_errors_of_one_line(session: pytest.Pytester) -> None:
    result = run(session, MISTAKES)
    result.assert_outcomes(errors=7)
    result.stdout.no_fnmatch_line("*During handling of*")
    for words in (
        "got an unexpected keyword argument 'colour'",
        "too many positional arguments",
        "as_of: expected 'any', 'today' or a date as YYYY-MM-DD, not 'soon'",
        "validation: expected 'strict' or 'lenient', not 'mild'",
        "*none.toml: No such file or directory",
        "step 1: fault*rain*",
        "*outtage: No such file or directory; 'outage' is probably meant*",
    ):
        result.stdout.fnmatch_lines([f"pytest.mark.images_emulator: {words}"])


@pytest.mark.slow
def test_marker_scenario_path_is_relative_to_rootdir(session: pytest.Pytester) -> None:
    session.makefile(".toml", outage='[[steps]]\nfault = "server_error"')
    code = """
@pytest.mark.images_emulator(scenario="outage.toml")
def test_it():
    with pytest.raises(openai.InternalServerError):
        draw()
"""
    run(session, code).assert_outcomes(passed=1)


@pytest.mark.slow
def test_settings_fixture_can_be_overridden(session: pytest.Pytester) -> None:
    session.makeconftest("""
import pytest
from images_emulator import Settings

@pytest.fixture(scope="session")
def images_emulator_settings():
    return Settings(api_key="sk-mine", validation="lenient")
""")
    code = """
def test_it(images_emulator):
    draw(extra_body={"colour": "red"})
    assert images_emulator.requests[0].key == "sk-mine"
"""
    run(session, code).assert_outcomes(passed=1)


@pytest.mark.slow
def test_server_fixture_can_be_overridden(session: pytest.Pytester) -> None:
    session.makeconftest("""
import pytest
from images_emulator import Server

@pytest.fixture(scope="session")
def images_emulator_server():
    with Server(api_key="sk-mine") as server:
        yield server
""")
    code = """
def test_it(images_emulator):
    draw()
    assert images_emulator.requests[0].key == "sk-mine"
    assert False
"""
    result = run(session, code)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Calls to the images emulator*"])


@pytest.mark.slow
def test_port_in_use_is_an_error_that_names_xdist(session: pytest.Pytester) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        session.makeconftest(f"""
import pytest
from images_emulator import Settings

@pytest.fixture(scope="session")
def images_emulator_settings():
    return Settings(port={port})
""")
        result = run(session, MIXED)
    result.assert_outcomes(errors=11)
    result.stdout.fnmatch_lines(
        [
            f"E*OSError: [[]Errno *] 127.0.0.1:{port}: Address already in use",
            "E*each worker of pytest-xdist needs one of its own.",
        ]
    )


# --- the environment


@pytest.mark.slow
def test_no_proxy_names_the_server(
    session: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "shop.test, intra.test")
    code = """
import os, httpx2, urllib.request

def test_with(images_emulator):
    draw()
    assert httpx2.get(f"{images_emulator.url}/_emulator/health").status_code == 200
    assert urllib.request.urlopen(f"{images_emulator.url}/_emulator/health").status == 200
    assert os.environ["NO_PROXY"] == "shop.test, intra.test,127.0.0.1,localhost"

def test_without():
    assert os.environ["NO_PROXY"] == "shop.test, intra.test"
    assert "no_proxy" not in os.environ
"""
    run(session, code).assert_outcomes(passed=2)


@pytest.mark.slow
def test_no_proxy_of_everything_is_kept(
    session: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "*")
    code = """
import os

def test_it(images_emulator):
    draw()
    assert os.environ["no_proxy"] == "*"
"""
    run(session, code).assert_outcomes(passed=1)


@pytest.mark.slow
def test_environment_configures_azure_and_module_level_clients(
    session: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_OPENAI_AD_TOKEN", "a-token")
    code = """
import base64, os

def test_azure(images_emulator):
    with openai.AzureOpenAI(max_retries=0) as client:
        answer = client.images.generate(model="gpt-image-2", prompt="a lighthouse")
        picture = ("picture.png", base64.b64decode(answer.data[0].b64_json))
        client.images.edit(model="gpt-image-2", prompt="a ship", image=picture)
    assert [(call.status, call.key) for call in images_emulator.requests] == [(200, "sk-test")] * 2

def test_the_module(images_emulator):
    openai.images.generate(model="gpt-image-2", prompt="a lighthouse")
    assert [call.path for call in images_emulator.requests] == ["/v1/images/generations"]

def test_without():
    assert not [name for name in os.environ if name.startswith("OPENAI_")]
    assert [name for name in os.environ if name.startswith("AZURE_")] == ["AZURE_OPENAI_AD_TOKEN"]
    assert openai.api_type is None
"""
    run(session, code).assert_outcomes(passed=3)


# --- wider scopes


SCOPED = """
import httpx2

@pytest.fixture(scope="class")
def url(images_emulator_class):
    with openai.OpenAI() as client:
        return client.images.generate(model="dall-e-3", prompt="for the class").data[0].url

class TestOne:
    def test_a_picture_is_there(self, url, images_emulator_class):
        assert httpx2.get(url).status_code == 200
        draw()
        images_emulator_class.inject("server_error")

    def test_it_still_is(self, url, images_emulator):
        assert httpx2.get(url).status_code == 200
        assert len(images_emulator.requests) == 2
        with pytest.raises(openai.InternalServerError):
            draw()

    @pytest.mark.images_emulator(as_of="2026-06-01", scenario={"steps": [{"fault": "timeout"}]})
    def test_on_another_day(self, images_emulator_class):
        assert images_emulator_class.settings.as_of == "any"
        assert images_emulator_class.emulator.settings.as_of == "2026-06-01"

    def test_on_any_day_again(self):
        draw()

def test_between():
    import os
    assert "OPENAI_BASE_URL" not in os.environ

class TestTwo:
    def test_it_is_empty(self, images_emulator_class):
        assert images_emulator_class.requests == []
        images_emulator_class.inject("server_error", times=None)

def test_afterwards(images_emulator):
    draw()
"""


@pytest.mark.slow
def test_class_scoped_fixture_keeps_state_between_tests(session: pytest.Pytester) -> None:
    run(session, SCOPED).assert_outcomes(passed=7)


@pytest.mark.slow
@pytest.mark.parametrize("scope", ["class", "module", "session"])
def test_fixtures_of_every_scope_find_the_server(session: pytest.Pytester, scope: str) -> None:
    code = f"""
@pytest.fixture(scope="{scope}")
def drawn(images_emulator_{scope}):
    draw()
    return images_emulator_{scope}

@pytest.mark.images_emulator
def test_one(drawn):
    draw()

def test_two(images_emulator, drawn):
    assert images_emulator is drawn
    assert len(drawn.requests) == {1 if scope == "class" else 2}
"""
    run(session, code).assert_outcomes(passed=2)


WIDER = """
@pytest.fixture(scope="module")
def failing(images_emulator_module):
    images_emulator_module.configure(as_of="2026-06-01")
    images_emulator_module.inject("server_error", times=None)
    return images_emulator_module

@pytest.mark.images_emulator(validation="lenient")
def test_one(failing):
    with pytest.raises(openai.InternalServerError):
        draw()

def test_two(failing):
    with pytest.raises(openai.InternalServerError):
        draw()
    assert failing.changeable_settings["as_of"] == "2026-06-01"
    assert failing.changeable_settings["validation"] == "strict"
"""


@pytest.mark.slow
def test_marker_leaves_what_a_fixture_of_wider_scope_has_injected(
    session: pytest.Pytester,
) -> None:
    run(session, WIDER, "-p", "no:randomly").assert_outcomes(passed=2)


OCCUPIED = """
@pytest.fixture(scope="module")
def failing(images_emulator_module):
    {begin}
    return images_emulator_module

@pytest.mark.images_emulator(scenario="slow")
def test_one(failing, images_emulator):
    draw()

def test_two(failing):
    with pytest.raises(openai.InternalServerError):
        draw()
"""


FAILING_STEPS = '{"steps": [{"fault": {"kind": "error", "name": "server_error"}}]}'


@pytest.mark.slow
@pytest.mark.parametrize("is_remote", [False, True])
@pytest.mark.parametrize(
    "begin", ['inject("server_error", times=None)', f"begin_scenario({FAILING_STEPS})"], ids=str
)
def test_scenario_of_a_marker_does_not_replace_the_steps_of_a_fixture_of_wider_scope(
    session: pytest.Pytester, server: Server, begin: str, *, is_remote: bool
) -> None:
    arguments = ["-o", f"images_emulator_url={server.url}"] if is_remote else []
    code = OCCUPIED.format(begin=f"images_emulator_module.{begin}")
    result = run(session, code, "-p", "no:randomly", *arguments)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*its scenario would replace the steps*"])


AGAIN = """
@pytest.fixture(scope="module")
def wide(images_emulator_module):
    images_emulator_module.inject("server_error")
    with pytest.raises(openai.InternalServerError):
        draw()
    return images_emulator_module

@pytest.mark.images_emulator(scenario="slow")
@pytest.mark.parametrize("number", [1, 2])
def test_one(wide, images_emulator, number):
    assert len(images_emulator.unmet_steps()) == 1
"""


@pytest.mark.slow
@pytest.mark.parametrize("is_remote", [False, True])
def test_scenario_of_a_marker_begins_where_no_step_of_a_fixture_of_wider_scope_waits(
    session: pytest.Pytester, server: Server, *, is_remote: bool
) -> None:
    arguments = ["-o", f"images_emulator_url={server.url}"] if is_remote else []
    run(session, AGAIN, *arguments).assert_outcomes(passed=2)


OWN_STEPS = """
from images_emulator import Settings

@pytest.fixture(scope="session")
def images_emulator_settings():
    return Settings(scenario="slow")

@pytest.fixture(autouse=True)
def emptied(images_emulator_module):
    images_emulator_module.reset()

@pytest.mark.images_emulator(scenario="outage")
def test_one(images_emulator):
    assert images_emulator.unmet_steps()
"""


LEFT_STEPS = """
@pytest.fixture(scope="module", autouse=True)
def wide(images_emulator_module):
    pass

def test_one(images_emulator):
    images_emulator.inject("server_error", times=3)

@pytest.mark.images_emulator(scenario="slow")
def test_two(images_emulator):
    assert [step.times for step in images_emulator.unmet_steps()] != [3]
"""


@pytest.mark.slow
@pytest.mark.parametrize("is_remote", [False, True])
@pytest.mark.parametrize("code", [OWN_STEPS, LEFT_STEPS], ids=["own", "left"])
def test_scenario_of_a_marker_replaces_steps_of_the_settings_and_of_tests(
    session: pytest.Pytester, server: Server, code: str, *, is_remote: bool
) -> None:
    arguments = ["-o", f"images_emulator_url={server.url}"] if is_remote else []
    assert run(session, code, "-p", "no:randomly", *arguments).parseoutcomes().keys() == {"passed"}


@pytest.mark.slow
@pytest.mark.parametrize("scope", ["class", "module", "session"])
@pytest.mark.parametrize("mode", ["fixture", "session"])
def test_marker_leaves_the_environment_to_wider_scopes(
    session: pytest.Pytester, scope: str, mode: str
) -> None:
    code = f"""
import os

before = os.environ.get("OPENAI_BASE_URL")

@pytest.fixture(scope="session", autouse=True)
def restored():
    yield
    assert os.environ.get("OPENAI_BASE_URL") == before

class TestIt:
    @pytest.mark.images_emulator(validation="lenient")
    def test_one(self, images_emulator_{scope}):
        draw()

    def test_two(self, images_emulator_{scope}):
        draw()

@pytest.mark.skipif("{scope}" != "class", reason="the fixture is still in use")
def test_after():
    assert "{mode}" == "session" or "OPENAI_BASE_URL" not in os.environ
"""
    outcomes = {"passed": 3} if scope == "class" else {"passed": 2, "skipped": 1}
    run(session, code, f"--images-emulator={mode}").assert_outcomes(**outcomes)


BEGUN_LATER = """
import os

class TestX:
    @pytest.mark.images_emulator(as_of="2026-06-01")
    def test_one(self, images_emulator, request):
        wide = request.getfixturevalue("images_emulator_class")
        assert wide is images_emulator
        wide.inject("server_error")

    def test_two(self):
        # On another day the model would be gone.
        with pytest.raises(openai.InternalServerError):
            draw()
        draw()

def test_after():
    assert "OPENAI_BASE_URL" not in os.environ

def test_emptied(images_emulator):
    assert not images_emulator.requests
"""


@pytest.mark.slow
def test_fixture_of_wider_scope_may_begin_after_that_of_a_test(session: pytest.Pytester) -> None:
    run(session, BEGUN_LATER).assert_outcomes(passed=4)


MARKED_PARAMETER = """
import os

DAY = pytest.mark.images_emulator(as_of="2026-06-01")

@pytest.mark.parametrize("is_emulated", [pytest.param(True, marks=DAY), False])
def test_it(is_emulated):
    assert ("OPENAI_BASE_URL" in os.environ) is is_emulated
"""


@pytest.mark.slow
def test_marker_of_a_parameter_is_for_that_parameter(session: pytest.Pytester) -> None:
    run(session, MARKED_PARAMETER).assert_outcomes(passed=2)


MARKED_BY_A_HOOK = """
import pytest

def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.images_emulator(as_of="2026-06-01"))
"""


@pytest.mark.slow
def test_marker_may_come_from_a_hook(session: pytest.Pytester) -> None:
    session.makeconftest(MARKED_BY_A_HOOK)
    code = """
def test_it():
    with pytest.raises(openai.BadRequestError, match="does not exist"):
        draw()
"""
    run(session, code).assert_outcomes(passed=1)


@pytest.mark.slow
def test_markers_of_module_class_and_test_add_up(session: pytest.Pytester) -> None:
    code = """
pytestmark = pytest.mark.images_emulator(as_of="2026-06-01", validation="lenient")

@pytest.mark.images_emulator(as_of="2025-06-01")
class TestX:
    @pytest.mark.images_emulator(scenario={"steps": [{"fault": "server_error"}]})
    def test_one(self, images_emulator):
        settings = images_emulator.changeable_settings
        assert (str(settings["as_of"]), settings["validation"]) == ("2025-06-01", "lenient")
        with pytest.raises(openai.InternalServerError):
            draw()
"""
    run(session, code).assert_outcomes(passed=1)


@pytest.mark.slow
def test_a_setup_failure_in_another_plugin_is_reported(session: pytest.Pytester) -> None:
    session.makeconftest("""
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    if item.name == "test_two":
        pytest.fail("not today")
""")
    code = """
def test_one(images_emulator):
    draw()

def test_two():
    pass

def test_three():
    pass
"""
    result = run(session, code)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*not today"])


@pytest.mark.slow
def test_report_in_a_class_has_the_calls_of_one_test(session: pytest.Pytester) -> None:
    code = """
class TestIt:
    def test_that_passes(self, images_emulator_class):
        draw(prompt="the first one's")

    def test_that_fails(self, images_emulator_class):
        draw(prompt="the second one's")
        assert False
"""
    result = run(session, code)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["    prompt: the second one's"])
    result.stdout.no_fnmatch_line("    prompt: the first one's")


# --- before the tests are looked for


SHOP = """
import openai

client = openai.OpenAI(max_retries=0)

def draw(prompt, **options):
    return client.images.generate(model="dall-e-3", prompt=prompt, **options).data[0].url
"""

EARLY = """
import httpx2
from shop import client, draw

def test_none():
    fault = {"fault": "server_error", "times": None}
    injected = httpx2.post(client.base_url.join("/_emulator/inject"), json=fault)
    assert injected.is_success
    with pytest.raises(openai.InternalServerError):
        draw("a lighthouse")

def test_one():
    assert client.base_url.host == "127.0.0.1"
    draw("a lighthouse")

def test_two(images_emulator):
    assert images_emulator.requests == []
    images_emulator.inject("server_error")
    with pytest.raises(openai.InternalServerError):
        draw("a ship")
    assert images_emulator.requests[0].fault == "server_error"

@pytest.mark.images_emulator(as_of="2026-06-01")
def test_three():
    with pytest.raises(openai.BadRequestError):
        draw("a lighthouse")

def test_four():
    openai.OpenAI().images.generate(model="dall-e-3", prompt="x")
    draw("a lighthouse")
    assert False
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ini", "arguments"),
    [
        ("images_emulator = session", ("-p", "xdist", "-n", "1")),
        ("", ("--images-emulator=session",)),
    ],
    ids=["setting, -n 1", "flag"],
)
def test_session_mode_serves_clients_made_at_import(
    session: pytest.Pytester, ini: str, arguments: tuple[str, ...]
) -> None:
    session.makepyfile(shop=SHOP)
    session.makeconftest("import shop")
    session.makeini(f"[pytest]\n{ini}")
    result = run(session, EARLY, *arguments)
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(["images emulator: http://127.0.0.1:*"])
    result.stdout.fnmatch_lines(
        [
            "*Calls to the images emulator*",
            "POST /v1/images/generations dall-e-3 200 * ms",
            "    prompt: x",
            "POST /v1/images/generations dall-e-3 200 * ms",
            "    prompt: a lighthouse",
        ],
        consecutive=True,
    )


@pytest.mark.slow
def test_session_mode_takes_the_settings_fixture(session: pytest.Pytester) -> None:
    session.makepyfile(shop=SHOP)
    session.makeini("[pytest]\nimages_emulator = session")
    session.makeconftest("""
import pytest
from images_emulator import Settings
from shop import client, draw

draw("at import")

@pytest.fixture(scope="session")
def images_emulator_settings():
    return Settings(as_of="2026-06-01")
""")
    code = """
import shop

def test_it():
    with pytest.raises(openai.BadRequestError):
        shop.draw("a lighthouse")

def test_too(images_emulator):
    assert shop.client.base_url == f"{images_emulator.base_url}/"
    assert images_emulator.requests == []
"""
    run(session, code).assert_outcomes(passed=2)


@pytest.mark.slow
def test_command_line_flag_overrides_the_ini_setting(session: pytest.Pytester) -> None:
    session.makeini("[pytest]\nimages_emulator = session")
    code = """
import os

def test_it():
    assert "OPENAI_BASE_URL" not in os.environ
"""
    result = run(session, code, "--images-emulator=fixture")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("images emulator: *")


def test_invalid_ini_setting_is_a_usage_error(session: pytest.Pytester) -> None:
    session.makeini("[pytest]\nimages_emulator = always")
    result = run(session, "")
    result.stderr.fnmatch_lines(
        ["ERROR: images_emulator: expected fixture or session, not 'always'"]
    )


@pytest.mark.slow
def test_session_mode_leaves_no_environment_and_no_thread(session: pytest.Pytester) -> None:
    session.makepyfile(test_it="def test_it(): pass")
    code = """
import os, threading, pytest
assert pytest.main(["-q", "--images-emulator=session"]) == 0
print([name for name in os.environ if "OPENAI" in name or "proxy" in name.lower()])
print([each.name for each in threading.enumerate()])
"""
    done = run_python(code, session.path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["[]", "['MainThread']"]


@pytest.mark.slow
def test_works_with_pytest_socket(session: pytest.Pytester) -> None:
    pytest.importorskip("pytest_socket")
    session.makepyfile(shop=SHOP)
    code = """
import pytest_socket, shop, urllib.request

def test_the_emulator_answers():
    shop.draw("a lighthouse")

def test_nothing_else_does(images_emulator):
    with pytest.warns(UserWarning), pytest.raises(pytest_socket.SocketConnectBlockedError):
        urllib.request.urlopen("http://192.0.2.1/")
"""
    flags = (
        "-p",
        "pytest_socket",
        "--disable-socket",
        "--allow-hosts=127.0.0.1",
        "--images-emulator=session",
    )
    run(session, code, *flags).assert_outcomes(passed=2)


@pytest.mark.slow
def test_marker_and_fixtures_have_help_texts(session: pytest.Pytester) -> None:
    run(session, "", "--markers").stdout.fnmatch_lines(["@pytest.mark.images_emulator(*"])
    result = run(session, "", "--fixtures")
    for name in ("settings", "server", "class", "module", "session"):
        result.stdout.fnmatch_lines([f"images_emulator_{name} *", "    *"])
    result.stdout.fnmatch_lines(["images_emulator -- *"])


@pytest.mark.slow
def test_plugin_imports_nothing_heavy() -> None:
    code = """
import sys, urllib.parse, pytest  # some versions of pytest have the former
before = set(sys.modules)
import images_emulator.pytest_plugin
print(*sorted(name for name in set(sys.modules) - before if not name.startswith("images_emulator")))
print(*sorted(name for name in sys.modules if name.startswith("images_emulator")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "",
        "images_emulator images_emulator.changeable_settings images_emulator.client_errors "
        "images_emulator.environment images_emulator.pytest_plugin images_emulator.pytest_report "
        "images_emulator.pytest_session images_emulator.spelling",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("module", ["emulator/__init__.py", "emulator.py"])
def test_a_project_may_have_its_own_emulator_package(session: pytest.Pytester, module: str) -> None:
    (session.path / module).parent.mkdir(exist_ok=True)
    (session.path / module).write_text("VALUE = 7\n")
    code = """
from emulator import VALUE

def test_both(images_emulator):
    draw()
    assert VALUE == 7
    assert len(images_emulator.requests) == 1
"""
    run(session, code).assert_outcomes(passed=1)


@pytest.mark.parametrize("name", ["images-emulator", "openai-images-emulator"])
def test_command_has_two_names(name: str) -> None:
    command = Path(sys.executable).parent / name
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"images-emulator {version('openai-images-emulator')}\n"
