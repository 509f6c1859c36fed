"""The pytest plugin with a server that tests share with others: `images_emulator_url`."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from images_emulator import Server
from tests.test_pytest_sessions import WIDER, run, session

__all__ = ["session"]


@pytest.fixture
def shared() -> Iterator[Server]:
    with Server() as server:
        yield server


def namespaces(server: Server) -> list[str]:
    listed = httpx2.get(f"{server.url}/_emulator/namespaces").json()["namespaces"]
    return [each["name"] for each in listed]


def with_url(session: pytest.Pytester, server: Server, *lines: str) -> None:
    session.makeini("\n".join(["[pytest]", f"images_emulator_url = {server.url}", *lines]))


APART = """
@pytest.mark.parametrize("number", range(COUNT))
def test_it(images_emulator, number):
    assert images_emulator.requests == []
    images_emulator.clock.freeze()
    images_emulator.inject("server_error", match={"prompt": f"fault {number}"})
    with pytest.raises(openai.InternalServerError):
        draw(prompt=f"fault {number}")
    draw(prompt=f"{number}", model="dall-e-2", size="256x256")
    calls = images_emulator.verify(times=2)
    assert [call.prompt for call in calls] == [f"fault {number}", f"{number}"]
    images_emulator.verify_steps()
    assert f"-{number}" in images_emulator.namespace
"""


@pytest.mark.slow
def test_marker_leaves_what_a_fixture_of_wider_scope_has_set(
    session: pytest.Pytester, shared: Server
) -> None:
    with_url(session, shared)
    settings = """
@pytest.fixture(scope="session")
def images_emulator_settings():
    from images_emulator import Settings
    return Settings(as_of="2026-07-01")
"""
    run(session, settings + WIDER, "-p", "no:randomly").assert_outcomes(passed=2)


@pytest.mark.slow
def test_hundreds_of_tests_in_parallel_are_apart(session: pytest.Pytester, shared: Server) -> None:
    with_url(session, shared)
    code = APART.replace("COUNT", "200")
    # Workers of pytest-xdist need one order.
    session.makeconftest(
        "import random\ndef pytest_collection_modifyitems(items): random.Random(7).shuffle(items)"
    )
    result = run(session, code, "-p", "xdist.plugin", "-n", "2", "--dist", "worksteal")
    result.assert_outcomes(passed=200)
    assert namespaces(shared) == []
    assert shared.requests == []


@pytest.mark.slow
def test_unchanged_clients_lead_to_the_namespace(session: pytest.Pytester, shared: Server) -> None:
    code = """
import asyncio, os

def test_it(images_emulator):
    assert os.environ["OPENAI_BASE_URL"] == images_emulator.base_url
    assert os.environ["AZURE_OPENAI_ENDPOINT"] == images_emulator.url
    assert os.environ["OPENAI_API_KEY"] == "sk-test"
    draw()
    openai.images.generate(model="dall-e-2", prompt="the module's client")
    with openai.AzureOpenAI() as client:
        client.images.generate(model="dall-e-3", prompt="Azure")
    prompts = [call.prompt for call in images_emulator.requests]
    assert prompts == ["a lighthouse", "the module's client", "Azure"]

def test_async(images_emulator):
    async def call():
        async with openai.AsyncOpenAI() as client:
            await client.images.generate(model="dall-e-3", prompt="x")

    asyncio.run(call())
    assert len(images_emulator.requests) == 1
"""
    with_url(session, shared)
    run(session, code).assert_outcomes(passed=2)
    assert (namespaces(shared), shared.requests) == ([], [])


@pytest.mark.slow
def test_the_variable_goes_before_the_setting(
    session: pytest.Pytester, shared: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.makeini("[pytest]\nimages_emulator_url = http://127.0.0.1:1")
    monkeypatch.setenv("IMAGES_EMULATOR_URL", shared.url)
    result = run(session, "def test_it(images_emulator): draw()")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"images emulator: {shared.url}"])


@pytest.mark.slow
def test_the_marker_is_for_its_test(session: pytest.Pytester, shared: Server) -> None:
    code = """
@pytest.mark.images_emulator(as_of="2026-01-01", validation="lenient", scenario="outage")
def test_marked(images_emulator):
    settings = images_emulator.changeable_settings
    assert settings == {"as_of": "2026-01-01", "validation": "lenient"}
    assert images_emulator.unmet_steps()

def test_after(images_emulator):
    assert images_emulator.changeable_settings == {"as_of": "any", "validation": "strict"}
    assert not images_emulator.unmet_steps()

@pytest.mark.images_emulator(scenario="nothing.toml")
def test_wrong():
    pass
"""
    with_url(session, shared)
    result = run(session, code, "-p", "no:randomly")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*pytest.mark.images_emulator: *nothing.toml*"])


@pytest.mark.slow
def test_fixtures_of_wider_scope_have_one_namespace(
    session: pytest.Pytester, shared: Server
) -> None:
    code = """
names = []

@pytest.fixture(scope="module", autouse=True)
def drawn(images_emulator_module):
    draw(prompt="before")
    names.append(images_emulator_module.namespace)

@pytest.mark.images_emulator(validation="lenient", scenario={"steps": [{"fault": "server_error"}]})
def test_one(images_emulator):
    assert images_emulator.namespace == names[0]
    assert images_emulator.requests[0].prompt == "before"
    with pytest.raises(openai.InternalServerError):
        draw(prompt="one")

