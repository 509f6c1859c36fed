"""The terminal's lines: one a call, in colours or plain, as JSON, and without harm from clients."""

from __future__ import annotations

import json
import logging
import os
import re
import struct
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from select import select
from threading import Event, Semaphore, Thread
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI

from images_emulator import Server
from images_emulator.cli.call_line import DURATION_COLUMNS, duration_text
from images_emulator.cli.call_log import CallLog
from images_emulator.cli.line_writer import MAX_WAITING_ITEMS, LineWriter
from images_emulator.cli.start_text import start_text
from images_emulator.cli.terminal import Part, has_colours, printable, render, width_of
from images_emulator.exchange.exchange import Exchange
from images_emulator.recordings.folder import RecordingFolder
from images_emulator.settings import LogSettings, Settings
from images_emulator.state.hosting import DOWNLOAD_PREFIX
from tests.conftest import KEY
from tests.documents import BLOCKS
from tests.pictures import png
from tests.waiting import until
from tests.wire import exchange

TIME = r"\d\d:\d\d:\d\d"
SECRET = "sk-secret-1234567890abcdef"
"""An API key that the journal redacts."""


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


@contextmanager
def logged(server: Server, fd: int, **settings: str) -> Iterator[CallLog]:
    """A log of the server's calls to the file descriptor *fd*, which is closed in the end."""
    log = CallLog(LogSettings(**settings), server.emulator.journal, fd, fd)
    log.observe(server.emulator.journal)
    try:
        yield log
    finally:
        log.close()
        os.close(fd)


class LateObserver:
    """Observes calls after the log: a client may see the end of a call before the log does."""

    def __init__(self) -> None:
        self._completed = Semaphore(0)

    def on_arrival(self, exchange: Exchange) -> None:
        pass

    def on_event(self, exchange: Exchange, index: int) -> None:
        pass

    def on_clear(self) -> None:
        pass

    def on_completion(self, exchange: Exchange) -> None:
        self._completed.release()

    def wait_for(self, calls: int) -> None:
        for _ in range(calls):
            assert self._completed.acquire(timeout=30)


def lines_of(server: Server, act: Callable[[], object], **settings: str) -> list[str]:
    """What is logged to a pipe while *act* makes its calls."""
    reader, writer = os.pipe()
    observer = LateObserver()
    with logged(server, writer, **settings):
        observers = server.emulator.journal.observers
        server.emulator.journal.observers = (*observers, observer)
        act()
        observer.wait_for(len(server.emulator.journal))
        server.emulator.journal.observers = observers
    with open(reader, encoding="utf-8") as pipe:
        return pipe.read().splitlines()


def terminal_text(server: Server, act: Callable[[], object], columns: int) -> str:
    """What is logged to a terminal of that width while *act* makes its calls."""
    import fcntl  # noqa: PLC0415 - not on Windows
    import termios  # noqa: PLC0415 - the same

    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with logged(server, slave):
        act()
    text = b""
    try:
        while chunk := os.read(master, 4096):
            text += chunk
    except OSError:  # the other end is closed
        pass
    os.close(master)
    return text.decode()


def draw(client: OpenAI, **fields: Any) -> None:
    """Make one call, and read all of a stream; its error is none of the test's."""
    headers = {"x-emulator-fault": fields.pop("fault")} if "fault" in fields else {}
    fields = {"model": "gpt-image-2", "prompt": "A lighthouse"} | fields
    try:
        answer = client.images.generate(**fields, extra_headers=headers)
        if fields.get("stream"):
            list(answer)
    except (openai.OpenAIError, httpx2.HTTPError):
        pass


GENERATIONS = "/v1/images/generations"

