"""The command, run as a process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from openai import OpenAI

COMMAND = str(Path(sys.executable).parent / "images-emulator")


@contextmanager
def served(
    *arguments: str, command: Sequence[str] = (COMMAND,), variables: Mapping[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server process and its URL, as its first line tells it."""
    process = subprocess.Popen(
        [*command, "serve", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(variables or {})},
    )
    try:
        assert process.stdout
        line = process.stdout.readline()
        assert line.startswith("Listening on http://"), process.stderr and process.stderr.read()
        yield process, line.removeprefix("Listening on ").strip()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    "command", [(COMMAND,), (sys.executable, "-m", "emulator")], ids=["command", "module"]
)
def test_the_first_line_says_where_connections_are_accepted(command: tuple[str, ...]) -> None:
    with served("--port", "0", command=command) as (_, url):
        assert httpx2.get(f"{url}/_emulator/health").status_code == 200


def test_the_port_is_the_one_that_is_asked_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with served("--port", str(port)) as (_, url):
        assert url == f"http://127.0.0.1:{port}"


def test_another_interface_can_be_listened_on() -> None:
    with served("--host", "::1", "--port", "0") as (_, url):
        assert url.startswith("http://[::1]:")
        assert httpx2.get(f"{url}/_emulator/health").status_code == 200


def statuses(url: str, *keys: str) -> list[int]:
    return [
        httpx2.get(f"{url}/v1/models", headers={"Authorization": f"Bearer {key}"}).status_code
        for key in keys
    ]


def test_a_repeated_flag_gives_several_keys() -> None:
    with served("--port", "0", "--api-key", "sk-a", "--api-key", "sk-b") as (_, url):
        assert statuses(url, "sk-a", "sk-b", "sk-c") == [200, 200, 401]


def test_a_variable_stands_for_each_flag_and_a_flag_goes_before_it() -> None:
    variables = {"IMAGES_EMULATOR_PORT": "0", "IMAGES_EMULATOR_API_KEY": "sk-a, sk-b"}
    with served(variables=variables) as (_, url):
        assert statuses(url, "sk-a", "sk-b", "sk-c") == [200, 200, 401]
    with served("--api-key", "sk-c", variables=variables) as (_, url):
        assert statuses(url, "sk-a", "sk-c") == [401, 200]


@pytest.mark.parametrize("processes", ["0", "2"])
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "with an open stream"])
def test_sigterm_stops_it_at_once(busy: bool, processes: str) -> None:
    with (
        served("--port", "0", "--render-processes", processes) as (process, url),
        OpenAI(base_url=f"{url}/v1", api_key="x") as client,
    ):
        assert client.models.list().data
        if busy:
            stream = client.images.generate(
                model="gpt-image-2", prompt="x", size="3840x2160", stream=True, partial_images=3
            )
            next(iter(stream))
        process.send_signal(signal.SIGTERM)
        # Its promise is a second; a loaded machine is given more.
        process.wait(timeout=10)
        assert process.stderr
        assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize(
    ("form", "start"),
    [(None, "model  "), ("--markdown", "| model |"), ("--json", '{\n  "dall-e-2": {')],
)
def test_the_models_are_printed(form: str | None, start: str) -> None:
    arguments = [COMMAND, "models", *([form] if form else [])]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(start)
    assert "gpt-image-2.6-flare" in done.stdout
    assert "frame_duration_ms" in done.stdout


def test_a_reader_may_leave_early() -> None:
    command = f"{COMMAND} models --json | head -1"
    done = subprocess.run(
        ["bash", "-c", command],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "{\n"
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [COMMAND, "serve", "--port", port], capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"images-emulator: 127.0.0.1:{port}: Address already in use\n"


@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [
        ((), {}, "COMMAND"),
        (("serve", "--port", "x"), {}, "invalid int value: 'x'"),
        (("serve", "--port", "70000"), {}, "port must be between 0 and 65535, not 70000"),
        (("serve", "--public-url", "x"), {}, "public_url must be an http or https URL, not x"),
        (("serve",), {"IMAGES_EMULATOR_PORT": "x"}, "IMAGES_EMULATOR_PORT must be a number"),
        (("serve", "--colour", "red"), {}, "unrecognized arguments: --colour red"),
    ],
)
def test_a_wrong_setting_is_said_and_nothing_starts(
    arguments: tuple[str, ...], variables: dict[str, str], words: str
) -> None:
    done = subprocess.run(
        [COMMAND, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **variables},
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_the_same_request_draws_the_same_bytes_in_any_process() -> None:
    drawn = []
    for seed in ("1", "2"):
        with (
            served("--port", "0", variables={"PYTHONHASHSEED": seed}) as (_, url),
            OpenAI(base_url=f"{url}/v1", api_key="x") as client,
        ):
            response = client.images.generate(model="gpt-image-2", prompt="a lighthouse", n=2)
            drawn.append([item.b64_json for item in response.data or []])
    assert drawn[0] == drawn[1]
