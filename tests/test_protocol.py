"""HTTP/1.1 on a raw connection: odd request targets, pipelined upgrades, heads without end."""

from __future__ import annotations

import json
import logging
import socket
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

import httpx2
import pytest

from images_emulator import Server, create_app
from images_emulator.settings import Settings

HEAD = b"Host: localhost\r\nAuthorization: Bearer sk-test\r\n"
CLOSE = b"Connection: close\r\n\r\n"
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n\r\n"

MAX_HEAD = Settings().max_head


def exchange(server: Server, chunks: Iterable[bytes]) -> bytes:
    """What the server sends back to *chunks* until the connection ends."""
    with socket.create_connection((server.settings.host, server.port), timeout=30) as connection:
        for chunk in chunks:
            connection.sendall(chunk)
        answer = b""
        with suppress(ConnectionResetError):
            while received := connection.recv(65536):
                answer += received
        return answer


def get(server: Server, target: bytes, more: bytes = b"") -> bytes:
    return exchange(server, [b"GET " + target + b" HTTP/1.1\r\n" + HEAD + more + CLOSE])


@pytest.mark.parametrize(
    "target",
    [
        *(b"//[://", b"/[://", b"//[", b"///x://[", b"/]://[", b"//[::1]:x://y", b"/%5b://"),
        *(b"//%e2%84%80://x", b"/v1/[://", b"/v1/images/generations/[://", b"/_emulator/[://"),
        *(b"http://[", b"http://[/v1/models", b"http://[::1/v1/models", b"http:///v1/models"),
        *(b"http://a:99999999/v1/models", b"http://a%zz/v1/models", b"http://a", b"http://a?x=1"),
        *(b"/http://a/v1/models", b"*", b"//", b"/v1/%ff", b"/v1/models%3f"),
    ],
)
def test_a_malformed_target_is_not_found(
    server: Server, target: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert get(server, target).startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert all(record.levelno < logging.ERROR for record in caplog.records)


@pytest.mark.parametrize("target", [b"[://", b"://", b"a", b"/\x00", b"/\xff"])
def test_a_target_that_is_no_http_is_a_bad_request(server: Server, target: bytes) -> None:
    assert get(server, target).startswith(b"HTTP/1.1 400 Bad Request\r\n")


@pytest.mark.parametrize(
    "target", [b"/v1/models", b"http://a/v1/models", b"HTTP://u:p@[::1]:80/v1/models?x=://["]
)
def test_a_target_may_have_absolute_form(server: Server, target: bytes) -> None:
    assert get(server, target).startswith(b"HTTP/1.1 200 OK\r\n")
    assert [entry.path for entry in server.requests] == ["/v1/models"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *(("//[://", 404), ("http://[", 404), ("http://localhost/nothing", 404), ("x", 404)),
        *(("", 404), ("http://localhost/v1/models", 401), ("HTTPS://[/v1/models", 401)),
    ],
)
async def test_a_path_of_another_asgi_server_may_have_absolute_form(path: str, status: int) -> None:
    sent = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b""}

    async def send(message: object) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []}
    await create_app()(scope, receive, send)
    assert sent[0]["status"] == status  # type: ignore[index]


@pytest.mark.parametrize("host", [b"[", b"a b", b"[::1", b"\xe2\x84\x80", b":x"])
def test_a_malformed_host_breaks_nothing(server: Server, host: bytes) -> None:
    body = b'{"model": "dall-e-2", "prompt": "x"}'
    lines = [
        *(b"POST /v1/images/generations HTTP/1.1", b"Host: " + host, b"Connection: close"),
        *(b"Authorization: Bearer x", b"Content-Type: application/json"),
        b"Content-Length: %d" % len(body),
    ]
    answer = exchange(server, [b"\r\n".join([*lines, b"", body])])
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    url = json.loads(answer.partition(b"\r\n\r\n")[2])["data"][0]["url"]
    assert url.startswith(f"{server.url}/private/")


@pytest.mark.slow
def test_hundreds_of_pipelined_upgrades_are_all_answered(server: Server) -> None:
    requests = (b"GET /v1/models/%d HTTP/1.1\r\n" % number + HEAD + H2C for number in range(400))
    last = b"GET /v1/models HTTP/1.1\r\n" + HEAD + CLOSE
    answer = exchange(server, [b"".join(requests), last])
    assert answer.count(b"HTTP/1.1 404 Not Found\r\n") == 400
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 1
    assert [answer.count(b"model '%d'" % number) for number in range(400)] == [1] * 400


# --- heads


def long_header() -> Iterator[bytes]:
    yield b"GET /v1/models HTTP/1.1\r\n" + HEAD + b"X-Long: "
    yield from [b"x" * 50_000] * 10
    yield b"\r\n\r\n"


def many_headers() -> Iterator[bytes]:
    yield b"GET /v1/models HTTP/1.1\r\n" + HEAD
    yield from [b"X-Many: x\r\n" * 5_000] * 10
    yield b"\r\n"


def long_path() -> Iterator[bytes]:
    yield b"GET /v1/models?"
    yield from [b"x" * 50_000] * 10
    yield b" HTTP/1.1\r\n" + HEAD + b"\r\n"


def never_ending() -> Iterator[bytes]:
    yield b"GET /v1/models HTTP/1.1\r\n" + HEAD
    for start in range(0, 100_000, 1_000):
        yield b"".join(b"X-%d: x\r\n" % number for number in range(start, start + 1_000))


CHUNKED = b" HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n"
CHUNKED += b"Content-Type: application/json\r\n\r\n"


