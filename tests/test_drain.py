"""SIGTERM, as a proxy sees it that keeps its connections: no call is lost that it had sent."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from images_emulator import Server
from images_emulator.http_server import HTTPServer
from images_emulator.listening_socket import listening_socket
from tests.waiting import until

CALL = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk-test\r\n\r\n"
STREAM = b'{"model": "gpt-image-1", "prompt": "x", "stream": true, "partial_images": 1}'


@pytest.fixture(autouse=True)
def long_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle connections stay open for longer than any test lasts."""
    monkeypatch.setattr("images_emulator.http_server.DRAIN_SECONDS", 3600)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


def connected(server: Server) -> socket.socket:
    return socket.create_connection((server.settings.host, server.port), timeout=30)


def answer_on(connection: socket.socket, call: bytes = CALL) -> bytes:
    """The head of the answer to *call*, in lower case; the body is read, too."""
    connection.sendall(call)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65536)
    head, _, body = answer.lower().partition(b"\r\n\r\n")
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return head


def is_refused(server: Server) -> bool:
    try:
        connected(server).close()
    except ConnectionError as error:
        # It is reset where the listener is closed while it waits there.
        return isinstance(error, ConnectionRefusedError)
    return False


def stop(server: Server, *signals: int) -> None:
    """Stop *server* as these *signals* do, and wait until it accepts no connections."""
    for each in signals:
        server._http.handle_exit(each, None)
    until(lambda: is_refused(server))


def test_call_on_an_idle_connection_after_sigterm_is_answered_and_is_the_last(
    server: Server,
) -> None:
    with connected(server) as used, connected(server) as unused:
        assert b"connection: close" not in answer_on(used)
        stop(server, signal.SIGTERM)
        for connection in (used, unused):
            head = answer_on(connection)
            assert head.startswith(b"http/1.1 200 ok")
            assert b"connection: close" in head
            assert connection.recv(1) == b""
    until(server._stopped.is_set)


def test_answer_that_begins_after_sigterm_is_the_last_of_its_connection(server: Server) -> None:
    call = CALL.replace(b"\r\n\r\n", b"\r\nX-Emulator-Fault: latency;seconds=60\r\n\r\n")
    with connected(server) as connection:
        connection.sendall(call)
        until(lambda: bool(server.requests))
        stop(server, signal.SIGTERM)
        server.clock.advance(seconds=60)
        head = answer_on(connection, b"")
        assert head.startswith(b"http/1.1 200 ok")
        assert b"connection: close" in head
        assert connection.recv(1) == b""


def test_answer_that_began_before_sigterm_leaves_its_connection_for_one_more(
    server: Server,
) -> None:
    head = b"POST /v1/images/generations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-test\r\n"
    head += b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(STREAM)
    head += b"X-Emulator-Fault: latency;realistic=true\r\n\r\n"
    with connected(server) as connection:
        connection.sendall(head + STREAM)
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"connection: close" not in answer
        stop(server, signal.SIGTERM)
        server.clock.advance(seconds=3600)
        while not answer.endswith(b"0\r\n\r\n"):
            answer += connection.recv(65536)
        assert b"connection: close" in answer_on(connection)


@pytest.mark.parametrize(
    "signals",
    [
        (signal.SIGINT,),
        (signal.SIGINT, signal.SIGTERM),
        (signal.SIGTERM, signal.SIGINT),
        (signal.SIGTERM, signal.SIGTERM),
    ],
)
def test_other_signals_and_a_second_one_close_idle_connections_at_once(
    server: Server, signals: Sequence[int]
) -> None:
    with connected(server) as connection:
        answer_on(connection)
        stop(server, *signals)
        assert connection.recv(1) == b""


def test_second_signal_ends_the_time_of_idle_connections(server: Server) -> None:
    with connected(server) as connection:
        answer_on(connection)
        stop(server, signal.SIGTERM)
        server._http.handle_exit(signal.SIGTERM, None)
        assert connection.recv(1) == b""


def test_close_of_a_server_does_not_wait_for_idle_connections(server: Server) -> None:
    with connected(server) as connection:
        answer_on(connection)
        server.close()
        assert connection.recv(1) == b""


async def ok(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers any call."""
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


async def test_connection_that_waits_to_be_accepted_is_answered_after_sigterm() -> None:
    app: ASGIApp = ok
    server = HTTPServer(app, lambda: None)
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    with closing(listening_socket("127.0.0.1", 0)) as listener:
        await server.startup([listener])
        with socket.create_connection(listener.getsockname(), timeout=30) as connection:
            connection.sendall(CALL)
            server.handle_exit(signal.SIGTERM, None)
            await server.shutdown([listener])
            head = answer_on(connection, b"")
            assert head.startswith(b"http/1.1 200 ok")
            assert b"connection: close" in head
