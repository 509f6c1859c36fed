"""`Server` in Python: made, asked and taken back by a test."""

from __future__ import annotations

import asyncio
import errno
import json
import re
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, date, datetime
from typing import Any, Self

import httpx2
import pytest
from openai import APIConnectionError, AsyncOpenAI, OpenAI

import images_emulator
from images_emulator import Emulator, Server, Settings
from images_emulator.state.memory_store import MemoryStore
from images_emulator.state.store import Store
from reliability.ports import free_port
from tests.waiting import until


def test_a_server_without_settings_takes_a_free_port() -> None:
    with Server() as one, Server() as another:
        assert one.port != another.port
        for server in (one, another):
            assert httpx2.get(f"{server.url}/_emulator/health").status_code == 200


@pytest.mark.parametrize("settings", [None, Settings(), Settings(validation="lenient")])
def test_a_server_takes_a_free_port_unless_one_is_named(settings: Settings | None) -> None:
    with Server(settings) as one, Server(settings) as another:
        assert one.port != another.port


def test_settings_may_be_given_by_their_names() -> None:
    port = free_port()
    with closing(Server(Settings(validation="lenient"), port=port, as_of="2026-06-01")) as server:
        assert server.url == f"http://127.0.0.1:{port}"
        assert server.settings.as_of == "2026-06-01"
        assert server.settings.validation == "lenient"


def test_one_text_or_a_list_stands_for_a_tuple_of_settings() -> None:
    settings = Settings(api_key="sk-a", allow_host=["a.test", "b.test"])
    assert (settings.api_key, settings.allow_host) == (("sk-a",), ("a.test", "b.test"))


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(TypeError, match="colour"):
        Server(colour="red")
    with pytest.raises(TypeError, match="settings of its own"):
        Server(emulator=Emulator(), as_of="today")


def test_a_taken_port_is_refused_at_once() -> None:
    with (
        closing(Server()) as server,
        pytest.raises(
            OSError, match=rf"127\.0\.0\.1:{server.port}: Address already in use"
        ) as taken,
    ):
        Server(port=server.port)
    assert taken.value.errno == errno.EADDRINUSE
    assert "free one" in taken.value.__notes__[0]


