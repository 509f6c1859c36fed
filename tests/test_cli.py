"""The command, run as a process."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from openai import OpenAI

from images_emulator.rendering.render_pool import BUSY_SUBMISSIONS
from reliability.ports import free_port
from tests.pictures import png
from tests.processes import children, is_running
from tests.programs import RunningCommand, run_command, running_command
from tests.redis_server import missing_part
from tests.waiting import until

pytestmark = pytest.mark.slow

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


@contextmanager
def forked(
    *arguments: str, variables: Mapping[str, str] | None = None
) -> Iterator[tuple[RunningCommand, str]]:
    """The same where a process that was forked will do."""
    with running_command("serve", *arguments, variables=variables) as command:
        line = command.stdout.readline()
        assert line.startswith("Listening on http://"), command.stderr.read()
        yield command, line.removeprefix("Listening on ").strip()


@pytest.mark.parametrize(
    "command", [(COMMAND,), (sys.executable, "-m", "images_emulator")], ids=["command", "module"]
)
def test_serve_prints_the_url_it_listens_on(command: tuple[str, ...]) -> None:
    with served("--port", "0", command=command) as (_, url):
        assert httpx2.get(f"{url}/_emulator/health").status_code == 200


ANY = (
    "as_of=any: retired models answer, and a call may leave out its model; "
    "--as-of today answers as the API does now"
)


@pytest.mark.parametrize(
    ("flags", "lines"),
    [
        ((), [ANY]),
        (("--as-of", "today"), ["as_of=today: answers as the API does now"]),
        (("--as-of", "2026-06-01"), ["as_of=2026-06-01: answers as the API did on that day"]),
        (
            ("--validation", "lenient"),
            [ANY, "validation=lenient: forgives mistakes that the API refuses"],
        ),
    ],
)
def test_serve_prints_as_of_and_lenient_validation(
    flags: Sequence[str], lines: Sequence[str]
) -> None:
    with forked("--port", "0", *flags) as (command, url):
        command.send_signal(signal.SIGTERM)
        shell = f"In your shell: export OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY=sk-test"
        page = f"The page is at {url}/_emulator/"
        assert command.stdout.read().splitlines() == [*lines, page, shell]


def test_start_names_no_key_and_no_page_that_is_not_there() -> None:
    with forked("--port", "0", "--no-page", "--api-key", "sk-a") as (command, url):
        command.send_signal(signal.SIGTERM)
        shell = f"In your shell: export OPENAI_BASE_URL={url}/v1 "
        shell += "OPENAI_API_KEY='<one of your api_key>'"
        assert command.stdout.read().splitlines() == [ANY, shell]


@pytest.mark.parametrize(
    ("level", "is_shown"), [("info", True), ("warning", True), ("error", False)]
)
def test_start_tells_of_a_variable_without_effect(level: str, is_shown: bool) -> None:
    variables = {"IMAGES_EMULATOR_STORE_NAME": "ci", "IMAGES_EMULATOR_LOG_LEVEL": level}
    with forked("--port", "0", variables=variables) as (command, _):
        command.send_signal(signal.SIGTERM)
        lines = command.stdout.read().splitlines()
    sentence = "IMAGES_EMULATOR_STORE_NAME has no effect without the setting store"
    assert (sentence in lines) is is_shown


def test_start_as_json_tells_of_variables_without_effect() -> None:
    variables = {"IMAGES_EMULATOR_STORE_NAME": "ci", "IMAGES_EMULATOR_SPEED": "2"}
    with running_command(
        "serve", "--port", "0", "--log-format", "json", variables=variables
    ) as command:
        start = json.loads(command.stdout.readline())
    assert start["warning"] == (
        "IMAGES_EMULATOR_SPEED has no effect without the setting replay; "
        "IMAGES_EMULATOR_STORE_NAME has no effect without the setting store"
    )


def test_start_names_the_settings_file_and_what_it_sets(tmp_path: Path) -> None:
    file = tmp_path / "ci.toml"
    file.write_text("port = 0\nas_of = 'today'\nadmin_token = 'tok-1234'")
    with forked("--config", str(file), "--port", "0") as (command, _):
        command.send_signal(signal.SIGTERM)
        line, *others = command.stdout.read().splitlines()
    assert line == f"config={file}: as_of, admin_token; port is that of --port"
    assert "tok-1234" not in "".join(others)
    with running_command("serve", "--config", str(file), "--log-format", "json") as command:
        assert json.loads(command.stdout.readline())["config"] == str(file)


def test_start_says_what_answers(tmp_path: Path) -> None:
    (tmp_path / "0001-models.json").write_text(
        '{"version": 1, "request": {"method": "GET", "target": "/v1/models"}, '
        '"response": {"status": 200}}'
    )
    photos = tmp_path / "photos"
    (photos / "more").mkdir(parents=True)
    # macOS makes names with ._ where a folder has no room for what it knows of a file.
    for name in ("fox.png", "ship.png", "more/dog.png", "._fox.png", ".draft.png"):
        (photos / name).write_bytes(png())
    (photos / "pictures.toml").write_text("")
    folders = ("--replay", str(tmp_path), "--pictures", str(photos))
    flags = (*folders, "--no-delay", "--on-miss", "refuse", "--as-of", "today")
    with forked("--port", "0", *flags) as (command, _):
        command.send_signal(signal.SIGTERM)
        _, recordings, pictures = command.stdout.read().splitlines()[:3]
        sentence = "1 recording answers, at once; it refuses what none matches"
        assert recordings == f"replay={tmp_path}: {sentence}"
        assert pictures == f"pictures={photos}: 2 pictures, 1 other entry ignored"


@pytest.mark.parametrize("flags", [("-q",), ("--quiet",), ("--log-level", "warning")])
def test_quiet_start_prints_the_url_alone(flags: Sequence[str]) -> None:
    with forked("--port", "0", *flags) as (command, _):
        command.send_signal(signal.SIGTERM)
        assert command.stdout.read() == ""


def test_json_log_begins_with_the_start_and_has_calls_and_notices() -> None:
    with running_command("--port", "0", "--log-format", "json") as command:
        start = json.loads(command.stdout.readline())
        assert (start["event"], start["as_of"]) == ("start", "any")
        assert start["base_url"] == f"{start['url']}/v1"
        body = {"model": "dall-e-2", "prompt": "x"}
        httpx2.post(
            f"{start['base_url']}/images/generations",
            json=body,
            headers={"Authorization": "Bearer x"},
        )
        command.send_signal(signal.SIGTERM)
        lines = [json.loads(line) for line in command.stdout.read().splitlines()]
        by_event = {line["event"]: line for line in lines}
        assert by_event["call"]["status"] == 200
        assert by_event["log"]["message"].startswith("dall-e-2 was shut down on 2026-05-12")
        assert by_event["log"]["id"] == by_event["call"]["id"]
        assert command.stderr.read() == ""


def test_call_is_a_line_on_standard_output() -> None:
    with forked("--port", "0", variables={"NO_COLOR": "1"}) as (command, url):
        httpx2.get(f"{url}/v1/models", headers={"Authorization": "Bearer x"})
        command.send_signal(signal.SIGTERM)
        line = command.stdout.read().splitlines()[-1]
    assert re.fullmatch(r"[\d:]{8} 200 +\d+ ms GET /v1/models", line)


def test_serve_survives_a_closed_stdout() -> None:
    with served("--port", "0") as (process, url):
        assert process.stdout
        process.stdout.close()
        assert httpx2.get(f"{url}/_emulator/health").status_code == 200
        stopped(process, [signal.SIGTERM])


def test_port_flag_sets_the_port() -> None:
    port = free_port()
    with forked("--port", str(port)) as (_, url):
        assert url == f"http://127.0.0.1:{port}"


def test_host_flag_sets_the_interface() -> None:
    with forked("--host", "::1", "--port", "0") as (_, url):
        assert url.startswith("http://[::1]:")
        assert httpx2.get(f"{url}/_emulator/health").status_code == 200


def statuses(url: str, *keys: str) -> list[int]:
    return [
        httpx2.get(f"{url}/v1/models", headers={"Authorization": f"Bearer {key}"}).status_code
        for key in keys
    ]


def test_repeated_api_key_flag_gives_several_keys() -> None:
    with forked("--port", "0", "--api-key", "sk-a", "--api-key", "sk-b") as (_, url):
        assert statuses(url, "sk-a", "sk-b", "sk-c") == [200, 200, 401]


def test_environment_variables_set_what_flags_override() -> None:
    variables = {"IMAGES_EMULATOR_PORT": "0", "IMAGES_EMULATOR_API_KEY": "sk-a, sk-b"}
    with forked(variables=variables) as (_, url):
        assert statuses(url, "sk-a", "sk-b", "sk-c") == [200, 200, 401]
    with forked("--api-key", "sk-c", variables=variables) as (_, url):
        assert statuses(url, "sk-a", "sk-c") == [401, 200]


STOPS = {
    "sigterm": (signal.SIGTERM,),
    "sigterm-twice": (signal.SIGTERM, signal.SIGTERM),
    "ctrl-c": (signal.SIGINT,),
    "ctrl-c-twice": (signal.SIGINT, signal.SIGINT),
}


def stopped(process: subprocess.Popen[str] | RunningCommand, signals: Sequence[int]) -> None:
    """Stop *process* by *signals*. It ends well, and says nothing."""
    for each in signals:
        process.send_signal(each)
    # Its promise is a second; a loaded machine is given more, but less than a fetch takes at most.
    assert process.wait(timeout=8) == 0
    assert process.stderr
    assert process.stderr.read() == ""


def open_call(
    url: str, path: str, body: Mapping[str, Any], fault: str | None = None, *, unsent: int = 0
) -> socket.socket:
    """A connection on which this call was sent, but for the last *unsent* bytes of its body."""
    host, port = url.removeprefix("http://").split(":")
    data = json.dumps(body).encode()
    head = [f"POST /v1/images/{path} HTTP/1.1", f"host: {host}", "authorization: Bearer sk-test"]
    head += ["content-type: application/json", f"content-length: {len(data)}"]
    if fault:
        head.append(f"x-emulator-fault: {fault}")
    connection = socket.create_connection((host, int(port)))
    connection.sendall("\r\n".join([*head, "\r\n"]).encode() + data[: len(data) - unsent])
    return connection


def wait_for_calls(url: str, number: int = 1) -> None:
    """Wait until the server's journal has so many."""
    with httpx2.Client(base_url=url) as http:
        until(lambda: http.get("/_emulator/requests").json()["total"] == number)


