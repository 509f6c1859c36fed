"""`images-emulator record`: the folder that it fills, what it shows, and its end."""

from __future__ import annotations

import base64
import json
import os
import random
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from openai import APIError, OpenAI

from images_emulator import Server, cli
from images_emulator.cli.recording_log import line_of_recording
from images_emulator.recordings.folder import mistakes_in, read_folder, recording_paths
from images_emulator.recordings.recording import (
    RecordedPart,
    RecordedRequest,
    RecordedResponse,
    Recording,
)
from images_emulator.web.forwarding.record_proxy import RecordingResult
from tests.documents import BLOCKS
from tests.pictures import half_clear, png
from tests.programs import RunningCommand, running_command
from tests.raw_upstream import answering, raw_upstream
from tests.test_cli import COMMAND
from tests.waiting import until

KEY = "sk-proj-Zq3_x-9aBcDeFgHiJkLmNoPqRsTuVwXyZ"
AZURE_KEY = "Ab3/dE+5gH7==iJkL9/nOpQ+sTu="
GENERATIONS = "/v1/images/generations"
FOX = {"model": "gpt-image-2", "prompt": "a red fox", "quality": "low"}


@contextmanager
def recording(upstream: str, folder: Path, *flags: str) -> Iterator[tuple[RunningCommand, str]]:
    """The command while it records into *folder*, and the URL of its proxy."""
    arguments = ("--upstream", upstream, "--to", str(folder), "--port", "0", *flags)
    with running_command("record", *arguments) as command:
        line = command.stdout.readline()
        found = re.search(r"Listening on (http://[^\s,]+), recording", line)
        assert found, line + command.stderr.read()
        yield command, found[1]


def stop(command: RunningCommand) -> str:
    """End the command as Ctrl-C does; what it has shown since."""
    command.send_signal(signal.SIGINT)
    shown = command.stdout.read()
    assert command.wait(30) == 0
    assert not command.stderr.read()
    return shown