LINES: dict[str, tuple[dict[str, Any], str]] = {
    "a picture": ({}, r" 200 +\d+ ms POST /v1/images/generations gpt-image-2 1254x1254 [\d.]+ kB"),
    "several": ({"n": 2}, r" 200 .* gpt-image-2 1254x1254 2 pictures [\d.]+ kB"),
    "a stream": (
        {"stream": True, "partial_images": 2},
        r" 200 .* gpt-image-2 1254x1254 [\d.]+ kB in 3 events",
    ),
    "a URL": (
        {"model": "dall-e-3"},
        r" 200 .* dall-e-3 1024x1024 by URL  shut down on 2026-05-12",
    ),
    "a refusal": (
        {"size": "1000x1000"},
        r" 400 .* gpt-image-2 1000x1000  Invalid size '1000x1000'\. Width and height .*",
    ),
    "an error by name": (
        {"fault": "server_error"},
        r" 500 .* gpt-image-2  fault server_error  The server had an error .*",
    ),
    "a reset": (
        {"fault": "connection_reset"},
        r" --- .* gpt-image-2  fault connection_reset  the connection was cut",
    ),
    "a cut stream": (
        {"fault": "stream_cut;after=1", "stream": True, "partial_images": 2},
        r" 200 .* 1254x1254  fault stream_cut  the connection was cut",
    ),
    "a failed stream": (
        {"fault": "stream_error;after=1", "stream": True, "partial_images": 2},
        r" 200 .* 1254x1254  fault stream_error  the stream failed  .*",
    ),
}


