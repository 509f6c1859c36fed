"""Failures inside the server, for want of memory or of a thread: each call ends, the next is right.

`reliability/failure_points.py` lets every function that a call enters fail."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from datetime import UTC, datetime
from select import select
from typing import Any, cast

import httpx2
import pytest
from starlette.types import Message
from uvicorn.protocols.http.flow_control import FlowControl

from images_emulator import Emulator, Server, Settings, create_app
from images_emulator.buffered_transport import BufferedTransport
from images_emulator.contract.emulator_errors import store_unavailable
from images_emulator.contract.refusal import APIError
from images_emulator.exchange.connection import Connection
from images_emulator.exchange.exchange import EXCHANGE_OVERHEAD_BYTES
from images_emulator.exchange.request_head import RequestHead
from images_emulator.exchange.served_exchange import ServedExchange
from images_emulator.exchange.waits import hang_up
from images_emulator.protocol import HTTPProtocol
from images_emulator.rendering.job_queue import JobQueue
from images_emulator.threads import DaemonThreadPool
from images_emulator.web.answer_sender import AnswerSender, StandardHeaders
from images_emulator.web.app import Router
from images_emulator.web.cors_middleware import CORSMiddleware
from images_emulator.web.images_api import ImagesAPI
from images_emulator.web.instruments.instrument import instruments_of
from images_emulator.web.journal_middleware import JournalMiddleware
from tests.conftest import KEY

OPENAI = "/v1/images/generations"
AZURE = "/openai/deployments/x/images/generations?api-version=2025-04-01-preview"

CALL = {"model": "dall-e-2", "prompt": "x", "size": "256x256"}


def once(function: Callable[..., Any], error: Exception) -> Callable[..., Any]:
    """*function*, which raises *error* when it is called first."""
    errors = [error]

    def failing(*arguments: Any, **options: Any) -> Any:
        if errors:
            raise errors.pop()
        return function(*arguments, **options)

    return failing


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of what fails here is logged: uvicorn and the event loop would."""
    for name in ("uvicorn.error", "asyncio", "images_emulator"):
        monkeypatch.setattr(logging.getLogger(name), "disabled", True)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(cache=0, render_processes=0) as server:
        yield server


def answer_of(server: Server, path: str = OPENAI, **changes: str) -> bytes:
    """All that comes back for a call until the connection ends."""
    body = json.dumps(CALL | changes).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer x\r\nconnection: close\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        answer = b""
        with suppress(ConnectionResetError):
            connection.sendall(head.encode() + body)
            while received := connection.recv(65536):
                answer += received
    return answer