@pytest.mark.slow
def test_calls_to_all_endpoints_are_files_and_lines(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "recordings"
    picture = ("a.png", png((64, 64)), "image/png")
    mask = ("m.png", half_clear((64, 64)), "image/png")
    with recording(server.base_url, folder) as (command, url):
        with OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
            images = client.images
            images.generate(**FOX, n=3)  # type: ignore[call-overload]
            images.edit(model="gpt-image-2", prompt="a hat", image=picture, mask=mask)
            images.generate(model="dall-e-2", prompt="by URL", size="256x256")
            for fault in ("stream_error", "truncated", "rate_limit_exceeded", None):
                if fault:
                    server.inject(fault)
                try:
                    stream = images.generate(**FOX, stream=True, partial_images=1)  # type: ignore[call-overload]
                    assert len([*stream]) == 2
                except (APIError, httpx2.HTTPError):
                    assert fault
            client.files.create(file=picture, purpose="vision")
            client.models.list()
        shown = stop(command).splitlines()
    files = [path.name for path in recording_paths(folder)]
    assert files == [
        "0001-generations-a-red-fox.json",
        "0002-edits-a-hat.json",
        "0003-generations-by-url.json",
        "0004-generations-a-red-fox.json",
        "0005-generations-a-red-fox.json",
        "0006-generations-429-a-red-fox.json",
        "0007-generations-a-red-fox.json",
        "0008-files.json",
        "0009-models.json",
    ]
    assert shown[0] == f"In your shell: export OPENAI_BASE_URL={url}/v1"
    ends = [
        " gpt-image-2 3 pictures 97.7 kB",
        " gpt-image-2 23.4 kB",
        " dall-e-2 256x256 by URL",
        " gpt-image-2",
        " gpt-image-2",
        " gpt-image-2",
        " gpt-image-2 97.7 kB in 2 events",
        "",
        "",
    ]
    texts = {
        4: "the stream failed  Image gen",
        5: "the connection was cut",
        6: "Rate limit reached",
    }
    for number, (line, file, end) in enumerate(zip(shown[1:], files, ends, strict=True), start=1):
        found = re.fullmatch(
            r"\d\d:\d\d:\d\d (\d+) +\d+ ms (?:POST|GET) /v1/\S+(.*?)  → (\S+)(?:  (.*))?", line
        )
        assert found, line
        assert found[1] == ("429" if number == 6 else "200")
        assert re.sub(r"[\d.]+ kB", "kB", found[2]) == re.sub(r"[\d.]+ kB", "kB", end)
        assert found[3] == str(folder / file)
        assert (found[4] or "").startswith(texts.get(number, ""))
        assert bool(found[4]) == (number in texts)
    recordings = read_folder(folder)
    assert [mistakes_in(path) for path in recording_paths(folder)] == [[]] * len(files)
    ended = [each.response and each.response.end for each in recordings]
    assert ended == ["complete"] * 4 + ["cut"] + ["complete"] * 4
    assert len(recordings[2].downloads) == 1
    pictures = {path.read_bytes() for path in (folder / "files").iterdir()}
    assert {picture[1], mask[1], recordings[2].downloads[0].data} < pictures
    assert len(pictures) == len(os.listdir(folder / "files")), "each picture is there once"
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def forms(secret: str) -> Iterator[bytes]:
    """*secret* as it is, escaped for a URL and for JSON, and in base64 at each alignment."""
    data = secret.encode()
    yield from (data, quote(secret, safe="").encode(), quote(secret).encode())
    yield from (secret.replace("/", "\\/").encode(), json.dumps(secret)[1:-1].encode())
    for shift in range(3):
        inner = base64.b64encode(b"x" * shift + data + b"yy")[4 : len(data) * 4 // 3 - 2]
        yield from (inner, inner.replace(b"/", b"\\/"), quote(inner, safe="").encode())
        yield inner.translate(bytes.maketrans(b"+/", b"-_"))


def echo(connection: socket.socket, request: bytes) -> None:
    """Answer with all of the request, as it is and in base64, in headers and body, and by URL."""
    host = re.search(rb"Host: (\S+)", request)
    assert host
    body = json.dumps(
        {
            "error": {"message": f"Incorrect API key provided: {KEY}"},
            "echo": request.decode("latin-1"),
            "data": [
                {"b64_json": base64.b64encode(b"x" * shift + request).decode()}
                for shift in range(3)
            ]
            + [{"url": f"http://{host[1].decode()}/{KEY}.png?sig={KEY}"}],
        }
    ).encode()
    head = (
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
        f"set-cookie: session={AZURE_KEY}; path=/\r\nx-echo: {KEY} {AZURE_KEY}\r\n"
        f"openai-organization: org-{KEY[8:32]}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body)


@pytest.mark.slow
def test_no_key_is_anywhere_in_the_folder_or_on_the_terminal(tmp_path: Path) -> None:
    both = f"{KEY} {AZURE_KEY}"
    inner = base64.b64encode(both.encode()).decode()
    headers = {
        "Authorization": f"Bearer {KEY}",
        "api-key": AZURE_KEY,
        "Cookie": f"a={AZURE_KEY}; b={KEY}",
        "X-Other": both,
    }
    file = (f"{KEY}.png", png() + both.encode(), "image/png")
    calls: list[dict[str, Any]] = [
        {"json": FOX | {"prompt": f"{both} fox", "user": inner}},
        {"json": {"images": [{"image_url": f"data:image/png;base64,{inner}"}], "api_key": KEY}},
        {"data": {"prompt": both}, "files": {"image": file}},
        {"data": {"prompt": both, KEY: AZURE_KEY}},
        {"content": both.encode(), "headers": {"Content-Type": "text/plain"}},
        {"params": {"api-key": KEY, "q": both, "b": inner}},
    ]
    with (
        raw_upstream(echo) as upstream,
        recording(upstream, tmp_path, "--api-key", f"{KEY}-2", "--log-level", "debug") as (
            command,
            url,
        ),
    ):
        for call in calls:
            all_headers = headers | call.pop("headers", {})
            answer = httpx2.post(f"{url}{GENERATIONS}", headers=all_headers, **call)
            assert f"{KEY}-2" in answer.text, "the client gets what the upstream sends"
        shown = stop(command)
    written = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert len(recording_paths(tmp_path)) == len(calls)
    names = "\n".join(map(str, written)).encode()
    for secret in (KEY, AZURE_KEY, KEY[8:32]):
        for form in forms(secret):
            assert not [path for path, data in written.items() if form in data], form
            assert form not in shown.encode() + names
    assert all(len(each.downloads) == 1 for each in read_folder(tmp_path))


def test_a_recording_has_the_very_bytes_that_the_client_got(server: Server, tmp_path: Path) -> None:
    with recording(server.base_url, tmp_path) as (command, url):
        headers = {"Authorization": f"Bearer {KEY}"}
        requests = [FOX, FOX | {"stream": True, "partial_images": 2}, FOX | {"size": "1x1"}]
        bodies = [
            httpx2.post(url + GENERATIONS, json=each, headers=headers).content for each in requests
        ]
        stop(command)
    recordings = read_folder(tmp_path)
    assert [each.response and each.response.body for each in recordings] == bodies
    assert [json.loads(each.request.body) for each in recordings] == requests


@pytest.mark.slow
def test_ctrl_c_writes_an_exchange_in_flight_as_cut(tmp_path: Path) -> None:
    release = threading.Event()

    def answer(connection: socket.socket, _: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        connection.sendall(head + b"event: a\ndata: 1\n\ndata")
        release.wait(30)

    with raw_upstream(answer) as upstream, recording(upstream, tmp_path) as (command, url):
        with httpx2.stream("POST", url + GENERATIONS, json=FOX) as response:
            chunks = response.iter_raw()
            assert next(chunks).startswith(b"event: a")
            shown = stop(command)
        release.set()
    (recorded,) = read_folder(tmp_path)
    assert recorded.response
    assert recorded.response.end == "cut"
    assert [part.data for part in recorded.response.parts] == [b"event: a\ndata: 1\n\n", b"data"]
    assert shown.endswith(
        " gpt-image-2  → " + str(recording_paths(tmp_path)[0]) + "  the connection was cut\n"
    )


@pytest.mark.slow
def test_calls_at_the_same_time_have_a_file_each(server: Server, tmp_path: Path) -> None:
    with recording(server.base_url, tmp_path) as (command, url):

        def call(number: int) -> None:
            body = FOX | {"prompt": f"fox {number}"}
            assert httpx2.post(url + GENERATIONS, json=body, headers={"Authorization": "Bearer x"})

        threads = [threading.Thread(target=call, args=(number,)) for number in range(12)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        stop(command)
    prompts = {json.loads(each.request.body)["prompt"] for each in read_folder(tmp_path)}
    assert prompts == {f"fox {number}" for number in range(12)}
    assert [path.name[:4] for path in recording_paths(tmp_path)] == [
        f"{number:04}" for number in range(1, 13)
    ]


@pytest.mark.parametrize(
    ("command", "arguments", "variable"),
    [
        ("record", ("--to", "{}"), "IMAGES_EMULATOR_UPSTREAM_API_KEY"),
        ("serve", ("--replay", "{}", "--on-miss", "record", "--quiet"), "OPENAI_API_KEY"),
    ],
)
def test_the_upstream_and_its_key_may_be_in_variables(
    command: str, arguments: tuple[str, ...], variable: str, tmp_path: Path
) -> None:
    with (
        raw_upstream(echo) as upstream,
        running_command(
            command,
            *(each.format(tmp_path) for each in (*arguments, "--port", "0")),
            variables={"IMAGES_EMULATOR_UPSTREAM": upstream, variable: "key-of-a-variable"},
        ) as process,
    ):
        url = process.stdout.readline().split()[2].rstrip(",")
        answer = httpx2.get(f"{url}/v1/models", headers={"authorization": "Bearer a"})
        assert "Bearer key-of-a-variable" in answer.json()["echo"]
        stop(process)
    assert "key-of-a-variable" not in recording_paths(tmp_path)[0].read_text()


@pytest.mark.slow
def test_a_folder_is_gone_on_with_and_a_quiet_log_has_no_calls(tmp_path: Path) -> None:
    with raw_upstream(answering(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")) as upstream:
        for number in (1, 2):
            with recording(upstream, tmp_path, "--quiet") as (command, url):
                httpx2.get(f"{url}/v1/models")
                until(lambda: len(recording_paths(tmp_path)) == number)  # noqa: B023
                assert stop(command) == ""
    assert [path.name for path in recording_paths(tmp_path)] == [
        *("0001-models-500.json", "0002-models-500.json")
    ]


def test_json_log_has_the_start_and_the_file_of_each_call(tmp_path: Path) -> None:
    body = b'{"error": {"message": "no", "code": "x"}}'
    data = b"HTTP/1.1 400 Bad Request\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    with raw_upstream(answering(data)) as upstream:
        flags = ("--upstream", upstream, "--to", str(tmp_path), "-p", "0", "--log-format", "json")
        with running_command("record", *flags) as command:
            start = json.loads(command.stdout.readline())
            httpx2.post(f"{start['base_url']}/images/edits", json=FOX)
            call = json.loads(stop(command))
    assert (start["event"], start["upstream"], start["folder"]) == (
        "start",
        upstream,
        str(tmp_path),
    )
    assert (call["event"], call["outcome"], call["model"]) == ("call", "refused", "gpt-image-2")
    assert call["error"] == {"message": "no", "code": "x"}
    assert call["file"] == str(recording_paths(tmp_path)[0])


def test_an_event_that_was_cut_is_not_counted() -> None:
    parts = (RecordedPart(0.1, b"data: 1\n\n"), RecordedPart(0.2, b"data: 2\r\n\r\n"))
    headers = (("Content-Type", "text/event-stream"),)
    response = RecordedResponse(200, headers, (*parts, RecordedPart(0.3, b"data: 3")), "cut")
    recorded = Recording(RecordedRequest("POST", GENERATIONS), response)
    line = line_of_recording(RecordingResult(recorded, 200, 1.0, None))
    assert (line.events, line.outcome) == (2, "cut")


def test_a_recording_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with (
        raw_upstream(answering(b"HTTP/1.1 204 No Content\r\n\r\n")) as upstream,
        recording(upstream, folder) as (command, url),
    ):
        folder.rmdir()
        folder.write_text("no folder")
        assert httpx2.get(f"{url}/v1/models").status_code == 204
        shown = stop(command)
    assert re.search(r"204 +\d+ ms GET /v1/models  not recorded: .*folder", shown), shown


@contextmanager
def short_files(command: RunningCommand, most: int) -> Iterator[None]:
    """The command may write no file of more than *most* bytes meanwhile, as on a full disk."""
    unlimited = resource.prlimit(command.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
    yield
    resource.prlimit(command.pid, resource.RLIMIT_FSIZE, unlimited)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process")
@pytest.mark.parametrize("kind", ["record", "serve"])
def test_recording_for_which_there_is_no_space_is_told_of_and_leaves_no_part(
    server: Server, tmp_path: Path, kind: str
) -> None:
    flags = ("--upstream", server.base_url, "--port", "0")
    into = ("--to",) if kind == "record" else ("--on-miss", "record", "--replay")
    with running_command(kind, *flags, *into, str(tmp_path)) as command:
        found = re.search(r"http://[\d.:]+", command.stdout.readline())
        assert found
        with OpenAI(base_url=f"{found[0]}/v1", api_key=KEY, max_retries=0) as client:

            def call() -> None:
                data = client.images.generate(
                    model="gpt-image-2", prompt="a fox", quality="low"
                ).data
                assert data
                assert base64.b64decode(data[0].b64_json or "").startswith(b"\x89PNG")

            with short_files(command, 8000):
                call()
                until(lambda: "recorded: [Errno 27] File too large" in output(command, kind))
            assert not [*recording_paths(tmp_path)]
            assert not [path for path in tmp_path.rglob(".*") if path.is_file()]
            call()
            until(lambda: len([*recording_paths(tmp_path)]) == 1)
    assert len(read_folder(tmp_path)) == 1


def output(command: RunningCommand, kind: str) -> str:
    """The next line of the command: the recorder's log, or the server's notices."""
    return (command.stdout if kind == "record" else command.stderr).readline()


@pytest.mark.parametrize(
    ("flags", "status", "sentence"),
    [
        (["--to", "x"], 2, "an upstream is missing: --upstream"),
        (["--upstream", "http://x"], 2, "the following arguments are required: --to"),
        (["--upstream", "x", "--to", "{folder}"], 2, "expected the URL of an API, such as"),
        (["--upstream", "http://x", "--to", "{folder}", "--timeout", "0"], 2, "above 0, not '0'"),
        (["--upstream", "http://x", "--to", "{folder}", "--timeout", "inf"], 2, "above 0, not 'in"),
        (
            ["--upstream", "http://x", "--to", "{folder}", "--port", "70000"],
            2,
            "must be at most 65535",
        ),
        (["--upstream", "http://x", "--to", "{folder}/file"], 1, "file: File exists"),
        (["--upstream", "http://x", "--to", "{folder}/file/y"], 1, "file/y: Not a directory"),
        (["--upstream", "http://x", "--to", "/proc"], 1, "/proc: "),
        (
            ["--upstream", "http://x", "--to", "{folder}", "--port", "{taken}"],
            1,
            "-p 0 takes a fre",
        ),
    ],
)
def test_what_cannot_be_is_one_sentence(  # noqa: PLR0917 - three of them are values
    flags: list[str],
    status: int,
    sentence: str,
    tmp_path: Path,
    server: Server,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").write_text("")
    filled = [flag.format(folder=tmp_path, taken=server.port) for flag in flags]
    try:
        code: Any = cli.main(["record", *filled])
    except SystemExit as error:
        code = error.code
    shown = capsys.readouterr().err
    assert (code, sentence in shown) == (status, True), shown
    assert len(shown.splitlines()) <= 2
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("key", ["sk-secret\n", "sk-secret two", "sk-sécret"])
@pytest.mark.parametrize("command", ["record", "drift", "serve"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(
    command: str,
    key: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flags = {
        "record": ["--to", str(tmp_path)],
        "drift": [str(tmp_path)],
        "serve": ["--replay", str(tmp_path), "--on-miss", "record"],
    }
    arguments = [command, *flags[command], "--upstream", "http://127.0.0.1:1"]
    for variable in ("OPENAI_API_KEY", "IMAGES_EMULATOR_UPSTREAM_API_KEY"):
        with monkeypatch.context() as patch:
            patch.setenv(variable, key)
            with pytest.raises(SystemExit) as error:
                cli.main(arguments)
        assert error.value.code == 2
        shown = capsys.readouterr().err
        assert "expected visible ASCII characters, without blanks and line ends" in shown
        assert "cret" not in shown


def test_a_missing_extra_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "httpx2", None)
    with pytest.raises(SystemExit):
        cli.main(["record", "--upstream", "http://x", "--to", str(tmp_path)])
    assert "pip install 'openai-images-emulator[record]'" in capsys.readouterr().err


def test_the_guide_shows_what_the_command_prints(server: Server, tmp_path: Path) -> None:
    page = "docs/guides/record-and-replay.md"
    (line,) = [
        line
        for block in BLOCKS
        if (block.page, block.language) == (page, "sh")
        for line in block.text.splitlines()
        if line.startswith("images-emulator record")
    ]
    (shown,) = [each.text for each in BLOCKS if (each.page, each.title) == (page, "terminal")]
    upstream, folder = line.split()[3], line.split()[5]
    with recording(server.base_url, tmp_path / folder) as (command, url):
        start = f"Listening on {url}, recording {server.base_url} to {tmp_path / folder}\n"
        code = next(each for each in BLOCKS if (each.page, each.language) == (page, "python"))
        names: dict[str, Any] = {}
        exec(compile(code.text.replace("http://127.0.0.1:8080", url), page, "exec"), names)  # noqa: S102 - the docs' code
        names["client"].close()
        with httpx2.Client(headers={"Authorization": "Bearer x"}) as http:
            http.post(url + GENERATIONS, json=FOX | {"size": "1x1"})
        printed = start + stop(command)

    def plain(text: str) -> list[str]:
        """Lines without what differs each time: times, addresses, sizes of pictures."""
        for address, name in ((upstream, "UPSTREAM"), (server.base_url, "UPSTREAM"), (url, "URL")):
            text = text.replace(address, name)
        text = text.replace(str(tmp_path) + "/", "").replace("http://127.0.0.1:8080", "URL")
        text = re.sub(r"\d\d:\d\d:\d\d", "TIME", text)
        text = re.sub(r" +[\d.]+ m?s ", " SPENT ", text)
        return re.sub(r"[\d.]+ [kM]?B", "SIZE", text).splitlines()

    assert plain(printed) == plain(shown)


LARGE = 40 * 10**6


def memory_of(process: subprocess.Popen[str], field: str) -> int:
    """Bytes of memory that *process* has (`VmRSS`) or had at most (`VmHWM`), from Linux."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    found = re.search(rf"{field}:\s+(\d+) kB", status)
    assert found
    return 1024 * int(found[1])


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_long_bodies_pass_in_bounded_memory(tmp_path: Path) -> None:
    source = random.Random(0)
    held = base64.b64encode(source.randbytes(LARGE * 3 // 4))
    start_of_answer = b'{"created": 1, "data": [{"b64_json": "'
    body = b"--b\r\n" + (b'Content-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n')
    body += source.randbytes(LARGE) + b"\r\n--b--\r\n"
    growths: list[int] = []
    received, measured = threading.Event(), threading.Event()

    def answer(connection: socket.socket, request: bytes) -> None:
        """Answer each of two calls when it has gone one way but for the last byte."""
        is_upload = len(request) > LARGE
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
        if not is_upload:
            connection.sendall(head + start_of_answer + held)
        received.set()
        measured.wait(60)
        connection.sendall(head + b"{}" if is_upload else b'"}]}')

    def measure() -> None:
        received.wait(60)
        growths.append(memory_of(process, "VmRSS") - start)
        received.clear()
        measured.set()

    with raw_upstream(answer) as upstream:
        flags = ["record", "--upstream", upstream, "--to", str(tmp_path), "-p", "0"]
        with subprocess.Popen([COMMAND, *flags], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            url = process.stdout.readline().split()[2].rstrip(",")
            process.stdout.readline()
            start = memory_of(process, "VmRSS")
            watcher = threading.Thread(target=measure)
            watcher.start()
            headers = {"Content-Type": "multipart/form-data; boundary=b", "api-key": KEY}
            httpx2.post(f"{url}/v1/images/edits", content=body, headers=headers, timeout=60)
            assert "edits" in process.stdout.readline()
            watcher.join()
            measured.clear()
            with httpx2.stream("GET", f"{url}/v1/images", headers={"api-key": KEY}) as response:
                count = 0
                for chunk in response.iter_raw():
                    count += len(chunk)
                    if count == len(start_of_answer) + len(held):
                        measure()
            assert "images" in process.stdout.readline()
            most = memory_of(process, "VmHWM") - start
            process.terminate()
    assert len(growths) == 2
    assert max(growths) < 20 * 10**6, growths
    assert most < 4 * LARGE, most
    edit, images = read_folder(tmp_path)
    assert images.response
    # Without a comparison of 40 MB in the message, which takes longer than a test may.
    response_is_whole = images.response.body == start_of_answer + held + b'"}]}'
    assert (edit.request.body == body, response_is_whole) == (True, True)