@pytest.mark.parametrize(("fields", "pattern"), LINES.values(), ids=LINES)
def test_each_call_is_one_plain_line_in_a_pipe(
    fields: dict[str, Any], pattern: str, server: Server, client: OpenAI
) -> None:
    (line,) = lines_of(server, lambda: draw(client, **fields))
    assert re.fullmatch(TIME + pattern, line)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_line_of_a_call_that_the_stop_of_the_server_ended_says_so(
    log_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images_emulator.http_server.GRACE_SECONDS", 0.02)
    reader, writer = os.pipe()
    with Server() as server, logged(server, writer, log_format=log_format):
        headers = {"authorization": "Bearer x", "x-emulator-fault": "timeout"}
        body = {"model": "gpt-image-2", "prompt": "x"}
        with (
            ThreadPoolExecutor() as pool,
            httpx2.Client(base_url=server.url, headers=headers) as client,
        ):
            call = pool.submit(client.post, GENERATIONS, json=body)
            until(lambda: any(each.fault for each in server.requests))
            server.close()
            assert isinstance(call.exception(), httpx2.TransportError)
    with open(reader, encoding="utf-8") as pipe:
        (line,) = pipe
    if log_format == "json":
        values = json.loads(line)
        picked = (values["level"], values["outcome"], values["notice"])
        assert picked == ("warning", "cut", "the server stopped")
    else:
        assert line.endswith("  fault timeout  the connection was cut  the server stopped\n")


def test_line_of_a_call_names_its_namespace(server: Server) -> None:
    reader, writer = os.pipe()
    with open(reader, encoding="utf-8") as pipe, logged(server, writer) as log:
        server.namespaces.observers = (lambda emulator: log.observe(emulator.journal),)
        headers = {"Authorization": f"Bearer {KEY}"}
        for path, name in {"/ns/two": r"\[two\] ", "": ""}.items():
            httpx2.get(f"{server.url}{path}/v1/models", headers=headers)
            assert re.fullmatch(rf"{TIME} 200 +\d+ ms {name}GET /v1/models\n", pipe.readline())
    server.namespaces.observers = ()
    httpx2.delete(f"{server.url}/_emulator/namespaces/two")


def test_download_is_a_line_with_the_end_of_its_path(server: Server, client: OpenAI) -> None:
    def act() -> None:
        images = client.images.generate(model="dall-e-3", prompt="x").data
        assert images
        assert images[0].url
        httpx2.get(images[0].url)

    _, line = lines_of(server, act)
    assert re.fullmatch(TIME + r" 200 .* GET …/img-\w+\.png dall-e-3 1024x1024 [\d.]+ kB", line)


def test_download_has_the_size_and_the_bytes_of_its_picture(server: Server, client: OpenAI) -> None:
    lengths = []

    def act() -> None:
        answer = client.images.generate(model="dall-e-2", prompt="x", size="256x256")
        assert answer.data
        url = answer.data[0].url
        assert url
        lengths.append(len(httpx2.get(url).content))
        httpx2.head(url)
        httpx2.get(url.partition("?")[0])
        httpx2.get(f"{server.url}{DOWNLOAD_PREFIX}none")

    lines = [*map(json.loads, lines_of(server, act, log_format="json"))]
    assert [(each["event"], each["status"], each["size"], each["bytes"]) for each in lines] == [
        ("call", 200, "256x256", None),
        ("download", 200, "256x256", *lengths),
        ("download", 200, "256x256", None),
        ("download", 409, "256x256", None),
        ("download", 409, None, None),
    ]


def test_download_of_an_own_picture_has_the_size_of_its_file(
    server: Server, client: OpenAI
) -> None:
    file = png((48, 32))

    def act() -> None:
        server.answer(file, verbatim=True)
        answer = client.images.generate(model="dall-e-2", prompt="x", size="256x256")
        assert answer.data
        assert answer.data[0].url
        httpx2.get(answer.data[0].url)

    _, line = map(json.loads, lines_of(server, act, log_format="json"))
    assert (line["size"], line["bytes"]) == ("48x32", len(file))


def test_recorded_answer_and_a_miss_name_the_recording(server: Server, tmp_path: Path) -> None:
    body = {"model": "gpt-image-2", "prompt": "A fox", "size": "1024x1024"}
    RecordingFolder(tmp_path).add(exchange(server.url, "POST", GENERATIONS, body))
    with Server(replay=tmp_path, delay=False) as player:

        def act() -> None:
            for size in ("1024x1024", "1536x1024"):
                exchange(player.url, "POST", GENERATIONS, {**body, "size": size})

        hit, miss = lines_of(player, act)
    name = "0001-generations-a-fox"
    assert re.fullmatch(rf".* 200 .* gpt-image-2 1024x1024 [\d.]+ kB  recording {name}", hit)
    reason = f"in the nearest, '{name}', size '1536x1024' is not '1024x1024'"
    assert miss.endswith(f" kB  no recording matches; {reason}")


def test_debug_shows_what_was_sent_below_the_line(server: Server, client: OpenAI) -> None:
    server.inject("server_error", match={"model": "dall-e-2"})

    def act() -> None:
        client.images.edit(
            model="gpt-image-2", prompt="A ship", image=("a.png", png((64, 96))), size="1024x1024"
        )

    _, *more = lines_of(server, act, log_level="debug")
    words = [line.split(maxsplit=1) for line in more]
    assert words[:3] == [
        ["prompt", "A ship"],
        ["sent", "size=1024x1024"],
        ["upload", f"image a.png 64x96 {len(png((64, 96)))} B"],
    ]
    assert words[3][0] == "near"
    assert "dall-e-2" in words[3][1]
    assert re.fullmatch(r"openai-python \S+, key sk-test, req_\w+", words[4][1])


def test_warning_shows_only_calls_that_went_wrong(server: Server, client: OpenAI) -> None:
    def act() -> None:
        draw(client)
        draw(client, size="1x1")
        draw(client, model="dall-e-3")
        draw(client, fault="latency;seconds=0")

    lines = lines_of(server, act, log_level="warning")
    assert [line.split()[1] for line in lines] == ["400", "200", "200"]


def test_error_shows_no_calls(server: Server, client: OpenAI) -> None:
    assert lines_of(server, lambda: draw(client, size="1x1"), log_level="error") == []


def test_json_is_an_object_a_line(server: Server, client: OpenAI) -> None:
    def act() -> None:
        draw(client, n=2)
        draw(client, size="1x1", prompt="\x1b[2J\x9b\nü")

    first, second = map(json.loads, lines_of(server, act, log_format="json"))
    picked = {name: first[name] for name in ("level", "event", "status", "model", "pictures")}
    assert picked == {
        "level": "info",
        "event": "call",
        "status": 200,
        "model": "gpt-image-2",
        "pictures": 2,
    }
    assert (first["outcome"], first["key"], first["error"]) == ("answered", KEY, None)
    assert second["level"] == "warning"
    assert second["error"]["code"] == "invalid_value"
    assert "prompt" not in second


TRACE = "0af7651916cd43dd8448eb211c80319c"
"""The id of a trace."""


@pytest.mark.parametrize(
    ("traceparent", "trace"),
    [
        (f"00-{TRACE}-b7ad6b7169203331-01", TRACE),
        (f"cc-{TRACE}-b7ad6b7169203331-01-later", TRACE),
        (f"00-{TRACE.upper()}-b7ad6b7169203331-01", None),
        (f"ff-{TRACE}-b7ad6b7169203331-01", None),
        (f"00-{'0' * 32}-b7ad6b7169203331-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        ("sk-secret", None),
        (None, None),
    ],
)
def test_json_has_the_ids_of_call_and_trace(
    traceparent: str | None, trace: str | None, server: Server, http: httpx2.Client
) -> None:
    headers = {} if traceparent is None else {"traceparent": traceparent}
    ids: list[str] = []

    def act() -> None:
        ids.append(http.get("/v1/models", headers=headers).headers["x-request-id"])

    (line,) = map(json.loads, lines_of(server, act, log_format="json"))
    assert ([line["id"]], line["trace_id"]) == (ids, trace)


@pytest.mark.not_on_redis("a function answers in its own process alone")
def test_json_of_a_notice_or_an_error_has_the_id_of_its_call(
    server: Server, http: httpx2.Client
) -> None:
    def fail(request: object, index: int) -> object:
        raise RuntimeError("no picture")

    reader, writer = os.pipe()
    log = CallLog(LogSettings(log_format="json"), server.emulator.journal, writer, writer)
    logger = logging.getLogger("images_emulator")
    logger.addHandler(log.handler)
    try:
        server.answer(fail)
        answer = http.post("/v1/images/generations", json={"model": "gpt-image-2", "prompt": "x"})
        logger.warning("of no call")
    finally:
        logger.removeHandler(log.handler)
        log.close()
        os.close(writer)
    with open(reader, encoding="utf-8") as pipe:
        error, other = map(json.loads, pipe)
    assert (error["event"], error["level"]) == ("log", "error")
    assert error["id"] == answer.headers["x-request-id"]
    assert "no picture" in error["message"]
    assert (other["message"], other["id"]) == ("of no call", None)


def test_json_of_debug_has_what_was_sent(server: Server, client: OpenAI) -> None:
    prompt = "\x1b[2J\x9b\nü"
    act = lambda: draw(client, prompt=prompt, n=2)  # noqa: E731
    (line,) = lines_of(server, act, log_level="debug", log_format="json")
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["prompt"] == prompt
    assert json.loads(line)["sent"] == {"n": 2}


@pytest.mark.parametrize("settings", [{}, {"log_format": "json"}])
def test_no_key_stands_in_a_line(settings: dict[str, str], server: Server) -> None:
    def act() -> None:
        headers = {"authorization": f"Bearer {SECRET}"}
        with httpx2.Client(base_url=server.url, headers=headers) as http:
            http.post(f"/v1/files/{SECRET}")
            body = {"model": SECRET, "prompt": f"use {SECRET}", "user": SECRET, SECRET: [SECRET]}
            http.post("/v1/images/generations", json=body)
            http.post("/v1/images/generations", json={**body, "model": "gpt-image-2"})
            http.post("/v1/images/generations", json={"prompt": "x", "user": SECRET})

    text = "\n".join(lines_of(server, act, log_level="debug", **settings))
    assert text.count("sk-secret-************cdef") >= 6
    assert SECRET not in text


HOSTILE = "a\x1b[2Jb\x9bc\nd\r\u2028\u202eee\x07"


def test_control_characters_of_a_client_are_escaped(server: Server) -> None:
    def act() -> None:
        with httpx2.Client(base_url=server.url, headers={"authorization": "Bearer x"}) as http:
            body = {"model": HOSTILE, "prompt": HOSTILE, "size": HOSTILE}
            http.post("/v1/images/generations", json=body)
            http.post("/v1/evil%0aevil%1b[2J%9b")

    lines = lines_of(server, act, log_level="debug")
    assert len([line for line in lines if re.match(TIME, line)]) == 2
    assert all(line.isprintable() for line in lines)
    assert r"a\x1b[2Jb\x9bc\nd\r\u2028\u202eee\x07" in lines[0]


def test_terminal_has_colours(server: Server, client: OpenAI) -> None:
    def act() -> None:
        draw(client)
        draw(client, size="1x1")

    good, bad = terminal_text(server, act, columns=200).splitlines()
    assert "\x1b[32m200\x1b[0m" in good
    assert "\x1b[33m400\x1b[0m" in bad


@pytest.mark.parametrize(
    ("columns", "lines"),
    [
        (200, [r".* gpt-image-2 1000x1000  Invalid size .* divisible by 16\."]),
        (90, [r".* gpt-image-2 1000x1000", r" {9}Invalid size .* divisible by 16\."]),
        (60, [r".*…", " {9}Invalid size .*…"]),
    ],
)
def test_no_line_is_wider_than_the_terminal(
    columns: int, lines: list[str], server: Server, client: OpenAI
) -> None:
    text = terminal_text(server, lambda: draw(client, size="1000x1000"), columns)
    shown_lines = re.sub(r"\x1b\[\d+m", "", text).splitlines()
    assert len(shown_lines) == len(lines)
    for line, pattern in zip(shown_lines, lines, strict=True):
        assert re.fullmatch(pattern, line)
        assert len(line) <= columns


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({"FORCE_COLOR": "0"}, False),
    ],
)
def test_colours_of_a_terminal_can_be_switched_off(
    variables: dict[str, str], coloured: bool
) -> None:
    master, slave = os.openpty()
    try:
        assert has_colours(slave, {"TERM": "xterm", **variables}) is coloured
    finally:
        os.close(master)
        os.close(slave)