@pytest.mark.parametrize(
    ("owner", "name", "path"),
    [
        (CORSMiddleware, "__call__", OPENAI),
        (CORSMiddleware, "__call__", AZURE),
        (JournalMiddleware, "__call__", OPENAI),
        (JournalMiddleware, "__call__", AZURE),
        (JournalMiddleware, "__call__", f"/ns/x{AZURE}"),
        (Router, "_endpoint", OPENAI),
        (Router, "_endpoint", AZURE),
        (ImagesAPI, "_prepare", OPENAI),
    ],
)
def test_failure_is_answered_as_the_api_does_with_a_notice(
    server: Server, owner: type[Any], name: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, name, once(getattr(owner, name), MemoryError()))
    head, _, body = answer_of(server, path).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert b"content-type: application/json" in head
    assert b"x-emulator-notice: the emulator itself has failed" in head
    assert ("Azure" in json.loads(body)["error"]["message"]) is ("/openai/" in path)
    assert answer_of(server).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (BufferedTransport, "__init__"),
        (HTTPProtocol, "on_message_begin"),
        (HTTPProtocol, "on_headers_complete"),
        (HTTPProtocol, "on_body"),
    ],
)
def test_failure_in_the_protocol_closes_the_connection(
    owner: type[Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(cache=0, render_processes=0) as server:
        monkeypatch.setattr(owner, name, once(getattr(owner, name), MemoryError()))
        assert answer_of(server) == b""
        assert answer_of(server).startswith(b"HTTP/1.1 200 OK")
    assert server._failure is None


def test_failure_to_send_closes_the_connection(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FullTransport:
        def __init__(self, transport: Any) -> None:
            self._transport = transport

        def __getattr__(self, name: str) -> Any:
            return getattr(self._transport, name)

        def write(self, _: bytes) -> None:
            raise MemoryError

    original = BufferedTransport.__init__

    def made(buffered: BufferedTransport, transport: Any, loop: Any, flow: FlowControl) -> None:
        original(buffered, cast("Any", FullTransport(transport)), loop, flow)

    with monkeypatch.context() as patch:
        patch.setattr(BufferedTransport, "__init__", made)
        assert answer_of(server) == b""
    assert answer_of(server).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't start new thread")])
@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (threading.Thread, "start"),
        (DaemonThreadPool, "submit"),
        (JobQueue, "_schedule"),
        (JobQueue, "_run_and_schedule"),
        (JobQueue, "_run_first"),
    ],
)
def test_queue_whose_thread_fails_takes_the_next_job(
    owner: type[Any], name: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = JobQueue("test")
    monkeypatch.setattr(owner, name, once(getattr(owner, name), error))
    # It is raised at once, or the job is cancelled.
    with pytest.raises((type(error), CancelledError)):
        queue.submit(lambda _: 1).result(30)
    assert queue.submit(lambda _: 2).result(30) == 2
    assert queue.pending_count == 0
    queue.close()


def test_thread_that_cannot_be_prepared_runs_what_is_submitted(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("images_emulator"), "disabled", False)

    def failing() -> None:
        raise OSError("no such library")

    pool = DaemonThreadPool(1, thread_name_prefix="test", initializer=failing)
    assert pool.submit(lambda: 1).result(30) == 1
    pool.shutdown()
    assert "cannot be prepared" in caplog.text
    assert "no such library" in caplog.text


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't start new thread")])
def test_call_without_a_thread_is_refused_as_the_api_does_and_the_next_is_right(
    server: Server, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(thread: threading.Thread) -> None:
        raise error

    def answer() -> bytes:
        return answer_of(server, response_format="b64_json")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", failing)
        head, _, body = answer().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert b"content-type: application/json" in head
    assert json.loads(body)["error"]["type"] == "server_error"
    assert answer().startswith(b"HTTP/1.1 200 OK")


def test_jobs_submitted_as_another_ends_are_scheduled_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = JobQueue("test")
    runs: list[Any] = []

    class Lock:
        """When the run of the first job leaves it, another job is submitted."""

        leaves = 0

        def __enter__(self) -> None:
            pass

        def __exit__(self, *error: object) -> None:
            self.leaves += 1
            if self.leaves == 4:
                assert not queue._at_work
                queue.submit(lambda _: 2)

    monkeypatch.setattr(queue, "_schedule", runs.append)
    monkeypatch.setattr(queue, "_lock", Lock())
    queue.submit(lambda _: 1)
    assert len(runs) == 1
    queue._run_and_schedule(runs[0])
    assert len(runs) == 2
    queue.close()


async def test_reset_of_a_connection_that_is_closed_already_raises_nothing() -> None:
    left, right = socket.socketpair()
    loop = asyncio.get_running_loop()
    _, writer = await asyncio.open_connection(sock=left)
    transport = cast("asyncio.Transport", writer.transport)
    buffered = BufferedTransport(transport, loop, FlowControl(transport))
    right.close()
    writer.transport.abort()
    await asyncio.sleep(0)
    assert left.fileno() == -1
    await buffered.hang_up(reset=True)


async def test_the_date_is_left_out_of_the_answer_behind_100_continue_and_of_no_other() -> None:
    left, right = socket.socketpair()
    loop = asyncio.get_running_loop()
    _, writer = await asyncio.open_connection(sock=left)
    transport = cast("asyncio.Transport", writer.transport)
    buffered = BufferedTransport(transport, loop, FlowControl(transport))
    head = b"HTTP/1.1 200 OK\r\ndate: x\r\ncontent-length: 0\r\n\r\n"
    buffered.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    buffered.omit_date()
    for _ in range(2):
        buffered.write(head)
        buffered.write(b"")
    buffered.close()
    with right, right.makefile("rb") as stream:
        written = await asyncio.to_thread(stream.read)
    without = head.replace(b"date: x\r\n", b"")
    assert written == b"HTTP/1.1 100 Continue\r\n\r\n" + without + head


@pytest.mark.slow
@pytest.mark.parametrize("reads", [True, False], ids=["reads", "leaves"])
def test_reset_waits_without_polling_for_a_client_that_does_not_read(
    server: Server, reads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [0]
    begun, done = threading.Event(), threading.Event()
    hang_up = BufferedTransport.hang_up

    class Asked:
        """A transport that counts how often it is asked for the bytes that are left."""

        def __init__(self, transport: Any) -> None:
            self._transport = transport

        def __getattr__(self, name: str) -> Any:
            asked[0] += name == "get_write_buffer_size"
            return getattr(self._transport, name)

    async def noted(buffered: BufferedTransport, *, reset: bool) -> None:
        buffered._transport = cast("Any", Asked(buffered._transport))
        begun.set()
        await hang_up(buffered, reset=reset)
        done.set()

    monkeypatch.setattr(BufferedTransport, "hang_up", noted)
    size = 30_000_000
    identity = httpx2.post(
        f"{server.base_url}/files",
        files={"file": ("a.png", bytes(size + 1), "image/png")},
        data={"purpose": "vision"},
        headers={"authorization": f"Bearer {KEY}"},
    ).json()["id"]
    server.inject("connection_reset", after_bytes=size, match={"path": "/v1/files/*"})
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", server.port))
        head = f"GET /v1/files/{identity}/content HTTP/1.1\r\nhost: x\r\n"
        client.sendall(f"{head}authorization: Bearer {KEY}\r\n\r\n".encode())
        assert begun.wait(30)
        assert not done.wait(0.2)
        assert asked[0] < 10
        if reads:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
            with pytest.raises(ConnectionResetError):
                # It has an end, and the reset comes before.
                all(iter(lambda: client.recv(2**20), b""))
    assert done.wait(30)


async def test_head_that_is_held_is_dropped_where_the_client_has_left() -> None:
    """Uvloop raises where bytes are written to a closed transport."""
    left, right = socket.socketpair()
    loop = asyncio.get_running_loop()
    _, writer = await asyncio.open_connection(sock=left)
    written: list[bytes] = []

    class NotedTransport:
        def __getattr__(self, name: str) -> Any:
            return getattr(writer.transport, name)

        def write(self, data: bytes) -> None:
            written.append(data)

    noted = cast("asyncio.Transport", NotedTransport())
    buffered = BufferedTransport(noted, loop, FlowControl(noted))
    buffered.write(b"HTTP/1.1 200 OK\r\n\r\n")
    buffered.hold_head()
    right.close()
    writer.transport.abort()
    await asyncio.sleep(0)
    buffered.release_head()
    assert written == []


@pytest.mark.parametrize(
    ("calls", "body", "at_once"),
    [(1, b"x", True), (2, b"x", False), (2, bytes(40_000), False), (2, bytes(65_536), True)],
    ids=["alone", "short", "copied no more", "long"],
)
@pytest.mark.parametrize("holds_head", [False, True])
async def test_short_answers_leave_together_while_there_are_other_calls(
    calls: int, body: bytes, *, at_once: bool, holds_head: bool
) -> None:
    left, right = socket.socketpair()
    right.settimeout(30)
    loop = asyncio.get_running_loop()
    _, writer = await asyncio.open_connection(sock=left)
    transport = cast("asyncio.Transport", writer.transport)
    buffered = BufferedTransport(transport, loop, FlowControl(transport), range(calls))
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    buffered.write(head)
    if holds_head:
        buffered.hold_head()
    buffered.write(body)
    if holds_head:
        buffered.release_head()
    assert bool(select([right], [], [], 0)[0]) is at_once
    held = buffered.get_write_buffer_size() - transport.get_write_buffer_size()
    assert held == (0 if at_once else len(head + body))
    buffered.write(b"more")
    wanted = head + body + b"more"
    assert await asyncio.to_thread(_received, right, len(wanted)) == wanted
    assert buffered.get_write_buffer_size() == 0
    writer.close()
    right.close()


def _received(connection: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        data += connection.recv(length - len(data))
    return data


@pytest.mark.parametrize("error", [OSError("the store is away"), asyncio.CancelledError()])
async def test_head_that_is_held_leaves_where_the_end_of_its_call_cannot_be_recorded(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    class HeldConnection:
        protocol_answer = None

        def __init__(self) -> None:
            self.heads: list[str] = []

        def is_closing(self) -> bool:
            return False

        def hold_head(self) -> None:
            self.heads.append("held")

        def release_head(self) -> None:
            self.heads.append("released")

    async def failing(*_: object) -> None:
        raise error

    async def send(_: Message) -> None:
        pass

    emulator, connection = Emulator(), HeldConnection()
    monkeypatch.setattr(emulator.journal, "complete", failing)
    exchange = ServedExchange(
        RequestHead("GET", "/v1/models", b"", []),
        "req_1",
        datetime.now(UTC),
        connection=cast("Connection", connection),
    )
    sender = AnswerSender(exchange, emulator, StandardHeaders(emulator), send)
    await sender.send({"type": "http.response.start", "status": 200, "headers": []})
    with pytest.raises(type(error)):
        await sender.send({"type": "http.response.body", "body": b""})
    assert connection.heads == ["held", "released"]
    emulator.close()


async def test_an_answer_hung_up_before_its_first_part_whose_write_fails_gives_way_to_another() -> (
    None
):
    emulator = Emulator()
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def write() -> None:
        raise store_unavailable(url="redis:", reason="it has no memory")

    exchange = ServedExchange(RequestHead("GET", "/v1/models", b"", []), "req_1", datetime.now(UTC))
    exchange.number = await emulator.journal.append(exchange)
    sender = AnswerSender(exchange, emulator, StandardHeaders(emulator), send)
    exchange.end_call = sender.end_call
    exchange.hold_back_until(write())

    async def leave() -> Message:
        return {"type": "http.disconnect"}

    await sender.send({"type": "http.response.start", "status": 200, "headers": []})
    with pytest.raises(APIError):
        await hang_up(exchange, leave, reset=False)
    await sender.send({"type": "http.response.start", "status": 503, "headers": []})
    await sender.send({"type": "http.response.body", "body": b"{}"})
    assert [each.get("status") for each in sent] == [503, None]
    assert (exchange.status, exchange.outcome) == (503, "refused")
    emulator.close()


def test_a_forgotten_answer_leaves_nothing() -> None:
    exchange = ServedExchange(RequestHead("GET", "/", b"", []), "req_1", datetime.now(UTC))
    exchange.note_start(200)
    exchange.note_end()
    answer, exchange.weight = exchange.answer, exchange.weight + 1
    exchange.discard_answer()
    assert exchange.answer is not answer
    assert (exchange.status, exchange.duration_ms) == (None, None)
    assert exchange.weight == EXCHANGE_OVERHEAD_BYTES


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't start new thread")])
def test_pool_that_gets_no_more_threads_uses_those_that_it_has_and_starts_one_later(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = DaemonThreadPool(2, thread_name_prefix="test")
    begun, release = threading.Event(), threading.Event()

    def wait() -> int:
        begun.set()
        release.wait(30)
        return 1

    first = pool.submit(wait)
    begun.wait(30)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", once(threading.Thread.start, error))
        second = pool.submit(lambda: 2)
    release.set()
    assert (first.result(30), second.result(30)) == (1, 2)
    # Each of the two waits for the other.
    both = threading.Barrier(2, timeout=30)
    calls = [pool.submit(both.wait) for _ in range(2)]
    assert sorted(call.result(30) for call in calls) == [0, 1]
    pool.shutdown()


@pytest.mark.parametrize("instrument", ["metrics", "otel"])
async def test_scope_that_is_no_call_passes_the_instruments(instrument: str) -> None:
    settings: Any = {instrument: True}
    emulator = Emulator(Settings(**settings))
    instruments = instruments_of(emulator.settings)
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/v1/images", "headers": [], "query_string": b""}
    await create_app(emulator, instruments)(scope, receive, send)
    assert [each["type"] for each in sent] == ["websocket.close"]
    for each in instruments:
        await each.stop()
    emulator.close()


@pytest.mark.parametrize("headers", [{}, {"x-emulator-fault": "latency;seconds=60"}])
async def test_failure_to_hear_of_the_client_is_no_client_that_left(
    headers: dict[str, str],
) -> None:
    app = create_app()

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        async def heard() -> Any:
            message = await receive()
            if message["type"] == "http.disconnect" or not message.get("body"):
                raise MemoryError
            return message

        await app(scope, heard, send)

    transport = httpx2.ASGITransport(failing, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://x") as http:
        key = {"authorization": "Bearer x"}
        answer = await http.post("/v1/images/generations", json=CALL, headers=headers | key)
    assert answer.status_code == 500