def wait_for_refusal(url: str) -> None:
    """Wait until the server accepts no connections."""
    host, port = url.removeprefix("http://").split(":")

    def is_refused() -> bool:
        try:
            socket.create_connection((host, int(port))).close()
        except ConnectionError as error:
            # It is reset where the listener is closed while it waits there.
            return isinstance(error, ConnectionRefusedError)
        return False

    until(is_refused)


def all_of(connection: socket.socket) -> bytes:
    """What comes until the other side closes the connection."""
    with connection.makefile("rb") as file:
        return file.read()


@pytest.mark.parametrize("signals", STOPS.values(), ids=STOPS)
def test_signal_stops_an_idle_server(signals: Sequence[int]) -> None:
    with (
        served("--port", "0") as (process, url),
        OpenAI(base_url=f"{url}/v1", api_key="x") as client,
    ):
        assert client.models.list().data
        stopped(process, signals)


LATE_SIGNAL: Final = """
import signal, sys
from images_emulator.cli import main
from images_emulator.threaded_server import ThreadedServer
from images_emulator.shared_listener import ConnectionCounts

def with_a_signal_after(end):
    def end_and_signal(self):
        end(self)
        signal.raise_signal(signal.Signals[sys.argv[1]])
    return end_and_signal

ThreadedServer._release = with_a_signal_after(ThreadedServer._release)
ConnectionCounts.close = with_a_signal_after(ConnectionCounts.close)
status = main(sys.argv[2:])
# What is not ignored kills a process that takes its handlers away.
assert {signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)} == {signal.SIG_IGN}
sys.exit(status)
"""


