"""The image of the Dockerfile: what is in it, and how it runs without privileges."""

from __future__ import annotations

import json

import httpx2
import pytest

from images_emulator import scenarios
from reliability.ports import free_port
from tests.container_tools import Image, image

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MAX_ADDED_KIB = 130_000_000 // 1024
"""Size of the files that the image adds to its base."""


@pytest.fixture(scope="module")
def built() -> Image:
    """The image. Skips the tests where the machine can build or run none."""
    result = image("images-emulator-test")
    if isinstance(result, str):
        pytest.skip(result)
    return result


@pytest.fixture
def port() -> str:
    """A free port."""
    return str(free_port())


def test_image_runs_without_privileges_and_listens_on_the_given_port(
    built: Image, port: str
) -> None:
    with built.run("--scenario", "outage", variables={"PORT": port}) as container:
        lines = [container.stdout.readline() for _ in range(5)]
        assert lines[0] == f"Listening on http://0.0.0.0:{port}\n", lines
        url = f"http://127.0.0.1:{port}"
        assert container.execute("id", "-u").stdout == "10001\n"
        assert container.execute("touch", "/srv/file").returncode == 1
        # The first process has no more rights than its user.
        assert container.execute("cat", "/proc/1/cmdline").stdout.endswith(
            "images-emulator\0--scenario\0outage\0"
        )
        with httpx2.Client(base_url=url, headers={"authorization": "Bearer sk-test"}) as http:
            call = {"model": "gpt-image-2", "prompt": "A lighthouse"}
            assert http.post("/v1/images/generations", json=call).status_code in (500, 503)
            http.put("/_emulator/scenario", json={"steps": []})
            assert http.post("/v1/images/generations", json=call).status_code == 200
        # Lines come while the server runs.
        assert " 50" in container.stdout.readline()
        assert " 200 " in container.stdout.readline()
        assert container.stop() == 0


def test_health_check_of_the_image_asks_the_port_of_the_command(built: Image, port: str) -> None:
    kind, *check = built.config["Healthcheck"]["Test"]
    assert kind == "CMD"
    with built.run("serve", "--port", port, variables={}) as container:
        assert container.stdout.readline() == f"Listening on http://0.0.0.0:{port}\n"
        done = container.execute(*check)
        assert (done.returncode, done.stdout) == (0, f"http://127.0.0.1:{port} answers\n")
        elsewhere = container.execute(*check, "--port", "1")
        assert (elsewhere.returncode, elsewhere.stdout) == (1, "")


def test_image_refuses_a_setting_with_a_sentence(built: Image) -> None:
    with built.run("--as-of", "once", variables={}) as container:
        text = container.stdout.read()
        assert container.process.wait(30) == 2
    assert text.startswith("images-emulator serve: ")
    assert "Traceback" not in text


def test_image_has_what_the_command_needs_and_no_more(built: Image) -> None:
    absent = "for each in pip pip3 cc gcc make git; do command -v $each; done; echo done"
    assert built.printed("sh", "-c", absent) == "done\n"
    for python in ("python3", "/opt/emulator/bin/python"):
        assert "No module named pip" in built.printed(python, "-m", "pip")
    for library in ("httpx2", "opentelemetry.sdk", "prometheus_client", "redis", "yaml"):
        assert built.printed("/opt/emulator/bin/python", "-c", f"import {library}") == ""
    # Compiled once, as no container can write what it compiles.
    missing = (
        "find /opt/emulator -name '*.py' -path '*/images_emulator/*' "
        "| while read f; do ls ${f%/*}/__pycache__/$(basename $f .py).cpython-*.pyc; done 2>&1 "
        "| grep -c 'No such' || true"
    )
    assert built.printed("sh", "-c", missing) == "0\n"
    shown = json.loads(built.printed("images-emulator", "models", "--json"))
    assert shown
    listed = built.printed("images-emulator", "scenario", "list")
    assert all(name in listed for name in scenarios.ready_scenarios())


def test_image_adds_less_than_130_megabytes_to_its_base(built: Image) -> None:
    size, _ = built.printed("du", "-sk", "/opt/emulator").split()
    assert int(size) < MAX_ADDED_KIB


def test_image_says_what_it_is(built: Image) -> None:
    labels = built.config["Labels"]
    names = ("title", "description", "licenses", "base.name")
    assert all(labels[f"org.opencontainers.image.{name}"] for name in names)
    assert built.config["User"] == "10001:10001"
    assert built.config["StopSignal"] == "SIGTERM"
    assert "8080/tcp" in built.config["ExposedPorts"]