@pytest.mark.parametrize("failing", ["instruments_of", "create_app", "NamespaceRouter", "port"])
def test_a_server_that_cannot_be_made_closes_its_own_emulator_alone(
    failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []
    close = Emulator.close

    def note(emulator: Emulator) -> None:
        closed.append(emulator)
        close(emulator)

    def fail(*_: object) -> None:
        raise OSError("no more")

    emulator = Emulator()
    with closing(Server()) as other, monkeypatch.context() as patch:
        patch.setattr(Emulator, "close", note)
        if failing == "port":
            patch.setattr("images_emulator.threaded_server.listening_socket", fail)
        else:
            patch.setattr(f"images_emulator.server.{failing}", fail)
        with pytest.raises(OSError, match="no more"):
            Server()
        (own,) = closed
        assert own.is_closed
        with pytest.raises(OSError, match="no more"):
            Server(emulator=emulator)
        assert closed == [own]
        assert not other.emulator.is_closed
    with Server(emulator=emulator) as server:
        assert httpx2.get(f"{server.url}/_emulator/health").status_code == 200


@pytest.mark.not_on_redis("it watches the store in memory")
def test_an_emulator_that_cannot_be_made_closes_its_own_store_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed: list[Store] = []

    def note(store: MemoryStore) -> None:
        closed.append(store)

    monkeypatch.setattr(MemoryStore, "close", note)
    settings = Settings(deployment=("pictures=no-model",))
    with pytest.raises(ValueError, match="no model"):
        Emulator(settings)
    assert len(closed) == 1
    with pytest.raises(ValueError, match="no model"):
        Emulator(settings, MemoryStore())
    assert len(closed) == 1


def test_the_repr_of_a_server_has_its_url() -> None:
    server = Server()
    assert repr(server) == f"<Server http://127.0.0.1:{server.port} (not started)>"
    with server:
        assert repr(server) == f"<Server {server.url}>"
    assert repr(server) == f"<Server {server.url} (closed)>"


def test_the_package_lists_its_public_names() -> None:
    assert dir(images_emulator) == [
        "Emulator",
        "RemoteServer",
        "Server",
        "ServerError",
        "Settings",
        "create_app",
        "read_recipe",
        "running",
    ]


# --- its end


def test_a_closed_server_stays_closed_and_can_be_read() -> None:
    server = Server(port=free_port())
    with server, OpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client:
        client.images.generate(model="dall-e-3", prompt="x")
        server.close()
        with pytest.raises(APIConnectionError):
            client.models.list()
    server.close()
    assert [call.prompt for call in server.requests] == ["x"]
    socket.create_server(("127.0.0.1", server.port)).close()
    for use in (server.__enter__, server.run, server.reset, lambda: server.inject("timeout")):
        with pytest.raises(RuntimeError, match=rf"{server.url} is closed for good"):
            use()


OPEN_ANSWERS = {
    "no answer yet": ("latency;seconds=60", {}, None, 0),
    "a stream": ("stall;after=1", {"stream": True, "partial_images": 2}, 200, 1),
}
"""Calls that are open when the server stops: fault, fields, status and number of events."""


@pytest.mark.parametrize(
    ("fault", "fields", "status", "events"), OPEN_ANSWERS.values(), ids=OPEN_ANSWERS
)
def test_a_call_that_the_stop_of_the_server_ends_is_cut(
    fault: str,
    fields: dict[str, Any],
    status: int | None,
    events: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("images_emulator.http_server.GRACE_SECONDS", 0.02)
    body = {"model": "gpt-image-2", "prompt": "x", **fields}
    with Server() as server, closing(open_call(server, body, fault)) as connection:
        until(lambda: any(call.event_count == events and call.fault for call in server.requests))
        server.close()
        with connection.makefile("rb") as rest, suppress(ConnectionResetError):
            assert rest.read().count(b"event:") == events
    (call,) = server.requests
    assert (call.outcome, call.status, call.event_count) == ("cut", status, events)


def test_a_call_whose_client_left_before_the_stop_is_gone() -> None:
    with Server() as server:
        connection = open_call(server, {"model": "gpt-image-2", "prompt": "x"}, "timeout")
        until(lambda: any(call.fault for call in server.requests))
        connection.close()
        until(lambda: server.requests[0].outcome != "waiting")
    assert server.requests[0].outcome == "gone"


def open_call(server: Server, body: dict[str, Any], fault: str) -> socket.socket:
    """The connection of a call that has been sent, whose answer nobody reads."""
    text = json.dumps(body)
    connection = socket.create_connection(("127.0.0.1", server.port))
    connection.sendall(
        b"POST /v1/images/generations HTTP/1.1\r\nhost: x\r\nauthorization: Bearer k\r\n"
        + f"x-emulator-fault: {fault}\r\ncontent-type: application/json\r\n".encode()
        + f"content-length: {len(text)}\r\n\r\n{text}".encode()
    )
    return connection


def test_a_server_that_never_ran_can_be_closed() -> None:
    server = Server(port=free_port())
    server.close()
    socket.create_server(("127.0.0.1", server.port)).close()


def test_a_server_serves_once_at_a_time() -> None:
    with Server() as server, pytest.raises(RuntimeError, match="is served already"):
        server.__enter__()


def test_a_server_that_runs_in_one_thread_can_be_closed_by_another() -> None:
    server, ready = Server(), threading.Event()
    running = threading.Thread(target=server.run, args=[ready.set])
    running.start()
    ready.wait()
    server.close()
    running.join()
    assert repr(server).endswith("(closed)>")


def test_a_server_whose_start_is_interrupted_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    server = Server(port=free_port())
    monkeypatch.setattr(server._started, "wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        server.__enter__()
    assert repr(server).endswith("(closed)>")
    socket.create_server(("127.0.0.1", server.port)).close()


@pytest.mark.parametrize("turns", [0, 1, 2])
@pytest.mark.parametrize("serves", [False, True])
async def test_a_server_whose_start_is_cancelled_leaves_nothing(turns: int, serves: bool) -> None:
    cancelled = threading.Event()

    class HeldServer(Server):
        """Its start lasts until it is cancelled, before or after it serves."""

        def __enter__(self) -> Self:
            if not serves:
                assert cancelled.wait(30)
            super().__enter__()
            assert cancelled.wait(30)
            return self

    server = HeldServer(port=free_port())
    starting = asyncio.ensure_future(server.__aenter__())
    await asyncio.sleep(0)
    for _ in range(turns):
        await asyncio.sleep(0)
    starting.cancel()
    cancelled.set()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert repr(server).endswith("(closed)>")
    socket.create_server(("127.0.0.1", server.port)).close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_server_that_fails_to_stop_keeps_no_thread_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server()
    close = server.emulator.close

    def fail() -> None:
        close()
        raise OSError

    monkeypatch.setattr(server.emulator, "close", fail)
    server.__enter__()
    closing_ = threading.Thread(target=server.close, daemon=True)
    closing_.start()
    closing_.join(30)
    assert not closing_.is_alive()
    # What it raises is this test's.
    assert server._thread
    server._thread.join()


OUT_OF_FILES = """
import os, resource
from contextlib import suppress
from images_emulator import Server

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
server = Server()
with suppress(OSError):
    while True:
        os.dup(0)
try:
    server.__enter__()
except RuntimeError as error:
    os.closerange(3, 64)
    print(error)
"""


@pytest.mark.slow
def test_a_server_that_fails_to_start_raises() -> None:
    command = [sys.executable, "-c", OUT_OF_FILES]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert re.fullmatch(r"http://\S+ is not served: .*Too many open files.*\n", done.stdout)


BESIDE_A_FETCH = """
import socket, sys, threading
from contextlib import suppress
import openai
from images_emulator import Server

silent = socket.create_server(("127.0.0.1", 0))
address = f"127.0.0.1:{silent.getsockname()[1]}"
with Server(remote_images="fetch", allow_host=address) as server:
    client = openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0)
    body = {"model": "gpt-image-2", "prompt": "x", "images": [{"image_url": f"http://{address}/"}]}

    def edit():
        with suppress(openai.APIConnectionError):
            client.post("/images/edits", body=body, cast_to=object)
            print("answered")

    asking = threading.Thread(target=edit)
    asking.start()
    fetch, _ = silent.accept()
    fetch.recv(1000)
asking.join()
fetch.setblocking(False)
try:
    fetch.recv(1)
except BlockingIOError:
    print("the fetch still waits")
print(server.requests[0].status, file=sys.stderr)
"""


@pytest.mark.slow
def test_a_server_ends_beside_a_fetch_that_hangs_and_so_does_its_process() -> None:
    """What the fetch waits for never comes; it gives up after ten seconds, which nobody awaits."""
    with subprocess.Popen(
        [sys.executable, "-c", BESIDE_A_FETCH],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == "the fetch still waits\n"
        process.wait(timeout=8)
        assert process.stderr.read() == "None\n"


# --- what it does


async def test_a_server_serves_beside_a_running_loop() -> None:
    before = {thread for thread in threading.enumerate() if thread.name == "images-emulator"}
    async with (
        Server() as server,
        AsyncOpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client,
    ):
        prompts = [str(number) for number in range(5)]
        await asyncio.gather(
            *(client.images.generate(model="dall-e-3", prompt=prompt) for prompt in prompts)
        )
        assert sorted(call.prompt or "" for call in server.requests) == prompts
    after = {thread for thread in threading.enumerate() if thread.name == "images-emulator"}
    assert after <= before


def test_a_server_serves_the_emulator_that_it_is_given() -> None:
    emulator = Emulator(Settings(port=0, validation="lenient"))
    with Server(emulator=emulator) as server:
        assert server.emulator is emulator
        assert server.settings.validation == "lenient"


def test_a_reset_undoes_every_change(server: Server, client: OpenAI) -> None:
    server.inject("server_error", times=None)
    server.clock.advance(hours=5)
    server.emulator.configure(as_of="2026-06-01", validation="lenient")
    server.reset()
    client.images.generate(model="dall-e-3", prompt="x")
    (call,) = server.requests
    assert (call.fault, call.status) == (None, 200)
    assert abs(call.time - datetime.now(UTC)).total_seconds() < 60


def test_invalid_settings_are_refused_and_change_nothing(emulator: Emulator) -> None:
    with pytest.raises(ValueError, match="as_of: expected"):
        emulator.configure(as_of="soon")
    assert emulator.settings.as_of == "any"


@pytest.mark.slow
def test_the_journal_may_be_read_while_it_is_written(server: Server) -> None:
    """From several threads, over and over, without an error or a half-known call."""
    with OpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client:

        def write(number: int) -> None:
            client.images.generate(model="dall-e-3", prompt=f"{number}")

        with ThreadPoolExecutor(4) as pool:
            writing = [pool.submit(write, number) for number in range(100)]
            while not all(each.done() for each in writing):
                for call in server.requests:
                    assert str(call)
                    assert call.status != 200 or call.prompt
            for each in writing:
                each.result()
    assert len(server.requests) == 100
    assert len({call.id for call in server.requests}) == 100


@pytest.mark.slow
def test_start_up_imports_nothing_that_only_some_calls_need() -> None:
    script = (
        "import sys; from images_emulator import Server; Server().close(); "
        "print(*sys.modules); from images_emulator.imaging import render; print(*sys.modules)"
    )
    output = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    at_start, at_first_picture = ({*line.split()} for line in output.splitlines())
    for_some_pictures = {
        "PIL.ImageFilter",
        "html",
        "images_emulator.imaging.edits",
        "images_emulator.imaging.fitting",
        "images_emulator.imaging.svg",
        "images_emulator.recordings",
        "images_emulator.state.replay",
        "images_emulator.web.replay.replay_middleware",
        "importlib.metadata",
        "importlib.resources",
        "uharfbuzz",
    }
    for_some_calls = for_some_pictures | {
        "PIL",
        "difflib",
        "encodings.idna",
        "fastapi",
        "pydantic",
        "redis",
        "sse_starlette",
        "starlette.routing",
    }
    assert "starlette" in at_start
    assert not for_some_calls & at_start
    assert "PIL" in at_first_picture
    assert not for_some_pictures & at_first_picture


@pytest.mark.parametrize("host", ["a..b", "no such host"])
def test_a_host_that_is_no_name_is_refused(host: str) -> None:
    with pytest.raises(OSError, match=f"{host}:0: "):
        Server(host=host)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"port": 1.5}, "port: expected a whole number, not 1.5"),
        ({"as_of": date(2026, 6, 1)}, r"as_of: expected a text, not datetime\.date"),
        ({"cache": None}, "cache: expected a whole number, not None"),
    ],
)
def test_a_setting_of_another_type_is_refused_by_its_name(
    setting: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Server(**setting)


@pytest.mark.parametrize("stop", ["close", "signal"])
def test_a_stop_waits_for_no_tick(stop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("images_emulator.http_server.LOOP_SECONDS", 3600)
    with Server() as server:
        assert httpx2.get(f"{server.url}/_emulator/health").status_code == 200
        if stop == "signal":
            server._http.handle_exit(signal.SIGINT, None)
            server._stopped.wait()