def test_colours_of_a_pipe_can_be_switched_on(
    server: Server, client: OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    (line,) = lines_of(server, lambda: draw(client))
    assert "\x1b[32m200\x1b[0m" in line


def test_log_record_is_a_line_with_its_traceback_indented(server: Server) -> None:
    reader, writer = os.pipe()
    with logged(server, writer) as log:
        log.handler.setFormatter(logging.Formatter("%(message)s"))
        try:
            raise ValueError("04:00:00 200 forged\n04:00:00 200 forged \x1b[2J")
        except ValueError:
            record = logging.LogRecord("x", logging.ERROR, "", 1, "a\x1bb", (), sys.exc_info())
        log.handler.handle(record)
    with open(reader) as pipe:
        first, *more = pipe.read().splitlines()
    assert first == r"a\x1bb"
    assert all(line.startswith("  ") and line.isprintable() for line in more)
    assert r"forged \x1b[2J" in more[-1]


def test_null_device_costs_a_call_nothing(server: Server) -> None:
    with logged(server, os.open(os.devnull, os.O_WRONLY)) as log:
        assert log not in server.emulator.journal.observers


def test_reader_that_has_gone_ends_the_log(server: Server, client: OpenAI) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with logged(server, writer) as log:
        draw(client)
        assert log._out._thread
        log._out._thread.join()
        assert log not in server.emulator.journal.observers
        draw(client)


def test_shown_terminal_is_that_of_the_command(server: Server, client: OpenAI) -> None:
    def act() -> None:
        draw(client)
        draw(client, size="1000x1000")
        draw(client, model="dall-e-3")
        draw(client, fault="connection_reset")

    start = start_text("http://127.0.0.1:8080", 8080, Settings(), LogSettings())
    shown = next(block.text for block in BLOCKS if block.title == "terminal")
    lines = [*start.splitlines(), *lines_of(server, act)]
    assert [*map(without_figures, lines)] == [*map(without_figures, shown.splitlines())]


@pytest.mark.parametrize("level", ["info", "warning", "error"])
@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize(
    ("host", "token", "is_open"),
    [
        ("127.0.0.1", None, False),
        ("::1", None, False),
        ("localhost", None, False),
        ("0.0.0.0", None, True),  # noqa: S104 - nothing listens
        ("::", None, True),
        ("192.0.2.7", None, True),
        ("build.internal", None, True),
        ("0.0.0.0", "secret", False),  # noqa: S104 - nothing listens
    ],
)
def test_start_warns_of_an_admin_api_that_others_reach(
    host: str, token: str | None, is_open: bool, log_format: str, level: str
) -> None:
    settings = Settings(host=host, admin_token=token)
    log = LogSettings(log_format=log_format, log_level=level)
    start = start_text(f"http://{host}:8080", 8080, settings, log)
    warning = f"Whoever reaches {host} sees all calls and pictures at /_emulator"
    says = level != "error" or log_format == "json"
    assert (warning in start) == (is_open and says)


def without_figures(line: str) -> str:
    """A *line* without its time, its milliseconds and its bytes."""
    return re.sub(rf"^{TIME}|\d+ ms|[\d.]+ kB", "#", re.sub(" +", " ", line))


# --- the writer


def test_writer_drops_what_a_slow_reader_leaves_and_says_so() -> None:
    reader, writer = os.pipe()
    rendering, may_render = Event(), Event()

    def text(item: int) -> str:
        rendering.set()
        may_render.wait()
        return f"{item}\n"

    lines = LineWriter[int](writer, text)
    lines.put(0)
    rendering.wait()
    for item in range(1, MAX_WAITING_ITEMS + 8):
        lines.put(item)
    may_render.set()
    lines.close()
    os.close(writer)
    with open(reader) as pipe:
        written = pipe.read().splitlines()
    assert written[:-1] == [str(item) for item in range(MAX_WAITING_ITEMS + 1)]
    assert written[-1] == "(7 lines were dropped here: the output was not read)"


def test_full_pipe_blocks_neither_put_nor_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("images_emulator.cli.line_writer.CLOSE_SECONDS", 0.05)
    reader, writer = os.pipe()
    lines = LineWriter[str](writer, str)
    for _ in range(2 * MAX_WAITING_ITEMS):
        lines.put("x" * 1000)
    lines.close()
    os.close(reader)
    assert lines._thread
    lines._thread.join()
    os.close(writer)


def test_item_that_comes_as_the_thread_falls_idle_is_written() -> None:
    class LateItems(deque[str]):
        """Gets one more item just after the thread has found none twice, and goes to wait."""

        misses = 0

        def popleft(self) -> str:
            try:
                return super().popleft()
            except IndexError:
                self.misses += 1
                if self.misses == 2:
                    lines.put("second\n")
                raise

    reader, writer = os.pipe()
    lines = LineWriter[str](writer, str)
    lines._items = LateItems()
    lines.put("first\n")
    text = b""
    while not text.endswith(b"second\n"):
        assert select([reader], [], [], 10)[0], "the second item was not written"
        text += os.read(reader, 100)
    lines.close()
    os.close(writer)
    os.close(reader)


def test_writer_whose_thread_cannot_be_started_raises_nothing_and_tries_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    reader, writer = os.pipe()
    lines = LineWriter[str](writer, str)
    with monkeypatch.context() as patch:
        patch.setattr(Thread, "start", failing)
        lines.put("first\n")
    lines.put("second\n")
    lines.close()
    os.close(writer)
    with open(reader) as pipe:
        assert pipe.read() == "first\nsecond\n"


@pytest.mark.parametrize("error", [IndexError("odd"), ValueError("odd")])
def test_item_that_has_no_line_is_told_and_the_next_one_is_written(error: Exception) -> None:
    def text(item: int) -> str:
        if item == 1:
            raise error
        return f"{item}\n"

    reader, writer = os.pipe()
    lines = LineWriter[int](writer, text)
    for item in (1, 2):
        lines.put(item)
    lines.close()
    os.close(writer)
    with open(reader) as pipe:
        assert pipe.read() == f"(1 line cannot be written: {error!r})\n2\n"


def test_writer_waits_for_a_terminal_that_does_not_block() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    lines = LineWriter[str](writer, str)
    for _ in range(100):
        lines.put("x" * 999 + "\n")
    with open(reader, "rb") as pipe:
        assert len(pipe.read(100_000)) == 100_000
    lines.close()
    os.close(writer)


# --- texts


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ünïcode 日本 🏮", "Ünïcode 日本 🏮"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\x7f\x9b", r"\x7f\x9b"),
        ("\u202e\u2066\u200b", r"\u202e\u2066\u200b"),
        ("\udcff", r"\udcff"),
        ("x" * 1001, "x" * 999 + "…"),
    ],
)
def test_printable_escapes_what_is_no_picture_of_a_character(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("columns", "line"),
    [(9, "ab日本cd"), (8, "ab日本cd"), (7, "ab日本…"), (6, "ab日…"), (5, "ab日…"), (4, "ab…")],
)
def test_line_is_cut_to_the_columns_of_a_terminal(columns: int, line: str) -> None:
    parts = [Part("ab"), Part("日本"), Part("cd", "dim")]
    assert render(parts, colours=False, columns=columns) == line
    assert width_of(line) <= columns


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0.4, "0 ms"),
        (9999.4, "9999 ms"),
        (9999.5, "10.0 s"),
        (11_838, "11.8 s"),
        (86_400_000, "86400 s"),
    ],
)
def test_duration_of_a_day_leaves_room_beside_the_status(milliseconds: float, text: str) -> None:
    assert duration_text(milliseconds) == text
    assert len(text) < DURATION_COLUMNS
