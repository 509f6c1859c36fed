"""`ImagesEmulatorContainer`, with a stand-in for Docker's daemon."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from testcontainers.core.config import ConnectionMode, testcontainers_config

from images_emulator.environment import API_KEY
from images_emulator.testcontainers import ImagesEmulatorContainer
from tests.conftest import ROOT
from tests.docker_daemon import DockerDaemon, docker_daemon


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[DockerDaemon]:
    """The daemon that Testcontainers finds. Nothing removes containers of dead processes, and the
    address of a container is the daemon's, also where the tests run in one."""
    mode = ConnectionMode.docker_host
    with docker_daemon() as (daemon, address):
        monkeypatch.setenv("DOCKER_HOST", address)
        monkeypatch.setattr(testcontainers_config, "ryuk_disabled", True)
        monkeypatch.setattr(testcontainers_config, "connection_mode_override", mode)
        yield daemon


@pytest.mark.slow
def test_container_is_an_emulator_with_the_settings(daemon: DockerDaemon) -> None:
    with ImagesEmulatorContainer(
        as_of="2026-06-01", api_key=("sk-1", "sk-2"), deployment=["my=gpt-image-2"], page=False
    ) as emulator:
        assert daemon.server
        assert emulator.url == daemon.server.url
        with openai.OpenAI(base_url=emulator.base_url, api_key="sk-2", max_retries=0) as client:
            with pytest.raises(openai.BadRequestError, match="does not exist"):
                client.images.generate(model="dall-e-3", prompt="A lighthouse")
            assert emulator.variables["OPENAI_BASE_URL"] == emulator.base_url
            assert emulator.variables["OPENAI_API_KEY"] == "sk-1"
    assert daemon.has_ended
    assert daemon.image == "images-emulator"
    assert sorted(daemon.created["Env"]) == [
        "IMAGES_EMULATOR_API_KEY=sk-1,sk-2",
        "IMAGES_EMULATOR_AS_OF=2026-06-01",
        "IMAGES_EMULATOR_DEPLOYMENT=my=gpt-image-2",
        "IMAGES_EMULATOR_PAGE=false",
    ]
    assert daemon.created["ExposedPorts"] == {"8080/tcp": {}}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "key"), [(" , sk-1 ,sk-2", "sk-1"), ("", API_KEY), (" ,", API_KEY)]
)
@pytest.mark.usefixtures("daemon")
def test_variables_have_the_first_key_that_the_server_takes(text: str, key: str) -> None:
    assert ImagesEmulatorContainer(api_key=text)._key == key


@pytest.mark.slow
def test_container_gives_faults_and_calls(daemon: DockerDaemon) -> None:
    with (
        ImagesEmulatorContainer("registry.example/emulator:1", admin_token="secret") as emulator,
        openai.OpenAI(base_url=emulator.base_url, api_key="sk-test", max_retries=1) as client,
    ):
        server = emulator.server
        server.inject("rate_limit_exceeded", retry_after_ms=1, match={"prompt": "lighthouse"})
        client.images.generate(model="gpt-image-2", prompt="A ship")
        client.images.generate(model="gpt-image-2", prompt="A lighthouse")
        assert [call.status for call in emulator.server.calls()] == [200, 429, 200]
        server.reset()
        assert emulator.server.calls() == []
        with pytest.raises(ValueError, match="oops"):
            server.inject("oops")
    assert daemon.image == "registry.example/emulator:1"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"as_off": "today"}, "there is no setting 'as_off'; 'as_of' is probably meant"),
        ({"port": 9000}, "the port in the container is 8080"),
    ],
)
def test_container_refuses_settings_that_it_has_not(
    settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        ImagesEmulatorContainer(**settings)


@pytest.mark.slow
def test_container_has_no_variable_for_a_setting_that_is_none(daemon: DockerDaemon) -> None:
    with ImagesEmulatorContainer(
        admin_token=None, rate_limit=None, api_key="sk-a,sk-b"
    ) as emulator:
        assert emulator.server.calls() == []
        assert emulator.variables["OPENAI_API_KEY"] == "sk-a"


@pytest.mark.slow
def test_example_passes_its_tests(
    daemon: DockerDaemon, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "examples" / "testcontainers-python", pytester.path, dirs_exist_ok=True)
    monkeypatch.setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
    monkeypatch.setenv("TESTCONTAINERS_CONNECTION_MODE", ConnectionMode.docker_host.value)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.runpytest_subprocess().assert_outcomes(passed=2)