@pytest.mark.parametrize("late", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize(
    "flags",
    [
        pytest.param((), id="one process"),
        pytest.param(
            ("--workers", "2"),
            marks=pytest.mark.skipif(bool(missing_part()), reason=missing_part()),
            id="workers",
        ),
    ],
)
def test_second_signal_at_the_end_of_the_stop_has_nothing_left_to_stop(
    late: str, flags: Sequence[str]
) -> None:
    command = (sys.executable, "-c", LATE_SIGNAL, late)
    with served("--port", "0", *flags, command=command) as (process, _):
        stopped(process, (signal.SIGINT,))


@pytest.mark.parametrize("processes", ["0", "2"])
@pytest.mark.parametrize("signals", STOPS.values(), ids=STOPS)
def test_signal_stops_a_rendering_server(signals: Sequence[int], processes: str) -> None:
    calls = [
        {"model": "gpt-image-2", "prompt": f"{number}", "size": "3840x2160", "n": 10}
        for number in range(BUSY_SUBMISSIONS + 8)
    ]
    with (
        served("--port", "0", "--render-processes", processes) as (process, url),
        ExitStack() as stack,
    ):
        first, *_ = [stack.enter_context(open_call(url, "generations", call)) for call in calls]
        wait_for_calls(url, len(calls))
        if processes != "0":
            until(lambda: children(process.pid))
        started = children(process.pid)
        assert bool(started) == (processes != "0")
        stopped(process, signals)
        assert all_of(first) == b""
        until(lambda: not any(map(is_running, started)))


@pytest.mark.parametrize("signals", STOPS.values(), ids=STOPS)
def test_signal_cuts_an_open_stream(signals: Sequence[int]) -> None:
    body = {"model": "gpt-image-2", "prompt": "x", "stream": True, "partial_images": 1}
    with (
        forked("--port", "0") as (process, url),
        open_call(url, "generations", body, "latency;realistic=true") as connection,
    ):
        begun = connection.recv(10_000)
        stopped(process, signals)
        answer = begun + all_of(connection)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert not answer.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("signals", STOPS.values(), ids=STOPS)
def test_signal_closes_the_connection_of_a_delayed_call(signals: Sequence[int]) -> None:
    with (
        forked("--port", "0") as (process, url),
        open_call(url, "generations", {"prompt": "x"}, "latency;seconds=60") as connection,
    ):
        wait_for_calls(url)
        stopped(process, signals)
        assert all_of(connection) == b""


@pytest.mark.parametrize("signals", STOPS.values(), ids=STOPS)
def test_signal_does_not_wait_for_a_hanging_fetch(signals: Sequence[int]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        body = {"prompt": "x", "images": [{"image_url": f"http://{address}/a.png"}]}
        flags = ("--remote-images", "fetch", "--allow-host", address)
        with served("--port", "0", *flags) as (process, url), open_call(url, "edits", body) as edit:
            fetch, _ = silent.accept()
            with fetch:
                stopped(process, signals)
                assert all_of(edit) == b""


def test_shutdown_lets_a_short_call_finish() -> None:
    with (
        forked("--port", "0") as (process, url),
        open_call(url, "generations", {"n": 99}, unsent=1) as connection,
    ):
        wait_for_calls(url)
        process.send_signal(signal.SIGTERM)
        wait_for_refusal(url)
        connection.sendall(b"}")
        stopped(process, [])
        answer = all_of(connection)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"connection: close\r\n" in answer
    assert answer.endswith(b"}")


@pytest.mark.parametrize(
    ("form", "start"),
    [(None, "model  "), ("--markdown", "| model |"), ("--json", '{\n  "dall-e-2": {')],
)
def test_models_command_prints_every_format(form: str | None, start: str) -> None:
    done = run_command("models", *([form] if form else []))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(start)
    assert "gpt-image-2.6-flare" in done.stdout
    assert "frame_duration_ms" in done.stdout


def test_models_command_survives_a_closed_pipe() -> None:
    command = f"{COMMAND} models --json | head -1"
    done = subprocess.run(
        ["bash", "-c", command],  # noqa: S607 - as users have it
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "{\n"
    assert "Traceback" not in done.stderr


def test_port_in_use_is_an_error_of_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run_command("serve", "--port", port)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"images-emulator: 127.0.0.1:{port}: Address already in use; -p 0 takes a free one, and "
        "'images-emulator healthcheck' tells whether an emulator has it\n"
    )


def test_store_that_is_not_there_is_an_error_of_one_line() -> None:
    port = free_port()
    done = run_command("serve", "--store", f"redis://127.0.0.1:{port}", "--port", "0")
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"images-emulator: store: The store redis://127.0.0.1:{port} cannot be used: "
    )
    hint = "; --store is the URL of a Redis that runs, and without it the server has its own memory"
    assert done.stderr.endswith(f"{hint}\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [
        (("serve", "--port", "x"), {}, "argument -p/--port: must be a number, not 'x'"),
        ((), {"IMAGES_EMULATOR_PROT": "1"}, "there is no variable IMAGES_EMULATOR_PROT; "),
        (("serve", "--port", "70000"), {}, "--port must be at most 65535, not 70000"),
        (
            ("serve", "--public-url", "x"),
            {},
            "--public-url: expected an http or https URL, not 'x'",
        ),
        (("serve",), {"IMAGES_EMULATOR_PORT": "x"}, "IMAGES_EMULATOR_PORT must be a number"),
        (("serve", "--colour", "red"), {}, "unrecognized arguments: --colour red"),
        (
            ("serve", "--asof", "today", "--wokers", "2"),
            {},
            "today --wokers 2; --as-of is probably meant; --workers is probably meant\n",
        ),
        (("inject",), {}, "the following arguments are required: FAULT\n"),
        (
            ("serve", "--deployment", "a=gpt-image-9"),
            {},
            "deployment: 'a' is to be 'gpt-image-9', which is no model; ",
        ),
        (
            ("serve", "--scenario", "none"),
            {},
            "none: No such file or directory; 'images-emulator scenario list' lists the ready "
            "scenarios\n",
        ),
        (("serve", "--scenario", "none.toml"), {}, "none.toml: No such file or directory\n"),
        (("serve", "--store-name", "ci"), {}, "--store-name has no effect without --store\n"),
        (
            ("serve", "--store-name", "ci", "--speed", "2"),
            {},
            "--speed has no effect without --replay\n--store-name has no effect without --store\n",
        ),
        (
            ("serve", "--allow-host", "images.test"),
            {"IMAGES_EMULATOR_REMOTE_IMAGES": "refuse"},
            "--allow-host has no effect without --remote-images fetch\n",
        ),
        (
            ("serve", "--remote-images", "fetch"),
            {},
            "--remote-images fetch has no effect without --allow-host\n",
        ),
        (("serve", "-q", "-v"), {}, "-v/--verbose: not allowed with argument -q/--quiet"),
        (("-q", "--log-level", "info"), {}, "--log-level: not allowed with argument -q/--quiet"),
        (
            ("record", "-q", "--log-level", "info", "--to", "x"),
            {},
            "--log-level: not allowed with argument -q/--quiet",
        ),
    ],
)
def test_invalid_settings_are_usage_errors(
    arguments: tuple[str, ...], variables: dict[str, str], words: str
) -> None:
    done = run_command(*arguments, variables=variables)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_image_bytes_do_not_depend_on_the_process() -> None:
    drawn = []
    for seed in ("1", "2"):
        with (
            served("--port", "0", variables={"PYTHONHASHSEED": seed}) as (_, url),
            OpenAI(base_url=f"{url}/v1", api_key="x") as client,
        ):
            response = client.images.generate(model="gpt-image-2", prompt="a lighthouse", n=2)
            drawn.append([item.b64_json for item in response.data or []])
    assert drawn[0] == drawn[1]