def test_two(images_emulator):
    assert images_emulator.changeable_settings["validation"] == "strict"
    draw(prompt="two")
    assert {call.prompt for call in images_emulator.requests} >= {"before", "two"}
"""
    with_url(session, shared)
    run(session, code).assert_outcomes(passed=2)
    assert namespaces(shared) == []


@pytest.mark.slow
def test_clients_of_the_session_mode_have_one_namespace_that_is_emptied(
    session: pytest.Pytester, shared: Server
) -> None:
    code = """
client = openai.OpenAI(max_retries=0)

@pytest.mark.parametrize("number", range(3))
def test_it(images_emulator, number):
    client.images.generate(model="dall-e-2", prompt=f"{number}")
    assert [call.prompt for call in images_emulator.requests] == [f"{number}"]
"""
    with_url(session, shared, "images_emulator = session")
    result = run(session, code)
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines([f"images emulator: {shared.url}/ns/*-session-*"])
    assert namespaces(shared) == []
    assert shared.requests == []


@pytest.mark.slow
def test_settings_of_the_session_are_those_of_the_namespaces(
    session: pytest.Pytester, shared: Server
) -> None:
    code = """
from images_emulator import Settings

@pytest.fixture(scope="session")
def images_emulator_settings():
    return Settings(as_of="2026-01-01", scenario="outage", api_key="sk-mine")

def test_it(images_emulator):
    import os
    assert images_emulator.changeable_settings["as_of"] == "2026-01-01"
    assert images_emulator.unmet_steps()
    assert os.environ["OPENAI_API_KEY"] == "sk-mine"
"""
    for mode in ("fixture", "session"):
        with_url(session, shared, f"images_emulator = {mode}")
        run(session, code).assert_outcomes(passed=1)


@pytest.mark.slow
def test_only_tests_that_want_the_server_of_the_session_have_its_namespace(
    session: pytest.Pytester, shared: Server
) -> None:
    names: list[str | None] = []
    shared.namespaces.observers = (lambda emulator: names.append(emulator.namespace),)
    with_url(session, shared)
    run(session, "def test_it(images_emulator): draw()").assert_outcomes(passed=1)
    (own,) = {*names}
    assert own
    assert "-test_it-" in own
    code = "def test_it(images_emulator_server): assert images_emulator_server.namespace"
    run(session, code).assert_outcomes(passed=1)
    assert "-session-" in str(names[-1])
    assert namespaces(shared) == []


@pytest.mark.slow
def test_a_namespace_that_cannot_have_the_settings_is_deleted(
    session: pytest.Pytester, shared: Server
) -> None:
    code = """
from images_emulator import Settings

@pytest.fixture(scope="session")
def images_emulator_settings():
    return Settings(as_of="2026-01-01", scenario="nothing.toml")

def test_it(images_emulator):
    pass
"""
    with_url(session, shared)
    run(session, code).assert_outcomes(errors=1)
    assert namespaces(shared) == []


def test_settings_that_only_the_server_can_have_are_refused(
    session: pytest.Pytester, shared: Server
) -> None:
    code = """
from images_emulator import Settings

@pytest.fixture(scope="session")
def images_emulator_settings():
    return Settings(rate_limit="1/min", cache=0)

def test_it(images_emulator):
    pass
"""
    with_url(session, shared)
    result = run(session, code)
    result.assert_outcomes(errors=1)
    sentence = "*rate_limit, cache of images_emulator_settings can only be set where the server*"
    result.stdout.fnmatch_lines([sentence])


@pytest.mark.slow
def test_a_failed_test_shows_its_calls(session: pytest.Pytester, shared: Server) -> None:
    code = """
def test_it(images_emulator):
    draw()
    assert False
"""
    with_url(session, shared)
    result = run(session, code)
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines(
        ["-+ Calls to the images emulator -+", r"POST /v1/images/generations dall-e-3 200 \d+ ms$"]
    )
    assert namespaces(shared) == []


@pytest.mark.parametrize("mode", ["fixture", "session"])
def test_a_server_that_does_not_answer_is_told(session: pytest.Pytester, mode: str) -> None:
    session.makeini(f"[pytest]\nimages_emulator = {mode}\nimages_emulator_url = http://127.0.0.1:1")
    result = run(session, "def test_it(images_emulator): pass\ndef test_other(): pass")
    sentence = "images_emulator_url: no server answers at http://127.0.0.1:1"
    assert "--url" not in result.stdout.str() + result.stderr.str()
    if mode == "session":
        result.stderr.fnmatch_lines([f"ERROR: {sentence}*"])
    else:
        result.assert_outcomes(passed=1, errors=1)
        result.stdout.fnmatch_lines([f"*{sentence}*"])


@pytest.mark.slow
def test_the_admin_token_comes_from_settings_or_the_variable(
    session: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(admin_token="secret") as server:
        with_url(session, server)
        result = run(session, "def test_it(images_emulator): draw()")
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["*wants its admin token*"])
        monkeypatch.setenv("IMAGES_EMULATOR_ADMIN_TOKEN", "secret")
        run(session, "def test_it(images_emulator): draw()").assert_outcomes(passed=1)