def long_trailers(path: bytes) -> Iterator[bytes]:
    yield b"POST " + path + CHUNKED + b"2\r\n{}\r\n0\r\n"
    yield from [b"X-Many: x\r\n" * 5_000] * 15


def long_extensions(path: bytes) -> Iterator[bytes]:
    yield b"POST " + path + CHUNKED + b"2;"
    yield from [b"a=b;" * 10_000] * 15


@pytest.mark.parametrize("request_", [long_header, many_headers, long_path, never_ending])
def test_a_head_past_the_limit_is_refused_and_not_in_the_journal(
    server: Server, request_: Callable[[], Iterator[bytes]]
) -> None:
    answer = exchange(server, request_())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert json.loads(body)["error"]["code"] == "request_headers_too_large"
    # A web page is to read it, too.
    assert b"\r\naccess-control-allow-origin: *\r\n" in head
    assert not server.requests


@pytest.mark.parametrize(
    ("chunk", "status", "has_headers"),
    [
        (b"GET a HTTP/1.1\r\n" + HEAD + CLOSE, b"400", False),
        (b"GET /v1/models HTTP/1.1\r\n" + HEAD + b"x: " + b"x" * 2 * MAX_HEAD, b"431", False),
        (
            b"OPTIONS /v1/models HTTP/1.1\r\nHost: localhost\r\nOrigin: https://a.invalid\r\n"
            b"Access-Control-Request-Method: GET\r\n" + CLOSE,
            b"200",
            False,
        ),
        (b"GET /v1/models HTTP/1.1\r\n" + HEAD + CLOSE, b"200", True),
    ],
    ids=["no HTTP", "too large a head", "preflight", "call"],
)
def test_only_answers_to_calls_have_the_standard_headers(
    server: Server, chunk: bytes, status: bytes, has_headers: bool
) -> None:
    head, _, _ = exchange(server, [chunk]).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status)
    assert (b"openai-version: " in head) is has_headers
    assert (b"x-request-id: " in head) is has_headers


@pytest.mark.parametrize(("more", "status"), [(0, b"200"), (1, b"431")])
def test_the_limit_of_a_head_is_exact(
    server: Server, caplog: pytest.LogCaptureFixture, more: int, status: bytes
) -> None:
    start = b"GET /v1/models HTTP/1.1\r\n" + HEAD + CLOSE[:-2] + b"X-Long: "
    # Of the request line, what is not the target does not count.
    counted = len(start) - len("GET  HTTP/1.1\r\n") + len("\r\n")
    request = start + b"x" * (MAX_HEAD - counted + more) + b"\r\n\r\n"
    assert exchange(server, [request]).split()[1] == status
    assert all(record.levelno < logging.ERROR for record in caplog.records)


def test_a_head_is_not_counted_with_the_body_before_it(server: Server) -> None:
    body = b"x" * (4 * MAX_HEAD)
    first = b"POST /v1/nothing HTTP/1.1\r\n" + HEAD + b"Content-Length: %d\r\n\r\n" % len(body)
    second = b"GET /v1/models HTTP/1.1\r\n" + HEAD + b"X: " + b"x" * 200_000 + b"\r\n" + CLOSE
    answer = exchange(server, [first + body + second])
    assert [line.split()[1] for line in answer.splitlines() if line.startswith(b"HTTP/1.1")] == [
        b"404",
        b"200",
    ]


@pytest.mark.parametrize("request_", [long_trailers, long_extensions])
def test_trailers_and_extensions_past_the_limit_are_refused(
    server: Server, request_: Callable[[bytes], Iterator[bytes]]
) -> None:
    answer = exchange(server, request_(b"/v1/images/generations"))
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert httpx2.get(f"{server.url}/_emulator/health").status_code == 200
    (entry,) = server.requests
    assert len(entry.headers) < 5


@pytest.mark.parametrize("request_", [long_trailers, long_extensions])
def test_trailers_and_extensions_past_the_limit_end_the_connection(
    server: Server, request_: Callable[[bytes], Iterator[bytes]]
) -> None:
    with suppress(ConnectionError):
        exchange(server, request_(b"/v1/nothing"))
    assert all(len(entry.headers) < 5 for entry in server.requests)
    assert httpx2.get(f"{server.url}/_emulator/health").status_code == 200


def test_trailers_are_no_headers(server: Server) -> None:
    request = b"POST /v1/nothing HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n"
    request += b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Emulator-Fault: server_error\r\n\r\n"
    assert exchange(server, [request]).split()[1] == b"404"
    assert "x-emulator-fault" not in server.requests[-1].headers


def test_a_refused_head_takes_no_memory(server: Server) -> None:
    def endless() -> Iterator[bytes]:
        yield b"GET /v1/models HTTP/1.1\r\n" + HEAD + b"X-Long: "
        yield from [b"x" * 2**20] * 32
        yield b"\r\n\r\n"

    tracemalloc.start()
    try:
        with suppress(ConnectionError):
            exchange(server, endless())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * 2**20


def test_an_answer_before_a_refused_head_is_sent_whole(server: Server) -> None:
    first = (
        b"GET /v1/models HTTP/1.1\r\n" + HEAD + b"x-emulator-fault: latency;seconds=0.05\r\n\r\n"
    )
    head, _, body = exchange(server, [first, *long_header()]).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert json.loads(body)["object"] == "list"


def test_a_head_is_refused_on_a_connection_in_use_too(server: Server) -> None:
    with socket.create_connection((server.settings.host, server.port), timeout=30) as connection:
        connection.sendall(b"GET /nothing HTTP/1.1\r\n" + HEAD + b"\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 404")
        for chunk in long_header():
            connection.sendall(chunk)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 431")
    assert answer.count(b"HTTP/1.1") == 1
