"""Disconnected clients: work that only they waited for is withdrawn."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Event

import httpx2
import pytest
from starlette.types import Message

from images_emulator import Emulator, Server, Settings, create_app
from images_emulator.rendering.job_queue import JobQueue
from tests.conftest import KEY
from tests.pictures import png
from tests.waiting import until

PATH = "/v1/images/generations"


@pytest.fixture
def server() -> Iterator[Server]:
    """No process helps its thread."""
    with Server(Settings(port=0, render_processes=0)) as server:
        yield server


def generation(prompt: str, **further: object) -> bytes:
    body = {"model": "gpt-image-2", "prompt": prompt, "size": "1024x1024", **further}
    return posted(PATH, "application/json", json.dumps(body).encode())


def edit(prompt: str) -> bytes:
    fields = {"model": "gpt-image-2", "prompt": prompt}
    request = httpx2.Request("POST", "http://x", data=fields, files={"image": ("a.png", png())})
    return posted("/v1/images/edits", request.headers["content-type"], request.read())


def posted(path: str, content_type: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@contextmanager
def held(queue: JobQueue) -> Iterator[None]:
    """Block the thread of *queue* meanwhile."""
    begun, release = Event(), Event()

    def wait(_: object) -> None:
        begun.set()
        release.wait(60)

    queue.submit(wait)
    assert begun.wait(60)
    try:
        yield
    finally:
        release.set()


@pytest.mark.parametrize(
    "request_of",
    [
        generation,
        lambda prompt: generation(prompt, stream=True, partial_images=2),
        lambda prompt: generation(prompt, n=3),
    ],
    ids=["picture", "stream", "batch"],
)
def test_renderings_of_disconnected_clients_leave_the_queue(
    server: Server, request_of: Callable[[str], bytes]
) -> None:
    pool = server.emulator.renderer.pool
    with ExitStack() as stack:
        with held(pool):
            connections = [
                stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
                for _ in range(51)
            ]
            for number, connection in enumerate(connections):
                connection.sendall(request_of(f"lighthouse {number}"))
            until(lambda: len(pool._jobs) == 51)
            stays = connections.pop()
            for connection in connections:
                connection.close()
            until(lambda: len(pool._jobs) == 1)
        stays.settimeout(60)
        assert stays.recv(15) == b"HTTP/1.1 200 OK"
    until(lambda: all(call.has_ended for call in server.requests))


def test_a_rendering_is_withdrawn_once_its_last_client_disconnects(
    server: Server,
) -> None:
    pool = server.emulator.renderer.pool
    address = ("127.0.0.1", server.port)
    with socket.create_connection(address) as leaves, socket.create_connection(address) as stays:
        with held(pool):
            for connection in (leaves, stays):
                connection.sendall(generation("a lighthouse for two"))
            queued = server.emulator.renderer._underway
            until(lambda: [each.waiters for each in [*queued.values()]] == [2])
            leaves.close()
            until(lambda: [each.waiters for each in [*queued.values()]] == [1])
            assert len(pool._jobs) == 1
        stays.settimeout(60)
        assert stays.recv(15) == b"HTTP/1.1 200 OK"


@pytest.mark.slow
def test_uploads_of_disconnected_clients_are_not_decoded(server: Server) -> None:
    decoder = server.emulator.renderer.decoder_queue
    with held(decoder):
        for number in range(10):
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                connection.sendall(edit(f"lighthouse {number}"))
                until(lambda: len(decoder._jobs) == 1)
            until(lambda: not decoder._jobs)


STREAM: dict[str, object] = {"stream": True, "partial_images": 1}


@pytest.mark.parametrize(
    ("fault", "fields"),
    [
        ({"kind": "latency", "seconds": 3600}, {}),
        ({"kind": "latency", "realistic": True, "scale": 100}, {}),
        ({"kind": "latency", "realistic": True, "scale": 100}, STREAM),
        ({"kind": "slow_body", "bytes_per_second": 1}, {}),
        ({"kind": "slow_body", "bytes_per_second": 1}, STREAM),
        ({"kind": "timeout", "seconds": 3600}, {}),
        ({"kind": "stall", "seconds": 3600}, STREAM),
    ],
    ids=lambda value: "-".join(map(str, value.values())),
)
def test_a_fault_waits_for_no_client_that_has_left(
    server: Server, fault: dict[str, object], fields: dict[str, object]
) -> None:
    server.inject(fault)
    clock = server.emulator.clock
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(generation("a lighthouse", **fields))
        until(lambda: bool(clock._waits))
    call = server.wait_for_call()
    until(lambda: server.calls()[0].has_ended, f"the end of {call}")
    assert server.calls()[0].outcome == "gone"
    until(lambda: not clock._waits, "the end of the wait")


@pytest.mark.parametrize("stream", [False, True])
async def test_any_asgi_server_s_disconnect_is_noticed(stream: bool) -> None:
    emulator = Emulator()
    body = json.dumps({"model": "gpt-image-2", "prompt": "a lighthouse", "stream": stream}).encode()
    messages: asyncio.Queue[Message] = asyncio.Queue()
    messages.put_nowait({"type": "http.request", "body": body})
    scope = {
        "type": "http",
        "method": "POST",
        "path": PATH,
        "query_string": b"",
        "headers": [(b"authorization", b"Bearer x"), (b"content-type", b"application/json")],
    }
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    with held(emulator.renderer.pool):
        call = asyncio.ensure_future(create_app(emulator)(scope, messages.get, send))
        await asyncio.to_thread(until, lambda: len(emulator.renderer.pool._jobs) == 1)
        # Neither more of the body nor anything else says that the client has left.
        messages.put_nowait({"type": "http.request", "body": b""})
        messages.put_nowait({"type": "http.disconnect"})
        await call
        assert not emulator.renderer.pool._jobs
    (entry,) = emulator.journal.find()
    if stream:
        assert [message["type"] for message in sent] == ["http.response.start"]
        assert entry.outcome == "gone"
    else:
        assert sent[0]["status"] == 499
    emulator.close()


async def test_slow_body_ends_with_the_client_under_any_asgi_server() -> None:
    body = json.dumps({"model": "gpt-image-2", "prompt": "a lighthouse", "stream": True}).encode()
    headers = [(b"authorization", b"Bearer x"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": PATH, "query_string": b""}
    sent: list[Message] = []
    has_begun = asyncio.Event()
    messages: list[Message] = []

    async def receive() -> Message:
        if not messages:
            await has_begun.wait()
            return {"type": "http.disconnect"}
        return messages.pop()

    async def send(message: Message) -> None:
        sent.append(message)
        if len(sent) > 3:
            has_begun.set()

    emulator = Emulator()
    app = create_app(emulator)
    # The first call draws the picture, so that the second one does not wait for it.
    for fault in ([], [(b"x-emulator-fault", b"slow_body;bytes_per_second=1")]):
        messages.append({"type": "http.request", "body": body})
        await app(scope | {"headers": [*headers, *fault]}, receive, send)
    assert [message["type"].rpartition(".")[2] for message in sent] == [
        *("start", "body", "body"),
        "start",
    ]
    assert [call.outcome for call in emulator.journal.find()] == ["answered", "gone"]
    emulator.close()
